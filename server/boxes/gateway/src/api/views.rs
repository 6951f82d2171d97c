//! Views: one document, or a page of a listing, as far as they are folded, or as far as the caller asks to wait.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
};
use domain::{
    token::ConsistencyToken,
    wire::{DocumentAnswer, ListingAnswer, Order, Problem},
};
use serde_json::{Value, value::RawValue};

use super::{MAX_WAIT_MS, vocabulary::ViewName};
use query::{DEFAULT_LIMIT, DEFAULT_TIMEOUT, ListingRequest, MAX_LIMIT, QueryError, Wait};

use crate::{SharedGateway, auth::Caller, params::Params, problem::ApiProblem};

/// Read a document
#[utoipa::path(get, path = "/views/{view}/{key}", tag = "views",
    params(
        ("view" = ViewName, Path, description = "As in `orders`"),
        ("key" = String, Path, description = "The document's key: of an order, the id part of its stream"),
        ("after" = Option<String>, Query, description = "A consistency token: wait until the view has folded as far"),
        ("timeout_ms" = Option<u64>, Query, maximum = 60_000, description = "How long to wait, up to 60000; 5000 where absent"),
    ),
    responses(
        (status = 200, description = "The document", body = DocumentAnswer<Value>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 404, description = "No such view, or no such document for you", body = Problem),
        (status = 503, description = "Not folded in time: `waiting_for`", body = Problem),
    ))]
pub(super) async fn document(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path((view, key)): Path<(String, String)>,
    mut params: Params,
) -> Result<Json<DocumentAnswer<Box<RawValue>>>, ApiProblem> {
    let wait = wait(&mut params)?;
    params.finish()?;
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
        ("listing" = Option<String>, Query, description = "As in `by_customer`; `all` where absent"),
        ("group" = Option<String>, Query, description = "The group within the listing"),
        ("order" = Option<String>, Query, description = "`asc` or `desc`"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "1 to 200; 50 where absent"),
        ("cursor" = Option<String>, Query, description = "The `next` or `previous` of another page"),
        ("after" = Option<String>, Query, description = "A consistency token: wait until the view has folded as far"),
        ("timeout_ms" = Option<u64>, Query, maximum = 60_000, description = "How long to wait, up to 60000; 5000 where absent"),
    ),
    responses(
        (status = 200, description = "The page", body = ListingAnswer<Value>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 403, description = "Not for your role", body = Problem),
        (status = 404, description = "No such view or listing", body = Problem),
        (status = 503, description = "Not folded in time: `waiting_for`", body = Problem),
    ))]
pub(super) async fn listing(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(view): Path<String>,
    mut params: Params,
) -> Result<Json<ListingAnswer<Box<RawValue>>>, ApiProblem> {
    let request = ListingRequest {
        view,
        listing: params.text("listing"),
        group: params.text("group"),
        order: params.word("order", &[("asc", Order::Asc), ("desc", Order::Desc)], Order::Asc)?,
        limit: Some(params.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT)?),
        cursor: params.text("cursor"),
    };
    let wait = wait(&mut params)?;
    params.finish()?;
    let answer = gateway
        .queries
        .listing(caller.workspace(), caller.actor(), request, wait)
        .await?;
    Ok(Json(answer))
}

pub(super) fn wait(params: &mut Params) -> Result<Option<Wait>, ApiProblem> {
    let after = params.parsed::<ConsistencyToken>("after")?;
    let default = u64::try_from(DEFAULT_TIMEOUT.as_millis()).unwrap_or(MAX_WAIT_MS);
    let timeout = params.number("timeout_ms", 0..=MAX_WAIT_MS, default)?;
    Ok(after.map(|after| Wait {
        after,
        timeout: Duration::from_millis(timeout),
    }))
}

impl From<QueryError> for ApiProblem {
    fn from(error: QueryError) -> Self {
        Self::from(error.problem())
    }
}
