//! The caller's session, as the server sees it.

use axum::{Json, extract::State};
use domain::wire::{Problem, SessionInfo};

use crate::{SharedGateway, auth::Caller, problem::ApiProblem};

/// Who am I?
#[utoipa::path(get, path = "/session", tag = "workspaces", responses(
    (status = 200, description = "The person and the workspace of the token or cookie", body = SessionInfo),
    (status = 401, description = "Not signed in", body = Problem),
))]
pub(super) async fn session(
    State(gateway): State<SharedGateway>,
    caller: Caller,
) -> Result<Json<SessionInfo>, ApiProblem> {
    session_info(&gateway, &caller).await.map(Json)
}

/// The caller and their workspace, as a browser shows them.
pub(crate) async fn session_info(
    gateway: &SharedGateway,
    caller: &Caller,
) -> Result<SessionInfo, ApiProblem> {
    let workspace = gateway
        .workspaces
        .find(caller.workspace())
        .await?
        .ok_or_else(ApiProblem::workspace_gone)?;
    let actor = caller.actor();
    Ok(SessionInfo {
        workspace: workspace.id,
        workspace_name: workspace.name,
        join_code: workspace.join_code,
        actor_id: actor.id,
        display_name: actor.name.clone(),
        role: actor.role,
        language: caller.bearer().language,
        expires_if_idle_at: gateway.presence.expires_at(),
    })
}
