//! The history of the template `shop`: a few orders of its customers, in several states, placed by ordinary
//! commands.
//!
//! The orders are complete when the workspace opens: this module executes the steps of the process manager,
//! with the same command ids and data. The process manager then finds its steps done.

use domain::{
    access::{Actor, Role},
    event::StoredEvent,
    language::Language,
    policy::{AnyPolicy, ErasedPolicy, Now, Process, SendOutcome, fulfilment::Fulfilment},
    view::{AnyView as _, DocumentError},
    wire::{AppendedEvent, CommandRequest, ExpectedVersion},
};
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use super::{
    customers::CUSTOMERS,
    first,
    texts::{Texts, texts},
};
use clock::Clock;
use event_store::{Direction, EventStore, StoreError, Workspace};

use crate::{failure::CommandFailure, intent::Intent, service::CommandService};

const FULFILMENT: ErasedPolicy<Fulfilment> = ErasedPolicy::new();

/// The id of the first order; the others follow it.
const FIRST_ORDER: u128 = 0x0198_c1a0_0002_7000_8000_0000_0000_0001;

/// An order, and the commands that the shop or its customer sent to it afterwards.
struct OrderScenario {
    /// The index of its customer.
    customer: usize,
    lines: &'static [(&'static str, u32)],
    method: &'static str,
    later_commands: &'static [LaterCommand],
}

/// A command about an order that was placed before.
enum LaterCommand {
    Ship,
    Deliver,
    Cancel,
}

impl LaterCommand {
    /// The type and the data of the command.
    fn parts(&self, texts: &Texts) -> (&'static str, Value) {
        match self {
            Self::Ship => ("ShipOrder", json!({})),
            Self::Deliver => ("DeliverOrder", json!({})),
            Self::Cancel => ("CancelOrder", json!({"reason": texts.cancel_reason})),
        }
    }
}

static SCENARIOS: [OrderScenario; 6] = [
    OrderScenario {
        customer: 0,
        lines: &[("tea-01", 2), ("honey-01", 1)],
        method: "tok_ok",
        later_commands: &[LaterCommand::Ship, LaterCommand::Deliver],
    },
    OrderScenario {
        customer: 1,
        lines: &[("oil-01", 3)],
        method: "tok_ok",
        later_commands: &[LaterCommand::Ship, LaterCommand::Deliver],
    },
    OrderScenario {
        customer: 2,
        lines: &[("ink-01", 1), ("pencil-01", 2)],
        method: "tok_ok",
        later_commands: &[LaterCommand::Ship],
    },
    OrderScenario {
        customer: 0,
        lines: &[("stand-01", 1)],
        method: "tok_ok",
        later_commands: &[],
    },
    OrderScenario {
        customer: 1,
        lines: &[("salt-01", 2)],
        method: "tok_declined",
        later_commands: &[],
    },
    OrderScenario {
        customer: 2,
        lines: &[("ruler-01", 1)],
        method: "tok_ok",
        later_commands: &[LaterCommand::Cancel],
    },
];

/// Writes the history into a new workspace.
pub(crate) struct HistoryWriter<'a> {
    pub(crate) commands: &'a CommandService,
    pub(crate) store: &'a dyn EventStore,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) workspace: &'a Workspace,
    /// The language of the texts that its people type.
    pub(crate) language: Language,
}

impl HistoryWriter<'_> {
    /// Writes all orders concurrently, so that the store's group commit takes their steps together.
    pub(crate) async fn write(&self) -> Result<(), CommandFailure> {
        let scenarios = SCENARIOS
            .iter()
            .zip(FIRST_ORDER..)
            .map(|(scenario, id)| self.run(scenario, Uuid::from_u128(id).to_string()));
        futures::future::try_join_all(scenarios).await?;
        Ok(())
    }

    /// Runs a scenario. If its payment is not answered in time, or if the process manager has begun it, the
    /// rest is left to the process manager, and the later commands are not sent.
    async fn run(&self, scenario: &OrderScenario, order: String) -> Result<(), CommandFailure> {
        match self.try_run(scenario, order).await {
            Err(
                reason @ (CommandFailure::Unanswered(_)
                | CommandFailure::Rejected(_)
                | CommandFailure::Conflict { .. }),
            ) => {
                tracing::info!(%reason, "an order of the template is left to the process manager");
                Ok(())
            }
            result => result,
        }
    }

    async fn try_run(&self, scenario: &OrderScenario, order: String) -> Result<(), CommandFailure> {
        let customer = &CUSTOMERS[scenario.customer];
        let customer = Actor {
            id: customer.id,
            // Not the customer's own role: commands of a template count towards no quota.
            role: Role::System,
            name: customer.display_name.to_owned(),
        };
        let mut process: Option<Box<RawValue>> = None;
        let mut events = self.send(&customer, &placed(scenario, &order)).await?;
        self.fulfil(&order, &mut process, events).await?;
        for command in scenario.later_commands {
            let (command_type, data) = command.parts(texts(self.language));
            let request = CommandRequest {
                command_type: command_type.to_owned(),
                stream: format!("order-{order}"),
                data,
                expected_version: ExpectedVersion::Any,
                correlation_id: None,
            };
            events = self.send(&customer, &request).await?;
            self.fulfil(&order, &mut process, events).await?;
        }
        Ok(())
    }

    /// Executes the commands that the process manager would send about events, until there are none.
    async fn fulfil(
        &self,
        order: &str,
        process: &mut Option<Box<RawValue>>,
        mut events: Vec<StoredEvent>,
    ) -> Result<(), CommandFailure> {
        loop {
            let mut folding = FULFILMENT.load(order, process.as_deref()).map_err(unreadable)?;
            for event in &events {
                folding.fold(&event.decode().map_err(corrupt)?);
            }
            let Some(json) = folding.document().map_err(unreadable)? else {
                return Ok(());
            };
            let state: Process = serde_json::from_str(json.get()).map_err(corrupt)?;
            let (mut sent, mut caused) = (Vec::new(), Vec::new());
            for pending in &state.pending {
                let intent = Intent::of_policy(self.workspace.id, FULFILMENT.name(), pending, self.clock)?;
                let answer = self.commands.carry_out(intent).await?;
                caused.extend(self.read(&answer.stream, &answer.events).await?);
                sent.push((pending.command_id, SendOutcome::Accepted));
            }
            let now = Now {
                machine: self.clock.now(),
                ahead_ms: 0,
            };
            let after = FULFILMENT.sent(&json, &sent, now).map_err(unreadable)?;
            *process = Some(serde_json::value::to_raw_value(&after).map_err(corrupt)?);
            if state.pending.is_empty() {
                return Ok(());
            }
            events = caused;
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

    /// The events of a command.
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

fn placed(scenario: &OrderScenario, order: &str) -> CommandRequest {
    let lines: Vec<Value> = scenario
        .lines
        .iter()
        .map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity}))
        .collect();
    first(
        "PlaceOrder",
        format!("order-{order}"),
        json!({"lines": lines, "payment_method": scenario.method}),
    )
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the template's history: {error}"))
}

fn unreadable(error: DocumentError) -> StoreError {
    corrupt(error)
}
