//! The history of the template `shop`: a few orders of its customers, in several states, by commands like anybody's.
//!
//! Whoever opens the workspace finds them there, and does not watch them come: the steps of the process manager are taken
//! here, with the ids and the data that its own commands have. It then finds everything done, whoever of both was faster.

use domain::{
    access::{Actor, Role},
    event::StoredEvent,
    policy::{AnyPolicy, Erased, Now, Process, Sent, fulfilment::Fulfilment},
    view::{AnyView as _, DocumentError},
    wire::{AppendedEvent, CommandRequest, ExpectedVersion},
};
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use super::{customers::CUSTOMERS, first};
use clock::Clock;
use event_store::{Direction, EventStore, StoreError, Workspace};

use crate::{failure::CommandFailure, intent::Intent, service::CommandService};

const FULFILMENT: Erased<Fulfilment> = Erased::new();

/// The id of the first order; the others count on.
const FIRST_ORDER: u128 = 0x0198_c1a0_0002_7000_8000_0000_0000_0001;

/// An order, and what the shop or its customer told it afterwards.
struct Story {
    /// Which of the template's customers ordered.
    customer: usize,
    lines: &'static [(&'static str, u32)],
    method: &'static str,
    then: &'static [(&'static str, &'static str)],
}

const SHIP: (&str, &str) = ("ShipOrder", "{}");
const DELIVER: (&str, &str) = ("DeliverOrder", "{}");
const CANCEL: (&str, &str) = ("CancelOrder", r#"{"reason":"ordered twice by mistake"}"#);

static STORIES: [Story; 6] = [
    Story {
        customer: 0,
        lines: &[("tea-01", 2), ("honey-01", 1)],
        method: "tok_ok",
        then: &[SHIP, DELIVER],
    },
    Story {
        customer: 1,
        lines: &[("oil-01", 3)],
        method: "tok_ok",
        then: &[SHIP, DELIVER],
    },
    Story {
        customer: 2,
        lines: &[("ink-01", 1), ("pencil-01", 2)],
        method: "tok_ok",
        then: &[SHIP],
    },
    Story {
        customer: 0,
        lines: &[("stand-01", 1)],
        method: "tok_ok",
        then: &[],
    },
    Story {
        customer: 1,
        lines: &[("salt-01", 2)],
        method: "tok_declined",
        then: &[],
    },
    Story {
        customer: 2,
        lines: &[("ruler-01", 1)],
        method: "tok_ok",
        then: &[CANCEL],
    },
];

/// What the history is written with.
pub(crate) struct Writer<'a> {
    pub(crate) commands: &'a CommandService,
    pub(crate) store: &'a dyn EventStore,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) workspace: &'a Workspace,
}

impl Writer<'_> {
    /// Every order side by side, so that the store's group commit takes their steps together.
    pub(crate) async fn write(&self) -> Result<(), CommandFailure> {
        let stories = STORIES
            .iter()
            .zip(FIRST_ORDER..)
            .map(|(story, id)| self.begin(story, Uuid::from_u128(id).to_string()));
        futures::future::try_join_all(stories).await?;
        Ok(())
    }

    /// A story whose payment is not answered in time, or in whose middle the process manager is already, is left to that:
    /// it ends without what was to be told afterwards, and nobody waits for it.
    async fn begin(&self, story: &Story, order: String) -> Result<(), CommandFailure> {
        match self.tell(story, order).await {
            Err(
                reason @ (CommandFailure::Unanswered(_)
                | CommandFailure::Rejected(_)
                | CommandFailure::Conflict { .. }),
            ) => {
                tracing::info!(%reason, "an order of the template is left to the process manager");
                Ok(())
            }
            told => told,
        }
    }

    async fn tell(&self, story: &Story, order: String) -> Result<(), CommandFailure> {
        let customer = &CUSTOMERS[story.customer];
        let customer = Actor {
            id: customer.id,
            // Not the customer's own role: what a template does is nobody's quota.
            role: Role::System,
            name: customer.display_name.to_owned(),
        };
        let mut process: Option<Box<RawValue>> = None;
        let mut happened = self.send(&customer, &placed(story, &order)).await?;
        self.fulfil(&order, &mut process, happened).await?;
        for (command_type, data) in story.then {
            let request = CommandRequest {
                command_type: (*command_type).to_owned(),
                stream: format!("order-{order}"),
                data: serde_json::from_str(data).map_err(corrupt)?,
                expected_version: ExpectedVersion::Any,
                correlation_id: None,
            };
            happened = self.send(&customer, &request).await?;
            self.fulfil(&order, &mut process, happened).await?;
        }
        Ok(())
    }

    /// Does what the process manager wants done about events, until it wants nothing more.
    async fn fulfil(
        &self,
        order: &str,
        process: &mut Option<Box<RawValue>>,
        mut happened: Vec<StoredEvent>,
    ) -> Result<(), CommandFailure> {
        loop {
            let mut folding = FULFILMENT.load(order, process.as_deref()).map_err(unreadable)?;
            for event in &happened {
                folding.fold(&event.decode().map_err(corrupt)?);
            }
            let Some(json) = folding.document().map_err(unreadable)? else {
                return Ok(());
            };
            let wanted: Process = serde_json::from_str(json.get()).map_err(corrupt)?;
            let (mut sent, mut caused) = (Vec::new(), Vec::new());
            for pending in &wanted.pending {
                let intent = Intent::of_policy(self.workspace.id, FULFILMENT.name(), pending, self.clock)?;
                let answer = self.commands.carry_out(intent).await?;
                caused.extend(self.read(&answer.stream, &answer.events).await?);
                sent.push((pending.command_id, Sent::Accepted));
            }
            let now = Now {
                machine: self.clock.now(),
                ahead_ms: 0,
            };
            let after = FULFILMENT.sent(&json, &sent, now).map_err(unreadable)?;
            *process = Some(serde_json::value::to_raw_value(&after).map_err(corrupt)?);
            if wanted.pending.is_empty() {
                return Ok(());
            }
            happened = caused;
        }
    }

    async fn send(
        &self,
        actor: &Actor,
        request: &CommandRequest,
    ) -> Result<Vec<StoredEvent>, CommandFailure> {
        let answer = self
            .commands
            .handle(self.workspace.id, actor, request, None, None)
            .await?;
        self.read(&answer.stream, &answer.events).await
    }

    /// What a command has caused.
    async fn read(&self, stream: &str, events: &[AppendedEvent]) -> Result<Vec<StoredEvent>, CommandFailure> {
        let Some(first) = events.first() else {
            return Ok(Vec::new());
        };
        let stream = stream.parse().map_err(corrupt)?;
        let count = u32::try_from(events.len()).map_err(corrupt)?;
        let read = self
            .store
            .read_stream(
                self.workspace.id,
                &stream,
                first.version,
                Direction::Forwards,
                count,
            )
            .await?;
        Ok(read)
    }
}

fn placed(story: &Story, order: &str) -> CommandRequest {
    let lines: Vec<Value> = story
        .lines
        .iter()
        .map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity}))
        .collect();
    first(
        "PlaceOrder",
        format!("order-{order}"),
        json!({"lines": lines, "payment_method": story.method}),
    )
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the template's history: {error}"))
}

fn unreadable(error: DocumentError) -> StoreError {
    corrupt(error)
}
