//! The conversation on `/api/v1/live` as a pure state machine: its inputs are events and the time, its
//! outputs are actions. It guarantees that a subscription survives every loss of the connection and resumes
//! from its token, that a dead connection is detected, and that attempts to reconnect are spread out.
//!
//! Every connection has a number, by which late frames of an abandoned socket are ignored.

use domain::{
    token::ConsistencyToken,
    wire::{ClientFrame, LabTopic, Order, ServerFrame},
};

use super::{Millis, backoff};
use crate::sorted::SortedMap;

/// A connection without a frame for this long is dead; the server pings every 20 s.
pub const SILENCE: Millis = 45_000;
/// The longest attempt to open a connection.
pub const CONNECT_TIMEOUT: Millis = 10_000;
/// A connection that lasted this long resets the count of failures.
pub const STABLE: Millis = 10_000;
/// The wait before a subscription is sent again that the server could not accept.
pub const PATIENCE: Millis = 5_000;

/// The state of the connection, as the interface shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// Not started; always so on the server.
    #[default]
    Idle,
    /// The first attempt is in progress.
    Connecting,
    /// Changes arrive.
    Live,
    /// The connection was lost; the attempt with this number is in progress or scheduled.
    Reconnecting(u32),
    /// The browser reports that there is no network.
    Offline,
    /// The session has ended, so a reconnection would be refused.
    SessionEnded,
}

/// The target of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One document.
    Document {
        /// The view.
        view: String,
        /// The document's key.
        key: String,
    },
    /// A group of a listing.
    Listing {
        /// The view.
        view: String,
        /// The listing.
        listing: String,
        /// The group; empty for a listing without groups.
        group: String,
        /// The sort order.
        order: Order,
        /// The maximum number of rows of a snapshot.
        limit: u32,
    },
    /// What the lab shows of the pipeline. It has no position to resume from: the server begins with what it
    /// still keeps.
    Lab(LabTopic),
}

/// The position from which the server resumes a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// Everything up to this token has been received.
    pub token: ConsistencyToken,
    /// The generation of the view that the token belongs to.
    pub generation: u64,
}

/// An action for the socket.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Open the connection with this number.
    Open(u64),
    /// Drop the connection.
    Close,
    /// Send a frame.
    Send(ClientFrame),
    /// Deliver a frame to the subscription with this id.
    Deliver(u64, ServerFrame),
    /// Load the page again: its workspace was reset, and the page follows to the one that has its place.
    Reload,
}

#[derive(Debug)]
struct Subscription {
    target: Target,
    /// The position up to which every change has been received, including all documents that one event
    /// changed.
    resume_point: Option<ResumePoint>,
    /// The token of the newest change; more changes of the same event may follow.
    newest: Option<ConsistencyToken>,
    /// The time of the next attempt, if the server could not accept it.
    retry_at: Option<Millis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Connecting { since: Millis },
    Open { since: Millis, heard: Millis },
    Waiting { until: Millis },
    SessionEnded,
}

/// The protocol's state machine.
#[derive(Debug)]
pub struct Protocol {
    state: State,
    connection: u64,
    online: bool,
    was_live: bool,
    failures: u32,
    subscriptions: SortedMap<u64, Subscription>,
    last_id: u64,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            state: State::Idle,
            connection: 0,
            online: true,
            was_live: false,
            failures: 0,
            subscriptions: SortedMap::default(),
            last_id: 0,
        }
    }
}

impl Protocol {
    /// The state of the connection for the interface.
    pub fn link(&self) -> Link {
        match self.state {
            State::Idle => Link::Idle,
            State::SessionEnded => Link::SessionEnded,
            State::Open { .. } => Link::Live,
            _ if !self.online => Link::Offline,
            State::Connecting { .. } if !self.was_live && self.failures == 0 => Link::Connecting,
            State::Connecting { .. } | State::Waiting { .. } => Link::Reconnecting(self.failures),
        }
    }

    /// The time of the next call to [`Protocol::tick`].
    pub fn wake_at(&self) -> Option<Millis> {
        match self.state {
            State::Idle | State::SessionEnded => None,
            State::Connecting { since } => Some(since + CONNECT_TIMEOUT),
            State::Open { heard, .. } => {
                let retries = self
                    .subscriptions
                    .values()
                    .filter_map(|subscription| subscription.retry_at);
                retries.chain([heard + SILENCE]).min()
            }
            State::Waiting { until } => Some(until),
        }
    }

    /// Begins to connect; further calls have no effect.
    pub fn start(&mut self, now: Millis) -> Vec<Action> {
        if self.state == State::Idle {
            self.connect(now)
        } else {
            Vec::new()
        }
    }

    /// Subscribes to `target`, from `resume_point` on if there is a snapshot already. Returns the
    /// subscription's id.
    pub fn subscribe(&mut self, target: Target, resume_point: Option<ResumePoint>) -> (u64, Vec<Action>) {
        self.last_id += 1;
        let id = self.last_id;
        let newest = resume_point.as_ref().map(|point| point.token.clone());
        let subscription = Subscription {
            target,
            resume_point,
            newest,
            retry_at: None,
        };
        let actions = match self.state {
            State::Open { .. } => vec![Action::Send(subscription.frame(id))],
            _ => Vec::new(),
        };
        self.subscriptions.insert(id, subscription);
        (id, actions)
    }

    /// The connection is open: every subscription continues from its resume point.
    pub fn opened(&mut self, connection: u64, now: Millis) -> Vec<Action> {
        if connection != self.connection || !matches!(self.state, State::Connecting { .. }) {
            return Vec::new();
        }
        self.state = State::Open {
            since: now,
            heard: now,
        };
        self.was_live = true;
        self.online = true;
        for (_, subscription) in self.subscriptions.iter_mut() {
            subscription.retry_at = None;
        }
        self.subscriptions
            .iter()
            .map(|(id, subscription)| Action::Send(subscription.frame(*id)))
            .collect()
    }

    /// A frame arrived.
    pub fn received(&mut self, connection: u64, frame: ServerFrame, now: Millis) -> Vec<Action> {
        let State::Open { since, .. } = self.state else {
            return Vec::new();
        };
        if connection != self.connection {
            return Vec::new();
        }
        self.state = State::Open { since, heard: now };
        let id = match &frame {
            ServerFrame::Ping => return vec![Action::Send(ClientFrame::Pong)],
            ServerFrame::Moved { .. } => return self.moved(connection),
            ServerFrame::Snapshot { id, .. }
            | ServerFrame::Change { id, .. }
            | ServerFrame::CaughtUp { id, .. }
            | ServerFrame::Behind { id, .. }
            | ServerFrame::Hops { id, .. }
            | ServerFrame::Dials { id, .. }
            | ServerFrame::Invariants { id, .. }
            | ServerFrame::Class { id, .. }
            | ServerFrame::Error { id: Some(id), .. } => *id,
            ServerFrame::Result { .. } | ServerFrame::Error { id: None, .. } => return Vec::new(),
        };
        // Frames of unknown subscriptions are dropped.
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return Vec::new();
        };
        subscription.note(&frame, now);
        vec![Action::Deliver(id, frame)]
    }

    /// The connection ended, or could not be opened.
    pub fn closed(&mut self, connection: u64, now: Millis, random: f64) -> Vec<Action> {
        if connection == self.connection {
            self.lose(now, random);
        }
        Vec::new()
    }

    /// The connection was refused because the session has ended; there are no further attempts.
    pub fn refused(&mut self, connection: u64) -> Vec<Action> {
        if connection == self.connection {
            self.state = State::SessionEnded;
        }
        Vec::new()
    }

    /// The workspace of the page was reset: nothing of the page is in the one that has its place.
    pub fn moved(&mut self, connection: u64) -> Vec<Action> {
        if connection != self.connection {
            return Vec::new();
        }
        self.state = State::SessionEnded;
        vec![Action::Reload]
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Millis, random: f64) -> Vec<Action> {
        if self.wake_at().is_none_or(|wake| now < wake) {
            return Vec::new();
        }
        match self.state {
            State::Idle | State::SessionEnded => Vec::new(),
            State::Waiting { .. } => self.connect(now),
            State::Open { heard, .. } if now < heard + SILENCE => self.retry(now),
            State::Connecting { .. } | State::Open { .. } => {
                self.lose(now, random);
                vec![Action::Close]
            }
        }
    }

    /// Sends the subscriptions again that the server could not accept.
    fn retry(&mut self, now: Millis) -> Vec<Action> {
        let due = |subscription: &Subscription| subscription.retry_at.is_some_and(|at| at <= now);
        let subscriptions = self
            .subscriptions
            .iter_mut()
            .filter(|(_, subscription)| due(subscription));
        subscriptions
            .map(|(id, subscription)| {
                subscription.retry_at = None;
                Action::Send(subscription.frame(*id))
            })
            .collect()
    }

    /// The browser reports that the network is up or down. It may be wrong, so attempts continue either way.
    pub fn network(&mut self, online: bool, now: Millis, random: f64) -> Vec<Action> {
        self.online = online;
        match (online, self.state) {
            (_, State::Idle | State::SessionEnded)
            | (true, State::Open { .. } | State::Connecting { .. })
            | (false, State::Waiting { .. }) => Vec::new(),
            (true, State::Waiting { .. }) => self.connect(now),
            (false, State::Open { .. } | State::Connecting { .. }) => {
                self.lose(now, random);
                vec![Action::Close]
            }
        }
    }

    fn connect(&mut self, now: Millis) -> Vec<Action> {
        self.connection += 1;
        self.state = State::Connecting { since: now };
        vec![Action::Open(self.connection)]
    }

    fn lose(&mut self, now: Millis, random: f64) {
        match self.state {
            State::Idle | State::SessionEnded | State::Waiting { .. } => return,
            State::Open { since, .. } if now.saturating_sub(since) >= STABLE => self.failures = 0,
            State::Open { .. } | State::Connecting { .. } => {}
        }
        self.state = State::Waiting {
            until: now + backoff::delay(self.failures, random),
        };
        self.failures += 1;
        // A new number, so that late frames of the lost connection are ignored.
        self.connection += 1;
    }
}

impl Subscription {
    fn frame(&self, id: u64) -> ClientFrame {
        let (resume, generation) = self
            .resume_point
            .clone()
            .map_or((None, None), |point| (Some(point.token), Some(point.generation)));
        match self.target.clone() {
            Target::Document { view, key } => ClientFrame::Subscribe {
                id,
                view: Some(view),
                lab: None,
                key: Some(key),
                listing: None,
                group: None,
                order: Order::default(),
                limit: None,
                resume,
                generation,
            },
            Target::Listing {
                view,
                listing,
                group,
                order,
                limit,
            } => ClientFrame::Subscribe {
                id,
                view: Some(view),
                lab: None,
                key: None,
                listing: Some(listing),
                group: Some(group),
                order,
                limit: Some(limit),
                resume,
                generation,
            },
            Target::Lab(topic) => ClientFrame::Subscribe {
                id,
                view: None,
                lab: Some(topic),
                key: None,
                listing: None,
                group: None,
                order: Order::default(),
                limit: None,
                resume: None,
                generation: None,
            },
        }
    }

    /// Advances the resume point by a frame.
    fn note(&mut self, frame: &ServerFrame, now: Millis) {
        match frame {
            ServerFrame::Snapshot {
                as_of, generation, ..
            } => {
                self.resume_point = Some(ResumePoint {
                    token: as_of.clone(),
                    generation: *generation,
                });
                self.newest = Some(as_of.clone());
            }
            ServerFrame::Change { as_of, .. } => {
                // One event may change several documents: only a later token proves that all of them have
                // been sent.
                if self.newest.as_ref() != Some(as_of) {
                    let complete = self.newest.replace(as_of.clone());
                    if let (Some(point), Some(complete)) = (&mut self.resume_point, complete) {
                        point.token = complete;
                    }
                }
            }
            ServerFrame::CaughtUp { as_of, .. } => {
                if let Some(point) = &mut self.resume_point {
                    point.token = as_of.clone();
                }
                self.newest = Some(as_of.clone());
            }
            // The server could not resume from that point: the next attempt begins with a snapshot.
            ServerFrame::Error { problem, .. } => {
                self.resume_point = None;
                let is_temporary = problem.status == 429 || problem.status >= 500;
                self.retry_at = is_temporary.then(|| now + PATIENCE);
            }
            ServerFrame::Behind { .. }
            | ServerFrame::Hops { .. }
            | ServerFrame::Dials { .. }
            | ServerFrame::Invariants { .. }
            | ServerFrame::Class { .. }
            | ServerFrame::Result { .. }
            | ServerFrame::Moved { .. }
            | ServerFrame::Ping => {}
        }
    }
}

#[cfg(test)]
mod tests;
