//! The hops of requests: what a client sends to the gateway, and what it gets back.
//!
//! A request's span is open before its caller is known, so the handler notes on it what the request was.

use domain::{
    id::{MAX_STREAM_NAME, WorkspaceId},
    view,
    wire::{
        CommandAnswer, CommandRequest,
        hops::{Arrow, HopOutcome},
    },
};
use telemetry::{
    hop_span,
    hops::{self, HopEvent, HopSpan as _},
};
use tracing::{Level, Span};

use super::problem::ApiProblem;

/// The current request was a command, and this came of it.
pub(super) fn note_command(
    workspace: WorkspaceId,
    request: &CommandRequest,
    answered: Result<&CommandAnswer, &ApiProblem>,
) {
    if !hops::is_watched(workspace) {
        return;
    }
    let span = Span::current();
    span.event(&HopEvent {
        event_type: name(&request.command_type),
        stream: name(&request.stream),
        correlation_id: request.correlation_id,
        ..HopEvent::default()
    });
    match answered {
        Ok(answer) => {
            let first = answer.events.first();
            span.event(&HopEvent {
                event_id: first.map(|event| event.event_id),
                event_type: first.map(|event| event.event_type.as_str()),
                stream: Some(&answer.stream),
                partition: first.map(|event| event.partition),
                position: first.map(|event| event.position),
                correlation_id: Some(answer.correlation_id),
            });
        }
        Err(_) => {
            span.outcome(HopOutcome::Refused);
        }
    }
    span.hop(workspace, Arrow::HttpsJwtCommandRequest);
}

/// A text of a client that may be a name; a longer one is none.
fn name(text: &str) -> Option<&str> {
    (text.len() <= MAX_STREAM_NAME).then_some(text)
}

/// The current request was a query of a view. Returns the span of its answer, which lasts until it is handed
/// over.
pub(super) fn note_query<A, E>(workspace: WorkspaceId, view: &str, answered: &Result<A, E>) -> Span {
    if !hops::is_watched(workspace) {
        return Span::none();
    }
    // One that was answered is a view of the program, or of the workspace's own.
    let lane = Some(view).filter(|view| answered.is_ok() || view::find(view).is_some());
    let request = Span::current();
    let answer = if answered.is_ok() {
        hop_span!(Level::DEBUG, "API Gateway")
    } else {
        request.outcome(HopOutcome::Refused);
        Span::none()
    };
    if let Some(lane) = lane {
        request.lane(lane);
        answer.lane(lane);
    }
    request.hop(workspace, Arrow::HttpsReadRequest);
    answer.hop(workspace, Arrow::JsonResponse200);
    answer
}

/// The current request is for a page, which shows a view.
pub(super) fn note_page(workspace: WorkspaceId, view: &str) {
    if hops::is_watched(workspace)
        && let Some(view) = view::find(view)
    {
        Span::current()
            .lane(view.name())
            .hop(workspace, Arrow::HttpsReadRequest);
    }
}

/// The span of a read of the log, or of one stream, as it is stored; it lasts as long as the read.
pub(super) fn replay(workspace: WorkspaceId, stream: Option<&str>) -> Span {
    if !hops::is_watched(workspace) {
        return Span::none();
    }
    let span = hop_span!(Level::DEBUG, "Monitoring / Replay Tool");
    span.event(&HopEvent {
        stream,
        ..HopEvent::default()
    });
    span.hop(workspace, Arrow::ReplayStream);
    span
}
