//! The invariants of a workspace: which of them hold, what broke the others, and their cures.
//!
//! Reading them, like a subscription to them, has them checked; while a dial is bent they are in any case.

use axum::{
    Json,
    extract::{Path, State},
};
use domain::wire::{Invariant, InvariantStatus, InvariantsAnswer, Problem};
use lab::invariants::{ARMED, InvariantError};
use telemetry::security::{SecurityEvent, SecurityRecord};

use super::dials::bender;
use crate::{
    SharedGateway,
    auth::Caller,
    limits::{COST_OF_READING_ALL, charge_workspace},
    params::{NoParams, QueryParams},
    problem::{ApiProblem, Kind},
};

/// Which invariants hold?
///
/// A light for each invariant of your workspace, as of a check that begins after your request. A red one
/// names the event that broke it, the events that show it, the smallest sequence of arrows that they crossed,
/// and the steps of its cure. Stock, charges and Idempotency-Keys are checked in the log; the views are
/// folded beside, and compared, only while a dial is bent or until the harm is cured.
///
/// The checks run while you look: they end a minute after the last request. Over the live socket,
/// `{"op":"subscribe","id":9,"lab":"invariants"}` tells each change.
#[utoipa::path(get, path = "/lab/invariants", tag = "lab", responses(
    (status = 200, description = "The lights", body = InvariantsAnswer),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not a student or educator", body = Problem),
    (status = 422, description = "The log is too long to be checked", body = Problem),
    (status = 429, description = "Too many requests, or too many workspaces are watched", body = Problem),
    (status = 503, description = "It could not be checked in time", body = Problem),
))]
pub(super) async fn read(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<InvariantsAnswer>, ApiProblem> {
    caller.require_lab_reader()?;
    let lights = gateway.invariants.lights(caller.workspace()).await?;
    Ok(Json((*lights).clone()))
}

/// Cure an invariant
///
/// Does what the light offers in `cure`: puts guarantees back and dials to rest, rebuilds the views that are
/// wrong, and counts as known what the log keeps for ever. Answers with the light afterwards, which may still
/// be red if a rebuild takes long. A light that is green stays as it is.
#[utoipa::path(post, path = "/lab/invariants/{name}/cure", tag = "lab",
    params(("name" = Invariant, Path, description = "The invariant, as in `view-equals-fold`")),
    responses(
        (status = 200, description = "The light afterwards", body = InvariantStatus),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such invariant", body = Problem),
        (status = 409, description = "A projection that is to be rebuilt is paused", body = Problem),
        (status = 422, description = "The log is too long to be checked", body = Problem),
        (status = 429, description = "Too many requests, or too many workspaces are watched", body = Problem),
        (status = 503, description = "It could not be checked in time", body = Problem),
    ))]
pub(super) async fn cure(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(name): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<Json<InvariantStatus>, ApiProblem> {
    caller.require_lab_control()?;
    let unknown = || ApiProblem::not_found(format_args!("invariant {name}"));
    let invariant = Invariant::named(&name).ok_or_else(unknown)?;
    charge_workspace(&gateway, &caller, COST_OF_READING_ALL)?;
    let by = bender(&gateway, &caller).await?;
    let cured = gateway.invariants.cure(caller.workspace(), &by, invariant);
    let light = cured.await?;
    SecurityRecord::new(SecurityEvent::PipelineChanged)
        .because("invariant_cured")
        .about(invariant.as_str())
        .write();
    Ok(Json(light))
}

impl From<InvariantError> for ApiProblem {
    fn from(error: InvariantError) -> Self {
        let detail = error.to_string();
        match error {
            InvariantError::Full => {
                let problem = Self::rate_limited(ARMED.as_secs());
                problem.with(|problem| problem.detail = detail)
            }
            InvariantError::TooLong(_) => Self::new(Kind::Rejected, detail)
                .with(|problem| problem.rule = Some("log-is-short".to_owned())),
            InvariantError::Late => Self::new(Kind::Unavailable, detail),
            InvariantError::Rebuild(error) => error.into(),
            InvariantError::Dials(error) => error.into(),
            InvariantError::Events(error) => error.into(),
            InvariantError::Documents(error) => error.into(),
        }
    }
}
