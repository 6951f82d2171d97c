//! The import of an exported workspace as a new sandbox.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest as _, Request, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use command::NewEducator;
use domain::wire::{Problem, WorkspaceAccess};
use monitor::import::{ImportError, read_workspace};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::workspaces::{MOST_CONTENT_BYTES, access};
use crate::{
    SharedGateway, language,
    limits::{Address, COST_OF_OPENING, COST_OF_READING_ALL, Client},
    params::QueryParams,
    problem::{ApiProblem, Kind},
};

/// The media type of an export.
const MEDIA_TYPE: &str = "application/x-ndjson";

/// The route, which takes a larger body than others.
pub(super) fn router() -> OpenApiRouter<SharedGateway> {
    OpenApiRouter::new()
        .routes(routes!(import))
        .route_layer(DefaultBodyLimit::max(MOST_CONTENT_BYTES))
}

/// What the new workspace is called.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportParams {
    /// The display name of the new workspace; that of the exported one where absent
    #[param(max_length = 80)]
    name: Option<String>,
}

/// Import a workspace
///
/// Opens a new workspace that begins with the events of an export: the answer of `GET /export`, or what
/// `foldline export` writes, of one workspace and 8 MB at most. Every line is checked as `foldline import`
/// checks it: a file that was changed is refused by the number of the line. Ids, versions, positions and
/// times are kept; the workspace, its join code and the hashes are new. People of the exported workspace
/// cannot sign in, and sealed names cannot be read. No account is needed, and the token is an educator's.
#[utoipa::path(post, path = "/workspaces/import", tag = "workspaces", security(()),
    params(ImportParams),
    request_body(content = String, content_type = "application/x-ndjson",
        description = "CloudEvents, one per line, as `GET /export` answers them"),
    responses(
        (status = 200, description = "The workspace and a token for it", body = WorkspaceAccess),
        (status = 400, body = Problem,
            description = "The file is not an export, is not whole, or was changed"),
        (status = 413, body = Problem,
            description = "The file is larger than 8 MB, or has more events than a sandbox may have"),
        (status = 415, description = "The body is not application/x-ndjson", body = Problem),
        (status = 429, body = Problem,
            description = "Too many requests, or too many workspaces from this address"),
    ))]
pub(super) async fn import(
    State(gateway): State<SharedGateway>,
    Extension(client): Extension<Client>,
    Extension(address): Extension<Address>,
    QueryParams(ImportParams { name }): QueryParams<ImportParams>,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<WorkspaceAccess>, ApiProblem> {
    if !is_export(&headers) {
        let detail = format!("send an export as Content-Type: {MEDIA_TYPE}");
        return Err(ApiProblem::new(Kind::UnsupportedMediaType, detail));
    }
    gateway
        .rate
        .charge(client, COST_OF_OPENING + COST_OF_READING_ALL)?;
    gateway.opening.charge(address)?;
    let file = Bytes::from_request(request, &())
        .await
        .map_err(|rejection| unread(&rejection))?;
    let Address(from) = address;
    let place = gateway.heavy_work.place(from).await?;
    let clock = gateway.clock.clone();
    // Nothing in it waits: it checks and hashes what is in memory, which takes a while.
    let runtime = tokio::runtime::Handle::current();
    let read = tokio::task::spawn_blocking(move || runtime.block_on(read_workspace(&file[..], clock)));
    let (exported, content) = read.await.map_err(ApiProblem::internal)??;
    let name = name.as_deref().unwrap_or(&exported.name);
    let language = language::of(&headers, None);
    let opened = gateway
        .workspaces
        .open_with(&content, Some(name), NewEducator::default(), language);
    let admission = opened.await?;
    drop(place);
    access(&gateway, &admission)
}

fn is_export(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

fn unread(rejection: &BytesRejection) -> ApiProblem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiProblem::new(
            Kind::TooLarge,
            "an export of 8 MB at most is taken; import a larger one with `foldline import`",
        )
    } else {
        ApiProblem::new(Kind::Malformed, "the body could not be read to its end")
    }
}

impl From<ImportError> for ApiProblem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(error) => error.into(),
            ImportError::Line { .. }
            | ImportError::Truncated { .. }
            | ImportError::Several(_)
            | ImportError::Read(_) => Self::field("body", error.to_string()),
        }
    }
}
