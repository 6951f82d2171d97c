//! The rules of orders, given-when-then.

use std::collections::BTreeMap;

use super::*;
use crate::{
    access::{Actor, Role},
    aggregate::product::{CatalogueEntry, ProductState},
    decider::testing::{actor, context, decide},
};

fn customer() -> Actor {
    actor(Role::Customer, 1)
}

fn mug() -> ProductState {
    ProductState {
        listed: Some(CatalogueEntry {
            name: "Mug".into(),
            price: Money::new(1_250, "EUR"),
        }),
        retired: false,
    }
}

fn when_as(
    actor: Actor,
    given: &[OrderEvent],
    command: impl Into<OrderCommand>,
) -> Result<Vec<OrderEvent>, Rejection> {
    let command = command.into();
    let evidence = match &command {
        OrderCommand::ShipOrder(_) => OrderEvidence::Goods(Goods::complete(&lines())),
        _ => products(),
    };
    decide::<Order>(given, command, &context("order-1", actor).with_evidence(evidence))
}

fn products() -> OrderEvidence {
    let retired = ProductState {
        retired: true,
        ..mug()
    };
    let catalogue = [("mug-01".to_owned(), mug()), ("old-01".to_owned(), retired)];
    catalogue.into_iter().collect()
}

fn when(given: &[OrderEvent], command: impl Into<OrderCommand>) -> Result<Vec<OrderEvent>, Rejection> {
    when_as(customer(), given, command)
}

fn two_mugs() -> PlaceOrder {
    PlaceOrder {
        lines: vec![LineRequest {
            sku: "mug-01".into(),
            quantity: 2,
        }],
        payment_method: "tok_ok".into(),
    }
}

fn created() -> OrderEvent {
    OrderCreated {
        customer: Customer {
            id: customer().id,
            name: customer().name,
        },
        lines: vec![OrderLine {
            sku: "mug-01".into(),
            name: "Mug".into(),
            price: Money::new(1_250, "EUR"),
            quantity: 2,
        }],
        total: Money::new(2_500, "EUR"),
        payment_method: "tok_ok".into(),
    }
    .into()
}

fn lines() -> Vec<OrderLine> {
    let OrderEvent::OrderCreated(created) = created() else {
        unreachable!("it is what it is called");
    };
    created.lines
}

fn confirmed() -> OrderEvent {
    OrderConfirmed {
        customer: customer().id,
        lines: lines(),
        total: Money::new(2_500, "EUR"),
    }
    .into()
}

fn shipped() -> OrderEvent {
    OrderShipped {
        customer: customer().id,
    }
    .into()
}

fn delivered() -> OrderEvent {
    OrderDelivered {
        customer: customer().id,
    }
    .into()
}

fn cancelled(reason: &str, sold: Option<Sold>) -> OrderEvent {
    OrderCancelled {
        customer: customer().id,
        reason: reason.into(),
        sold,
    }
    .into()
}

fn refunded(reason: &str, sold: Option<Sold>) -> OrderEvent {
    OrderRefunded {
        customer: customer().id,
        reason: reason.into(),
        sold,
    }
    .into()
}

fn broken() -> RefundOrder {
    RefundOrder {
        reason: "broken".into(),
    }
}

fn sale() -> Sold {
    Sold {
        lines: lines(),
        total: Money::new(2_500, "EUR"),
    }
}

fn changed_my_mind() -> CancelOrder {
    CancelOrder {
        reason: "changed my mind".into(),
    }
}

#[test]
fn an_order_keeps_name_and_price_of_its_moment() {
    assert_eq!(when(&[], two_mugs()), Ok(vec![created()]));
}

#[test]
fn an_orders_id_is_short_enough_for_the_stream_of_its_payment() {
    let place = |id: &str| {
        let catalogue = [("mug-01".into(), mug())].into_iter().collect();
        let context = context(&format!("order-{id}"), customer()).with_evidence(catalogue);
        decide::<Order>(&[], two_mugs().into(), &context)
    };
    assert_eq!(place(&"x".repeat(112)), Ok(vec![created()]));
    let rejection = place(&"x".repeat(113)).unwrap_err();
    let [violation] = rejection.violations.try_into().unwrap();
    assert_eq!(violation.field, "stream");
}

#[test]
fn an_orders_id_is_one_that_a_url_can_name() {
    for (id, is_refused) in [(".", true), ("..", true), ("...", false), ("a..", false)] {
        let catalogue = [("mug-01".into(), mug())].into_iter().collect();
        let context = context(&format!("order-{id}"), customer()).with_evidence(catalogue);
        let placed = decide::<Order>(&[], two_mugs().into(), &context);
        let field = placed
            .map_err(|rejection| rejection.violations[0].field.clone())
            .err();
        assert_eq!(field.as_deref(), is_refused.then_some("stream"), "{id}");
    }
}

#[test]
fn a_stored_order_with_an_id_that_no_url_can_name_still_ends() {
    let context = context("order-..", customer()).with_evidence(OrderEvidence::default());
    let events = decide::<Order>(&[created()], changed_my_mind().into(), &context);
    assert_eq!(events, Ok(vec![cancelled("changed my mind", None)]));
}

#[test]
fn an_order_is_placed_once() {
    assert_eq!(
        when(&[created()], two_mugs()).unwrap_err().rule,
        "order-already-placed"
    );
}

#[test]
fn every_line_that_is_wrong_is_named() {
    let line = |sku: &str, quantity| LineRequest {
        sku: sku.into(),
        quantity,
    };
    let order = PlaceOrder {
        lines: vec![
            line("mug-01", 0),
            line("mug-01", 1),
            line("old-01", 1),
            line("none", 1_000),
        ],
        payment_method: String::new(),
    };
    let rejection = when(&[], order).unwrap_err();
    let fields: Vec<_> = rejection
        .violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "data.payment_method",
            "data.lines[0].quantity",
            "data.lines[1].sku",
            "data.lines[2].sku",
            "data.lines[3].quantity",
            "data.lines[3].sku"
        ]
    );
}

#[test]
fn an_order_has_1_to_50_lines() {
    for count in [0, MAX_LINES + 1] {
        let lines = vec![
            LineRequest {
                sku: "mug-01".into(),
                quantity: 1
            };
            count
        ];
        let rejection = when(
            &[],
            PlaceOrder {
                lines,
                payment_method: "tok_ok".into(),
            },
        )
        .unwrap_err();
        assert_eq!(rejection.violations[0].field, "data.lines");
    }
}

#[test]
fn a_customer_cancels_their_own_order() {
    let cancelled = cancelled("changed my mind", None);
    assert_eq!(when(&[created()], changed_my_mind()), Ok(vec![cancelled]));
}

#[test]
fn a_cancellation_reverses_the_sale() {
    let sold = Sold {
        lines: lines(),
        total: Money::new(2_500, "EUR"),
    };
    assert_eq!(
        when(&[created(), confirmed()], changed_my_mind()),
        Ok(vec![cancelled("changed my mind", Some(sold))])
    );
}

#[test]
fn a_cancellation_reverses_nothing_after_a_confirmation_of_version_1() {
    let confirmed: OrderEvent = OrderConfirmed::from(OrderConfirmedV1 {}).into();
    assert_eq!(
        when(&[created(), confirmed], changed_my_mind()),
        Ok(vec![cancelled("changed my mind", None)])
    );
}

#[test]
fn a_method_that_the_provider_does_not_know_is_named() {
    let order = PlaceOrder {
        payment_method: "cash".into(),
        ..two_mugs()
    };
    let rejection = when(&[], order).unwrap_err();
    let [violation] = rejection.violations.as_slice() else {
        panic!("{rejection:?}");
    };
    assert_eq!(violation.field, "data.payment_method");
    assert!(violation.message.contains("tok_flaky"), "{violation:?}");
}

#[test]
fn a_customer_does_not_cancel_another_s_order() {
    for role in [Role::Customer, Role::Student] {
        let rejection = when_as(actor(role, 2), &[created()], changed_my_mind()).unwrap_err();
        assert_eq!(rejection.rule, "not-your-order");
    }
}

#[test]
fn the_shop_cancels_any_order() {
    assert!(when_as(actor(Role::Staff, 2), &[created()], changed_my_mind()).is_ok());
}

#[test]
fn cancelling_twice_changes_nothing_more() {
    let cancelled = cancelled("first", None);
    assert_eq!(when(&[created(), cancelled], changed_my_mind()), Ok(vec![]));
}

#[test]
fn a_reason_is_given() {
    let rejection = when(&[created()], CancelOrder { reason: " ".into() }).unwrap_err();
    assert_eq!(rejection.violations[0].field, "data.reason");
    let long = CancelOrder {
        reason: format!("no{}", " ".repeat(MAX_REASON)),
    };
    let rejection = when(&[created()], long).unwrap_err();
    assert_eq!(rejection.violations[0].field, "data.reason");
}

#[test]
fn a_shipped_order_cannot_be_cancelled() {
    let given = [created(), confirmed(), shipped()];
    let rejection = when(&given, changed_my_mind()).unwrap_err();
    assert_eq!(rejection.rule, "order-out-of-turn");
    assert_eq!(status_of_rejection(&rejection.detail), Some(OrderStatus::Shipped));
}

#[test]
fn an_order_goes_from_confirmed_to_shipped_to_delivered() {
    let mut given = vec![created()];
    assert_eq!(when(&given, ShipOrder {}).unwrap_err().rule, "order-out-of-turn");
    assert_eq!(when(&given, ConfirmOrder {}), Ok(vec![confirmed()]));
    given.push(confirmed());
    assert_eq!(when(&given, ConfirmOrder {}), Ok(vec![]));
    assert_eq!(
        when(&given, DeliverOrder {}).unwrap_err().rule,
        "order-out-of-turn"
    );
    assert_eq!(when(&given, ShipOrder {}), Ok(vec![shipped()]));
    given.push(shipped());
    assert_eq!(when(&given, DeliverOrder {}), Ok(vec![delivered()]));
}

#[test]
fn an_order_is_shipped_only_with_its_goods_reserved_and_its_payment_processed() {
    let ship = |evidence: OrderEvidence| {
        let context = context("order-1", actor(Role::Staff, 2)).with_evidence(evidence);
        decide::<Order>(&[created(), confirmed()], ShipOrder {}.into(), &context)
    };
    let complete = Goods::complete(&lines());
    assert_eq!(ship(OrderEvidence::Goods(complete.clone())), Ok(vec![shipped()]));
    let reserved = |quantity| Goods {
        reserved: BTreeMap::from([("mug-01".to_owned(), quantity)]),
        ..complete.clone()
    };
    let none = Goods {
        reserved: BTreeMap::new(),
        ..complete.clone()
    };
    for lacking in [reserved(1), reserved(3), none] {
        let refused = ship(OrderEvidence::Goods(lacking)).unwrap_err();
        assert_eq!(refused.rule, NOT_RESERVED, "{refused}");
    }
    let unpaid = Goods {
        is_paid: false,
        ..complete
    };
    assert_eq!(ship(OrderEvidence::Goods(unpaid)).unwrap_err().rule, NOT_PAID);
    for unread in [OrderEvidence::Nothing, products()] {
        assert_eq!(ship(unread).unwrap_err().rule, NOT_RESERVED, "nothing was read");
    }
}

#[test]
fn a_refund_ends_a_confirmed_order_and_reverses_its_sale_once() {
    for given in [
        vec![created(), confirmed()],
        vec![created(), confirmed(), shipped()],
        vec![created(), confirmed(), shipped(), delivered()],
    ] {
        let refunded = refunded("broken", Some(sale()));
        assert_eq!(when(&given, broken()), Ok(vec![refunded.clone()]));
        let given = [given, vec![refunded]].concat();
        assert_eq!(when(&given, broken()), Ok(vec![]), "not twice");
        for refused in [
            when(&given, changed_my_mind()),
            when(&given, ShipOrder {}),
            when(&given, DeliverOrder {}),
            when(&given, ConfirmOrder {}),
        ] {
            let detail = refused.unwrap_err().detail;
            assert_eq!(status_of_rejection(&detail), Some(OrderStatus::Refunded));
        }
    }
    let old: OrderEvent = OrderConfirmed::from(OrderConfirmedV1 {}).into();
    assert_eq!(
        when(&[created(), old, shipped()], broken()),
        Ok(vec![refunded("broken", None)]),
        "version 1 counts as no sale"
    );
}

#[test]
fn a_refund_reverses_nothing_of_an_order_that_was_not_sold() {
    let cancelled = cancelled("no", Some(sale()));
    assert_eq!(when(&[created(), confirmed(), cancelled], broken()), Ok(vec![]));
    assert_eq!(when(&[created()], broken()).unwrap_err().rule, OUT_OF_TURN);
}

#[test]
fn a_rejection_ends_an_order() {
    let reject = || RejectOrder {
        reason: "out of stock".into(),
    };
    let rejected: OrderEvent = OrderRejected {
        customer: customer().id,
        reason: "out of stock".into(),
    }
    .into();
    assert_eq!(when(&[created()], reject()), Ok(vec![rejected.clone()]));
    assert_eq!(when(&[created(), rejected.clone()], reject()), Ok(vec![]));
    assert_eq!(
        when(&[created(), rejected], ConfirmOrder {}).unwrap_err().rule,
        "order-out-of-turn"
    );
}

#[test]
fn nothing_but_placing_is_done_to_an_order_that_is_not() {
    assert_eq!(when(&[], changed_my_mind()).unwrap_err().rule, "order-not-found");
}

#[test]
fn a_reason_has_lines_and_does_not_change_the_direction_of_text() {
    let because = |reason: &str| CancelOrder {
        reason: reason.into(),
    };
    when(&[created()], because("late\nagain")).unwrap();
    for hostile in ["late\0", "late\r", "\u{202e}etal"] {
        let refused = when(&[created()], because(hostile)).unwrap_err();
        assert_eq!(refused.violations[0].field, "data.reason", "{hostile:?}");
    }
    // A policy passes on what is stored, and what it began must end.
    let stored = RejectOrder {
        reason: "\u{202e}etal".into(),
    };
    when_as(actor(Role::System, 9), &[created()], stored).unwrap();
}

#[test]
fn the_name_of_an_old_token_becomes_one_line() {
    let old = Actor {
        name: "Ada\nBcc: eve@example.org\u{202e}".into(),
        ..customer()
    };
    let events = when_as(old, &[], two_mugs()).unwrap();
    let [OrderEvent::OrderCreated(created)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(created.customer.name, "Ada Bcc: eve@example.org");
}
