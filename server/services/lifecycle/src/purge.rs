//! Purges workspaces: the only way in which the data of a workspace is deleted, on demand and after expiry.
//!
//! The steps: the event store marks the workspace, irrevocably, and refuses appends and reads there; each box
//! of this server removes it from memory, and its sockets are closed; its rows in the stores of views,
//! process managers and people are deleted; then its log, and its own row last. Each step can be repeated.
//! After a crash the mark remains, and the next sweep continues. Data of a workspace that was never marked is
//! not deleted: an unknown workspace may mean that the server has the wrong event store.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};
use tokio_util::sync::CancellationToken;

use super::Presence;
use command::CommandService;
use documents::{DocumentStore, DocumentStoreError};
use event_store::{EventStore, PurgeProgress, StoreError, Workspace};
use identity::{People, PeopleError};

/// The most rows of one transaction: a few milliseconds, so that other appends are hardly delayed.
const BATCH: u32 = 1_000;

/// Why a purge stops for now.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// The event store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document store failed.
    #[error(transparent)]
    ReadModel(#[from] DocumentStoreError),
    /// The people store failed.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// A consumer failed to delete its data.
    #[error("a consumer could not delete its data: {0}")]
    Consumer(String),
}

/// A box with data of workspaces, in memory or in stores.
#[async_trait]
pub trait WorkspaceKeeper: Send + Sync + Debug {
    /// Ends a workspace. When this returns, nothing writes to it here, and none of its data is in memory.
    async fn end(&self, workspace: WorkspaceId);

    /// The document stores with data of workspaces; they are purged before [`forget`](Self::forget) is
    /// called.
    fn stores(&self) -> Vec<Arc<dyn DocumentStore>>;

    /// This server has reset a workspace: another one has its place.
    async fn replaced(&self, _: WorkspaceId, _successor: WorkspaceId) {}

    /// Deletes the data of a workspace outside the document stores.
    async fn forget(&self, workspace: WorkspaceId) -> Result<(), PurgeError>;

    /// The workspaces with data in memory or outside the document stores.
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PurgeError>;
}

/// Purges workspaces across the boxes of a server.
#[derive(Debug)]
pub struct Purger {
    /// The event store, box 5.
    pub store: Arc<dyn EventStore>,
    /// The presence of workspaces.
    pub presence: Arc<Presence>,
    /// The command service, box 3.
    pub commands: Arc<CommandService>,
    /// Boxes 6 to 10, process managers and consumers, in the order in which they end a workspace.
    pub keepers: Vec<Arc<dyn WorkspaceKeeper>>,
    /// Keys and credentials of people.
    pub people: Arc<People>,
}

impl Purger {
    /// Marks a workspace; with `idle_since`, only if it had no activity since. `false`: it does not exist, or
    /// had activity. When it returns `true`, every request to the workspace is refused.
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

    /// Marks a workspace whose place another one takes, under its join code. `false`: one of the two does not
    /// exist. When it returns `true`, every request to the old workspace is refused with the way to the new
    /// one.
    pub async fn replace(&self, old: &Workspace, new: WorkspaceId) -> Result<bool, StoreError> {
        let replaced = self.store.replace(old, new).await?;
        if replaced {
            tracing::info!(workspace = %old.id, successor = %new, "a workspace was reset");
            self.moved(old.id, new).await;
            for keeper in &self.keepers {
                keeper.replaced(old.id, new).await;
            }
        }
        Ok(replaced)
    }

    /// Removes a workspace whose place another one has taken from the memory of this server.
    pub async fn moved(&self, old: WorkspaceId, new: WorkspaceId) {
        self.presence.note_move(old, new);
        self.commands.moved(old, new);
        self.end(old).await;
    }

    /// Removes a workspace that has ended from the memory of this server.
    pub async fn end(&self, workspace: WorkspaceId) {
        self.presence.end(workspace);
        for keeper in &self.keepers {
            keeper.end(workspace).await;
        }
        self.commands.end(workspace);
        self.people.end(workspace);
    }

    /// Deletes the rest of a marked workspace, until it is complete or `stopping` is cancelled. `false`:
    /// something is left, which another server may be deleting.
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
            match self.store.purge(workspace, BATCH).await? {
                PurgeProgress::Batch => {}
                PurgeProgress::Complete => {
                    metrics::counter!("foldline_workspaces_purged_total").increment(1);
                    tracing::info!(%workspace, "a workspace is purged");
                    return Ok(true);
                }
                PurgeProgress::HeldElsewhere => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Deletes a workspace's data in the stores of views, people and consumers; `false`: it was stopped.
    async fn forget(&self, workspace: WorkspaceId, stopping: &CancellationToken) -> Result<bool, PurgeError> {
        for store in self.stores() {
            while store.purge(workspace, BATCH).await? {
                if stopping.is_cancelled() {
                    return Ok(false);
                }
            }
        }
        let people = self.people.store();
        while people.purge(workspace, BATCH).await? {
            if stopping.is_cancelled() {
                return Ok(false);
            }
        }
        // After their checkpoints: the output of a consumer must never lack events that its checkpoint
        // includes.
        for keeper in &self.keepers {
            keeper.forget(workspace).await?;
        }
        Ok(true)
    }

    /// Deletes orphaned data: rows of workspaces that the event store has marked or purged, which another
    /// server wrote during the purge, or which this server has missed. Data of a workspace that the event
    /// store has never had belongs to another event store, and is left unchanged; these workspaces are
    /// returned.
    pub async fn purge_orphans(&self, stopping: &CancellationToken) -> Result<Vec<WorkspaceId>, PurgeError> {
        let mut orphans = self.people.store().workspaces().await?;
        for store in self.stores() {
            orphans.extend(store.workspaces().await?);
        }
        for keeper in &self.keepers {
            orphans.extend(keeper.workspaces().await?);
        }
        orphans.sort_unstable();
        orphans.dedup();
        // read after the orphans, so that a workspace that was opened meanwhile is not among them
        let mut after = None;
        loop {
            let existing = self.store.workspaces(after, BATCH).await?;
            let Some(last) = existing.last() else { break };
            after = Some(last.id);
            orphans.retain(|orphan| {
                existing
                    .binary_search_by_key(orphan, |workspace| workspace.id)
                    .is_err()
            });
        }
        let mut foreign = Vec::new();
        for orphan in orphans {
            if !self.store.was_purged(orphan).await? {
                foreign.push(orphan);
                continue;
            }
            if self.presence.is_being_left(orphan).await? {
                continue;
            }
            tracing::info!(workspace = %orphan, "orphaned data of a purged workspace is deleted");
            self.end(orphan).await;
            if !self.forget(orphan, stopping).await? {
                break;
            }
        }
        Ok(foreign)
    }

    fn stores(&self) -> impl Iterator<Item = Arc<dyn DocumentStore>> {
        self.keepers.iter().flat_map(|keeper| keeper.stores())
    }
}
