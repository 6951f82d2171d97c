//! The rules that a stored event must keep, whichever way it comes into a log: the limits and shapes that its
//! command has, its stream, and the role of its actor.
//!
//! An append keeps them by the decision before it. An import has no decision: a file may be made up, so each
//! of its events is checked here. What a rule of a state forbids, such as a payment for a cancelled order, is
//! not found: only the hash chain tells that the events are those that were decided.

use uuid::Uuid;

use super::{DomainEvent, TypedEvent, personal};
use crate::{
    access::Role,
    aggregate::{
        email::{Email, EmailEvent},
        inbox::{Inbox, InboxEvent, MAX_READ},
        inventory::{Inventory, InventoryEvent, MAX_QUANTITY},
        order::{Customer, MAX_LINE_QUANTITY, MAX_LINES, MAX_REASON, Order, OrderEvent, OrderLine},
        payment::{Payment, PaymentEvent},
        product::{MAX_DESCRIPTION, MAX_NAME, MAX_TAG, MAX_TAGS, Product, ProductEvent, ProductListed},
        user::{MAX_DISPLAY_NAME, MAX_EMAIL, User, UserEvent, UserRegistered, is_email},
    },
    decider::Decider,
    id::category,
    money::Money,
    payment_method::require_method,
    rejection::{Rejection, Violations},
};

/// The longest sealed text: of the longest name or email, encrypted and in base64.
const MAX_SEALED: usize = 1_024;
/// The longest id of a charge at the payment provider.
const MAX_CHARGE: usize = 120;
/// The longest `traceparent`; that of W3C has 55 characters.
const MAX_TRACEPARENT: usize = 128;
/// The largest amount of a price, in minor units.
const MAX_PRICE: i64 = 1_000_000_000;

/// Checks an event, or names the fields that break a rule.
pub fn validate(event: &TypedEvent) -> Result<(), Rejection> {
    let mut rules = Rules {
        violations: Violations::default(),
        event,
    };
    rules.check_metadata();
    rules.check_stream();
    rules.check_role();
    match &event.payload {
        DomainEvent::Email(event) => rules.check_email(event),
        DomainEvent::Inbox(event) => rules.check_inbox(event),
        DomainEvent::Inventory(event) => rules.check_inventory(event),
        DomainEvent::Order(event) => rules.check_order(event),
        DomainEvent::Payment(event) => rules.check_payment(event),
        DomainEvent::Product(event) => rules.check_product(event),
        DomainEvent::User(event) => rules.check_user(event),
    }
    rules.violations.finish()
}

struct Rules<'a> {
    violations: Violations,
    event: &'a TypedEvent,
}

impl Rules<'_> {
    fn check_metadata(&mut self) {
        let metadata = &self.event.metadata;
        for (field, id) in [
            ("id", self.event.event_id),
            ("correlationid", metadata.correlation_id),
            ("commandid", metadata.command_id),
        ] {
            self.require_id(id, field);
        }
        // Templates of earlier versions had no actor of their own.
        if metadata.actor.role != Role::System {
            self.require_id(metadata.actor.id, "actorid");
        }
        let is_trace = |text: &str| {
            (1..=MAX_TRACEPARENT).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        self.violations.require(
            metadata.traceparent.as_deref().is_none_or(is_trace),
            "traceparent",
            "is one of W3C Trace Context",
        );
    }

    /// A type belongs to the streams of its aggregate, whose ids have a form.
    fn check_stream(&mut self) {
        let category = category_of(&self.event.payload);
        let stream = &self.event.stream;
        self.violations.require(
            stream.category() == category,
            "subject",
            format!("is a stream {category}-<id> for {}", self.event.event_type),
        );
        if matches!(self.event.payload, DomainEvent::User(_) | DomainEvent::Inbox(_)) {
            let is_person = |id: Uuid| id.to_string() == stream.id() && !id.is_nil();
            self.violations.require(
                stream.id().parse().is_ok_and(is_person),
                "subject",
                "has the id of a person, in lower case",
            );
        }
    }

    fn check_role(&mut self) {
        let role = self.event.metadata.actor.role;
        self.violations.require(
            may_cause(role, &self.event.payload),
            "actorrole",
            format!("is not {} for {}", role.as_str(), self.event.event_type),
        );
    }

    fn check_email(&mut self, event: &EmailEvent) {
        let user = match event {
            EmailEvent::EmailReserved(reserved) => reserved.user,
            EmailEvent::EmailReleased(released) => released.user,
        };
        self.require_id(user, "data.user");
    }

    fn check_inbox(&mut self, event: &InboxEvent) {
        match event {
            InboxEvent::NotificationsRead(read) => self.violations.require(
                (1..=MAX_READ).contains(&read.events.len()),
                "data.events",
                format!("names 1 to {MAX_READ} notifications"),
            ),
            InboxEvent::MailsStopped(_) | InboxEvent::MailsResumed(_) => {}
        }
    }

    fn check_inventory(&mut self, event: &InventoryEvent) {
        let (order, quantity) = match event {
            InventoryEvent::StockReceived(received) => (None, received.quantity),
            InventoryEvent::StockReserved(reserved) => (Some(&reserved.order), reserved.quantity),
            InventoryEvent::StockReservationFailed(failed) => (Some(&failed.order), failed.requested),
            InventoryEvent::StockReleased(released) => (Some(&released.order), released.quantity),
            InventoryEvent::StockShipped(shipped) => (Some(&shipped.order), shipped.quantity),
        };
        self.violations.require(
            (1..=MAX_QUANTITY).contains(&quantity),
            "data.quantity",
            format!("is 1 to {MAX_QUANTITY}"),
        );
        if let Some(order) = order {
            self.violations.require_id(order, category::ORDER, "data.order");
        }
    }

    fn check_order(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::OrderCreated(created) => {
                self.check_customer(&created.customer);
                self.check_sale(&created.lines, &created.total, "data.");
                require_method(
                    &mut self.violations,
                    &created.payment_method,
                    "data.payment_method",
                );
            }
            OrderEvent::OrderConfirmed(confirmed) => {
                self.require_owner(confirmed.customer);
                // Version 1 had no lines.
                if !self.is_old() {
                    self.check_sale(&confirmed.lines, &confirmed.total, "data.");
                }
            }
            OrderEvent::OrderRejected(rejected) => {
                self.require_owner(rejected.customer);
                self.violations
                    .require_prose(&rejected.reason, MAX_REASON, "data.reason");
            }
            OrderEvent::OrderCancelled(cancelled) => {
                self.require_owner(cancelled.customer);
                self.violations
                    .require_prose(&cancelled.reason, MAX_REASON, "data.reason");
                if let Some(sold) = &cancelled.sold {
                    self.check_sale(&sold.lines, &sold.total, "data.sold.");
                }
            }
            OrderEvent::OrderShipped(shipped) => self.require_owner(shipped.customer),
            OrderEvent::OrderDelivered(delivered) => self.require_owner(delivered.customer),
            OrderEvent::OrderRefunded(refunded) => {
                self.require_owner(refunded.customer);
                self.violations
                    .require_prose(&refunded.reason, MAX_REASON, "data.reason");
                if let Some(sold) = &refunded.sold {
                    self.check_sale(&sold.lines, &sold.total, "data.sold.");
                }
            }
        }
    }

    fn check_payment(&mut self, event: &PaymentEvent) {
        let (order, customer, amount) = match event {
            PaymentEvent::PaymentProcessed(paid) => (&paid.order, paid.customer, &paid.amount),
            PaymentEvent::PaymentFailed(failed) => (&failed.order, failed.customer, &failed.amount),
            PaymentEvent::PaymentRefunded(refunded) => (&refunded.order, refunded.customer, &refunded.amount),
        };
        self.violations.require(
            order == self.event.stream.id(),
            "data.order",
            "is the id of the stream",
        );
        self.require_id(customer, "data.customer");
        self.check_amount(amount, i64::MAX, "data.amount");
        match event {
            PaymentEvent::PaymentProcessed(paid) => {
                require_method(&mut self.violations, &paid.method, "data.method");
                self.violations
                    .require_name(&paid.charge, MAX_CHARGE, "data.charge");
            }
            PaymentEvent::PaymentFailed(failed) => {
                require_method(&mut self.violations, &failed.method, "data.method");
                self.violations
                    .require_prose(&failed.reason, MAX_REASON, "data.reason");
            }
            PaymentEvent::PaymentRefunded(refunded) => {
                self.violations
                    .require_prose(&refunded.reason, MAX_REASON, "data.reason");
            }
        }
    }

    fn check_product(&mut self, event: &ProductEvent) {
        match event {
            ProductEvent::ProductListed(listed) => self.check_listed(listed),
            ProductEvent::PriceChanged(changed) => {
                self.check_amount(&changed.price, MAX_PRICE, "data.price");
            }
            ProductEvent::ProductRetired(_) => {}
        }
    }

    fn check_listed(&mut self, listed: &ProductListed) {
        let ProductListed {
            sku,
            name,
            description,
            price,
            tags,
        } = listed;
        let violations = &mut self.violations;
        violations.require(
            sku == self.event.stream.id(),
            "data.sku",
            "is the id of the stream",
        );
        violations.require_name(name, MAX_NAME, "data.name");
        violations.require_prose(description, MAX_DESCRIPTION, "data.description");
        violations.require(
            tags.len() <= MAX_TAGS,
            "data.tags",
            format!("has up to {MAX_TAGS} tags"),
        );
        for (n, tag) in tags.iter().take(MAX_TAGS).enumerate() {
            violations.require_name(tag, MAX_TAG, &format!("data.tags[{n}]"));
        }
        self.check_amount(price, MAX_PRICE, "data.price");
    }

    fn check_user(&mut self, event: &UserEvent) {
        match event {
            UserEvent::UserRegistered(UserRegistered {
                email,
                display_name,
                role,
                ..
            }) => {
                self.check_address(email);
                self.check_name(display_name, self.person(), "data.display_name");
                self.violations
                    .require(*role != Role::System, "data.role", "is the role of a person");
            }
            UserEvent::DisplayNameChanged(changed) => {
                self.check_name(&changed.display_name, self.person(), "data.display_name");
            }
            UserEvent::EmailChanged(changed) => self.check_address(&changed.email),
            UserEvent::LanguageChanged(_)
            | UserEvent::UserErased(_)
            | UserEvent::PasswordResetRequested(_)
            | UserEvent::PasswordChanged(_)
            | UserEvent::EmailConfirmationRequested(_)
            | UserEvent::EmailConfirmed(_) => {}
        }
    }

    fn check_customer(&mut self, customer: &Customer) {
        self.require_id(customer.id, "data.customer.id");
        // A guest's token may have no name.
        if !customer.name.is_empty() {
            self.check_name(&customer.name, Some(customer.id), "data.customer.name");
        }
    }

    /// The lines of an order, and their sum.
    fn check_sale(&mut self, lines: &[OrderLine], total: &Money, prefix: &str) {
        self.violations.require(
            (1..=MAX_LINES).contains(&lines.len()),
            format!("{prefix}lines"),
            format!("has 1 to {MAX_LINES} lines"),
        );
        let mut sum: Option<Money> = None;
        let mut has_sum = true;
        for (n, line) in lines.iter().take(MAX_LINES).enumerate() {
            let field = |name: &str| format!("{prefix}lines[{n}].{name}");
            self.violations
                .require_id(&line.sku, category::INVENTORY, &field("sku"));
            self.violations.require_name(&line.name, MAX_NAME, &field("name"));
            self.violations.require(
                (1..=MAX_LINE_QUANTITY).contains(&line.quantity),
                field("quantity"),
                format!("is 1 to {MAX_LINE_QUANTITY}"),
            );
            self.check_amount(&line.price, MAX_PRICE, &field("price"));
            let price = line.price.times(line.quantity);
            sum = match (sum.take(), price) {
                (None, price) => price,
                (Some(sum), Some(price)) => sum.plus(&price),
                (Some(_), None) => None,
            };
            has_sum = has_sum && sum.is_some();
        }
        self.violations.require(
            has_sum && sum.as_ref() == Some(total),
            format!("{prefix}total"),
            "is the sum of the lines, in their currency",
        );
    }

    fn check_amount(&mut self, money: &Money, most: i64, field: &str) {
        self.violations.require(
            (1..=most).contains(&money.amount),
            format!("{field}.amount"),
            format!("is 1 to {most}"),
        );
        self.violations.require(
            money.has_currency(),
            format!("{field}.currency"),
            "is an ISO 4217 code, as in EUR",
        );
    }

    /// A name in plain text, or sealed for its person.
    fn check_name(&mut self, name: &str, person: Option<Uuid>, field: &str) {
        if !self.check_sealed(name, person, field) {
            self.violations.require_name(name, MAX_DISPLAY_NAME, field);
        }
    }

    fn check_address(&mut self, email: &str) {
        if !self.check_sealed(email, self.person(), "data.email") {
            self.violations.require(
                is_email(email),
                "data.email",
                format!("is an email address of up to {MAX_EMAIL} characters"),
            );
        }
    }

    /// Whether a text is sealed. It must be so for the person whom the event is about: it is opened where the
    /// data of that person is shown.
    fn check_sealed(&mut self, text: &str, person: Option<Uuid>, field: &str) -> bool {
        if !text.starts_with(personal::MARKER) {
            return false;
        }
        let of = personal::parts(text).map(|(of, _)| of);
        self.violations.require(
            of.is_some() && of == person && text.len() <= MAX_SEALED,
            field,
            "is sealed for the person whom the event is about",
        );
        true
    }

    /// The customer of an order, which events of version 1 did not have.
    fn require_owner(&mut self, customer: Uuid) {
        if !self.is_old() {
            self.require_id(customer, "data.customer");
        }
    }

    fn require_id(&mut self, id: Uuid, field: &str) {
        self.violations
            .require(!id.is_nil() && !id.is_max(), field, "is an id");
    }

    /// Whether an earlier version of the program wrote the event.
    fn is_old(&self) -> bool {
        self.event.schema_version < self.event.payload.event_type().schema_version
    }

    /// The person of the stream.
    fn person(&self) -> Option<Uuid> {
        self.event.stream.id().parse().ok()
    }
}

/// The category of the streams that have an event.
fn category_of(event: &DomainEvent) -> &'static str {
    match event {
        DomainEvent::Email(_) => Email::CATEGORY,
        DomainEvent::Inbox(_) => Inbox::CATEGORY,
        DomainEvent::Inventory(_) => Inventory::CATEGORY,
        DomainEvent::Order(_) => Order::CATEGORY,
        DomainEvent::Payment(_) => Payment::CATEGORY,
        DomainEvent::Product(_) => Product::CATEGORY,
        DomainEvent::User(_) => User::CATEGORY,
    }
}

/// Whether a command that this role may send has this event.
fn may_cause(role: Role, event: &DomainEvent) -> bool {
    match event {
        DomainEvent::User(_)
        | DomainEvent::Email(_)
        | DomainEvent::Inbox(_)
        | DomainEvent::Order(OrderEvent::OrderCreated(_) | OrderEvent::OrderCancelled(_)) => true,
        DomainEvent::Product(_)
        | DomainEvent::Order(OrderEvent::OrderShipped(_) | OrderEvent::OrderDelivered(_))
        | DomainEvent::Payment(PaymentEvent::PaymentRefunded(_))
        | DomainEvent::Inventory(InventoryEvent::StockReceived(_)) => role.runs_shop(),
        DomainEvent::Order(
            OrderEvent::OrderConfirmed(_) | OrderEvent::OrderRejected(_) | OrderEvent::OrderRefunded(_),
        )
        | DomainEvent::Payment(_)
        | DomainEvent::Inventory(_) => matches!(role, Role::System | Role::Educator),
    }
}

#[cfg(test)]
mod tests;
