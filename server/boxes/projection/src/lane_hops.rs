//! The spans of the events on a lane, below the commands that caused them, and their hops: from the message
//! broker or the event store to the handler, and from there to what it writes.

use std::{sync::Arc, time::Duration};

use domain::wire::hops::{Arrow, HopOutcome};
use telemetry::{
    hop_span,
    hops::{self, HopEvent, HopSpan as _},
};
use tracing::{Level, Span};

use super::{fold_result::FoldResult, handler::EventHandler, lane_error::LaneError};
use broker::{PartitionId, PublishedEvent};
use documents::{DocumentStoreError, LaneId, ParkedEvent, ParkedState};

/// The spans of events that are handled together. A handler with several arrows has as many spans for an
/// event.
#[derive(Debug)]
pub(super) struct EventSpans<'a> {
    partition: PartitionId,
    spans: Vec<EventSpan<'a>>,
}

#[derive(Debug)]
struct EventSpan<'a> {
    event: &'a PublishedEvent,
    /// The arrow that the event crosses; none if the handler is not drawn.
    arrow: Option<Arrow>,
    span: Span,
}

impl<'a> EventSpans<'a> {
    /// No spans.
    pub(super) fn none(partition: PartitionId) -> Self {
        Self {
            partition,
            spans: Vec::new(),
        }
    }

    /// The spans of a delivery: where a trace is exported, of each event that has one; where the workspace is
    /// watched, of all.
    pub(super) fn of_delivery(
        handler: &dyn EventHandler,
        partition: PartitionId,
        events: &'a [Arc<PublishedEvent>],
    ) -> Self {
        let arrows = handler.arrows().delivery;
        let is_watched = !arrows.is_empty() && hops::is_watched(partition.workspace);
        // One span for each event, below the command that caused it: that is the trace in which an educator
        // looks for it.
        let spans = telemetry::spans_of(events, is_watched, |_| {
            hop_span!(
                parent: None,
                Level::DEBUG,
                "Projection Worker",
                projection.view = handler.name(),
                partition = %partition
            )
        });
        let mut all = Self::none(partition);
        for (event, span) in spans {
            all.push(handler, event, span, arrows);
        }
        all
    }

    /// The spans of writing the effects of events; none unless the workspace is watched.
    pub(super) fn of_write(
        handler: &dyn EventHandler,
        partition: PartitionId,
        events: &'a [Arc<PublishedEvent>],
    ) -> Self {
        let arrows = handler.arrows().write;
        let mut all = Self::none(partition);
        if arrows.is_empty() || !hops::is_watched(partition.workspace) {
            return all;
        }
        for event in events {
            let span = if handler.documents().is_some() {
                hop_span!(Level::DEBUG, "Read Model Database")
            } else {
                hop_span!(Level::DEBUG, "Sink")
            };
            all.push(handler, event, span, arrows);
        }
        all
    }

    /// Adds the spans of an event: its own, and one below it for each further arrow.
    fn push(
        &mut self,
        handler: &dyn EventHandler,
        event: &'a PublishedEvent,
        span: Span,
        arrows: &'static [Arrow],
    ) {
        let mut spans = Vec::new();
        if arrows.len() > 1 && hops::is_watched(self.partition.workspace) {
            for arrow in &arrows[1..] {
                let below = hop_span!(parent: &span, Level::DEBUG, "Consumer");
                spans.push((Some(*arrow), below));
            }
        }
        spans.insert(0, (arrows.first().copied(), span));
        for (arrow, span) in spans {
            span.event(&event.hop_event(self.partition.partition))
                .lane(&handler.name_in(self.partition.workspace));
            self.spans.push(EventSpan { event, arrow, span });
        }
    }

    /// The span of the first event, under which the work on all of them is done; of no events, none.
    pub(super) fn first(&self) -> Option<Span> {
        self.spans.first().map(|first| first.span.clone())
    }

    /// Ends them, each with the outcome of its event; `None`: the event has not crossed the arrow.
    pub(super) fn end(mut self, outcome: impl Fn(&PublishedEvent) -> Option<HopOutcome>) {
        self.end_each(outcome);
    }

    fn end_each(&mut self, outcome: impl Fn(&PublishedEvent) -> Option<HopOutcome>) {
        for EventSpan { event, arrow, span } in self.spans.drain(..) {
            if let Some(outcome) = outcome(event) {
                span.outcome(outcome);
                if let Some(arrow) = arrow {
                    span.hop(self.partition.workspace, arrow);
                }
            }
        }
    }
}

/// A lane that panics or is stopped says nothing of its events; they come again.
impl Drop for EventSpans<'_> {
    fn drop(&mut self) {
        self.end_each(|_| Some(HopOutcome::Retried));
    }
}

/// Makes the hops of events that were read from the event store for a handler, in this time.
pub(super) fn note_history(
    handler: &dyn EventHandler,
    partition: PartitionId,
    events: &[Arc<PublishedEvent>],
    took: Duration,
) {
    let PartitionId { workspace, partition } = partition;
    if !hops::is_watched(workspace) {
        return;
    }
    for (arrow, event) in handler
        .arrows()
        .history
        .iter()
        .flat_map(|arrow| events.iter().map(move |event| (arrow, event)))
    {
        let span = hop_span!(parent: None, Level::DEBUG, "Event Store");
        telemetry::continue_from(&span, telemetry::Traced::traceparent(&**event));
        span.event(&event.hop_event(partition))
            .lane(handler.name())
            .took(took)
            .hop(workspace, *arrow);
    }
}

/// Makes the hops of parked events that were released: those that had their effect, and those that are parked
/// again.
pub(super) fn note_release(
    handler: &dyn EventHandler,
    lane: &LaneId,
    held: &[ParkedEvent],
    folded: &FoldResult,
) {
    let workspace = lane.scope.workspace;
    if !hops::is_watched(workspace) {
        return;
    }
    for event in held {
        let parked = folded.parked.iter().find(|parked| parked.id == event.id);
        let outcome = match parked.map(|parked| &parked.state) {
            None => HopOutcome::Done,
            Some(ParkedState::Dead { .. }) => HopOutcome::Parked,
            Some(ParkedState::Waiting | ParkedState::Discarded { .. }) => continue,
        };
        for arrow in handler.arrows().write {
            let span = hop_span!(Level::DEBUG, "Projection Worker");
            span.event(&HopEvent {
                event_id: Some(event.event_id),
                event_type: Some(&event.event_type),
                stream: Some(event.stream.as_str()),
                partition: Some(lane.partition),
                position: Some(event.position),
                correlation_id: Some(event.correlation_id),
            })
            .lane(handler.name())
            .outcome(outcome)
            .hop(workspace, *arrow);
        }
    }
}

/// The outcome of an event that had no effect because of this error: it is tried again, unless another one is
/// to blame, or the lane waits.
pub(super) fn after_error(event: &PublishedEvent, error: &LaneError) -> Option<HopOutcome> {
    match error {
        LaneError::Paused | LaneError::Slow | LaneError::Gone => None,
        LaneError::Documents(error) => after_document_error(event, error),
        LaneError::FailedByDial
        | LaneError::Store(_)
        | LaneError::Effect(_)
        | LaneError::Unreadable { .. }
        | LaneError::Missing(_) => Some(HopOutcome::Retried),
    }
}

/// The same for an error of the documents.
pub(super) fn after_document_error(event: &PublishedEvent, error: &DocumentStoreError) -> Option<HopOutcome> {
    match error {
        DocumentStoreError::Fault(fault) => (fault.position == event.position).then_some(HopOutcome::Retried),
        _ => Some(HopOutcome::Retried),
    }
}

/// Whether one of the parked events is at this position.
pub(super) fn is_parked(parked: &[ParkedEvent], position: u64) -> bool {
    parked.iter().any(|event| event.position == position)
}
