//! The history of the template `shop`: a few orders of its customers, in several states, placed by ordinary
//! commands.
//!
//! The orders are complete when the workspace opens: each scenario includes the commands of the fulfilment
//! policy, under the ids that the process manager gives them. So the process manager finds its steps done.

use domain::{
    access::{Actor, Role},
    policy::fulfilment::FulfilmentState,
    wire::{CommandRequest, ExpectedVersion},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{customers::CUSTOMERS, first, recorder::Recorder, texts::Texts};
use crate::failure::CommandFailure;

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

/// Decides the commands of the history.
pub(super) fn record(recorder: &mut Recorder, texts: &Texts) -> Result<(), CommandFailure> {
    for (customer, requests) in commands(texts) {
        let mut process = FulfilmentState::default();
        for request in requests {
            recorder.command(&customer, &request, &mut process)?;
        }
    }
    Ok(())
}

/// The commands to each order, with the customer who sends them.
pub(super) fn commands(texts: &Texts) -> Vec<(Actor, Vec<CommandRequest>)> {
    let scenarios = SCENARIOS.iter().zip(FIRST_ORDER..);
    scenarios
        .map(|(scenario, id)| {
            let order = Uuid::from_u128(id).to_string();
            let mut requests = vec![placed(scenario, &order)];
            requests.extend(scenario.later_commands.iter().map(|command| {
                let (command_type, data) = command.parts(texts);
                CommandRequest {
                    command_type: command_type.to_owned(),
                    stream: format!("order-{order}"),
                    data,
                    expected_version: ExpectedVersion::Any,
                    correlation_id: None,
                }
            }));
            (customer(scenario), requests)
        })
        .collect()
}

/// The customer of a scenario, in the role of the system: a customer may not ship an order.
fn customer(scenario: &OrderScenario) -> Actor {
    let customer = &CUSTOMERS[scenario.customer];
    Actor {
        id: customer.id,
        role: Role::System,
        name: customer.display_name.to_owned(),
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
