//! What pages ask and tell the server. While a page is rendered on the server the questions go to the request's
//! [`Backend`](crate::backend::Backend); in the browser the same questions go to the HTTP API with the session's cookie.
//! Both answer with the same types, so a page does not know where it runs.

use domain::{
    token::ConsistencyToken,
    wire::{DocumentAnswer, EventPage, ListingAnswer, Page, Problem, SessionInfo, StreamInfo},
};
use leptos::prelude::*;

use crate::backend::ListingQuery;

#[cfg(not(feature = "ssr"))]
mod browser;
#[cfg(not(feature = "ssr"))]
pub(crate) use browser::{document, listing, send, session, stream, streams, verify};
#[cfg(feature = "ssr")]
mod server;
#[cfg(feature = "ssr")]
pub(crate) use server::{document, listing, session, stream, streams};

/// The answer of a listing, with the question: a page that asks another one meanwhile knows which it is.
pub(crate) type Listed = (ListingQuery, Result<ListingAnswer, Problem>);

/// The key of a document, and what was found there.
pub(crate) type Found = (String, Result<DocumentAnswer, Problem>);

/// The newest token that this tab has written: later queries wait for it, so that people read what they wrote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written(pub(crate) RwSignal<Option<ConsistencyToken>>);

#[cfg(not(feature = "ssr"))]
impl Written {
    /// Notes what a command has written.
    pub(crate) fn note(self, token: &ConsistencyToken) {
        self.0.update(|written| {
            let written = written.get_or_insert_default();
            for (partition, position) in token.iter() {
                written.advance(partition, position);
            }
        });
    }
}

/// Who is looking at the page; `None` where nobody has opened or joined a workspace. It does not change while the page
/// is open, because entering and leaving load a page.
#[derive(Debug, Clone)]
pub(crate) struct Session(pub(crate) Option<SessionInfo>);

/// The session of this page.
pub(crate) fn use_session() -> Option<SessionInfo> {
    use_context::<Session>().and_then(|session| session.0)
}

/// A problem that is not the server's: it could not be asked.
pub(crate) fn unreachable_server(detail: String) -> Problem {
    Problem {
        kind: "/problems/unreachable".to_owned(),
        title: String::new(),
        status: 0,
        detail,
        violations: Vec::new(),
        current_version: None,
        rule: None,
        waiting_for: Vec::new(),
    }
}

/// A page of streams.
pub(crate) type StreamPage = Result<Page<StreamInfo>, Problem>;
/// A page of events.
pub(crate) type Events = Result<EventPage, Problem>;
