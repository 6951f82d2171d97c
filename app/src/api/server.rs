//! The server's half, over the request's backend.

use domain::{
    event::StoredEvent,
    token::ConsistencyToken,
    view::predictions::answer_key,
    wire::{
        ClassAnswer, DeadLetterInfo, EventPage, HandledAnswer, HandlersAnswer, InvariantsAnswer, LessonRun,
        OfferedFields, OwnViewsAnswer, Page, Problem, ProjectionStatus, RecordingInfo, Row, RunInfo,
        SessionInfo, StoredEventAnswer, StreamInfo,
    },
};
use leptos::prelude::use_context;
use serde_json::Value;
use uuid::Uuid;

use super::unreachable_server;
use crate::{
    backend::{ListingQuery, SharedBackend},
    lab::{class::PREDICTIONS, lessons::newest, log_filter::LogFilter},
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
    async move { initial_document(&backend?, view, key).await }
}

async fn initial_document(
    backend: &SharedBackend,
    view: &'static str,
    key: String,
) -> Result<InitialDocument, Problem> {
    let answer = match backend.document(view, &key).await {
        Ok(answer) => Some(answer),
        Err(problem) if problem.status == 404 => None,
        Err(problem) => return Err(problem),
    };
    let view = view.to_owned();
    Ok(InitialDocument { view, key, answer })
}

/// The class, and the question that it is asked, if there is one, with the person's own answer.
pub(crate) fn class()
-> impl Future<Output = Result<(ClassAnswer, Option<[InitialDocument; 2]>), Problem>> + Send {
    let backend = backend();
    let person = session().map(|session| session.actor_id).unwrap_or_default();
    async move {
        let backend = backend?;
        let class = backend.class().await?;
        let Some(question) = class.question else {
            return Ok((class, None));
        };
        let asked = initial_document(&backend, PREDICTIONS, question.to_string()).await?;
        let answer = initial_document(&backend, PREDICTIONS, answer_key(question, person)).await?;
        Ok((class, Some([asked, answer])))
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

/// The views of one's own, the fields that the event types offer for another one, and the first documents of
/// each view, where they can be read; `documents_of` is their query.
pub(crate) fn own_views(
    documents_of: fn(&str) -> ListingQuery,
) -> impl Future<Output = Result<(OwnViewsAnswer, OfferedFields, Vec<InitialListing>), Problem>> + Send {
    let backend = backend();
    async move {
        let backend = backend?;
        let offered = backend.own_view_fields().await?;
        let answer = backend.own_views().await?;
        let mut documents = Vec::new();
        for view in &answer.data {
            let query = documents_of(&view.name);
            if let Ok(answer) = backend.listing(&query).await {
                documents.push(InitialListing { query, answer });
            }
        }
        Ok((answer, offered, documents))
    }
}

/// The names of the views of one's own; none if they cannot be read now.
pub(crate) fn own_view_names() -> impl Future<Output = Vec<String>> + Send {
    let backend = backend();
    async move {
        let Ok(backend) = backend else {
            return Vec::new();
        };
        let answer = backend.own_views().await.unwrap_or_default();
        answer.data.into_iter().map(|view| view.name).collect()
    }
}

/// The recordings that the workspace keeps, newest first.
pub(crate) fn recordings() -> impl Future<Output = Result<Vec<RecordingInfo>, Problem>> + Send {
    let backend = backend();
    async move { backend?.recordings().await }
}

/// The runs of lessons that the person has begun.
pub(crate) fn lesson_runs() -> impl Future<Output = Result<Vec<RunInfo>, Problem>> + Send {
    let backend = backend();
    async move { backend?.lesson_runs().await }
}

/// The run with this id, or else the person's newest run of a lesson; `None` if they have begun none.
pub(crate) fn lesson_run(
    lesson: &'static str,
    id: Option<Uuid>,
    person: Uuid,
) -> impl Future<Output = Result<Option<LessonRun>, Problem>> + Send {
    let backend = backend();
    async move {
        let backend = backend?;
        let id = match id {
            Some(id) => Some(id),
            None => newest(&backend.lesson_runs().await?, lesson, person),
        };
        match id {
            Some(id) => backend.lesson_run(id).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The products that a search finds.
pub(crate) fn search(
    typed: String,
    tag: Option<String>,
) -> impl Future<Output = Result<Value, Problem>> + Send {
    let backend = backend();
    async move { backend?.search(&typed, tag.as_deref()).await }
}
