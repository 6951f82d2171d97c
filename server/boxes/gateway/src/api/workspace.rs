//! The workspace of whoever asks, as a whole: its end.

use axum::{Json, extract::State, http::StatusCode};
use domain::wire::{Problem, PurgeStarted};

use crate::{SharedGateway, auth::Caller, params::Params, problem::ApiProblem};

/// Purge the workspace
///
/// Everything of it goes, for everybody and for ever: events, views, people, the code to join. It is gone when this is
/// answered: every token for it is answered with 410, and its sockets are closed; what is left of it in the databases is
/// deleted behind the scenes. `confirm` must name the workspace, so that nobody does this by mistake.
#[utoipa::path(delete, path = "/workspace", tag = "workspaces",
    params(("confirm" = String, Query, description = "The name or the id of the workspace")),
    responses(
        (status = 202, description = "It is gone", body = PurgeStarted),
        (status = 400, description = "`confirm` does not name the workspace", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
    ))]
pub(super) async fn purge(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    mut params: Params,
) -> Result<(StatusCode, Json<PurgeStarted>), ApiProblem> {
    let confirm = params.text("confirm");
    params.finish()?;
    caller.must_end_workspace()?;
    let workspace = gateway
        .workspaces
        .find(caller.workspace())
        .await?
        .ok_or_else(ApiProblem::workspace_gone)?;
    let names_it = confirm.is_some_and(|confirm| {
        confirm == workspace.name || confirm.parse().is_ok_and(|id| workspace.id == id)
    });
    if !names_it {
        return Err(ApiProblem::field(
            "confirm",
            "must be the name or the id of the workspace that is to be purged",
        ));
    }
    if !gateway.sweeper.purge(workspace.id).await? {
        return Err(ApiProblem::workspace_gone());
    }
    let workspace = workspace.id;
    Ok((StatusCode::ACCEPTED, Json(PurgeStarted { workspace })))
}
