//! The live socket: one task for each connection, which sends the frames of the query API and receives
//! commands.
//!
//! The server closes the connection, with a reason, when the token, its session or the workspace ends, when
//! the server stops, when the client does not answer a ping, or when it takes no more data. Commands of one
//! connection are carried out in the order in which they were sent, on a task of their own that does not
//! delay the subscriptions.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use domain::{
    control_character,
    wire::{ClientFrame, CommandRequest, Problem, ServerFrame},
};
use futures::{SinkExt as _, StreamExt as _, stream::SplitSink};
use serde::Serialize;
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::{Instant, MissedTickBehavior},
};
use tokio_tungstenite::tungstenite;

use super::{
    SharedGateway,
    api::carry_out as carry_out_one,
    auth::{Caller, is_erased},
    json_body,
    limits::Client,
    problem::{ApiProblem, Kind},
    tokens::{SESSION_ENDED, TokenRefusal},
};
use identity::{
    session_status::{SessionChange, SessionStatus},
    sessions::ACCESS_SECONDS,
};
use query::live::{LiveItem, LiveSession, Subscribe};

/// The name of the WebSocket subprotocol.
pub(super) const SUBPROTOCOL: &str = "foldline.v1";

/// The interval of pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long the client may take to answer a ping.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the client may take to receive a frame.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The most commands of a connection that wait to be carried out.
const COMMAND_QUEUE_CAPACITY: usize = 64;

/// A command that waits to be carried out.
struct QueuedCommand {
    id: u64,
    command: CommandRequest,
    idempotency_key: String,
}

/// How a connection ends.
enum Disconnect {
    /// The client is gone, or has closed the connection.
    Gone,
    /// The server closes it, with a code and a reason.
    Close(u16, &'static str),
}

/// Serves a connection until it ends.
pub(super) async fn serve(gateway: SharedGateway, caller: Caller, socket: WebSocket) {
    metrics::gauge!("foldline_live_connections").increment(1.0);
    let (commands, waiting) = mpsc::channel(COMMAND_QUEUE_CAPACITY);
    let (answers, results) = mpsc::channel(COMMAND_QUEUE_CAPACITY);
    gateway
        .sockets
        .spawn(carry_out(gateway.clone(), caller.clone(), waiting, answers));
    let (sender, receiver) = socket.split();
    let session = gateway.queries.live(caller.workspace(), caller.actor().clone());
    let mut connection = Connection {
        client: Client::Person(caller.actor().id),
        gateway,
        caller,
        session,
        sender,
        commands,
    };
    let end = connection.run(receiver, results).await;
    if let Disconnect::Close(code, reason) = end {
        let frame = Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }));
        // A client that does not take the close frame is gone as well.
        let _ = connection.transmit(frame).await;
    }
    metrics::gauge!("foldline_live_connections").decrement(1.0);
}

/// Carries out a connection's commands, one after the other.
async fn carry_out(
    gateway: SharedGateway,
    caller: Caller,
    mut waiting: mpsc::Receiver<QueuedCommand>,
    answers: mpsc::Sender<ServerFrame>,
) {
    while let Some(QueuedCommand {
        id,
        command,
        idempotency_key,
    }) = waiting.recv().await
    {
        // The session may have ended while the command waited.
        let outcome = match caller.session_status(&gateway).await {
            Ok(SessionStatus::Ended) => Err(TokenRefusal::SessionEnded.into()),
            Ok(SessionStatus::Guest | SessionStatus::Active) => {
                carry_out_one(&gateway, &caller, &command, Some(&idempotency_key), None).await
            }
            Err(error) => Err(error.into()),
        };
        let outcome = outcome.map_err(ApiProblem::into_problem);
        let (result, problem) = match outcome {
            Ok(answer) => (Some(answer), None),
            Err(problem) => (None, Some(problem)),
        };
        // The connection may be gone; its commands are carried out all the same.
        let _ = answers.send(ServerFrame::Result { id, result, problem }).await;
    }
}

struct Connection {
    gateway: SharedGateway,
    caller: Caller,
    client: Client,
    session: LiveSession,
    sender: SplitSink<WebSocket, Message>,
    commands: mpsc::Sender<QueuedCommand>,
}

impl Connection {
    async fn run(
        &mut self,
        mut receiver: futures::stream::SplitStream<WebSocket>,
        mut results: mpsc::Receiver<ServerFrame>,
    ) -> Disconnect {
        let left = self.gateway.tokens.seconds_left(self.caller.bearer());
        let expiry = tokio::time::sleep(Duration::from_secs(left));
        tokio::pin!(expiry);
        let mut ping = tokio::time::interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered_since = None;
        let stopping = self.gateway.stopping.clone();
        let gone = self.gateway.presence.end_token(self.caller.workspace());
        let mut changes = self.gateway.people.session_changes();
        // The status may have changed before the subscription to changes.
        if let Err(end) = self.check_access().await {
            return end;
        }
        loop {
            let silence = unanswered_since.map_or_else(far_future, |since: Instant| since + PONG_TIMEOUT);
            let done = tokio::select! {
                () = stopping.cancelled() => {
                    Err(Disconnect::Close(close_code::AWAY, "the server is stopping"))
                }
                () = gone.cancelled() => {
                    let reason = "the workspace is gone: it was purged";
                    Err(Disconnect::Close(close_code::POLICY, reason))
                }
                () = &mut expiry => match self.session_extension().await {
                    Some(longer) => {
                        expiry.as_mut().reset(Instant::now() + longer);
                        Ok(())
                    }
                    None => Err(Disconnect::Close(close_code::POLICY, "the access token has expired")),
                },
                change = changes.recv() => self.after_change(change).await,
                () = tokio::time::sleep_until(silence) => {
                    Err(Disconnect::Close(close_code::POLICY, "a ping was not answered"))
                }
                item = self.session.next() => self.forward(item).await,
                Some(result) = results.recv() => self.send(&result).await,
                _ = ping.tick() => {
                    // A connection counts as use of the workspace. This also notices a purge by another
                    // server.
                    self.gateway.presence.is_there(self.caller.workspace()).await;
                    unanswered_since.get_or_insert_with(Instant::now);
                    match self.check_access().await {
                        Ok(()) => self.send(&ServerFrame::<()>::Ping).await,
                        Err(end) => Err(end),
                    }
                }
                message = receiver.next() => {
                    unanswered_since = None;
                    match message {
                        Some(Ok(message)) => self.receive(message).await,
                        Some(Err(error)) => Err(disconnect_after(error)),
                        None => Err(Disconnect::Gone),
                    }
                }
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// How much longer a browser may stay connected whose token has ended: for the lifetime of a new token,
    /// if its session has not ended.
    async fn session_extension(&self) -> Option<Duration> {
        if !self.caller.is_browser() {
            return None;
        }
        match self.caller.session_status(&self.gateway).await {
            Ok(SessionStatus::Active) => Some(Duration::from_secs(ACCESS_SECONDS)),
            Ok(SessionStatus::Guest | SessionStatus::Ended) => None,
            Err(error) => {
                tracing::warn!(%error, "the status of a session could not be looked up");
                None
            }
        }
    }

    /// Checks the access again where sessions of this person have changed, or where changes were missed.
    async fn after_change(&self, change: Result<SessionChange, RecvError>) -> Result<(), Disconnect> {
        match change {
            Ok(SessionChange::Of(person)) if person != self.caller.bearer().of() => Ok(()),
            _ => self.check_access().await,
        }
    }

    /// Ends the connection of a person who was erased, or whose session has ended, here or on another server.
    /// Where that cannot be looked up, the connection stays.
    async fn check_access(&self) -> Result<(), Disconnect> {
        if is_erased(&self.gateway, self.caller.bearer()).await {
            let reason = "the person of this session was erased";
            return Err(Disconnect::Close(close_code::POLICY, reason));
        }
        match self.caller.session_status(&self.gateway).await {
            Ok(SessionStatus::Guest | SessionStatus::Active) => Ok(()),
            Ok(SessionStatus::Ended) => Err(Disconnect::Close(close_code::POLICY, SESSION_ENDED)),
            Err(error) => {
                tracing::warn!(%error, "the status of a session could not be looked up");
                Ok(())
            }
        }
    }

    async fn receive(&mut self, message: Message) -> Result<(), Disconnect> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                return self
                    .refuse(None, ApiProblem::new(Kind::Malformed, "frames are JSON texts"))
                    .await;
            }
            Message::Close(_) => return Err(Disconnect::Gone),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        let frame = match json_body::parse::<ClientFrame>(text.as_bytes(), "frame") {
            Ok(ClientFrame::Pong) => return Ok(()),
            Ok(frame) => frame,
            Err(problem) => return self.refuse(None, problem).await,
        };
        if let Some(found) = control_character::in_json(text.as_bytes()) {
            // The field has the same name as in `POST /commands`.
            let field = found.path.strip_prefix("command.").unwrap_or(&found.path);
            let problem = ApiProblem::control_character(field, found.character);
            return match frame {
                ClientFrame::Command { id, .. } => self.answer(id, problem.into_problem()).await,
                ClientFrame::Subscribe { id, .. } => self.refuse(Some(id), problem).await,
                ClientFrame::Unsubscribe { .. } | ClientFrame::Pong => self.refuse(None, problem).await,
            };
        }
        if let Err(problem) = self.gateway.rate.charge(self.client, 1) {
            return match frame {
                ClientFrame::Command { id, .. } => self.answer(id, problem.into_problem()).await,
                ClientFrame::Subscribe { id, .. } => self.refuse(Some(id), problem).await,
                ClientFrame::Unsubscribe { .. } | ClientFrame::Pong => Ok(()),
            };
        }
        match frame {
            ClientFrame::Command {
                id,
                command,
                idempotency_key,
            } => {
                match self.commands.try_send(QueuedCommand {
                    id,
                    command,
                    idempotency_key,
                }) {
                    Ok(()) => Ok(()),
                    Err(_) => self.answer(id, ApiProblem::rate_limited(1).into_problem()).await,
                }
            }
            ClientFrame::Unsubscribe { id } => {
                self.session.unsubscribe(id);
                Ok(())
            }
            ClientFrame::Subscribe {
                id,
                view,
                key,
                listing,
                group,
                order,
                limit,
                resume,
                generation,
            } => {
                let wanted = Subscribe {
                    id,
                    view,
                    key,
                    listing,
                    group,
                    order,
                    limit,
                    resume,
                    generation,
                };
                self.session.subscribe(wanted).await;
                Ok(())
            }
            ClientFrame::Pong => Ok(()),
        }
    }

    /// Forwards a frame of the query API, whose text is made once for all subscribers of a document or
    /// listing.
    async fn forward(&mut self, item: LiveItem) -> Result<(), Disconnect> {
        match item {
            LiveItem::Frame(json) => {
                let opened = self.gateway.queries.open_frame(self.caller.workspace(), json);
                let json = opened.await.map_err(|error| defect(&error))?;
                match Utf8Bytes::try_from(json) {
                    Ok(text) => self.transmit(Message::Text(text)).await,
                    Err(error) => Err(defect(&error)),
                }
            }
            LiveItem::Closed => Err(Disconnect::Close(close_code::AWAY, "the server is stopping")),
        }
    }

    /// Refuses a command that was not carried out.
    async fn answer(&mut self, id: u64, problem: Problem) -> Result<(), Disconnect> {
        self.send(&ServerFrame::<()>::Result {
            id,
            result: None,
            problem: Some(problem),
        })
        .await
    }

    async fn refuse(&mut self, id: Option<u64>, problem: ApiProblem) -> Result<(), Disconnect> {
        self.send(&ServerFrame::<()>::Error {
            id,
            problem: problem.into_problem(),
        })
        .await
    }

    async fn send<D: Serialize>(&mut self, frame: &ServerFrame<D>) -> Result<(), Disconnect> {
        match serde_json::to_string(frame) {
            Ok(text) => self.transmit(Message::text(text)).await,
            Err(error) => Err(defect(&error)),
        }
    }

    async fn transmit(&mut self, message: Message) -> Result<(), Disconnect> {
        match tokio::time::timeout(SEND_TIMEOUT, self.sender.send(message)).await {
            Ok(Ok(())) => Ok(()),
            // The client would not take a close frame either.
            Ok(Err(_)) | Err(_) => Err(Disconnect::Gone),
        }
    }
}

fn defect(error: &dyn std::error::Error) -> Disconnect {
    tracing::error!(%error, "a frame cannot be sent");
    Disconnect::Close(close_code::ERROR, "this is a defect of the server")
}

fn far_future() -> Instant {
    Instant::now() + Duration::from_hours(24)
}

fn disconnect_after(error: axum::Error) -> Disconnect {
    match error.into_inner().downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => {
            Disconnect::Close(close_code::SIZE, "the frame is too large")
        }
        _ => Disconnect::Gone,
    }
}
