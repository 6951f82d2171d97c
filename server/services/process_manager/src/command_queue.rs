//! What the runner is sending just now, and what it lets rest: one queue for each stream of a process.
//!
//! Commands of a process for one stream go in their order, one after the other; those for different streams do not wait for
//! each other. A command without an answer rests a little longer each time, and holds up its own queue only.

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

/// How long a command rests that had no answer, at first and at most.
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(2);

/// One stream of one process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lane {
    workspace: WorkspaceId,
    policy: &'static str,
    process: String,
    stream: String,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    policy: &'static str,
    until: Instant,
    pause: Duration,
}

#[derive(Debug, Default)]
struct State {
    busy: HashSet<Lane>,
    resting: HashMap<(WorkspaceId, Uuid), Rest>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sending(Mutex<State>);

/// Commands for one stream, taken by whoever holds this; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) commands: Vec<PendingCommand>,
    lane: Lane,
    sending: Arc<Sending>,
    waker: Arc<Waker>,
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.sending.lock().busy.remove(&self.lane);
        // What was added meanwhile is to be sent as well.
        self.waker.wake(self.lane.workspace, self.lane.policy);
    }
}

impl Sending {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what of a process can be sent now.
    pub(super) fn take(
        self: &Arc<Self>,
        scope: &Scope,
        key: &str,
        process: &Process,
        waker: &Arc<Waker>,
    ) -> Vec<Queue> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut queues: Vec<Queue> = Vec::new();
        let mut passed: HashSet<&str> = HashSet::new();
        for command in &process.pending {
            if passed.contains(command.stream.as_str()) {
                continue;
            }
            if let Some(queue) = queues
                .iter_mut()
                .find(|queue| queue.lane.stream == command.stream)
            {
                queue.commands.push(command.clone());
                continue;
            }
            let rests = state
                .resting
                .get(&(scope.workspace, command.command_id))
                .is_some_and(|rest| rest.until > now);
            let lane = Lane {
                workspace: scope.workspace,
                policy: scope.view,
                process: key.to_owned(),
                stream: command.stream.clone(),
            };
            if rests || !state.busy.insert(lane.clone()) {
                passed.insert(&command.stream);
                continue;
            }
            queues.push(Queue {
                commands: vec![command.clone()],
                lane,
                sending: Arc::clone(self),
                waker: Arc::clone(waker),
            });
        }
        queues
    }

    /// A command had no answer: it is left alone for a while.
    pub(super) fn rest(&self, scope: &Scope, command_id: Uuid) {
        let mut state = self.lock();
        let rest = state
            .resting
            .entry((scope.workspace, command_id))
            .or_insert(Rest {
                policy: scope.view,
                until: Instant::now(),
                pause: FIRST_REST / 2,
            });
        rest.pause = (rest.pause * 2).min(LONGEST_REST);
        rest.until = Instant::now() + rest.pause;
    }

    /// A command has its answer.
    pub(super) fn answered(&self, workspace: WorkspaceId, command_id: Uuid) {
        self.lock().resting.remove(&(workspace, command_id));
    }

    /// When the next command of a policy in a workspace has rested.
    pub(super) fn rested_at(&self, scope: &Scope) -> Option<Instant> {
        let state = self.lock();
        let of_scope = state
            .resting
            .iter()
            .filter(|((workspace, _), rest)| *workspace == scope.workspace && rest.policy == scope.view);
        of_scope.map(|(_, rest)| rest.until).min()
    }

    /// Time has been put forward: whoever rests has rested.
    pub(super) fn wake_all(&self) {
        let now = Instant::now();
        for rest in self.lock().resting.values_mut() {
            rest.until = now;
            rest.pause = FIRST_REST / 2;
        }
    }

    /// A workspace is there no more.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        self.lock().resting.retain(|(of, _), _| *of != workspace);
    }
}
