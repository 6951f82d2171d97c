//! A simulation of fulfilment without a server: events arrive in any order that keeps each stream's, commands
//! are repeated and their answers lost, payments are answered late, and in between people send every command
//! that they may, also under the ids of orders that are not placed yet, and append what they have decided
//! before other events came. In the end, every order is confirmed, shipped or undone, the goods of exactly
//! the shipped ones have left, once each, and no customer is charged twice or for nothing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use crate::{
    access::Role,
    aggregate::{
        Command,
        inventory::{Inventory, InventoryCommand, InventoryEvent, InventoryState, ReservationOwner},
        order::{
            Customer, Goods, Order, OrderCreated, OrderEvent, OrderEvidence, OrderLine, OrderState,
            OrderStatus,
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
const CUSTOMER: Uuid = Uuid::from_u128(7);

const UNANSWERED: SendOutcome = SendOutcome::Unanswered {
    sent_at: Timestamp::from_micros(0),
};

/// The commands of people, beside those to cancel and to ship, which come more often.
const OF_PEOPLE: [&str; 11] = [
    "RefundPayment",
    "ProcessPayment",
    "ReceiveStock",
    "ReserveStock",
    "ReleaseStock",
    "ShipStock",
    "ConfirmOrder",
    "RejectOrder",
    "ShipOrder",
    "DeliverOrder",
    "CancelOrder",
];

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
    /// Place an order that is not placed yet.
    Place(usize),
    /// Decide a person's command about an order, and append its events at once or later.
    Command(usize, &'static str, bool),
    /// Append the events of a person's command that was decided before.
    Append(usize),
}

/// A person's command that is decided, and has not appended its events.
struct Decided {
    command_type: &'static str,
    stream: String,
    data: Value,
    /// The length of the stream that it was decided on.
    length: usize,
    events: Vec<DomainEvent>,
}

#[derive(Default)]
struct Simulation {
    /// The first events of orders that are not placed yet, by id.
    unplaced: BTreeMap<String, DomainEvent>,
    decided: Vec<Decided>,
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
    fn append(&mut self, role: Role, stream: &str, payloads: Vec<DomainEvent>) {
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
                        role,
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
        &self,
        role: Role,
        stream: &str,
        command: D::Command,
        evidence: D::Evidence,
    ) -> Result<Vec<DomainEvent>, String> {
        let context = context(stream, actor(role, 1)).with_evidence(evidence);
        D::decide(&self.state::<D>(stream), command, &context)
            .map(|events| events.into_iter().map(EventPayload::into_domain).collect())
            .map_err(|rejection| rejection.detail)
    }

    /// Asks the provider for the evidence of the decision, like the handler of payments. `None`: it has not
    /// answered.
    fn pay(
        &mut self,
        role: Role,
        stream: &str,
        command: PaymentCommand,
    ) -> Result<Option<Vec<DomainEvent>>, String> {
        let state = self.state::<Payment>(stream);
        let name: StreamName = stream.parse().unwrap();
        let answer = match state.provider_request(&command, &name) {
            None => None,
            Some(request) => match self.ask(name.id(), &request) {
                None => return Ok(None),
                answer => answer,
            },
        };
        self.decide::<Payment>(role, stream, command, answer).map(Some)
    }

    /// The evidence of the handler of stock.
    fn owner(&self, command: &InventoryCommand) -> ReservationOwner {
        let order = command.order().unwrap_or_default();
        match self.state::<Order>(&format!("order-{order}")).placed {
            Some(_) => ReservationOwner::Order,
            None => ReservationOwner::Staff,
        }
    }

    /// The evidence of the handler of shipments.
    fn goods(&self, order: &str) -> Goods {
        let reserved = SKUS.iter().filter_map(|sku| {
            let stock = self.state::<Inventory>(&format!("inventory-{sku}"));
            Some(((*sku).to_owned(), *stock.reservations.get(order)?))
        });
        Goods {
            reserved: reserved.collect(),
            is_paid: matches!(
                self.state::<Payment>(&format!("payment-{order}")),
                PaymentState::Processed { .. }
            ),
        }
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

    /// The events of a command; `None`: the provider has not answered.
    fn decision(
        &mut self,
        role: Role,
        command_type: &str,
        stream: &str,
        data: &Value,
    ) -> Result<Option<Vec<DomainEvent>>, String> {
        let name: StreamName = stream.parse().unwrap();
        let parsed = Command::parse(command_type, &name, data).unwrap();
        if !actor(role, 1).may_command(&parsed) {
            return Err(format!("{command_type} is not for {role:?}"));
        }
        match parsed {
            Command::Inventory(command) => {
                let owner = self.owner(&command);
                self.decide::<Inventory>(role, stream, command, owner).map(Some)
            }
            Command::Order(command) => {
                let goods = OrderEvidence::Goods(self.goods(name.id()));
                self.decide::<Order>(role, stream, command, goods).map(Some)
            }
            Command::Payment(command) => self.pay(role, stream, command),
            other => panic!("{other:?}"),
        }
    }

    fn command(&mut self, role: Role, command_type: &str, stream: &str, data: &Value) -> SendOutcome {
        match self.decision(role, command_type, stream, data) {
            Ok(Some(events)) => {
                self.append(role, stream, events);
                SendOutcome::Accepted
            }
            Ok(None) => UNANSWERED,
            Err(reason) => SendOutcome::Refused(reason),
        }
    }

    fn place(&mut self, which: usize) {
        let ids: Vec<_> = self.unplaced.keys().cloned().collect();
        if ids.is_empty() {
            return;
        }
        let id = &ids[which % ids.len()];
        let created = self.unplaced.remove(id).unwrap();
        self.append(Role::Customer, &format!("order-{id}"), vec![created]);
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
            self.command(
                Role::System,
                &pending.command_type,
                &pending.stream,
                &pending.data,
            )
        };
        if sent == SendOutcome::Accepted {
            self.answered.insert(pending.command_id);
        }
        if is_lost {
            return true;
        }
        let now = Now {
            machine: Timestamp::from_micros(0),
            workspace: Timestamp::from_micros(0),
        };
        let process = &self.processes[&key];
        let after = POLICY
            .sent(process, &[(pending.command_id, sent.clone())], now)
            .unwrap();
        self.processes
            .insert(key, serde_json::value::to_raw_value(&after).unwrap());
        sent != UNANSWERED
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

    /// An educator may send every command that staff may, and more.
    fn send_as_person(&mut self, which: usize, command_type: &'static str, is_later: bool) {
        let orders: Vec<_> = self.methods.keys().cloned().collect();
        let order = &orders[which % orders.len()];
        let own = |category: &str| format!("{category}-{order}");
        let variant = which / 8;
        let stock = || format!("inventory-{}", SKUS[variant % SKUS.len()]);
        // Some reservations have an id that never becomes an order's.
        let reservation = if variant % 5 == 4 { "staff" } else { order.as_str() };
        let (stream, data) = match command_type {
            "CancelOrder" | "RejectOrder" => (own("order"), json!({"reason": "changed my mind"})),
            "RefundPayment" => (own("payment"), json!({"reason": "broken"})),
            // What the order asks for, or more.
            "ReserveStock" => {
                let quantity = variant / 2 % 2 + 1;
                (stock(), json!({"order": reservation, "quantity": quantity}))
            }
            "ReleaseStock" | "ShipStock" => (stock(), json!({"order": reservation})),
            "ReceiveStock" => (stock(), json!({"quantity": 1})),
            // No person repeats a charge until it is answered.
            "ProcessPayment" if matches!(self.methods[order], Method::Late) => return,
            // Perhaps what the order asks for.
            "ProcessPayment" => {
                let cents = [1, 500, 1_000][variant % 3];
                let amount = json!({"amount": cents, "currency": "EUR"});
                let data =
                    json!({"order": order, "amount": amount, "method": "tok_ok", "customer": CUSTOMER});
                (own("payment"), data)
            }
            _ => (own("order"), json!({})),
        };
        // The provider moves money before its answer is decided on, and that command is repeated until then.
        if is_later && !stream.starts_with("payment-") {
            let length = self.length(&stream);
            if let Ok(Some(events)) = self.decision(Role::Educator, command_type, &stream, &data) {
                self.decided.push(Decided {
                    command_type,
                    stream,
                    data,
                    length,
                    events,
                });
            }
            return;
        }
        self.command(Role::Educator, command_type, &stream, &data);
    }

    fn length(&self, stream: &str) -> usize {
        self.streams.get(stream).map_or(0, Vec::len)
    }

    /// Appends the events of a command that was decided before, as the store does: a command whose stream has
    /// changed is decided again.
    fn append_decided(&mut self, which: usize) {
        if self.decided.is_empty() {
            return;
        }
        let Decided {
            command_type,
            stream,
            data,
            length,
            events,
        } = self.decided.swap_remove(which % self.decided.len());
        if self.length(&stream) == length {
            self.append(Role::Educator, &stream, events);
        } else {
            self.command(Role::Educator, command_type, &stream, &data);
        }
    }

    /// Completes all outstanding work, and expires every deadline.
    fn finish(&mut self) {
        loop {
            let mut has_moved = !self.unplaced.is_empty() || !self.decided.is_empty();
            self.place(0);
            self.append_decided(0);
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

    /// The units of a product that have left for an order, by commands of the system or of people, and how
    /// often.
    fn shipped(&self, sku: &str, order: &str, by_system: bool) -> (u32, usize) {
        let events = self
            .streams
            .get(&format!("inventory-{sku}"))
            .into_iter()
            .flatten();
        let quantities = events.filter_map(|event| match &event.payload {
            DomainEvent::Inventory(InventoryEvent::StockShipped(shipped))
                if shipped.order == order && (event.metadata.actor.role == Role::System) == by_system =>
            {
                Some(shipped.quantity)
            }
            _ => None,
        });
        quantities.fold((0, 0), |(units, times), quantity| (units + quantity, times + 1))
    }

    /// What was received, and has not left with an order or by staff's own reservations, is on hand.
    fn check_stock(&self, sku: &str) {
        let stream = format!("inventory-{sku}");
        let stock: InventoryState = self.state::<Inventory>(&stream);
        assert!(stock.reserved() <= stock.on_hand, "{stock:?}");
        let received: u32 = self.streams[&stream]
            .iter()
            .filter_map(|event| match &event.payload {
                DomainEvent::Inventory(InventoryEvent::StockReceived(received)) => Some(received.quantity),
                _ => None,
            })
            .sum();
        let ids = || self.methods.keys().map(String::as_str).chain(["staff"]);
        let by_staff: u32 = ids().map(|id| self.shipped(sku, id, false).0).sum();
        let sold: u32 = self
            .methods
            .keys()
            .filter(|order| self.has_left(order))
            .flat_map(|order| self.lines(order))
            .filter(|line| line.sku == sku)
            .map(|line| line.quantity)
            .sum();
        assert_eq!(stock.on_hand + by_staff + sold, received, "{sku}: {stock:?}");
    }

    fn lines(&self, order: &str) -> Vec<OrderLine> {
        self.state::<Order>(&format!("order-{order}"))
            .placed
            .unwrap()
            .lines
    }

    /// Whether the order's own stream says that it was shipped.
    fn has_left(&self, order: &str) -> bool {
        self.streams[&format!("order-{order}")]
            .iter()
            .any(|event| event.event_type == "OrderShipped")
    }

    fn check(&self) {
        for sku in SKUS {
            self.check_stock(sku);
        }
        for order in self.methods.keys() {
            let state: OrderState = self.state::<Order>(&format!("order-{order}"));
            let placed = state.placed.unwrap();
            let has_left = self.has_left(order);
            for sku in SKUS {
                let line = placed.lines.iter().find(|line| line.sku == sku && has_left);
                let expected = line.map_or((0, 0), |line| (line.quantity, 1));
                let shipped = self.shipped(sku, order, true);
                assert_eq!(
                    shipped, expected,
                    "{sku} of {order}, which is {:?}",
                    placed.status
                );
            }
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
            let (expected, may_have_left) = match placed.status {
                OrderStatus::Confirmed => ((1, placed.lines.len()), false),
                OrderStatus::Shipped | OrderStatus::Delivered => ((1, 0), true),
                OrderStatus::Rejected | OrderStatus::Cancelled => ((0, 0), false),
                // The shop may refund what it has shipped, as for goods that were broken.
                OrderStatus::Refunded => ((0, 0), has_left),
                status => panic!("{order} is left {status:?}"),
            };
            assert_eq!((kept, reserved), expected, "{order} is {:?}", placed.status);
            assert_eq!(has_left, may_have_left, "{order} is {:?}", placed.status);
            let payment: PaymentState = self.state::<Payment>(&format!("payment-{order}"));
            match payment {
                PaymentState::Processed { amount, .. } => assert_eq!((kept, amount), (1, placed.total)),
                other => assert_eq!(kept, 0, "{other:?}"),
            }
            let process = self.process(order);
            assert!(process.pending.is_empty());
            assert!(process.timers.is_empty(), "{process:?}");
            assert!(process.failed.is_empty(), "{process:?}");
        }
    }
}

/// Each order has its products, its payment, and whether it is placed at the start.
fn open(orders: &[(u8, Method, bool)], stock: u32) -> Simulation {
    let mut simulation = Simulation::default();
    for sku in SKUS {
        simulation.command(
            Role::Educator,
            "ReceiveStock",
            &format!("inventory-{sku}"),
            &json!({"quantity": stock}),
        );
    }
    for (n, (skus, method, is_placed)) in orders.iter().enumerate() {
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
                id: CUSTOMER,
                name: "Ada".into(),
            },
            total: Money::new(500 * i64::try_from(lines.len()).unwrap(), "EUR"),
            lines,
            payment_method: "tok_ok".into(),
        });
        simulation.methods.insert(id.clone(), *method);
        if *is_placed {
            simulation.append(
                Role::Customer,
                &format!("order-{id}"),
                vec![created.into_domain()],
            );
        } else {
            simulation.unplaced.insert(id, created.into_domain());
        }
    }
    simulation
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => any::<usize>().prop_map(Step::Deliver),
        8 => (any::<usize>(), prop::bool::weighted(0.2))
            .prop_map(|(which, is_lost)| Step::Send(which, is_lost)),
        1 => any::<usize>().prop_map(Step::Expire),
        1 => any::<usize>().prop_map(Step::Place),
        1 => any::<usize>().prop_map(Step::Append),
        1 => any::<usize>().prop_map(|which| Step::Command(which, "ShipOrder", false)),
        1 => any::<usize>().prop_map(|which| Step::Command(which, "CancelOrder", false)),
        4 => (any::<usize>(), prop::sample::select(OF_PEOPLE.to_vec()), any::<bool>())
            .prop_map(|(which, command_type, is_later)| Step::Command(which, command_type, is_later)),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_order_ends_confirmed_shipped_or_undone_in_every_order_of_steps(
        orders in prop::collection::vec(
            (
                1..4_u8,
                prop_oneof![3 => Just(Method::Charges), 1 => Just(Method::Declines), 1 => Just(Method::Late)],
                prop::bool::weighted(0.7),
            ),
            1..4,
        ),
        stock in 1..6_u32,
        steps in steps(),
    ) {
        let mut simulation = open(&orders, stock);
        for step in &steps {
            match step {
                Step::Deliver(which) => { simulation.deliver(*which); }
                Step::Send(which, is_lost) => { simulation.send(*which, *is_lost); }
                Step::Expire(which) => simulation.expire(*which),
                Step::Place(which) => simulation.place(*which),
                Step::Command(which, command_type, is_later) => {
                    simulation.send_as_person(*which, command_type, *is_later);
                }
                Step::Append(which) => simulation.append_decided(*which),
            }
        }
        simulation.finish();
        simulation.check();
    }
}
