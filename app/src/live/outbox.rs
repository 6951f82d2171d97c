//! The outbox: what people have told the shop, as long as the server's answer is not known. A pure state machine, like the
//! conversation on the socket: what happened and what time it is go in, what to do comes out.
//!
//! It promises that every command is sent under one idempotency key however often it has to be sent, that commands are
//! sent in the order in which they were made, one after the other, and that nothing is forgotten before its answer is
//! known. What is kept survives a reload; where it is kept, and how it is sent, is the browser's matter.

use domain::{
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{CommandRequest, ExpectedVersion, Problem},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Millis, backoff, protocol::Link};

/// Accepted commands that are remembered, for views that do not show them yet.
const REMEMBERED: usize = 50;

/// Where a command stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// It waits for its turn, or for the connection.
    Waiting,
    /// It is on its way.
    Sending,
    /// It was carried out; views that are as new as this show it.
    Accepted(ConsistencyToken),
    /// It was not carried out, and will not be.
    Refused(Problem),
}

/// A command whose answer is not known, or is not shown yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// The idempotency key: a `UUIDv7`, so that the order of the keys is the order in which they were made.
    pub key: Uuid,
    /// The command's name, as in `CancelOrder`.
    pub command: String,
    /// The stream it is for.
    pub stream: String,
    /// The command's own fields.
    pub data: Value,
    /// The version of the stream that its sender has seen, where the command only holds for that.
    pub expected: Option<u64>,
    /// When it was made.
    pub made_at: Timestamp,
    /// What it makes, where it makes a document: shown until the server's is there.
    pub preview: Option<Value>,
    /// Whether it has been sent before: then it may have arrived, though its answer has not.
    pub was_sent: bool,
    /// Where it stands.
    pub stage: Stage,
}

impl Pending {
    /// The command as it is sent.
    pub fn request(&self) -> CommandRequest {
        CommandRequest {
            command_type: self.command.clone(),
            stream: self.stream.clone(),
            data: self.data.clone(),
            expected_version: self.expected.map_or(ExpectedVersion::Any, ExpectedVersion::Exact),
            correlation_id: None,
        }
    }

    /// Whether it can be taken back without asking the server: it has never left this browser.
    pub fn can_be_discarded(&self) -> bool {
        self.stage == Stage::Waiting && !self.was_sent
    }

    /// Why it was refused, where it was.
    pub fn problem(&self) -> Option<&Problem> {
        match &self.stage {
            Stage::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// What is kept of it. Field by field: a derived reader would weigh more than all of this module.
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

    /// What was kept; `None` where it is of another shape.
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

/// What the browser has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Keep it, in place of what is kept under its key.
    Keep(Pending),
    /// Keep it no longer.
    Forget(Uuid),
    /// Send it.
    Send(Pending),
}

/// What became of an attempt to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It was carried out.
    Accepted(ConsistencyToken),
    /// The server said no, or could not be asked.
    Problem(Problem),
}

/// The state machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outbox {
    pending: Vec<Pending>,
    offline: bool,
    /// The session is over: nobody would be heard.
    over: bool,
    failures: u32,
    retry_at: Option<Millis>,
}

impl Outbox {
    /// Every command, in the order in which they were made.
    pub fn all(&self) -> &[Pending] {
        &self.pending
    }

    /// The commands for a stream, in order.
    pub fn of<'a>(&'a self, stream: &'a str) -> impl Iterator<Item = &'a Pending> {
        self.pending
            .iter()
            .filter(move |pending| pending.stream == stream)
    }

    /// Where a command stands; `None` where it is not known, or not any more.
    pub fn stage(&self, key: Uuid) -> Option<&Stage> {
        self.pending
            .iter()
            .find(|pending| pending.key == key)
            .map(|pending| &pending.stage)
    }

    /// Whether what waits, waits for somebody to sign in.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// When [`Outbox::tick`] wants to be called.
    pub fn wake_at(&self) -> Option<Millis> {
        self.retry_at
    }

    /// Takes a new command.
    pub fn put(&mut self, pending: Pending) -> Vec<Action> {
        let mut actions = vec![Action::Keep(pending.clone())];
        self.insert(pending);
        // What was accepted long ago is in every view by now.
        let accepted = |pending: &Pending| matches!(pending.stage, Stage::Accepted(_));
        let old = self.pending.iter().filter(|pending| accepted(pending)).count();
        if old > REMEMBERED
            && let Some(oldest) = self.pending.iter().position(accepted)
        {
            self.pending.remove(oldest);
        }
        actions.extend(self.next());
        actions
    }

    /// Takes what was kept: at the beginning of a page, or by another tab.
    pub fn found(&mut self, kept: Vec<Pending>) -> Vec<Action> {
        for pending in kept {
            match self.stage(pending.key) {
                None => self.insert(pending),
                Some(Stage::Waiting) => {
                    self.pending.retain(|known| known.key != pending.key);
                    self.insert(pending);
                }
                Some(_) => {}
            }
        }
        self.next()
    }

    /// Another tab keeps it no longer: it was answered there, or discarded.
    pub fn forgotten(&mut self, key: Uuid) {
        self.pending.retain(|pending| {
            pending.key != key || matches!(pending.stage, Stage::Sending | Stage::Accepted(_))
        });
    }

    /// Takes back what has never left this browser, or has been read: a refusal.
    pub fn discard(&mut self, key: Uuid) -> Vec<Action> {
        let before = self.pending.len();
        self.pending.retain(|pending| {
            pending.key != key || !(pending.can_be_discarded() || pending.problem().is_some())
        });
        if self.pending.len() == before {
            return Vec::new();
        }
        vec![Action::Forget(key)]
    }

    /// An attempt has ended.
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
                actions.push(Action::Forget(key));
            }
            Answer::Problem(problem) if is_final(problem.status) => {
                pending.stage = Stage::Refused(problem);
                actions.push(Action::Keep(pending.clone()));
            }
            Answer::Problem(problem) => {
                pending.stage = Stage::Waiting;
                // Whoever was refused for having no session has not been heard at all.
                let unheard = matches!(problem.status, 401 | 429);
                pending.was_sent |= !unheard;
                actions.push(Action::Keep(pending.clone()));
                self.over = problem.status == 401;
                self.retry_at =
                    (!self.over).then(|| now + backoff::BASE + backoff::delay(self.failures, random));
                self.failures += 1;
                return actions;
            }
        }
        self.over = false;
        self.failures = 0;
        self.retry_at = None;
        actions.extend(self.next());
        actions
    }

    /// The live connection has changed: it knows first when the server is there again.
    pub fn link(&mut self, link: Link) -> Vec<Action> {
        self.offline = link == Link::Offline;
        if link == Link::Live {
            self.failures = 0;
            self.retry_at = None;
            self.over = false;
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
        let place = self.pending.partition_point(|other| other.key < pending.key);
        self.pending.insert(place, pending);
    }

    /// Sends the oldest command that waits, unless another one is on its way or there is a reason to wait.
    fn next(&mut self) -> Vec<Action> {
        let busy = self.pending.iter().any(|pending| pending.stage == Stage::Sending);
        if busy || self.offline || self.over || self.retry_at.is_some() {
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
        // Kept first, so that a page which ends now knows that it may have arrived.
        vec![Action::Keep(pending.clone()), Action::Send(pending.clone())]
    }
}

/// Whether an answer is the last word: asking again would be answered the same. No status: nobody has answered.
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 401 | 408 | 429)
}

#[cfg(test)]
mod tests;
