//! Fulfilment, step by step: the reactions to each event.

mod one_clock;
mod simulation;

use super::*;
use crate::{
    access::Role,
    aggregate::{
        inventory::{StockReleased, StockReserved, StockShipped},
        order::{
            Customer, OrderCancelled, OrderConfirmed, OrderDelivered, OrderLine, OrderRefunded,
            OrderRejected, OrderShipped,
        },
        payment::PaymentProcessed,
    },
    event::{ActorRef, EventPayload as _, Metadata},
    id::WorkspaceId,
    policy::PendingCommand,
    timestamp::Timestamp,
};

const CUSTOMER: Uuid = Uuid::from_u128(7);

fn event(stream: &str, payload: DomainEvent) -> TypedEvent {
    TypedEvent {
        workspace: WorkspaceId(Uuid::nil()),
        partition: 0,
        position: 1,
        stream: stream.parse().unwrap(),
        version: 1,
        event_id: Uuid::from_u128(1),
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
    }
}

fn order(change: impl Into<OrderEvent>) -> TypedEvent {
    event("order-1", change.into().into_domain())
}

fn stock(sku: &str, change: impl Into<InventoryEvent>) -> TypedEvent {
    event(&format!("inventory-{sku}"), change.into().into_domain())
}

fn payment(change: impl Into<PaymentEvent>) -> TypedEvent {
    event("payment-1", change.into().into_domain())
}

fn lines() -> Vec<OrderLine> {
    let line = |sku: &str, quantity| OrderLine {
        sku: sku.into(),
        name: sku.to_uppercase(),
        price: Money::new(500, "EUR"),
        quantity,
    };
    vec![line("cup", 1), line("mug", 2)]
}

fn created() -> TypedEvent {
    order(OrderCreated {
        customer: Customer {
            id: CUSTOMER,
            name: "Ada".into(),
        },
        lines: lines(),
        total: Money::new(1_500, "EUR"),
        payment_method: "tok_ok".into(),
    })
}

fn confirmed() -> TypedEvent {
    order(OrderConfirmed {
        customer: CUSTOMER,
        lines: lines(),
        total: Money::new(1_500, "EUR"),
    })
}

fn cancelled() -> TypedEvent {
    order(OrderCancelled {
        customer: CUSTOMER,
        reason: "no".into(),
        sold: None,
    })
}

fn rejected() -> TypedEvent {
    order(OrderRejected {
        customer: CUSTOMER,
        reason: "no".into(),
    })
}

fn shipped() -> TypedEvent {
    order(OrderShipped { customer: CUSTOMER })
}

fn order_refunded() -> TypedEvent {
    order(OrderRefunded {
        customer: CUSTOMER,
        reason: "no".into(),
        sold: None,
    })
}

/// The quantity that the order asks for.
fn quantity_of(sku: &str) -> u32 {
    let lines = lines();
    let line = lines.iter().find(|line| line.sku == sku);
    line.map_or(1, |line| line.quantity)
}

fn reserved(sku: &str) -> TypedEvent {
    reserved_otherwise(sku, quantity_of(sku))
}

/// A reservation of staff, who name any quantity.
fn reserved_otherwise(sku: &str, quantity: u32) -> TypedEvent {
    let order = "1".into();
    stock(sku, StockReserved { order, quantity })
}

/// The same event by a command of an educator.
fn by_staff(mut event: TypedEvent) -> TypedEvent {
    event.metadata.actor.role = Role::Educator;
    event
}

fn released(sku: &str) -> TypedEvent {
    let (order, quantity) = ("1".into(), 1);
    stock(sku, StockReleased { order, quantity })
}

fn sold_out(sku: &str, available: u32) -> TypedEvent {
    stock(
        sku,
        StockReservationFailed {
            order: "1".into(),
            requested: 2,
            available,
        },
    )
}

fn processed() -> TypedEvent {
    charged(CUSTOMER, 1_500, "tok_ok")
}

/// A charge of staff, who name anything.
fn charged(customer: Uuid, amount: i64, method: &str) -> TypedEvent {
    payment(PaymentProcessed {
        order: "1".into(),
        customer,
        amount: Money::new(amount, "EUR"),
        method: method.into(),
        charge: "ch_1".into(),
    })
}

fn failed() -> TypedEvent {
    payment(PaymentFailed {
        order: "1".into(),
        customer: CUSTOMER,
        amount: Money::new(1_500, "EUR"),
        method: "tok_declined".into(),
        reason: "the card was declined".into(),
    })
}

fn refunded() -> TypedEvent {
    payment(PaymentRefunded {
        order: "1".into(),
        customer: CUSTOMER,
        amount: Money::new(1_500, "EUR"),
        reason: "no".into(),
    })
}

fn state(given: &[TypedEvent]) -> FulfilmentState {
    given.iter().fold(FulfilmentState::default(), Fulfilment::evolve)
}

/// The reactions to the last of these events.
fn then(events: &[TypedEvent]) -> Vec<String> {
    said(Fulfilment::react(&state(events), events.last().unwrap()))
}

/// One line for each reaction: the command, its stream and other essentials.
fn said(reactions: Vec<Reaction>) -> Vec<String> {
    let say = |reaction| match reaction {
        Reaction::Send {
            command_type,
            stream,
            data,
            ..
        } => match data.get("reason").and_then(Value::as_str) {
            Some(reason) => format!("{command_type} {stream}: {reason}"),
            None => format!("{command_type} {stream}"),
        },
        Reaction::StartTimer { name, .. } | Reaction::StartDeadline { name, .. } => format!("start {name}"),
        Reaction::StopTimer { name } => format!("stop {name}"),
    };
    reactions.into_iter().map(say).collect()
}

const NOTHING: [String; 0] = [];

#[test]
fn a_new_order_is_reserved_line_by_line() {
    assert_eq!(
        then(&[created()]),
        ["ReserveStock inventory-cup", "ReserveStock inventory-mug"]
    );
    let steps: std::collections::BTreeSet<_> = Fulfilment::react(&state(&[created()]), &created())
        .into_iter()
        .filter_map(|reaction| match reaction {
            Reaction::Send { step, .. } => Some(step),
            _ => None,
        })
        .collect();
    assert_eq!(steps.len(), 2, "each line is a step of its own");
}

#[test]
fn it_is_charged_once_every_line_is_reserved() {
    assert_eq!(then(&[created(), reserved("mug")]), NOTHING);
    let all = [created(), reserved("mug"), reserved("cup")];
    assert_eq!(then(&all), ["ProcessPayment payment-1", "start payment"]);
    let charge = Fulfilment::react(&state(&all), &all[2]).remove(0);
    let Reaction::Send { data, .. } = charge else {
        panic!("{charge:?}");
    };
    assert_eq!(
        data,
        json!({
            "order": "1",
            "amount": {"amount": 1_500, "currency": "EUR"},
            "method": "tok_ok",
            "customer": CUSTOMER,
        })
    );
}

#[test]
fn it_is_confirmed_once_it_is_paid() {
    let paid = [created(), reserved("mug"), reserved("cup"), processed()];
    assert_eq!(then(&paid), ["stop payment", "ConfirmOrder order-1"]);
    let early = [created(), processed(), reserved("mug"), reserved("cup")];
    assert_eq!(
        then(&early),
        ["ConfirmOrder order-1"],
        "in every order of arrival"
    );
}

#[test]
fn events_that_arrive_before_the_order_count() {
    let late = [reserved("mug"), processed(), reserved("cup"), created()];
    assert_eq!(then(&late[..3]), NOTHING);
    assert_eq!(
        then(&late),
        [
            "ReserveStock inventory-cup",
            "ReserveStock inventory-mug",
            "ConfirmOrder order-1"
        ]
    );
}

#[test]
fn a_line_that_is_sold_out_rejects_the_order() {
    assert_eq!(
        then(&[created(), sold_out("mug", 1)]),
        ["RejectOrder order-1: MUG: only 1 left, 2 wanted"]
    );
    assert_eq!(
        then(&[created(), sold_out("mug", 0)]),
        ["RejectOrder order-1: MUG is sold out"]
    );
    assert_eq!(
        then(&[created(), cancelled(), sold_out("mug", 0)]),
        NOTHING,
        "it is given up already"
    );
}

#[test]
fn a_payment_that_fails_rejects_the_order_with_its_reason() {
    let all = [created(), reserved("mug"), reserved("cup"), failed()];
    assert_eq!(
        then(&all),
        ["stop payment", "RejectOrder order-1: the card was declined"]
    );
}

#[test]
fn a_payment_that_is_not_answered_in_time_rejects_the_order() {
    let given = state(&[created(), reserved("mug"), reserved("cup")]);
    assert_eq!(
        said(Fulfilment::expire(&given, PAYMENT_TIMER)),
        ["RejectOrder order-1: the payment was not answered in time"]
    );
    for late in [processed(), failed(), cancelled(), confirmed()] {
        let given = state(&[created(), reserved("mug"), reserved("cup"), late]);
        assert_eq!(said(Fulfilment::expire(&given, PAYMENT_TIMER)), NOTHING);
    }
}

#[test]
fn a_rejection_or_cancellation_compensates_everything() {
    for end in [rejected(), cancelled()] {
        let why = if end.event_type == "OrderRejected" {
            "the order was rejected"
        } else {
            "the order was cancelled"
        };
        assert_eq!(then(&[created(), end.clone()]), ["stop payment"]);
        assert_eq!(
            then(&[created(), reserved("mug"), end.clone()]),
            ["stop payment", "ReleaseStock inventory-mug"]
        );
        let paid = [created(), reserved("mug"), reserved("cup"), processed(), end];
        assert_eq!(
            then(&paid),
            [
                "stop payment".to_owned(),
                "ReleaseStock inventory-cup".to_owned(),
                "ReleaseStock inventory-mug".to_owned(),
                format!("RefundPayment payment-1: {why}")
            ]
        );
    }
}

#[test]
fn late_events_are_compensated_on_arrival() {
    let reservation = [created(), cancelled(), reserved("mug")];
    assert_eq!(then(&reservation), ["ReleaseStock inventory-mug"]);
    let charge = [
        created(),
        reserved("mug"),
        reserved("cup"),
        rejected(),
        processed(),
    ];
    assert_eq!(
        then(&charge),
        ["RefundPayment payment-1: the order was rejected or cancelled before the payment was answered"]
    );
    let refusal = [created(), reserved("mug"), reserved("cup"), rejected(), failed()];
    assert_eq!(then(&refusal), NOTHING);
}

#[test]
fn a_refund_is_not_repeated() {
    let given = [
        created(),
        reserved("mug"),
        reserved("cup"),
        processed(),
        refunded(),
        released("mug"),
        rejected(),
    ];
    assert_eq!(then(&given), ["stop payment", "ReleaseStock inventory-cup"]);
}

#[test]
fn a_lost_reservation_or_charge_rejects_the_order() {
    assert_eq!(
        then(&[created(), reserved("mug"), released("mug")]),
        ["RejectOrder order-1: its reserved stock was released or shipped"]
    );
    let refund = [
        created(),
        reserved("mug"),
        reserved("cup"),
        processed(),
        refunded(),
    ];
    assert_eq!(
        then(&refund),
        ["stop payment", "RejectOrder order-1: the payment was refunded"]
    );
}

#[test]
fn a_refund_by_the_shop_is_told_to_the_confirmed_order() {
    let paid = [created(), reserved("mug"), reserved("cup"), processed()];
    let given = [&paid[..], &[confirmed(), refunded()]].concat();
    assert_eq!(then(&given), ["RefundOrder order-1: no"]);
    let shipped = [&paid[..], &[confirmed(), shipped(), refunded()]].concat();
    assert_eq!(then(&shipped), ["RefundOrder order-1: no"]);
    let early = [&paid[..], &[refunded(), confirmed()]].concat();
    assert_eq!(
        then(&early),
        ["stop payment", "RefundOrder order-1: the payment was refunded"],
        "in every order of arrival"
    );
}

#[test]
fn a_refunded_order_releases_what_was_not_shipped() {
    let paid = [
        created(),
        reserved("mug"),
        reserved("cup"),
        processed(),
        confirmed(),
    ];
    let given = [&paid[..], &[refunded(), order_refunded()]].concat();
    assert_eq!(
        then(&given),
        ["ReleaseStock inventory-cup", "ReleaseStock inventory-mug"]
    );
    let shipped = [&paid[..], &[shipped(), refunded(), order_refunded()]].concat();
    assert_eq!(then(&shipped), NOTHING);
    let late = [&paid[..1], &[order_refunded(), reserved("mug")]].concat();
    assert_eq!(then(&late), ["ReleaseStock inventory-mug"]);
}

/// The reasons of an order whose stock or payment is taken by a command that is not its own.
const OTHERWISE_RESERVED: &str =
    "RejectOrder order-1: it cannot be reserved: something else was reserved under this order's id";
const OTHERWISE_CHARGED: &str =
    "RejectOrder order-1: it cannot be charged: something else was charged under this order's id";

#[test]
fn a_charge_that_the_order_did_not_ask_for_never_confirms_it() {
    for foreign in [
        charged(CUSTOMER, 1, "tok_ok"),
        charged(Uuid::from_u128(8), 1_500, "tok_ok"),
        charged(CUSTOMER, 1_500, "tok_flaky"),
    ] {
        let early = [foreign.clone(), created()];
        assert_eq!(then(&early), [OTHERWISE_CHARGED], "before the order");
        let late = [created(), reserved("mug"), reserved("cup"), foreign.clone()];
        assert_eq!(then(&late), ["stop payment", OTHERWISE_CHARGED]);
        let amid = [created(), foreign.clone(), reserved("mug"), reserved("cup")];
        assert_eq!(then(&amid), [OTHERWISE_CHARGED]);
        let rejected = [created(), foreign, rejected()];
        assert_eq!(
            then(&rejected),
            ["stop payment", "RefundPayment payment-1: the order was rejected"]
        );
    }
}

#[test]
fn a_reservation_that_the_order_did_not_ask_for_is_neither_confirmed_nor_shipped() {
    let foreign = reserved_otherwise("mug", 3);
    assert_eq!(then(&[foreign.clone(), created()]), [OTHERWISE_RESERVED]);
    assert_eq!(then(&[created(), foreign.clone()]), [OTHERWISE_RESERVED]);
    assert_eq!(
        then(&[created(), reserved("cup"), foreign.clone(), rejected()]),
        [
            "stop payment",
            "ReleaseStock inventory-cup",
            "ReleaseStock inventory-mug"
        ]
    );
    let released = ["ReleaseStock inventory-mug"];
    assert_eq!(then(&[created(), rejected(), foreign.clone()]), released);
    assert_eq!(then(&[created(), shipped(), foreign]), released);
}

#[test]
fn a_reservation_of_staff_stands_for_no_order_though_it_is_what_the_order_asks_for() {
    let foreign = by_staff(reserved("mug"));
    for given in [
        vec![foreign.clone(), created()],
        vec![created(), foreign.clone()],
        vec![created(), reserved("cup"), processed(), foreign.clone()],
    ] {
        assert_eq!(then(&given), [OTHERWISE_RESERVED]);
    }
    let released = ["ReleaseStock inventory-mug"];
    assert_eq!(then(&[created(), rejected(), foreign.clone()]), released);
    let rejected = [created(), foreign.clone(), rejected()];
    assert_eq!(then(&rejected), ["stop payment", "ReleaseStock inventory-mug"]);
    // In old logs staff could reserve for an order, and confirm it.
    for given in [
        vec![created(), foreign.clone(), confirmed(), shipped()],
        vec![created(), confirmed(), shipped(), foreign.clone()],
    ] {
        assert_eq!(then(&given), ["ShipStock inventory-mug"]);
    }
    assert_eq!(then(&[created(), confirmed(), foreign]), NOTHING);
}

#[test]
fn an_id_under_which_staff_have_moved_stock_is_of_no_use_to_an_order() {
    let gone = |change: InventoryEvent| by_staff(stock("mug", change));
    let (order, quantity) = (|| "1".to_owned(), 2);
    let ended: [InventoryEvent; 2] = [
        StockReleased {
            order: order(),
            quantity,
        }
        .into(),
        StockShipped {
            order: order(),
            quantity,
        }
        .into(),
    ];
    for ended in ended {
        let given = [by_staff(reserved("mug")), gone(ended.clone()), created()];
        assert_eq!(then(&given), [OTHERWISE_RESERVED]);
        let late = [
            created(),
            by_staff(reserved("mug")),
            gone(ended),
            reserved("cup"),
            reserved("mug"),
        ];
        let taken = "RejectOrder order-1: its reserved stock was released or shipped";
        assert_eq!(then(&late[..3]), [taken]);
        assert_eq!(then(&late), [OTHERWISE_RESERVED], "it is not charged");
    }
}

#[test]
fn a_charge_of_staff_stands_for_no_order_though_it_is_what_the_order_asks_for() {
    let foreign = by_staff(processed());
    assert_eq!(then(&[foreign.clone(), created()]), [OTHERWISE_CHARGED]);
    let late = [created(), reserved("mug"), reserved("cup"), foreign];
    assert_eq!(then(&late), ["stop payment", OTHERWISE_CHARGED]);
}

#[test]
fn a_failed_reservation_of_staff_does_not_reject_an_order() {
    let failed = by_staff(sold_out("mug", 0));
    assert_eq!(then(&[created(), failed.clone()]), NOTHING);
    let given = [created(), reserved("mug"), failed, reserved("cup")];
    assert_eq!(then(&given), ["ProcessPayment payment-1", "start payment"]);
}

#[test]
fn a_reservation_of_another_product_is_released_and_does_not_matter() {
    let foreign = reserved_otherwise("pot", 1);
    let early = [foreign.clone(), created()];
    assert_eq!(
        then(&early),
        [
            "ReleaseStock inventory-pot",
            "ReserveStock inventory-cup",
            "ReserveStock inventory-mug"
        ]
    );
    let given = [created(), reserved("mug"), foreign.clone()];
    assert_eq!(then(&given), ["ReleaseStock inventory-pot"]);
    assert_eq!(then(&[created(), foreign, released("pot")]), NOTHING);
}

#[test]
fn a_failed_reservation_that_the_order_did_not_ask_for_does_not_reject_it() {
    let failed = |sku: &str, requested| {
        let (order, available) = ("1".into(), 1);
        stock(
            sku,
            StockReservationFailed {
                order,
                requested,
                available,
            },
        )
    };
    for foreign in [failed("mug", 999), failed("pot", 2)] {
        assert_eq!(then(&[created(), foreign.clone()]), NOTHING);
        let given = [created(), reserved("mug"), foreign, reserved("cup")];
        assert_eq!(then(&given), ["ProcessPayment payment-1", "start payment"]);
    }
}

#[test]
fn what_came_before_the_order_is_stored_until_the_order_is_known() {
    let early = state(&[reserved_otherwise("mug", 3), charged(CUSTOMER, 1, "tok_ok")]);
    let stored = serde_json::to_value(&early).unwrap();
    let restored: FulfilmentState = serde_json::from_value(stored).unwrap();
    let known = Fulfilment::evolve(restored, &created());
    assert_eq!(known.stock["mug"], Stock::Foreign);
    assert_eq!(known.payment, PaymentStage::Foreign);
    let stored = serde_json::to_value(&known).unwrap();
    assert_eq!(stored.get("early"), None, "it is not stored any longer");
    // Before that was stored, everything counted.
    let old = json!({"stage": "unheard", "stock": {"mug": "reserved"}, "payment": "processed"});
    let known = Fulfilment::evolve(serde_json::from_value(old).unwrap(), &created());
    assert_eq!(known.stock["mug"], Stock::Reserved);
    assert_eq!(known.payment, PaymentStage::Processed);
}

#[test]
fn a_shipment_takes_every_line_out_of_stock() {
    let given = [
        created(),
        reserved("mug"),
        reserved("cup"),
        processed(),
        confirmed(),
        shipped(),
    ];
    assert_eq!(then(&given[..5]), ["stop payment"]);
    assert_eq!(
        then(&given),
        ["ShipStock inventory-cup", "ShipStock inventory-mug"]
    );
    assert_eq!(
        then(&[created(), shipped(), reserved("mug")]),
        ["ShipStock inventory-mug"]
    );
    let quantity = 1;
    let gone = stock(
        "mug",
        StockShipped {
            order: "1".into(),
            quantity,
        },
    );
    assert_eq!(then(&[created(), shipped(), gone]), NOTHING);
    assert_eq!(
        then(&[created(), shipped(), order(OrderDelivered { customer: CUSTOMER })]),
        NOTHING
    );
}

#[test]
fn every_refusal_of_an_open_order_leads_somewhere() {
    let refuse = |given: &[TypedEvent], command_type: &str| {
        let command = PendingCommand {
            command_id: Uuid::nil(),
            command_type: command_type.to_owned(),
            stream: String::new(),
            data: json!({}),
            causation_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
        };
        said(Fulfilment::refused(&state(given), &command, "a reason"))
    };
    assert_eq!(
        refuse(&[created()], "ReserveStock"),
        ["RejectOrder order-1: it cannot be reserved: a reason"]
    );
    assert_eq!(
        refuse(&[created()], "ProcessPayment"),
        ["RejectOrder order-1: it cannot be charged: a reason"]
    );
    // The order's own stream has decided otherwise, and that event continues the process.
    assert_eq!(refuse(&[created(), cancelled()], "ConfirmOrder"), NOTHING);
    assert_eq!(refuse(&[created(), cancelled()], "ReserveStock"), NOTHING);
}

#[test]
fn a_refused_compensation_is_a_dead_letter_and_a_decision_of_the_order_is_none() {
    let is_dead_letter = |command_type: &str, reason: &str| {
        let command = PendingCommand {
            command_id: Uuid::nil(),
            command_type: command_type.to_owned(),
            stream: String::new(),
            data: json!({}),
            causation_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
        };
        Fulfilment::is_dead_letter(&state(&[created(), cancelled()]), &command, reason)
    };
    for compensation in ["ReleaseStock", "ShipStock", "RefundPayment"] {
        assert!(is_dead_letter(compensation, "it was given back before"));
    }
    for decision in ["ConfirmOrder", "RejectOrder", "RefundOrder"] {
        assert!(!is_dead_letter(
            decision,
            "an order that is cancelled cannot be confirmed"
        ));
        assert!(is_dead_letter(decision, "there is no such order"));
    }
    for rejected in ["ReserveStock", "ProcessPayment"] {
        assert!(!is_dead_letter(rejected, "a reason"), "the order ends by it");
    }
}

#[test]
fn a_reason_is_never_too_long_to_be_given() {
    let reason = "x".repeat(1_000);
    let given = state(&[created()]);
    let command = PendingCommand {
        command_id: Uuid::nil(),
        command_type: "ReserveStock".into(),
        stream: String::new(),
        data: json!({}),
        causation_id: Uuid::nil(),
        correlation_id: Uuid::nil(),
    };
    let Reaction::Send { data, .. } = Fulfilment::refused(&given, &command, &reason).remove(0) else {
        panic!("nothing is sent");
    };
    assert_eq!(data["reason"].as_str().unwrap().chars().count(), MAX_REASON);
}

#[test]
fn the_stored_names_of_stages_never_change() {
    let stages = [
        Stage::Unknown,
        Stage::Open,
        Stage::Confirmed,
        Stage::Aborted,
        Stage::Shipped,
    ];
    let stock = [
        Stock::Reserved,
        Stock::ByStaff,
        Stock::Foreign,
        Stock::Failed,
        Stock::Ended,
    ];
    let payments = [
        PaymentStage::Pending,
        PaymentStage::Processed,
        PaymentStage::Foreign,
        PaymentStage::Failed,
        PaymentStage::Refunded,
    ];
    let stored = json!([
        ["unheard", "open", "confirmed", "undone", "shipped"],
        ["reserved", "by_staff", "foreign", "failed", "gone"],
        ["unasked", "processed", "foreign", "failed", "refunded"],
    ]);
    assert_eq!(json!([stages, stock, payments]), stored);
    let read: ([Stage; 5], [Stock; 5], [PaymentStage; 5]) = serde_json::from_value(stored).unwrap();
    assert_eq!(read, (stages, stock, payments));
}
