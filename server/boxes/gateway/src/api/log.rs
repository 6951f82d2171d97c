//! Inspection of the log: streams, one stream's events, the events of the whole workspace, and one event with
//! what led to it and what it led to.
//!
//! Students and educators read the log of their own workspace; streams of other workspaces are not found.

use axum::{
    Json,
    extract::{Path, State},
};
use domain::{
    event::RecordedEvent,
    id::StreamName,
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{EventAnswer, EventPage, Order, Page, Problem, StoredEventAnswer, StreamInfo},
};
use monitor::{Direction, EventFilter, LogQuery};
use serde::Deserialize;
use serde_json::Value;
use tracing::Instrument as _;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    SharedGateway,
    auth::Caller,
    params::{NoParams, PageLimit, QueryParams, WholeNumber},
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

/// What brought an event about.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventCause {
    /// A person.
    People,
    /// Anything.
    All,
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
    /// `people`: only what people did, without effects and without the workspace's template
    #[param(inline)]
    by: Option<EventCause>,
    /// Only events with this version in their stream
    #[param(inline)]
    version: Option<Version>,
    /// Only events that were recorded at this time or later (RFC 3339)
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only events that were recorded at this time or earlier (RFC 3339)
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// `asc`: in order within each partition; `desc`: the newest of all partitions first
    #[serde(default)]
    #[param(inline)]
    order: Order,
    /// A consistency token: only events after it. Only with `order=asc`
    #[param(value_type = Option<String>)]
    after: Option<ConsistencyToken>,
    /// A consistency token: only events up to it. Only with `order=desc`
    #[param(value_type = Option<String>)]
    to: Option<ConsistencyToken>,
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
/// seen of each partition as `after`. With `order=desc`, the newest come first; send `next` as `to` for the
/// events before them. A page of large events has fewer than `limit`: it ends at about 1 MiB. Where the
/// events that are asked for are rare, a page may have few or none, and a `next`.
#[utoipa::path(get, path = "/events", tag = "log",
    params(EventsParams),
    responses(
        (status = 200, description = "Events; send `next` as `after`, or with `order=desc` as `to`",
            body = Page<RecordedEvent<Value>>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn events(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<EventsParams>,
) -> Result<Json<EventPage>, ApiProblem> {
    let EventsParams {
        event_type,
        correlation,
        category,
        by,
        version,
        since,
        until,
        order,
        after,
        to,
        limit,
    } = params;
    let query = LogQuery {
        filter: EventFilter {
            event_type,
            correlation_id: correlation,
            category,
        },
        people: by == Some(EventCause::People),
        version: version.map(Version::get),
        since,
        until,
    };
    match (order, &after, &to) {
        (Order::Asc, _, Some(_)) => return Err(ApiProblem::field("to", "needs order=desc")),
        (Order::Desc, Some(_), _) => return Err(ApiProblem::field("after", "needs order=asc")),
        (Order::Asc | Order::Desc, ..) => {}
    }
    let limit = limit.get();
    let page = match order {
        Order::Asc => {
            require_filter(&caller, &query)?;
            let after = after.unwrap_or_default();
            let read = gateway
                .inspection
                .events(caller.workspace(), &query, &after, limit);
            read.instrument(replay(caller.workspace(), None)).await?
        }
        Order::Desc => newest_events_page(&gateway, &caller, &query, to.as_ref(), limit).await?,
    };
    Ok(Json(page))
}

/// A page of the newest events up to a token, with the rights of the caller.
pub(crate) async fn newest_events_page(
    gateway: &SharedGateway,
    caller: &Caller,
    query: &LogQuery,
    to: Option<&ConsistencyToken>,
    limit: u32,
) -> Result<EventPage, ApiProblem> {
    require_filter(caller, query)?;
    let page = gateway
        .inspection
        .newest_events(caller.workspace(), query, to, limit)
        .instrument(replay(caller.workspace(), None));
    Ok(page.await?)
}

/// Refuses callers who may not read the log, and names that no event can have.
fn require_filter(caller: &Caller, query: &LogQuery) -> Result<(), ApiProblem> {
    require_name_length("type", query.filter.event_type.as_deref())?;
    require_name_length("category", query.filter.category.as_deref())?;
    caller.require_lab_reader()
}

/// Read an event
///
/// With the events that led to it, those that it led to, and what each view, process manager and consumer has
/// done with it.
#[utoipa::path(get, path = "/events/{id}", tag = "log",
    params(("id" = Uuid, Path, description = "The event")),
    responses(
        (status = 200, description = "The event", body = EventAnswer<Value>),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
        (status = 404, description = "No such event in your workspace", body = Problem),
    ))]
pub(super) async fn event(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(id): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<Json<StoredEventAnswer>, ApiProblem> {
    event_answer(&gateway, &caller, &id).await.map(Json)
}

/// An event with what led to it and what it led to, with the rights of the caller.
pub(crate) async fn event_answer(
    gateway: &SharedGateway,
    caller: &Caller,
    id: &str,
) -> Result<StoredEventAnswer, ApiProblem> {
    caller.require_lab_reader()?;
    let not_found = || ApiProblem::not_found(format_args!("event of this id in your workspace"));
    // A text that is no UUID is the id of no event.
    let id: Uuid = id.parse().map_err(|_| not_found())?;
    let answer = gateway
        .inspection
        .event_with_relatives(caller.workspace(), id)
        .instrument(replay(caller.workspace(), None))
        .await?;
    answer.ok_or_else(not_found)
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
