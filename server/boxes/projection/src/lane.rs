//! A lane: one event handler on one partition.
//!
//! An event is applied if it has the next position and skipped if it is older; if it is newer, the lane first
//! reads the missing historical events from the store. Documents, listings and checkpoint change in one
//! transaction that compares the checkpoint, so each event has its effect exactly once, however often it is
//! delivered and however many servers run the lane. The caller retries an event that cannot be applied; once
//! it has used up its attempts, the caller passes it as poison, and the lane parks it as a dead letter.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use domain::wire::hops::HopOutcome;
use telemetry::hops;
use tracing::Instrument as _;

use super::{
    Changes, Commit, Context,
    batch_commit::{BatchCommit, Share},
    effect_delivery,
    fold::PoisonEvent,
    followed_commits::follow_view,
    generation_switch::follow_switch,
    handler::EventHandler,
    history::{events_before, history},
    lane_error::LaneError,
    lane_hops::{EventSpans, after_error},
    read_ahead::ReadAhead,
};
use broker::{PartitionId, PublishedEvent};
use documents::{DocumentStoreError, LaneId, ParkedEvent, Scope, UpdateOutcome};

/// With more events than this in one transaction, clients get a snapshot instead of single changes.
pub(super) const MAX_TRACKED_EVENTS: usize = 512;

/// Applies the events of one partition to one handler, exactly once. It lives as long as there is something
/// to apply; its checkpoint is in the read model and, for speed, in [`Progress`](super::progress::Progress).
#[derive(Debug)]
pub struct Lane {
    context: Arc<Context>,
    handler: Arc<dyn EventHandler>,
    partition: PartitionId,
    /// The positions that it has parked since the last delivery, while its workspace was watched.
    parked: Mutex<BTreeSet<u64>>,
}

impl Lane {
    /// The lane of a view on a partition.
    pub fn new(context: Arc<Context>, handler: Arc<dyn EventHandler>, partition: PartitionId) -> Self {
        Self {
            context,
            handler,
            partition,
            parked: Mutex::default(),
        }
    }

    /// The handler of its events.
    pub fn handler(&self) -> &Arc<dyn EventHandler> {
        &self.handler
    }

    /// The partition.
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// The position of the last event that is known to be applied.
    fn checkpoint(&self) -> u64 {
        let progress = self
            .context
            .progress
            .of(self.partition.workspace, self.handler.name());
        progress.map_or(0, |progress| progress.folded().position(self.partition.partition))
    }

    /// Whether the workspace was purged.
    fn has_ended(&self) -> bool {
        self.context.progress.has_ended(self.partition.workspace)
    }

    /// Panics if the lab has requested a crash of this lane.
    fn crash_if_requested(&self) {
        let progress = &self.context.progress;
        if let Some(view) = progress.of(self.partition.workspace, self.handler.name()) {
            view.controls().crash_if_requested(self.partition.partition);
        }
    }

    /// Applies a delivery. When this returns, every event of it has had its effect once, or is parked because
    /// it is `poison` or its stream is held back.
    pub async fn apply(
        &self,
        delivered: &[Arc<PublishedEvent>],
        poison: &[PoisonEvent],
    ) -> Result<(), LaneError> {
        let spans = EventSpans::of_delivery(&*self.handler, self.partition, delivered);
        let Some(first) = spans.first() else {
            return self.apply_next(delivered, poison).await;
        };
        let before = self.checkpoint();
        let applied = self.apply_next(delivered, poison).instrument(first).await;
        let (after, parked) = (self.checkpoint(), self.parked());
        spans.end(|event| match (&applied, event.position) {
            (_, position) if position <= before => Some(HopOutcome::Duplicate),
            (_, position) if parked.contains(&position) => Some(HopOutcome::Parked),
            (_, position) if position <= after => Some(HopOutcome::Done),
            // Its workspace has ended.
            (Ok(()), _) => None,
            (Err(error), _) => after_error(event, error),
        });
        applied
    }

    /// The positions that it has parked while its workspace was watched.
    fn parked(&self) -> BTreeSet<u64> {
        std::mem::take(&mut *self.parked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn apply_next(
        &self,
        delivered: &[Arc<PublishedEvent>],
        poison: &[PoisonEvent],
    ) -> Result<(), LaneError> {
        while !self.has_ended() {
            self.crash_if_requested();
            let checkpoint = self.checkpoint();
            let new: Vec<_> = delivered
                .iter()
                .filter(|event| event.position > checkpoint)
                .cloned()
                .collect();
            let Some(first) = new.first() else { return Ok(()) };
            if first.position > checkpoint + 1 {
                self.read_history(checkpoint, poison).await?;
                continue;
            }
            let next = new
                .iter()
                .zip(checkpoint + 1..)
                .take_while(|(event, next)| event.position == *next)
                .count();
            self.commit(checkpoint, &new[..next], poison).await?;
        }
        Ok(())
    }

    /// Applies historical events up to a position.
    pub async fn catch_up(&self, to: u64, poison: &[PoisonEvent]) -> Result<(), LaneError> {
        let mut read_ahead = ReadAhead::new(self.context.clone(), self.handler.clone(), self.partition);
        while !self.has_ended() {
            self.crash_if_requested();
            let checkpoint = self.checkpoint();
            if checkpoint >= to {
                return Ok(());
            }
            let events = read_ahead.events_after(checkpoint, to).await?;
            self.commit(checkpoint, &events, poison).await?;
        }
        Ok(())
    }

    #[tracing::instrument(
        name = "Historical events",
        level = "debug",
        skip_all,
        fields(partition = %self.partition, after)
    )]
    async fn read_history(&self, after: u64, poison: &[PoisonEvent]) -> Result<(), LaneError> {
        let events = history(&self.context, &*self.handler, self.partition, after).await?;
        self.commit(after, &events, poison).await
    }

    /// Commits consecutive events; the first of them follows `from`. An event that fails does not hold back
    /// those before it.
    async fn commit(
        &self,
        from: u64,
        events: &[Arc<PublishedEvent>],
        poison: &[PoisonEvent],
    ) -> Result<(), LaneError> {
        let mut events = events;
        loop {
            match self.transact(from, events, poison).await {
                // A fault of a consumer; `BatchCommit` has handled faults of the read model already.
                Err(LaneError::Documents(DocumentStoreError::Fault(fault))) => {
                    events = events_before(fault.position, events).ok_or(DocumentStoreError::Fault(fault))?;
                }
                result => return result,
            }
        }
    }

    /// Commits one transaction, then in this order: invalidates the cache, notifies the followers, notes the
    /// progress.
    async fn transact(
        &self,
        from: u64,
        events: &[Arc<PublishedEvent>],
        poison: &[PoisonEvent],
    ) -> Result<(), LaneError> {
        let context = &*self.context;
        let PartitionId { workspace, partition } = self.partition;
        let Some(progress) = context.progress.of(workspace, self.handler.name()) else {
            return Ok(());
        };
        let _turn = progress.turn().await;
        if progress.controls().is_paused() {
            return Err(LaneError::Paused);
        }
        if context.progress.has_ended(workspace) {
            return Ok(());
        }
        if progress.folded().position(partition) != from {
            // Another task of this lane was first; the caller looks again.
            return Ok(());
        }
        let scope = Scope {
            workspace,
            view: self.handler.name(),
            generation: progress.generation(),
        };
        let lane = LaneId { scope, partition };
        if self.handler.documents().is_none() {
            effect_delivery::deliver(context, &*self.handler, &lane, from, events, poison).await?;
        }
        let (track_changes, sharing) = self.tracking(&scope, events.len());
        let step = BatchCommit {
            context,
            handler: &*self.handler,
            lane,
            poison,
            track_changes,
            sharing,
        };
        let (updated, folded, applied) = step.write(from, events).await?;
        let (to, changes) = match updated {
            UpdateOutcome::Committed => {
                if sharing != Share::Nothing {
                    context.ownership.handed_over(workspace);
                }
                context
                    .cache
                    .invalidate(&folded.topics)
                    .instrument(tracing::debug_span!("Cache"))
                    .await;
                self.measure(&events[..applied]);
                self.note_parked(&folded.parked);
                let to = from + applied as u64;
                (
                    to,
                    if track_changes {
                        Changes::Each(folded.changes)
                    } else {
                        Changes::Unknown
                    },
                )
            }
            UpdateOutcome::CheckpointMoved { checkpoint } if checkpoint > from => {
                // Another owner was faster.
                tracing::debug!(from, checkpoint, "the checkpoint was moved by another owner");
                if context.ownership.is_shared()
                    && follow_view(context, &progress, workspace, self.handler.name()).await?
                {
                    return Ok(());
                }
                // Its changes are not known here.
                context.cache.clear().await;
                (checkpoint, Changes::Unknown)
            }
            UpdateOutcome::CheckpointMoved { checkpoint } => {
                // Another server has found that it was of another history than the log.
                tracing::warn!(from, checkpoint, "the checkpoint was set back");
                return follow_switch(context, self.handler.name(), workspace, scope.generation)
                    .await
                    .map_err(LaneError::from);
            }
            UpdateOutcome::Retired { live } => {
                // Another owner has switched the view to another generation.
                return follow_switch(context, self.handler.name(), workspace, live)
                    .await
                    .map_err(LaneError::from);
            }
        };
        context.followers.committed(Commit {
            scope,
            partition,
            to,
            changes,
        });
        context.progress.folded(self.handler.name(), self.partition, to);
        Ok(())
    }

    /// Whether a transaction of so many events records what each of them does, and what it hands over to
    /// other servers. Their clients may follow the view, and their caches have to be invalidated.
    fn tracking(&self, scope: &Scope, events: usize) -> (bool, Share) {
        let Context {
            followers, ownership, ..
        } = &*self.context;
        let may_track = events <= followers.max_tracked_events();
        if !ownership.has_others() || self.handler.documents().is_none() {
            return (may_track && followers.follow(scope), Share::Nothing);
        }
        if may_track {
            (true, Share::Changes)
        } else {
            (false, Share::Checkpoint)
        }
    }

    /// Notes what it has parked, for the hops of the delivery.
    fn note_parked(&self, parked: &[ParkedEvent]) {
        if parked.is_empty() || !hops::is_watched(self.partition.workspace) {
            return;
        }
        let mut noted = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend(parked.iter().map(|event| event.position));
    }

    fn measure(&self, events: &[Arc<PublishedEvent>]) {
        let view = self.handler.name();
        metrics::counter!("foldline_projection_events_total", "view" => view).increment(events.len() as u64);
        if let Some(last) = events.last() {
            let lag_ms = self.context.clock.now().millis_since(last.recorded_at);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a histogram is of floats; a lag has far less than 2^53 ms"
            )]
            metrics::histogram!("foldline_projection_lag_ms", "view" => view).record(lag_ms as f64);
        }
    }
}
