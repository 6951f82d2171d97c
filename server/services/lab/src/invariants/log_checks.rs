//! What the events of a log say by themselves: whether stock was sold that was not there, whether an order
//! was charged twice, and whether a command was carried out twice under one Idempotency-Key.
//!
//! Each event is read once, in the order of its partition; the streams of one check are never on two
//! partitions. What is remembered is a few numbers for each product, payment and command, up to a limit:
//! beyond it, new ones are not checked.

use std::collections::{HashMap, HashSet};

use domain::{
    aggregate::{
        inventory::{InventoryEvent, StockReceived, StockReleased, StockReserved, StockShipped},
        payment::PaymentEvent,
    },
    event::{DomainEvent, RecordedEvent, StoredEvent, TypedEvent},
    wire::{Arrow, Evidence, Invariant, SequenceStep},
};
use uuid::Uuid;

use super::lights::{Break, Finding};
use crate::dials::store::key_of;

/// The most products, and the most payments, that are checked.
const MAX_STREAMS: usize = 50_000;

/// The most commands that are checked.
const MAX_COMMANDS: usize = 100_000;

/// The most events that are remembered.
const MAX_EVENTS: usize = 200_000;

/// The stock of a product, with signs: the aggregate's own numbers stop at zero.
#[derive(Debug, Default)]
struct Stock {
    on_hand: i64,
    /// The sum of all reservations less what left them.
    reserved: i64,
    /// Reserved units by order, as the aggregate has them.
    by_order: HashMap<String, i64>,
    /// The sum of `by_order`.
    of_orders: i64,
    /// The event of the newest reservation.
    last_reservation: Option<Uuid>,
}

impl Stock {
    /// Units that can be reserved.
    fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// What is reserved and available together. Of two reservations of one order the aggregate has one, and
    /// the view has both.
    fn together(&self) -> i64 {
        self.of_orders.max(self.reserved) + self.available().max(0)
    }

    /// By how much that is not what is on hand.
    fn difference(&self) -> i64 {
        (self.together() - self.on_hand).abs() + (self.of_orders - self.reserved).abs()
    }

    fn apply(&mut self, change: &InventoryEvent) {
        match change {
            InventoryEvent::StockReceived(StockReceived { quantity }) => {
                self.on_hand += i64::from(*quantity);
            }
            InventoryEvent::StockReserved(StockReserved { order, quantity }) => {
                let quantity = i64::from(*quantity);
                self.reserved += quantity;
                let replaced = self.by_order.insert(order.clone(), quantity);
                self.of_orders += quantity - replaced.unwrap_or_default();
            }
            InventoryEvent::StockReleased(StockReleased { order, quantity }) => {
                self.leave(order, i64::from(*quantity));
            }
            InventoryEvent::StockShipped(StockShipped { order, quantity }) => {
                self.leave(order, i64::from(*quantity));
                self.on_hand -= i64::from(*quantity);
            }
            InventoryEvent::StockReservationFailed(_) => {}
        }
    }

    fn leave(&mut self, order: &str, quantity: i64) {
        self.reserved -= quantity;
        self.of_orders -= self.by_order.remove(order).unwrap_or_default();
    }
}

/// A payment.
#[derive(Debug, Default)]
struct Charges {
    /// Charges less refunds.
    open: u32,
    /// The event of the first charge that is open.
    first: Option<Uuid>,
}

/// The checks of one log.
#[derive(Debug, Default)]
pub(super) struct LogChecks {
    stock: HashMap<String, Stock>,
    charges: HashMap<String, Charges>,
    /// Those of which an event was read.
    commands: HashSet<Uuid>,
    /// By Idempotency-Key, the first command that was read and its first event.
    keys: HashMap<u64, (Uuid, Uuid)>,
    /// Whether there were more commands than are checked.
    is_full: bool,
    /// Each event, and where it is; only if they are remembered.
    events: Option<HashMap<Uuid, EventPlace>>,
}

/// The partition and the position of an event.
pub(super) type EventPlace = (u32, u64);

impl LogChecks {
    /// Nothing is read yet; every event will be remembered, for what bent boxes report.
    pub(super) fn that_remember_events() -> Self {
        Self {
            events: Some(HashMap::new()),
            ..Self::default()
        }
    }

    /// Where an event is; `None`: it was not read, or there were too many events to know.
    pub(super) fn place(&self, event: Uuid) -> Option<EventPlace> {
        self.events.as_ref()?.get(&event).copied()
    }

    /// Whether an event is in the log, as far as it was read; `None`: there were too many events to know.
    pub(super) fn has_event(&self, event: Uuid) -> Option<bool> {
        let events = self.events.as_ref()?;
        let is_known = events.contains_key(&event);
        (is_known || events.len() < MAX_EVENTS).then_some(is_known)
    }

    /// Whether an event of this command was read; `None`: there were too many to know.
    pub(super) fn has_command(&self, command: Uuid) -> Option<bool> {
        let is_known = self.commands.contains(&command);
        (is_known || !self.is_full).then_some(is_known)
    }

    /// Notes an event that this program cannot read.
    pub(super) fn note_unreadable(&mut self, event: &StoredEvent) {
        self.remember(event);
    }

    /// Reads the next event of its partition, and returns what it breaks and mends.
    pub(super) fn apply(&mut self, event: &TypedEvent) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.check_command(event, &mut findings);
        match &event.payload {
            DomainEvent::Inventory(change) => self.check_stock(event, change, &mut findings),
            DomainEvent::Payment(change) => self.check_charges(event, change, &mut findings),
            DomainEvent::Email(_)
            | DomainEvent::Inbox(_)
            | DomainEvent::Order(_)
            | DomainEvent::Prediction(_)
            | DomainEvent::Product(_)
            | DomainEvent::Question(_)
            | DomainEvent::User(_) => {}
        }
        findings
    }

    fn check_stock(&mut self, event: &TypedEvent, change: &InventoryEvent, findings: &mut Vec<Finding>) {
        let sku = event.stream.id();
        if self.stock.len() >= MAX_STREAMS && !self.stock.contains_key(sku) {
            return;
        }
        let stock = self.stock.entry(sku.to_owned()).or_default();
        let (before, difference) = (stock.available().min(stock.on_hand), stock.difference());
        stock.apply(change);
        let left = stock.available().min(stock.on_hand);
        let rivals = stock.last_reservation.filter(|rival| *rival != event.event_id);
        if left >= 0 {
            findings.push(mended(Invariant::StockNotNegative, sku));
        } else if left < before {
            let found = (0, left);
            findings.push(raced(Invariant::StockNotNegative, (event, sku), rivals, found));
        }
        if stock.difference() == 0 {
            findings.push(mended(Invariant::ReservedPlusAvailable, sku));
        } else if stock.difference() > difference {
            let found = (stock.on_hand, stock.together());
            findings.push(raced(
                Invariant::ReservedPlusAvailable,
                (event, sku),
                rivals,
                found,
            ));
        }
        if matches!(change, InventoryEvent::StockReserved(_)) {
            stock.last_reservation = Some(event.event_id);
        }
    }

    fn check_charges(&mut self, event: &TypedEvent, change: &PaymentEvent, findings: &mut Vec<Finding>) {
        let order = event.stream.id();
        if self.charges.len() >= MAX_STREAMS && !self.charges.contains_key(order) {
            return;
        }
        let charges = self.charges.entry(order.to_owned()).or_default();
        match change {
            PaymentEvent::PaymentProcessed(_) => {
                charges.open += 1;
                let first = *charges.first.get_or_insert(event.event_id);
                if charges.open > 1 {
                    let found = (1, i64::from(charges.open));
                    let rival = Some(first).filter(|first| *first != event.event_id);
                    findings.push(raced(Invariant::ChargedOnce, (event, order), rival, found));
                }
            }
            PaymentEvent::PaymentRefunded(_) => {
                charges.open = charges.open.saturating_sub(1);
                if charges.open == 0 {
                    charges.first = None;
                }
                if charges.open <= 1 {
                    findings.push(mended(Invariant::ChargedOnce, order));
                }
            }
            PaymentEvent::PaymentFailed(_) => {}
        }
    }

    /// Remembers an event and its command. Returns whether it is the command's first that was read.
    fn remember<P>(&mut self, event: &RecordedEvent<P>) -> bool {
        if let Some(events) = &mut self.events
            && events.len() < MAX_EVENTS
        {
            events.insert(event.event_id, (event.partition, event.position));
        }
        let command = event.metadata.command_id;
        if self.commands.len() >= MAX_COMMANDS && !self.commands.contains(&command) {
            self.is_full = true;
            return false;
        }
        self.commands.insert(command)
    }

    fn check_command(&mut self, event: &TypedEvent, findings: &mut Vec<Finding>) {
        let command = event.metadata.command_id;
        if !self.remember(event) {
            return;
        }
        let Some(key) = key_of(command).filter(|_| !event.is_of_template()) else {
            return;
        };
        let (first, effect) = *self.keys.entry(key).or_insert((command, event.event_id));
        if first != command {
            findings.push(repeated(event, first, effect));
        }
    }
}

fn mended(invariant: Invariant, subject: &str) -> Finding {
    let subject = subject.to_owned();
    Finding::Mended { invariant, subject }
}

/// Where an event is.
pub(super) fn place_of(event: &TypedEvent) -> Evidence {
    Evidence {
        stream: Some(event.stream.to_string()),
        partition: Some(event.partition),
        position: Some(event.position),
        event_type: Some(event.event_type.clone()),
        ..Evidence::default()
    }
}

fn step(arrow: Arrow, event: Uuid) -> SequenceStep {
    let event_id = Some(event);
    SequenceStep { arrow, event_id }
}

/// Two appends to a stream, both decided on the state before either.
fn raced(
    invariant: Invariant,
    (event, subject): (&TypedEvent, &str),
    rival: Option<Uuid>,
    (expected, found): (i64, i64),
) -> Finding {
    let witness: Vec<Uuid> = rival.into_iter().chain([event.event_id]).collect();
    let across = |arrow| witness.iter().map(move |event| step(arrow, *event));
    let sequence = across(Arrow::ValidateCommand)
        .chain(across(Arrow::AppendEvents))
        .collect();
    Finding::Broken(Box::new(Break {
        invariant,
        subject: subject.to_owned(),
        event: Some(event.event_id),
        evidence: Evidence {
            key: Some(subject.to_owned()),
            expected: Some(expected.to_string()),
            found: Some(found.to_string()),
            ..place_of(event)
        },
        sequence,
        witness,
    }))
}

/// Two commands under one key, each with an event. `event` is of the one that was read later, and `effect` of
/// the `first`.
fn repeated(event: &TypedEvent, first: Uuid, effect: Uuid) -> Finding {
    let sent = |event| {
        [
            step(Arrow::HttpsJwtCommandRequest, event),
            step(Arrow::AppendEvents, event),
        ]
    };
    Finding::Broken(Box::new(Break {
        invariant: Invariant::OneKeyOneEffect,
        subject: first.to_string(),
        event: Some(event.event_id),
        witness: vec![effect, event.event_id],
        evidence: Evidence {
            key: Some(first.to_string()),
            expected: Some("1".to_owned()),
            found: Some("2".to_owned()),
            ..place_of(event)
        },
        sequence: [sent(effect), sent(event.event_id)]
            .into_iter()
            .flatten()
            .collect(),
    }))
}
