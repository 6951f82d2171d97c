//! The runner: does what processes want done. It sends their commands, and lets their timers run out.
//!
//! What is to be done lies in the processes' documents. The runner does it first and then notes that it is done; a crash in
//! between does it again, and the command service knows the command's id. It is woken by the lanes' commits and by clocks
//! that are put forward, and sleeps until the next timer is due.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
    policy::{AnyPolicy, OPEN, PendingCommand, TIMERS, WORK},
    timestamp::Timestamp,
    wire::{CommandRequest, ExpectedVersion, Order},
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    clocks::Clocks,
    process::{amend, parsed},
};
use crate::{
    clock::SharedClock,
    command::{CommandFailure, CommandService, Intent},
    projection::{Commit, Followers, progress::Progress},
    read_model::{FIRST_GENERATION, PageRequest, Place, ReadModel, ReadModelError, Scope, StoredRow},
};

/// The name space of the ids under which policies act (UUIDv5). Part of the stored format.
const ACTOR_NAMESPACE: Uuid = Uuid::from_u128(0x8c27_51de_30b4_5f9a_a1d6_7e42_b90c_3d58);

/// How many processes are read at a time, and how many of them are worked on at once.
const PAGE: u32 = 64;
const AT_ONCE: usize = 16;

/// How long to wait before a store that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// The policies of workspaces in which something may be to do; woken by the lanes.
#[derive(Debug, Default)]
pub struct Waker {
    awake: Mutex<BTreeSet<(WorkspaceId, &'static str)>>,
    woken: Notify,
}

impl Waker {
    pub(super) fn wake(&self, workspace: WorkspaceId, policy: &'static str) {
        self.awake
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((workspace, policy));
        self.woken.notify_one();
    }

    pub(super) fn end(&self, workspace: WorkspaceId) {
        let mut awake = self.awake.lock().unwrap_or_else(PoisonError::into_inner);
        awake.retain(|(of, _)| *of != workspace);
    }

    fn take(&self) -> BTreeSet<(WorkspaceId, &'static str)> {
        std::mem::take(&mut *self.awake.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Followers for Waker {
    fn follow(&self, _: &Scope) -> bool {
        false
    }

    fn committed(&self, commit: Commit) {
        self.wake(commit.scope.workspace, commit.scope.view);
    }
}

/// See the module.
#[derive(Debug)]
pub struct Runner {
    pub(super) policies: &'static [&'static dyn AnyPolicy],
    pub(super) processes: Arc<dyn ReadModel>,
    pub(super) commands: Arc<CommandService>,
    pub(super) progress: Arc<Progress>,
    pub(super) clocks: Arc<Clocks>,
    pub(super) clock: SharedClock,
    pub(super) waker: Arc<Waker>,
}

impl Runner {
    pub(super) async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&self) {
        // When the next timer is due, by its workspace's clock.
        let mut due: BTreeMap<(WorkspaceId, &'static str), Timestamp> = BTreeMap::new();
        loop {
            // Registered before anything is looked at, so that nothing happens unheard in between.
            let changed = self.clocks.changed();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            let mut failed = false;
            let mut awake = self.waker.take();
            awake.extend(due.keys().copied());
            let mut pause: Option<Duration> = None;
            for (workspace, policy) in awake {
                match self.look(workspace, policy).await {
                    Ok(None) => {
                        due.remove(&(workspace, policy));
                    }
                    Ok(Some((next, left))) => {
                        due.insert((workspace, policy), next);
                        pause = Some(pause.map_or(left, |pause| pause.min(left)));
                    }
                    Err(error) => {
                        tracing::warn!(consumer.policy = policy, %workspace, %error, "a process could not go on; trying again");
                        metrics::counter!("foldline_consumer_failures_total", "policy" => policy)
                            .increment(1);
                        self.waker.wake(workspace, policy);
                        failed = true;
                    }
                }
                // Whoever waits for all to be done looks again.
                self.progress.released();
            }
            if failed {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            tokio::select! {
                () = self.waker.woken.notified() => {}
                () = changed => {}
                () = sleep(pause) => {}
            }
        }
    }

    fn policy(&self, name: &str) -> Option<&'static dyn AnyPolicy> {
        self.policies.iter().copied().find(|policy| policy.name() == name)
    }

    /// Does what is to be done for a policy in a workspace. When its next timer is due, and how long that takes.
    async fn look(
        &self,
        workspace: WorkspaceId,
        policy: &'static str,
    ) -> Result<Option<(Timestamp, Duration)>, Failure> {
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
        loop {
            self.do_work(&scope).await?;
            let first = self.page(&scope, TIMERS, None).await?;
            let Some(next) = first.first().and_then(|row| row.sort.parse().ok()) else {
                return Ok(None);
            };
            let (next, now) = (Timestamp::from_micros(next), self.clocks.now(workspace).await?);
            if next > now {
                // At least a millisecond: a timer that is due within one would be looked at again and again.
                let left = Duration::from_millis(next.millis_since(now) + 1);
                return Ok(Some((next, left)));
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
                        .map_err(|error| ReadModelError::Corrupt(error.to_string()))
                };
                amend(&*self.processes, &scope, &row.document.key, &change).await?;
            }
        }
    }

    /// Sends every command that waits, and schedules every timer that was not looked at.
    async fn do_work(&self, scope: &Scope) -> Result<(), Failure> {
        loop {
            let page = self.page(scope, WORK, None).await?;
            if page.is_empty() {
                return Ok(());
            }
            let ahead_ms = self.clocks.ahead_ms(scope.workspace).await?;
            futures::stream::iter(page)
                .map(|row| self.advance(scope, row, ahead_ms))
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
        }
    }

    async fn page(
        &self,
        scope: &Scope,
        listing: &str,
        behind: Option<&Place>,
    ) -> Result<Vec<StoredRow>, ReadModelError> {
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

    /// One process: its commands in order, and its timers.
    async fn advance(&self, scope: &Scope, row: StoredRow, ahead_ms: u64) -> Result<(), Failure> {
        let process = parsed(&row.document.data)?;
        let mut done = Vec::with_capacity(process.pending.len());
        for pending in &process.pending {
            done.push((pending.command_id, self.send(scope, pending).await?));
        }
        let change = |_: &serde_json::value::RawValue, mut process: domain::policy::Process| {
            for (command_id, refused) in &done {
                process.done(*command_id, refused.clone());
            }
            process.schedule(ahead_ms);
            Ok(process)
        };
        Ok(amend(&*self.processes, scope, &row.document.key, &change).await?)
    }

    /// Sends a command; why it was refused for ever, where it was.
    async fn send(&self, scope: &Scope, pending: &PendingCommand) -> Result<Option<String>, Failure> {
        let actor = Actor {
            id: Uuid::new_v5(&ACTOR_NAMESPACE, scope.view.as_bytes()),
            role: Role::System,
            name: scope.view.to_owned(),
        };
        let request = CommandRequest {
            command_type: pending.command_type.clone(),
            stream: pending.stream.clone(),
            data: pending.data.clone(),
            expected_version: ExpectedVersion::Any,
            correlation_id: Some(pending.correlation_id),
        };
        let intent = Intent::from_request(scope.workspace, &actor, &request, None, None, &*self.clock);
        let sent = match intent {
            Ok(intent) => {
                let intent = Intent {
                    command_id: pending.command_id,
                    may_be_repeated: true,
                    causation_id: Some(pending.causation_id),
                    ..intent
                };
                self.commands.carry_out(intent).await
            }
            Err(failure) => Err(failure),
        };
        let outcome = match sent {
            Ok(_) => Ok(None),
            // Worth another attempt.
            Err(failure @ (CommandFailure::Unavailable(_) | CommandFailure::Conflict { .. })) => {
                return Err(Failure::Command(failure));
            }
            Err(failure) => {
                let command = pending.command_type.as_str();
                tracing::warn!(consumer.policy = scope.view, command, error = %failure, "a policy's command was refused");
                Ok(Some(failure.to_string()))
            }
        };
        let refused = matches!(outcome, Ok(Some(_)));
        metrics::counter!(
            "foldline_consumer_commands_total",
            "policy" => scope.view, "outcome" => if refused { "refused" } else { "accepted" }
        )
        .increment(1);
        outcome
    }

    /// What processes of a workspace still want done, or wait for.
    pub(super) async fn unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
    ) -> Result<Vec<String>, ReadModelError> {
        let concerns = |of: Uuid| correlation.is_none_or(|correlation| correlation == of);
        let mut unfinished = Vec::new();
        for policy in self.policies {
            let scope = Scope {
                workspace,
                view: policy.name(),
                generation: FIRST_GENERATION,
            };
            let (mut commands, mut timers) = (0, 0);
            let mut behind: Option<Place> = None;
            loop {
                let page = self.page(&scope, OPEN, behind.as_ref()).await?;
                let Some(last) = page.last() else { break };
                behind = Some(Place {
                    sort: last.sort.clone(),
                    key: last.document.key.clone(),
                });
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

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// Why a process could not go on for now.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
    #[error(transparent)]
    Command(CommandFailure),
}
