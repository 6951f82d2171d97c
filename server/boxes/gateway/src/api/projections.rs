//! The status and the rebuild of projections, for the lab and for the operators of a workspace.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use domain::wire::{Problem, ProjectionStatus, RebuildProgress};

use super::vocabulary::ViewName;
use monitor::RebuildError;
use telemetry::security::{SecurityEvent, SecurityRecord};

use crate::{
    SharedGateway,
    auth::Caller,
    limits::{COST_OF_READING_ALL, charge_workspace},
    params::{NoParams, QueryParams},
    problem::{ApiProblem, Kind},
};

/// List projections
///
/// The status of each: the generation that queries read and how far it is, the events that it could not
/// apply, the lanes that are retried, and the progress of a rebuild.
#[utoipa::path(get, path = "/lab/projections", tag = "operations",
    responses(
        (status = 200, description = "Every projection of the workspace", body = Vec<ProjectionStatus>),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<Vec<ProjectionStatus>>, ApiProblem> {
    caller.require_lab_reader()?;
    Ok(Json(gateway.inspection.projections(caller.workspace()).await?))
}

/// Rebuild a projection
///
/// Folds a new generation from the whole log, while the live one stays in use; when the new one has caught
/// up, it becomes the live one. A rebuild that is already running continues. The rebuilds of a workspace are
/// carried out one after the other.
#[utoipa::path(post, path = "/lab/projections/{name}/rebuild", tag = "operations",
    params(("name" = ViewName, Path, description = "The view, as in `orders`")),
    responses(
        (status = 202, description = "It is being rebuilt", body = RebuildProgress),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such projection", body = Problem),
        (status = 409, description = "It is paused", body = Problem),
    ))]
pub(super) async fn rebuild(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<RebuildProgress>), ApiProblem> {
    caller.require_lab_control()?;
    charge_workspace(&gateway, &caller, COST_OF_READING_ALL)?;
    let progress = gateway.inspection.rebuild(caller.workspace(), &name).await?;
    SecurityRecord::new(SecurityEvent::Rebuilt).about(&name).write();
    Ok((StatusCode::ACCEPTED, Json(progress)))
}

/// Cancel a rebuild
///
/// The live generation stays as it is; the documents of the new one are removed.
#[utoipa::path(delete, path = "/lab/projections/{name}/rebuild", tag = "operations",
    params(("name" = ViewName, Path, description = "The view, as in `orders`")),
    responses(
        (status = 204, description = "It is cancelled"),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such projection, or it is not being rebuilt", body = Problem),
    ))]
pub(super) async fn cancel(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiProblem> {
    caller.require_lab_control()?;
    let inspection = &gateway.inspection;
    inspection.cancel_rebuild(caller.workspace(), &name).await?;
    SecurityRecord::new(SecurityEvent::PipelineChanged)
        .because("rebuild_cancelled")
        .about(&name)
        .write();
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
