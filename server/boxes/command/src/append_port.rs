//! The port through which commands are appended, and what keeps those of one stream and those of one client
//! apart.
//!
//! [`StorePort`] is the event store with every guarantee. Another port may hold fewer of them in a workspace;
//! the command service does what the port says, and does not know why.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use domain::id::{StreamName, WorkspaceId};
use event_store::{Append, AppendAnswer, AppendError, EventStore};
use uuid::Uuid;

use super::intent::Intent;

/// How the commands on one stream are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Those of this process wait for each other; the version check of the append finds those of others.
    #[default]
    Queue,
    /// The version check of the append finds all of them.
    VersionCheck,
    /// Not at all: the append compares no version, so a cached state is not relied on, and a version that a
    /// caller names is not compared either.
    Nothing,
}

/// Appends the events of commands.
#[async_trait]
pub trait AppendPort: Debug + Send + Sync {
    /// How the commands on a stream are kept apart.
    fn isolation(&self, _workspace: WorkspaceId, _stream: &StreamName) -> Isolation {
        Isolation::default()
    }

    /// The id of a command that is taken for a new one, although its own may have been used before. `None`:
    /// its own id names it, and a repetition gets the first answer again.
    fn new_id(&self, _intent: &Intent) -> Option<Uuid> {
        None
    }

    /// Stores the events of an append, all or none.
    async fn append(&self, append: Append) -> Result<AppendAnswer, AppendError>;
}

/// The event store, with every guarantee.
#[derive(Debug)]
pub(super) struct StorePort(pub(super) Arc<dyn EventStore>);

#[async_trait]
impl AppendPort for StorePort {
    async fn append(&self, append: Append) -> Result<AppendAnswer, AppendError> {
        self.0.append(append).await
    }
}
