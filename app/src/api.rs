//! The queries and commands of pages and islands. While a page is rendered, they go to the request's
//! [`Backend`](crate::backend::Backend); in the browser, islands use the HTTP API with the session's cookie.

#[cfg(feature = "ssr")]
use domain::wire::SessionInfo;
use domain::{id::WorkspaceId, token::ConsistencyToken, wire::Problem};
use leptos::prelude::*;

#[cfg(not(feature = "ssr"))]
mod browser;
#[cfg(not(feature = "ssr"))]
pub(crate) use browser::{SessionEnd, dials_in_words, document, listing, search, send, session_end, verify};
#[cfg(not(feature = "ssr"))]
pub(crate) mod class;
#[cfg(not(feature = "ssr"))]
pub(crate) mod lab;
#[cfg(feature = "ssr")]
mod server;
#[cfg(feature = "ssr")]
pub(crate) use server::{
    backend, class, dead_letters, dials, document, event, handled, handlers, invariants, lesson_run,
    lesson_runs, listing, log_head, newest_events, own_view_names, own_views, pipeline, recordings, search,
    session, stream, stream_until, streams, whole_listing,
};

/// The cookie that carries the consistency token of a tab's last write, so that the next page shows it.
pub const LAST_WRITE_COOKIE: &str = "foldline_written";

/// What the names of all cookies begin with under HTTPS: a browser then takes them for this host alone.
pub const HOST_COOKIE_PREFIX: &str = "__Host-";

/// Reads the cookie [`LAST_WRITE_COOKIE`]; `None` if it belongs to another workspace.
pub fn last_write_of(workspace: WorkspaceId, cookie: &str) -> Option<ConsistencyToken> {
    let (of, token) = cookie.split_once('.')?;
    let token = token.parse().ok()?;
    (of == workspace.to_string()).then_some(token)
}

/// The consistency token of this tab's last write. Later queries wait for it, so that people read their own
/// writes. Empty on the server, where the pages have already waited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastWrite {
    /// The token.
    pub(crate) token: RwSignal<Option<ConsistencyToken>>,
    #[cfg(not(feature = "ssr"))]
    workspace: Option<WorkspaceId>,
}

#[cfg(not(feature = "ssr"))]
impl LastWrite {
    /// The cookie's lifetime in seconds; no page waits longer than a few.
    const MAX_AGE: u32 = 60;

    /// Provides the islands with the token.
    pub(crate) fn provide(workspace: Option<WorkspaceId>) -> Self {
        let token = RwSignal::new(None);
        let written = Self { token, workspace };
        provide_context(written);
        written
    }

    /// Loads the token of the previous page.
    pub(crate) fn load(self) {
        let before = self
            .workspace
            .and_then(|workspace| last_write_of(workspace, &browser::cookie(LAST_WRITE_COOKIE)?));
        if before.is_some() {
            self.token.set(before);
        }
    }

    /// Records the token of a stored command.
    pub(crate) fn note(self, token: &ConsistencyToken) {
        self.token.update(|written| {
            let written = written.get_or_insert_default();
            for (partition, position) in token.iter() {
                written.advance(partition, position);
            }
            if let Some(workspace) = self.workspace {
                browser::set_cookie(
                    LAST_WRITE_COOKIE,
                    &format!("{workspace}.{written}"),
                    Self::MAX_AGE,
                );
            }
        });
    }
}

/// The session of the page; `None` outside of a workspace.
#[cfg(feature = "ssr")]
#[derive(Debug, Clone)]
pub(crate) struct Session(pub(crate) Option<SessionInfo>);

/// Returns the session of the page.
#[cfg(feature = "ssr")]
pub(crate) fn use_session() -> Option<SessionInfo> {
    use_context::<Session>().and_then(|session| session.0)
}

/// The problem that stands for an unreachable server.
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
        workspace: None,
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_write_to_another_workspace_is_ignored() {
        let here = WorkspaceId(uuid::Uuid::from_u128(1));
        let there = WorkspaceId(uuid::Uuid::from_u128(2));
        let cookie = format!("{here}.0:49,3:7");
        assert_eq!(last_write_of(here, &cookie), "0:49,3:7".parse().ok());
        assert_eq!(last_write_of(there, &cookie), None);
        assert_eq!(last_write_of(here, "nonsense"), None);
    }
}
