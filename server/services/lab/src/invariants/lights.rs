//! The lights of a workspace: which invariants are broken, by what first, and how each is cured.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{
        CureKind, CureStep, Dials, Evidence, Guarantees, Invariant, InvariantStatus, InvariantsAnswer,
        SequenceStep,
    },
};
use uuid::Uuid;

/// The most breaks of an invariant that are kept.
const MAX_BREAKS: usize = 1_000;

/// The most characters of a text in evidence.
const MAX_TEXT: usize = 2_000;

/// An invariant is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Break {
    pub(super) invariant: Invariant,
    /// What breaks it, which counts once: a product, a document, an order, a mail, an event or a command.
    pub(super) subject: String,
    /// The event that did it.
    pub(super) event: Option<Uuid>,
    pub(super) witness: Vec<Uuid>,
    pub(super) evidence: Evidence,
    pub(super) sequence: Vec<SequenceStep>,
}

impl Break {
    /// Whether a document shows it, so that a rebuild of its view cures it.
    fn is_of_document(&self) -> bool {
        self.invariant != Invariant::NoGap && self.evidence.view.is_some()
    }

    /// Where the event is in the log, if it is there.
    fn place(&self) -> Option<(u32, u64)> {
        self.evidence.partition.zip(self.evidence.position)
    }
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// An invariant is broken.
    Broken(Box<Break>),
    /// What broke it does not break it any more.
    Mended {
        /// The invariant.
        invariant: Invariant,
        /// As in [`Break::subject`].
        subject: String,
    },
}

/// One light.
#[derive(Debug)]
struct Light {
    since: Timestamp,
    /// By subject, each with the number of the finding.
    breaks: BTreeMap<String, (u64, Break)>,
}

/// The lights of a workspace.
#[derive(Debug)]
pub(super) struct Lights {
    lights: BTreeMap<Invariant, Light>,
    findings: u64,
}

impl Lights {
    /// All of them green.
    pub(super) fn new(now: Timestamp) -> Self {
        let green = |invariant| {
            let breaks = BTreeMap::new();
            (invariant, Light { since: now, breaks })
        };
        Self {
            lights: Invariant::ALL.into_iter().map(green).collect(),
            findings: 0,
        }
    }

    /// Turns a light red, or green again. A break that is known keeps its evidence.
    pub(super) fn apply(&mut self, finding: Finding, now: Timestamp) {
        match finding {
            Finding::Broken(found) => {
                let Some(light) = self.lights.get_mut(&found.invariant) else {
                    return;
                };
                if light.breaks.is_empty() {
                    light.since = now;
                }
                if light.breaks.len() < MAX_BREAKS {
                    self.findings += 1;
                    let subject = found.subject.clone();
                    light.breaks.entry(subject).or_insert((self.findings, *found));
                }
            }
            Finding::Mended { invariant, subject } => {
                self.remove(invariant, now, |found| found.subject == subject);
            }
        }
    }

    /// Removes the breaks that a cure has counted as known: those of events up to `to`, and those of events
    /// that are not in the log.
    pub(super) fn acknowledge(&mut self, invariant: Invariant, to: &ConsistencyToken, now: Timestamp) {
        self.remove(invariant, now, |found| {
            !found.is_of_document() && found.place().is_none_or(|place| is_covered(to, place))
        });
    }

    /// Removes the breaks of a view that is not there any more.
    pub(super) fn forget_view(&mut self, view: &str, now: Timestamp) {
        let invariants: Vec<_> = self.lights.keys().copied().collect();
        for invariant in invariants {
            self.remove(invariant, now, |found| {
                found.is_of_document() && found.evidence.view.as_deref() == Some(view)
            });
        }
    }

    fn remove(&mut self, invariant: Invariant, now: Timestamp, is_over: impl Fn(&Break) -> bool) {
        let Some(light) = self.lights.get_mut(&invariant) else {
            return;
        };
        let was_red = !light.breaks.is_empty();
        light.breaks.retain(|_, (_, found)| !is_over(found));
        if was_red && light.breaks.is_empty() {
            light.since = now;
        }
    }

    /// Whether a document of a view breaks an invariant.
    pub(super) fn have_wrong_documents(&self) -> bool {
        let mut breaks = self.lights.values().flat_map(|light| light.breaks.values());
        breaks.any(|(_, found)| found.is_of_document())
    }

    /// The known break of a subject.
    pub(super) fn broken(&self, invariant: Invariant, subject: &str) -> Option<&Break> {
        self.lights
            .get(&invariant)?
            .breaks
            .get(subject)
            .map(|(_, found)| found)
    }

    /// What a person is shown, with the cures that follow from the present dials.
    pub(super) fn answer(&self, dials: &Dials, checked_to: &ConsistencyToken) -> InvariantsAnswer {
        let status = |(invariant, light): (&Invariant, &Light)| {
            let Some((_, first)) = light.breaks.values().min_by_key(|(number, _)| *number) else {
                return InvariantStatus::green(*invariant, light.since);
            };
            InvariantStatus {
                name: *invariant,
                holds: false,
                since: light.since,
                broken: u32::try_from(light.breaks.len()).unwrap_or(u32::MAX),
                event: first.event,
                witness: first.witness.clone(),
                evidence: Some(first.evidence.clone()),
                sequence: first.sequence.clone(),
                cure: cure(*invariant, light, dials),
            }
        };
        InvariantsAnswer {
            data: self.lights.iter().map(status).collect(),
            checked_to: checked_to.clone(),
        }
    }
}

/// Whether a token is as far as a position of a partition.
pub(super) fn is_covered(token: &ConsistencyToken, (partition, position): (u32, u64)) -> bool {
    position <= token.position(partition)
}

/// A text for evidence.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The steps that cure a light: first what broke it is put back, then the views are rebuilt.
fn cure(invariant: Invariant, light: &Light, dials: &Dials) -> Vec<CureStep> {
    let breaks = || light.breaks.values().map(|(_, found)| found);
    let of_documents = breaks().filter(|found| found.is_of_document());
    let views: BTreeSet<&str> = of_documents
        .filter_map(|found| found.evidence.view.as_deref())
        .collect();
    let mut steps = Vec::new();
    let mut add = |kind, of: &str| {
        let of = of.to_owned();
        steps.push(CureStep { kind, of });
    };
    for guarantee in guarantees(invariant, !views.is_empty()) {
        if is_taken(dials.guarantees, guarantee) {
            add(CureKind::PutGuaranteeBack, guarantee);
        }
    }
    if invariant == Invariant::NoGap && !dials.live.lost_frames().is_never() {
        for dial in [
            "live.lose_frame_next",
            "live.lose_frame_every",
            "live.lose_frame_percent",
        ] {
            add(CureKind::RestDial, dial);
        }
    }
    for &view in &views {
        let poison = dials
            .projections
            .get(view)
            .and_then(|dials| dials.poison_type.as_ref());
        if poison.is_some() {
            add(CureKind::RestDial, &format!("projections.{view}.poison_type"));
        }
    }
    for &view in &views {
        add(CureKind::Rebuild, view);
    }
    if breaks().any(|found| !found.is_of_document()) {
        add(CureKind::Acknowledge, invariant.as_str());
    }
    steps
}

/// The guarantees without which an invariant breaks, by the names of their dials.
fn guarantees(invariant: Invariant, has_wrong_documents: bool) -> Vec<&'static str> {
    const CONCURRENCY: &str = "guarantees.optimistic_concurrency";
    const PUBLICATION: &str = "guarantees.publish_after_commit";
    const OF_VIEWS: [&str; 3] = [
        "guarantees.duplicate_detection",
        "guarantees.gap_detection",
        PUBLICATION,
    ];
    let mut dials = match invariant {
        Invariant::StockNotNegative | Invariant::ReservedPlusAvailable | Invariant::ChargedOnce => {
            vec![CONCURRENCY]
        }
        Invariant::MailedOnce => vec!["guarantees.no_effects_on_replay"],
        Invariant::NothingLost => vec![PUBLICATION],
        Invariant::OneKeyOneEffect => vec!["guarantees.idempotency_keys"],
        Invariant::ViewEqualsFold | Invariant::NoGap => Vec::new(),
    };
    if has_wrong_documents {
        dials.extend(OF_VIEWS);
    }
    dials
}

fn is_taken(guarantees: Guarantees, dial: &str) -> bool {
    let is_held = match dial {
        "guarantees.optimistic_concurrency" => guarantees.optimistic_concurrency,
        "guarantees.duplicate_detection" => guarantees.duplicate_detection,
        "guarantees.gap_detection" => guarantees.gap_detection,
        "guarantees.idempotency_keys" => guarantees.idempotency_keys,
        "guarantees.no_effects_on_replay" => guarantees.no_effects_on_replay,
        "guarantees.publish_after_commit" => guarantees.publish_after_commit,
        _ => true,
    };
    !is_held
}
