//! Sends the commands of one process, and records their outcomes.
//!
//! An accepted command has events, and the lane that folds them removes the command from the process in the
//! same transaction. So the sender waits a little for that, and records an outcome itself only if no lane
//! does, or if only the sender knows it: a refusal, a missing answer, an acceptance without an event.

use std::{collections::VecDeque, sync::Arc};

use command::{CommandFailure, Intent};
use documents::{DocumentStoreError, Scope};
use domain::policy::{AnyPolicy, Now, PendingCommand, Process, SendOutcome};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{Notify, SemaphorePermit},
    time::Instant,
};
use uuid::Uuid;

use super::{
    command_queue::{CommandLease, MAX_BACKOFF},
    outcomes::{Outcomes, SentQueue},
    process::{amend, parsed},
    runner::{Runner, report_failure, sleep_until},
    work_set::{Known, Snapshot},
};

/// How many commands of a process are sent at the same time.
const MAX_RUNNING_QUEUES: usize = 16;

/// What is to be done for a process.
#[derive(Default)]
struct Leased {
    queues: VecDeque<CommandLease>,
    /// Whether it has timers to schedule.
    must_schedule: bool,
    /// Is told of commands that lanes have removed.
    sender: Arc<Notify>,
}

/// What has completed.
enum Step {
    Sent(SentQueue),
    /// With the process after the transaction, and how many outcomes were recorded when it began.
    Recorded(Option<(Process, u64)>),
}

/// What came of sending a command.
enum Sent {
    Answered {
        outcome: SendOutcome,
        /// Whether it has events.
        has_events: bool,
    },
    Unanswered,
}

impl Sent {
    fn answered(outcome: SendOutcome, has_events: bool) -> Self {
        Self::Answered { outcome, has_events }
    }
}

impl Runner {
    /// Sends what can be sent of a process, until every outcome is recorded.
    pub(super) async fn advance(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        process: &Arc<str>,
        known: Known,
    ) {
        // The semaphore is closed only when the program ends.
        let Ok(permit) = self.permits.acquire().await else {
            return;
        };
        if self.is_paused(scope) {
            // The runner has it listed once the lanes are resumed.
            self.work.add(scope, Arc::clone(process), None);
            return;
        }
        match self.lease(scope, process, known).await {
            Ok(leased) => self.send_all(scope, policy, process, leased, permit).await,
            Err(error) => {
                report_failure(scope.view, scope.workspace, &error);
                let later = Instant::now() + MAX_BACKOFF;
                self.work.retry(scope, Arc::clone(process), later);
            }
        }
    }

    /// Whether an educator has paused the policy.
    fn is_paused(&self, scope: &Scope) -> bool {
        let lanes = self.progress.of(scope.workspace, scope.view);
        lanes.is_some_and(|lanes| lanes.controls().is_paused())
    }

    async fn lease(
        &self,
        scope: &Scope,
        process: &Arc<str>,
        known: Known,
    ) -> Result<Leased, DocumentStoreError> {
        let snapshots = match known.into_snapshots() {
            Some(snapshots) => snapshots,
            None => self.read(scope, process).await?.into_iter().collect(),
        };
        let mut leased = Leased::default();
        for snapshot in snapshots {
            let (mut document, as_of) = match snapshot {
                Snapshot::Folded(json) => (parsed(&json)?, None),
                Snapshot::Current { process, as_of } => (process, Some(as_of)),
            };
            if self.postpone_if_due(scope, process, &document).await? {
                continue;
            }
            leased.must_schedule |= document.is_to_be_scheduled();
            self.leave_to_others(scope, &mut document);
            let taken = self.queues.take(scope, process, &document, as_of, &leased.sender);
            leased.queues.extend(taken);
        }
        Ok(leased)
    }

    /// Sends the leased queues and records their outcomes. Holds the permit while it sends.
    async fn send_all(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        process: &Arc<str>,
        leased: Leased,
        permit: SemaphorePermit<'_>,
    ) {
        let mut outcomes = Outcomes::new(leased.must_schedule, !leased.queues.is_empty());
        let Leased { queues, sender, .. } = leased;
        let (mut waiting, mut permit) = (queues, Some(permit));
        // Sends and records are polled together: a send between two polls could hold the only writing
        // connection, which the record waits for.
        let mut running: FuturesUnordered<BoxFuture<'_, Step>> = FuturesUnordered::new();
        let (mut sending, mut is_recording) = (0, false);
        loop {
            while sending < MAX_RUNNING_QUEUES
                && let Some(lease) = waiting.pop_front()
            {
                sending += 1;
                running.push(self.send_queue(scope, lease).boxed());
            }
            if sending == 0 {
                drop(permit.take());
            }
            if running.is_empty() && outcomes.at().is_none() {
                return;
            }
            let mut next = tokio::select! {
                step = running.next(), if !running.is_empty() => step,
                () = sleep_until(outcomes.at()), if !is_recording => None,
                () = sender.notified() => None,
            };
            if next.is_some() {
                // The answers of one group commit come at the same moment, so the others are ready as well.
                tokio::task::yield_now().await;
            }
            while let Some(step) = next {
                match step {
                    Step::Sent(queue) => {
                        sending -= 1;
                        outcomes.add(queue);
                    }
                    Step::Recorded(amended) => {
                        is_recording = false;
                        if let Some((mut document, as_of)) = amended {
                            self.leave_to_others(scope, &mut document);
                            let as_of = Some(as_of);
                            waiting.extend(self.queues.take(scope, process, &document, as_of, &sender));
                        }
                    }
                }
                next = running.next().now_or_never().flatten();
            }
            outcomes.release_carried_out();
            if !is_recording && let Some(sent) = outcomes.take_due() {
                is_recording = true;
                running.push(self.record(scope, policy, process, sent).boxed());
            }
        }
    }

    async fn read(&self, scope: &Scope, process: &str) -> Result<Option<Snapshot>, DocumentStoreError> {
        let as_of = self.queues.recorded();
        let read = self
            .process_store
            .document(scope.workspace, scope.view, process)
            .await?;
        let document = read.value.map(|document| parsed(&document.data)).transpose()?;
        Ok(document.map(|process| Snapshot::Current { process, as_of }))
    }

    /// Records the outcomes of a process's queues in one transaction, which also schedules its timers, and
    /// releases the queues.
    async fn record(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        process: &Arc<str>,
        sent: Vec<SentQueue>,
    ) -> Step {
        let outcomes: Vec<_> = sent.iter().flat_map(|queue| queue.outcomes.clone()).collect();
        let as_of = self.queues.recorded();
        let amended = match self.amend(scope, policy, process, &outcomes).await {
            Ok(amended) => {
                let is_final =
                    |(_, outcome): &&(Uuid, SendOutcome)| !matches!(outcome, SendOutcome::Unanswered { .. });
                let answered = outcomes.iter().filter(is_final).map(|(id, _)| *id);
                self.queues.record(scope, process, answered);
                // Before a command can be sent again.
                if let Some(due) = amended.as_ref().and_then(Process::next_due) {
                    self.work.add_timer(scope, due);
                }
                for queue in sent {
                    queue.release();
                }
                if let Some(amended) = &amended {
                    report_dead_letters(scope, amended, &outcomes);
                }
                self.unless_due(scope, process, amended).await
            }
            Err(error) => {
                report_failure(scope.view, scope.workspace, &error);
                if sent.is_empty() {
                    let later = Instant::now() + MAX_BACKOFF;
                    self.work.retry(scope, Arc::clone(process), later);
                }
                for SentQueue {
                    lease,
                    outcomes,
                    unanswered,
                    ..
                } in sent
                {
                    let mut again: Vec<_> = outcomes.iter().map(|(id, _)| *id).collect();
                    again.extend(unanswered);
                    lease.release(&again);
                }
                None
            }
        };
        self.progress.wake_waiting(scope.workspace);
        Step::Recorded(amended.map(|document| (document, as_of)))
    }

    /// A process after a record, unless a timer of it is due by now: the clock may have been put forward
    /// during the record.
    async fn unless_due(&self, scope: &Scope, key: &Arc<str>, amended: Option<Process>) -> Option<Process> {
        let amended = amended?;
        match self.postpone_if_due(scope, key, &amended).await {
            Ok(false) => Some(amended),
            Ok(true) => None,
            Err(error) => {
                report_failure(scope.view, scope.workspace, &error);
                let later = Instant::now() + MAX_BACKOFF;
                self.work.retry(scope, Arc::clone(key), later);
                None
            }
        }
    }

    async fn amend(
        &self,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        process: &str,
        sent: &[(Uuid, SendOutcome)],
    ) -> Result<Option<Process>, DocumentStoreError> {
        let now = Now {
            machine: self.clock.now(),
            workspace: self.clocks.now(scope.workspace).await?,
        };
        let lease = self.new_lease();
        let change = |json: &serde_json::value::RawValue| -> Result<Process, DocumentStoreError> {
            let mut process = policy
                .sent(json, sent, now)
                .map_err(|error| DocumentStoreError::Corrupt(error.to_string()))?;
            for (id, outcome) in sent {
                if let (SendOutcome::Unanswered { .. }, Some(lease)) = (outcome, lease) {
                    process.renew(*id, lease);
                }
            }
            Ok(process)
        };
        amend(&*self.process_store, scope, process, &change).await
    }

    /// Sends the commands of a queue in order, up to the first without an answer.
    async fn send_queue(&self, scope: &Scope, lease: CommandLease) -> Step {
        let mut outcomes = Vec::with_capacity(lease.commands.len());
        let (mut unanswered, mut awaits_lanes) = (None, true);
        for pending in &lease.commands {
            let id = pending.command_id;
            if self.is_paused(scope) {
                unanswered = Some(id);
                break;
            }
            // Before the provider is asked: its answer is not earlier, so that the deadline comes first also
            // if the clock is put forward before the missing answer is recorded.
            let sent_at = match self.clocks.now(scope.workspace).await {
                Ok(sent_at) => sent_at,
                Err(error) => {
                    report_failure(scope.view, scope.workspace, &error);
                    unanswered = Some(id);
                    break;
                }
            };
            match self.send(scope, pending).await {
                Ok(Sent::Unanswered) => {
                    // Otherwise the attempt changes nothing in the process.
                    if lease.starts_deadline(id) || self.others.exist() {
                        outcomes.push((id, SendOutcome::Unanswered { sent_at }));
                        awaits_lanes = false;
                    }
                    unanswered = Some(id);
                    break;
                }
                Ok(Sent::Answered { outcome, has_events }) => {
                    awaits_lanes &= has_events;
                    outcomes.push((id, outcome));
                }
                Err(failure) => {
                    report_failure(scope.view, scope.workspace, &failure);
                    unanswered = Some(id);
                    break;
                }
            }
        }
        Step::Sent(SentQueue {
            lease,
            outcomes,
            unanswered,
            awaits_lanes,
        })
    }

    /// Sends a command. `Err`: no decision was made, and the command is worth another attempt.
    async fn send(&self, scope: &Scope, pending: &PendingCommand) -> Result<Sent, CommandFailure> {
        let intent = Intent::of_policy(scope.workspace, scope.view, pending, &*self.clock);
        let sent = match intent {
            Ok(intent) => self.commands.carry_out(intent).await,
            Err(failure) => Err(failure),
        };
        let (label, sent) = match sent {
            Ok(answer) => {
                let has_events = !answer.events.is_empty();
                ("accepted", Sent::answered(SendOutcome::Accepted, has_events))
            }
            Err(failure) if failure.is_undecided() => return Err(failure),
            Err(failure) if failure.is_unanswered() => ("unanswered", Sent::Unanswered),
            Err(failure) => {
                let command = pending.command_type.as_str();
                tracing::info!(
                    consumer.policy = scope.view, command, error = %failure, "a policy's command was refused"
                );
                let outcome = SendOutcome::Refused(failure.to_string());
                ("refused", Sent::answered(outcome, false))
            }
        };
        metrics::counter!("foldline_consumer_commands_total", "policy" => scope.view, "outcome" => label)
            .increment(1);
        Ok(sent)
    }
}

/// Reports the commands that these outcomes have made dead letters: a person has to know of them.
fn report_dead_letters(scope: &Scope, process: &Process, outcomes: &[(Uuid, SendOutcome)]) {
    for failed in &process.failed {
        let id = failed.command.command_id;
        if outcomes.iter().any(|(sent, _)| *sent == id) {
            let command = failed.command.command_type.as_str();
            tracing::error!(
                consumer.policy = scope.view, workspace = %scope.workspace, stream = failed.command.stream,
                command, reason = failed.reason, "a policy's command was refused, and is a dead letter"
            );
            metrics::counter!("foldline_consumer_dead_letters_total", "policy" => scope.view).increment(1);
        }
    }
}
