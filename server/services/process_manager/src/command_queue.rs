//! The command queues of the runner: which commands are being sent, which back off, and which have an outcome
//! that is recorded. There is one queue for each stream of a process.
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
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use super::{recorded::RecordedCommands, work_set::WorkSet};
use documents::Scope;

/// The first and the longest pause after a command without an answer.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ProcessKey {
    scope: Scope,
    process: Arc<str>,
}

#[derive(Debug)]
struct Backoff {
    until: Instant,
    pause: Duration,
}

/// A stream of a process whose commands are being sent.
#[derive(Debug)]
struct Leased {
    commands: Vec<Uuid>,
    /// Those that a lane's commit has shown to be carried out.
    carried_out: HashSet<Uuid>,
    /// Whether commands for the stream were added meanwhile.
    has_more: bool,
    /// The task that sends, which is told of commands that were carried out.
    sender: Arc<Notify>,
}

#[derive(Debug, Default)]
struct ProcessQueues {
    /// By the stream's name.
    leased: HashMap<String, Leased>,
    backoffs: HashMap<Uuid, Backoff>,
}

#[derive(Debug, Default)]
struct State {
    /// Only processes with commands that are being sent or back off.
    processes: HashMap<ProcessKey, ProcessQueues>,
    recorded: RecordedCommands,
}

impl State {
    /// Frees a stream and makes its unanswered commands back off. Returns whether commands were added
    /// meanwhile, and until when the unanswered ones back off.
    fn release(&mut self, key: &ProcessKey, stream: &str, unanswered: &[Uuid]) -> (bool, Option<Instant>) {
        let queues = self.processes.entry(key.clone()).or_default();
        let has_more = queues.leased.remove(stream).is_some_and(|leased| leased.has_more);
        let now = Instant::now();
        let back_off = |command: &Uuid| {
            let backoff = queues.backoffs.entry(*command).or_insert(Backoff {
                until: now,
                pause: FIRST_BACKOFF / 2,
            });
            backoff.pause = (backoff.pause * 2).min(MAX_BACKOFF);
            backoff.until = now + backoff.pause;
            backoff.until
        };
        let until = unanswered.iter().map(back_off).max();
        self.forget_if_idle(key);
        (has_more, until)
    }

    fn forget_if_idle(&mut self, key: &ProcessKey) {
        let is_idle = |queues: &ProcessQueues| queues.leased.is_empty() && queues.backoffs.is_empty();
        if self.processes.get(key).is_some_and(is_idle) {
            self.processes.remove(key);
        }
    }
}

/// Knows the leased queues, and the commands that back off or have an outcome.
#[derive(Debug)]
pub(super) struct CommandQueues {
    state: Mutex<State>,
    work: Arc<WorkSet>,
}

/// Commands for one stream that one task may send. If it is dropped and not released, the process is looked
/// at again later.
#[derive(Debug)]
pub(super) struct CommandLease {
    pub(super) commands: Vec<PendingCommand>,
    /// Commands whose first unanswered attempt starts a deadline.
    with_deadline: Vec<Uuid>,
    key: ProcessKey,
    stream: String,
    is_released: bool,
    queues: Arc<CommandQueues>,
}

impl CommandLease {
    /// Whether a deadline starts with an unanswered attempt of this command.
    pub(super) fn starts_deadline(&self, command: Uuid) -> bool {
        self.with_deadline.contains(&command)
    }

    /// Whether commits of lanes have shown all of these commands to be carried out.
    pub(super) fn are_carried_out(&self, mut commands: impl Iterator<Item = Uuid>) -> bool {
        let state = self.queues.lock();
        let leased = state
            .processes
            .get(&self.key)
            .and_then(|queues| queues.leased.get(&self.stream));
        leased.is_some_and(|leased| commands.all(|command| leased.carried_out.contains(&command)))
    }

    /// Frees the queue. The unanswered commands back off and are sent again.
    pub(super) fn release(mut self, unanswered: &[Uuid]) {
        self.is_released = true;
        let released = self.queues.lock().release(&self.key, &self.stream, unanswered);
        let (has_more, until) = released;
        let (work, process) = (&self.queues.work, &self.key.process);
        if let Some(until) = until {
            work.retry(&self.key.scope, Arc::clone(process), until);
        }
        if has_more {
            work.add(&self.key.scope, Arc::clone(process), None);
        }
    }
}

impl Drop for CommandLease {
    fn drop(&mut self) {
        if self.is_released {
            return;
        }
        self.queues.lock().release(&self.key, &self.stream, &[]);
        let process = Arc::clone(&self.key.process);
        let later = Instant::now() + MAX_BACKOFF;
        self.queues.work.retry(&self.key.scope, process, later);
    }
}

impl CommandQueues {
    /// No queue is leased. Processes to look at again are added to `work`.
    pub(super) fn new(work: Arc<WorkSet>) -> Self {
        Self {
            state: Mutex::default(),
            work,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many outcomes were recorded. A document of a transaction that begins after the call is trusted to
    /// be without the commands that were recorded before it.
    pub(super) fn recorded(&self) -> u64 {
        self.lock().recorded.count()
    }

    /// Leases the queues of a process that can be sent now. `as_of`: see [`recorded`](Self::recorded); `None`
    /// for a document of a lane, which may be older than any recorded outcome. `sender` is told of commands
    /// that were carried out.
    pub(super) fn take(
        self: &Arc<Self>,
        scope: &Scope,
        process: &Arc<str>,
        document: &Process,
        as_of: Option<u64>,
        sender: &Arc<Notify>,
    ) -> Vec<CommandLease> {
        let key = ProcessKey {
            scope: *scope,
            process: Arc::clone(process),
        };
        let now = Instant::now();
        let mut leases: Vec<CommandLease> = Vec::new();
        let mut skipped: HashSet<&str> = HashSet::new();
        let mut state = self.lock();
        let State { processes, recorded } = &mut *state;
        let queues = processes.entry(key.clone()).or_default();
        if as_of.is_some() {
            let is_pending = |id: &Uuid| document.pending.iter().any(|it| it.command_id == *id);
            queues.backoffs.retain(|id, _| is_pending(id));
        }
        for command in &document.pending {
            let (id, stream) = (command.command_id, command.stream.as_str());
            if skipped.contains(stream) || recorded.is_after(scope.workspace, id, as_of) {
                continue;
            }
            if let Some(leased) = queues.leased.get_mut(stream) {
                if leased.commands.contains(&id) {
                    continue;
                }
                if let Some(lease) = leases.iter_mut().find(|lease| lease.stream == stream) {
                    leased.commands.push(id);
                    lease.commands.push(command.clone());
                } else {
                    leased.has_more = true;
                }
                continue;
            }
            if queues
                .backoffs
                .get(&id)
                .is_some_and(|backoff| backoff.until > now)
            {
                skipped.insert(stream);
                continue;
            }
            queues.leased.insert(
                stream.to_owned(),
                Leased {
                    commands: vec![id],
                    carried_out: HashSet::new(),
                    has_more: false,
                    sender: Arc::clone(sender),
                },
            );
            leases.push(CommandLease {
                commands: vec![command.clone()],
                with_deadline: Vec::new(),
                key: key.clone(),
                stream: stream.to_owned(),
                is_released: false,
                queues: Arc::clone(self),
            });
        }
        state.forget_if_idle(&key);
        drop(state);
        for lease in &mut leases {
            let ids = lease.commands.iter().map(|command| command.command_id);
            lease.with_deadline = ids.filter(|id| document.starts_deadline(*id)).collect();
        }
        leases
    }

    /// Notes that a lane's commit has removed a command from a process, because it was carried out.
    pub(super) fn carried_out(&self, scope: &Scope, process: &Arc<str>, command: Uuid) {
        let mut state = self.lock();
        let State { processes, recorded } = &mut *state;
        let key = ProcessKey {
            scope: *scope,
            process: Arc::clone(process),
        };
        let Some(queues) = processes.get_mut(&key) else {
            return;
        };
        let mut leased = queues.leased.values_mut();
        if let Some(leased) = leased.find(|leased| leased.commands.contains(&command)) {
            leased.carried_out.insert(command);
            leased.sender.notify_one();
            recorded.add(scope.workspace, command);
        }
    }

    /// Notes that final outcomes of a process's commands are recorded in its document.
    pub(super) fn record(&self, scope: &Scope, process: &Arc<str>, commands: impl Iterator<Item = Uuid>) {
        let mut state = self.lock();
        let State { processes, recorded } = &mut *state;
        let key = ProcessKey {
            scope: *scope,
            process: Arc::clone(process),
        };
        let mut queues = processes.get_mut(&key);
        for command in commands {
            recorded.add(scope.workspace, command);
            if let Some(queues) = &mut queues {
                queues.backoffs.remove(&command);
            }
        }
    }

    /// Ends all pauses, after a clock was put forward.
    pub(super) fn retry_now(&self) {
        let now = Instant::now();
        for queues in self.lock().processes.values_mut() {
            for backoff in queues.backoffs.values_mut() {
                backoff.until = now;
                backoff.pause = FIRST_BACKOFF / 2;
            }
        }
        self.work.retry_now();
    }

    /// Forgets a purged workspace.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        let mut state = self.lock();
        state.processes.retain(|key, _| key.scope.workspace != workspace);
        state.recorded.end(workspace);
    }
}

#[cfg(test)]
mod tests;
