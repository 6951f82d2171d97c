//! Purging a workspace: the one way for everything of it to go, whoever wants it.
//!
//! In this order: it is marked in the event store, for ever, and nobody appends or reads there any more; each box of this
//! server lets go of it, and its sockets are closed; what views and process managers keep of it is deleted; its log is
//! deleted, and its row last. Each step can be repeated. A crash anywhere leaves the mark, and the next sweep goes on.
//! Nothing is deleted of a workspace that has no mark and never had one: that the event store does not know it may mean that
//! it is the wrong event store.

use std::sync::Arc;

use domain::{id::WorkspaceId, timestamp::Timestamp};
use tokio_util::sync::CancellationToken;

use super::Presence;
use command::CommandService;
use documents::{ReadModel, ReadModelError};
use event_store::{EventStore, Purged, StoreError};
use identity::{People, PeopleError};

use crate::{
    consumer::{Consumers, effects::EffectError},
    read_side::ReadSide,
};

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
    ReadModel(#[from] ReadModelError),
    /// What is kept of people.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// An effect consumer.
    #[error("an effect consumer does not forget: {0}")]
    Effect(#[from] EffectError),
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
    /// Boxes 6 to 10.
    pub read_side: Arc<ReadSide>,
    /// Process managers.
    pub consumers: Arc<Consumers>,
    /// Their keys and credentials.
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
        self.read_side.end(workspace).await;
        self.consumers.end(workspace).await;
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
        for read_model in self.read_models() {
            while read_model.purge(workspace, PIECE).await? {
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
        // Behind their checkpoints: what an effect holds must never lack what a checkpoint says it has.
        self.consumers.forget(workspace).await?;
        Ok(true)
    }

    /// Deletes what is kept of workspaces that the event store has marked or purged: what another server has written about
    /// one while it was being purged, and what this server did not hear of. What is kept of a workspace that the event store
    /// has never had is of another event store, and stays as it is; these workspaces are returned.
    pub async fn forget_strangers(
        &self,
        stopping: &CancellationToken,
    ) -> Result<Vec<WorkspaceId>, PurgeError> {
        let mut strangers = self.read_side.progress.workspaces();
        for read_model in self.read_models() {
            strangers.extend(read_model.workspaces().await?);
        }
        strangers.extend(self.people.store().workspaces().await?);
        strangers.extend(self.consumers.workspaces().await?);
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

    fn read_models(&self) -> impl Iterator<Item = &Arc<dyn ReadModel>> {
        std::iter::once(self.read_side.read_model()).chain(self.consumers.memories())
    }
}
