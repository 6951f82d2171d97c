//! The lab's own operations: they pause, resume and crash the lanes of event handlers, and put the clock of
//! the workspace forward. A pause is a dial ([`super::dials`]).

use axum::{
    Json,
    extract::{Path, State},
};
use domain::wire::{LabClock, MoveClock, Problem, ProjectionStatus};

use super::{
    dials::bender,
    vocabulary::{BendableHandlerName, HandlerName},
};
use lab::{ClockMove, Intervention, LabError};
use telemetry::security::{SecurityEvent, SecurityRecord};

use crate::{
    SharedGateway,
    auth::Caller,
    json_body::JsonBody,
    limits::{COST_OF_INTERVENING, charge_workspace},
    params::{NoParams, QueryParams},
    problem::{ApiProblem, Kind},
};

/// Pause an event handler
///
/// Holds the lanes of a view, a process manager or a consumer in this workspace. Answers still say how far
/// views are behind; `after` and `settled` say that they wait for a paused handler. A paused process manager
/// sends no command, and no timer of it expires. It is the dial `projections.<name>.paused`: it is stored,
/// and holds at every server and after a restart. Pausing a paused handler changes nothing. The erasure of
/// people is not paused.
#[utoipa::path(post, path = "/lab/projections/{name}/pause", tag = "lab",
    params(("name" = BendableHandlerName, Path, description = "The handler, as in `orders`")),
    responses(
        (status = 200, description = "It is paused; its status", body = ProjectionStatus),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such event handler", body = Problem),
        (status = 409, description = "It is being rebuilt", body = Problem),
        (status = 422, description = "It is the erasure, which has no dials", body = Problem),
    ))]
pub(super) async fn pause(
    state: State<SharedGateway>,
    caller: Caller,
    name: Path<String>,
    _: QueryParams<NoParams>,
) -> Result<Json<ProjectionStatus>, ApiProblem> {
    intervene(state, caller, name, Intervention::Pause).await
}

/// Resume an event handler
///
/// Its lanes go on where they were held, and catch up; a process manager sends what has waited, and timers
/// that are due by then expire in their order. Resuming one that is not paused changes nothing.
#[utoipa::path(post, path = "/lab/projections/{name}/resume", tag = "lab",
    params(("name" = BendableHandlerName, Path, description = "The handler, as in `orders`")),
    responses(
        (status = 200, description = "It is not paused; its status", body = ProjectionStatus),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such event handler", body = Problem),
        (status = 422, description = "It is the erasure, which has no dials", body = Problem),
    ))]
pub(super) async fn resume(
    state: State<SharedGateway>,
    caller: Caller,
    name: Path<String>,
    _: QueryParams<NoParams>,
) -> Result<Json<ProjectionStatus>, ApiProblem> {
    intervene(state, caller, name, Intervention::Resume).await
}

/// Crash an event handler
///
/// Every lane of the view, process manager or consumer in this workspace panics, for real. The supervisor
/// starts it again at its checkpoint, so no event is lost and none has its effect twice; `panics` counts the
/// panics.
#[utoipa::path(post, path = "/lab/projections/{name}/crash", tag = "lab",
    params(("name" = HandlerName, Path, description = "The handler, as in `orders`")),
    responses(
        (status = 200, description = "It has crashed; its status", body = ProjectionStatus),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such event handler", body = Problem),
    ))]
pub(super) async fn crash(
    state: State<SharedGateway>,
    caller: Caller,
    name: Path<String>,
    _: QueryParams<NoParams>,
) -> Result<Json<ProjectionStatus>, ApiProblem> {
    intervene(state, caller, name, Intervention::Crash).await
}

async fn intervene(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(name): Path<String>,
    intervention: Intervention,
) -> Result<Json<ProjectionStatus>, ApiProblem> {
    caller.require_lab_control()?;
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let by = bender(&gateway, &caller).await?;
    let status = gateway
        .lab
        .intervene(caller.workspace(), &by, &name, intervention)
        .await?;
    SecurityRecord::new(SecurityEvent::PipelineChanged)
        .because(match intervention {
            Intervention::Pause => "paused",
            Intervention::Resume => "resumed",
            Intervention::Crash => "crashed",
        })
        .about(&name)
        .write();
    Ok(Json(status))
}

/// What time is it in the workspace?
///
/// Events and timers of the workspace go by this clock. Sessions, limits and purges go by the server's.
#[utoipa::path(get, path = "/lab/clock", tag = "lab", responses(
    (status = 200, description = "The workspace's clock", body = LabClock),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not a student or educator", body = Problem),
))]
pub(super) async fn clock(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<LabClock>, ApiProblem> {
    caller.require_lab_reader()?;
    Ok(Json(gateway.lab.clock(caller.workspace()).await?))
}

/// Put the workspace's clock forward
///
/// By `advance_ms`, or to `set`. Timers that are due by then fire first, in the order in which they are due:
/// no later answer overtakes a deadline. Events that follow have the new time. The clock goes forward only,
/// and keeps its time after a restart; one that stands (the dial `clock.frozen`) is stepped. A repeated `set`
/// changes nothing; a repeated `advance_ms` advances the clock again.
#[utoipa::path(post, path = "/lab/clock", tag = "lab", request_body = MoveClock, responses(
    (status = 200, description = "The workspace's clock, put forward", body = LabClock),
    (status = 400, description = "A field is not valid", body = Problem),
    (status = 403, description = "Not an educator", body = Problem),
    (status = 422, description = "The clock would go back, or too far forward", body = Problem),
))]
pub(super) async fn move_clock(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    JsonBody(wanted): JsonBody<MoveClock>,
) -> Result<Json<LabClock>, ApiProblem> {
    caller.require_lab_control()?;
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let forward = match (wanted.advance_ms, wanted.set) {
        (Some(by_ms), None) => ClockMove::By(by_ms),
        (None, Some(to)) => ClockMove::To(to),
        (None, None) => return Err(ApiProblem::field("advance_ms", "is missing; send it or `set`")),
        (Some(_), Some(_)) => return Err(ApiProblem::field("set", "cannot be combined with `advance_ms`")),
    };
    let moved = gateway.lab.move_clock(caller.workspace(), forward).await?;
    SecurityRecord::new(SecurityEvent::PipelineChanged)
        .because("clock_moved")
        .write();
    Ok(Json(moved))
}

impl From<LabError> for ApiProblem {
    fn from(error: LabError) -> Self {
        let rule = match error {
            LabError::UnknownHandler(name) => return Self::not_found(format_args!("event handler {name}")),
            LabError::Projection(error) => return error.into(),
            LabError::Dials(error) => return error.into(),
            LabError::Clock(error) => return error.into(),
            LabError::Backwards { .. } => "clock-goes-forward",
            LabError::TooFar => "clock-within-a-century",
            LabError::Unbendable(_) => "erasure-is-not-bent",
        };
        Self::new(Kind::Rejected, error.to_string()).with(|problem| problem.rule = Some(rule.to_owned()))
    }
}
