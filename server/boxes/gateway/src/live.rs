//! The live socket: one task for each connection, which sends the frames of the query API and what the lab
//! shows, and receives commands.
//!
//! The server closes the connection, with a code and a reason, when the token, its session or the workspace
//! ends, when the server stops, when the client does not answer a ping, when its frames are a flood
//! ([`flood`]), when they cannot be read ([`closing`]), or when its line is cut ([`mod@line`]). A client that
//! takes no more data is disconnected.
//! The number of connections is limited ([`sockets`]).
//!
//! There are many connections, most of them idle, and a change wakes all that show it. So a connection has
//! one timer ([`deadlines`]), starts a task for commands with the first one ([`command_queue`]), polls a rare
//! signal only when it has come ([`signals`]), and sends waiting frames together. Work that needs much memory
//! is boxed, and so are subscriptions to the lab ([`lab_topics`]), so that an idle connection does not hold
//! it.

mod access;
mod closing;
mod command_queue;
mod deadlines;
mod flood;
mod lab_topics;
mod line;
mod signals;
mod sockets;

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use domain::{
    access::Role,
    control_character,
    wire::{ClientFrame, LabTopic, Problem, ServerFrame},
};
use futures::SinkExt;
use lab::hops::HopBatch;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use self::{
    closing::Disconnect,
    command_queue::{CommandQueue, QueuedCommand, next_answer},
    deadlines::{Deadlines, Due},
    flood::{FLOOD, FloodMeter},
    lab_topics::{Followed, LabNews, LabSubscriptions, next_news},
    line::{CUT, HeldFrames, next_released},
    signals::{Signal, Signals},
};
use super::{
    SharedGateway,
    api::{begin_if_led, class_answer, opened_dials},
    auth::Caller,
    json_body,
    limits::{Client, Limit, note_refusal},
    problem::{ApiProblem, Kind},
};
pub use line::Line;
use query::live::{LiveItem, LiveSession, Subscribe, is_change};
pub(super) use sockets::{SocketOwner, SocketPermit, SocketQuota};

/// The name of the WebSocket subprotocol.
pub(super) const SUBPROTOCOL: &str = "foldline.v1";

/// The buffer for frames from the client, which each connection holds: most frames fit, and a longer one gets
/// a buffer of its length.
pub(super) const READ_BUFFER_BYTES: usize = 2_048;
/// Frames that wait for the same flush are written once they are longer than this together.
pub(super) const WRITE_BUFFER_BYTES: usize = 8_192;

/// Why a connection is closed whose workspace was purged.
const GONE: &str = "the workspace is gone: it was purged";
/// Why a connection is closed whose workspace was reset.
const MOVED: &str = "the workspace was reset: the class goes on in a new one";

/// How long the client may take to receive a frame.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The most frames of the query API that are sent together, before the connection looks for something else.
const MAX_BATCH: usize = 64;

/// Serves a connection until it ends. Its permit is returned after that.
pub(super) async fn serve(gateway: SharedGateway, caller: Caller, socket: WebSocket, permit: SocketPermit) {
    metrics::gauge!("foldline_live_connections").increment(1.0);
    let session = gateway.queries.live(caller.workspace(), caller.actor().clone());
    let presence = gateway.class.enter(caller.workspace(), caller.actor());
    let mut connection = Connection {
        client: Client::Person(caller.workspace(), caller.actor().id),
        gateway,
        caller,
        session,
        socket,
        commands: None,
        lab: None,
        held: None,
        flood: FloodMeter::default(),
    };
    let end = connection.run().await;
    let Connection {
        gateway,
        session,
        lab,
        socket,
        ..
    } = connection;
    drop((session, lab, presence));
    let shutdown_timeout = gateway.limits.shutdown_timeout();
    Box::pin(closing::close(socket, end, shutdown_timeout)).await;
    metrics::gauge!("foldline_live_connections").decrement(1.0);
    drop(permit);
}

struct Connection {
    gateway: SharedGateway,
    caller: Caller,
    client: Client,
    session: LiveSession,
    socket: WebSocket,
    /// Absent before the first command.
    commands: Option<CommandQueue>,
    /// Absent without a subscription to the lab.
    lab: Option<Box<LabSubscriptions>>,
    /// Absent while the line holds no frame back.
    held: Option<Box<HeldFrames>>,
    flood: FloodMeter,
}

impl Connection {
    async fn run(&mut self) -> Disconnect {
        let mut signals = Signals::new(&self.gateway, &self.caller);
        let left = self.gateway.tokens.seconds_left(self.caller.bearer());
        let mut deadlines = Deadlines::new(Instant::now(), Duration::from_secs(left));
        // The status may have changed before the signals of changes.
        if let Err(end) = Box::pin(access::check(&self.gateway, &self.caller)).await {
            return end;
        }
        let timer = tokio::time::sleep_until(deadlines.next());
        tokio::pin!(timer);
        loop {
            let done = tokio::select! {
                Some(signal) = signals.next() => match signal {
                    Signal::End(end) => Err(end),
                    Signal::WorkspaceEnded => Err(Box::pin(self.workspace_end()).await),
                    Signal::Sessions(change) => {
                        Box::pin(access::check_after(change, &self.gateway, &self.caller)).await
                    }
                },
                () = &mut timer => {
                    let done = Box::pin(self.after_deadline(&mut deadlines)).await;
                    timer.as_mut().reset(deadlines.next());
                    done
                }
                released = next_released(self.held.as_deref_mut()) => self.release(released).await,
                item = self.session.next(), if self.held.is_none() => self.forward(item).await,
                Some(answer) = next_answer(self.commands.as_mut()), if self.held.is_none() => {
                    self.send(answer.as_ref()).await
                }
                news = next_news(self.lab.as_deref_mut()), if self.held.is_none() => {
                    Box::pin(self.tell(*news)).await
                }
                message = self.socket.recv() => {
                    if deadlines.heard() {
                        timer.as_mut().reset(deadlines.next());
                    }
                    match message {
                        Some(Ok(message)) => Box::pin(self.receive(message)).await,
                        Some(Err(error)) => {
                            // It was a frame too, and the client will connect again.
                            let _ = self.gateway.rate.count(self.client);
                            Err(Disconnect::after(error))
                        }
                        None => Err(Disconnect::Lost),
                    }
                }
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// The end of the connection with its workspace. One that was reset is left with the way to the workspace
    /// that has its place, also where frames are held back.
    async fn workspace_end(&mut self) -> Disconnect {
        let Some(workspace) = self.gateway.presence.moved_to(self.caller.workspace()).await else {
            return Disconnect::Close(close_code::POLICY, GONE);
        };
        let moved = ServerFrame::<()>::Moved { workspace };
        match serde_json::to_string(&moved) {
            Ok(text) => match in_time(self.socket.send(Message::text(text))).await {
                Ok(()) => Disconnect::Close(close_code::POLICY, MOVED),
                Err(lost) => lost,
            },
            Err(error) => defect(&error),
        }
    }

    /// Does what is due.
    async fn after_deadline(&mut self, deadlines: &mut Deadlines) -> Result<(), Disconnect> {
        match deadlines.due(Instant::now()) {
            None => Ok(()),
            Some(Due::Silence) => Err(Disconnect::Close(close_code::POLICY, "a ping was not answered")),
            Some(Due::Expiry) => match access::extension(&self.gateway, &self.caller).await {
                Some(longer) => {
                    deadlines.renew(Instant::now() + longer);
                    Ok(())
                }
                None => Err(Disconnect::Close(
                    close_code::POLICY,
                    "the access token has expired",
                )),
            },
            Some(Due::Ping) => {
                deadlines.pinged(Instant::now());
                // A connection counts as use of the workspace. This also notices a purge by another server.
                self.gateway.presence.is_there(self.caller.workspace()).await;
                access::check(&self.gateway, &self.caller).await?;
                self.send(&ServerFrame::<()>::Ping).await
            }
        }
    }

    /// Takes a message of the client. Each is counted: also one that cannot be read, or that needs no answer,
    /// is work.
    async fn receive(&mut self, message: Message) -> Result<(), Disconnect> {
        if matches!(message, Message::Close(_)) {
            return Err(Disconnect::ByClient);
        }
        let over_limit = self.gateway.rate.count(self.client).err();
        if self.flood.is_flood_after(over_limit.is_some()) {
            note_refusal(Limit::Frames);
            return Err(Disconnect::Close(close_code::POLICY, FLOOD));
        }
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                let not_text = || ApiProblem::new(Kind::Malformed, "frames are JSON texts");
                return self.refuse(None, over_limit.unwrap_or_else(not_text)).await;
            }
            Message::Close(_) | Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        let frame = match json_body::parse::<ClientFrame>(text.as_bytes(), "frame") {
            Ok(ClientFrame::Pong) => return Ok(()),
            Ok(frame) => frame,
            Err(problem) => return self.refuse(None, over_limit.unwrap_or(problem)).await,
        };
        let invalid = control_character::in_json(text.as_bytes()).map(|found| {
            // The field has the same name as in `POST /commands`.
            let field = found.path.strip_prefix("command.").unwrap_or(&found.path);
            ApiProblem::control_character(field, found.character)
        });
        // A client that takes less is not refused.
        let takes_less = matches!(frame, ClientFrame::Unsubscribe { .. });
        match over_limit.filter(|_| !takes_less).or(invalid) {
            None => self.carry_out(frame, text.len()).await,
            Some(problem) => match frame {
                ClientFrame::Command { id, .. } => self.answer(id, problem.into_problem()).await,
                ClientFrame::Subscribe { id, .. } => self.refuse(Some(id), problem).await,
                ClientFrame::Unsubscribe { .. } | ClientFrame::Pong => self.refuse(None, problem).await,
            },
        }
    }

    /// Does what a frame asks for, whose text has this length.
    async fn carry_out(&mut self, frame: ClientFrame, length: usize) -> Result<(), Disconnect> {
        match frame {
            ClientFrame::Command {
                id,
                command,
                idempotency_key,
            } => {
                let start = || CommandQueue::start(&self.gateway, &self.caller);
                let queue = self.commands.get_or_insert_with(start);
                let queued = QueuedCommand {
                    id,
                    command,
                    idempotency_key,
                };
                if queue.push(queued, length) {
                    Ok(())
                } else {
                    self.answer(id, ApiProblem::rate_limited(1).into_problem()).await
                }
            }
            ClientFrame::Unsubscribe { id } => {
                self.session.unsubscribe(id);
                self.unfollow(id);
                Ok(())
            }
            ClientFrame::Subscribe {
                id,
                view,
                lab,
                key,
                listing,
                group,
                order,
                limit,
                resume,
                generation,
            } => {
                let of_view = [
                    ("key", key.is_some()),
                    ("listing", listing.is_some()),
                    ("group", group.is_some()),
                    ("limit", limit.is_some()),
                    ("resume", resume.is_some()),
                    ("generation", generation.is_some()),
                ];
                match (view, lab) {
                    (Some(view), None) => {
                        self.unfollow(id);
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
                    (None, Some(topic)) => self.follow(id, topic, &of_view).await,
                    (None, None) => {
                        let problem = ApiProblem::field("view", "is missing; send it or `lab`");
                        self.refuse(Some(id), problem).await
                    }
                    (Some(_), Some(_)) => {
                        let problem = ApiProblem::field("lab", "cannot be combined with `view`");
                        self.refuse(Some(id), problem).await
                    }
                }
            }
            ClientFrame::Pong => Ok(()),
        }
    }

    /// Follows a topic of the lab, in place of what the client had under this id. `of_view`: fields that
    /// belong to a view, and whether the frame has them.
    async fn follow(&mut self, id: u64, topic: LabTopic, of_view: &[(&str, bool)]) -> Result<(), Disconnect> {
        self.session.unsubscribe(id);
        self.unfollow(id);
        match Box::pin(self.try_follow(id, topic, of_view)).await {
            Ok(()) => Ok(()),
            Err(problem) => self.refuse(Some(id), problem).await,
        }
    }

    async fn try_follow(
        &mut self,
        id: u64,
        topic: LabTopic,
        of_view: &[(&str, bool)],
    ) -> Result<(), ApiProblem> {
        if let Some((field, _)) = of_view.iter().find(|(_, is_present)| *is_present) {
            return Err(ApiProblem::field(*field, "belongs to a view, and `lab` is none"));
        }
        // What is bent is shown to everybody in the workspace, and so is what the class is shown.
        if !matches!(topic, LabTopic::Dials | LabTopic::Class) {
            self.caller.require_lab_reader()?;
        }
        if let Some(lab) = &self.lab {
            lab.require_room(topic)?;
        }
        let permit = self.session.permit()?;
        let workspace = self.caller.workspace();
        let followed = match topic {
            LabTopic::Hops => Followed::Hops(self.gateway.observatory.subscribe(workspace)?),
            LabTopic::Dials => Followed::Dials(self.gateway.lab.dials().subscribe(workspace).await?),
            LabTopic::Invariants => Followed::Invariants(self.gateway.invariants.subscribe(workspace)?),
            LabTopic::Class => {
                begin_if_led(&self.gateway, workspace, self.caller.actor()).await?;
                // The roster shows orders too, which are no change of the class.
                let has_roster = self.caller.actor().role == Role::Educator;
                Followed::Class(self.gateway.class.subscribe(workspace, has_roster).await?)
            }
        };
        self.lab.get_or_insert_default().add(id, followed, permit);
        Ok(())
    }

    fn unfollow(&mut self, id: u64) {
        if let Some(lab) = &mut self.lab
            && lab.remove(id)
        {
            self.lab = None;
        }
    }

    /// Tells news of the lab.
    async fn tell(&mut self, (id, news): (u64, LabNews)) -> Result<(), Disconnect> {
        let frame = match news {
            LabNews::Hops(batch) => {
                let HopBatch {
                    data,
                    merged,
                    dropped,
                } = batch;
                ServerFrame::Hops {
                    id,
                    data,
                    merged,
                    dropped,
                }
            }
            LabNews::Dials(answer) => {
                let opened = opened_dials(&self.gateway, self.caller.workspace(), (*answer).clone());
                match opened.await {
                    Ok(answer) => ServerFrame::Dials {
                        id,
                        data: json(&answer)?,
                    },
                    Err(problem) => return self.refuse(Some(id), problem).await,
                }
            }
            LabNews::Invariants(answer) => ServerFrame::Invariants {
                id,
                data: json(&*answer)?,
            },
            LabNews::Class(now) => {
                let (workspace, actor) = (self.caller.workspace(), self.caller.actor());
                let data = match class_answer(&self.gateway, workspace, actor, &now).await {
                    Ok(answer) => json(&answer)?,
                    Err(problem) => return self.refuse(Some(id), problem).await,
                };
                let lab = self.lab.as_deref_mut();
                if !lab.is_some_and(|lab| lab.is_news(id, &data)) {
                    return Ok(());
                }
                ServerFrame::Class { id, data }
            }
        };
        self.send::<Value>(&frame).await
    }

    /// Forwards a frame of the query API, whose text is made once for all subscribers of a document or
    /// listing, and with it those that wait.
    async fn forward(&mut self, item: LiveItem) -> Result<(), Disconnect> {
        let LiveItem::Frame(first) = item else {
            return Err(Disconnect::Close(close_code::AWAY, "the server is stopping"));
        };
        self.feed_json(first).await?;
        for _ in 1..MAX_BATCH {
            if self.held.is_some() {
                break;
            }
            let Some(further) = self.session.next_ready() else {
                break;
            };
            self.feed_json(further).await?;
        }
        self.flush().await
    }

    async fn feed_json(&mut self, json: Bytes) -> Result<(), Disconnect> {
        if is_change(&json) && self.gateway.line.loses_change(self.caller.workspace(), &json) {
            return Ok(());
        }
        let opened = self.gateway.queries.open_frame(self.caller.workspace(), json);
        let json = opened.await.map_err(|error| defect(&error))?;
        let text = Utf8Bytes::try_from(json).map_err(|error| defect(&error))?;
        self.feed(Message::Text(text)).await
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
        self.feed(message).await?;
        self.flush().await
    }

    /// Adds a frame to those that are sent with the next flush, or to those that the line holds back.
    async fn feed(&mut self, message: Message) -> Result<(), Disconnect> {
        let workspace = self.caller.workspace();
        if self.held.is_some() || self.gateway.line.is_slow(workspace) {
            let none_yet = || Box::new(HeldFrames::new(&self.gateway.line, workspace));
            return self.held.get_or_insert_with(none_yet).push(message);
        }
        in_time(self.socket.feed(message)).await
    }

    /// Sends a frame that the line has released.
    async fn release(&mut self, released: Result<Message, Disconnect>) -> Result<(), Disconnect> {
        let message = released?;
        if self.held.as_deref().is_some_and(HeldFrames::is_empty) {
            self.held = None;
        }
        in_time(self.socket.feed(message)).await?;
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Disconnect> {
        in_time(SinkExt::<Message>::flush(&mut self.socket)).await?;
        // A connection is closed after an answer, so that its client has been told something.
        if self.held.is_none() && self.gateway.line.is_cut(self.caller.workspace()) {
            return Err(Disconnect::Close(close_code::RESTART, CUT));
        }
        Ok(())
    }
}

async fn in_time(sending: impl Future<Output = Result<(), axum::Error>>) -> Result<(), Disconnect> {
    match tokio::time::timeout(SEND_TIMEOUT, sending).await {
        Ok(Ok(())) => Ok(()),
        // The client would not take a close frame either.
        Ok(Err(_)) | Err(_) => Err(Disconnect::Lost),
    }
}

fn json<T: Serialize>(data: &T) -> Result<Value, Disconnect> {
    serde_json::to_value(data).map_err(|error| defect(&error))
}

fn defect(error: &dyn std::error::Error) -> Disconnect {
    tracing::error!(%error, "a frame cannot be sent");
    Disconnect::Close(close_code::ERROR, "this is a defect of the server")
}
