//! Expires the timers of a policy's processes. The listing of timers is read only when the earliest may be
//! due, and only its first page; or when a clock is put forward, before the clock shows that.
//!
//! What is due first happens first. A process itself expires what was due before an event that it folds; and
//! before a timer expires, and before a clock is put forward, the events that are in the log are folded. So a
//! deadline is not overtaken by a payment that is late, nor a payment in time by its deadline.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use documents::{DocumentStoreError, FIRST_GENERATION, Scope, StoredRow};
use domain::{
    id::WorkspaceId,
    policy::{AnyPolicy, Process, TIMERS},
    timestamp::Timestamp,
};
use futures::StreamExt as _;
use projection::progress::HandlerProgress;
use tokio::time::Instant;
use workspace_clock::{MAX_AGE, Reading, Timers};

use super::{
    process::amend,
    runner::{CATCH_UP_DELAY, Runner, report_failure},
    work_set::Snapshot,
};

/// How many timers expire at the same time.
const MAX_EXPIRING: usize = 16;

/// How long a clock that is put forward waits at most for the lanes to fold the events of before: a lane that
/// is held must not hold the clock.
pub(super) const CLOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// The same for a timer that is due, for which the timers of other workspaces wait as well.
const TIMER_TIMEOUT: Duration = Duration::from_millis(250);

/// The earliest timer of a policy in a workspace, by the workspace's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum EarliestTimer {
    /// No timer runs.
    #[default]
    None,
    /// No timer is due before.
    At(Timestamp),
    /// It has to be read.
    Unread,
}

impl EarliestTimer {
    /// Notes that a timer is scheduled.
    pub(super) fn add(&mut self, due: Timestamp) {
        *self = match *self {
            Self::None => Self::At(due),
            Self::At(earlier) => Self::At(earlier.min(due)),
            Self::Unread => Self::Unread,
        };
    }
}

impl Runner {
    /// Expires every due timer. Returns when the next one is due.
    pub(super) async fn expire_timers(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        earliest: &mut EarliestTimer,
    ) -> Result<Option<Instant>, DocumentStoreError> {
        while *earliest != EarliestTimer::None {
            let Reading { now, is_frozen, .. } = self.clocks.reading(scope.workspace).await?;
            if let EarliestTimer::At(due) = *earliest
                && due > now
            {
                // At least a millisecond: otherwise a timer that is due within one would be read again and
                // again.
                let left = Duration::from_millis(due.millis_since(now) + 1);
                // A clock that stands still says when it goes on, unless another server lets it.
                let left = if is_frozen { left.max(MAX_AGE) } else { left };
                return Ok(Some(Instant::now() + left));
            }
            let first = self.page(scope, TIMERS, None).await?;
            let is_due = |row: &StoredRow| due_at(row).is_some_and(|due| due <= now);
            if first.first().is_some_and(is_due) {
                *earliest = EarliestTimer::Unread;
                let due = first.into_iter().filter(is_due);
                let processes = due.map(|row| row.document.key).collect();
                self.fold_recorded(scope.workspace, TIMER_TIMEOUT).await;
                self.expire(scope, policy, processes, now).await?;
            } else {
                let due = first.first().and_then(due_at);
                *earliest = due.map_or(EarliestTimer::None, EarliestTimer::At);
            }
        }
        Ok(None)
    }

    /// Has the due timers of a process expired before any of its commands is sent, if it has such. Returns
    /// whether it has: then the process is looked at again.
    pub(super) async fn postpone_if_due(
        &self,
        scope: &Scope,
        key: &Arc<str>,
        process: &Process,
    ) -> Result<bool, DocumentStoreError> {
        let Some(due) = process.next_due() else {
            return Ok(false);
        };
        if due > self.clocks.now(scope.workspace).await? {
            return Ok(false);
        }
        self.work.add_timer(scope, due);
        let lanes = self.progress.of(scope.workspace, scope.view);
        if lanes.is_some_and(|lanes| !lanes.folded().covers(&lanes.head())) {
            // The timers may have to wait until the lanes have caught up.
            let later = Instant::now() + CATCH_UP_DELAY;
            self.work.retry(scope, Arc::clone(key), later);
        } else {
            self.work.add(scope, Arc::clone(key), None);
        }
        Ok(true)
    }

    async fn expire(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        processes: Vec<String>,
        now: Timestamp,
    ) -> Result<(), DocumentStoreError> {
        let expired: Vec<_> = futures::stream::iter(processes)
            .map(|process| self.expire_process(scope, policy, process, now))
            .buffer_unordered(MAX_EXPIRING)
            .collect()
            .await;
        self.progress.wake_waiting(scope.workspace);
        expired.into_iter().collect()
    }

    /// Waits, for a bounded time, until the policies have folded the events that are in the log.
    async fn fold_recorded(&self, workspace: WorkspaceId, most: Duration) {
        let folded = async {
            let head = self.store.head(workspace).await;
            let head = head.inspect_err(|error| {
                tracing::warn!(%workspace, %error, "timers expire before the newest events are folded");
            });
            let Ok(head) = head else { return };
            for policy in self.policies {
                let lanes = self.progress.of(workspace, policy.name());
                // A paused policy has no timer that expires.
                if let Some(lanes) = lanes.filter(|lanes| !lanes.controls().is_paused()) {
                    lanes.reaches(&head).await;
                }
            }
        };
        // After the timeout the timers expire all the same.
        let _ = tokio::time::timeout(most, folded).await;
    }

    /// Whether the lanes of a policy have folded the events that are in the log.
    pub(super) async fn has_caught_up(&self, lanes: &HandlerProgress, workspace: WorkspaceId) -> bool {
        match self.store.head(workspace).await {
            Ok(head) => lanes.folded().covers(&head),
            Err(error) => {
                tracing::warn!(%workspace, %error, "timers wait until the head of the log can be read");
                false
            }
        }
    }

    /// Whether dials hold the lanes of a policy back, so that its timers wait. Once the lanes go on, what is
    /// due happens in its order, also if the clock has passed it by far.
    async fn is_held_back(&self, lanes: &HandlerProgress, workspace: WorkspaceId) -> bool {
        let controls = lanes.controls();
        controls.is_paused() || (controls.dials().is_some() && !self.has_caught_up(lanes, workspace).await)
    }

    /// Whether a timer of a policy is due at `now`.
    async fn is_any_due(&self, scope: &Scope, now: Timestamp) -> Result<bool, DocumentStoreError> {
        let first = self.page(scope, TIMERS, None).await?;
        Ok(first.first().and_then(due_at).is_some_and(|due| due <= now))
    }

    /// Expires every timer of a policy that is due at `now`.
    async fn expire_all(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        now: Timestamp,
    ) -> Result<(), DocumentStoreError> {
        let is_due = |row: &StoredRow| due_at(row).is_some_and(|due| due <= now);
        loop {
            let first = self.page(scope, TIMERS, None).await?;
            let due = first.into_iter().filter(is_due);
            let processes: Vec<_> = due.map(|row| row.document.key).collect();
            if processes.is_empty() {
                return Ok(());
            }
            self.expire(scope, policy, processes, now).await?;
        }
    }

    /// Expires the due timers of a process, and has it looked at again.
    async fn expire_process(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        process: String,
        now: Timestamp,
    ) -> Result<(), DocumentStoreError> {
        let as_of = self.queues.recorded();
        let change = |json: &serde_json::value::RawValue| {
            policy
                .expire(json, now)
                .map_err(|error| DocumentStoreError::Corrupt(error.to_string()))
        };
        let amended = amend(&*self.process_store, scope, &process, &change).await?;
        if let Some(due) = amended.as_ref().and_then(Process::next_due) {
            self.work.add_timer(scope, due);
        }
        if let Some(amended) = amended
            && (!amended.pending.is_empty() || amended.is_to_be_scheduled())
        {
            let snapshot = Snapshot::Current {
                process: amended,
                as_of,
            };
            self.work.add(scope, process.into(), Some(snapshot));
        }
        Ok(())
    }
}

#[async_trait]
impl Timers for Runner {
    async fn expire_due(&self, workspace: WorkspaceId, now: Timestamp) -> Result<(), DocumentStoreError> {
        let mut is_folded = false;
        for policy in self.policies.iter().copied() {
            let scope = Scope {
                workspace,
                view: policy.name(),
                generation: FIRST_GENERATION,
            };
            if !self.is_any_due(&scope, now).await? {
                continue;
            }
            if !is_folded {
                self.fold_recorded(workspace, CLOCK_TIMEOUT).await;
                is_folded = true;
            }
            if let Some(lanes) = self.progress.of(workspace, policy.name())
                && self.is_held_back(&lanes, workspace).await
            {
                continue;
            }
            self.expire_all(&scope, policy, now)
                .await
                .inspect_err(|error| report_failure(scope.view, workspace, error))?;
        }
        Ok(())
    }
}

fn due_at(row: &StoredRow) -> Option<Timestamp> {
    row.sort.parse().ok().map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduled_timer_counts_if_it_is_the_earliest_or_the_first() {
        let at = |micros| EarliestTimer::At(Timestamp::from_micros(micros));
        let mut earliest = EarliestTimer::default();
        for (due, expected) in [(5, 5), (7, 5), (3, 3)] {
            earliest.add(Timestamp::from_micros(due));
            assert_eq!(earliest, at(expected));
        }
        let mut unread = EarliestTimer::Unread;
        unread.add(Timestamp::from_micros(1));
        assert_eq!(unread, EarliestTimer::Unread, "another may be earlier");
    }
}
