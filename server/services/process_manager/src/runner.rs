//! The runner: does what processes want done. It sends their commands, and lets their timers run out.
//!
//! What is to be done lies in the processes' documents. The runner does it first and then notes that it is done; a crash in
//! between does it again, and the command service knows the command's id. It is woken by the lanes' commits and by clocks
//! that are put forward, and sleeps until the next timer is due. A timer that is due comes before whatever is to be sent, so
//! that an answer which comes too late is too late.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    id::WorkspaceId,
    policy::{AnyPolicy, Now, OPEN, PendingCommand, Sent, TIMERS, WORK},
    timestamp::Timestamp,
    wire::Order,
};
use futures::StreamExt as _;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;
use workspace_clock::Clocks;

use super::{
    command_queue::{Queue, Sending},
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
/// How many processes are worked on at once. Many, because each may have to wait for somebody else's answer, and the event
/// store takes what comes at the same time in one commit.
const AT_ONCE: usize = 512;
/// How many commands of a process are sent at once.
const QUEUES_AT_ONCE: usize = 16;

/// How long to wait before a store that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// The policies that are looked at again at a time of the machine, if nothing happens before.
type Alarms = BTreeMap<(WorkspaceId, &'static str), Instant>;

/// See the module.
#[derive(Debug)]
pub(super) struct Runner {
    policies: &'static [&'static dyn AnyPolicy],
    processes: Arc<dyn DocumentStore>,
    commands: Arc<CommandService>,
    progress: Arc<Progress>,
    clocks: Arc<Clocks>,
    clock: SharedClock,
    waker: Arc<Waker>,
    sending: Arc<Sending>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    cancelled: CancellationToken,
}

/// What the runner needs of the other boxes.
#[derive(Debug)]
pub(super) struct Dependencies {
    pub(super) policies: &'static [&'static dyn AnyPolicy],
    pub(super) processes: Arc<dyn DocumentStore>,
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
            processes,
            commands,
            progress,
            clocks,
            clock,
            waker,
        } = dependencies;
        Self {
            policies,
            processes,
            commands,
            progress,
            clocks,
            clock,
            waker,
            sending: Arc::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            tasks: TaskTracker::new(),
            cancelled: CancellationToken::new(),
        }
    }

    /// Works until it is cancelled, and lets go of what it is sending then.
    pub(super) async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.work() => {}
        }
        self.cancelled.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A workspace is there no more.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        self.waker.end(workspace);
        self.sending.end(workspace);
    }

    async fn work(self: &Arc<Self>) {
        let mut alarms = Alarms::new();
        loop {
            // Registered before anything is looked at, so that nothing happens unheard in between.
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
                match self.look(workspace, policy).await {
                    Ok(None) => {}
                    Ok(Some(at)) => {
                        alarms.insert((workspace, policy), at);
                    }
                    Err(error) => {
                        complain(policy, workspace, &error);
                        alarms.insert((workspace, policy), Instant::now() + AGAIN);
                    }
                }
                // Whoever waits for all to be done looks again.
                self.progress.released();
            }
            tokio::select! {
                () = self.waker.woken() => {}
                () = changed => {
                    self.sending.wake_all();
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

    /// Does what is to be done for a policy in a workspace. When to look again, if nothing happens before.
    async fn look(
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
        let next = self.let_run_out(&scope, policy).await?;
        self.send_all(&scope, policy).await?;
        let rested = self.sending.rested_at(&scope);
        Ok([next, rested].into_iter().flatten().min())
    }

    /// Says when timers run out that have begun and were not looked at.
    async fn schedule(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
    ) -> Result<(), DocumentStoreError> {
        let mut behind = None;
        loop {
            let page = self.page(scope, WORK, behind.as_ref()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            behind = Some(place(last));
            for row in &page {
                if parsed(&row.document.data)?.is_to_be_scheduled() {
                    self.note(scope, policy, &row.document.key, &[]).await?;
                }
            }
        }
    }

    /// Lets every timer run out that is due. When the next one is.
    async fn let_run_out(
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
                // At least a millisecond: a timer that is due within one would be looked at again and again.
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
                amend(&*self.processes, scope, &row.document.key, &change).await?;
            }
        }
    }

    /// Begins to send whatever can be sent, and waits for nobody's answer.
    async fn send_all(
        self: &Arc<Self>,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
    ) -> Result<(), DocumentStoreError> {
        let mut behind = None;
        loop {
            let page = self.page(scope, WORK, behind.as_ref()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            behind = Some(place(last));
            for row in page {
                let process = parsed(&row.document.data)?;
                // Closed only when the program ends.
                let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                    return Ok(());
                };
                let key = row.document.key;
                let queues = self.sending.take(scope, &key, &process, &self.waker);
                if queues.is_empty() {
                    continue;
                }
                let (runner, scope) = (Arc::clone(self), *scope);
                self.tasks.spawn(async move {
                    let cancelled = runner.cancelled.clone();
                    cancelled
                        .run_until_cancelled(runner.advance(&scope, policy, &key, queues))
                        .await;
                    drop(place);
                });
            }
        }
    }

    /// Sends what was taken of one process, and notes what became of it as soon as it is known.
    async fn advance(&self, scope: &Scope, policy: &'static dyn AnyPolicy, key: &str, queues: Vec<Queue>) {
        // Sent and noted side by side, and not noted between two looks at what is being sent: that may hold the one
        // connection that writes, and would never let go of it.
        futures::stream::iter(queues)
            .map(async |queue| {
                // The queue is held until it is noted, so that nobody sends the same again meanwhile.
                let (_queue, outcomes) = self.send_queue(scope, queue).await;
                if let Err(error) = self.note(scope, policy, key, &outcomes).await {
                    complain(scope.view, scope.workspace, &error);
                    for (command_id, _) in &outcomes {
                        self.sending.rest(scope, *command_id);
                    }
                }
            })
            .buffer_unordered(QUEUES_AT_ONCE)
            .collect::<()>()
            .await;
        self.progress.released();
    }

    async fn note(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        key: &str,
        sent: &[(Uuid, Sent)],
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
        amend(&*self.processes, scope, key, &change).await
    }

    /// Sends the commands of a queue one after the other, up to the first that has no answer.
    async fn send_queue(&self, scope: &Scope, queue: Queue) -> (Queue, Vec<(Uuid, Sent)>) {
        let mut outcomes = Vec::with_capacity(queue.commands.len());
        for pending in &queue.commands {
            let id = pending.command_id;
            match self.send(scope, pending).await {
                Ok(sent) => {
                    let is_unanswered = sent == Sent::Unanswered;
                    outcomes.push((id, sent));
                    if is_unanswered {
                        self.sending.rest(scope, id);
                        break;
                    }
                    self.sending.answered(scope.workspace, id);
                }
                Err(failure) => {
                    complain(scope.view, scope.workspace, &failure);
                    self.sending.rest(scope, id);
                    break;
                }
            }
        }
        (queue, outcomes)
    }

    /// Sends a command. `Err`: it did not get as far as a decision, and is worth another attempt.
    async fn send(&self, scope: &Scope, pending: &PendingCommand) -> Result<Sent, CommandFailure> {
        let intent = Intent::of_policy(scope.workspace, scope.view, pending, &*self.clock);
        let sent = match intent {
            Ok(intent) => self.commands.carry_out(intent).await,
            Err(failure) => Err(failure),
        };
        let (outcome, sent) = match sent {
            Ok(_) => ("accepted", Sent::Accepted),
            Err(failure) if failure.is_undecided() => return Err(failure),
            Err(failure) if failure.is_unanswered() => ("unanswered", Sent::Unanswered),
            Err(failure) => {
                let command = pending.command_type.as_str();
                tracing::info!(consumer.policy = scope.view, command, error = %failure, "a policy's command was refused");
                ("refused", Sent::Refused(failure.to_string()))
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
        behind: Option<&SeekKey>,
    ) -> Result<Vec<StoredRow>, DocumentStoreError> {
        let request = PageRequest {
            listing,
            group: "",
            order: Order::Asc,
            limit: PAGE,
            behind,
        };
        let read = self.processes.page(scope.workspace, scope.view, &request).await?;
        Ok(read.value)
    }

    /// What processes of a workspace still want done, or wait for.
    pub(super) async fn unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
    ) -> Result<Vec<String>, DocumentStoreError> {
        let concerns = |of: Uuid| correlation.is_none_or(|correlation| correlation == of);
        let mut unfinished = Vec::new();
        for policy in self.policies {
            let scope = Scope {
                workspace,
                view: policy.name(),
                generation: FIRST_GENERATION,
            };
            let (mut commands, mut timers) = (0, 0);
            let mut behind: Option<SeekKey> = None;
            loop {
                let page = self.page(&scope, OPEN, behind.as_ref()).await?;
                let Some(last) = page.last() else { break };
                behind = Some(place(last));
                for row in &page {
                    let process = parsed(&row.document.data)?;
                    commands += process
                        .pending
                        .iter()
                        .filter(|it| concerns(it.correlation_id))
                        .count();
                    timers += process
                        .timers
                        .iter()
                        .filter(|it| concerns(it.correlation_id))
                        .count();
                }
            }
            let said = [(commands, "commands to send"), (timers, "timers")];
            let said = said.into_iter().filter(|(count, _)| *count > 0);
            unfinished.extend(said.map(|(count, what)| format!("{}: {count} {what}", policy.name())));
        }
        Ok(unfinished)
    }
}

fn place(row: &StoredRow) -> SeekKey {
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

fn complain(policy: &'static str, workspace: WorkspaceId, error: &dyn std::error::Error) {
    tracing::warn!(consumer.policy = policy, %workspace, error = %error, "a process could not go on; trying again");
    metrics::counter!("foldline_consumer_failures_total", "policy" => policy).increment(1);
}
