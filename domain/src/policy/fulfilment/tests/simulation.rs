//! A simulation of fulfilment without a server: events arrive in any order that keeps each stream's, commands
//! are repeated and their answers lost, payments are answered late, and people cancel and ship in between. In
//! the end, every order is confirmed or undone, stock adds up, and no customer is charged twice or for
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use crate::{
    access::Role,
    aggregate::{
        Command,
        inventory::{Inventory, InventoryState},
        order::{
            Customer, Order, OrderCreated, OrderEvent, OrderLine, OrderState, OrderStatus, ProductCatalogue,
        },
        payment::{Payment, PaymentCommand, PaymentState, ProviderAnswer, ProviderRequest},
    },
    decider::{
        Decider,
        testing::{actor, context},
    },
    event::{ActorRef, DomainEvent, EventPayload, Metadata, TypedEvent},
    id::{StreamName, WorkspaceId},
    money::Money,
    policy::{AnyPolicy as _, ErasedPolicy, Now, Process, SendOutcome, fulfilment::Fulfilment},
    timestamp::Timestamp,
    view::AnyView as _,
};

const POLICY: ErasedPolicy<Fulfilment> = ErasedPolicy::new();
const SKUS: [&str; 2] = ["cup", "mug"];

/// The payment provider's answer to an order's charge.
#[derive(Debug, Clone, Copy)]
enum Method {
    Charges,
    Declines,
    /// The charge is made at once, and answered only after the deadline.
    Late,
}

#[derive(Debug, Clone)]
enum Step {
    /// Deliver the next event of one of the streams.
    Deliver(usize),
    /// Send one of the waiting commands; its answer may be lost.
    Send(usize, bool),
    /// Expire the deadline of an order.
    Expire(usize),
    /// Send a person's command to an order.
    Command(usize, &'static str),
}

#[derive(Default)]
struct Simulation {
    streams: BTreeMap<String, Vec<TypedEvent>>,
    delivered: BTreeMap<String, usize>,
    processes: BTreeMap<String, Box<RawValue>>,
    answered: BTreeSet<Uuid>,
    methods: BTreeMap<String, Method>,
    charges: BTreeMap<String, u32>,
    refunds: BTreeMap<String, u32>,
    is_over: bool,
    events: u128,
}

fn fold<D: Decider<Event: EventPayload>>(events: &[TypedEvent]) -> D::State {
    events
        .iter()
        .filter_map(|event| D::Event::from_domain(&event.payload))
        .fold(D::State::default(), D::evolve)
}

impl Simulation {
    fn append(&mut self, stream: &str, payloads: Vec<DomainEvent>) {
        for payload in payloads {
            self.events += 1;
            let events = self.streams.entry(stream.to_owned()).or_default();
            events.push(TypedEvent {
                workspace: WorkspaceId(Uuid::nil()),
                partition: 0,
                position: 1,
                stream: stream.parse().unwrap(),
                version: events.len() as u64 + 1,
                event_id: Uuid::from_u128(self.events),
                event_type: payload.event_type().name.to_owned(),
                schema_version: payload.event_type().schema_version,
                payload,
                metadata: Metadata {
                    correlation_id: Uuid::nil(),
                    causation_id: None,
                    command_id: Uuid::nil(),
                    actor: ActorRef {
                        id: Uuid::nil(),
                        role: Role::System,
                    },
                    traceparent: None,
                },
                recorded_at: Timestamp::from_micros(0),
                hash: String::new(),
            });
        }
    }

    fn state<D: Decider<Event: EventPayload>>(&self, stream: &str) -> D::State {
        fold::<D>(self.streams.get(stream).map_or(&[][..], Vec::as_slice))
    }

    fn decide<D: Decider<Event: EventPayload>>(
        &mut self,
        stream: &str,
        command: D::Command,
        evidence: D::Evidence,
    ) -> Result<SendOutcome, String> {
        let state = self.state::<D>(stream);
        let context = context(stream, actor(Role::System, 1)).with_evidence(evidence);
        match D::decide(&state, command, &context) {
            Ok(events) => {
                self.append(
                    stream,
                    events.into_iter().map(EventPayload::into_domain).collect(),
                );
                Ok(SendOutcome::Accepted)
            }
            Err(rejection) => Err(rejection.detail),
        }
    }

    /// Asks the provider for the evidence of the decision, like the handler of payments.
    fn pay(&mut self, stream: &str, command: PaymentCommand) -> Result<SendOutcome, String> {
        let state = self.state::<Payment>(stream);
        let name: StreamName = stream.parse().unwrap();
        let answer = match state.provider_request(&command, &name) {
            None => None,
            Some(request) => match self.ask(name.id(), &request) {
                None => return Ok(SendOutcome::Unanswered),
                answer => answer,
            },
        };
        self.decide::<Payment>(stream, command, answer)
    }

    fn ask(&mut self, order: &str, request: &ProviderRequest) -> Option<ProviderAnswer> {
        let method = self.methods[order];
        match request {
            ProviderRequest::Charge { .. } => {
                if let Method::Declines = method {
                    return Some(ProviderAnswer::Refused { reason: "no".into() });
                }
                // The same key is the same charge.
                self.charges.insert(order.to_owned(), 1);
                let is_late = matches!(method, Method::Late) && !self.is_over;
                (!is_late).then(|| ProviderAnswer::Charged {
                    charge: order.to_owned(),
                })
            }
            ProviderRequest::Refund { .. } => {
                *self.refunds.entry(order.to_owned()).or_default() += 1;
                Some(ProviderAnswer::Refunded)
            }
        }
    }

    fn command(&mut self, command_type: &str, stream: &str, data: &Value) -> SendOutcome {
        let parsed = Command::parse(command_type, &stream.parse().unwrap(), data).unwrap();
        let sent = match parsed {
            Command::Inventory(command) => self.decide::<Inventory>(stream, command, ()),
            Command::Order(command) => self.decide::<Order>(stream, command, ProductCatalogue::default()),
            Command::Payment(command) => self.pay(stream, command),
            other => panic!("{other:?}"),
        };
        sent.unwrap_or_else(SendOutcome::Refused)
    }

    /// Delivers the next event of a stream. True if there was one.
    fn deliver(&mut self, which: usize) -> bool {
        let ready: Vec<String> = self
            .streams
            .iter()
            .filter(|(stream, events)| self.delivered.get(*stream).copied().unwrap_or(0) < events.len())
            .map(|(stream, _)| stream.clone())
            .collect();
        if ready.is_empty() {
            return false;
        }
        let stream = &ready[which % ready.len()];
        let next = self.delivered.entry(stream.clone()).or_default();
        let event = self.streams[stream][*next].clone();
        *next += 1;
        for key in POLICY.keys(&event) {
            let mut folding = POLICY
                .load(&key, self.processes.get(&key).map(|json| &**json))
                .unwrap();
            folding.fold(&event);
            if let Some(json) = folding.document().unwrap() {
                self.processes.insert(key, json);
            }
        }
        true
    }

    fn process(&self, key: &str) -> Process {
        serde_json::from_str(self.processes[key].get()).unwrap()
    }

    /// Sends a waiting command: the first of its process for its stream. True if that changed anything.
    fn send(&mut self, which: usize, is_lost: bool) -> bool {
        let mut waiting = Vec::new();
        for key in self.processes.keys() {
            let mut streams = BTreeSet::new();
            for pending in self.process(key).pending {
                if streams.insert(pending.stream.clone()) {
                    waiting.push((key.clone(), pending));
                }
            }
        }
        if waiting.is_empty() {
            return false;
        }
        let (key, pending) = waiting.swap_remove(which % waiting.len());
        // An accepted command is answered as before.
        let sent = if self.answered.contains(&pending.command_id) {
            SendOutcome::Accepted
        } else {
            self.command(&pending.command_type, &pending.stream, &pending.data)
        };
        if sent == SendOutcome::Accepted {
            self.answered.insert(pending.command_id);
        }
        if is_lost {
            return true;
        }
        let now = Now {
            machine: Timestamp::from_micros(0),
            ahead_ms: 0,
        };
        let process = &self.processes[&key];
        let after = POLICY
            .sent(process, &[(pending.command_id, sent.clone())], now)
            .unwrap();
        self.processes
            .insert(key, serde_json::value::to_raw_value(&after).unwrap());
        sent != SendOutcome::Unanswered
    }

    fn expire(&mut self, which: usize) {
        let keys: Vec<_> = self.processes.keys().cloned().collect();
        if keys.is_empty() {
            return;
        }
        let key = &keys[which % keys.len()];
        let late = Timestamp::from_micros(i64::MAX);
        let after = POLICY.expire(&self.processes[key], late).unwrap();
        self.processes
            .insert(key.clone(), serde_json::value::to_raw_value(&after).unwrap());
    }

    fn send_as_person(&mut self, which: usize, command_type: &str) {
        let orders: Vec<_> = self.methods.keys().cloned().collect();
        let order = &orders[which % orders.len()];
        let own = |category: &str| format!("{category}-{order}");
        let (stream, data) = match command_type {
            "CancelOrder" => (own("order"), json!({"reason": "changed my mind"})),
            "RefundPayment" => (own("payment"), json!({"reason": "broken"})),
            // Neither is what the order asks for.
            "ReserveStock" => (
                format!("inventory-{}", SKUS[which / 8 % SKUS.len()]),
                json!({"order": order, "quantity": 2}),
            ),
            // No person repeats a charge until it is answered.
            "ProcessPayment" if matches!(self.methods[order], Method::Late) => return,
            "ProcessPayment" => (
                own("payment"),
                json!({"order": order, "amount": {"amount": 1, "currency": "EUR"}, "method": "tok_ok"}),
            ),
            _ => (own("order"), json!({})),
        };
        self.command(command_type, &stream, &data);
    }

    /// Completes all outstanding work, and expires every deadline.
    fn finish(&mut self) {
        loop {
            let mut has_moved = false;
            while self.deliver(0) {
                has_moved = true;
            }
            for n in 0..32 {
                has_moved |= self.send(n, false);
            }
            if !has_moved && self.is_over {
                return;
            }
            if !has_moved {
                // Late payments are answered after the deadline.
                for n in 0..8 {
                    self.expire(n);
                }
                self.is_over = true;
            }
        }
    }

    fn check(&self) {
        for sku in SKUS {
            let stock: InventoryState = self.state::<Inventory>(&format!("inventory-{sku}"));
            assert!(stock.reserved() <= stock.on_hand, "{stock:?}");
        }
        for order in self.methods.keys() {
            let state: OrderState = self.state::<Order>(&format!("order-{order}"));
            let placed = state.placed.unwrap();
            let reserved = SKUS
                .iter()
                .filter(|sku| {
                    let stock: InventoryState = self.state::<Inventory>(&format!("inventory-{sku}"));
                    stock.reservations.contains_key(order)
                })
                .count();
            let charged = self.charges.get(order).copied().unwrap_or(0);
            let refunded = self.refunds.get(order).copied().unwrap_or(0);
            assert!(charged <= 1);
            let kept = i64::from(charged) - i64::from(refunded.min(1));
            let expected = match placed.status {
                OrderStatus::Confirmed => (1, placed.lines.len()),
                OrderStatus::Shipped => (1, 0),
                OrderStatus::Rejected | OrderStatus::Cancelled | OrderStatus::Refunded => (0, 0),
                status => panic!("{order} is left {status:?}"),
            };
            assert_eq!((kept, reserved), expected, "{order} is {:?}", placed.status);
            let payment: PaymentState = self.state::<Payment>(&format!("payment-{order}"));
            match payment {
                PaymentState::Processed { amount, .. } => assert_eq!((kept, amount), (1, placed.total)),
                other => assert_eq!(kept, 0, "{other:?}"),
            }
            assert!(self.process(order).pending.is_empty());
            assert!(self.process(order).timers.is_empty(), "{:?}", self.process(order));
        }
    }
}

fn open(orders: &[(u8, Method)], stock: u32) -> Simulation {
    let mut simulation = Simulation::default();
    for sku in SKUS {
        simulation.command(
            "ReceiveStock",
            &format!("inventory-{sku}"),
            &json!({"quantity": stock}),
        );
    }
    for (n, (skus, method)) in orders.iter().enumerate() {
        let id = n.to_string();
        let line = |sku: &str| OrderLine {
            sku: sku.into(),
            name: sku.into(),
            price: Money::new(500, "EUR"),
            quantity: 1,
        };
        let lines: Vec<_> = (0..2)
            .filter(|bit| skus & (1 << bit) != 0)
            .map(|bit| line(SKUS[bit]))
            .collect();
        let created = OrderEvent::from(OrderCreated {
            customer: Customer {
                id: Uuid::from_u128(7),
                name: "Ada".into(),
            },
            total: Money::new(500 * i64::try_from(lines.len()).unwrap(), "EUR"),
            lines,
            payment_method: "tok_ok".into(),
        });
        simulation.methods.insert(id.clone(), *method);
        simulation.append(&format!("order-{id}"), vec![created.into_domain()]);
    }
    simulation
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => any::<usize>().prop_map(Step::Deliver),
        8 => (any::<usize>(), prop::bool::weighted(0.2))
            .prop_map(|(which, is_lost)| Step::Send(which, is_lost)),
        1 => any::<usize>().prop_map(Step::Expire),
        1 => any::<usize>().prop_map(|which| Step::Command(which, "CancelOrder")),
        1 => any::<usize>().prop_map(|which| Step::Command(which, "ShipOrder")),
        1 => any::<usize>().prop_map(|which| Step::Command(which, "RefundPayment")),
        1 => any::<usize>().prop_map(|which| Step::Command(which, "ReserveStock")),
        1 => any::<usize>().prop_map(|which| Step::Command(which, "ProcessPayment")),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_order_ends_confirmed_or_undone_in_every_order_of_steps(
        orders in prop::collection::vec(
            (1..4_u8, prop_oneof![Just(Method::Charges), Just(Method::Declines), Just(Method::Late)]), 1..4,
        ),
        stock in 1..4_u32,
        steps in steps(),
    ) {
        let mut simulation = open(&orders, stock);
        for step in &steps {
            match step {
                Step::Deliver(which) => { simulation.deliver(*which); }
                Step::Send(which, is_lost) => { simulation.send(*which, *is_lost); }
                Step::Expire(which) => simulation.expire(*which),
                Step::Command(which, command_type) => simulation.send_as_person(*which, command_type),
            }
        }
        simulation.finish();
        simulation.check();
    }
}
