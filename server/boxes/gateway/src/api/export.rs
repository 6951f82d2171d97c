//! The export of a whole workspace: before it is purged, or to open it on another server with `foldline
//! import`.

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::wire::Problem;
use monitor::StoreError;

use crate::{
    SharedGateway,
    auth::Caller,
    limits::{COST_OF_EXPORTING, Client},
    params::{NoParams, QueryParams},
    problem::ApiProblem,
};

/// Export the workspace
///
/// The first line says what the workspace is. Then comes every event as it is stored, as a CloudEvent 1.0,
/// one JSON object per line; then the commands that were answered, and an end. `foldline import` reads it. An
/// answer without its end was cut off.
#[utoipa::path(get, path = "/export", tag = "log",
    responses(
        (status = 200, description = "CloudEvents, one per line", body = String,
            content_type = "application/x-ndjson"),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "The workspace was purged", body = Problem),
    ))]
pub(super) async fn export(
    State(gateway): State<SharedGateway>,
    Extension(client): Extension<Client>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Response, ApiProblem> {
    caller.require_export_right()?;
    gateway.rate.charge(client, COST_OF_EXPORTING)?;
    let id = caller.workspace();
    let workspace = gateway.workspaces.find(id).await?;
    let workspace = workspace.ok_or_else(|| ApiProblem::not_found("workspace of this id"))?;
    let export = gateway.inspection.export(workspace).await?;
    // Pages are read as the client takes them: a slow client holds one page in memory, and not the log.
    let lines = futures::stream::try_unfold(export, move |mut export| async move {
        let lines = export.next().await.inspect_err(|error| {
            tracing::warn!(workspace = %id, %error, "an export was cut off");
        })?;
        Ok::<_, StoreError>(lines.map(|lines| (Bytes::from(lines), export)))
    });
    let mut response = Body::from_stream(lines).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    let file = format!("attachment; filename=\"{id}.ndjson\"");
    if let Ok(file) = HeaderValue::try_from(file) {
        headers.insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(response)
}
