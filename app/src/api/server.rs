//! The server's half, over the request's backend.

use domain::{
    event::StoredEvent,
    token::ConsistencyToken,
    wire::{
        DeadLetterInfo, EventPage, HandledAnswer, HandlersAnswer, InvariantsAnswer, Page, Problem,
        ProjectionStatus, RecordingInfo, Row, SessionInfo, StoredEventAnswer, StreamInfo,
    },
};
use leptos::prelude::use_context;
use serde_json::Value;

use super::unreachable_server;
use crate::{
    backend::{ListingQuery, SharedBackend},
    lab::log_filter::LogFilter,
    live::store::{InitialDocument, InitialListing},
};

/// The backend of this request. Call it before the first `await`.
pub(crate) fn backend() -> Result<SharedBackend, Problem> {
    use_context::<SharedBackend>()
        .ok_or_else(|| unreachable_server("the page was rendered without a backend".to_owned()))
}

/// The session of this request.
pub(crate) fn session() -> Option<SessionInfo> {
    backend().ok()?.session()
}

/// The dials of the workspace, as `GET /api/v1/lab/dials` answers; `None` if they cannot be read.
pub(crate) fn dials() -> Option<Value> {
    serde_json::to_value(backend().ok()?.dials()?).ok()
}

/// The lights of the workspace.
pub(crate) fn invariants() -> impl Future<Output = Result<InvariantsAnswer, Problem>> + Send {
    let backend = backend();
    async move { backend?.invariants().await }
}

/// One document. A missing one is not a problem: it may appear while the page is open.
pub(crate) fn document(
    view: &'static str,
    key: String,
) -> impl Future<Output = Result<InitialDocument, Problem>> + Send {
    let backend = backend();
    async move {
        let answer = match backend?.document(view, &key).await {
            Ok(answer) => Some(answer),
            Err(problem) if problem.status == 404 => None,
            Err(problem) => return Err(problem),
        };
        let view = view.to_owned();
        Ok(InitialDocument { view, key, answer })
    }
}

/// A page of a listing.
pub(crate) fn listing(query: ListingQuery) -> impl Future<Output = Result<InitialListing, Problem>> + Send {
    let backend = backend();
    async move {
        let answer = backend?.listing(&query).await?;
        Ok(InitialListing { query, answer })
    }
}

/// All rows of a listing, page by page.
pub(crate) fn whole_listing(
    mut query: ListingQuery,
) -> impl Future<Output = Result<Vec<Row>, Problem>> + Send {
    let backend = backend();
    async move {
        let backend = backend?;
        let mut rows = Vec::new();
        loop {
            let page = backend.listing(&query).await?;
            rows.extend(page.data);
            if page.next.is_none() {
                return Ok(rows);
            }
            query.cursor = page.next;
        }
    }
}

/// The head of the log, and the status of every projection.
pub(crate) fn pipeline()
-> impl Future<Output = Result<(ConsistencyToken, Vec<ProjectionStatus>), Problem>> + Send {
    let backend = backend();
    async move {
        let backend = backend?;
        // The statuses first: a head that is read before them could be behind what they have folded.
        let projections = backend.projections().await?;
        Ok((backend.head()?, projections))
    }
}

/// Every view, process manager and consumer, and where it is.
pub(crate) fn handlers() -> impl Future<Output = Result<HandlersAnswer, Problem>> + Send {
    let backend = backend();
    async move { backend?.handlers().await }
}

/// What each of them has done with an event; nothing is asked without one.
pub(crate) fn handled(event: String) -> impl Future<Output = Option<Result<HandledAnswer, Problem>>> + Send {
    let backend = backend();
    async move {
        if event.trim().is_empty() {
            return None;
        }
        match backend {
            Ok(backend) => Some(backend.handled(&event).await),
            Err(problem) => Some(Err(problem)),
        }
    }
}

/// A page of the dead letters, of one handler or of all.
pub(crate) fn dead_letters(
    view: Option<String>,
    cursor: Option<String>,
) -> impl Future<Output = Result<Page<DeadLetterInfo>, Problem>> + Send {
    let backend = backend();
    async move { backend?.dead_letters(view.as_deref(), cursor.as_deref()).await }
}

/// The head of the log.
pub(crate) fn log_head() -> Result<ConsistencyToken, Problem> {
    backend()?.head()
}

/// A page of the newest events of a selection, up to a token.
pub(crate) fn newest_events(
    filter: LogFilter,
    to: Option<String>,
) -> impl Future<Output = Result<EventPage, Problem>> + Send {
    let backend = backend();
    async move { backend?.newest_events(&filter, to.as_deref()).await }
}

/// A page of the streams whose names begin with a prefix.
pub(crate) fn streams(
    prefix: String,
    cursor: Option<String>,
) -> impl Future<Output = Result<Page<StreamInfo>, Problem>> + Send {
    let backend = backend();
    async move { backend?.streams(&prefix, cursor.as_deref()).await }
}

/// A page of the events of a stream, from a version on.
pub(crate) fn stream(name: String, from: u64) -> impl Future<Output = Result<EventPage, Problem>> + Send {
    let backend = backend();
    async move { backend?.stream(&name, from).await }
}

/// How many events of a stream a page comes with at most.
const MOST_VERSIONS: usize = 500;

/// The events of a stream from the first one on, up to a version or to the newest one, as far as a page comes
/// with them.
pub(crate) fn stream_until(
    name: String,
    version: Option<u64>,
) -> impl Future<Output = Result<Vec<StoredEvent>, Problem>> + Send {
    let backend = backend();
    async move {
        let backend = backend?;
        let mut events: Vec<StoredEvent> = Vec::new();
        let mut from = Some(1);
        while let Some(first) = from.filter(|_| events.len() < MOST_VERSIONS) {
            let page = backend.stream(&name, first).await?;
            events.extend(page.data);
            let newest = events.last().map_or(0, |event| event.version);
            let has_more = page.next.is_some() && version.is_none_or(|version| newest < version);
            from = has_more.then_some(newest + 1);
        }
        Ok(events)
    }
}

/// An event, what led to it, what it led to, and what each handler has done with it.
pub(crate) fn event(id: String) -> impl Future<Output = Result<StoredEventAnswer, Problem>> + Send {
    let backend = backend();
    async move { backend?.event(&id).await }
}

/// The recordings that the workspace keeps, newest first.
pub(crate) fn recordings() -> impl Future<Output = Result<Vec<RecordingInfo>, Problem>> + Send {
    let backend = backend();
    async move { backend?.recordings().await }
}

/// The products that a search finds.
pub(crate) fn search(
    typed: String,
    tag: Option<String>,
) -> impl Future<Output = Result<Value, Problem>> + Send {
    let backend = backend();
    async move { backend?.search(&typed, tag.as_deref()).await }
}
