//! Purging a workspace: the one way for everything of it to go, whoever wants it.
//!
//! In this order: it is marked in the event store, for ever, and nobody appends or reads there any more; each box of this
//! server lets go of it, and its sockets are closed; what views and process managers keep of it is deleted; its log is
//! deleted, and its row last. Each step can be repeated. A crash anywhere leaves the mark, and the next sweep goes on.
//! Nothing is deleted of a workspace that has no mark and never had one: that the event store does not know it may mean that
//! it is the wrong event store.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};
use tokio_util::sync::CancellationToken;

use super::Presence;
use command::CommandService;
use documents::{DocumentStore, DocumentStoreError};
use event_store::{EventStore, Purged, StoreError};
use identity::{People, PeopleError};

/// How many rows go in one transaction: a few milliseconds, so that whoever appends elsewhere hardly notices.
const PIECE: u32 = 1_000;

/// Why a purge does not go on for now.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// The event store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A read model.
    #[error(transparent)]
    ReadModel(#[from] DocumentStoreError),
    /// What is kept of people.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// What a consumer has made.
    #[error("a consumer does not forget: {0}")]
    Consumer(String),
}

/// Boxes that keep something of workspaces, in memory or for good.
#[async_trait]
pub trait WorkspaceKeeper: Send + Sync + Debug {
    /// A workspace is there no more. When this returns, nothing writes to it here, and nothing of it is in memory.
    async fn end(&self, workspace: WorkspaceId);

    /// The stores of documents with what is kept of workspaces; they are purged before [`forget`](Self::forget) is called.
    fn stores(&self) -> Vec<Arc<dyn DocumentStore>>;

    /// Deletes what is kept of a workspace elsewhere.
    async fn forget(&self, workspace: WorkspaceId) -> Result<(), PurgeError>;

    /// The workspaces of which something is kept in memory, or elsewhere than in the stores of documents.
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PurgeError>;
}

/// See the module.
#[derive(Debug)]
pub struct Purger {
    /// Box 5.
    pub store: Arc<dyn EventStore>,
    /// Who is where.
    pub presence: Arc<Presence>,
    /// Box 3.
    pub commands: Arc<CommandService>,
    /// Boxes 6 to 10, process managers, and consumers: in this order they let go of a workspace.
    pub keepers: Vec<Arc<dyn WorkspaceKeeper>>,
    /// Keys and credentials of people.
    pub people: Arc<People>,
}

impl Purger {
    /// Marks a workspace; with `idle_since`, only if nobody was there since. `false`: it is not there, or somebody was.
    /// When it returns `true`, nobody gets in or out of it.
    pub async fn begin(
        &self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let begun = self.store.begin_purge(workspace, idle_since).await?;
        if begun {
            tracing::info!(%workspace, idle = idle_since.is_some(), "a workspace is being purged");
            self.end(workspace).await;
        }
        Ok(begun)
    }

    /// Everybody on this server lets go of a workspace that is gone.
    pub async fn end(&self, workspace: WorkspaceId) {
        self.presence.end(workspace);
        for keeper in &self.keepers {
            keeper.end(workspace).await;
        }
        self.commands.end(workspace);
        self.people.end(workspace);
    }

    /// Deletes what is left of a marked workspace, until it is done or `stopping`. `false`: something is left, which
    /// another server may be deleting.
    pub async fn finish(
        &self,
        workspace: WorkspaceId,
        stopping: &CancellationToken,
    ) -> Result<bool, PurgeError> {
        self.end(workspace).await;
        if !self.forget(workspace, stopping).await? {
            return Ok(false);
        }
        while !stopping.is_cancelled() {
            match self.store.purge(workspace, PIECE).await? {
                Purged::Piece => {}
                Purged::Whole => {
                    metrics::counter!("foldline_workspaces_purged_total").increment(1);
                    tracing::info!(%workspace, "a workspace is purged");
                    return Ok(true);
                }
                Purged::Elsewhere => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Deletes what views, consumers and the keys of people keep of a workspace; `false`: it was stopped.
    async fn forget(&self, workspace: WorkspaceId, stopping: &CancellationToken) -> Result<bool, PurgeError> {
        for store in self.stores() {
            while store.purge(workspace, PIECE).await? {
                if stopping.is_cancelled() {
                    return Ok(false);
                }
            }
        }
        let people = self.people.store();
        while people.purge(workspace, PIECE).await? {
            if stopping.is_cancelled() {
                return Ok(false);
            }
        }
        // Behind their checkpoints: what a consumer has made must never lack what its checkpoint says it has.
        for keeper in &self.keepers {
            keeper.forget(workspace).await?;
        }
        Ok(true)
    }

    /// Deletes what is kept of workspaces that the event store has marked or purged: what another server has written about
    /// one while it was being purged, and what this server did not hear of. What is kept of a workspace that the event store
    /// has never had is of another event store, and stays as it is; these workspaces are returned.
    pub async fn forget_strangers(
        &self,
        stopping: &CancellationToken,
    ) -> Result<Vec<WorkspaceId>, PurgeError> {
        let mut strangers = self.people.store().workspaces().await?;
        for store in self.stores() {
            strangers.extend(store.workspaces().await?);
        }
        for keeper in &self.keepers {
            strangers.extend(keeper.workspaces().await?);
        }
        strangers.sort_unstable();
        strangers.dedup();
        // read behind them: of a workspace that was opened since, nothing is among them
        let mut behind = None;
        loop {
            let known = self.store.workspaces(behind, PIECE).await?;
            let Some(last) = known.last() else { break };
            behind = Some(last.id);
            strangers.retain(|stranger| known.binary_search_by_key(stranger, |known| known.id).is_err());
        }
        let mut foreign = Vec::new();
        for stranger in strangers {
            if !self.store.was_purged(stranger).await? {
                foreign.push(stranger);
                continue;
            }
            tracing::info!(workspace = %stranger, "what is kept of a purged workspace is deleted");
            self.end(stranger).await;
            if !self.forget(stranger, stopping).await? {
                break;
            }
        }
        Ok(foreign)
    }

    fn stores(&self) -> impl Iterator<Item = Arc<dyn DocumentStore>> {
        self.keepers.iter().flat_map(|keeper| keeper.stores())
    }
}
