//! The rare signals that all connections of a workspace or of the server hear.
//!
//! To wait for one is to take a lock that all connections share. A change wakes all connections that show it,
//! so each signal is polled only when it has come.

use std::sync::Arc;

use axum::extract::ws::close_code;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Disconnect, line::CUT};
use crate::{SharedGateway, auth::Caller};
use identity::session_status::SessionChange;

/// A signal.
pub(super) enum Signal {
    /// The server stops, or the line is cut.
    End(Disconnect),
    /// The workspace has ended.
    WorkspaceEnded,
    /// Sessions have changed.
    Sessions(Result<SessionChange, RecvError>),
}

/// A signal, with the receiver of the next one where there may be one.
type Received = (Signal, Option<Receiver<SessionChange>>);

/// The signals that a connection waits for.
pub(super) struct Signals(FuturesUnordered<BoxFuture<'static, Received>>);

impl Signals {
    /// The signals of a caller's connection, from now on.
    pub(super) fn new(gateway: &SharedGateway, caller: &Caller) -> Self {
        let stopping = gateway.stopping.clone().cancelled_owned();
        let stopping = stopping.map(|()| end(close_code::AWAY, "the server is stopping"));
        let gone = gateway.presence.end_token(caller.workspace()).cancelled_owned();
        let gone = gone.map(|()| (Signal::WorkspaceEnded, None));
        let cut = Arc::clone(&gateway.line).cut(caller.workspace());
        let cut = cut.map(|()| end(close_code::RESTART, CUT));
        let changes = next_change(gateway.people.session_changes());
        Self(
            [stopping.boxed(), gone.boxed(), cut.boxed(), changes]
                .into_iter()
                .collect(),
        )
    }

    /// Waits for the next signal. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Signal> {
        let (signal, changes) = self.0.next().await?;
        if let Some(changes) = changes {
            self.0.push(next_change(changes));
        }
        Some(signal)
    }
}

fn end(code: u16, reason: &'static str) -> Received {
    (Signal::End(Disconnect::Close(code, reason)), None)
}

fn next_change(mut changes: Receiver<SessionChange>) -> BoxFuture<'static, Received> {
    Box::pin(async move {
        let change = changes.recv().await;
        (Signal::Sessions(change), Some(changes))
    })
}
