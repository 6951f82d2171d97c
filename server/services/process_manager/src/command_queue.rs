//! The command queues of the runner: which commands are being sent, and which back off. There is one queue
//! for each stream of a process.
//!
//! A process's commands for one stream are sent in order, one after the other; commands for different streams
//! do not wait for each other. A command without an answer backs off, longer each time, and holds up its own
//! queue only.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    id::WorkspaceId,
    policy::{PendingCommand, Process},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::waker::Waker;
use documents::Scope;

/// The first and the longest pause after a command without an answer.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// One stream of one process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct QueueKey {
    workspace: WorkspaceId,
    policy: &'static str,
    process: String,
    stream: String,
}

#[derive(Debug, Clone, Copy)]
struct Backoff {
    policy: &'static str,
    until: Instant,
    pause: Duration,
}

#[derive(Debug, Default)]
struct State {
    leased: HashSet<QueueKey>,
    backoffs: HashMap<(WorkspaceId, Uuid), Backoff>,
}

/// Knows the leased queues and the commands that back off.
#[derive(Debug, Default)]
pub(super) struct CommandQueues(Mutex<State>);

/// Commands for one stream that one task may send; the queue is free again when this is dropped.
#[derive(Debug)]
pub(super) struct CommandLease {
    pub(super) commands: Vec<PendingCommand>,
    queue_key: QueueKey,
    queues: Arc<CommandQueues>,
    waker: Arc<Waker>,
}

impl Drop for CommandLease {
    fn drop(&mut self) {
        self.queues.lock().leased.remove(&self.queue_key);
        // Commands may have been added meanwhile.
        self.waker.wake(self.queue_key.workspace, self.queue_key.policy);
    }
}

impl CommandQueues {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leases the queues of a process that can be sent now.
    pub(super) fn take(
        self: &Arc<Self>,
        scope: &Scope,
        key: &str,
        process: &Process,
        waker: &Arc<Waker>,
    ) -> Vec<CommandLease> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut leases: Vec<CommandLease> = Vec::new();
        let mut skipped: HashSet<&str> = HashSet::new();
        for command in &process.pending {
            if skipped.contains(command.stream.as_str()) {
                continue;
            }
            if let Some(lease) = leases
                .iter_mut()
                .find(|lease| lease.queue_key.stream == command.stream)
            {
                lease.commands.push(command.clone());
                continue;
            }
            let is_backing_off = state
                .backoffs
                .get(&(scope.workspace, command.command_id))
                .is_some_and(|backoff| backoff.until > now);
            let queue_key = QueueKey {
                workspace: scope.workspace,
                policy: scope.view,
                process: key.to_owned(),
                stream: command.stream.clone(),
            };
            if is_backing_off || !state.leased.insert(queue_key.clone()) {
                skipped.insert(&command.stream);
                continue;
            }
            leases.push(CommandLease {
                commands: vec![command.clone()],
                queue_key,
                queues: Arc::clone(self),
                waker: Arc::clone(waker),
            });
        }
        leases
    }

    /// Makes a command without an answer back off.
    pub(super) fn back_off(&self, scope: &Scope, command_id: Uuid) {
        let mut state = self.lock();
        let backoff = state
            .backoffs
            .entry((scope.workspace, command_id))
            .or_insert(Backoff {
                policy: scope.view,
                until: Instant::now(),
                pause: FIRST_BACKOFF / 2,
            });
        backoff.pause = (backoff.pause * 2).min(MAX_BACKOFF);
        backoff.until = Instant::now() + backoff.pause;
    }

    /// Notes that a command has its answer.
    pub(super) fn answered(&self, workspace: WorkspaceId, command_id: Uuid) {
        self.lock().backoffs.remove(&(workspace, command_id));
    }

    /// When the next command of a policy in a workspace may be retried.
    pub(super) fn next_retry_at(&self, scope: &Scope) -> Option<Instant> {
        let state = self.lock();
        let of_scope = state.backoffs.iter().filter(|((workspace, _), backoff)| {
            *workspace == scope.workspace && backoff.policy == scope.view
        });
        of_scope.map(|(_, backoff)| backoff.until).min()
    }

    /// Ends all pauses, after a clock was put forward.
    pub(super) fn wake_all(&self) {
        let now = Instant::now();
        for backoff in self.lock().backoffs.values_mut() {
            backoff.until = now;
            backoff.pause = FIRST_BACKOFF / 2;
        }
    }

    /// Forgets a purged workspace.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        self.lock().backoffs.retain(|(of, _), _| *of != workspace);
    }
}
