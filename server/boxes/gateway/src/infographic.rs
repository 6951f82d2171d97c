//! The picture of the architecture, for everyone: `/infographic.svg` draws a sheet, with the labels of a
//! language or with labels of the client's own, and `/architecture.mmd` writes it as Mermaid text.
//!
//! A sheet with labels of ours is drawn once and kept. Other pages may embed the picture, so the answer may
//! be loaded across origins.

mod labels;
mod params;

use std::sync::Arc;

use axum::{
    extract::{DefaultBodyLimit, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY},
    },
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use domain::{rejection::Violation, wire::Problem};
use drawing::{DrawError, Drawing, Labels, Request};
use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
use tower_http::compression::CompressionLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    SharedGateway, etag,
    json_body::JsonBody,
    params::QueryParams,
    problem::{ApiProblem, Kind},
};
use labels::LabelTable;
use params::{ArchitectureParams, InfographicParams, OwnLabelsParams, Subject};

/// The largest body with labels, in bytes.
const MAX_LABELS_BYTES: usize = 64 * 1024;
/// Every sheet in every language, theme and format fits.
const MAX_CACHED: u64 = 256;
/// Lists the labels whose text is smaller than designed, each with its scale.
const SHRUNK_LABELS: HeaderName = HeaderName::from_static("foldline-shrunk-labels");
const CROSS_ORIGIN: (HeaderName, HeaderValue) = (
    HeaderName::from_static("cross-origin-resource-policy"),
    HeaderValue::from_static("cross-origin"),
);

/// The sheets that were drawn with labels of ours.
#[derive(Debug, Clone)]
pub(crate) struct DrawnSheets(Cache<Subject, Arc<Picture>>);

impl Default for DrawnSheets {
    fn default() -> Self {
        Self(Cache::new(MAX_CACHED))
    }
}

/// A drawn sheet as an answer.
#[derive(Debug)]
struct Picture {
    svg: Bytes,
    etag: HeaderValue,
    shrunk: Option<HeaderValue>,
}

/// The version of a text. It is weak: the bytes that are sent may be compressed.
fn version(text: &str) -> Result<HeaderValue, ApiProblem> {
    let hash = Sha256::digest(text.as_bytes());
    let etag = format!("W/\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash[..15]));
    HeaderValue::from_str(&etag).map_err(ApiProblem::internal)
}

impl Picture {
    fn of(drawing: Drawing) -> Result<Self, ApiProblem> {
        let Drawing { svg, shrunk } = drawing;
        let list: Vec<_> = shrunk
            .iter()
            .map(|(label, scale)| format!("{label}={scale:.2}"))
            .collect();
        Ok(Self {
            etag: version(&svg)?,
            shrunk: if list.is_empty() {
                None
            } else {
                Some(HeaderValue::from_str(&list.join(", ")).map_err(ApiProblem::internal)?)
            },
            svg: svg.into(),
        })
    }

    fn respond(&self, cache: &'static str, request: &HeaderMap) -> Response {
        let mut headers = HeaderMap::from_iter([
            CROSS_ORIGIN,
            (ETAG, self.etag.clone()),
            (CACHE_CONTROL, HeaderValue::from_static(cache)),
            (VARY, HeaderValue::from_static("accept-encoding")),
        ]);
        if etag::is_known(&self.etag, request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("image/svg+xml; charset=utf-8"),
        );
        if let Some(shrunk) = &self.shrunk {
            headers.insert(SHRUNK_LABELS, shrunk.clone());
        }
        (headers, self.svg.clone()).into_response()
    }
}

/// The routes.
pub(crate) fn router() -> OpenApiRouter<SharedGateway> {
    OpenApiRouter::new()
        .routes(routes!(infographic, own_infographic))
        .routes(routes!(architecture))
        .layer(DefaultBodyLimit::max(MAX_LABELS_BYTES))
        .layer(CompressionLayer::new())
}

/// Draw the picture
///
/// A sheet of the architecture as an SVG infographic, in one of fifteen languages. `pattern` is the event
/// sourcing pattern; `business` is the event-driven architecture of this shop.
#[utoipa::path(get, path = "/infographic.svg", tag = "picture", security(()),
    params(InfographicParams),
    responses(
        (status = 200, description = "The picture", content_type = "image/svg+xml", body = String,
            headers(
                ("ETag" = String, description = "The version of the picture, for If-None-Match"),
                ("Foldline-Shrunk-Labels" = Option<String>,
                    description = "The labels that are drawn smaller than designed, each with its scale"),
            )),
        (status = 304, description = "The client has this version"),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 422, description = "The title cannot be fitted", body = Problem),
    ))]
async fn infographic(
    State(gateway): State<SharedGateway>,
    headers: HeaderMap,
    QueryParams(params): QueryParams<InfographicParams>,
) -> Result<Response, ApiProblem> {
    const CACHE: &str = "public, max-age=300";
    let subject = params.subject(gateway.picture_names);
    let title = params.title()?;
    let draw = || {
        let labels = Labels::of(subject.language);
        Picture::of(drawing::draw(&subject.request(labels, title)).map_err(refused)?)
    };
    if title.is_some() {
        return Ok(draw()?.respond(CACHE, &headers));
    }
    let picture = gateway
        .drawn_sheets
        .0
        .try_get_with(subject, || draw().map(Arc::new))
        .map_err(|problem| ApiProblem::clone(&problem))?;
    Ok(picture.respond(CACHE, &headers))
}

/// Draw the picture with other labels
///
/// The sheet with the labels of the body, in any language. The body is an object with every label of the
/// sheet by its id. A label that is too long is wrapped, and then drawn smaller, to no less than 70 %.
#[utoipa::path(post, path = "/infographic.svg", tag = "picture", security(()),
    params(OwnLabelsParams),
    request_body(content = LabelTable, description = "Every label of the sheet by its id; 64 KiB at most"),
    responses(
        (status = 200, description = "The picture", content_type = "image/svg+xml", body = String,
            headers(("Foldline-Shrunk-Labels" = Option<String>,
                description = "The labels that are drawn smaller than designed, each with its scale"))),
        (status = 400, description = "A parameter is not valid, or the body is not an object of texts",
            body = Problem),
        (status = 413, description = "The body is larger than 64 KiB", body = Problem),
        (status = 415, description = "The body is not JSON", body = Problem),
        (status = 422, description = "Labels that are missing, unknown, empty, too long, or do not fit",
            body = Problem),
    ))]
async fn own_infographic(
    State(gateway): State<SharedGateway>,
    headers: HeaderMap,
    QueryParams(params): QueryParams<OwnLabelsParams>,
    JsonBody(LabelTable(table)): JsonBody<LabelTable>,
) -> Result<Response, ApiProblem> {
    let labels = Labels::check(params.sheet, table).map_err(|errors| {
        ApiProblem::new(Kind::Rejected, "the labels do not suit the sheet").with(|problem| {
            problem.violations = errors.iter().map(labels::violation).collect();
        })
    })?;
    let request = Request {
        sheet: params.sheet,
        format: params.format,
        theme: params.theme,
        names: params.names.of(gateway.picture_names),
        language: params.language()?,
        direction: params.direction(&labels),
        labels: &labels,
        title: None,
    };
    let picture = Picture::of(drawing::draw(&request).map_err(refused)?)?;
    Ok(picture.respond("no-store", &headers))
}

/// Write the picture as Mermaid text
///
/// A flowchart with the boxes and arrows of a sheet, to paste into documents. The sheet `business` names
/// Kafka and Elasticsearch as the architecture does, also where this server runs without them.
#[utoipa::path(get, path = "/architecture.mmd", tag = "picture", security(()),
    params(ArchitectureParams),
    responses(
        (status = 200, description = "The flowchart", content_type = "text/plain", body = String,
            headers(("ETag" = String, description = "The version of the text, for If-None-Match"))),
        (status = 304, description = "The client has this version"),
        (status = 400, description = "A parameter is not valid", body = Problem),
    ))]
async fn architecture(
    headers: HeaderMap,
    QueryParams(params): QueryParams<ArchitectureParams>,
) -> Result<Response, ApiProblem> {
    let text = drawing::mermaid(params.sheet, Labels::of(params.lang), drawing::Names::DOCUMENT);
    let etag = version(&text)?;
    let is_known = etag::is_known(&etag, &headers);
    let mut headers = HeaderMap::from_iter([
        CROSS_ORIGIN,
        (ETAG, etag),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ]);
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Ok((headers, text).into_response())
}

/// A picture that cannot be drawn: the text that does not fit is named.
fn refused(error: DrawError) -> ApiProblem {
    let (field, message) = match error {
        DrawError::MissingLabel { label } => (label, "is missing".to_owned()),
        DrawError::CannotFit { label } => (
            label,
            "is too long for its place, also at 70 % of its size".to_owned(),
        ),
        DrawError::TitleTooLong { limit } => ("title".to_owned(), format!("has at most {limit} characters")),
    };
    ApiProblem::new(Kind::Rejected, format!("{field}: {message}"))
        .with(|problem| problem.violations = vec![Violation { field, message }])
}
