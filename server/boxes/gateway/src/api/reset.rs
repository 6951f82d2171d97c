//! The reset of a workspace: a new one under the same join code, for the same people.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use domain::wire::{Problem, ResetWorkspace, WorkspaceAccess};
use telemetry::security::{SecurityEvent, SecurityRecord};

use super::{
    follow::{followed, with_cookies},
    workspace::Confirmation,
};
use crate::{
    SharedGateway,
    auth::Caller,
    json_body::JsonBody,
    limits::{COST_OF_OPENING, charge_workspace},
    params::QueryParams,
    problem::ApiProblem,
    tokens::TTL_SECONDS,
};

/// Reset the workspace
///
/// Opens a new workspace with the same name and number of partitions, filled with the template of yours, or
/// as `to` says. It gets the join code, and the old one is purged. Sockets of the old one get
/// `{"op":"moved","workspace":"…"}`; its people follow with their names and roles: a browser with the next
/// page that it loads, a program by `POST /sessions/follow`. Dials, views of your own, the state of the class
/// and accounts are not taken along. `confirm` must name the workspace, so that it is not reset by mistake.
#[utoipa::path(post, path = "/lab/reset", tag = "lab", params(Confirmation),
    request_body = ResetWorkspace, responses(
    (status = 200, body = WorkspaceAccess,
        description = "The new workspace, and your token for it; a browser also gets its session cookie"),
    (status = 400, body = Problem,
        description = "A field is not valid, or `confirm` does not name the workspace"),
    (status = 403, description = "Not an educator", body = Problem),
    (status = 410, description = "Another educator has reset or purged it at the same time", body = Problem),
    (status = 429, description = "Too many requests", body = Problem),
))]
pub(super) async fn reset(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(confirmation): QueryParams<Confirmation>,
    JsonBody(wanted): JsonBody<ResetWorkspace>,
) -> Result<Response, ApiProblem> {
    caller.require_purge_right()?;
    charge_workspace(&gateway, &caller, COST_OF_OPENING)?;
    let old = confirmation.of_workspace(&gateway, &caller).await?;
    let template = wanted.to.unwrap_or(old.template);
    let opened = gateway
        .workspaces
        .open_successor(&old, template, caller.language());
    let new = opened.await?;
    if !gateway.sweeper.replace(&old, new.id).await? {
        // It is of no use to anyone.
        gateway.sweeper.purge(new.id).await?;
        let successor = gateway.presence.moved_to(old.id).await;
        return Err(successor.map_or_else(ApiProblem::workspace_gone, ApiProblem::workspace_moved));
    }
    SecurityRecord::new(SecurityEvent::WorkspacePurged)
        .because("reset")
        .write();
    let (token, cookies) = followed(&gateway, &caller.following(new.id)).await?;
    let access = WorkspaceAccess {
        workspace: new.id,
        join_code: old.join_code,
        token,
        expires_in: TTL_SECONDS,
    };
    Ok(with_cookies(Json(access).into_response(), cookies))
}
