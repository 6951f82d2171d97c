//! The live socket: one task a connection, which sends what the query API has to tell, and carries commands the other way.
//!
//! The connection ends when the token, its session or the workspace ends, when the server stops, when nobody
//! answers a ping, or when the other side takes nothing any more; each time it says why. Commands of one connection are
//! carried out in the order in which they were sent, beside what is being followed and never in its way.

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
    tokens::{OVER, TokenRefusal},
};
use identity::{
    sessions::ACCESS_SECONDS,
    standing::{Change, Standing},
};
use query::live::{LiveItem, LiveSession, Subscribe};

/// The name of what is spoken.
pub(super) const SUBPROTOCOL: &str = "foldline.v1";

/// How often the server asks whether somebody is there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long an answer may take.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// How long the other side may take to take what it is sent.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// Commands that may wait for their turn.
const WAITING_COMMANDS: usize = 64;

/// A command on its way to the command service.
struct Sent {
    id: u64,
    command: CommandRequest,
    idempotency_key: String,
}

/// Why a connection ends.
enum End {
    /// The other side is gone, or has said goodbye.
    Gone,
    /// We say goodbye, with a code and a reason.
    Close(u16, &'static str),
}

/// Serves a connection until it ends.
pub(super) async fn serve(gateway: SharedGateway, caller: Caller, socket: WebSocket) {
    metrics::gauge!("foldline_live_connections").increment(1.0);
    let (commands, waiting) = mpsc::channel(WAITING_COMMANDS);
    let (answers, results) = mpsc::channel(WAITING_COMMANDS);
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
    if let End::Close(code, reason) = end {
        let frame = Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }));
        // Whoever does not take a goodbye is gone as well.
        let _ = connection.transmit(frame).await;
    }
    metrics::gauge!("foldline_live_connections").decrement(1.0);
}

/// Carries out a connection's commands, one after the other.
async fn carry_out(
    gateway: SharedGateway,
    caller: Caller,
    mut waiting: mpsc::Receiver<Sent>,
    answers: mpsc::Sender<ServerFrame>,
) {
    while let Some(Sent {
        id,
        command,
        idempotency_key,
    }) = waiting.recv().await
    {
        // The session may have ended while it waited.
        let outcome = match caller.standing(&gateway).await {
            Ok(Standing::Over) => Err(TokenRefusal::Over.into()),
            Ok(Standing::Guest | Standing::Session) => {
                carry_out_one(&gateway, &caller, &command, Some(&idempotency_key), None).await
            }
            Err(error) => Err(error.into()),
        };
        let outcome = outcome.map_err(ApiProblem::into_problem);
        let (result, problem) = match outcome {
            Ok(answer) => (Some(answer), None),
            Err(problem) => (None, Some(problem)),
        };
        // Nobody listens any more; what was sent is carried out all the same.
        let _ = answers.send(ServerFrame::Result { id, result, problem }).await;
    }
}

struct Connection {
    gateway: SharedGateway,
    caller: Caller,
    client: Client,
    session: LiveSession,
    sender: SplitSink<WebSocket, Message>,
    commands: mpsc::Sender<Sent>,
}

impl Connection {
    async fn run(
        &mut self,
        mut receiver: futures::stream::SplitStream<WebSocket>,
        mut results: mpsc::Receiver<ServerFrame>,
    ) -> End {
        let left = self.gateway.tokens.seconds_left(self.caller.bearer());
        let expiry = tokio::time::sleep(Duration::from_secs(left));
        tokio::pin!(expiry);
        let mut ping = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered_since = None;
        let stopping = self.gateway.stopping.clone();
        let gone = self.gateway.presence.gone(self.caller.workspace());
        let mut changes = self.gateway.people.changes();
        // What has changed before it could be heard here.
        if let Err(end) = self.must_be_let_in().await {
            return end;
        }
        loop {
            let silence = unanswered_since.map_or_else(far_future, |since: Instant| since + PONG_WITHIN);
            let done = tokio::select! {
                () = stopping.cancelled() => Err(End::Close(close_code::AWAY, "the server is stopping")),
                () = gone.cancelled() => Err(End::Close(close_code::POLICY, "the workspace is gone: it was purged")),
                () = &mut expiry => match self.stays_signed_in().await {
                    Some(longer) => {
                        expiry.as_mut().reset(Instant::now() + longer);
                        Ok(())
                    }
                    None => Err(End::Close(close_code::POLICY, "the access token has expired")),
                },
                change = changes.recv() => self.after_change(change).await,
                () = tokio::time::sleep_until(silence) => Err(End::Close(close_code::POLICY, "a ping was not answered")),
                item = self.session.next() => self.pass_on(item).await,
                Some(result) = results.recv() => self.send(&result).await,
                _ = ping.tick() => {
                    // Whoever listens is in the workspace, and hears here if another server has purged it.
                    self.gateway.presence.is_there(self.caller.workspace()).await;
                    unanswered_since.get_or_insert_with(Instant::now);
                    match self.must_be_let_in().await {
                        Ok(()) => self.send(&ServerFrame::<()>::Ping).await,
                        Err(end) => Err(end),
                    }
                }
                message = receiver.next() => {
                    unanswered_since = None;
                    match message {
                        Some(Ok(message)) => self.receive(message).await,
                        Some(Err(error)) => Err(end_of(error)),
                        None => Err(End::Gone),
                    }
                }
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// How much longer a browser may follow whose token has ended: as long as a new one would be good, if its session has
    /// not ended.
    async fn stays_signed_in(&self) -> Option<Duration> {
        if !self.caller.is_browser() {
            return None;
        }
        match self.caller.standing(&self.gateway).await {
            Ok(Standing::Session) => Some(Duration::from_secs(ACCESS_SECONDS)),
            Ok(Standing::Guest | Standing::Over) => None,
            Err(error) => {
                tracing::warn!(%error, "it could not be found out whether a session has ended");
                None
            }
        }
    }

    /// Sessions of a person have changed, or more have than can be told apart.
    async fn after_change(&self, change: Result<Change, RecvError>) -> Result<(), End> {
        match change {
            Ok(Change::Of(person)) if person != self.caller.bearer().of() => Ok(()),
            _ => self.must_be_let_in().await,
        }
    }

    /// Ends the connection of a person who was erased, or whose session has ended, here or on another server. Where that
    /// cannot be found out, it has not.
    async fn must_be_let_in(&self) -> Result<(), End> {
        if is_erased(&self.gateway, self.caller.bearer()).await {
            let reason = "whom this session was for was erased";
            return Err(End::Close(close_code::POLICY, reason));
        }
        match self.caller.standing(&self.gateway).await {
            Ok(Standing::Guest | Standing::Session) => Ok(()),
            Ok(Standing::Over) => Err(End::Close(close_code::POLICY, OVER)),
            Err(error) => {
                tracing::warn!(%error, "it could not be found out whether a session has ended");
                Ok(())
            }
        }
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                return self
                    .refuse(None, ApiProblem::new(Kind::Malformed, "frames are JSON texts"))
                    .await;
            }
            Message::Close(_) => return Err(End::Gone),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        let frame = match json_body::parse::<ClientFrame>(text.as_bytes(), "frame") {
            Ok(ClientFrame::Pong) => return Ok(()),
            Ok(frame) => frame,
            Err(problem) => return self.refuse(None, problem).await,
        };
        if let Some(found) = control_character::in_json(text.as_bytes()) {
            // As it is named where the command comes as a request of its own.
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
                match self.commands.try_send(Sent {
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

    /// What the query API has to tell: the text of a frame, made once for all who follow the same thing.
    async fn pass_on(&mut self, item: LiveItem) -> Result<(), End> {
        match item {
            LiveItem::Frame(json) => {
                let opened = self.gateway.queries.open_frame(self.caller.workspace(), json);
                let json = opened.await.map_err(|error| defect(&error))?;
                match Utf8Bytes::try_from(json) {
                    Ok(text) => self.transmit(Message::Text(text)).await,
                    Err(error) => Err(defect(&error)),
                }
            }
            LiveItem::Closed => Err(End::Close(close_code::AWAY, "the server is stopping")),
        }
    }

    /// The answer to a command that was not even tried.
    async fn answer(&mut self, id: u64, problem: Problem) -> Result<(), End> {
        self.send(&ServerFrame::<()>::Result {
            id,
            result: None,
            problem: Some(problem),
        })
        .await
    }

    async fn refuse(&mut self, id: Option<u64>, problem: ApiProblem) -> Result<(), End> {
        self.send(&ServerFrame::<()>::Error {
            id,
            problem: problem.into_problem(),
        })
        .await
    }

    async fn send<D: Serialize>(&mut self, frame: &ServerFrame<D>) -> Result<(), End> {
        match serde_json::to_string(frame) {
            Ok(text) => self.transmit(Message::text(text)).await,
            Err(error) => Err(defect(&error)),
        }
    }

    async fn transmit(&mut self, message: Message) -> Result<(), End> {
        match tokio::time::timeout(SEND_WITHIN, self.sender.send(message)).await {
            Ok(Ok(())) => Ok(()),
            // It would not take a goodbye either.
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

fn defect(error: &dyn std::error::Error) -> End {
    tracing::error!(%error, "a frame cannot be sent");
    End::Close(close_code::ERROR, "this is a defect of the server")
}

fn far_future() -> Instant {
    Instant::now() + Duration::from_hours(24)
}

fn end_of(error: axum::Error) -> End {
    match error.into_inner().downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => End::Close(close_code::SIZE, "the frame is too large"),
        _ => End::Gone,
    }
}
