//! The hops of a command, and what came of it: to the aggregate, to the event store, and back.

use std::time::{Duration, Instant};

use domain::{
    id::{StreamName, WorkspaceId},
    wire::{
        CommandAnswer,
        hops::{Arrow, HopOutcome},
    },
};
use event_store::{AppendAnswer, AppendError, Expected, StreamAppend};
use telemetry::{
    hop_span,
    hops::{self, HopEvent, HopSpan as _},
};
use tracing::{Level, Span};
use uuid::Uuid;

use super::{aggregate_loader::Freshness, failure::CommandFailure, intent::Intent};

/// The validation of a command by its aggregate. What came of it is known once its events are stored; until
/// then its span is kept, if the workspace is watched.
#[derive(Debug)]
pub(super) struct Validation {
    span: Span,
    /// Absent if the workspace is not watched.
    begun: Option<Instant>,
    took: Duration,
}

impl Validation {
    /// Begins it on a state of this version.
    pub(super) fn begin(intent: &Intent, version: u64) -> Self {
        let span = hop_span!(Level::INFO, "Aggregate / Domain Logic", version = version);
        let is_watched = hops::is_watched(intent.workspace);
        if is_watched {
            span.event(&of_intent(intent));
        }
        Self {
            span,
            begun: is_watched.then(Instant::now),
            took: Duration::ZERO,
        }
    }

    /// The span under which the aggregate decides.
    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    /// The aggregate has decided.
    pub(super) fn decided(&mut self) {
        match self.begun {
            Some(begun) => self.took = begun.elapsed(),
            None => self.span = Span::none(),
        }
    }

    /// The aggregate has refused. What it refuses in a cached state is decided again in the stored one.
    pub(super) fn refused(self, intent: &Intent, freshness: Freshness) {
        let outcome = match freshness {
            Freshness::Cached => HopOutcome::Retried,
            Freshness::Read => HopOutcome::Refused,
        };
        self.span
            .outcome(outcome)
            .hop(intent.workspace, Arrow::ValidateCommand);
    }

    /// Its events are stored, and this is the first of them; or nothing is stored.
    fn stored(self, intent: &Intent, first: Option<&HopEvent<'_>>) {
        if let Some(first) = first {
            self.span.event(first);
        }
        self.span
            .took(self.took)
            .hop(intent.workspace, Arrow::ValidateCommand);
    }
}

/// The append of a command's events to the event store: a span for each, if the workspace is watched.
#[derive(Debug)]
pub(super) struct AppendSpans(Vec<Span>);

impl AppendSpans {
    /// Begins the append of these events.
    pub(super) fn begin(intent: &Intent, streams: &[StreamAppend]) -> Self {
        if !hops::is_watched(intent.workspace) {
            return Self(Vec::new());
        }
        let events = streams
            .iter()
            .flat_map(|stream| stream.events.iter().map(move |event| (&stream.stream, event)));
        let spans = events.map(|(stream, event)| {
            let span = hop_span!(Level::INFO, "Event Store");
            span.event(&HopEvent {
                event_type: Some(&event.event_type),
                stream: Some(stream.as_str()),
                correlation_id: Some(intent.correlation_id),
                ..HopEvent::default()
            });
            span
        });
        Self(spans.collect())
    }

    /// The span under which the append is made.
    pub(super) fn first(&self) -> Option<Span> {
        self.0.first().cloned()
    }

    /// Ends it, and with it the validation whose events these are. `is_ours`: the answer is to this append,
    /// and not to an earlier one of the same command.
    pub(super) fn end(
        self,
        intent: &Intent,
        validation: Validation,
        appended: &Result<AppendAnswer, AppendError>,
        is_ours: bool,
    ) {
        let answer = match appended {
            Ok(answer) => answer,
            Err(error) => {
                validation.stored(intent, None);
                let outcome = refusal(intent, error);
                for span in self.0 {
                    span.outcome(outcome).hop(intent.workspace, Arrow::AppendEvents);
                }
                return;
            }
        };
        let mut events = hop_events(answer);
        validation.stored(intent, events.clone().next().as_ref());
        for span in self.0 {
            if let Some(event) = events.next() {
                span.event(&event);
            }
            if !is_ours {
                span.outcome(HopOutcome::Duplicate);
            }
            span.hop(intent.workspace, Arrow::AppendEvents);
        }
    }
}

/// The hop of a command to the command service, which is described before the intent is carried out.
#[derive(Debug)]
pub(super) struct CommandHop {
    arrow: Arrow,
    workspace: WorkspaceId,
    command_type: &'static str,
    stream: StreamName,
    correlation_id: Uuid,
}

impl CommandHop {
    /// The hop of an intent over an arrow, if its workspace is watched.
    pub(super) fn of(arrow: Arrow, intent: &Intent) -> Option<Self> {
        hops::is_watched(intent.workspace).then(|| Self {
            arrow,
            workspace: intent.workspace,
            command_type: intent.command_type,
            stream: intent.stream.clone(),
            correlation_id: intent.correlation_id,
        })
    }

    /// Notes on the command's span what came of it.
    pub(super) fn answered(&self, span: &Span, answer: Result<&CommandAnswer, &CommandFailure>) {
        span.event(&HopEvent {
            event_type: Some(self.command_type),
            stream: Some(self.stream.as_str()),
            correlation_id: Some(self.correlation_id),
            ..HopEvent::default()
        });
        match answer {
            Ok(answer) => {
                if let Some(first) = answer.events.first() {
                    span.event(&HopEvent {
                        event_id: Some(first.event_id),
                        event_type: Some(&first.event_type),
                        partition: Some(first.partition),
                        position: Some(first.position),
                        correlation_id: Some(answer.correlation_id),
                        ..HopEvent::default()
                    });
                }
            }
            Err(_) => {
                span.outcome(HopOutcome::Refused);
            }
        }
        span.hop(self.workspace, self.arrow);
    }
}

/// What is known of the event of a command before it is decided.
fn of_intent(intent: &Intent) -> HopEvent<'_> {
    HopEvent {
        event_type: Some(intent.command_type),
        stream: Some(intent.stream.as_str()),
        correlation_id: Some(intent.correlation_id),
        ..HopEvent::default()
    }
}

/// The events of an answer, in the order of the append.
fn hop_events(answer: &AppendAnswer) -> impl Iterator<Item = HopEvent<'_>> + Clone {
    answer.streams.iter().flat_map(move |stream| {
        stream.events.iter().map(move |event| HopEvent {
            event_id: Some(event.event_id),
            event_type: Some(&event.event_type),
            stream: Some(stream.stream.as_str()),
            partition: Some(event.partition),
            position: Some(event.position),
            correlation_id: Some(answer.correlation_id),
        })
    })
}

/// The outcome of an append that stored nothing: after another append the command is decided again, unless
/// its caller has named the version.
fn refusal(intent: &Intent, error: &AppendError) -> HopOutcome {
    match error {
        AppendError::Conflict { stream, .. }
            if *stream != intent.stream
                || !matches!(intent.expected, Expected::Exact(_) | Expected::NoStream) =>
        {
            HopOutcome::Retried
        }
        _ => HopOutcome::Refused,
    }
}
