//! The remaining work of a workspace's processes, for `/settled`.
//!
//! The work of a correlation is looked for in its own processes: a command and a timer have the correlation
//! of the event that caused them, and are in the process that the policy's key names for that event.

use std::collections::BTreeSet;

use documents::{DocumentStoreError, FIRST_GENERATION, PageRequest, Scope, SeekKey};
use domain::{
    event::TypedEvent,
    id::WorkspaceId,
    policy::{AnyPolicy, OPEN, Process},
    wire::Order,
};
use uuid::Uuid;

use super::{listing::seek_key, process::parsed, runner::Runner};

/// Processes, by the names of their policies and their keys.
pub type ProcessKeys = BTreeSet<(&'static str, String)>;

/// The work that is awaited.
#[derive(Debug, Clone, Copy)]
pub enum Awaited<'a> {
    /// All work of the workspace.
    All,
    /// The work of a correlation, in the processes that its events concern.
    Correlation(Uuid, &'a ProcessKeys),
}

impl Awaited<'_> {
    /// The correlation, where it is that of one.
    pub fn correlation(self) -> Option<Uuid> {
        match self {
            Self::All => None,
            Self::Correlation(correlation, _) => Some(correlation),
        }
    }
}

/// The remaining work of a policy's processes, and what a person has to settle.
#[derive(Debug, Default)]
struct Remaining {
    commands: usize,
    timers: usize,
    dead_letters: usize,
}

impl Remaining {
    fn add(&mut self, process: &Process, correlation: Option<Uuid>) {
        let is_concerned = |of: Uuid| correlation.is_none_or(|correlation| correlation == of);
        let pending = process.pending.iter();
        self.commands += pending.filter(|it| is_concerned(it.correlation_id)).count();
        // A deadline that has not started is no timer yet: the command that it waits for is counted.
        let timers = process.timers.iter().filter(|it| it.waits_for.is_none());
        self.timers += timers.filter(|it| is_concerned(it.correlation_id)).count();
        let failed = process.failed.iter();
        self.dead_letters += failed
            .filter(|it| is_concerned(it.command.correlation_id))
            .count();
    }

    fn is_empty(&self) -> bool {
        self.commands == 0 && self.timers == 0 && self.dead_letters == 0
    }

    fn phrases(&self, policy: &str) -> impl Iterator<Item = String> {
        let counts = [
            (self.commands, "commands to send"),
            (self.timers, "timers"),
            (self.dead_letters, "dead letters, commands that were refused"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        counts.map(move |(count, what)| format!("{policy}: {count} {what}"))
    }
}

impl Runner {
    /// The processes that an event concerns.
    pub(super) fn processes_of(&self, event: &TypedEvent) -> ProcessKeys {
        let of_policy = |policy: &&'static dyn AnyPolicy| {
            let name = policy.name();
            policy.keys(event).into_iter().map(move |key| (name, key))
        };
        self.policies.iter().flat_map(of_policy).collect()
    }

    /// Whether any process has a command, a timer or a dead letter left. Reads no more than it needs to know
    /// that.
    pub(super) async fn has_open_process(
        &self,
        workspace: WorkspaceId,
        awaited: Awaited<'_>,
    ) -> Result<bool, DocumentStoreError> {
        match awaited {
            Awaited::Correlation(correlation, processes) => {
                for (policy, key) in processes {
                    let mut remaining = Remaining::default();
                    self.add_process(workspace, policy, key, correlation, &mut remaining)
                        .await?;
                    if !remaining.is_empty() {
                        return Ok(true);
                    }
                }
            }
            Awaited::All => {
                let first = PageRequest {
                    listing: OPEN,
                    group: "",
                    order: Order::Asc,
                    limit: 1,
                    after: None,
                };
                for policy in self.policies {
                    let read = self.process_store.page(workspace, policy.name(), &first).await?;
                    if !read.value.is_empty() {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// The remaining commands, timers and dead letters of a workspace's processes, one phrase each.
    pub(super) async fn unfinished(
        &self,
        workspace: WorkspaceId,
        awaited: Awaited<'_>,
    ) -> Result<Vec<String>, DocumentStoreError> {
        let mut unfinished = Vec::new();
        for policy in self.policies {
            let policy = policy.name();
            let mut remaining = Remaining::default();
            match awaited {
                Awaited::All => self.add_open_processes(workspace, policy, &mut remaining).await?,
                Awaited::Correlation(correlation, processes) => {
                    for (_, key) in processes.iter().filter(|(of, _)| *of == policy) {
                        self.add_process(workspace, policy, key, correlation, &mut remaining)
                            .await?;
                    }
                }
            }
            unfinished.extend(remaining.phrases(policy));
        }
        Ok(unfinished)
    }

    async fn add_process(
        &self,
        workspace: WorkspaceId,
        policy: &str,
        key: &str,
        correlation: Uuid,
        remaining: &mut Remaining,
    ) -> Result<(), DocumentStoreError> {
        let read = self.process_store.document(workspace, policy, key).await?;
        if let Some(document) = read.value {
            remaining.add(&parsed(&document.data)?, Some(correlation));
        }
        Ok(())
    }

    async fn add_open_processes(
        &self,
        workspace: WorkspaceId,
        policy: &'static str,
        remaining: &mut Remaining,
    ) -> Result<(), DocumentStoreError> {
        let scope = Scope {
            workspace,
            view: policy,
            generation: FIRST_GENERATION,
        };
        let mut after: Option<SeekKey> = None;
        loop {
            let page = self.page(&scope, OPEN, after.as_ref()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(seek_key(last));
            for row in &page {
                remaining.add(&parsed(&row.document.data)?, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        policy::{PendingCommand, Timer},
        timestamp::Timestamp,
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deadline_is_counted_as_a_timer_once_it_has_started_and_as_its_command_before() {
        let command = PendingCommand {
            command_id: Uuid::from_u128(1),
            command_type: "ProcessPayment".to_owned(),
            stream: "payment-1".to_owned(),
            data: json!({}),
            causation_id: Uuid::from_u128(2),
            correlation_id: Uuid::from_u128(3),
        };
        let deadline = Timer {
            name: "payment".to_owned(),
            begun_at: Timestamp::default(),
            after_ms: 5_000,
            due_at: None,
            waits_for: Some(command.command_id),
            causation_id: command.causation_id,
            correlation_id: command.correlation_id,
        };
        let mut process = Process {
            pending: vec![command],
            timers: vec![deadline],
            ..Process::default()
        };
        let phrases = |process: &Process| -> Vec<String> {
            let mut remaining = Remaining::default();
            remaining.add(process, Some(Uuid::from_u128(3)));
            remaining.phrases("fulfilment").collect()
        };
        let sent = "fulfilment: 1 commands to send";
        assert_eq!(phrases(&process), [sent]);
        process.timers[0].waits_for = None;
        assert_eq!(phrases(&process), [sent, "fulfilment: 1 timers"]);
        let mut others = Remaining::default();
        others.add(&process, Some(Uuid::from_u128(4)));
        assert!(others.is_empty());
    }
}
