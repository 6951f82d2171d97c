//! Settled: waits until everything is done, for tests and demonstrations.

use axum::{Json, extract::State};
use domain::{
    token::ConsistencyToken,
    wire::{Problem, SettledAnswer},
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::views::{TimeoutMs, timeout};
use query::settled::SettleRequest;

use crate::{SharedGateway, auth::Caller, params::QueryParams, problem::ApiProblem};

/// What must be done, and how long to wait for it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SettledParams {
    /// Only events with this correlation id
    correlation: Option<Uuid>,
    /// A consistency token: only events up to it
    #[param(value_type = Option<String>)]
    after: Option<ConsistencyToken>,
    /// How long to wait, up to 60000; 5000 where absent
    #[param(inline)]
    timeout_ms: Option<TimeoutMs>,
}

/// Wait until all is done
///
/// All events with a correlation id; or all events up to a consistency token; or, with neither, all events of
/// the workspace. An event is done when every view has folded it and no dead letter holds it back. Once
/// nothing but dead letters is left, the answer does not wait for the timeout: only a person can settle them.
#[utoipa::path(get, path = "/settled", tag = "operations",
    params(SettledParams),
    responses(
        (status = 200, description = "All is done", body = SettledAnswer),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 503, description = "The server stops; Retry-After says when to ask again", body = Problem),
        (status = 504, body = Problem,
            description = "Not in time, or held back by dead letters: `waiting_for`"),
    ))]
pub(super) async fn settled(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<SettledParams>,
) -> Result<Json<SettledAnswer>, ApiProblem> {
    let settle = SettleRequest {
        correlation: params.correlation,
        after: params.after,
        timeout: timeout(params.timeout_ms),
    };
    let settlement = &gateway.settlement;
    Ok(Json(settlement.settled(caller.workspace(), &settle).await?))
}
