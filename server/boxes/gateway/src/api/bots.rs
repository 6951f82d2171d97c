//! Bots of a class: simulated shoppers, which an educator begins and ends.

use axum::{Json, extract::State};
use domain::wire::{BotsAnswer, Problem, SetBots};
use teaching::bots::BotsError;

use crate::{
    SharedGateway,
    auth::Caller,
    json_body::JsonBody,
    limits::{COST_OF_INTERVENING, charge_workspace},
    params::{NoParams, QueryParams},
    problem::{ApiProblem, Kind},
};

/// What have the bots done?
///
/// The simulated shoppers of your workspace: how many have joined, and how many of their orders were accepted
/// and refused since they were begun.
#[utoipa::path(get, path = "/lab/bots", tag = "class", responses(
    (status = 200, description = "The bots; `running` says whether there are any now", body = BotsAnswer),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not an educator", body = Problem),
))]
pub(super) async fn read(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<BotsAnswer>, ApiProblem> {
    caller.require_lab_control()?;
    Ok(Json(gateway.bots.of(caller.workspace()).await?))
}

/// Begin bots
///
/// 1 to 100 simulated shoppers, in place of those that are there: each joins by the join code under a made-up
/// name, looks at the products and orders, with a token of its own, and sometimes with a method of payment
/// that fails. They take places of the sandbox, and what they do counts towards its quotas. They end by
/// `DELETE`, when no educator was there for half an hour, with the workspace, and with the server at which
/// they were begun. Another server takes them over when they are begun there.
#[utoipa::path(put, path = "/lab/bots", tag = "class", request_body = SetBots, responses(
    (status = 200, description = "They have begun, and join from now on", body = BotsAnswer),
    (status = 400, description = "A field is not valid", body = Problem),
    (status = 403, description = "Not an educator", body = Problem),
    (status = 429, description = "Too many requests, or too many workspaces have bots", body = Problem),
))]
pub(super) async fn begin(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
    JsonBody(wanted): JsonBody<SetBots>,
) -> Result<Json<BotsAnswer>, ApiProblem> {
    caller.require_lab_control()?;
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let workspace = gateway
        .workspaces
        .find(caller.workspace())
        .await?
        .ok_or_else(ApiProblem::workspace_gone)?;
    Ok(Json(gateway.bots.begin(
        workspace.id,
        workspace.join_code,
        wanted,
    )?))
}

/// End the bots
///
/// They order no more. They stay in the workspace, and are the same when bots are begun again. Without bots
/// nothing changes.
#[utoipa::path(delete, path = "/lab/bots", tag = "class", responses(
    (status = 200, description = "They have ended; what they have done", body = BotsAnswer),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not an educator", body = Problem),
))]
pub(super) async fn end(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<BotsAnswer>, ApiProblem> {
    caller.require_lab_control()?;
    Ok(Json(gateway.bots.stop(caller.workspace()).await?))
}

impl From<BotsError> for ApiProblem {
    fn from(error: BotsError) -> Self {
        let detail = error.to_string();
        match error {
            BotsError::Invalid(rejection) => {
                Self::new(Kind::Malformed, detail).with(|problem| problem.violations = rejection.violations)
            }
            BotsError::TooMany => Self::new(Kind::QuotaExceeded, detail),
            BotsError::Documents(error) => error.into(),
        }
    }
}
