//! The runner: sends the commands of processes and expires their timers.
//!
//! Pending work is in the processes' documents. The runner performs it and then records that it is done;
//! after a crash in between it performs it again, and the command service recognises the command's id. It is
//! woken by the lanes' commits and by clocks that are put forward, and sleeps until the next timer is due.
//! Due timers expire before commands are sent, so an answer after the deadline counts as late.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    id::WorkspaceId,
    policy::{AnyPolicy, Now, OPEN, PendingCommand, SendOutcome, TIMERS, WORK},
    timestamp::Timestamp,
    wire::Order,
};
use futures::StreamExt as _;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;
use workspace_clock::Clocks;

use super::{
    command_queue::{CommandLease, CommandQueues},
    process::{amend, parsed},
    waker::Waker,
};
use clock::SharedClock;
use command::{CommandFailure, CommandService, Intent};
use documents::{
    DocumentStore, DocumentStoreError, FIRST_GENERATION, PageRequest, Scope, SeekKey, StoredRow,
};
use projection::progress::Progress;

/// How many processes are read at a time.
const PAGE: u32 = 64;
/// How many processes run at the same time: many, because each may wait for a provider's answer, and the
/// event store commits concurrent appends together.
const MAX_RUNNING_PROCESSES: usize = 512;
/// How many commands of a process are sent at the same time.
const MAX_RUNNING_QUEUES: usize = 16;

/// The pause before a store that did not answer is asked again.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// When each policy runs again, by the machine's clock, if nothing wakes it before.
type Alarms = BTreeMap<(WorkspaceId, &'static str), Instant>;

/// Runs policies: sends their commands and expires their timers.
#[derive(Debug)]
pub(super) struct Runner {
    policies: &'static [&'static dyn AnyPolicy],
    process_store: Arc<dyn DocumentStore>,
    commands: Arc<CommandService>,
    progress: Arc<Progress>,
    clocks: Arc<Clocks>,
    clock: SharedClock,
    waker: Arc<Waker>,
    queues: Arc<CommandQueues>,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
    cancelled: CancellationToken,
}

/// The boxes that the runner needs.
#[derive(Debug)]
pub(super) struct Dependencies {
    pub(super) policies: &'static [&'static dyn AnyPolicy],
    pub(super) process_store: Arc<dyn DocumentStore>,
    pub(super) commands: Arc<CommandService>,
    pub(super) progress: Arc<Progress>,
    pub(super) clocks: Arc<Clocks>,
    pub(super) clock: SharedClock,
    pub(super) waker: Arc<Waker>,
}

impl Runner {
    pub(super) fn new(dependencies: Dependencies) -> Self {
        let Dependencies {
            policies,
            process_store,
            commands,
            progress,
            clocks,
            clock,
            waker,
        } = dependencies;
        Self {
            policies,
            process_store,
            commands,
            progress,
            clocks,
            clock,
            waker,
            queues: Arc::default(),
            permits: Arc::new(Semaphore::new(MAX_RUNNING_PROCESSES)),
            tasks: TaskTracker::new(),
            cancelled: CancellationToken::new(),
        }
    }

    /// Runs until it is cancelled, and then abandons the commands that it is sending.
    pub(super) async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.work() => {}
        }
        self.cancelled.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Forgets a purged workspace.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        self.waker.end(workspace);
        self.queues.end(workspace);
    }

    async fn work(self: &Arc<Self>) {
        let mut alarms = Alarms::new();
        loop {
            // Registered before anything is read, so that no notification is missed in between.
            let changed = self.clocks.changed();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            let now = Instant::now();
            let mut awake = self.waker.take();
            awake.extend(
                alarms
                    .iter()
                    .filter(|(_, at)| **at <= now)
                    .map(|(which, _)| *which),
            );
            for (workspace, policy) in awake {
                alarms.remove(&(workspace, policy));
                match self.run_policy(workspace, policy).await {
                    Ok(None) => {}
                    Ok(Some(at)) => {
                        alarms.insert((workspace, policy), at);
                    }
                    Err(error) => {
                        report_failure(policy, workspace, &error);
                        alarms.insert((workspace, policy), Instant::now() + RETRY_DELAY);
                    }
                }
                // Wakes the tasks that wait for the workspace to be settled.
                self.progress.wake_waiting();
            }
            tokio::select! {
                () = self.waker.woken() => {}
                () = changed => {
                    self.queues.wake_all();
                    for at in alarms.values_mut() {
                        *at = Instant::now();
                    }
                }
                () = sleep_until(alarms.values().min().copied()) => {}
            }
        }
    }

    fn policy(&self, name: &str) -> Option<&'static dyn AnyPolicy> {
        self.policies.iter().copied().find(|policy| policy.name() == name)
    }

    /// Runs a policy in a workspace. Returns when to run it again, if nothing wakes it before.
    async fn run_policy(
        self: &Arc<Self>,
        workspace: WorkspaceId,
        policy: &'static str,
    ) -> Result<Option<Instant>, DocumentStoreError> {
        let Some(policy) = self
            .policy(policy)
            .filter(|_| !self.progress.has_ended(workspace))
        else {
            return Ok(None);
        };
        let scope = Scope {
            workspace,
            view: policy.name(),
            generation: FIRST_GENERATION,
        };
        self.schedule(&scope, policy).await?;
        let next = self.expire_timers(&scope, policy).await?;
        self.send_all(&scope, policy).await?;
        let next_retry = self.queues.next_retry_at(&scope);
        Ok([next, next_retry].into_iter().flatten().min())
    }

    /// Schedules the timers that have been started.
    async fn schedule(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
    ) -> Result<(), DocumentStoreError> {
        let mut after = None;
        loop {
            let page = self.page(scope, WORK, after.as_ref()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(seek_key(last));
            for row in &page {
                if parsed(&row.document.data)?.is_to_be_scheduled() {
                    self.note(scope, policy, &row.document.key, &[]).await?;
                }
            }
        }
    }

    /// Expires every due timer. Returns when the next one is due.
    async fn expire_timers(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
    ) -> Result<Option<Instant>, DocumentStoreError> {
        loop {
            let first = self.page(scope, TIMERS, None).await?;
            let Some(next) = first.first().and_then(|row| row.sort.parse().ok()) else {
                return Ok(None);
            };
            let (next, now) = (
                Timestamp::from_micros(next),
                self.clocks.now(scope.workspace).await?,
            );
            if next > now {
                // At least a millisecond: otherwise a timer that is due within one would be read again and
                // again.
                let left = Duration::from_millis(next.millis_since(now) + 1);
                return Ok(Some(Instant::now() + left));
            }
            let is_due = |row: &StoredRow| {
                row.sort
                    .parse()
                    .is_ok_and(|due| Timestamp::from_micros(due) <= now)
            };
            for row in first.into_iter().filter(is_due) {
                let change = |json: &serde_json::value::RawValue, _| {
                    policy
                        .expire(json, now)
                        .map_err(|error| DocumentStoreError::Corrupt(error.to_string()))
                };
                amend(&*self.process_store, scope, &row.document.key, &change).await?;
            }
        }
    }

    /// Begins to send all commands that can be sent, without waiting for answers.
    async fn send_all(
        self: &Arc<Self>,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
    ) -> Result<(), DocumentStoreError> {
        let mut after = None;
        loop {
            let page = self.page(scope, WORK, after.as_ref()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(seek_key(last));
            for row in page {
                let process = parsed(&row.document.data)?;
                // The semaphore is closed only when the program ends.
                let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                    return Ok(());
                };
                let key = row.document.key;
                let leases = self.queues.take(scope, &key, &process, &self.waker);
                if leases.is_empty() {
                    continue;
                }
                let (runner, scope) = (Arc::clone(self), *scope);
                self.tasks.spawn(async move {
                    let cancelled = runner.cancelled.clone();
                    cancelled
                        .run_until_cancelled(runner.advance(&scope, policy, &key, leases))
                        .await;
                    drop(permit);
                });
            }
        }
    }

    /// Sends the leased commands of one process, and records each outcome as soon as it is known.
    async fn advance(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        key: &str,
        leases: Vec<CommandLease>,
    ) {
        // Each queue is sent and recorded in one future, not recorded between two polls of the sends: that
        // could hold the only writing connection and never release it.
        futures::stream::iter(leases)
            .map(async |lease| {
                // The lease is held until the outcome is recorded, so that no other task sends the same
                // command meanwhile.
                let (_queue, outcomes) = self.send_queue(scope, lease).await;
                if let Err(error) = self.note(scope, policy, key, &outcomes).await {
                    report_failure(scope.view, scope.workspace, &error);
                    for (command_id, _) in &outcomes {
                        self.queues.back_off(scope, *command_id);
                    }
                }
            })
            .buffer_unordered(MAX_RUNNING_QUEUES)
            .collect::<()>()
            .await;
        self.progress.wake_waiting();
    }

    async fn note(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        key: &str,
        sent: &[(Uuid, SendOutcome)],
    ) -> Result<(), DocumentStoreError> {
        let now = Now {
            machine: self.clock.now(),
            ahead_ms: self.clocks.ahead_ms(scope.workspace).await?,
        };
        let change = |json: &serde_json::value::RawValue, _| {
            policy
                .sent(json, sent, now)
                .map_err(|error| DocumentStoreError::Corrupt(error.to_string()))
        };
        amend(&*self.process_store, scope, key, &change).await
    }

    /// Sends the commands of a queue in order, up to the first without an answer.
    async fn send_queue(
        &self,
        scope: &Scope,
        lease: CommandLease,
    ) -> (CommandLease, Vec<(Uuid, SendOutcome)>) {
        let mut outcomes = Vec::with_capacity(lease.commands.len());
        for pending in &lease.commands {
            let id = pending.command_id;
            match self.send(scope, pending).await {
                Ok(sent) => {
                    let is_unanswered = sent == SendOutcome::Unanswered;
                    outcomes.push((id, sent));
                    if is_unanswered {
                        self.queues.back_off(scope, id);
                        break;
                    }
                    self.queues.answered(scope.workspace, id);
                }
                Err(failure) => {
                    report_failure(scope.view, scope.workspace, &failure);
                    self.queues.back_off(scope, id);
                    break;
                }
            }
        }
        (lease, outcomes)
    }

    /// Sends a command. `Err`: no decision was made, and the command is worth another attempt.
    async fn send(&self, scope: &Scope, pending: &PendingCommand) -> Result<SendOutcome, CommandFailure> {
        let intent = Intent::of_policy(scope.workspace, scope.view, pending, &*self.clock);
        let sent = match intent {
            Ok(intent) => self.commands.carry_out(intent).await,
            Err(failure) => Err(failure),
        };
        let (outcome, sent) = match sent {
            Ok(_) => ("accepted", SendOutcome::Accepted),
            Err(failure) if failure.is_undecided() => return Err(failure),
            Err(failure) if failure.is_unanswered() => ("unanswered", SendOutcome::Unanswered),
            Err(failure) => {
                let command = pending.command_type.as_str();
                tracing::info!(
                    consumer.policy = scope.view, command, error = %failure, "a policy's command was refused"
                );
                ("refused", SendOutcome::Refused(failure.to_string()))
            }
        };
        metrics::counter!("foldline_consumer_commands_total", "policy" => scope.view, "outcome" => outcome)
            .increment(1);
        Ok(sent)
    }

    async fn page(
        &self,
        scope: &Scope,
        listing: &str,
        after: Option<&SeekKey>,
    ) -> Result<Vec<StoredRow>, DocumentStoreError> {
        let request = PageRequest {
            listing,
            group: "",
            order: Order::Asc,
            limit: PAGE,
            after,
        };
        let read = self
            .process_store
            .page(scope.workspace, scope.view, &request)
            .await?;
        Ok(read.value)
    }

    /// The remaining commands and timers of a workspace's processes.
    pub(super) async fn unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
    ) -> Result<Vec<String>, DocumentStoreError> {
        let is_concerned = |of: Uuid| correlation.is_none_or(|correlation| correlation == of);
        let mut unfinished = Vec::new();
        for policy in self.policies {
            let scope = Scope {
                workspace,
                view: policy.name(),
                generation: FIRST_GENERATION,
            };
            let (mut commands, mut timers) = (0, 0);
            let mut after: Option<SeekKey> = None;
            loop {
                let page = self.page(&scope, OPEN, after.as_ref()).await?;
                let Some(last) = page.last() else { break };
                after = Some(seek_key(last));
                for row in &page {
                    let process = parsed(&row.document.data)?;
                    commands += process
                        .pending
                        .iter()
                        .filter(|it| is_concerned(it.correlation_id))
                        .count();
                    timers += process
                        .timers
                        .iter()
                        .filter(|it| is_concerned(it.correlation_id))
                        .count();
                }
            }
            let counts = [(commands, "commands to send"), (timers, "timers")];
            let counts = counts.into_iter().filter(|(count, _)| *count > 0);
            unfinished.extend(counts.map(|(count, what)| format!("{}: {count} {what}", policy.name())));
        }
        Ok(unfinished)
    }
}

fn seek_key(row: &StoredRow) -> SeekKey {
    SeekKey {
        sort: row.sort.clone(),
        key: row.document.key.clone(),
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn report_failure(policy: &'static str, workspace: WorkspaceId, error: &dyn std::error::Error) {
    tracing::warn!(consumer.policy = policy, %workspace, %error, "a process failed and will be retried");
    metrics::counter!("foldline_consumer_failures_total", "policy" => policy).increment(1);
}
