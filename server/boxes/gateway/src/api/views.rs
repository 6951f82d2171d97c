//! Views: one document, or a page of a listing, at the view's position or, where the client asks for it, at a
//! token. Their answers come encoded from the query API, and are sent as they are.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequestParts, Path, State},
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_ENCODING, CONTENT_TYPE, VARY},
        request::Parts,
    },
    response::Response,
};
use domain::{
    token::ConsistencyToken,
    wire::{DocumentAnswer, ListingAnswer, Order, Problem},
};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::{MAX_WAIT_MS, vocabulary::ViewName};
use query::{DEFAULT_TIMEOUT, EncodedAnswer, ListingRequest, QueryError, Wait};

use crate::{
    SharedGateway, assets,
    auth::Caller,
    params::{self, PageLimit, QueryParams, WholeNumber},
    problem::ApiProblem,
    request_hops::note_query,
};

/// How long an answer may wait for a view, in milliseconds.
pub(super) type TimeoutMs = WholeNumber<0, MAX_WAIT_MS>;

/// How fresh a document must be.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentParams {
    /// A consistency token: wait until the view has folded as far
    #[param(value_type = Option<String>)]
    after: Option<ConsistencyToken>,
    /// How long to wait, up to 60000; 5000 where absent
    #[param(inline)]
    timeout_ms: Option<TimeoutMs>,
}

/// Which page of which listing, and how fresh it must be.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListingParams {
    /// As in `by_customer`; `all` where absent
    listing: Option<String>,
    /// The group within the listing
    group: Option<String>,
    /// `asc` or `desc`
    #[serde(default)]
    #[param(inline)]
    order: Order,
    /// 1 to 200; 50 where absent
    #[serde(default)]
    #[param(inline)]
    limit: PageLimit,
    /// The `next` or `previous` of another page
    cursor: Option<String>,
    /// A consistency token: wait until the view has folded as far
    #[param(value_type = Option<String>)]
    after: Option<ConsistencyToken>,
    /// How long to wait, up to 60000; 5000 where absent
    #[param(inline)]
    timeout_ms: Option<TimeoutMs>,
}

/// Read a document
#[utoipa::path(get, path = "/views/{view}/{key}", tag = "views",
    params(
        ("view" = ViewName, Path, description = "As in `orders`"),
        ("key" = String, Path, description = "The document's key; for an order, the id part of its stream"),
        DocumentParams,
    ),
    responses(
        (status = 200, description = "The document", body = DocumentAnswer<Value>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 404, body = Problem,
            description = "No such view, or no such document that the caller may read"),
        (status = 503, description = "Not folded in time: `waiting_for`", body = Problem),
    ))]
pub(super) async fn document(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path((view, key)): Path<(String, String)>,
    QueryParams(params): QueryParams<DocumentParams>,
    AcceptsGzip(gzip): AcceptsGzip,
) -> Result<Response, ApiProblem> {
    let wait = wait(params.after, params.timeout_ms);
    let answer = gateway
        .queries
        .encoded_document(caller.workspace(), caller.actor(), &view, &key, wait)
        .await;
    let _answering = note_query(caller.workspace(), &view, &answer);
    Ok(encoded_answer(&*answer?, gzip, HeaderMap::new()))
}

/// Read a page of a listing
#[utoipa::path(get, path = "/views/{view}", tag = "views",
    params(
        ("view" = ViewName, Path, description = "As in `orders`"),
        ListingParams,
    ),
    responses(
        (status = 200, description = "The page", body = ListingAnswer<Value>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "The role does not allow it", body = Problem),
        (status = 404, description = "No such view or listing", body = Problem),
        (status = 503, description = "Not folded in time: `waiting_for`", body = Problem),
    ))]
pub(super) async fn listing(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(view): Path<String>,
    QueryParams(params): QueryParams<ListingParams>,
    AcceptsGzip(gzip): AcceptsGzip,
) -> Result<Response, ApiProblem> {
    let wait = wait(params.after.clone(), params.timeout_ms);
    let request = params.request(view.clone());
    let answer = gateway
        .queries
        .encoded_listing(caller.workspace(), caller.actor(), request, wait)
        .await;
    let _answering = note_query(caller.workspace(), &view, &answer);
    Ok(encoded_answer(&*answer?, gzip, HeaderMap::new()))
}

impl ListingParams {
    fn request(self, view: String) -> ListingRequest {
        ListingRequest {
            view,
            listing: self.listing,
            group: self.group,
            order: self.order,
            limit: Some(self.limit.get()),
            cursor: self.cursor,
        }
    }
}

/// The first page of a listing that the query of a URL asks for; `None`: it is not valid, or asks for another
/// page, or waits for a token.
pub(crate) fn first_page(view: &str, query: &str) -> Option<ListingRequest> {
    let params: ListingParams = params::parse(query).ok()?;
    let is_plain = params.after.is_none() && params.cursor.is_none();
    is_plain.then(|| params.request(view.to_owned()))
}

/// Whether the client accepts an answer that is compressed with gzip.
pub(super) struct AcceptsGzip(bool);

impl<S: Sync> FromRequestParts<S> for AcceptsGzip {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(assets::accepts_gzip(&parts.headers)))
    }
}

/// An encoded answer with these headers and its own. A client that accepts gzip gets it compressed, where
/// that is shorter.
pub(crate) fn encoded_answer(encoded: &EncodedAnswer, gzip: bool, mut headers: HeaderMap) -> Response {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if encoded.is_compressible() {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    let compressed = if gzip { encoded.gzip() } else { None };
    if compressed.is_some() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let bytes = compressed.unwrap_or_else(|| encoded.plain()).clone();
    let mut answer = Response::new(Body::from(bytes));
    *answer.headers_mut() = headers;
    answer
}

/// Whether to wait, and for what.
pub(super) fn wait(after: Option<ConsistencyToken>, timeout_ms: Option<TimeoutMs>) -> Option<Wait> {
    after.map(|after| Wait {
        after,
        timeout: timeout(timeout_ms),
    })
}

/// How long to wait: [`DEFAULT_TIMEOUT`] if the client names no time.
pub(super) fn timeout(timeout_ms: Option<TimeoutMs>) -> Duration {
    timeout_ms.map_or(DEFAULT_TIMEOUT, |timeout| Duration::from_millis(timeout.get()))
}

impl From<QueryError> for ApiProblem {
    fn from(error: QueryError) -> Self {
        Self::of_query(error.problem())
    }
}
