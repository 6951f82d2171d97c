//! The export of a whole workspace: before it is purged, or to open it on another server with `foldline
//! import`.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::wire::Problem;
use telemetry::security::{SecurityEvent, SecurityRecord};

use crate::{
    SharedGateway,
    auth::Caller,
    limits::{COST_OF_READING_ALL, charge_workspace},
    params::{NoParams, QueryParams},
    problem::ApiProblem,
};

/// Export the workspace
///
/// The first line says what the workspace is. Then comes every event as it is stored, as a CloudEvent 1.0,
/// one JSON object per line; then the commands that were answered, and an end. `foldline import` reads it. An
/// answer without its end was cut off. A workspace is exported once at a time.
#[utoipa::path(get, path = "/export", tag = "log",
    responses(
        (status = 200, description = "CloudEvents, one per line", body = String,
            content_type = "application/x-ndjson"),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "The workspace was purged", body = Problem),
        (status = 409, body = Problem,
            description = "The workspace is being exported; Retry-After says when to come back"),
    ))]
pub(super) async fn export(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Response, ApiProblem> {
    caller.require_export_right()?;
    charge_workspace(&gateway, &caller, COST_OF_READING_ALL)?;
    let (id, address) = (caller.workspace(), caller.address());
    let only_one = gateway.heavy_work.export(id).await?;
    let workspace = gateway.workspaces.find(id).await?;
    let workspace = workspace.ok_or_else(|| ApiProblem::not_found("workspace of this id"))?;
    let export = gateway.inspection.export(workspace).await?;
    SecurityRecord::new(SecurityEvent::Exported).write();
    // Pages are read as the client takes them: a slow client holds one page in memory, and not the log; and a
    // place among those that read only while a page is read.
    let begun = (gateway, export, only_one);
    let lines = futures::stream::try_unfold(begun, move |(gateway, mut export, only_one)| async move {
        let place = gateway.heavy_work.place(address).await;
        let place = place.map_err(|problem| ExportError::Refused(problem.into_problem().detail))?;
        let lines = export.next().await.inspect_err(|error| {
            tracing::warn!(workspace = %id, %error, "an export was cut off");
        })?;
        drop(place);
        Ok::<_, ExportError>(lines.map(|lines| (Bytes::from(lines), (gateway, export, only_one))))
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

/// Why an export was cut off after it had begun.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] monitor::StoreError),
    /// Too much of the address's work is waiting.
    #[error("{0}")]
    Refused(String),
}
