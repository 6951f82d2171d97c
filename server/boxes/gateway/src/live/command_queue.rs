//! The commands of a connection: carried out in the order in which they were sent, on a task of their own
//! that does not delay the subscriptions.
//!
//! The task begins with the first command, because most connections only read.

use domain::wire::{CommandRequest, ServerFrame};
use tokio::sync::mpsc;

use crate::{SharedGateway, api::carry_out, auth::Caller, problem::ApiProblem, tokens::TokenRefusal};
use identity::session_status::SessionStatus;

/// The most commands of a connection that wait to be carried out.
const CAPACITY: usize = 64;

/// A command that waits to be carried out.
pub(super) struct QueuedCommand {
    pub(super) id: u64,
    pub(super) command: CommandRequest,
    pub(super) idempotency_key: String,
}

/// The waiting commands of a connection, and the answers to those that were carried out.
pub(super) struct CommandQueue {
    commands: mpsc::Sender<Box<QueuedCommand>>,
    answers: mpsc::Receiver<Box<ServerFrame>>,
}

impl CommandQueue {
    /// An empty queue, and the task that carries out its commands. The task outlives the connection until
    /// they are all carried out.
    pub(super) fn start(gateway: &SharedGateway, caller: &Caller) -> Self {
        let (commands, waiting) = mpsc::channel(CAPACITY);
        let (results, answers) = mpsc::channel(CAPACITY);
        gateway.sockets.spawn(carry_out_all(
            SharedGateway::clone(gateway),
            caller.clone(),
            waiting,
            results,
        ));
        Self { commands, answers }
    }

    /// Queues a command; `false`: the queue is full.
    pub(super) fn push(&self, command: QueuedCommand) -> bool {
        self.commands.try_send(Box::new(command)).is_ok()
    }
}

/// The next answer to a command of a connection; without a queue, there is never one.
pub(super) async fn next_answer(queue: Option<&mut CommandQueue>) -> Option<Box<ServerFrame>> {
    match queue {
        Some(queue) => queue.answers.recv().await,
        None => std::future::pending().await,
    }
}

/// Carries out a connection's commands, one after the other.
async fn carry_out_all(
    gateway: SharedGateway,
    caller: Caller,
    mut waiting: mpsc::Receiver<Box<QueuedCommand>>,
    answers: mpsc::Sender<Box<ServerFrame>>,
) {
    while let Some(command) = waiting.recv().await {
        // In memory of its own: a task without a command needs little.
        let answer = Box::pin(carry_out_one(&gateway, &caller, *command)).await;
        // The connection may be gone; its commands are carried out all the same.
        let _ = answers.send(Box::new(answer)).await;
    }
}

async fn carry_out_one(gateway: &SharedGateway, caller: &Caller, queued: QueuedCommand) -> ServerFrame {
    let QueuedCommand {
        id,
        command,
        idempotency_key,
    } = queued;
    // The session may have ended while the command waited.
    let outcome = match caller.session_status(gateway).await {
        Ok(SessionStatus::Ended) => Err(TokenRefusal::SessionEnded.into()),
        Ok(SessionStatus::Guest | SessionStatus::Active) => {
            carry_out(gateway, caller, &command, Some(&idempotency_key), None).await
        }
        Err(error) => Err(error.into()),
    };
    let (result, problem) = match outcome.map_err(ApiProblem::into_problem) {
        Ok(answer) => (Some(answer), None),
        Err(problem) => (None, Some(problem)),
    };
    ServerFrame::Result { id, result, problem }
}
