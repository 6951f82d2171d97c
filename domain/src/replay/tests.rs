//! A command that is derived from an event leads to that event again.

use uuid::Uuid;

use super::*;
use crate::{
    access::{Actor, ActorRef},
    aggregate::{
        Command,
        inbox::{InboxEvent, NotificationsRead},
        inventory::{
            Inventory, ReservationOwner, StockReceived, StockReleased, StockReservationFailed, StockReserved,
            StockShipped,
        },
        order::{
            Customer, Goods, Order, OrderCancelled, OrderConfirmed, OrderDelivered, OrderEvidence, OrderLine,
            OrderRefunded, OrderRejected, OrderShipped, Sold,
        },
        payment::{Payment, PaymentFailed, PaymentProcessed, PaymentRefunded, ProviderAnswer},
        prediction::{PredictionEvent, PredictionMade, prediction_stream},
        product::{CatalogueEntry, PriceChanged, Product, ProductRetired, ProductState},
        question::Question,
        user::{UserErased, UserEvent},
    },
    decider::{
        Context, Decider,
        testing::{actor, context},
    },
    event::{EventPayload, Metadata},
    id::WorkspaceId,
    money::Money,
    timestamp::Timestamp,
};

/// Payments are of the customer, everything else is of the educator.
const CUSTOMER: u128 = 7;

fn educator() -> Actor {
    actor(Role::Educator, 1)
}

fn recorded(stream: &str, payload: impl EventPayload) -> TypedEvent {
    let payload = payload.into_domain();
    TypedEvent {
        workspace: WorkspaceId(Uuid::nil()),
        partition: 0,
        position: 1,
        stream: stream.parse().unwrap(),
        version: 1,
        event_id: Uuid::from_u128(9),
        event_type: payload.event_type().name.to_owned(),
        schema_version: payload.event_type().schema_version,
        payload,
        metadata: Metadata {
            correlation_id: Uuid::from_u128(3),
            causation_id: None,
            command_id: Uuid::from_u128(4),
            actor: educator().reference(),
            traceparent: None,
        },
        recorded_at: Timestamp::from_micros(0),
        hash: String::new(),
    }
}

/// The events of the derived command, in the state after `given`.
fn decided<D: Decider<Event: EventPayload>>(
    given: &[D::Event],
    event: &TypedEvent,
    context: &Context<D::Evidence>,
    own: impl Fn(Command) -> Option<D::Command>,
) -> Vec<DomainEvent> {
    let request = command_of(event).expect("a person's command");
    let command = Command::parse(&request.command_type, &event.stream, &request.data).unwrap();
    assert!(educator().may_command(&command), "{command:?}");
    let state = given.iter().fold(D::State::default(), D::evolve);
    let events = D::decide(&state, own(command).unwrap(), context).unwrap();
    events.into_iter().map(EventPayload::into_domain).collect()
}

fn mug() -> OrderLine {
    OrderLine {
        sku: "mug-01".into(),
        name: "Mug".into(),
        price: Money::new(1_250, "EUR"),
        quantity: 2,
    }
}

fn created() -> OrderCreated {
    OrderCreated {
        customer: Customer {
            id: educator().id,
            name: educator().name,
        },
        lines: vec![mug()],
        total: Money::new(2_500, "EUR"),
        payment_method: "tok_ok".into(),
    }
}

fn confirmed() -> OrderConfirmed {
    OrderConfirmed {
        customer: educator().id,
        lines: vec![mug()],
        total: Money::new(2_500, "EUR"),
    }
}

#[test]
fn the_command_of_an_order_event_leads_to_that_event() {
    let customer = educator().id;
    let listed = ProductState {
        listed: Some(CatalogueEntry {
            name: "Mug".into(),
            price: Money::new(1_250, "EUR"),
        }),
        retired: false,
    };
    let on_sale = || OrderEvidence::from_iter([("mug-01".to_owned(), listed.clone())]);
    let reason = || "changed my mind".to_owned();
    let sold = Sold {
        lines: vec![mug()],
        total: Money::new(2_500, "EUR"),
    };
    let cancelled = OrderCancelled {
        customer,
        reason: reason(),
        sold: Some(sold),
    };
    let rejected = OrderRejected {
        customer,
        reason: reason(),
    };
    let goods = || OrderEvidence::Goods(Goods::complete(&[mug()]));
    let all: [(Vec<OrderEvent>, OrderEvent); 5] = [
        (vec![], created().into()),
        (vec![created().into()], rejected.into()),
        (vec![created().into(), confirmed().into()], cancelled.into()),
        (
            vec![created().into(), confirmed().into()],
            OrderShipped { customer }.into(),
        ),
        (
            vec![
                created().into(),
                confirmed().into(),
                OrderShipped { customer }.into(),
            ],
            OrderDelivered { customer }.into(),
        ),
    ];
    for (given, event) in all {
        let event = recorded("order-1", event);
        let own = |command| match command {
            Command::Order(command) => Some(command),
            _ => None,
        };
        let evidence = if given.is_empty() { on_sale() } else { goods() };
        let context = context("order-1", educator()).with_evidence(evidence);
        assert_eq!(
            decided::<Order>(&given, &event, &context, own),
            std::slice::from_ref(&event.payload)
        );
    }
}

#[test]
fn the_command_of_a_product_event_leads_to_that_event() {
    let listed = ProductListed {
        sku: "mug-01".into(),
        name: "Mug".into(),
        description: "Holds coffee.".into(),
        price: Money::new(1_250, "EUR"),
        tags: vec!["kitchen".into()],
    };
    let price = Money::new(1_300, "EUR");
    let all: [(Vec<ProductEvent>, ProductEvent); 3] = [
        (vec![], listed.clone().into()),
        (vec![listed.clone().into()], PriceChanged { price }.into()),
        (vec![listed.into()], ProductRetired {}.into()),
    ];
    for (given, event) in all {
        let event = recorded("product-mug-01", event);
        let own = |command| match command {
            Command::Product(command) => Some(command),
            _ => None,
        };
        let context = context("product-mug-01", educator());
        assert_eq!(
            decided::<Product>(&given, &event, &context, own),
            std::slice::from_ref(&event.payload)
        );
    }
}

#[test]
fn the_command_of_an_inventory_event_leads_to_that_event() {
    let order = || "1".to_owned();
    let received = StockReceived { quantity: 5 };
    let reserved = StockReserved {
        order: order(),
        quantity: 2,
    };
    let failed = StockReservationFailed {
        order: order(),
        requested: 9,
        available: 5,
    };
    let released = StockReleased {
        order: order(),
        quantity: 2,
    };
    let shipped = StockShipped {
        order: order(),
        quantity: 2,
    };
    let with_reservation =
        || -> Vec<InventoryEvent> { vec![received.clone().into(), reserved.clone().into()] };
    let all: [(Vec<InventoryEvent>, InventoryEvent); 5] = [
        (vec![], received.clone().into()),
        (vec![received.clone().into()], reserved.clone().into()),
        (vec![received.clone().into()], failed.into()),
        (with_reservation(), released.into()),
        (with_reservation(), shipped.into()),
    ];
    for (given, event) in all {
        let event = recorded("inventory-mug-01", event);
        let own = |command| match command {
            Command::Inventory(command) => Some(command),
            _ => None,
        };
        let context = context("inventory-mug-01", educator()).with_evidence(ReservationOwner::Staff);
        assert_eq!(
            decided::<Inventory>(&given, &event, &context, own),
            std::slice::from_ref(&event.payload)
        );
    }
}

#[test]
fn the_command_of_a_payment_event_leads_to_that_event() {
    let customer = Uuid::from_u128(CUSTOMER);
    let amount = || Money::new(2_500, "EUR");
    let paid = PaymentProcessed {
        order: "1".into(),
        customer,
        amount: amount(),
        method: "tok_ok".into(),
        charge: "ch_1".into(),
    };
    let failed = PaymentFailed {
        order: "1".into(),
        // The educator pays: the command need not say so.
        customer: educator().id,
        amount: amount(),
        method: "tok_declined".into(),
        reason: "declined".into(),
    };
    let refunded = PaymentRefunded {
        order: "1".into(),
        customer,
        amount: amount(),
        reason: "the handle came off".into(),
    };
    let charge = ProviderAnswer::Charged {
        charge: "ch_1".into(),
    };
    let decline = ProviderAnswer::Refused {
        reason: "declined".into(),
    };
    let all: [(Vec<PaymentEvent>, ProviderAnswer, PaymentEvent); 3] = [
        (vec![], charge, paid.clone().into()),
        (vec![], decline, failed.into()),
        (vec![paid.into()], ProviderAnswer::Refunded, refunded.into()),
    ];
    for (given, answer, event) in all {
        let event = recorded("payment-1", event);
        let own = |command| match command {
            Command::Payment(command) => Some(command),
            _ => None,
        };
        let context = context("payment-1", educator()).with_evidence(Some(answer));
        assert_eq!(
            decided::<Payment>(&given, &event, &context, own),
            std::slice::from_ref(&event.payload)
        );
    }
}

#[test]
fn an_event_that_no_person_caused_has_no_command() {
    let order = || recorded("order-1", OrderEvent::from(created()));
    assert!(command_of(&order()).is_some());

    let mut caused = order();
    caused.metadata.causation_id = Some(Uuid::from_u128(8));
    assert_eq!(command_of(&caused), None, "a policy sent it");

    let mut of_system = order();
    of_system.metadata.actor.role = Role::System;
    assert_eq!(command_of(&of_system), None, "a timer sent it");

    let mut of_template = order();
    of_template.metadata.actor = ActorRef {
        id: of_template.workspace.0,
        role: Role::Educator,
    };
    assert_eq!(command_of(&of_template), None, "the template wrote it");

    let refunded = OrderRefunded {
        customer: educator().id,
        reason: "no".into(),
        sold: None,
    };
    let refunded = recorded("order-1", OrderEvent::from(refunded));
    assert_eq!(
        command_of(&refunded),
        None,
        "it follows from the refund of the payment"
    );
}

#[test]
fn an_event_of_a_person_has_no_command() {
    let user = format!("user-{}", educator().id);
    let erased = recorded(&user, UserEvent::from(UserErased {}));
    assert_eq!(command_of(&erased), None);
    let inbox = format!("inbox-{}", educator().id);
    let read = NotificationsRead {
        events: vec![Uuid::from_u128(1)],
    };
    assert_eq!(command_of(&recorded(&inbox, InboxEvent::from(read))), None);
    let (question, person) = (Uuid::from_u128(9), educator().id);
    let stream = prediction_stream(question, person).unwrap();
    let made = PredictionMade {
        question,
        person,
        name: "Ada".into(),
        choice: Some(1),
        number: None,
    };
    let made = recorded(stream.as_str(), PredictionEvent::from(made));
    assert_eq!(command_of(&made), None);
}

#[test]
fn a_question_of_the_class_is_asked_and_revealed_again() {
    let stream = format!("question-{}", Uuid::from_u128(9));
    let context = context(&stream, educator());
    let own = |command| match command {
        Command::Question(command) => Some(command),
        _ => None,
    };
    let asked: QuestionEvent = QuestionAsked {
        lesson: None,
        step: None,
        text: Some("How many?".into()),
        choices: Some(2),
        labels: vec!["One".into(), "Both".into()],
    }
    .into();
    let event = recorded(&stream, asked.clone());
    assert_eq!(decided::<Question>(&[], &event, &context, own), [event.payload]);
    let revealed: QuestionEvent = crate::aggregate::question::AnswerRevealed {
        right: 2,
        tolerance: 0,
    }
    .into();
    let event = recorded(&stream, revealed);
    assert_eq!(
        decided::<Question>(&[asked], &event, &context, own),
        [event.payload]
    );
}

#[test]
fn a_command_says_nothing_of_the_person_who_sent_it() {
    let request = command_of(&recorded("order-1", OrderEvent::from(created()))).unwrap();
    let text = serde_json::to_string(&request).unwrap();
    assert!(!text.contains(&educator().name), "{text}");
    assert!(!text.contains(&educator().id.to_string()), "{text}");
}
