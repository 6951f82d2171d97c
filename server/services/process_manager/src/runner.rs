//! The runner: sends the commands of processes and expires their timers.
//!
//! Pending work is in the processes' documents. The runner performs it and then records that it is done;
//! after a crash in between it performs it again, and the command service recognises the command's id. The
//! commits of the lanes tell it which processes have work (see [`work_set`](super::work_set)), so it reads no
//! others; it sleeps until the next timer or the next retry. Due timers expire before commands are sent, so
//! an answer after the deadline counts as late.
//!
//! The dials of the lanes hold for the runner too. While they are paused, no command is sent and no timer
//! expires; a command that is being sent then is finished. What waits is in the store, and is listed once
//! they are resumed. Lanes that a dial holds back are waited for before a timer expires: what is due first
//! happens first.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{id::WorkspaceId, policy::AnyPolicy, token::ConsistencyToken};
use tokio::{sync::Semaphore, task::AbortHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use workspace_clock::Clocks;

use super::{
    command_queue::CommandQueues,
    takeover::OtherServers,
    timers::{CLOCK_TIMEOUT, EarliestTimer},
    work_set::{Known, PolicyId, Unlisted, Work, WorkSet},
};
use clock::SharedClock;
use command::CommandService;
use documents::{DocumentStore, FIRST_GENERATION, Scope};
use event_store::EventStore;
use projection::progress::{HandlerProgress, Progress};

/// How many processes send commands at the same time: many, because each may wait for a provider's answer,
/// and the event store commits concurrent appends together.
const MAX_RUNNING_PROCESSES: usize = 512;

/// The pause before a store that did not answer is asked again.
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(200);

/// How long another server has to do the work of its own commits, before it is looked at here. What is left
/// then is taken over if the other server does not do it: see [`takeover`](super::takeover).
const TAKEOVER_DELAY: Duration = Duration::from_millis(250);

/// The pause before it is looked again whether lanes that a dial holds back have caught up.
pub(super) const CATCH_UP_DELAY: Duration = Duration::from_millis(100);

/// What the runner knows of a policy in a workspace between two runs.
#[derive(Debug, Default)]
struct Agenda {
    earliest_timer: EarliestTimer,
    /// When the listing of processes with work is read, and why.
    list: Option<(Instant, Unlisted)>,
    /// Whether another server runs the policy as well.
    is_shared: bool,
    /// Where the lanes were last, and since when, if a dial bends them or has bent them until a moment ago:
    /// then no timer expires before they have folded the events that are in the log.
    catch_up: Option<(ConsistencyToken, Instant)>,
    /// The task that waits for the end of a pause.
    resumption: Option<AbortHandle>,
    /// When the policy runs again, if nothing wakes it before.
    alarm: Option<Instant>,
}

/// Runs policies: sends their commands and expires their timers.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) policies: &'static [&'static dyn AnyPolicy],
    pub(super) store: Arc<dyn EventStore>,
    pub(super) process_store: Arc<dyn DocumentStore>,
    pub(super) commands: Arc<CommandService>,
    pub(super) progress: Arc<Progress>,
    pub(super) clocks: Arc<Clocks>,
    pub(super) clock: SharedClock,
    pub(super) work: Arc<WorkSet>,
    pub(super) queues: Arc<CommandQueues>,
    pub(super) permits: Semaphore,
    pub(super) others: OtherServers,
    tasks: TaskTracker,
    cancelled: CancellationToken,
}

/// The boxes that the runner needs.
#[derive(Debug)]
pub(super) struct Dependencies {
    pub(super) policies: &'static [&'static dyn AnyPolicy],
    /// Box 5, which says how far the events go that are folded before a clock is put forward.
    pub(super) store: Arc<dyn EventStore>,
    pub(super) process_store: Arc<dyn DocumentStore>,
    pub(super) commands: Arc<CommandService>,
    pub(super) progress: Arc<Progress>,
    pub(super) clocks: Arc<Clocks>,
    pub(super) clock: SharedClock,
    pub(super) work: Arc<WorkSet>,
    pub(super) queues: Arc<CommandQueues>,
}

impl Runner {
    pub(super) fn new(dependencies: Dependencies) -> Self {
        let Dependencies {
            policies,
            store,
            process_store,
            commands,
            progress,
            clocks,
            clock,
            work,
            queues,
        } = dependencies;
        Self {
            policies,
            store,
            process_store,
            commands,
            progress,
            clocks,
            others: OtherServers::new(clock.new_id()),
            clock,
            work,
            queues,
            permits: Semaphore::new(MAX_RUNNING_PROCESSES),
            tasks: TaskTracker::new(),
            cancelled: CancellationToken::new(),
        }
    }

    /// Runs until it is cancelled, and then abandons the commands that it is sending.
    pub(super) async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.run_policies() => {}
        }
        self.cancelled.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Forgets a purged workspace.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        self.work.end(workspace);
        self.queues.end(workspace);
        self.others.end(workspace);
    }

    async fn run_policies(self: &Arc<Self>) {
        let mut agendas: BTreeMap<PolicyId, Agenda> = BTreeMap::new();
        loop {
            // Registered before anything is read, so that no notification is missed in between.
            let changed = self.clocks.changed();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            let now = Instant::now();
            let mut awake = self.work.take();
            for (policy, agenda) in &agendas {
                if agenda.alarm.is_some_and(|at| at <= now) {
                    awake.entry(*policy).or_default();
                }
            }
            for (id, work) in awake {
                let mut agenda = agendas.remove(&id).unwrap_or_default();
                if self.run_policy(id, &mut agenda, work).await {
                    agendas.insert(id, agenda);
                }
            }
            let alarm = agendas.values().filter_map(|agenda| agenda.alarm).min();
            tokio::select! {
                () = self.work.added() => {}
                () = changed => {
                    self.queues.retry_now();
                    for agenda in agendas.values_mut() {
                        agenda.alarm = Some(Instant::now());
                    }
                }
                () = sleep_until(alarm) => {}
            }
        }
    }

    /// Runs a policy in a workspace. Returns whether its agenda is to be kept.
    async fn run_policy(
        self: &Arc<Self>,
        (workspace, name): PolicyId,
        agenda: &mut Agenda,
        mut work: Work,
    ) -> bool {
        if self.progress.has_ended(workspace) {
            // What its last tasks have added.
            self.end(workspace);
            return false;
        }
        let Some(policy) = self.policies.iter().copied().find(|policy| policy.name() == name) else {
            return false;
        };
        let scope = Scope {
            workspace,
            view: policy.name(),
            generation: FIRST_GENERATION,
        };
        let now = Instant::now();
        if work.unlisted == Some(Unlisted::ElsewhereChanged) {
            self.others.note();
        }
        let Some(lanes) = self.progress.of(workspace, policy.name()) else {
            return false;
        };
        if lanes.controls().is_paused() {
            agenda.hold(self.list_once_resumed(lanes, (workspace, policy.name())));
            return true;
        }
        if lanes.controls().dials().is_some() {
            agenda.catch_up = Some((lanes.folded(), now));
        }
        agenda.note(&work, now);
        let due_list = agenda.list.filter(|(at, _)| *at <= now);
        if due_list.is_some() {
            // Another server may have scheduled timers as well.
            agenda.earliest_timer = EarliestTimer::Unread;
        }
        let before = agenda.earliest_timer;
        let expired = if self.must_wait_for_lanes(&lanes, workspace, agenda).await {
            Ok(Some(now + CATCH_UP_DELAY))
        } else {
            self.expire_timers(&scope, policy, &mut agenda.earliest_timer)
                .await
        };
        let next_timer = match expired {
            Ok(next_timer) => next_timer,
            Err(error) => {
                report_failure(name, workspace, &error);
                // The work that was taken is found in the listing.
                let later = Instant::now() + RETRY_DELAY;
                (agenda.list, agenda.alarm) = (Some((later, Unlisted::Unknown)), Some(later));
                return true;
            }
        };
        if agenda.is_shared && matches!(before, EarliestTimer::At(_)) && before != agenda.earliest_timer {
            // Another server may have expired a timer and not sent its commands.
            agenda.list_by(now + TAKEOVER_DELAY, Unlisted::ElsewhereChanged);
        }
        if let Some((_, why)) = due_list {
            agenda.list = None;
            let runner = Arc::clone(self);
            self.spawn(async move { runner.advance_listed(&scope, policy, why).await });
        }
        for process in self.work.take_retries(&scope, now) {
            work.add(process, None);
        }
        for (process, known) in work.processes {
            self.start(&scope, policy, process, known);
        }
        let next_retry = self.work.next_retry_at(&scope);
        agenda.alarm = [next_timer, next_retry, agenda.list.map(|(at, _)| at)]
            .into_iter()
            .flatten()
            .min();
        agenda.alarm.is_some() || agenda.is_shared
    }

    /// Begins the work of a process, without waiting for answers.
    pub(super) fn start(
        self: &Arc<Self>,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        process: Arc<str>,
        known: Known,
    ) {
        let (runner, scope) = (Arc::clone(self), *scope);
        self.spawn(async move { runner.advance(&scope, policy, &process, known).await });
    }

    /// Has the listing of processes with work read once the lanes of a policy are not paused: what was known
    /// of them is in the store.
    fn list_once_resumed(&self, lanes: HandlerProgress, policy: PolicyId) -> AbortHandle {
        let work = Arc::clone(&self.work);
        self.spawn(async move {
            lanes.controls().resumed().await;
            work.add_unlisted(policy, Unlisted::Unknown);
        })
    }

    /// Whether no timer of a policy may expire yet: its lanes are behind, and dials are to blame. Once these
    /// are at rest, lanes that do not move are not waited for.
    async fn must_wait_for_lanes(
        &self,
        lanes: &HandlerProgress,
        workspace: WorkspaceId,
        agenda: &mut Agenda,
    ) -> bool {
        let is_any_due = match agenda.earliest_timer {
            EarliestTimer::None => false,
            EarliestTimer::Unread => true,
            EarliestTimer::At(due) => self.clocks.now(workspace).await.is_ok_and(|now| due <= now),
        };
        if !is_any_due {
            return false;
        }
        let Some((before, since)) = agenda.catch_up.take() else {
            return false;
        };
        let is_bent = lanes.controls().dials().is_some();
        let is_behind = !self.has_caught_up(lanes, workspace).await;
        let folded = lanes.folded();
        let since = if is_bent || folded != before {
            Instant::now()
        } else {
            since
        };
        let is_waited_for = is_behind && since.elapsed() < CLOCK_TIMEOUT;
        if is_bent || is_waited_for {
            agenda.catch_up = Some((folded, since));
        }
        is_waited_for
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let cancelled = self.cancelled.clone();
        let task = self.tasks.spawn(async move {
            cancelled.run_until_cancelled(work).await;
        });
        task.abort_handle()
    }
}

impl Agenda {
    /// Does nothing until the lanes are resumed.
    fn hold(&mut self, resumption: AbortHandle) {
        if let Some(earlier) = self.resumption.replace(resumption) {
            earlier.abort();
        }
        (self.list, self.alarm) = (None, None);
        self.earliest_timer = EarliestTimer::Unread;
        self.catch_up = Some((ConsistencyToken::default(), Instant::now()));
    }

    /// Has the listing of processes with work read by then, for the most urgent reason.
    fn list_by(&mut self, at: Instant, why: Unlisted) {
        let (earlier, before) = self.list.unwrap_or((at, why));
        self.list = Some((earlier.min(at), before.max(why)));
    }

    /// Notes the added work.
    fn note(&mut self, work: &Work, now: Instant) {
        match work.unlisted {
            Some(Unlisted::Unknown) => self.list_by(now, Unlisted::Unknown),
            Some(Unlisted::ElsewhereChanged) => {
                self.is_shared = true;
                self.list_by(now + TAKEOVER_DELAY, Unlisted::ElsewhereChanged);
            }
            None => {}
        }
        if let Some(at) = work.list_at {
            self.list_by(at, Unlisted::ElsewhereChanged);
        }
        if let Some(due) = work.due {
            self.earliest_timer.add(due);
        }
    }
}

pub(super) async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

pub(super) fn report_failure(policy: &'static str, workspace: WorkspaceId, error: &dyn std::error::Error) {
    tracing::warn!(consumer.policy = policy, %workspace, %error, "a process failed and will be retried");
    metrics::counter!("foldline_consumer_failures_total", "policy" => policy).increment(1);
}

#[cfg(test)]
mod tests;
