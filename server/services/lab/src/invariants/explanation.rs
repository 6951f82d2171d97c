//! Which event a wrong document has folded twice, or not at all: the fold is pure, so each guess is tried.

use domain::{
    event::TypedEvent,
    view::{AnyView, DocumentError},
    wire::{Arrow, SequenceStep},
};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

/// The most events of a document with which guesses are made.
const MAX_EVENTS: usize = 64;

/// The most events of a document with which guesses about several of them are made.
const MAX_IN_RUNS: usize = 16;

/// What explains a document, with the event that did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Explanation {
    /// It was folded twice.
    Twice(Uuid),
    /// It was not folded, and a later event was; `None`: no later event changes this document.
    Missing(Uuid, Option<Uuid>),
    /// It was folded, and the log does not have it.
    NotInLog(Uuid),
    /// Nothing simple explains it; the newest event of the document.
    Unknown(Uuid),
}

impl Explanation {
    /// The event that did it.
    pub(super) const fn event(self) -> Uuid {
        match self {
            Self::Twice(event) | Self::Missing(event, _) | Self::NotInLog(event) | Self::Unknown(event) => {
                event
            }
        }
    }

    /// The smallest sequence of crossings that shows it.
    pub(super) fn sequence(self) -> Vec<SequenceStep> {
        let steps = match self {
            Self::Twice(event) => vec![
                (Arrow::EventSubscription, event),
                (Arrow::EventSubscription, event),
                (Arrow::UpsertProjection, event),
            ],
            Self::Missing(event, Some(next)) => vec![
                (Arrow::AppendEvents, event),
                (Arrow::EventSubscription, next),
                (Arrow::UpsertProjection, next),
            ],
            Self::Missing(event, None) => vec![
                (Arrow::AppendEvents, event),
                (Arrow::PublishedDomainEvents, event),
            ],
            Self::NotInLog(event) => vec![
                (Arrow::PublishedDomainEvents, event),
                (Arrow::EventSubscription, event),
                (Arrow::UpsertProjection, event),
            ],
            Self::Unknown(event) => vec![
                (Arrow::EventSubscription, event),
                (Arrow::UpsertProjection, event),
            ],
        };
        let step = |(arrow, event)| SequenceStep {
            arrow,
            event_id: Some(event),
        };
        steps.into_iter().map(step).collect()
    }

    /// The events that show it, in their order.
    pub(super) fn witness(self) -> Vec<Uuid> {
        let mut events: Vec<Uuid> = self.sequence().iter().filter_map(|step| step.event_id).collect();
        events.dedup();
        events
    }
}

/// A document as it is shown: what a fold is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    /// Its view.
    pub(super) view: &'static dyn AnyView,
    /// Its key.
    pub(super) key: &'a str,
    /// Its content; `None`: it is not there.
    pub(super) document: Option<&'a Value>,
    /// What it was before the events that explain it.
    pub(super) base: Option<&'a RawValue>,
}

impl Shown<'_> {
    /// Whether it is the fold of these events.
    fn is_fold_of<'e>(&self, events: impl Iterator<Item = &'e TypedEvent>) -> bool {
        let folded = self.fold(events).ok().flatten();
        folded.as_ref() == self.document
    }

    /// The document after these events.
    fn fold<'e>(&self, events: impl Iterator<Item = &'e TypedEvent>) -> Result<Option<Value>, DocumentError> {
        let mut target = self.view.load(self.key, self.base)?;
        for event in events {
            target.fold(event);
        }
        let document = target.document()?;
        Ok(document.and_then(|document| serde_json::from_str(document.get()).ok()))
    }

    /// Explains it from the newest events of its key in the log, oldest first, and from `phantoms`: events
    /// that were published, and that the log does not have.
    pub(super) fn explain(&self, events: &[TypedEvent], phantoms: &[&TypedEvent]) -> Option<Explanation> {
        for phantom in phantoms {
            if self.is_fold_of(events.iter().chain([*phantom])) {
                return Some(Explanation::NotInLog(phantom.event_id));
            }
        }
        if let Some(first) = phantoms.first()
            && self.is_fold_of(events.iter().chain(phantoms.iter().copied()))
        {
            return Some(Explanation::NotInLog(first.event_id));
        }
        let newest = events.last().or_else(|| phantoms.last().copied());
        let unknown = newest.map(|event| Explanation::Unknown(event.event_id));
        if events.len() > MAX_EVENTS {
            return unknown;
        }
        // One event, then a run of events that came together, as far as that is cheap.
        let longest = if events.len() <= MAX_IN_RUNS {
            events.len()
        } else {
            1
        };
        let lengths = 1..=longest.min(events.len());
        let runs = lengths.flat_map(|length| {
            let starts = (0..=events.len() - length).rev();
            starts.map(move |start| (start, start + length))
        });
        for (start, end) in runs {
            let event = events[start].event_id;
            let twice = events[..end].iter().chain(&events[start..]);
            if self.is_fold_of(twice) {
                return Some(Explanation::Twice(event));
            }
            let without = events[..start].iter().chain(&events[end..]);
            if self.is_fold_of(without) {
                let next = events.get(end).map(|next| next.event_id);
                return Some(Explanation::Missing(event, next));
            }
        }
        unknown
    }
}
