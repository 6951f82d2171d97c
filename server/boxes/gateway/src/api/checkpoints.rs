//! Signed checkpoints of the log: what a client keeps to find out later that a history was rewritten.

use axum::{Json, extract::State};
use domain::wire::{CheckpointsAnswer, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    SharedGateway,
    auth::Caller,
    params::{PageLimit, QueryParams},
    problem::ApiProblem,
};

/// Which checkpoints.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointsParams {
    /// Those that the server has kept, oldest first, instead of ones that are signed now
    #[serde(default)]
    kept: bool,
    /// The most that are kept: the newest 1 to 200; 50 where absent
    #[serde(default)]
    #[param(inline)]
    limit: PageLimit,
}

/// Sign the heads of the log
///
/// One checkpoint for each partition that has an event, in the format of signed notes (C2SP signed-note and
/// tlog-checkpoint, Ed25519). Keep them outside of the server: `foldline verify --checkpoint` says later
/// whether the log still contains that history. The server compares with those that it has kept itself:
/// `differences` are those that the log does not contain.
#[utoipa::path(get, path = "/checkpoints", tag = "log",
    params(CheckpointsParams),
    responses(
        (status = 200, description = "The checkpoints, and the key that verifies them",
            body = CheckpointsAnswer),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn checkpoints(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<CheckpointsParams>,
) -> Result<Json<CheckpointsAnswer>, ApiProblem> {
    caller.require_lab_reader()?;
    let kept = params.kept.then_some(params.limit.get() as usize);
    let inspection = &gateway.inspection;
    Ok(Json(inspection.checkpoints(caller.workspace(), kept).await?))
}
