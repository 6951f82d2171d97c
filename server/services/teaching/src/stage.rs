//! The stage of a run: its own sandbox, as the acts of a lesson reach it, through the API alone.
//!
//! An act sends commands as the educator of the sandbox or as people who join it, bends dials, waits by
//! consistency tokens or until all is settled, and tells the stage what it expects, what it has seen and
//! which answer came true. It never sleeps. What a later step needs is remembered with the run.

mod deliveries;
mod facts;
mod operations;
mod people;
mod waits;

use std::{collections::BTreeMap, sync::Arc};

use clock::SharedClock;
use domain::{
    access::Actor,
    event::StoredEvent,
    id::WorkspaceId,
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{
        CommandAnswer, CommandRequest, DocumentAnswer, Expectation, ExpectedVersion, LessonAnswer,
        LessonEvidence, ListingAnswer, Page, SettledAnswer,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

pub use people::{Person, order_key};
pub use waits::place_of;

use crate::{
    api::{Answer, Api, Call, Sender},
    lesson::Failure,
};

/// How long a step waits for a view or for all to be settled, in milliseconds.
const WAIT_MS: u64 = 20_000;

/// The sandbox of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The code for joining it.
    pub join_code: String,
    /// Its educator, as whom the lesson acts.
    pub educator: Actor,
}

/// What an act has told its stage.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The answer that came true.
    pub(crate) shown: Option<LessonAnswer>,
    /// What was checked.
    pub(crate) expectations: Vec<Expectation>,
    /// What was seen.
    pub(crate) evidence: Vec<LessonEvidence>,
}

/// The sandbox of a run while a step acts.
#[derive(Debug)]
pub struct Stage {
    api: Arc<dyn Api>,
    clock: SharedClock,
    sandbox: Sandbox,
    memory: BTreeMap<String, Value>,
    outcome: Outcome,
}

impl Stage {
    /// The stage of a run that remembers this.
    pub(crate) fn new(
        api: Arc<dyn Api>,
        clock: SharedClock,
        sandbox: Sandbox,
        memory: BTreeMap<String, Value>,
    ) -> Self {
        Self {
            api,
            clock,
            sandbox,
            memory,
            outcome: Outcome::default(),
        }
    }

    /// What the act has told, and what the run remembers.
    pub(crate) fn into_parts(self) -> (Outcome, BTreeMap<String, Value>) {
        (self.outcome, self.memory)
    }

    /// The sandbox.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Goes on in another workspace, which the lesson has [imported](Self::import), until the act ends.
    pub fn enter(&mut self, imported: Sandbox) {
        self.sandbox = imported;
    }

    /// The educator of the sandbox, as a sender of calls.
    pub fn educator(&self) -> Sender {
        Sender::Guest(self.sandbox.workspace, self.sandbox.educator.clone())
    }

    /// The machine's time, to measure how long something takes.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id, as for a new order.
    pub fn new_id(&self) -> Uuid {
        self.clock.new_id()
    }

    /// Sends a call of the lesson's own making, and gives its answer, a refusal as well.
    pub async fn call(&self, call: Call) -> Answer {
        self.api.call(call).await
    }

    /// Carries out a call that has to succeed. `what` is the request in a few words.
    pub async fn answered<T: DeserializeOwned>(&self, what: &str, call: Call) -> Result<T, Failure> {
        let answer = self.call(call).await;
        answer.parsed().map_err(|problem| Failure::Refused {
            what: what.to_owned(),
            problem,
        })
    }

    /// Reads a path as the educator. Values in its query are ids, tokens and names, which need no encoding.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let what = path.split('?').next().unwrap_or(path);
        let call = Call::get(self.educator(), format!("/api/v1{path}"));
        self.answered(what, call).await
    }

    /// Sends a command as the educator; it has to be accepted.
    pub async fn send(
        &self,
        command_type: &str,
        stream: &str,
        data: Value,
    ) -> Result<CommandAnswer, Failure> {
        let command = command(command_type, stream, data);
        self.accepted(command_type, self.educator(), &command).await
    }

    /// Sends a command as a person; it has to be accepted.
    pub async fn send_as(
        &self,
        person: &Person,
        command_type: &str,
        stream: &str,
        data: Value,
    ) -> Result<CommandAnswer, Failure> {
        let command = command(command_type, stream, data);
        self.accepted(command_type, self.sender(person), &command).await
    }

    async fn accepted(
        &self,
        what: &str,
        sender: Sender,
        command: &CommandRequest,
    ) -> Result<CommandAnswer, Failure> {
        let answer = self.try_send(sender, command, None).await;
        answer.parsed().map_err(|problem| Failure::Refused {
            what: what.to_owned(),
            problem,
        })
    }

    /// Sends a command with an Idempotency-Key, if there is one, and gives the answer, a refusal as well.
    pub async fn try_send(&self, sender: Sender, command: &CommandRequest, key: Option<&str>) -> Answer {
        let body = serde_json::to_value(command).unwrap_or(Value::Null);
        let mut call = Call::post(sender, "/api/v1/commands", body);
        if let Some(key) = key {
            call = call.with_header("idempotency-key", key);
        }
        self.call(call).await
    }

    /// The document of a view, as it is now, or once the view has folded up to a token; `None`: there is
    /// none.
    pub async fn view(
        &self,
        view: &str,
        key: &str,
        after: Option<&ConsistencyToken>,
    ) -> Result<Option<DocumentAnswer>, Failure> {
        let path = format!("/api/v1/views/{view}/{key}{}", after_query('?', after));
        let answer = self.call(Call::get(self.educator(), path)).await;
        if answer.status == 404 {
            return Ok(None);
        }
        let document = answer.parsed().map_err(|problem| Failure::Refused {
            what: format!("the document of {view}"),
            problem,
        })?;
        Ok(Some(document))
    }

    /// The document of a view that has to be there.
    pub async fn document(
        &self,
        view: &str,
        key: &str,
        after: Option<&ConsistencyToken>,
    ) -> Result<DocumentAnswer, Failure> {
        let found = self.view(view, key, after).await?;
        found.ok_or_else(|| Failure::Unexpected(format!("{view} has no document {key}")))
    }

    /// The first 200 rows of a listing, as in `by_customer` with a group, or `all` without one.
    pub async fn listing(
        &self,
        view: &str,
        listing: &str,
        group: Option<&str>,
        after: Option<&ConsistencyToken>,
    ) -> Result<ListingAnswer, Failure> {
        let group = group.map_or_else(String::new, |group| format!("&group={group}"));
        let after = after_query('&', after);
        self.read(&format!(
            "/views/{view}?listing={listing}&limit=200{group}{after}"
        ))
        .await
    }

    /// Waits until everything that a correlation has caused is done.
    pub async fn settled(&self, correlation: Uuid) -> Result<SettledAnswer, Failure> {
        self.read(&format!(
            "/settled?correlation={correlation}&timeout_ms={WAIT_MS}"
        ))
        .await
    }

    /// Waits until every event of the sandbox is done.
    pub async fn all_settled(&self) -> Result<SettledAnswer, Failure> {
        self.read(&format!("/settled?timeout_ms={WAIT_MS}")).await
    }

    /// Up to 200 events that this query names, as in `type=OrderCreated&order=desc`.
    pub async fn events(&self, query: &str) -> Result<Vec<StoredEvent>, Failure> {
        let page: Page<StoredEvent> = self.read(&format!("/events?limit=200&{query}")).await?;
        Ok(page.data)
    }

    /// The events of a correlation, oldest first.
    pub async fn caused_by(&self, correlation: Uuid) -> Result<Vec<StoredEvent>, Failure> {
        self.events(&format!("correlation={correlation}")).await
    }

    /// The first 200 events of a stream.
    pub async fn stream(&self, stream: &str) -> Result<Vec<StoredEvent>, Failure> {
        let page: Page<StoredEvent> = self.read(&format!("/streams/{stream}?limit=200")).await?;
        Ok(page.data)
    }

    /// Remembers a value for later steps of the run.
    pub fn remember<T: Serialize>(&mut self, name: &str, value: &T) {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.memory.insert(name.to_owned(), value);
    }

    /// What an earlier step has remembered.
    pub fn recall<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        let value = self.memory.get(name).cloned();
        let value = value.and_then(|value| serde_json::from_value(value).ok());
        value.ok_or_else(|| Failure::Unexpected(format!("no earlier step has remembered {name}")))
    }
}

/// A command, on no version of its stream in particular.
pub fn command(command_type: &str, stream: &str, data: Value) -> CommandRequest {
    CommandRequest {
        command_type: command_type.to_owned(),
        stream: stream.to_owned(),
        data,
        expected_version: ExpectedVersion::Any,
        correlation_id: None,
    }
}

/// The part of a query that waits for a token.
fn after_query(begin: char, after: Option<&ConsistencyToken>) -> String {
    after.map_or_else(String::new, |token| {
        format!("{begin}after={token}&timeout_ms={WAIT_MS}")
    })
}
