//! Settled: for tests and demonstrations that want to look when everything is done, and not before.

use std::time::Duration;

use axum::{Json, extract::State};
use domain::wire::{Problem, SettledAnswer};

use super::MAX_WAIT_MS;
use query::{DEFAULT_TIMEOUT, settled::Settle};

use crate::{SharedGateway, auth::Caller, params::Params, problem::ApiProblem};

/// Wait until all is done
///
/// Everything that an intention caused; or everything up to a consistency token; or, with neither, everything in the
/// workspace. Done is: folded into every view, with nothing held back by a dead letter.
#[utoipa::path(get, path = "/settled", tag = "operations",
    params(
        ("correlation" = Option<uuid::Uuid>, Query, description = "Only what this intention caused"),
        ("after" = Option<String>, Query, description = "A consistency token: only what is stored up to it"),
        ("timeout_ms" = Option<u64>, Query, maximum = 60_000, description = "How long to wait, up to 60000; 5000 where absent"),
    ),
    responses(
        (status = 200, description = "All is done", body = SettledAnswer),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 504, description = "Not in time: `waiting_for`", body = Problem),
    ))]
pub(super) async fn settled(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<SettledAnswer>, ApiProblem> {
    let default = u64::try_from(DEFAULT_TIMEOUT.as_millis()).unwrap_or(MAX_WAIT_MS);
    let settle = Settle {
        correlation: params.parsed("correlation")?,
        after: params.parsed("after")?,
        timeout: Duration::from_millis(params.number("timeout_ms", 0..=MAX_WAIT_MS, default)?),
    };
    params.finish()?;
    let settling = &gateway.settling;
    Ok(Json(settling.settled(caller.workspace(), &settle).await?))
}
