//! The browser's socket: drives [`Protocol`] with a real WebSocket, clock and random source. Each tab has
//! one, shared by all subscriptions of the page.
//!
//! It has no rules of its own: the protocol decides what to send, when to give up and when to retry.

use std::{cell::RefCell, future::poll_fn, rc::Rc};

use domain::wire::ServerFrame;
use futures::{
    SinkExt, StreamExt,
    channel::mpsc::{self, UnboundedReceiver, UnboundedSender},
    future::{Either, select},
};
use gloo_net::websocket::{Message, State, futures::WebSocket};
use gloo_timers::callback::Timeout;
use leptos::prelude::{window, window_event_listener_untyped};
use serde_json::Value;

use super::{
    Millis,
    protocol::{Action, Link, Protocol, ResumePoint, Target},
};
use crate::{
    api::{SessionEnd, session_end},
    erased_effects::spawn,
    sorted::SortedMap,
};

/// The subprotocol that names the frames.
const SUBPROTOCOL: &str = "foldline.v1";

/// The receiver of a subscription's frames.
pub type Listener = Rc<dyn Fn(ServerFrame)>;

/// Reads a frame: every one, or those that the bundle's islands subscribe to.
pub type ReadFrame = fn(Value) -> Result<ServerFrame, serde_json::Error>;

/// The connection of this tab. Clones share it.
#[derive(Clone)]
pub struct Socket(Rc<RefCell<Inner>>);

struct Inner {
    protocol: Protocol,
    outgoing: Option<UnboundedSender<Message>>,
    listeners: SortedMap<u64, Listener>,
    timer: Option<Timeout>,
    reported: Link,
    on_link: Rc<dyn Fn(Link)>,
    read_frame: ReadFrame,
}

/// The protocol's clock. It jumps when a sleeping machine wakes, so that a dead connection is detected at
/// once.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds since 1970 fit"
)]
pub fn now() -> Millis {
    js_sys::Date::now() as Millis
}

impl Socket {
    /// A socket that is not connected yet; it calls `on_link` on every change of the connection's state.
    pub fn new(read_frame: ReadFrame, on_link: impl Fn(Link) + 'static) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            protocol: Protocol::default(),
            outgoing: None,
            listeners: SortedMap::default(),
            timer: None,
            reported: Link::Idle,
            on_link: Rc::new(on_link),
            read_frame,
        })))
    }

    /// Connects, and stays connected while the page is open.
    pub fn start(&self) {
        for (event, online) in [("online", true), ("offline", false)] {
            let socket = self.clone();
            window_event_listener_untyped(event, move |_| {
                socket.step(|protocol| protocol.network(online, now(), js_sys::Math::random()));
            });
        }
        // A browser delays the timers of a hidden page: the page catches up when it becomes visible.
        let socket = self.clone();
        window_event_listener_untyped("visibilitychange", move |_| socket.tick());
        self.step(|protocol| protocol.start(now()));
    }

    /// Subscribes to a target while the page is open; `listener` receives its frames.
    pub fn subscribe(&self, target: Target, resume_point: Option<ResumePoint>, listener: Listener) {
        let mut subscription = 0;
        self.step(|protocol| {
            let (id, actions) = protocol.subscribe(target, resume_point);
            subscription = id;
            actions
        });
        self.0.borrow_mut().listeners.insert(subscription, listener);
    }

    fn tick(&self) {
        self.step(|protocol| protocol.tick(now(), js_sys::Math::random()));
    }

    /// Feeds one input to the protocol and carries out the resulting actions.
    fn step(&self, input: impl FnOnce(&mut Protocol) -> Vec<Action>) {
        let actions = input(&mut self.0.borrow_mut().protocol);
        for action in actions {
            self.act(action);
        }
        self.set_timer();
        let change = {
            let mut inner = self.0.borrow_mut();
            let link = inner.protocol.link();
            (inner.reported != link).then(|| {
                inner.reported = link;
                (link, inner.on_link.clone())
            })
        };
        if let Some((link, on_link)) = change {
            on_link(link);
        }
    }

    fn act(&self, action: Action) {
        match action {
            Action::Open(connection) => {
                let (outgoing, frames) = mpsc::unbounded();
                self.0.borrow_mut().outgoing = Some(outgoing);
                spawn(run(self.clone(), connection, frames));
            }
            // The connection's task ends with the last sender of its channel, and closes the connection.
            Action::Close => self.0.borrow_mut().outgoing = None,
            Action::Send(frame) => {
                if let (Some(outgoing), Ok(text)) = (&self.0.borrow().outgoing, serde_json::to_string(&frame))
                {
                    // A closed connection is reported by its own task.
                    let _ = outgoing.unbounded_send(Message::Text(text));
                }
            }
            Action::Reload => {
                // A page that cannot be loaded now stays, and says that its session has ended.
                let _ = window().location().reload();
            }
            Action::Deliver(subscription, frame) => {
                let listener = self.0.borrow().listeners.get(&subscription).cloned();
                if let Some(listener) = listener {
                    listener(frame);
                }
            }
        }
    }

    fn set_timer(&self) {
        let wake = self.0.borrow().protocol.wake_at();
        let timer = wake.map(|wake| {
            let socket = self.clone();
            let wait = u32::try_from(wake.saturating_sub(now())).unwrap_or(u32::MAX);
            Timeout::new(wait, move || socket.tick())
        });
        self.0.borrow_mut().timer = timer;
    }

    fn refused(&self, connection: u64) {
        self.step(|protocol| protocol.refused(connection));
    }

    fn closed(&self, connection: u64) {
        self.step(|protocol| protocol.closed(connection, now(), js_sys::Math::random()));
    }
}

/// Runs one connection from the attempt to open it until its end.
async fn run(socket: Socket, connection: u64, mut frames: UnboundedReceiver<Message>) {
    let mut was_open = false;
    let read_frame = socket.0.borrow().read_frame;
    if let Some(mut websocket) =
        live_url().and_then(|url| WebSocket::open_with_protocol(&url, SUBPROTOCOL).ok())
    {
        // A failed attempt is ready, too.
        let _ = poll_fn(|context| websocket.poll_ready_unpin(context)).await;
        if matches!(websocket.state(), State::Open) {
            was_open = true;
            socket.step(|protocol| protocol.opened(connection, now()));
        }
        loop {
            let event = match select(websocket.next(), frames.next()).await {
                Either::Left((incoming, _)) => Either::Left(incoming),
                Either::Right((outgoing, _)) => Either::Right(outgoing),
            };
            match event {
                Either::Left(Some(Ok(Message::Text(text)))) => {
                    match serde_json::from_str(&text).and_then(read_frame) {
                        Ok(frame) => socket.step(|protocol| protocol.received(connection, frame, now())),
                        Err(error) => {
                            leptos::logging::warn!("a frame of the live connection cannot be read: {error}");
                        }
                    }
                }
                Either::Left(Some(Ok(Message::Bytes(_)))) => {}
                Either::Left(Some(Err(_)) | None) | Either::Right(None) => break,
                Either::Right(Some(message)) => {
                    if websocket.start_send_unpin(message).is_err() {
                        break;
                    }
                }
            }
        }
    }
    // Browsers do not report why a socket was refused.
    let end = if was_open { None } else { session_end().await };
    match end {
        Some(SessionEnd::Over) => socket.refused(connection),
        Some(SessionEnd::Moved) => socket.step(|protocol| protocol.moved(connection)),
        None => socket.closed(connection),
    }
}

fn live_url() -> Option<String> {
    let location = window().location();
    let scheme = if location.protocol().ok()? == "https:" {
        "wss"
    } else {
        "ws"
    };
    Some(format!("{scheme}://{}/api/v1/live", location.host().ok()?))
}
