//! The commands of a connection: carried out in the order in which they were sent, on a task of their own
//! that does not delay the subscriptions.
//!
//! The task begins with the first command, because most connections only read.

use std::sync::Arc;

use domain::wire::{CommandRequest, ServerFrame};
use telemetry::{hop_span, security};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::{Instrument as _, Level};

use crate::{
    SharedGateway,
    api::carry_out,
    auth::{self, Caller},
    problem::ApiProblem,
    tokens::TokenRefusal,
};
use identity::session_status::SessionStatus;

/// The most commands of a connection that wait to be carried out.
const CAPACITY: usize = 64;
/// The most bytes of their frames together; a single longer frame fits into an empty queue.
const CAPACITY_BYTES: u32 = 524_288;

/// A command that waits to be carried out.
pub(super) struct QueuedCommand {
    pub(super) id: u64,
    pub(super) command: CommandRequest,
    pub(super) idempotency_key: String,
}

/// A command in the queue, with the room that its frame takes there until it is carried out.
type Waiting = (QueuedCommand, OwnedSemaphorePermit);

/// The waiting commands of a connection, and the answers to those that were carried out.
pub(super) struct CommandQueue {
    commands: mpsc::Sender<Box<Waiting>>,
    /// The bytes that are left for frames of commands.
    room: Arc<Semaphore>,
    answers: mpsc::Receiver<Box<ServerFrame>>,
}

impl CommandQueue {
    /// An empty queue, and the task that carries out its commands. The task outlives the connection until
    /// they are all carried out.
    pub(super) fn start(gateway: &SharedGateway, caller: &Caller) -> Self {
        let (commands, waiting) = mpsc::channel(CAPACITY);
        let (results, answers) = mpsc::channel(CAPACITY);
        let commands_of_connection =
            carry_out_all(SharedGateway::clone(gateway), caller.clone(), waiting, results);
        let sender = auth::sender(Some(caller), caller.address());
        gateway
            .sockets
            .spawn(security::in_request(sender, commands_of_connection));
        let room = usize::try_from(CAPACITY_BYTES).unwrap_or(usize::MAX);
        Self {
            commands,
            room: Arc::new(Semaphore::new(room)),
            answers,
        }
    }

    /// Queues a command whose frame has this length; `false`: the queue is full.
    pub(super) fn push(&self, command: QueuedCommand, length: usize) -> bool {
        let bytes = u32::try_from(length).map_or(CAPACITY_BYTES, |length| length.min(CAPACITY_BYTES));
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else {
            return false;
        };
        self.commands.try_send(Box::new((command, room))).is_ok()
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
    mut waiting: mpsc::Receiver<Box<Waiting>>,
    answers: mpsc::Sender<Box<ServerFrame>>,
) {
    while let Some(next) = waiting.recv().await {
        let (command, room) = *next;
        // In memory of its own: a task without a command needs little.
        let answer = Box::pin(carry_out_one(&gateway, &caller, command)).await;
        drop(room);
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
            carry_out(gateway, caller, &command, Some(&idempotency_key), None)
                .instrument(hop_span!(Level::INFO, "API Gateway"))
                .await
        }
        Err(error) => Err(error.into()),
    };
    let (result, problem) = match outcome.map_err(ApiProblem::into_problem) {
        Ok(answer) => (Some(answer), None),
        Err(problem) => (None, Some(problem)),
    };
    ServerFrame::Result { id, result, problem }
}
