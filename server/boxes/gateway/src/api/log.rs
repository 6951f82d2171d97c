//! Inspection of the log: streams, one stream's events, and the events of the whole workspace.
//!
//! Students and educators read the log of their own workspace; streams of other workspaces are not found.

use axum::{
    Json,
    extract::{Path, State},
};
use domain::{
    event::RecordedEvent,
    id::StreamName,
    token::ConsistencyToken,
    wire::{EventPage, Order, Page, Problem, StreamInfo},
};
use monitor::{Direction, EventFilter};
use serde::Deserialize;
use serde_json::Value;
use tracing::Instrument as _;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    SharedGateway,
    auth::Caller,
    params::{PageLimit, QueryParams, WholeNumber},
    problem::ApiProblem,
    request_hops::replay,
};

/// No name of a stream, a type or a category is longer.
const MAX_NAME: usize = 200;
/// The largest version that every database can store.
const MAX_VERSION: u64 = i64::MAX as u64;

/// The version of an event in its stream.
type Version = WholeNumber<1, MAX_VERSION>;

/// Which page of the streams.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamsParams {
    /// Only streams whose names begin with this, as in `order-`
    prefix: Option<String>,
    /// The `next` of the page before
    cursor: Option<String>,
    /// 1 to 200; 50 where absent
    #[serde(default)]
    #[param(inline)]
    limit: PageLimit,
}

/// Which events of a stream.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamParams {
    /// The version to begin with
    #[param(inline)]
    from: Option<Version>,
    /// `asc` or `desc`
    #[serde(default)]
    #[param(inline)]
    order: Order,
    /// 1 to 200; 50 where absent
    #[serde(default)]
    #[param(inline)]
    limit: PageLimit,
}

/// Which events of the workspace.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsParams {
    /// Only events of this type, as in `OrderCreated`
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Only events with this correlation id
    correlation: Option<Uuid>,
    /// Only events of streams of this category, as in `order`
    category: Option<String>,
    /// A consistency token: only events after it
    #[param(value_type = Option<String>)]
    after: Option<ConsistencyToken>,
    /// 1 to 200; 50 where absent
    #[serde(default)]
    #[param(inline)]
    limit: PageLimit,
}

/// List streams
#[utoipa::path(get, path = "/streams", tag = "log",
    params(StreamsParams),
    responses(
        (status = 200, description = "Streams by name", body = Page<StreamInfo>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn streams(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<StreamsParams>,
) -> Result<Json<Page<StreamInfo>>, ApiProblem> {
    let (prefix, cursor) = (params.prefix.as_deref(), params.cursor.as_deref());
    require_name_length("prefix", prefix)?;
    require_name_length("cursor", cursor)?;
    let prefix = prefix.unwrap_or_default();
    streams_page(&gateway, &caller, prefix, cursor, params.limit.get())
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
    caller.require_lab_reader()?;
    Ok(gateway
        .inspection
        .streams(caller.workspace(), prefix, cursor, limit)
        .instrument(replay(caller.workspace(), None))
        .await?)
}

/// Read a stream
///
/// Oldest events first; with `order=desc` newest first. A page of large events has fewer than `limit`: it
/// ends at about 1 MiB.
#[utoipa::path(get, path = "/streams/{stream}", tag = "log",
    params(
        ("stream" = String, Path, description = "As in `order-0198c1…`"),
        StreamParams,
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
    QueryParams(params): QueryParams<StreamParams>,
) -> Result<Json<EventPage>, ApiProblem> {
    let (direction, first) = match params.order {
        Order::Asc => (Direction::Forwards, 1),
        Order::Desc => (Direction::Backwards, MAX_VERSION),
    };
    let from = params.from.map_or(first, Version::get);
    stream_page(&gateway, &caller, &name, from, direction, params.limit.get())
        .await
        .map(Json)
}

/// A page of a stream, with the rights of the caller.
pub(crate) async fn stream_page(
    gateway: &SharedGateway,
    caller: &Caller,
    name: &str,
    from: u64,
    direction: Direction,
    limit: u32,
) -> Result<EventPage, ApiProblem> {
    caller.require_lab_reader()?;
    let not_found = || ApiProblem::not_found(format_args!("stream of this name in your workspace"));
    // A text that cannot be a name is the name of no stream.
    let stream: StreamName = name.parse().map_err(|_| not_found())?;
    let page = gateway
        .inspection
        .stream(caller.workspace(), &stream, from, direction, limit)
        .instrument(replay(caller.workspace(), Some(stream.as_str())))
        .await?;
    page.ok_or_else(not_found)
}

/// Read the workspace's events
///
/// In order within each partition. To follow the log, send the position of the newest event that you have
/// seen of each partition as `after`. A page of large events has fewer than `limit`: it ends at about 1 MiB.
#[utoipa::path(get, path = "/events", tag = "log",
    params(EventsParams),
    responses(
        (status = 200, description = "Events; send `next` as `after`", body = Page<RecordedEvent<Value>>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn events(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<EventsParams>,
) -> Result<Json<EventPage>, ApiProblem> {
    require_name_length("type", params.event_type.as_deref())?;
    require_name_length("category", params.category.as_deref())?;
    let filter = EventFilter {
        event_type: params.event_type,
        correlation_id: params.correlation,
        category: params.category,
    };
    let (after, limit) = (params.after.unwrap_or_default(), params.limit.get());
    caller.require_lab_reader()?;
    let page = gateway
        .inspection
        .events(caller.workspace(), &filter, &after, limit)
        .instrument(replay(caller.workspace(), None))
        .await?;
    Ok(Json(page))
}

/// Refuses a text that is longer than any name.
fn require_name_length(parameter: &str, text: Option<&str>) -> Result<(), ApiProblem> {
    match text {
        Some(text) if text.len() > MAX_NAME => {
            let message = format!("has at most {MAX_NAME} characters");
            Err(ApiProblem::field(parameter, message))
        }
        _ => Ok(()),
    }
}
