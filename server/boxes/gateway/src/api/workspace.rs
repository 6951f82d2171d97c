//! The purge of the caller's workspace.

use axum::{Json, extract::State, http::StatusCode};
use command::Workspace;
use domain::wire::{Problem, PurgeStarted};
use serde::Deserialize;
use telemetry::security::{SecurityEvent, SecurityRecord};
use utoipa::IntoParams;

use crate::{SharedGateway, auth::Caller, params::QueryParams, problem::ApiProblem};

/// The confirmation of a purge or a reset.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    /// The name or the id of the workspace
    #[serde(default)]
    #[param(required = true)]
    confirm: String,
}

impl Confirmation {
    /// The caller's workspace, which `confirm` must name, so that it does not end by mistake.
    pub(super) async fn of_workspace(
        self,
        gateway: &SharedGateway,
        caller: &Caller,
    ) -> Result<Workspace, ApiProblem> {
        let workspace = gateway
            .workspaces
            .find(caller.workspace())
            .await?
            .ok_or_else(ApiProblem::workspace_gone)?;
        let Self { confirm } = self;
        if confirm == workspace.name || confirm.parse().is_ok_and(|id| workspace.id == id) {
            return Ok(workspace);
        }
        Err(ApiProblem::field(
            "confirm",
            "is the name or the id of the workspace",
        ))
    }
}

/// Purge the workspace
///
/// Deletes all of it, for all its people and for good: events, views, people, the code to join. With the
/// answer the workspace is gone: every token for it is answered with 410, and its sockets are closed; its
/// rows in the databases are deleted in the background. `confirm` must name the workspace, so that it is not
/// purged by mistake.
#[utoipa::path(delete, path = "/workspace", tag = "workspaces",
    params(Confirmation),
    responses(
        (status = 202, description = "The workspace is gone", body = PurgeStarted),
        (status = 400, description = "`confirm` does not name the workspace", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
    ))]
pub(super) async fn purge(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(confirmation): QueryParams<Confirmation>,
) -> Result<(StatusCode, Json<PurgeStarted>), ApiProblem> {
    caller.require_purge_right()?;
    let workspace = confirmation.of_workspace(&gateway, &caller).await?;
    if !gateway.sweeper.purge(workspace.id).await? {
        return Err(ApiProblem::workspace_gone());
    }
    SecurityRecord::new(SecurityEvent::WorkspacePurged).write();
    let workspace = workspace.id;
    Ok((StatusCode::ACCEPTED, Json(PurgeStarted { workspace })))
}
