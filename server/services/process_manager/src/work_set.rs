//! The work set of the runner: which processes may have work, and when others have to be looked at again.
//!
//! It knows only what commits have told: the lanes announce the processes that an event has changed, and the
//! runner adds those that it has changed itself. What it does not know is in the listing of processes with
//! work, which is read at the start and whenever another server may have changed processes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use documents::Scope;
use domain::{id::WorkspaceId, policy::Process, timestamp::Timestamp};
use serde_json::value::RawValue;
use tokio::{sync::Notify, time::Instant};

/// A policy in a workspace.
pub(super) type PolicyId = (WorkspaceId, &'static str);

/// A process with more snapshots than this is read instead.
const MAX_SNAPSHOTS: usize = 4;

/// A process as a transaction has left it. A later transaction may have added commands to it, and is then
/// known by a snapshot of its own; commands that were recorded as answered are recognised by their ids.
#[derive(Debug)]
pub(super) enum Snapshot {
    /// By a lane's transaction.
    Folded(Arc<RawValue>),
    /// By a transaction of the runner, or by a read.
    Current {
        /// The process.
        process: Process,
        /// How many outcomes were recorded when the transaction began: see
        /// [`CommandQueues::recorded`](super::command_queue::CommandQueues::recorded).
        as_of: u64,
    },
}

/// What is known of a process that may have work.
#[derive(Debug, Default)]
pub(super) struct Known {
    snapshots: Vec<Snapshot>,
    must_be_read: bool,
}

impl Known {
    /// From one snapshot.
    pub(super) fn of(snapshot: Snapshot) -> Self {
        Self {
            snapshots: vec![snapshot],
            must_be_read: false,
        }
    }

    /// Adds a snapshot. `None`: the process has to be read.
    pub(super) fn add(&mut self, snapshot: Option<Snapshot>) {
        if matches!(snapshot, Some(Snapshot::Folded(_))) {
            // Lanes announce their commits in order, so this one has the commands of the earlier ones.
            self.snapshots.retain(|it| !matches!(it, Snapshot::Folded(_)));
        }
        match snapshot {
            Some(snapshot) if !self.must_be_read && self.snapshots.len() < MAX_SNAPSHOTS => {
                self.snapshots.push(snapshot);
            }
            _ => {
                self.must_be_read = true;
                self.snapshots.clear();
            }
        }
    }

    /// The snapshots, all of which count. `None`: the process has to be read.
    pub(super) fn into_snapshots(self) -> Option<Vec<Snapshot>> {
        (!self.must_be_read).then_some(self.snapshots)
    }
}

/// Why the listing of processes with work has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unlisted {
    /// Another server has changed processes. It does their work; what it leaves undone is found a little
    /// later.
    ElsewhereChanged,
    /// Any process may have work that no server knows of.
    Unknown,
}

/// The work of a policy in a workspace that was added since it was last taken.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// By the process's key.
    pub(super) processes: HashMap<Arc<str>, Known>,
    /// Why there may be more.
    pub(super) unlisted: Option<Unlisted>,
    /// The earliest expiry of a timer that was scheduled.
    pub(super) due: Option<Timestamp>,
    /// When the listing of processes with work is to be compared with what it shows now.
    pub(super) list_at: Option<Instant>,
}

impl Work {
    /// Adds a process. Without a snapshot, it has to be read.
    pub(super) fn add(&mut self, process: Arc<str>, snapshot: Option<Snapshot>) {
        self.processes.entry(process).or_default().add(snapshot);
    }
}

#[derive(Debug, Default)]
struct State {
    work: BTreeMap<PolicyId, Work>,
    retries: HashMap<PolicyId, BTreeSet<(Instant, Arc<str>)>>,
}

/// Which processes may have work.
#[derive(Debug, Default)]
pub(super) struct WorkSet {
    state: Mutex<State>,
    added: Notify,
}

/// The policy of a scope.
pub(super) fn policy_of(scope: &Scope) -> PolicyId {
    (scope.workspace, scope.view)
}

impl WorkSet {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, policy: PolicyId, change: impl FnOnce(&mut Work)) {
        change(self.lock().work.entry(policy).or_default());
        self.added.notify_one();
    }

    /// Adds a process. Without a snapshot, it has to be read.
    pub(super) fn add(&self, scope: &Scope, process: Arc<str>, snapshot: Option<Snapshot>) {
        self.change(policy_of(scope), |work| work.add(process, snapshot));
    }

    /// Has the listing of processes with work read.
    pub(super) fn add_unlisted(&self, policy: PolicyId, why: Unlisted) {
        self.change(policy, |work| work.unlisted = work.unlisted.max(Some(why)));
    }

    /// Has the listing of processes with work read at a time, to see whether another server does their work.
    pub(super) fn list_at(&self, policy: PolicyId, at: Instant) {
        self.change(policy, |work| {
            work.list_at = Some(work.list_at.map_or(at, |earlier| earlier.min(at)));
        });
    }

    /// Notes that a timer is scheduled.
    pub(super) fn add_timer(&self, scope: &Scope, due: Timestamp) {
        self.change(policy_of(scope), |work| {
            work.due = Some(work.due.map_or(due, |earlier| earlier.min(due)));
        });
    }

    /// Has a process looked at again at a time.
    pub(super) fn retry(&self, scope: &Scope, process: Arc<str>, at: Instant) {
        let policy = policy_of(scope);
        self.lock()
            .retries
            .entry(policy)
            .or_default()
            .insert((at, process));
        // So that the runner sets its alarm.
        self.change(policy, |_| {});
    }

    /// Takes the work that was added since the last call.
    pub(super) fn take(&self) -> BTreeMap<PolicyId, Work> {
        std::mem::take(&mut self.lock().work)
    }

    /// Takes the processes to look at again by now.
    pub(super) fn take_retries(&self, scope: &Scope, now: Instant) -> Vec<Arc<str>> {
        let mut state = self.lock();
        let policy = policy_of(scope);
        let Some(retries) = state.retries.get_mut(&policy) else {
            return Vec::new();
        };
        let mut due = Vec::new();
        while retries.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(retries.pop_first().map(|(_, process)| process));
        }
        if retries.is_empty() {
            state.retries.remove(&policy);
        }
        due
    }

    /// When the next process of a policy has to be looked at again.
    pub(super) fn next_retry_at(&self, scope: &Scope) -> Option<Instant> {
        let state = self.lock();
        let retries = state.retries.get(&policy_of(scope))?;
        retries.first().map(|(at, _)| *at)
    }

    /// Has all of them looked at now.
    pub(super) fn retry_now(&self) {
        let now = Instant::now();
        for retries in self.lock().retries.values_mut() {
            let all = std::mem::take(retries).into_iter();
            *retries = all.map(|(_, process)| (now, process)).collect();
        }
    }

    /// Waits until work is added.
    pub(super) async fn added(&self) {
        self.added.notified().await;
    }

    /// Forgets a purged workspace.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        let mut state = self.lock();
        state.work.retain(|(of, _), _| *of != workspace);
        state.retries.retain(|(of, _), _| *of != workspace);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use documents::FIRST_GENERATION;
    use uuid::Uuid;

    use super::*;

    fn scope() -> Scope {
        Scope {
            workspace: WorkspaceId(Uuid::from_u128(1)),
            view: "policy",
            generation: FIRST_GENERATION,
        }
    }

    fn folded(json: &str) -> Snapshot {
        let json = RawValue::from_string(json.to_owned()).unwrap();
        Snapshot::Folded(json.into())
    }

    fn current() -> Snapshot {
        Snapshot::Current {
            process: Process::default(),
            as_of: 0,
        }
    }

    fn known(work: &WorkSet, process: &str) -> Option<Vec<Snapshot>> {
        let mut taken = work.take();
        let processes = &mut taken.get_mut(&policy_of(&scope())).unwrap().processes;
        processes.remove(process).unwrap().into_snapshots()
    }

    #[test]
    fn a_lanes_newer_snapshot_replaces_its_older_one_and_no_other() {
        let work = WorkSet::default();
        work.add(&scope(), "a".into(), Some(folded("1")));
        work.add(&scope(), "a".into(), Some(current()));
        work.add(&scope(), "a".into(), Some(folded("2")));
        work.add(&scope(), "b".into(), Some(folded("3")));
        let snapshots = known(&work, "a").unwrap();
        let [Snapshot::Current { .. }, Snapshot::Folded(json)] = &snapshots[..] else {
            panic!("{snapshots:?}");
        };
        assert_eq!(json.get(), "2");
        assert!(work.take().is_empty());
    }

    #[test]
    fn a_process_without_a_snapshot_or_with_too_many_is_read() {
        let work = WorkSet::default();
        work.add(&scope(), "a".into(), None);
        work.add(&scope(), "a".into(), Some(folded("1")));
        assert!(known(&work, "a").is_none());
        for _ in 0..=MAX_SNAPSHOTS {
            work.add(&scope(), "a".into(), Some(current()));
        }
        assert!(known(&work, "a").is_none());
    }

    #[test]
    fn the_most_urgent_reason_to_read_the_listing_and_the_earliest_timer_count() {
        let work = WorkSet::default();
        let policy = policy_of(&scope());
        work.add_unlisted(policy, Unlisted::Unknown);
        work.add_unlisted(policy, Unlisted::ElsewhereChanged);
        for due in [5, 3, 4] {
            work.add_timer(&scope(), Timestamp::from_micros(due));
        }
        let taken = work.take();
        let taken = &taken[&policy];
        assert_eq!(taken.unlisted, Some(Unlisted::Unknown));
        assert_eq!(taken.due, Some(Timestamp::from_micros(3)));
    }

    #[test]
    fn a_retry_is_taken_when_it_is_due_and_all_are_after_a_clock_was_put_forward() {
        let (work, now) = (WorkSet::default(), Instant::now());
        let far = now + Duration::from_hours(1);
        work.retry(&scope(), "later".into(), far);
        work.retry(&scope(), "now".into(), now);
        assert_eq!(work.take_retries(&scope(), now), [Arc::<str>::from("now")]);
        assert_eq!(work.next_retry_at(&scope()), Some(far));
        work.retry_now();
        assert_eq!(
            work.take_retries(&scope(), Instant::now()),
            [Arc::<str>::from("later")]
        );
        assert_eq!(work.next_retry_at(&scope()), None);
        work.retry(&scope(), "later".into(), far);
        work.end(scope().workspace);
        assert!(work.take().is_empty() && work.next_retry_at(&scope()).is_none());
    }
}
