//! The server's half: asks the request's backend.

use domain::wire::{Problem, SessionInfo};
use leptos::prelude::use_context;

use super::{Events, Found, Listed, StreamPage, unreachable_server};
use crate::backend::{ListingQuery, SharedBackend};

fn backend() -> Option<SharedBackend> {
    use_context::<SharedBackend>()
}

fn without_backend() -> Problem {
    unreachable_server("the page was rendered without a backend".to_owned())
}

/// Who is looking.
pub(crate) fn session() -> Option<SessionInfo> {
    backend()?.session()
}

/// One document.
pub(crate) fn document(view: &'static str, key: String) -> impl Future<Output = Found> + Send {
    let backend = backend();
    async move {
        let answer = match backend {
            Some(backend) => backend.document(view, &key).await,
            None => Err(without_backend()),
        };
        (key, answer)
    }
}

/// A page of a listing.
pub(crate) fn listing(query: ListingQuery) -> impl Future<Output = Listed> + Send {
    let backend = backend();
    async move {
        let answer = match backend {
            Some(backend) => backend.listing(&query).await,
            None => Err(without_backend()),
        };
        (query, answer)
    }
}

/// A page of the streams whose names begin with `prefix`.
pub(crate) fn streams(prefix: String, cursor: Option<String>) -> impl Future<Output = StreamPage> + Send {
    let backend = backend();
    async move {
        backend
            .ok_or_else(without_backend)?
            .streams(&prefix, cursor.as_deref())
            .await
    }
}

/// A page of a stream's events.
pub(crate) fn stream(stream: String, from: u64) -> impl Future<Output = Events> + Send {
    let backend = backend();
    async move { backend.ok_or_else(without_backend)?.stream(&stream, from).await }
}
