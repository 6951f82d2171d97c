//! Servers that run the same policies send no command at the same time, and take over what another one has
//! left.
//!
//! A server sends the commands of its lanes' commits at once. If a command gets no answer, its process has a
//! **lease** for it: the server that sends it again, and by when it does so. Every attempt renews the lease,
//! and no other server sends the command meanwhile. A server that sees the same lease, or the same command
//! without one, for [`LEASE`] takes it over: it takes the lease first, and only one server can.
//!
//! No server compares its clock with another's. A server that has never met another one writes no leases.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use documents::{DocumentStoreError, Scope};
use domain::{
    id::WorkspaceId,
    policy::{Lease, Process},
    timestamp::Timestamp,
};
use serde_json::value::RawValue;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    command_queue::MAX_BACKOFF,
    process::{amend, parsed},
    runner::Runner,
    work_set::{PolicyId, policy_of},
};

/// How long a lease holds after an attempt: longer than the pause before the next attempt and the attempt
/// itself.
pub(super) const LEASE: Duration = Duration::from_secs(7);

/// The leases of pending commands, each with the time since when it is seen unchanged.
pub(super) type Observed = HashMap<Uuid, (Option<Lease>, Instant)>;

/// What this server knows of the other servers that run the same policies.
#[derive(Debug)]
pub(super) struct OtherServers {
    this: Uuid,
    exist: AtomicBool,
    observed: Mutex<HashMap<PolicyId, Observed>>,
}

impl OtherServers {
    /// None is known; `this` is a new id of this server.
    pub(super) fn new(this: Uuid) -> Self {
        Self {
            this,
            exist: AtomicBool::new(false),
            observed: Mutex::default(),
        }
    }

    /// Notes that there is another server.
    pub(super) fn note(&self) {
        self.exist.store(true, Ordering::Relaxed);
    }

    /// Whether there is another server.
    pub(super) fn exist(&self) -> bool {
        self.exist.load(Ordering::Relaxed)
    }

    fn observed(&self) -> MutexGuard<'_, HashMap<PolicyId, Observed>> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commands of a listed process that no server has sent for the length of a lease, with the leases
    /// that they have. What is seen is added to `seen`.
    pub(super) fn abandoned(
        &self,
        policy: PolicyId,
        process: &Process,
        seen: &mut Observed,
        now: Instant,
    ) -> Vec<(Uuid, Option<Lease>)> {
        let observed = self.observed();
        let before = observed.get(&policy);
        let mut abandoned = Vec::new();
        for command in &process.pending {
            let id = command.command_id;
            let lease = process.leases.get(&id).copied();
            let unchanged = before
                .and_then(|before| before.get(&id))
                .filter(|(before, _)| *before == lease);
            let since = unchanged.map_or(now, |(_, since)| *since);
            seen.insert(id, (lease, since));
            if now.saturating_duration_since(since) >= LEASE {
                abandoned.push((id, lease));
            }
        }
        abandoned
    }

    /// Replaces what the last listing has shown.
    pub(super) fn saw(&self, policy: PolicyId, seen: Observed) {
        let mut observed = self.observed();
        if seen.is_empty() {
            observed.remove(&policy);
        } else {
            observed.insert(policy, seen);
        }
    }

    /// Forgets a purged workspace.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        self.observed().retain(|(of, _), _| *of != workspace);
    }
}

impl Runner {
    /// A new lease of this server, if there is another one.
    pub(super) fn new_lease(&self) -> Option<Lease> {
        let pause = i64::try_from(MAX_BACKOFF.as_micros()).unwrap_or(i64::MAX);
        self.others.exist().then(|| Lease {
            server: self.others.this,
            sends_by: Timestamp::from_micros(self.clock.now().as_micros().saturating_add(pause)),
        })
    }

    /// Takes the commands out of a process that another server sends, and those behind them. They are looked
    /// at again later.
    pub(super) fn leave_to_others(&self, scope: &Scope, process: &mut Process) {
        if !self.others.exist() {
            return;
        }
        let Process { pending, leases, .. } = process;
        let mut left: HashSet<String> = HashSet::new();
        pending.retain(|command| {
            let lease = leases.get(&command.command_id);
            if lease.is_some_and(|lease| lease.server != self.others.this) {
                left.insert(command.stream.clone());
            }
            !left.contains(&command.stream)
        });
        if !left.is_empty() {
            self.work.list_at(policy_of(scope), Instant::now() + LEASE);
        }
    }

    /// Takes over commands of a process, unless another server was faster. Returns the process after that.
    pub(super) async fn take_over(
        &self,
        scope: &Scope,
        process: &Arc<str>,
        commands: &[(Uuid, Option<Lease>)],
    ) -> Result<Option<Process>, DocumentStoreError> {
        let own = self.new_lease();
        let change = |json: &RawValue| -> Result<Process, DocumentStoreError> {
            let mut process = parsed(json)?;
            for (id, lease) in commands {
                process.take_over(*id, *lease, own);
            }
            Ok(process)
        };
        tracing::info!(
            consumer.policy = scope.view, workspace = %scope.workspace, process = &**process,
            commands = commands.len(), "commands that another server has left are taken over"
        );
        amend(&*self.process_store, scope, process, &change).await
    }
}

#[cfg(test)]
mod tests {
    use domain::policy::PendingCommand;

    use super::*;

    const POLICY: PolicyId = (WorkspaceId(Uuid::from_u128(1)), "policy");

    fn process(leases: &[(u128, u128)]) -> Process {
        let pending = [1, 2].map(|id| PendingCommand {
            command_id: Uuid::from_u128(id),
            command_type: "ReceiveStock".to_owned(),
            stream: "inventory-mug".to_owned(),
            data: serde_json::Value::Null,
            causation_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
        });
        let lease = |server| Lease {
            server: Uuid::from_u128(server),
            sends_by: Timestamp::from_micros(1),
        };
        Process {
            pending: pending.into(),
            leases: leases
                .iter()
                .map(|(id, server)| (Uuid::from_u128(*id), lease(*server)))
                .collect(),
            ..Process::default()
        }
    }

    /// The abandoned commands of a process that is listed at this time.
    fn list(others: &OtherServers, process: &Process, now: Instant) -> Vec<u128> {
        let mut seen = Observed::new();
        let abandoned = others.abandoned(POLICY, process, &mut seen, now);
        others.saw(POLICY, seen);
        abandoned.into_iter().map(|(id, _)| id.as_u128()).collect()
    }

    #[test]
    fn a_command_is_abandoned_if_its_lease_does_not_change() {
        let others = OtherServers::new(Uuid::from_u128(9));
        let begin = Instant::now();
        let none: [u128; 0] = [];
        assert_eq!(list(&others, &process(&[]), begin), none);
        assert_eq!(list(&others, &process(&[(1, 7)]), begin + LEASE / 2), none);
        // The first has a lease since, and the second has none still.
        assert_eq!(list(&others, &process(&[(1, 7)]), begin + LEASE), [2]);
        assert_eq!(list(&others, &process(&[(1, 8)]), begin + LEASE * 2), [2]);
        assert_eq!(list(&others, &process(&[(1, 8)]), begin + LEASE * 3), [1, 2]);
        assert_eq!(list(&others, &Process::default(), begin + LEASE * 4), none);
        assert!(others.observed().is_empty(), "what was sent is forgotten");
        assert_eq!(list(&others, &process(&[(1, 8)]), begin + LEASE * 5), none);
        others.end(POLICY.0);
        assert!(others.observed().is_empty());
    }
}
