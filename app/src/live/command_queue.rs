//! The command queue: a tab's commands until the server has answered them. A pure state machine, like the
//! conversation on the socket: its inputs are events and the time, its outputs are actions.
//!
//! It guarantees that a command keeps one idempotency key across retries, that commands are sent one at a
//! time in the order in which they were created, and that no command is dropped before its answer has
//! arrived. Persisted commands survive a reload; the browser adapter decides where they are stored and how
//! they are sent.

use domain::{
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{CommandRequest, ExpectedVersion, Problem},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Millis, backoff, protocol::Link};

/// The maximum number of accepted commands in memory, for views that have not folded them yet.
const MAX_ACCEPTED: usize = 50;

/// The stage of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Waiting for an earlier command, or for the connection.
    Waiting,
    /// Sent; the answer is outstanding.
    Sending,
    /// Stored; a view that covers this token has folded it.
    Accepted(ConsistencyToken),
    /// Refused for good.
    Refused(Problem),
}

/// A command without an answer, or with an answer that is still shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// The idempotency key: a `UUIDv7`, so that keys sort by creation time.
    pub key: Uuid,
    /// The command's name, as in `CancelOrder`.
    pub command: String,
    /// The stream that it is sent to.
    pub stream: String,
    /// The command's own fields.
    pub data: Value,
    /// The expected version of the stream; `None` if any version will do.
    pub expected: Option<u64>,
    /// The time of its creation.
    pub made_at: Timestamp,
    /// The document that it creates, if any; shown until the server's document arrives.
    pub preview: Option<Value>,
    /// Whether it has been sent before; the server may have stored it although no answer has arrived.
    pub was_sent: bool,
    /// Its stage.
    pub stage: Stage,
}

impl Pending {
    /// The request that carries it.
    pub fn request(&self) -> CommandRequest {
        CommandRequest {
            command_type: self.command.clone(),
            stream: self.stream.clone(),
            data: self.data.clone(),
            expected_version: self.expected.map_or(ExpectedVersion::Any, ExpectedVersion::Exact),
            correlation_id: None,
        }
    }

    /// Whether it can be discarded without asking the server, because it has never been sent.
    pub fn can_be_discarded(&self) -> bool {
        self.stage == Stage::Waiting && !self.was_sent
    }

    /// The reason of a refusal; `None` if it was not refused.
    pub fn problem(&self) -> Option<&Problem> {
        match &self.stage {
            Stage::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Its persisted form, written field by field: a derived reader would be larger than this whole module.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| {
            fields.insert(name.to_owned(), value);
        };
        put("key", self.key.to_string().into());
        put("command", self.command.clone().into());
        put("stream", self.stream.clone().into());
        put("data", self.data.clone());
        put("expected", self.expected.into());
        put("made_at", self.made_at.as_micros().into());
        put("preview", self.preview.clone().unwrap_or_default());
        put("was_sent", (self.was_sent || self.stage == Stage::Sending).into());
        if let Some(problem) = self.problem() {
            put("problem", serde_json::to_value(problem).unwrap_or_default());
        }
        Value::Object(fields)
    }

    /// Reads the persisted form; `None` if its shape is unknown.
    pub fn from_json(mut json: Value) -> Option<Self> {
        let mut take = |name: &str| json.get_mut(name).map(Value::take).unwrap_or_default();
        let text = |value: Value| match value {
            Value::String(text) => Some(text),
            _ => None,
        };
        let problem = take("problem");
        let stage = match serde::Deserialize::deserialize(&problem) {
            Ok(problem) => Stage::Refused(problem),
            Err(_) => Stage::Waiting,
        };
        Some(Self {
            key: text(take("key"))?.parse().ok()?,
            command: text(take("command"))?,
            stream: text(take("stream"))?,
            data: take("data"),
            expected: take("expected").as_u64(),
            made_at: Timestamp::from_micros(take("made_at").as_i64()?),
            preview: Some(take("preview")).filter(|preview| !preview.is_null()),
            was_sent: take("was_sent").as_bool()?,
            stage,
        })
    }
}

/// An action for the browser.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Persist the command under its key, replacing an earlier form.
    Persist(Pending),
    /// Delete the persisted command.
    Delete(Uuid),
    /// Send the command.
    Send(Pending),
}

/// The outcome of an attempt to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The command is stored.
    Accepted(ConsistencyToken),
    /// The server refused it, or was unreachable.
    Problem(Problem),
}

/// The queue's state machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CommandQueue {
    pending: Vec<Pending>,
    offline: bool,
    /// The session has ended: every command would be refused.
    session_ended: bool,
    failures: u32,
    retry_at: Option<Millis>,
}

impl CommandQueue {
    /// All commands, in the order of their creation.
    pub fn all(&self) -> &[Pending] {
        &self.pending
    }

    /// The commands for a stream, in order.
    pub fn of<'a>(&'a self, stream: &'a str) -> impl Iterator<Item = &'a Pending> {
        self.pending
            .iter()
            .filter(move |pending| pending.stream == stream)
    }

    /// The stage of a command; `None` if the queue does not have it.
    pub fn stage(&self, key: Uuid) -> Option<&Stage> {
        self.pending
            .iter()
            .find(|pending| pending.key == key)
            .map(|pending| &pending.stage)
    }

    /// Whether the queue waits until the person has signed in again.
    pub fn is_session_ended(&self) -> bool {
        self.session_ended
    }

    /// The time of the next call to [`CommandQueue::tick`].
    pub fn wake_at(&self) -> Option<Millis> {
        self.retry_at
    }

    /// Adds a new command.
    pub fn enqueue(&mut self, pending: Pending) -> Vec<Action> {
        let mut actions = vec![Action::Persist(pending.clone())];
        self.insert(pending);
        // The oldest accepted commands are in every view by now.
        let accepted = |pending: &Pending| matches!(pending.stage, Stage::Accepted(_));
        let old = self.pending.iter().filter(|pending| accepted(pending)).count();
        if old > MAX_ACCEPTED
            && let Some(oldest) = self.pending.iter().position(accepted)
        {
            self.pending.remove(oldest);
        }
        actions.extend(self.next());
        actions
    }

    /// Adds persisted commands: those of an earlier page, or of another tab.
    pub fn restore(&mut self, persisted: Vec<Pending>) -> Vec<Action> {
        for pending in persisted {
            match self.stage(pending.key) {
                None => self.insert(pending),
                Some(Stage::Waiting) => {
                    self.pending.retain(|other| other.key != pending.key);
                    self.insert(pending);
                }
                Some(_) => {}
            }
        }
        self.next()
    }

    /// Another tab has deleted the persisted command: it was answered or discarded there.
    pub fn deleted_elsewhere(&mut self, key: Uuid) {
        self.pending.retain(|pending| {
            pending.key != key || matches!(pending.stage, Stage::Sending | Stage::Accepted(_))
        });
    }

    /// Removes a command that has never been sent, or a refusal that has been read.
    pub fn discard(&mut self, key: Uuid) -> Vec<Action> {
        let before = self.pending.len();
        self.pending.retain(|pending| {
            pending.key != key || !(pending.can_be_discarded() || pending.problem().is_some())
        });
        if self.pending.len() == before {
            return Vec::new();
        }
        vec![Action::Delete(key)]
    }

    /// An attempt to send has ended.
    pub fn answered(&mut self, key: Uuid, answer: Answer, now: Millis, random: f64) -> Vec<Action> {
        let Some(pending) = self
            .pending
            .iter_mut()
            .find(|pending| pending.key == key && pending.stage == Stage::Sending)
        else {
            return Vec::new();
        };
        let mut actions = Vec::new();
        match answer {
            Answer::Accepted(token) => {
                pending.stage = Stage::Accepted(token);
                actions.push(Action::Delete(key));
            }
            Answer::Problem(problem) if is_final(problem.status) => {
                pending.stage = Stage::Refused(problem);
                actions.push(Action::Persist(pending.clone()));
            }
            Answer::Problem(problem) => {
                pending.stage = Stage::Waiting;
                // The server refuses these before it reads the command.
                let unread = matches!(problem.status, 401 | 429);
                pending.was_sent |= !unread;
                actions.push(Action::Persist(pending.clone()));
                self.session_ended = problem.status == 401;
                self.retry_at = (!self.session_ended)
                    .then(|| now + backoff::BASE + backoff::delay(self.failures, random));
                self.failures += 1;
                return actions;
            }
        }
        self.session_ended = false;
        self.failures = 0;
        self.retry_at = None;
        actions.extend(self.next());
        actions
    }

    /// The live connection has changed; it is the first to notice that the server is back.
    pub fn link(&mut self, link: Link) -> Vec<Action> {
        self.offline = link == Link::Offline;
        if link == Link::Live {
            self.failures = 0;
            self.retry_at = None;
            self.session_ended = false;
        }
        self.next()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Millis) -> Vec<Action> {
        if self.retry_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.retry_at = None;
        self.next()
    }

    fn insert(&mut self, pending: Pending) {
        let index = self.pending.partition_point(|other| other.key < pending.key);
        self.pending.insert(index, pending);
    }

    /// Sends the oldest waiting command, unless another one is unanswered or the queue has to wait.
    fn next(&mut self) -> Vec<Action> {
        let busy = self.pending.iter().any(|pending| pending.stage == Stage::Sending);
        if busy || self.offline || self.session_ended || self.retry_at.is_some() {
            return Vec::new();
        }
        let waiting = self
            .pending
            .iter_mut()
            .find(|pending| pending.stage == Stage::Waiting);
        let Some(pending) = waiting else {
            return Vec::new();
        };
        pending.stage = Stage::Sending;
        // Persisted first: if the page ends now, the next one knows that the command may have arrived.
        vec![Action::Persist(pending.clone()), Action::Send(pending.clone())]
    }
}

/// Whether an answer is final, so that a retry would be answered alike. Status 0 is the lack of an answer.
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 401 | 408 | 429)
}

#[cfg(test)]
mod tests;
