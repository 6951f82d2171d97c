//! Projections, seen and rebuilt: for the lab and for those who operate a workspace.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use domain::wire::{Problem, ProjectionStatus, RebuildProgress};

use super::vocabulary::ViewName;
use monitor::RebuildError;

use crate::{
    SharedGateway,
    auth::Caller,
    params::Params,
    problem::{ApiProblem, Kind},
};

/// How projections stand
///
/// Which generation is read, how far it is, what it could not apply, which lanes are tried again, and how far a rebuild is.
#[utoipa::path(get, path = "/lab/projections", tag = "operations",
    responses(
        (status = 200, description = "Every projection of the workspace", body = Vec<ProjectionStatus>),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    params: Params,
) -> Result<Json<Vec<ProjectionStatus>>, ApiProblem> {
    params.finish()?;
    caller.must_read_lab()?;
    Ok(Json(gateway.inspection.projections(caller.workspace()).await?))
}

/// Rebuild a projection
///
/// Folds a new generation from the whole log, while the live one goes on; when it has caught up, it becomes the live one.
/// Where it is being rebuilt already, that goes on.
#[utoipa::path(post, path = "/lab/projections/{name}/rebuild", tag = "operations",
    params(("name" = ViewName, Path, description = "The view, as in `orders`")),
    responses(
        (status = 202, description = "It is being rebuilt", body = RebuildProgress),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such projection", body = Problem),
        (status = 409, description = "It is paused", body = Problem),
    ))]
pub(super) async fn rebuild(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<RebuildProgress>), ApiProblem> {
    caller.must_bend_lab()?;
    let progress = gateway.inspection.rebuild(caller.workspace(), &name).await?;
    Ok((StatusCode::ACCEPTED, Json(progress)))
}

/// Cancel a rebuild
///
/// The live generation was never touched; what was folded of the new one is removed.
#[utoipa::path(delete, path = "/lab/projections/{name}/rebuild", tag = "operations",
    params(("name" = ViewName, Path, description = "The view, as in `orders`")),
    responses(
        (status = 204, description = "It is cancelled"),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such projection, or it is not being rebuilt", body = Problem),
    ))]
pub(super) async fn cancel(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiProblem> {
    caller.must_bend_lab()?;
    let inspection = &gateway.inspection;
    inspection.cancel_rebuild(caller.workspace(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<RebuildError> for ApiProblem {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::UnknownView(view) => Self::not_found(format_args!("projection {view}")),
            RebuildError::NotRunning(view) => Self::not_found(format_args!("rebuild of {view} to cancel")),
            RebuildError::Paused(_) | RebuildError::Running(_) => Self::new(Kind::Busy, error.to_string()),
            RebuildError::ReadModel(error) => error.into(),
        }
    }
}
