//! What pages and islands ask and tell the server. While a page is rendered the questions go to the request's
//! [`Backend`](crate::backend::Backend), and islands in the browser go to the HTTP API with the session's cookie.

#[cfg(feature = "ssr")]
use domain::wire::SessionInfo;
use domain::{id::WorkspaceId, token::ConsistencyToken, wire::Problem};
use leptos::prelude::*;

#[cfg(not(feature = "ssr"))]
mod browser;
#[cfg(not(feature = "ssr"))]
pub(crate) use browser::{listing, search, send, session_is_over, set_cookie, verify};
#[cfg(feature = "ssr")]
mod server;
#[cfg(feature = "ssr")]
pub(crate) use server::{backend, document, listing, search, session};

/// The cookie in which a tab tells the server what it has written, so that the next page shows it.
pub const WRITTEN_COOKIE: &str = "foldline_written";

/// Reads the cookie [`WRITTEN_COOKIE`], where it speaks of this workspace.
pub fn written_in(workspace: WorkspaceId, cookie: &str) -> Option<ConsistencyToken> {
    let (of, token) = cookie.split_once('.')?;
    let token = token.parse().ok()?;
    (of == workspace.to_string()).then_some(token)
}

/// The newest token that this tab has written: later queries wait for it, so that people read what they wrote. Empty
/// on the server, whose pages have waited already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    /// The token.
    pub(crate) token: RwSignal<Option<ConsistencyToken>>,
    #[cfg(not(feature = "ssr"))]
    workspace: Option<WorkspaceId>,
}

#[cfg(not(feature = "ssr"))]
impl Written {
    /// For so many seconds the server is told: no page waits longer than a few.
    const KEPT: u32 = 60;

    /// Gives the islands what this tab has written.
    pub(crate) fn provide(workspace: Option<WorkspaceId>) -> Self {
        let token = RwSignal::new(None);
        let written = Self { token, workspace };
        provide_context(written);
        written
    }

    /// Remembers what the page before has written.
    pub(crate) fn load(self) {
        let before = self
            .workspace
            .and_then(|workspace| written_in(workspace, &browser::cookie(WRITTEN_COOKIE)?));
        if before.is_some() {
            self.token.set(before);
        }
    }

    /// Notes what a command has written.
    pub(crate) fn note(self, token: &ConsistencyToken) {
        self.token.update(|written| {
            let written = written.get_or_insert_default();
            for (partition, position) in token.iter() {
                written.advance(partition, position);
            }
            if let Some(workspace) = self.workspace {
                browser::set_cookie(WRITTEN_COOKIE, &format!("{workspace}.{written}"), Self::KEPT);
            }
        });
    }
}

/// Who is looking at the page; `None` where nobody has opened or joined a workspace.
#[cfg(feature = "ssr")]
#[derive(Debug, Clone)]
pub(crate) struct Session(pub(crate) Option<SessionInfo>);

/// The session of this page.
#[cfg(feature = "ssr")]
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

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_was_written_in_another_workspace_is_not_waited_for() {
        let here = WorkspaceId(uuid::Uuid::from_u128(1));
        let there = WorkspaceId(uuid::Uuid::from_u128(2));
        let cookie = format!("{here}.0:49,3:7");
        assert_eq!(written_in(here, &cookie), "0:49,3:7".parse().ok());
        assert_eq!(written_in(there, &cookie), None);
        assert_eq!(written_in(here, "nonsense"), None);
    }
}
