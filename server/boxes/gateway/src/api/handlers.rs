//! What handles the events of a workspace: where each view, process manager and consumer is, and whether it
//! has handled an event.

use axum::{Json, extract::State};
use domain::{
    token::ConsistencyToken,
    wire::{HandledAnswer, HandlersAnswer, Problem},
};
use monitor::inspection::{EventName, HandledError};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    SharedGateway,
    auth::Caller,
    params::{NoParams, QueryParams},
    problem::ApiProblem,
};

/// The largest position that every database can store.
const MAX_POSITION: u64 = i64::MAX as u64;

/// The event that a text names; `None`: the text is neither an id nor a place.
fn parse_event(text: &str) -> Option<EventName> {
    if let Ok(id) = text.parse() {
        return Some(EventName::Id(id));
    }
    let token: ConsistencyToken = text.parse().ok()?;
    let mut places = token.iter();
    let (partition, position) = places.next()?;
    let is_one = places.next().is_none() && (1..=MAX_POSITION).contains(&position);
    is_one.then_some(EventName::Place(partition, position))
}

/// Of which event.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct HandledParams {
    /// Its id, or its partition and position as in `0:127`
    #[param(required = true)]
    event: Option<String>,
}

/// List event handlers
///
/// The views, process managers and consumers of the workspace, each with its position, how many events and
/// for how long it is behind the head of the log, the events that it could not handle, its lanes that are
/// retried, what dials do to it, and the progress of a rebuild.
#[utoipa::path(get, path = "/lab/handlers", tag = "operations",
    responses(
        (status = 200, description = "Every event handler, and the head of the log", body = HandlersAnswer),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<HandlersAnswer>, ApiProblem> {
    handlers(&gateway, &caller).await.map(Json)
}

/// Every event handler, with the rights of the caller.
pub(crate) async fn handlers(gateway: &SharedGateway, caller: &Caller) -> Result<HandlersAnswer, ApiProblem> {
    caller.require_lab_reader()?;
    // The statuses first: a head that is read before them could be behind what they have handled.
    let data = gateway.inspection.handlers(caller.workspace()).await?;
    Ok(HandlersAnswer {
        head: gateway.queries.head(caller.workspace()),
        data,
    })
}

/// Has it handled this event?
///
/// What each view, process manager and consumer has done with an event: handled, not reached yet, parked as a
/// dead letter or behind one, or discarded. A handler whose checkpoint has passed the event counts as one
/// that has handled it, also where it has jumped over it because the detection of gaps is taken away.
#[utoipa::path(get, path = "/lab/handled", tag = "operations",
    params(HandledParams),
    responses(
        (status = 200, description = "The event, and every event handler", body = HandledAnswer),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
        (status = 404, description = "No such event in your workspace", body = Problem),
    ))]
pub(super) async fn handled(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<HandledParams>,
) -> Result<Json<HandledAnswer>, ApiProblem> {
    let event = params.event.as_deref().unwrap_or_default();
    handled_event(&gateway, &caller, event).await.map(Json)
}

/// What every handler has done with an event, with the rights of the caller.
pub(crate) async fn handled_event(
    gateway: &SharedGateway,
    caller: &Caller,
    event: &str,
) -> Result<HandledAnswer, ApiProblem> {
    let name = parse_event(event.trim()).ok_or_else(|| {
        ApiProblem::field(
            "event",
            "is the id of an event, or its partition and position as in 0:127",
        )
    })?;
    caller.require_lab_reader()?;
    let handled = gateway.inspection.handled(caller.workspace(), name).await?;
    handled.ok_or_else(|| ApiProblem::not_found("event of this name in your workspace"))
}

impl From<HandledError> for ApiProblem {
    fn from(error: HandledError) -> Self {
        match error {
            HandledError::Events(error) => error.into(),
            HandledError::Documents(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_event_is_named_by_its_id_or_by_one_place() {
        let id = Uuid::from_u128(7);
        assert_eq!(parse_event(&id.to_string()), Some(EventName::Id(id)));
        assert_eq!(parse_event("3:128"), Some(EventName::Place(3, 128)));
        for text in [
            "",
            "0:0",
            "0:1,1:1",
            "0:9223372036854775808",
            "order-1",
            "-1:1",
            ":",
        ] {
            assert_eq!(parse_event(text), None, "{text}");
        }
    }
}
