//! The log, inspected: streams, one stream's events, and the events of the whole workspace.
//!
//! Students and educators read it, in their own workspace; what is not theirs is not there.

use axum::{
    Json,
    extract::{Path, State},
};
use domain::{
    event::RecordedEvent,
    id::StreamName,
    token::ConsistencyToken,
    wire::{EventPage, Page, Problem, StreamInfo},
};
use monitor::{Direction, EventFilter};
use serde_json::Value;

use crate::{SharedGateway, auth::Caller, params::Params, problem::ApiProblem};

/// The most entries of a page.
const MAX_LIMIT: u32 = 200;
/// Entries of a page where nobody says.
const DEFAULT_LIMIT: u32 = 50;
/// Longer is no stream, and no type.
const MAX_TEXT: usize = 200;

/// List streams
#[utoipa::path(get, path = "/streams", tag = "log",
    params(
        ("prefix" = Option<String>, Query, description = "Only streams whose names begin with this, as in `order-`"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "1 to 200; 50 where absent"),
    ),
    responses(
        (status = 200, description = "Streams by name", body = Page<StreamInfo>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn streams(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<Page<StreamInfo>>, ApiProblem> {
    let prefix = text(&mut params, "prefix")?.unwrap_or_default();
    let cursor = text(&mut params, "cursor")?;
    let limit = params.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT)?;
    params.finish()?;
    streams_page(&gateway, &caller, &prefix, cursor.as_deref(), limit)
        .await
        .map(Json)
}

/// A page of streams, with the rights of the caller.
pub(crate) async fn streams_page(
    gateway: &SharedGateway,
    caller: &Caller,
    prefix: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<StreamInfo>, ApiProblem> {
    caller.must_read_lab()?;
    Ok(gateway
        .inspection
        .streams(caller.workspace(), prefix, cursor, limit)
        .await?)
}

/// Read a stream
///
/// Oldest events first; with `order=desc` newest first.
#[utoipa::path(get, path = "/streams/{stream}", tag = "log",
    params(
        ("stream" = String, Path, description = "As in `order-0198c1…`"),
        ("from" = Option<u64>, Query, description = "The version to begin with"),
        ("order" = Option<String>, Query, description = "`asc` or `desc`"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "1 to 200; 50 where absent"),
    ),
    responses(
        (status = 200, description = "Events; send `next` as `from`", body = Page<RecordedEvent<Value>>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
        (status = 404, description = "No such stream in your workspace", body = Problem),
    ))]
pub(super) async fn stream(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(name): Path<String>,
    mut params: Params,
) -> Result<Json<EventPage>, ApiProblem> {
    let order = [("asc", Direction::Forwards), ("desc", Direction::Backwards)];
    let direction = params.word("order", &order, Direction::Forwards)?;
    let begin = if direction == Direction::Forwards {
        1
    } else {
        MAX_VERSION
    };
    let from = params.number("from", 1..=MAX_VERSION, begin)?;
    let limit = params.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT)?;
    params.finish()?;
    stream_page(&gateway, &caller, &name, from, direction, limit)
        .await
        .map(Json)
}

/// What every database can count to.
const MAX_VERSION: u64 = i64::MAX as u64;

/// A page of a stream, with the rights of the caller.
pub(crate) async fn stream_page(
    gateway: &SharedGateway,
    caller: &Caller,
    name: &str,
    from: u64,
    direction: Direction,
    limit: u32,
) -> Result<EventPage, ApiProblem> {
    caller.must_read_lab()?;
    let not_found = || ApiProblem::not_found(format_args!("stream of this name in your workspace"));
    // What cannot be a name names nothing.
    let stream: StreamName = name.parse().map_err(|_| not_found())?;
    let page = gateway
        .inspection
        .stream(caller.workspace(), &stream, from, direction, limit)
        .await?;
    page.ok_or_else(not_found)
}

/// Read the workspace's events
///
/// In order within each partition. To follow the log, send the place of the newest event of each partition that you have
/// seen as `after`.
#[utoipa::path(get, path = "/events", tag = "log",
    params(
        ("type" = Option<String>, Query, description = "Only events of this type, as in `OrderCreated`"),
        ("correlation" = Option<uuid::Uuid>, Query, description = "Only what one intention caused"),
        ("category" = Option<String>, Query, description = "Only events of streams of this category, as in `order`"),
        ("after" = Option<String>, Query, description = "A consistency token: only events behind it"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "1 to 200; 50 where absent"),
    ),
    responses(
        (status = 200, description = "Events; send `next` as `after`", body = Page<RecordedEvent<Value>>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn events(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<EventPage>, ApiProblem> {
    let filter = EventFilter {
        event_type: text(&mut params, "type")?,
        correlation_id: params.parsed("correlation")?,
        category: text(&mut params, "category")?,
    };
    let after = params.parsed::<ConsistencyToken>("after")?.unwrap_or_default();
    let limit = params.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT)?;
    params.finish()?;
    caller.must_read_lab()?;
    let page = gateway
        .inspection
        .events(caller.workspace(), &filter, &after, limit)
        .await?;
    Ok(Json(page))
}

fn text(params: &mut Params, name: &'static str) -> Result<Option<String>, ApiProblem> {
    match params.text(name) {
        Some(text) if text.len() > MAX_TEXT => Err(ApiProblem::field(
            name,
            format!("has at most {MAX_TEXT} characters"),
        )),
        text => Ok(text),
    }
}
