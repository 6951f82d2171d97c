//! The conversation on `/api/v1/live` as a pure state machine: what happened and what time it is go in, what to do comes
//! out. It promises that a subscription survives any loss of the connection and resumes from its token, that a dead
//! connection is noticed, and that attempts to reconnect are spread out.
//!
//! Every connection has a number, so what an abandoned socket still says is not mistaken for news.

use std::collections::BTreeMap;

use domain::{
    token::ConsistencyToken,
    wire::{ClientFrame, Order, ServerFrame},
};

use super::{Millis, backoff};

/// A connection on which nothing was heard for so long is dead; the server pings every 20 s.
pub const SILENCE: Millis = 45_000;
/// A connection that has not opened for so long will not.
pub const CONNECT_TIMEOUT: Millis = 10_000;
/// A connection that lasted so long was a good one: the next failure counts as the first.
pub const STABLE: Millis = 10_000;
/// A subscription that the server could not take at that moment is tried again after so long.
pub const PATIENCE: Millis = 5_000;

/// What the reader is told about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// Not started, as on the server.
    #[default]
    Idle,
    /// The first attempt is under way.
    Connecting,
    /// Changes arrive.
    Live,
    /// The connection was lost; the attempt of this number is under way or waits for its turn.
    Reconnecting(u32),
    /// The browser says that there is no network.
    Offline,
    /// The session has ended: there is nothing to reconnect with.
    Over,
}

/// What a subscription follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One document.
    Document {
        /// The view.
        view: String,
        /// Its key.
        key: String,
    },
    /// A group of a listing.
    Listing {
        /// The view.
        view: String,
        /// The listing.
        listing: String,
        /// The group; empty where there is one.
        group: String,
        /// Which way.
        order: Order,
        /// The most rows of a snapshot.
        limit: u32,
    },
}

/// What a client has already seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Everything up to here.
    pub token: ConsistencyToken,
    /// The generation that the token belongs to.
    pub generation: u64,
}

/// What the socket has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Open connection number so and so.
    Open(u64),
    /// Let go of the connection.
    Close,
    /// Send a frame.
    Send(ClientFrame),
    /// Hand a frame to the subscription of its id.
    Deliver(u64, ServerFrame),
}

#[derive(Debug)]
struct Subscription {
    target: Target,
    /// Everything up to here has been seen, all documents that one event changed included.
    seen: Option<Seen>,
    /// The token of the newest change: others of the same event may follow.
    newest: Option<ConsistencyToken>,
    /// When to try again, after the server could not take it.
    retry_at: Option<Millis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Connecting { since: Millis },
    Open { since: Millis, heard: Millis },
    Waiting { until: Millis },
    Over,
}

/// The state machine.
#[derive(Debug)]
pub struct Protocol {
    state: State,
    connection: u64,
    online: bool,
    was_live: bool,
    failures: u32,
    subscriptions: BTreeMap<u64, Subscription>,
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
            subscriptions: BTreeMap::new(),
            last_id: 0,
        }
    }
}

impl Protocol {
    /// What to tell the reader.
    pub fn link(&self) -> Link {
        match self.state {
            State::Idle => Link::Idle,
            State::Over => Link::Over,
            State::Open { .. } => Link::Live,
            _ if !self.online => Link::Offline,
            State::Connecting { .. } if !self.was_live && self.failures == 0 => Link::Connecting,
            State::Connecting { .. } | State::Waiting { .. } => Link::Reconnecting(self.failures),
        }
    }

    /// When [`Protocol::tick`] wants to be called.
    pub fn wake_at(&self) -> Option<Millis> {
        match self.state {
            State::Idle | State::Over => None,
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

    /// Begins to connect; once is enough.
    pub fn start(&mut self, now: Millis) -> Vec<Action> {
        if self.state == State::Idle {
            self.connect(now)
        } else {
            Vec::new()
        }
    }

    /// Follows something, from `seen` on where there is a snapshot already. Answers the id of the subscription.
    pub fn subscribe(&mut self, target: Target, seen: Option<Seen>) -> (u64, Vec<Action>) {
        self.last_id += 1;
        let id = self.last_id;
        let newest = seen.as_ref().map(|seen| seen.token.clone());
        let subscription = Subscription {
            target,
            seen,
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

    /// The connection is open: every subscription continues from what it has seen.
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
        for subscription in self.subscriptions.values_mut() {
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
            ServerFrame::Snapshot { id, .. }
            | ServerFrame::Change { id, .. }
            | ServerFrame::CaughtUp { id, .. }
            | ServerFrame::Behind { id, .. }
            | ServerFrame::Error { id: Some(id), .. } => *id,
            ServerFrame::Result { .. } | ServerFrame::Error { id: None, .. } => return Vec::new(),
        };
        // A frame of a subscription that nobody made has no one to go to.
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

    /// The connection could not be opened because the session has ended: nothing is tried any more.
    pub fn refused(&mut self, connection: u64) -> Vec<Action> {
        if connection == self.connection {
            self.state = State::Over;
        }
        Vec::new()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Millis, random: f64) -> Vec<Action> {
        if self.wake_at().is_none_or(|wake| now < wake) {
            return Vec::new();
        }
        match self.state {
            State::Idle | State::Over => Vec::new(),
            State::Waiting { .. } => self.connect(now),
            State::Open { heard, .. } if now < heard + SILENCE => self.retry(now),
            State::Connecting { .. } | State::Open { .. } => {
                self.lose(now, random);
                vec![Action::Close]
            }
        }
    }

    /// Sends again what the server could not take.
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

    /// The browser says that the network is there, or gone. It may be wrong, so attempts go on either way.
    pub fn network(&mut self, online: bool, now: Millis, random: f64) -> Vec<Action> {
        self.online = online;
        match (online, self.state) {
            (_, State::Idle | State::Over)
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
            State::Idle | State::Over | State::Waiting { .. } => return,
            State::Open { since, .. } if now.saturating_sub(since) >= STABLE => self.failures = 0,
            State::Open { .. } | State::Connecting { .. } => {}
        }
        self.state = State::Waiting {
            until: now + backoff::delay(self.failures, random),
        };
        self.failures += 1;
        // Whatever the lost connection still says is not heard.
        self.connection += 1;
    }
}

impl Subscription {
    fn frame(&self, id: u64) -> ClientFrame {
        let (resume, generation) = self
            .seen
            .clone()
            .map_or((None, None), |seen| (Some(seen.token), Some(seen.generation)));
        match self.target.clone() {
            Target::Document { view, key } => ClientFrame::Subscribe {
                id,
                view,
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
                view,
                key: None,
                listing: Some(listing),
                group: Some(group),
                order,
                limit: Some(limit),
                resume,
                generation,
            },
        }
    }

    /// Remembers what a frame has shown.
    fn note(&mut self, frame: &ServerFrame, now: Millis) {
        match frame {
            ServerFrame::Snapshot {
                as_of, generation, ..
            } => {
                self.seen = Some(Seen {
                    token: as_of.clone(),
                    generation: *generation,
                });
                self.newest = Some(as_of.clone());
            }
            ServerFrame::Change { as_of, .. } => {
                // One event may change several documents: only a later token proves that all of them have been sent.
                if self.newest.as_ref() != Some(as_of) {
                    let complete = self.newest.replace(as_of.clone());
                    if let (Some(seen), Some(complete)) = (&mut self.seen, complete) {
                        seen.token = complete;
                    }
                }
            }
            ServerFrame::CaughtUp { as_of, .. } => {
                if let Some(seen) = &mut self.seen {
                    seen.token = as_of.clone();
                }
                self.newest = Some(as_of.clone());
            }
            // The server could not serve it from there: the next attempt begins anew.
            ServerFrame::Error { problem, .. } => {
                self.seen = None;
                let passing = problem.status == 429 || problem.status >= 500;
                self.retry_at = passing.then(|| now + PATIENCE);
            }
            ServerFrame::Behind { .. } | ServerFrame::Result { .. } | ServerFrame::Ping => {}
        }
    }
}

#[cfg(test)]
mod tests;
