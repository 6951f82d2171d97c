//! What the pages need from the server while it renders them. The server provides a [`Backend`] through Leptos's
//! context for each request, already bound to the session of that request; in the browser the same questions go over
//! HTTP.

use domain::wire::Order;
use serde::{Deserialize, Serialize};

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingQuery {
    /// The view, as in `orders`.
    pub view: String,
    /// The listing, as in `by_status`.
    pub listing: String,
    /// The group within it; empty where there is one.
    pub group: String,
    /// Which way.
    pub order: Order,
    /// The most rows, 1 to 200.
    pub limit: u32,
    /// Where the page begins: the `next` of the page before.
    pub cursor: Option<String>,
}

#[cfg(feature = "ssr")]
mod server {
    use std::sync::Arc;

    use async_trait::async_trait;
    use domain::wire::{
        DocumentAnswer, EventPage, ListingAnswer, MailboxMessage, Page, Problem, SessionInfo, StreamInfo,
    };
    use serde_json::Value;

    use super::ListingQuery;

    /// The questions that a page may ask while it is rendered on the server, each answered with the rights of the session.
    #[async_trait]
    pub trait Backend: Send + Sync + 'static {
        /// Who is asking; `None` where nobody has opened or joined a workspace.
        fn session(&self) -> Option<SessionInfo>;

        /// One document.
        async fn document(&self, view: &str, key: &str) -> Result<DocumentAnswer<Value>, Problem>;

        /// A page of a listing.
        async fn listing(&self, query: &ListingQuery) -> Result<ListingAnswer<Value>, Problem>;

        /// The products that a search finds, the best first.
        async fn search(&self, typed: &str, tag: Option<&str>) -> Result<Value, Problem>;

        /// A page of the mails that no mail server took, the newest first.
        async fn mails(&self, cursor: Option<&str>) -> Result<Page<MailboxMessage>, Problem>;

        /// A page of the workspace's streams whose names begin with `prefix`.
        async fn streams(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<StreamInfo>, Problem>;

        /// A page of one stream's events, from a version on.
        async fn stream(&self, stream: &str, from: u64) -> Result<EventPage, Problem>;
    }

    /// How the backend is found in Leptos's context.
    pub type SharedBackend = Arc<dyn Backend>;
}

#[cfg(feature = "ssr")]
pub use server::{Backend, SharedBackend};

/// Given by context where the browser has just written something that views may not show yet.
#[cfg(feature = "ssr")]
#[derive(Debug, Clone, Copy)]
pub struct HasWritten;
