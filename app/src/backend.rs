//! The port through which pages query the server while they are rendered. The server provides a [`Backend`]
//! in Leptos's context for each request, bound to the session of that request; in the browser, the same
//! queries go over HTTP.

use domain::wire::Order;
use serde::{Deserialize, Serialize};

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingQuery {
    /// The view, as in `orders`.
    pub view: String,
    /// The listing, as in `by_status`.
    pub listing: String,
    /// The group within it; empty for a listing without groups.
    pub group: String,
    /// The sort order.
    pub order: Order,
    /// The maximum number of rows, 1 to 200.
    pub limit: u32,
    /// The start of the page: the previous page's `next`.
    pub cursor: Option<String>,
}

#[cfg(feature = "ssr")]
mod server {
    use std::sync::Arc;

    use async_trait::async_trait;
    use domain::{
        token::ConsistencyToken,
        wire::{
            ClassAnswer, DeadLetterInfo, DialsAnswer, DocumentAnswer, EventPage, HandledAnswer,
            HandlersAnswer, InvariantsAnswer, LessonRun, ListingAnswer, MailboxMessage, OfferedFields,
            OwnViewsAnswer, Page, Problem, ProjectionStatus, RecordingInfo, RunInfo, SessionInfo,
            StoredEventAnswer, StreamInfo,
        },
    };
    use serde_json::Value;
    use uuid::Uuid;

    use super::ListingQuery;
    use crate::lab::log_filter::LogFilter;

    /// The queries that a page may make while it is rendered. Each is answered with the rights of the
    /// session.
    #[async_trait]
    pub trait Backend: Send + Sync + 'static {
        /// The session; `None` outside of a workspace.
        fn session(&self) -> Option<SessionInfo>;

        /// The dials of the workspace; `None` outside of one, and where they cannot be read.
        fn dials(&self) -> Option<DialsAnswer>;

        /// One document.
        async fn document(&self, view: &str, key: &str) -> Result<DocumentAnswer<Value>, Problem>;

        /// A page of a listing.
        async fn listing(&self, query: &ListingQuery) -> Result<ListingAnswer<Value>, Problem>;

        /// The products that match a search, best match first.
        async fn search(&self, typed: &str, tag: Option<&str>) -> Result<Value, Problem>;

        /// A page of the emails in the development mailbox, newest first.
        async fn mails(&self, cursor: Option<&str>) -> Result<Page<MailboxMessage>, Problem>;

        /// A page of the workspace's streams whose names start with `prefix`.
        async fn streams(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<StreamInfo>, Problem>;

        /// A page of one stream's events, from a version on.
        async fn stream(&self, stream: &str, from: u64) -> Result<EventPage, Problem>;

        /// A page of the newest events of a selection, up to a token or to the head.
        async fn newest_events(&self, filter: &LogFilter, to: Option<&str>) -> Result<EventPage, Problem>;

        /// The event with this id, what led to it, what it led to, and what each handler has done with it.
        async fn event(&self, id: &str) -> Result<StoredEventAnswer, Problem>;

        /// Whether the log has a stream that this session will be shown once the views have folded it: to a
        /// customer, one that they began.
        async fn has_stream(&self, stream: &str) -> Result<bool, Problem>;

        /// The head of the log.
        fn head(&self) -> Result<ConsistencyToken, Problem>;

        /// The status of every projection.
        async fn projections(&self) -> Result<Vec<ProjectionStatus>, Problem>;

        /// Every view, process manager and consumer, and where it is.
        async fn handlers(&self) -> Result<HandlersAnswer, Problem>;

        /// What each of them has done with an event, which is named by its id or by its place, as in `0:127`.
        async fn handled(&self, event: &str) -> Result<HandledAnswer, Problem>;

        /// A page of the dead letters, of one handler or of all.
        async fn dead_letters(
            &self,
            view: Option<&str>,
            cursor: Option<&str>,
        ) -> Result<Page<DeadLetterInfo>, Problem>;

        /// The lights of the workspace's invariants.
        async fn invariants(&self) -> Result<InvariantsAnswer, Problem>;

        /// The views of one's own, by name.
        async fn own_views(&self) -> Result<OwnViewsAnswer, Problem>;

        /// What the event types offer for a view of one's own.
        async fn own_view_fields(&self) -> Result<OfferedFields, Problem>;

        /// The class, as it is shown to the session's person.
        async fn class(&self) -> Result<ClassAnswer, Problem>;

        /// The recordings that the workspace keeps, newest first.
        async fn recordings(&self) -> Result<Vec<RecordingInfo>, Problem>;

        /// The runs of lessons that the session's person has begun.
        async fn lesson_runs(&self) -> Result<Vec<RunInfo>, Problem>;

        /// A run of a lesson: an own one, and to an educator also another person's.
        async fn lesson_run(&self, id: Uuid) -> Result<LessonRun, Problem>;
    }

    /// The type under which the backend is in Leptos's context.
    pub type SharedBackend = Arc<dyn Backend>;
}

#[cfg(feature = "ssr")]
pub use server::{Backend, SharedBackend};
