//! The server's half, over the request's backend.

use domain::{
    token::ConsistencyToken,
    wire::{Problem, ProjectionStatus, RecordingInfo, Row, SessionInfo},
};
use leptos::prelude::use_context;
use serde_json::Value;

use super::unreachable_server;
use crate::{
    backend::{ListingQuery, SharedBackend},
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
