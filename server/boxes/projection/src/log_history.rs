//! Compares checkpoints with the log. A log that was restored from a backup may end before what was folded
//! from it, or go on differently from there: beside each checkpoint is the hash that the log's chain has at
//! its position. What is ahead of its log, or of another history, is folded anew.
//!
//! A view gets a new generation that is live at once, and empty: a reader never sees an event that the log
//! does not have. A process manager and a consumer begin again at the first event: commands keep their ids,
//! so none takes effect twice, and a consumer recognises what it has handled by the ids of events, or deletes
//! its output first (see [`EventHandler::begin_again`]).
//!
//! Checkpoints are compared at start, and while the server runs when it may have missed what happened to the
//! database.
//!
//! A checkpoint may also be lost while its documents are there, as after a restore of some of the tables. A
//! lane would fold its events into them again. Documents, checkpoint and parked events of a lane change in
//! one transaction, so those without a checkpoint show that it is lost; they are folded anew too.

use std::collections::{BTreeSet, HashMap, HashSet};

use documents::{DocumentStoreError, FIRST_GENERATION, Moment, Scope, StoredCheckpoint};
use domain::{id::WorkspaceId, token::ConsistencyToken};
use event_store::{ChainHead, EventStore, StoreError};

use super::{Context, generation_switch::follow_change, handler::EventHandler, lane_group::Lanes};
use broker::{PartitionId, ServerMessage, read_next};

/// Events that are read at a time.
const PAGE: u32 = 500;

/// The most hashes that are kept while checkpoints are compared: lanes of one partition mostly have the same.
const MAX_HASHES: usize = 10_000;

/// The histories of a log's partitions, to compare records of them with.
#[derive(Debug)]
pub struct LogHistory<'a> {
    store: &'a dyn EventStore,
    heads: HashMap<PartitionId, ChainHead>,
    workspaces: HashSet<WorkspaceId>,
    /// Hashes that were read; `None`: the log does not reach as far, or the event there cannot be read.
    hashes: HashMap<(PartitionId, u64), Option<String>>,
}

impl<'a> LogHistory<'a> {
    /// The histories as they are now: everything that was known to be stored before is in them.
    pub async fn read(store: &'a dyn EventStore) -> Result<Self, StoreError> {
        let mut history = Self {
            store,
            heads: HashMap::new(),
            workspaces: HashSet::new(),
            hashes: HashMap::new(),
        };
        for (workspace, partition, head) in store.chain_heads(None).await? {
            history.workspaces.insert(workspace);
            history.heads.insert(PartitionId { workspace, partition }, head);
        }
        Ok(history)
    }

    /// Whether the log has this workspace. What belongs to another log is left alone.
    pub fn has_workspace(&self, workspace: WorkspaceId) -> bool {
        self.workspaces.contains(&workspace)
    }

    /// The position of the newest event of a partition.
    pub fn head(&self, partition: PartitionId) -> u64 {
        self.heads.get(&partition).map_or(0, |head| head.position)
    }

    /// Whether the log has an event at this position, with this hash if it is known.
    pub async fn contains(
        &mut self,
        partition: PartitionId,
        position: u64,
        hash: Option<&str>,
    ) -> Result<bool, StoreError> {
        if position > self.head(partition) {
            return Ok(false);
        }
        let Some(hash) = hash else { return Ok(true) };
        if let Some(head) = self.heads.get(&partition)
            && head.position == position
        {
            return Ok(head.hash == hash);
        }
        let known = if let Some(known) = self.hashes.get(&(partition, position)) {
            known.clone()
        } else {
            let read = self.hash_at(partition, position).await?;
            if self.hashes.len() >= MAX_HASHES {
                self.hashes.clear();
            }
            self.hashes.insert((partition, position), read.clone());
            read
        };
        // An event that cannot be read stops the lanes of its partition, and is no reason to fold anew.
        Ok(known.is_none_or(|known| known == hash))
    }

    async fn hash_at(&self, partition: PartitionId, position: u64) -> Result<Option<String>, StoreError> {
        match self
            .store
            .hash_at(partition.workspace, partition.partition, position)
            .await
        {
            Err(StoreError::Corrupt(error)) => {
                tracing::warn!(%partition, position, error, "a checkpoint cannot be compared with the log");
                Ok(None)
            }
            read => read,
        }
    }
}

/// A handler of a workspace.
type HandlerOf = (WorkspaceId, &'static str);

/// Has every handler whose checkpoints do not fit the log begin again, before its lanes run.
pub(super) async fn begin_again_at_start(context: &Context) -> Result<(), DocumentStoreError> {
    // Before the heads: another server may be folding.
    let checkpoints = context.documents.checkpoints().await?;
    let mut history = LogHistory::read(&*context.store).await.map_err(unavailable)?;
    let known = lanes_of(context, &checkpoints);
    let mut again = foreign(context, checkpoints, &mut history).await?;
    let lost = lost_checkpoints(context, &known, &history, Evidence::AnyDocument, &again).await?;
    again.extend(lost);
    for (workspace, view) in again {
        if let Some(handler) = context.progress.handler(view) {
            begin_again(context, &**handler, workspace, &mut history).await?;
        }
    }
    cancel_foreign_builds(context, &history).await
}

/// The same while lanes run: they are set back, and fold what is there.
pub(super) async fn begin_again_while_running(
    context: &Context,
    lanes: &[Lanes],
) -> Result<(), DocumentStoreError> {
    let checkpoints = context.documents.checkpoints().await?;
    let known: Vec<(WorkspaceId, ConsistencyToken)> = context
        .progress
        .workspaces()
        .into_iter()
        .map(|workspace| (workspace, context.progress.head(workspace)))
        .collect();
    let mut history = LogHistory::read(&*context.store).await.map_err(unavailable)?;
    let mut changed = BTreeSet::new();
    for (workspace, known) in known {
        let heads = known
            .iter()
            .map(|(partition, _)| (partition, history.head(PartitionId { workspace, partition })));
        let heads: ConsistencyToken = heads.collect();
        if history.has_workspace(workspace) && !heads.covers(&known) {
            tracing::error!(%workspace, %known, %heads, "the log has fewer events than before");
            context.progress.note_restored(workspace, &heads);
            changed.insert(workspace);
        }
    }
    let known_lanes = lanes_of(context, &checkpoints);
    let mut again = foreign(context, checkpoints, &mut history).await?;
    let lost = lost_checkpoints(context, &known_lanes, &history, Evidence::NoCheckpoint, &again).await?;
    again.extend(lost);
    for (workspace, view) in again {
        let Some(handler) = context.progress.handler(view) else {
            continue;
        };
        if let Some(progress) = context.progress.of(workspace, view) {
            let _turn = progress.turn().await;
            begin_again(context, &**handler, workspace, &mut history).await?;
        }
        follow_change(context, view, workspace).await?;
        let message = ServerMessage::Changed {
            workspace,
            handler: view.to_owned(),
        };
        context.broker.tell(&message).await;
        changed.insert(workspace);
    }
    for workspace in changed {
        start_lanes(context, lanes, workspace, &history);
    }
    Ok(())
}

/// The handlers that have a checkpoint which is ahead of the log or of another history.
async fn foreign(
    context: &Context,
    checkpoints: Vec<StoredCheckpoint>,
    history: &mut LogHistory<'_>,
) -> Result<BTreeSet<HandlerOf>, DocumentStoreError> {
    let mut foreign = BTreeSet::new();
    for checkpoint in checkpoints {
        let StoredCheckpoint {
            workspace,
            view,
            partition,
            position,
            hash,
            ..
        } = checkpoint;
        let Some(handler) = context.progress.handler(&view) else {
            continue;
        };
        if !history.has_workspace(workspace) || foreign.contains(&(workspace, handler.name())) {
            continue;
        }
        let partition = PartitionId { workspace, partition };
        let contained = history.contains(partition, position, hash.as_deref()).await;
        if !contained.map_err(unavailable)? {
            tracing::error!(
                projection.view = handler.name(), %partition, position, head = history.head(partition),
                "a checkpoint is of another history than the log; the view is folded anew"
            );
            metrics::counter!("foldline_projection_foreign_checkpoints_total", "view" => handler.name())
                .increment(1);
            foreign.insert((workspace, handler.name()));
        }
    }
    Ok(foreign)
}

/// A lane: its handler and its partition.
type KnownLane = (&'static str, PartitionId);

/// The lanes that have a checkpoint.
fn lanes_of(context: &Context, checkpoints: &[StoredCheckpoint]) -> HashSet<KnownLane> {
    let lane = |checkpoint: &StoredCheckpoint| {
        let handler = context.progress.handler(&checkpoint.view)?;
        let partition = PartitionId {
            workspace: checkpoint.workspace,
            partition: checkpoint.partition,
        };
        Some((handler.name(), partition))
    };
    checkpoints.iter().filter_map(lane).collect()
}

/// What shows that a checkpoint is lost, besides parked events of its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// A document that an event of the partition changes. Another partition may have made it, if no event of
    /// this one was folded yet: that is rare at a start, and then a view is folded anew in vain.
    AnyDocument,
    /// Documents of a view of which no lane has a checkpoint.
    NoCheckpoint,
}

/// The handlers that have lost a checkpoint of a partition with events.
async fn lost_checkpoints(
    context: &Context,
    known: &HashSet<KnownLane>,
    history: &LogHistory<'_>,
    evidence: Evidence,
    except: &BTreeSet<HandlerOf>,
) -> Result<BTreeSet<HandlerOf>, DocumentStoreError> {
    let mut lost = BTreeSet::new();
    for handler in context.progress.handlers() {
        let view = handler.name();
        let mut empty: HashSet<WorkspaceId> = HashSet::new();
        for (partition, head) in &history.heads {
            let workspace = partition.workspace;
            let of = (workspace, view);
            let is_done = lost.contains(&of)
                || except.contains(&of)
                || empty.contains(&workspace)
                || !context.progress.has(workspace, view);
            if head.position == 0 || is_done || known.contains(&(view, *partition)) {
                continue;
            }
            let scope = Scope {
                workspace,
                view,
                generation: context.documents.live_generation(workspace, view).await?,
            };
            if !context.documents.has_rows(&scope).await? {
                empty.insert(workspace);
                continue;
            }
            if has_lost_checkpoint(context, &**handler, *partition, head.position, evidence).await? {
                tracing::error!(
                    projection.view = view, %partition, head = head.position,
                    "a checkpoint is lost, and its documents are there; the view is folded anew"
                );
                metrics::counter!("foldline_projection_foreign_checkpoints_total", "view" => view)
                    .increment(1);
                lost.insert(of);
            }
        }
    }
    Ok(lost)
}

/// Whether a lane has folded events, though it has no checkpoint. All is read in one snapshot: its server may
/// be folding.
async fn has_lost_checkpoint(
    context: &Context,
    handler: &dyn EventHandler,
    partition: PartitionId,
    head: u64,
    evidence: Evidence,
) -> Result<bool, DocumentStoreError> {
    let stored = context.documents.snapshot(partition.workspace, handler.name());
    let Moment {
        value: mut snapshot,
        as_of,
        ..
    } = stored.await?;
    if as_of.position(partition.partition) > 0 {
        return Ok(false);
    }
    let passed = snapshot.passed().await?;
    if passed.iter().any(|(of, _)| *of == partition.partition) {
        return Ok(true);
    }
    let Some(view) = handler.documents() else {
        return Ok(false);
    };
    if as_of == ConsistencyToken::default() {
        let documents = snapshot.raw_documents(1).await?;
        return Ok(!documents.is_empty() || !snapshot.entries(1).await?.is_empty());
    }
    if evidence == Evidence::NoCheckpoint {
        return Ok(false);
    }
    let mut after = 0;
    while after < head {
        let events = match read_next(&*context.store, partition, after, PAGE).await {
            // Its lanes stop there too.
            Err(StoreError::Corrupt(_)) => break,
            read => read.map_err(unavailable)?,
        };
        let Some(last) = events.last() else { break };
        after = last.position;
        for event in &events {
            let Ok(typed) = event.decode() else { continue };
            for key in view.keys(&typed) {
                if snapshot.contains(&key).await? {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Has a handler begin again. If that is interrupted, its checkpoints are as before, and it is repeated.
async fn begin_again(
    context: &Context,
    handler: &dyn EventHandler,
    workspace: WorkspaceId,
    history: &mut LogHistory<'_>,
) -> Result<(), DocumentStoreError> {
    let view = handler.name();
    if handler.is_rebuildable() {
        context.documents.restart(workspace, view).await?;
        return Ok(());
    }
    handler
        .begin_again(workspace, history)
        .await
        .map_err(|error| DocumentStoreError::Unavailable(format!("{view} cannot begin again: {error}")))?;
    let scope = Scope {
        workspace,
        view,
        generation: FIRST_GENERATION,
    };
    context
        .documents
        .reset(&scope, handler.documents().is_some())
        .await
}

/// Cancels rebuilds that have folded events which the log does not have.
async fn cancel_foreign_builds(
    context: &Context,
    history: &LogHistory<'_>,
) -> Result<(), DocumentStoreError> {
    for build in context.documents.builds().await? {
        let Some(handler) = context.progress.handler(&build.view) else {
            continue;
        };
        let workspace = build.workspace;
        if !history.has_workspace(workspace) {
            continue;
        }
        let scope = Scope {
            workspace,
            view: handler.name(),
            generation: build.generation,
        };
        let folded = context.documents.folded(&scope).await?;
        let is_ahead = folded
            .iter()
            .any(|(partition, position)| position > history.head(PartitionId { workspace, partition }));
        if is_ahead {
            tracing::error!(
                projection.view = scope.view, %workspace, generation = scope.generation,
                "a rebuild is ahead of the log, and is cancelled"
            );
            context.documents.cancel_build(&scope).await?;
        }
    }
    Ok(())
}

/// Starts the lanes of a workspace that are behind the log.
fn start_lanes(context: &Context, lanes: &[Lanes], workspace: WorkspaceId, history: &LogHistory<'_>) {
    for (handler, lanes) in context.progress.handlers().iter().zip(lanes) {
        let Some(progress) = context.progress.of(workspace, handler.name()) else {
            continue;
        };
        let folded = progress.folded();
        for (partition, head) in history.heads.iter().filter(|(of, _)| of.workspace == workspace) {
            if folded.position(partition.partition) < head.position {
                lanes.start(*partition, head.position);
            }
        }
    }
}

/// The log cannot be read now: worth a retry.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn unavailable(error: StoreError) -> DocumentStoreError {
    DocumentStoreError::Unavailable(error.to_string())
}
