//! The runner: sends the commands of processes and expires their timers.
//!
//! Pending work is in the processes' documents. The runner performs it and then records that it is done;
//! after a crash in between it performs it again, and the command service recognises the command's id. The
//! commits of the lanes tell it which processes have work (see [`work_set`](super::work_set)), so it reads no
//! others; it sleeps until the next timer or the next retry. Due timers expire before commands are sent, so
//! an answer after the deadline counts as late.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{id::WorkspaceId, policy::AnyPolicy};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use workspace_clock::Clocks;

use super::{
    command_queue::CommandQueues,
    takeover::OtherServers,
    timers::EarliestTimer,
    work_set::{Known, PolicyId, Unlisted, Work, WorkSet},
};
use clock::SharedClock;
use command::CommandService;
use documents::{DocumentStore, FIRST_GENERATION, Scope};
use event_store::EventStore;
use projection::progress::Progress;

/// How many processes send commands at the same time: many, because each may wait for a provider's answer,
/// and the event store commits concurrent appends together.
const MAX_RUNNING_PROCESSES: usize = 512;

/// The pause before a store that did not answer is asked again.
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(200);

/// How long another server has to do the work of its own commits, before it is looked at here. What is left
/// then is taken over if the other server does not do it: see [`takeover`](super::takeover).
const TAKEOVER_DELAY: Duration = Duration::from_millis(250);

/// What the runner knows of a policy in a workspace between two runs.
#[derive(Debug, Default)]
struct Agenda {
    earliest_timer: EarliestTimer,
    /// When the listing of processes with work is read, and why.
    list: Option<(Instant, Unlisted)>,
    /// Whether another server runs the policy as well.
    is_shared: bool,
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
        agenda.note(&work, now);
        let due_list = agenda.list.filter(|(at, _)| *at <= now);
        if due_list.is_some() {
            // Another server may have scheduled timers as well.
            agenda.earliest_timer = EarliestTimer::Unread;
        }
        let before = agenda.earliest_timer;
        let next_timer = match self
            .expire_timers(&scope, policy, &mut agenda.earliest_timer)
            .await
        {
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

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let cancelled = self.cancelled.clone();
        self.tasks.spawn(async move {
            cancelled.run_until_cancelled(work).await;
        });
    }
}

impl Agenda {
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
