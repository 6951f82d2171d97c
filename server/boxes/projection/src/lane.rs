//! A lane: one event handler on one partition.
//!
//! An event is applied if it has the next position and skipped if it is older; if it is newer, the lane first
//! reads the missing historical events from the store. Documents, listings and checkpoint change in one
//! transaction that compares the checkpoint, so each event has its effect exactly once, however often it is
//! delivered and however many servers run the lane. The caller retries an event that cannot be applied; once
//! it has used up its attempts, the caller passes it as poison, and the lane parks it as a dead letter.
//!
//! A lane obeys the [dials](LaneDials) of its view, with which the lab can also take away what makes the
//! effect exact: see `unguarded`.

mod unguarded;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::wire::hops::HopOutcome;
use telemetry::hops;
use tracing::Instrument as _;

use super::{
    Changes, Commit, Context,
    batch_commit::{BatchCommit, Share, position_after},
    effect_delivery,
    fold::PoisonEvent,
    followed_commits::follow_view,
    generation_switch::follow_switch,
    handler::EventHandler,
    history::{PAGE, events_before, history_page},
    lane_controls::LaneDials,
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
    work: Mutex<LaneWork>,
}

/// What a lane remembers of its work, beside the checkpoint: a delivery may take several attempts.
#[derive(Debug, Default)]
struct LaneWork {
    /// Whether the next event may be applied, where a dial slows the lane down.
    allowance: Allowance,
    /// How many events of the delivery were handled, in the order in which they came; counted only while a
    /// guarantee is taken away.
    handled: usize,
    /// What has become of events where the checkpoint does not tell, by position.
    outcomes: BTreeMap<u64, HopOutcome>,
    /// The positions of events whose delivery was told as a hop: it is told once.
    told: BTreeSet<u64>,
}

impl LaneWork {
    /// Forgets a delivery that is handled.
    fn end_delivery(&mut self) {
        *self = Self {
            allowance: self.allowance,
            ..Self::default()
        };
    }
}

/// The wait before an event, where a dial slows the lane down.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Allowance {
    /// It is to come.
    #[default]
    Waits,
    /// It is over: one event may be applied.
    Granted,
    /// The event was applied.
    Used,
}

impl Lane {
    /// The lane of a view on a partition.
    pub fn new(context: Arc<Context>, handler: Arc<dyn EventHandler>, partition: PartitionId) -> Self {
        Self {
            context,
            handler,
            partition,
            work: Mutex::default(),
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

    /// Whether the workspace was purged, or has no such view of its own any more.
    fn has_ended(&self) -> bool {
        let (progress, workspace) = (&self.context.progress, self.partition.workspace);
        progress.has_ended(workspace) || !progress.has(workspace, self.handler.name())
    }

    /// Panics if the lab has requested a crash of this lane.
    fn crash_if_requested(&self) {
        let progress = &self.context.progress;
        if let Some(view) = progress.of(self.partition.workspace, self.handler.name()) {
            view.controls().crash_if_requested(self.partition.partition);
        }
    }

    /// Whether a dial of its view is bent.
    pub(super) fn is_bent(&self) -> bool {
        self.dials().is_some()
    }

    /// The dials of its view; `None`: they are at rest.
    fn dials(&self) -> Option<Arc<LaneDials>> {
        let progress = &self.context.progress;
        let view = progress.of(self.partition.workspace, self.handler.name())?;
        view.controls().dials()
    }

    fn work(&self) -> MutexGuard<'_, LaneWork> {
        // Each change is one step: a panic leaves it whole.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Allows the next event after its wait. Returns whether the one before it was applied.
    pub(super) fn allow_next(&self) -> bool {
        let mut work = self.work();
        std::mem::replace(&mut work.allowance, Allowance::Granted) == Allowance::Used
    }

    /// How many events may be applied now: one after its wait, where a dial slows the lane down.
    fn allowed(&self, dials: Option<&LaneDials>) -> Result<usize, LaneError> {
        if dials.is_none_or(|dials| dials.slow.is_zero()) {
            return Ok(usize::MAX);
        }
        match self.work().allowance {
            Allowance::Granted => Ok(1),
            Allowance::Waits | Allowance::Used => Err(LaneError::Slow),
        }
    }

    /// Notes that events were applied.
    fn use_allowance(&self) {
        let mut work = self.work();
        if work.allowance == Allowance::Granted {
            work.allowance = Allowance::Used;
        }
    }

    /// Applies a delivery. When this returns, every event of it has had its effect once, or is parked because
    /// it is `poison` or its stream is held back.
    pub async fn apply(
        &self,
        delivered: &[Arc<PublishedEvent>],
        poison: &[PoisonEvent],
    ) -> Result<(), LaneError> {
        let applied = self.apply_and_tell(delivered, poison).await;
        if applied.is_ok() {
            self.work().end_delivery();
        }
        applied
    }

    async fn apply_and_tell(
        &self,
        delivered: &[Arc<PublishedEvent>],
        poison: &[PoisonEvent],
    ) -> Result<(), LaneError> {
        let untold = self.untold(delivered);
        let spans = EventSpans::of_delivery(&*self.handler, self.partition, &untold);
        let Some(first) = spans.first() else {
            return self.apply_next(delivered, poison).await;
        };
        let before = self.checkpoint();
        let applied = self.apply_next(delivered, poison).instrument(first).await;
        let after = self.checkpoint();
        let is_guarded = self.dials().is_none_or(|dials| dials.detect_everything());
        let outcomes = std::mem::take(&mut self.work().outcomes);
        let outcome = |event: &PublishedEvent| match (outcomes.get(&event.position), event.position) {
            (Some(outcome), _) => Some(*outcome),
            (None, position) if is_guarded && position <= before => Some(HopOutcome::Duplicate),
            (None, position) if is_guarded && position <= after => Some(HopOutcome::Done),
            // Without an error, its workspace has ended.
            (None, _) => applied.as_ref().err().and_then(|error| after_error(event, error)),
        };
        let is_final = |outcome: HopOutcome| outcome != HopOutcome::Retried;
        let told = untold.iter().filter(|event| outcome(event).is_some_and(is_final));
        self.work().told.extend(told.map(|event| event.position));
        spans.end(outcome);
        applied
    }

    /// The events of a delivery whose hops are not made yet.
    fn untold<'a>(&self, delivered: &'a [Arc<PublishedEvent>]) -> Cow<'a, [Arc<PublishedEvent>]> {
        let work = self.work();
        if work.told.is_empty() {
            return Cow::Borrowed(delivered);
        }
        let untold = delivered
            .iter()
            .filter(|event| !work.told.contains(&event.position));
        Cow::Owned(untold.cloned().collect())
    }

    async fn apply_next(
        &self,
        delivered: &[Arc<PublishedEvent>],
        poison: &[PoisonEvent],
    ) -> Result<(), LaneError> {
        while !self.has_ended() {
            self.crash_if_requested();
            if let Some(dials) = self.dials().filter(|dials| !dials.detect_everything()) {
                if self.apply_unguarded(&dials, delivered, poison).await? {
                    return Ok(());
                }
                continue;
            }
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
            let events = if self.allowed(self.dials().as_deref())? == 1 {
                history_page(&self.context, &*self.handler, self.partition, checkpoint, 1).await?
            } else {
                read_ahead.events_after(checkpoint, to).await?
            };
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
        let allowed = self.allowed(self.dials().as_deref())?;
        let limit = u32::try_from(allowed).map_or(PAGE, |allowed| allowed.min(PAGE));
        let events = history_page(&self.context, &*self.handler, self.partition, after, limit).await?;
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
        let allowed = self.allowed(progress.controls().dials().as_deref())?;
        let events = &events[..events.len().min(allowed)];
        let _turn = progress.turn().await;
        if progress.controls().is_paused() {
            return Err(LaneError::Paused);
        }
        // Otherwise another task of this lane was first; the caller looks again.
        let is_next = progress.folded().position(partition) == from;
        if context.progress.has_ended(workspace) || progress.is_over() || !is_next {
            return Ok(());
        }
        progress.controls().fail_if_requested()?;
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
                self.use_allowance();
                self.measure(&events[..applied]);
                self.note_parked(&folded.parked);
                let to = position_after(from, &events[..applied]);
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
        let parked = parked.iter().map(|event| (event.position, HopOutcome::Parked));
        self.work().outcomes.extend(parked);
    }

    fn measure(&self, events: &[Arc<PublishedEvent>]) {
        let view = self.handler.name();
        metrics::counter!("foldline_projection_events_total", "view" => view).increment(events.len() as u64);
        if let Some(last) = events.last() {
            let now = self.context.clock.now_in(self.partition.workspace);
            let lag_ms = now.millis_since(last.recorded_at);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a histogram is of floats; a lag has far less than 2^53 ms"
            )]
            metrics::histogram!("foldline_projection_lag_ms", "view" => view).record(lag_ms as f64);
        }
    }
}
