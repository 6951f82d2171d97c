//! One generation that is being built: the whole log, batch by batch, until the generation can be switched
//! in.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use domain::{token::ConsistencyToken, wire::RebuildProgress};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Context,
    batch_commit::{BatchCommit, Share, position_after},
    fold::PoisonEvent,
    generation_switch::switched,
    handler::EventHandler,
    lane_error::LaneError,
    read_ahead::ReadAhead,
    retry::Retry,
};
use broker::{PartitionId, PublishedEvent};
use documents::{LaneId, Scope, SwitchOutcome, UpdateOutcome};

/// With fewer events left than this, the live lanes of the view wait for the switch.
const TAIL: u64 = 1_000;

/// How a build has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BuildOutcome {
    /// It is the live generation.
    Switched,
    /// It was cancelled.
    Cancelled,
    /// The server stops.
    Interrupted,
}

impl BuildOutcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Switched => "switched",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Folds one generation from the first event on, reports its progress, and switches it in.
#[derive(Debug)]
pub(super) struct Build {
    context: Arc<Context>,
    handler: Arc<dyn EventHandler>,
    scope: Scope,
    /// Of the builds of a workspace, one folds at a time: the places for all builds are left to others.
    turn: Arc<Semaphore>,
    stopping: CancellationToken,
    ended: CancellationToken,
    done: AtomicU64,
    total: AtomicU64,
    /// When this process began to fold, and how many events were folded by then.
    begun: Mutex<Option<(Instant, u64)>>,
    /// Why the last attempt failed.
    failing: Mutex<Option<String>>,
}

impl Build {
    pub(super) fn new(
        context: Arc<Context>,
        handler: Arc<dyn EventHandler>,
        scope: Scope,
        turn: Arc<Semaphore>,
        stopping: CancellationToken,
    ) -> Self {
        let total = context.progress.head(scope.workspace);
        Self {
            context,
            handler,
            scope,
            turn,
            stopping,
            ended: CancellationToken::new(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(ConsistencyToken::default().behind(&total)),
            begun: Mutex::default(),
            failing: Mutex::default(),
        }
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The turn that the builds of the workspace share.
    pub(super) fn turn(&self) -> Arc<Semaphore> {
        Arc::clone(&self.turn)
    }

    pub(super) fn cancel(&self) {
        self.stopping.cancel();
    }

    pub(super) fn note_ended(&self) {
        self.ended.cancel();
    }

    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// How far the build is, and how fast.
    pub(super) fn progress(&self) -> RebuildProgress {
        let (done, total) = (
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        );
        let begun = *self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = begun.map_or(0, |(begun, before)| {
            let millis = begun.elapsed().as_millis().max(1);
            u64::try_from(u128::from(done.saturating_sub(before)) * 1_000 / millis).unwrap_or(u64::MAX)
        });
        RebuildProgress {
            generation: self.scope.generation,
            events_done: done,
            events_total: total.max(done),
            events_per_second: rate,
            remaining_ms: (rate > 0).then(|| total.saturating_sub(done).saturating_mul(1_000) / rate),
            failing: self
                .failing
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }

    /// Folds until the generation is switched in, cancelled or interrupted. A failure is retried after a
    /// pause, in which other builds may take the permit.
    pub(super) async fn run(&self, permits: &Semaphore) -> BuildOutcome {
        let mut retry = Retry::default();
        loop {
            let poison: Vec<_> = retry.poison().into_iter().collect();
            let attempt = async {
                // Neither semaphore is ever closed; without a permit the build would run all the same.
                let _turn = self.turn.acquire().await;
                let _permit = permits.acquire().await;
                self.fold(&poison).await
            };
            let error = tokio::select! {
                () = self.stopping.cancelled() => return self.stopped().await,
                ended = attempt => match ended {
                    Ok(ended) => return ended,
                    Err(error) => error,
                },
            };
            if matches!(error, LaneError::Gone) {
                return BuildOutcome::Interrupted;
            }
            if matches!(error, LaneError::Paused) {
                if !self.resumed().await {
                    return self.stopped().await;
                }
                continue;
            }
            retry.failed(&error);
            metrics::counter!("foldline_projection_failures_total", "view" => self.scope.view).increment(1);
            tracing::warn!(
                projection.view = self.scope.view, workspace = %self.scope.workspace,
                failures = retry.failures(), %error, "a rebuild failed and will be retried"
            );
            *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.public_reason());
            tokio::select! {
                () = self.stopping.cancelled() => return self.stopped().await,
                () = tokio::time::sleep(retry.pause()) => {}
            }
        }
    }

    /// Waits, without a permit, until the view is not paused. `false`: the build stops.
    async fn resumed(&self) -> bool {
        let Scope { workspace, view, .. } = self.scope;
        let Some(progress) = self.context.progress.of(workspace, view) else {
            return true;
        };
        tokio::select! {
            () = self.stopping.cancelled() => false,
            () = progress.controls().resumed() => true,
        }
    }

    /// The read model knows a cancelled build; an interrupted one continues after the next start.
    async fn stopped(&self) -> BuildOutcome {
        match self.context.documents.builds().await {
            Ok(builds)
                if !builds.iter().any(|build| {
                    build.workspace == self.scope.workspace
                        && build.view == self.scope.view
                        && build.generation == self.scope.generation
                }) =>
            {
                BuildOutcome::Cancelled
            }
            _ => BuildOutcome::Interrupted,
        }
    }

    async fn fold(&self, poison: &[PoisonEvent]) -> Result<BuildOutcome, LaneError> {
        let Scope { workspace, view, .. } = self.scope;
        let Some(progress) = self.context.progress.of(workspace, view) else {
            return Ok(BuildOutcome::Cancelled);
        };
        let mut folded = self.context.documents.folded(&self.scope).await?;
        self.note(&folded);
        self.begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert((Instant::now(), self.done.load(Ordering::Relaxed)));
        loop {
            let head = self.context.store.head(workspace).await?;
            self.total
                .store(ConsistencyToken::default().behind(&head), Ordering::Relaxed);
            if folded.behind(&head) > TAIL {
                if !self.fold_up_to(&head, &mut folded, poison).await? {
                    return Ok(BuildOutcome::Cancelled);
                }
                continue;
            }
            // The rest is folded while the live lanes of this view wait, so that no event is between it and
            // the switch.
            let _turn = progress.turn().await;
            if progress.controls().is_paused() {
                // The switch would move a view that must not move.
                return Err(LaneError::Paused);
            }
            // Read again: it covers what these have folded. What they have folded beyond it was published and
            // never stored, and no build waits for it.
            let goal = self.context.store.head(workspace).await?;
            if folded.behind(&goal) > 2 * TAIL {
                continue;
            }
            if !self.fold_up_to(&goal, &mut folded, poison).await? {
                return Ok(BuildOutcome::Cancelled);
            }
            match self.switch(&folded).await? {
                SwitchOutcome::Done(as_of) => {
                    switched(&self.context, self.scope, &as_of).await;
                    return Ok(BuildOutcome::Switched);
                }
                SwitchOutcome::NotBuilding => return Ok(BuildOutcome::Cancelled),
                // Another server folds the live generation and is further.
                SwitchOutcome::Behind => {}
            }
        }
    }

    /// Switches the generation in, which has folded this much. A live one that is ahead of the log is
    /// replaced by one that has folded all of the log.
    async fn switch(&self, folded: &ConsistencyToken) -> Result<SwitchOutcome, LaneError> {
        let Context { documents, store, .. } = &*self.context;
        let outcome = documents.switch(&self.scope).await?;
        if outcome != SwitchOutcome::Behind {
            return Ok(outcome);
        }
        let Scope { workspace, view, .. } = self.scope;
        let live = Scope {
            generation: documents.live_generation(workspace, view).await?,
            ..self.scope
        };
        let live = documents.folded(&live).await?;
        // Read after it: what was folded from the log is in it.
        let head = store.head(workspace).await?;
        let of_log: ConsistencyToken = live
            .iter()
            .map(|(partition, position)| (partition, position.min(head.position(partition))))
            .collect();
        if head.covers(&live) || !folded.covers(&of_log) {
            return Ok(SwitchOutcome::Behind);
        }
        tracing::warn!(projection.view = view, %workspace, %live, %head, "a view was ahead of the log");
        Ok(documents.switch_from(&self.scope, &live).await?)
    }

    fn note(&self, folded: &ConsistencyToken) {
        let done = ConsistencyToken::default().behind(folded);
        self.done.store(done, Ordering::Relaxed);
    }

    /// `false`: the generation is not being built any more.
    async fn fold_up_to(
        &self,
        goal: &ConsistencyToken,
        folded: &mut ConsistencyToken,
        poison: &[PoisonEvent],
    ) -> Result<bool, LaneError> {
        for (partition, position) in goal.iter() {
            let partition_id = PartitionId {
                workspace: self.scope.workspace,
                partition,
            };
            let mut read_ahead = ReadAhead::new(self.context.clone(), self.handler.clone(), partition_id);
            while folded.position(partition) < position {
                let from = folded.position(partition);
                let events = read_ahead.events_after(from, position).await?;
                let Some(to) = self.step(partition, from, &events, poison).await? else {
                    return Ok(false);
                };
                folded.advance(partition, to);
                self.note(folded);
                *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
        Ok(true)
    }

    /// Commits one batch and returns the partition's new checkpoint. `None`: the generation is not being
    /// built any more.
    async fn step(
        &self,
        partition: u32,
        from: u64,
        events: &[Arc<PublishedEvent>],
        poison: &[PoisonEvent],
    ) -> Result<Option<u64>, LaneError> {
        let step = BatchCommit {
            context: &self.context,
            handler: &*self.handler,
            lane: LaneId {
                scope: self.scope,
                partition,
            },
            poison,
            track_changes: false,
            sharing: Share::Nothing,
        };
        match step.write(from, events).await? {
            (UpdateOutcome::Committed, _, applied) => Ok(Some(position_after(from, &events[..applied]))),
            // Another server builds it too.
            (UpdateOutcome::CheckpointMoved { checkpoint }, ..) => Ok(Some(checkpoint)),
            (UpdateOutcome::Retired { .. }, ..) => Ok(None),
        }
    }
}
