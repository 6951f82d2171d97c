//! Messages between servers on one database: what no event tells.
//!
//! A message is a hint, and may be lost. A server that may have missed one reads the stores again, and asks
//! the others for what is in memory only.

use domain::{
    id::WorkspaceId,
    wire::{Hop, MergedHops},
};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// A message to the other servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// A server has begun to listen; the others tell it what is in memory only.
    Hello,
    /// Documents of a handler have changed without an event of their own: another generation of it is live,
    /// or parked events of it were released.
    Changed {
        /// The workspace.
        workspace: WorkspaceId,
        /// The name of the handler.
        handler: String,
    },
    /// Lanes have committed changes of these workspaces, and have handed them over in the read model.
    Folded {
        /// The workspaces.
        workspaces: Vec<WorkspaceId>,
    },
    /// A server has joined the others, leaves them, or has given them lane groups.
    Owners,
    /// An educator has the lanes of a handler crash.
    Crash {
        /// The workspace.
        workspace: WorkspaceId,
        /// The name of the handler.
        handler: String,
    },
    /// The stored dials of a workspace have changed.
    DialsChanged {
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// A workspace was reset: another one has its place and its people.
    Moved {
        /// The workspace that has ended.
        workspace: WorkspaceId,
        /// The one that has its place.
        successor: WorkspaceId,
    },
    /// The views of one's own of a workspace have changed: one was created or deleted.
    OwnViewsChanged {
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// The stored class of a workspace has changed: what it is shown, or who is there.
    ClassChanged {
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// A workspace is observed in the lab of a server: for the next minute the others send it the hops that
    /// they make there.
    HopsWanted {
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// Hops that a server has made in a workspace, for those that observe it.
    Hops {
        /// The workspace.
        workspace: WorkspaceId,
        /// Single hops.
        data: Vec<Hop>,
        /// Further hops, counted for each arrow.
        merged: Vec<MergedHops>,
        /// How many were lost before these.
        dropped: u64,
    },
}

/// What a server hears of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message(ServerMessage),
    /// Messages may have been missed.
    Missed,
}

impl Heard {
    /// What is heard next; without end, if the broker knows no other servers. Cancel safe.
    pub async fn next(messages: &mut Receiver<Self>) -> Self {
        match messages.recv().await {
            Ok(heard) => heard,
            Err(RecvError::Lagged(_)) => Self::Missed,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// What the event store has reported. A message in the format of another version may say anything.
    pub(super) fn parse(message: Option<&str>) -> Self {
        let message = message.and_then(|message| serde_json::from_str(message).ok());
        message.map_or(Self::Missed, Self::Message)
    }
}
