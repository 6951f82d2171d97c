//! The rules that a stored event must keep, whichever way it comes into a log: the limits and shapes that its
//! command has, its stream, and the role of its actor.
//!
//! An append keeps them by the decision before it. An import has no decision: a file may be made up, so each
//! of its events is checked here, and its payload has what this program writes and nothing else: what no view
//! reads would still be stored, shown and exported. Of the rules of a state only those are checked that
//! follow from the event alone, such as the event that a stream begins with. A payment for a cancelled order
//! is not found: only the hash chain tells that the events are those that were decided.

use serde_json::Value;
use uuid::Uuid;

use super::{DomainEvent, StoredEvent, TypedEvent, personal};
use crate::{
    access::Role,
    aggregate::{
        email::{Email, EmailEvent},
        inbox::{Inbox, InboxEvent, MAX_READ},
        inventory::{Inventory, InventoryEvent, MAX_QUANTITY},
        order::{Customer, MAX_LINE_QUANTITY, MAX_LINES, MAX_REASON, Order, OrderEvent, OrderLine},
        payment::{Payment, PaymentEvent},
        prediction::{Prediction, PredictionEvent, PredictionMade, prediction_id, require_prediction},
        product::{MAX_DESCRIPTION, MAX_NAME, MAX_TAG, MAX_TAGS, Product, ProductEvent, ProductListed},
        question::{AnswerRevealed, MAX_NUMBER, Question, QuestionEvent, is_question_id, require_question},
        user::{
            MAX_EMAIL, User, UserEvent, UserRegistered, is_new_email, may_register, require_display_name,
        },
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
    rules.check_beginning();
    rules.check_role();
    match &event.payload {
        DomainEvent::Email(event) => rules.check_email(event),
        DomainEvent::Inbox(event) => rules.check_inbox(event),
        DomainEvent::Inventory(event) => rules.check_inventory(event),
        DomainEvent::Order(event) => rules.check_order(event),
        DomainEvent::Payment(event) => rules.check_payment(event),
        DomainEvent::Prediction(PredictionEvent::PredictionMade(made)) => rules.check_prediction(made),
        DomainEvent::Product(event) => rules.check_product(event),
        DomainEvent::Question(event) => rules.check_question(event),
        DomainEvent::User(event) => rules.check_user(event),
    }
    rules.violations.finish()
}

/// Checks that the payload is what its type and version write, or names the first member that is not.
pub fn validate_payload(event: &StoredEvent) -> Result<(), Rejection> {
    let mut violations = Violations::default();
    let (name, version) = (&event.event_type, event.schema_version);
    match DomainEvent::rewritten(name, version, &event.payload) {
        Some(Ok(rewritten)) => {
            let parsed = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
            let (found, written) = (parsed(event.payload.get()), parsed(rewritten.get()));
            if let Some(path) = foreign_member(&found, &written, "data") {
                let message = format!("is not what a {name} of version {version} has");
                violations.require(false, path, message);
            }
            violations.require(
                event.payload.get().len() <= rewritten.get().len(),
                "data",
                "has more bytes than its content needs",
            );
        }
        Some(Err(error)) => violations.require(false, "data", error.to_string()),
        None => violations.require(false, "type", format!("has no version {version}")),
    }
    violations.finish()
}

/// The path of the first member that was not written, or has another value.
fn foreign_member(found: &Value, written: &Value, path: &str) -> Option<String> {
    match (found, written) {
        (Value::Object(found), Value::Object(written)) => found.iter().find_map(|(name, value)| {
            let path = format!("{path}.{}", shortened(name));
            match written.get(name) {
                Some(written) => foreign_member(value, written, &path),
                None => Some(path),
            }
        }),
        (Value::Array(found), Value::Array(written)) if found.len() == written.len() => {
            let pairs = found.iter().zip(written).enumerate();
            let mut pairs = pairs.map(|(n, (found, written))| (format!("{path}[{n}]"), found, written));
            pairs.find_map(|(path, found, written)| foreign_member(found, written, &path))
        }
        _ => (found != written).then(|| path.to_owned()),
    }
}

/// The beginning of a member's name, as one line: it may have any length and character.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 40;
    name.chars()
        .take(LONGEST)
        .flat_map(char::escape_default)
        .collect()
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
        if let Some(cause) = metadata.causation_id {
            self.require_id(cause, "causationid");
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

    /// An event that creates is the first of its stream, and no other: so a person is registered once. Some
    /// others only follow.
    fn check_beginning(&mut self) {
        let is_first = self.event.version == 1;
        let event_type = &self.event.event_type;
        match beginning_of(&self.event.payload) {
            Beginning::Always => {
                self.violations.require(
                    is_first,
                    "streamversion",
                    format!("is 1 for {event_type}, which begins its stream"),
                );
            }
            Beginning::Never => {
                self.violations.require(
                    !is_first,
                    "streamversion",
                    format!("is not 1 for {event_type}, which follows another event"),
                );
            }
            Beginning::Perhaps => {}
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

    /// An answer is in the stream of its question and its person, who is the actor.
    fn check_prediction(&mut self, made: &PredictionMade) {
        self.require_id(made.question, "data.question");
        self.require_id(made.person, "data.person");
        self.violations.require(
            self.event.stream.id() == prediction_id(made.question, made.person).to_string(),
            "subject",
            "is the stream of the answer of this person to this question",
        );
        self.violations.require(
            made.person == self.event.metadata.actor.id,
            "actorid",
            "is the person whose answer it is",
        );
        // A guest's token may have no name.
        if !made.name.is_empty() {
            self.check_name(&made.name, Some(made.person), "data.name");
        }
        require_prediction(made, &mut self.violations);
    }

    fn check_question(&mut self, event: &QuestionEvent) {
        self.violations.require(
            is_question_id(self.event.stream.id()),
            "subject",
            "has the id of a question, a UUID in lower case",
        );
        match event {
            QuestionEvent::QuestionAsked(asked) => require_question(asked, &mut self.violations),
            QuestionEvent::AnswerRevealed(AnswerRevealed { right, .. }) => self.violations.require(
                (-MAX_NUMBER..=MAX_NUMBER).contains(right),
                "data.right",
                format!("is a number from -{MAX_NUMBER} to {MAX_NUMBER}"),
            ),
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
                let may_register = may_register(self.event.metadata.actor.role, self.is_own(), *role);
                self.violations.require(
                    may_register,
                    "data.role",
                    "is the role of a person, and one that the actor may give",
                );
            }
            UserEvent::DisplayNameChanged(changed) => {
                self.check_name(&changed.display_name, self.person(), "data.display_name");
                self.require_own();
            }
            UserEvent::EmailChanged(changed) => {
                self.check_address(&changed.email);
                self.require_own();
            }
            UserEvent::LanguageChanged(_) => self.require_own(),
            UserEvent::UserErased(_)
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
            "is three upper-case letters, as in EUR",
        );
    }

    /// A name in plain text, or sealed for its person.
    fn check_name(&mut self, name: &str, person: Option<Uuid>, field: &str) {
        if !self.check_sealed(name, person, field) {
            require_display_name(&mut self.violations, name, field);
        }
    }

    fn check_address(&mut self, email: &str) {
        if !self.check_sealed(email, self.person(), "data.email") {
            self.violations.require(
                is_new_email(email),
                "data.email",
                format!("is an email address of one script, in lower case, of up to {MAX_EMAIL} characters"),
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

    /// Whether the actor is the person of the stream.
    fn is_own(&self) -> bool {
        self.person() == Some(self.event.metadata.actor.id)
    }

    /// A person changes their own account, and no other.
    fn require_own(&mut self) {
        let is_own = self.is_own();
        self.violations
            .require(is_own, "actorid", "is the person whose account it is");
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
        DomainEvent::Prediction(_) => Prediction::CATEGORY,
        DomainEvent::Product(_) => Product::CATEGORY,
        DomainEvent::Question(_) => Question::CATEGORY,
        DomainEvent::User(_) => User::CATEGORY,
    }
}

/// Whether an event is the first of its stream.
enum Beginning {
    Always,
    Perhaps,
    Never,
}

fn beginning_of(event: &DomainEvent) -> Beginning {
    match event {
        DomainEvent::Order(OrderEvent::OrderCreated(_))
        | DomainEvent::Product(ProductEvent::ProductListed(_))
        | DomainEvent::Prediction(PredictionEvent::PredictionMade(_))
        | DomainEvent::Question(QuestionEvent::QuestionAsked(_))
        | DomainEvent::User(UserEvent::UserRegistered(_)) => Beginning::Always,
        // A guest is erased without an account; a reservation may fail for a product without stock; a payment
        // that failed is tried again; an address is reserved again after its release.
        DomainEvent::User(UserEvent::UserErased(_))
        | DomainEvent::Inventory(
            InventoryEvent::StockReceived(_) | InventoryEvent::StockReservationFailed(_),
        )
        | DomainEvent::Payment(PaymentEvent::PaymentProcessed(_) | PaymentEvent::PaymentFailed(_))
        | DomainEvent::Email(EmailEvent::EmailReserved(_))
        | DomainEvent::Inbox(_) => Beginning::Perhaps,
        DomainEvent::Order(_)
        | DomainEvent::Product(_)
        | DomainEvent::Question(QuestionEvent::AnswerRevealed(_))
        | DomainEvent::User(_)
        | DomainEvent::Inventory(_)
        | DomainEvent::Payment(_)
        | DomainEvent::Email(EmailEvent::EmailReleased(_)) => Beginning::Never,
    }
}

/// Whether a command that this role may send has this event.
fn may_cause(role: Role, event: &DomainEvent) -> bool {
    match event {
        DomainEvent::User(_)
        | DomainEvent::Email(_)
        | DomainEvent::Inbox(_)
        | DomainEvent::Prediction(_)
        | DomainEvent::Order(OrderEvent::OrderCreated(_) | OrderEvent::OrderCancelled(_)) => true,
        DomainEvent::Product(_)
        | DomainEvent::Order(OrderEvent::OrderShipped(_) | OrderEvent::OrderDelivered(_))
        | DomainEvent::Payment(PaymentEvent::PaymentRefunded(_))
        | DomainEvent::Inventory(InventoryEvent::StockReceived(_)) => role.runs_shop(),
        DomainEvent::Order(
            OrderEvent::OrderConfirmed(_) | OrderEvent::OrderRejected(_) | OrderEvent::OrderRefunded(_),
        )
        | DomainEvent::Payment(_)
        | DomainEvent::Question(_)
        | DomainEvent::Inventory(_) => matches!(role, Role::System | Role::Educator),
    }
}

#[cfg(test)]
mod tests;
