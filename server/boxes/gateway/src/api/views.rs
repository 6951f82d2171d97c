//! Views: one document, or a page of a listing, at the view's position or, where the client asks for it, at a
//! token.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
};
use domain::{
    token::ConsistencyToken,
    wire::{DocumentAnswer, ListingAnswer, Order, Problem},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use utoipa::IntoParams;

use super::{MAX_WAIT_MS, vocabulary::ViewName};
use query::{DEFAULT_TIMEOUT, ListingRequest, QueryError, Wait};

use crate::{
    SharedGateway,
    auth::Caller,
    params::{PageLimit, QueryParams, WholeNumber},
    problem::ApiProblem,
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
) -> Result<Json<DocumentAnswer<Box<RawValue>>>, ApiProblem> {
    let wait = wait(params.after, params.timeout_ms);
    let answer = gateway
        .queries
        .document(caller.workspace(), caller.actor(), &view, &key, wait)
        .await?;
    Ok(Json(answer))
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
) -> Result<Json<ListingAnswer<Box<RawValue>>>, ApiProblem> {
    let request = ListingRequest {
        view,
        listing: params.listing,
        group: params.group,
        order: params.order,
        limit: Some(params.limit.get()),
        cursor: params.cursor,
    };
    let wait = wait(params.after, params.timeout_ms);
    let answer = gateway
        .queries
        .listing(caller.workspace(), caller.actor(), request, wait)
        .await?;
    Ok(Json(answer))
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
        Self::from(error.problem())
    }
}
