//! The lab's own operations: projections are paused, resumed and made to crash, and the workspace's clock is put forward.

use axum::{
    Json,
    extract::{Path, State},
};
use domain::wire::{LabClock, MoveClock, Problem, ProjectionStatus};

use super::vocabulary::ViewName;
use lab::{Forward, Intervention, LabError};

use crate::{
    SharedGateway,
    auth::Caller,
    json_body::JsonBody,
    params::Params,
    problem::{ApiProblem, Kind},
};

/// Pause a projection
///
/// Holds its lanes in this workspace. Answers go on saying how far they are behind; `after` and `settled` say that they wait
/// for a projection that is paused. Kept in memory: a server that starts again runs every lane. Pausing again changes
/// nothing.
#[utoipa::path(post, path = "/lab/projections/{name}/pause", tag = "lab",
    params(("name" = ViewName, Path, description = "The view, as in `orders`")),
    responses(
        (status = 200, description = "It is paused; how it stands", body = ProjectionStatus),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such projection", body = Problem),
        (status = 409, description = "It is being rebuilt", body = Problem),
    ))]
pub(super) async fn pause(
    state: State<SharedGateway>,
    caller: Caller,
    name: Path<String>,
    params: Params,
) -> Result<Json<ProjectionStatus>, ApiProblem> {
    intervene(state, caller, name, params, Intervention::Pause).await
}

/// Resume a projection
///
/// Its lanes go on where they were held, and catch up. Resuming what is not paused changes nothing.
#[utoipa::path(post, path = "/lab/projections/{name}/resume", tag = "lab",
    params(("name" = ViewName, Path, description = "The view, as in `orders`")),
    responses(
        (status = 200, description = "It is not paused; how it stands", body = ProjectionStatus),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such projection", body = Problem),
    ))]
pub(super) async fn resume(
    state: State<SharedGateway>,
    caller: Caller,
    name: Path<String>,
    params: Params,
) -> Result<Json<ProjectionStatus>, ApiProblem> {
    intervene(state, caller, name, params, Intervention::Resume).await
}

/// Crash a projection
///
/// Every lane of it in this workspace panics, for real. The supervisor starts it again at its checkpoint, so nothing is lost
/// and nothing is done twice; `panics` counts them.
#[utoipa::path(post, path = "/lab/projections/{name}/crash", tag = "lab",
    params(("name" = ViewName, Path, description = "The view, as in `orders`")),
    responses(
        (status = 200, description = "It has crashed; how it stands", body = ProjectionStatus),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such projection", body = Problem),
    ))]
pub(super) async fn crash(
    state: State<SharedGateway>,
    caller: Caller,
    name: Path<String>,
    params: Params,
) -> Result<Json<ProjectionStatus>, ApiProblem> {
    intervene(state, caller, name, params, Intervention::Crash).await
}

async fn intervene(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(name): Path<String>,
    params: Params,
    intervention: Intervention,
) -> Result<Json<ProjectionStatus>, ApiProblem> {
    params.finish()?;
    caller.must_bend_lab()?;
    let status = gateway
        .lab
        .intervene(caller.workspace(), &name, intervention)
        .await?;
    Ok(Json(status))
}

/// What time is it in the workspace?
///
/// Timers run by this clock. Events keep the time of the server's.
#[utoipa::path(get, path = "/lab/clock", tag = "lab", responses(
    (status = 200, description = "The workspace's clock", body = LabClock),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not a student or educator", body = Problem),
))]
pub(super) async fn clock(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    params: Params,
) -> Result<Json<LabClock>, ApiProblem> {
    params.finish()?;
    caller.must_read_lab()?;
    Ok(Json(gateway.lab.clock(caller.workspace()).await?))
}

/// Put the workspace's clock forward
///
/// By `advance_ms`, or to `set`. Timers that are due by then run out at once. It goes forward only, and stays so after a
/// restart. `set` can be repeated; `advance_ms` advances again.
#[utoipa::path(post, path = "/lab/clock", tag = "lab", request_body = MoveClock, responses(
    (status = 200, description = "The workspace's clock, put forward", body = LabClock),
    (status = 400, description = "A field is not valid", body = Problem),
    (status = 403, description = "Not an educator", body = Problem),
    (status = 422, description = "It would go back, or too far", body = Problem),
))]
pub(super) async fn move_clock(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    JsonBody(wanted): JsonBody<MoveClock>,
) -> Result<Json<LabClock>, ApiProblem> {
    caller.must_bend_lab()?;
    let forward = match (wanted.advance_ms, wanted.set) {
        (Some(by_ms), None) => Forward::By(by_ms),
        (None, Some(to)) => Forward::To(to),
        (None, None) => return Err(ApiProblem::field("advance_ms", "say how far, or give set")),
        (Some(_), Some(_)) => return Err(ApiProblem::field("set", "goes without advance_ms")),
    };
    Ok(Json(gateway.lab.move_clock(caller.workspace(), forward).await?))
}

impl From<LabError> for ApiProblem {
    fn from(error: LabError) -> Self {
        let rule = match error {
            LabError::Projection(error) => return error.into(),
            LabError::Clock(error) => return error.into(),
            LabError::Backwards { .. } => "clock-goes-forward",
            LabError::TooFar => "clock-within-a-century",
        };
        Self::new(Kind::Rejected, error.to_string()).with(|problem| problem.rule = Some(rule.to_owned()))
    }
}
