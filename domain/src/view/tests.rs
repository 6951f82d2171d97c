//! Every view gives the same documents for every interleaving that keeps each stream's order.

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree};
use uuid::Uuid;

use super::{
    AnyView, View as _, all,
    orders::OrdersView,
    predictions::{AnswerDocument, MAX_NUMBERS, QuestionDocument},
};
use crate::{
    access::Role,
    aggregate::{
        inbox::{InboxEvent, NotificationsRead},
        inventory::{InventoryEvent, StockReceived, StockReleased, StockReserved, StockShipped},
        order::{
            Customer, OrderCancelled, OrderConfirmed, OrderCreated, OrderDelivered, OrderEvent, OrderLine,
            OrderRefunded, OrderRejected, OrderShipped, Sold,
        },
        payment::{PaymentEvent, PaymentFailed, PaymentProcessed, PaymentRefunded},
        prediction::{PredictionEvent, PredictionMade, prediction_stream},
        product::{PriceChanged, ProductEvent, ProductListed, ProductRetired},
        question::{AnswerRevealed, QuestionAsked, QuestionEvent},
        user::{
            DisplayNameChanged, EmailChanged, EmailConfirmed, LanguageChanged, UserErased, UserEvent,
            UserRegistered,
        },
    },
    event::{ActorRef, DomainEvent, EventPayload, Metadata, TypedEvent},
    id::WorkspaceId,
    language::Language,
    money::Money,
    timestamp::Timestamp,
};

/// The history of one stream, truncated at any point.
#[expect(clippy::too_many_lines, reason = "a life for each kind of stream")]
fn any_history() -> impl Strategy<Value = (String, Vec<DomainEvent>)> {
    let sku = || (0..3_u8).prop_map(|n| format!("mug-{n}"));
    let customer = |n: u8| Uuid::from_u128(u128::from(n % 2));
    let order = (0..4_u8, 1..5_u32, 0..5_usize).prop_map(move |(n, quantity, length)| {
        let (customer, created) = (customer(n), order_of(n, customer(n), quantity));
        let sold = Sold {
            lines: created.lines.clone(),
            total: created.total.clone(),
        };
        let confirmed = OrderConfirmed {
            customer,
            lines: sold.lines.clone(),
            total: sold.total.clone(),
        };
        let reason = || "no".to_owned();
        let events: Vec<OrderEvent> = match n {
            0 => vec![
                created.into(),
                OrderRejected {
                    customer,
                    reason: reason(),
                }
                .into(),
            ],
            1 => vec![
                created.into(),
                confirmed.into(),
                OrderCancelled {
                    customer,
                    reason: reason(),
                    sold: Some(sold),
                }
                .into(),
            ],
            2 => vec![
                created.into(),
                confirmed.into(),
                OrderShipped { customer }.into(),
                OrderRefunded {
                    customer,
                    reason: reason(),
                    sold: Some(sold),
                }
                .into(),
            ],
            _ => vec![
                created.into(),
                confirmed.into(),
                OrderShipped { customer }.into(),
                OrderDelivered { customer }.into(),
            ],
        };
        (
            format!("order-{n}"),
            events
                .into_iter()
                .take(length)
                .map(OrderEvent::into_domain)
                .collect(),
        )
    });
    let payment = (0..4_u8, 0..3_usize).prop_map(move |(n, length)| {
        let (order, customer) = (n.to_string(), customer(n));
        let (amount, method, reason) = (
            Money::new(500, "EUR"),
            "tok_ok".to_owned(),
            "it was refused".to_owned(),
        );
        let events: Vec<PaymentEvent> = if n == 0 {
            vec![
                PaymentFailed {
                    order,
                    customer,
                    amount,
                    method,
                    reason,
                }
                .into(),
            ]
        } else {
            vec![
                PaymentProcessed {
                    order: order.clone(),
                    customer,
                    amount: amount.clone(),
                    method,
                    charge: "ch_1".into(),
                }
                .into(),
                PaymentRefunded {
                    order,
                    customer,
                    amount,
                    reason,
                }
                .into(),
            ]
        };
        (
            format!("payment-{n}"),
            events
                .into_iter()
                .take(length)
                .map(PaymentEvent::into_domain)
                .collect(),
        )
    });
    let product = (sku(), 1..900_i64, 0..4_usize).prop_map(|(sku, amount, length)| {
        let listed = ProductListed {
            sku: sku.clone(),
            name: format!("Mug {sku}"),
            description: "Holds coffee.".into(),
            price: Money::new(amount, "EUR"),
            tags: vec!["kitchen".into(), sku.clone()],
        };
        let life: Vec<ProductEvent> = vec![
            listed.into(),
            PriceChanged {
                price: Money::new(amount + 1, "EUR"),
            }
            .into(),
            ProductRetired {}.into(),
        ];
        (
            format!("product-{sku}"),
            life.into_iter()
                .take(length)
                .map(ProductEvent::into_domain)
                .collect(),
        )
    });
    let stock = (sku(), 4..20_u32, 0..6_usize).prop_map(|(sku, quantity, length)| {
        let reserve = |order: &str| StockReserved {
            order: order.into(),
            quantity: 2,
        };
        let life: Vec<InventoryEvent> = vec![
            StockReceived { quantity }.into(),
            reserve("1").into(),
            reserve("2").into(),
            StockReleased {
                order: "1".into(),
                quantity: 2,
            }
            .into(),
            StockShipped {
                order: "2".into(),
                quantity: 2,
            }
            .into(),
        ];
        (
            format!("inventory-{sku}"),
            life.into_iter()
                .take(length)
                .map(InventoryEvent::into_domain)
                .collect(),
        )
    });
    let user = (0..2_u8, 0..7_usize).prop_map(|(n, length)| {
        let registered = UserRegistered {
            email: format!("{n}@example.org"),
            display_name: format!("Ada {n}"),
            role: Role::Customer,
            language: Language::En,
        };
        let life: Vec<UserEvent> = vec![
            registered.into(),
            EmailConfirmed {}.into(),
            DisplayNameChanged {
                display_name: "Lovelace".into(),
            }
            .into(),
            EmailChanged {
                email: "countess@example.org".into(),
            }
            .into(),
            LanguageChanged {
                language: Language::De,
            }
            .into(),
            UserErased {}.into(),
        ];
        // The same people as the customers of the orders.
        (
            format!("user-{}", Uuid::from_u128(u128::from(n))),
            life.into_iter()
                .take(length)
                .map(UserEvent::into_domain)
                .collect(),
        )
    });
    // Events of other streams, including some that no aggregate emits.
    let marks = prop::collection::vec((0..8_u128, 0..5_u128), 1..4);
    let inbox = (0..2_u8, prop::collection::vec(marks, 0..3)).prop_map(|(n, reads)| {
        let read = |events: Vec<(u128, u128)>| {
            let events = events.into_iter().map(|(s, n)| Uuid::from_u128(s * 100 + n));
            InboxEvent::from(NotificationsRead {
                events: events.collect(),
            })
        };
        (
            format!("inbox-{}", Uuid::from_u128(u128::from(n))),
            reads
                .into_iter()
                .map(|events| read(events).into_domain())
                .collect(),
        )
    });
    let question = (0..2_u8, 0..3_usize).prop_map(|(n, length)| {
        let events = life_of_question(n).into_iter().take(length).collect();
        (format!("question-{}", question_id(n)), events)
    });
    let prediction = (0..2_u8, 0..5_u128, 1..4_u8).prop_map(|(n, person, answer)| {
        let made = prediction_of(n, Uuid::from_u128(person), answer);
        let stream = prediction_stream(question_id(n), Uuid::from_u128(person)).unwrap();
        (stream.to_string(), vec![made])
    });
    prop_oneof![inbox, order, payment, prediction, product, question, stock, user]
}

fn question_id(n: u8) -> Uuid {
    Uuid::from_u128(900 + u128::from(n))
}

/// Question 0 has choices, and a number answers any other.
fn life_of_question(n: u8) -> Vec<DomainEvent> {
    let asked = QuestionAsked {
        lesson: Some("last_item".into()),
        step: Some("race".into()),
        text: None,
        choices: (n == 0).then_some(3),
        labels: Vec::new(),
    };
    let revealed = AnswerRevealed {
        right: 2,
        tolerance: u32::from(n),
    };
    let events: [QuestionEvent; 2] = [asked.into(), revealed.into()];
    events.map(QuestionEvent::into_domain).to_vec()
}

fn prediction_of(n: u8, person: Uuid, answer: u8) -> DomainEvent {
    let made = PredictionMade {
        question: question_id(n),
        person,
        name: "Ada".into(),
        choice: (n == 0).then_some(answer),
        number: (n != 0).then_some(i64::from(answer)),
    };
    PredictionEvent::from(made).into_domain()
}

/// Two lines, so that one event changes two documents of sales.
fn order_of(n: u8, customer: Uuid, quantity: u32) -> OrderCreated {
    let line = |sku: &str, quantity| OrderLine {
        sku: sku.into(),
        name: format!("Mug {n}"),
        price: Money::new(500, "EUR"),
        quantity,
    };
    OrderCreated {
        customer: Customer {
            id: customer,
            name: "Ada".into(),
        },
        lines: vec![line("mug-0", quantity), line("mug-1", 1)],
        total: Money::new(500 * i64::from(quantity + 1), "EUR"),
        payment_method: "tok_ok".into(),
    }
}

/// Gives every event the same envelope in each interleaving: only the order of folding differs.
fn record(histories: BTreeMap<String, Vec<DomainEvent>>) -> Vec<Vec<TypedEvent>> {
    histories
        .into_iter()
        .enumerate()
        .map(|(s, (stream, events))| {
            let event = |(n, payload): (usize, DomainEvent)| TypedEvent {
                workspace: WorkspaceId(Uuid::nil()),
                partition: u32::try_from(s).unwrap(),
                position: n as u64 + 1,
                stream: stream.parse().unwrap(),
                version: n as u64 + 1,
                event_id: Uuid::from_u128((s * 100 + n) as u128),
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
                recorded_at: Timestamp::from_micros(i64::try_from(s * 1_000_000 + n).unwrap()),
                hash: String::new(),
            };
            events.into_iter().enumerate().map(event).collect()
        })
        .collect()
}

/// Merges the streams; each choice picks the stream whose next event comes next.
fn interleave(streams: &[Vec<TypedEvent>], choices: &[prop::sample::Index]) -> Vec<TypedEvent> {
    let mut heads = vec![0; streams.len()];
    let mut merged = Vec::new();
    for choice in choices.iter().cycle() {
        let open: Vec<_> = (0..streams.len())
            .filter(|&s| heads[s] < streams[s].len())
            .collect();
        if open.is_empty() {
            break;
        }
        let stream = open[choice.index(open.len())];
        merged.push(streams[stream][heads[stream]].clone());
        heads[stream] += 1;
    }
    merged
}

fn fold_all(view: &dyn AnyView, events: &[TypedEvent]) -> BTreeMap<String, (String, String)> {
    let mut documents = BTreeMap::new();
    for event in events {
        for key in view.keys(event) {
            let folding = documents
                .entry(key.clone())
                .or_insert_with(|| view.load(&key, None).unwrap());
            folding.fold(event);
            // Through JSON after every event, like a lane that stops there.
            *folding = view.load(&key, folding.document().unwrap().as_deref()).unwrap();
        }
    }
    documents
        .into_iter()
        .filter_map(|(key, folding)| {
            let document = folding.document().unwrap()?.get().to_owned();
            Some((key, (document, format!("{:?}", folding.listings()))))
        })
        .collect()
}

proptest! {
    #[test]
    fn every_interleaving_that_keeps_the_streams_order_folds_to_the_same(
        histories in prop::collection::vec(any_history(), 1..8),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
    ) {
        let streams = record(histories.into_iter().collect());
        let one_after_the_other: Vec<_> = streams.iter().flatten().cloned().collect();
        let merged = interleave(&streams, &choices);
        prop_assert_eq!(merged.len(), one_after_the_other.len());
        for view in all() {
            prop_assert_eq!(
                fold_all(*view, &merged),
                fold_all(*view, &one_after_the_other),
                "{}",
                view.name()
            );
        }
    }
}

#[test]
fn every_listing_that_a_view_writes_is_one_that_it_names() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..64 {
        let (stream, events) = any_history().new_tree(&mut runner).unwrap().current();
        for event in record(BTreeMap::from([(stream, events)])).into_iter().flatten() {
            for view in all() {
                for key in view.keys(&event) {
                    let mut folding = view.load(&key, None).unwrap();
                    folding.fold(&event);
                    for entry in folding.listings() {
                        assert!(view.listing_names().contains(&entry.listing), "{entry:?}");
                    }
                }
            }
        }
    }
}

fn folded(view: &str, events: &[TypedEvent]) -> BTreeMap<String, serde_json::Value> {
    fold_all(super::find(view).unwrap(), events)
        .into_iter()
        .map(|(key, (document, _))| (key, serde_json::from_str(&document).unwrap()))
        .collect()
}

fn stock_of_order(n: &str) -> Vec<DomainEvent> {
    let (order, quantity) = (n.to_owned(), 1);
    let events: Vec<InventoryEvent> = vec![
        StockReceived { quantity: 9 }.into(),
        StockReserved { order, quantity }.into(),
    ];
    events.into_iter().map(InventoryEvent::into_domain).collect()
}

fn life_of_order_2() -> Vec<DomainEvent> {
    let customer = Uuid::from_u128(7);
    let created = order_of(2, customer, 3);
    let confirmed = OrderConfirmed {
        customer,
        lines: created.lines.clone(),
        total: created.total.clone(),
    };
    let events: Vec<OrderEvent> = vec![created.into(), confirmed.into()];
    events.into_iter().map(OrderEvent::into_domain).collect()
}

#[test]
fn an_order_is_not_readable_before_its_first_event_is_folded() {
    let histories = BTreeMap::from([
        ("inventory-mug-0".to_owned(), stock_of_order("2")),
        ("order-2".to_owned(), life_of_order_2()),
    ]);
    let [stock, order] = record(histories).try_into().unwrap();
    let view = super::find("orders").unwrap();
    let mut folding = view.load("2", None).unwrap();
    folding.fold(&stock[1]);
    assert_eq!((folding.owner(), folding.listings()), (None, Vec::new()));
    let reader = crate::decider::testing::actor(Role::Educator, 1);
    assert!(!reader.may_read_document("orders", folding.owner()));
    folding.fold(&order[0]);
    assert_eq!(folding.owner(), Some(Uuid::from_u128(7)));
    assert!(reader.may_read_document("orders", folding.owner()));
    assert_eq!(folding.listings().len(), 3);
}

#[test]
fn a_reservation_for_a_name_too_long_for_an_order_belongs_to_no_order() {
    let keys_of = |order: &str| {
        let histories = BTreeMap::from([("inventory-mug-0".to_owned(), stock_of_order(order))]);
        let [stock] = record(histories).try_into().unwrap();
        let orders = super::find("orders").unwrap();
        stock
            .iter()
            .flat_map(|event| orders.keys(event))
            .collect::<Vec<_>>()
    };
    assert!(keys_of("2").iter().any(|key| key == "2"));
    assert_eq!(keys_of(&"x".repeat(4_000)), [""; 0]);
}

#[test]
fn an_order_is_reserved_once_every_line_is() {
    let first = BTreeMap::from([
        ("inventory-mug-0".to_owned(), stock_of_order("2")),
        ("inventory-mug-1".to_owned(), stock_of_order("2")),
        ("order-2".to_owned(), life_of_order_2()),
    ]);
    let [one, two, order] = record(first).try_into().unwrap();
    let status = |events: &[TypedEvent]| folded("orders", events)["2"]["status"].clone();
    assert_eq!(status(&[one[1].clone(), order[0].clone()]), "created");
    let all = [one[1].clone(), order[0].clone(), two[1].clone()];
    assert_eq!(status(&all), "reserved");
    let history = &folded("orders", &all)["2"]["history"];
    assert_eq!(history[0]["stream"], "inventory-mug-0");
    assert!(history[0].get("caused_by").is_none(), "a person did it");
    let mut confirmed = all.to_vec();
    confirmed.push(order[1].clone());
    assert_eq!(status(&confirmed), "confirmed");
}

#[test]
fn an_order_can_be_shipped_with_its_stock_reserved_and_its_payment_processed() {
    let customer = Uuid::from_u128(7);
    let (order, amount) = (|| "2".to_owned(), order_of(2, customer, 3).total);
    let payment: Vec<PaymentEvent> = vec![
        PaymentProcessed {
            order: order(),
            customer,
            amount: amount.clone(),
            method: "tok_ok".into(),
            charge: "ch_1".into(),
        }
        .into(),
        PaymentRefunded {
            order: order(),
            customer,
            amount,
            reason: "no".into(),
        }
        .into(),
    ];
    let histories = BTreeMap::from([
        ("inventory-mug-0".to_owned(), stock_of_order("2")),
        ("inventory-mug-1".to_owned(), stock_of_order("2")),
        ("order-2".to_owned(), life_of_order_2()),
        (
            "payment-2".to_owned(),
            payment.into_iter().map(PaymentEvent::into_domain).collect(),
        ),
    ]);
    let [one, two, order, payment] = record(histories).try_into().unwrap();
    let can_be_shipped = |events: &[&TypedEvent]| {
        let folded = events
            .iter()
            .fold(None, |document, event| OrdersView::fold(document, event));
        folded.unwrap().can_be_shipped()
    };
    let complete = [&order[0], &one[1], &two[1], &payment[0], &order[1]];
    assert!(can_be_shipped(&complete));
    assert!(!can_be_shipped(&complete[..4]), "it is not confirmed");
    for lacking in 1..4 {
        let mut events = complete.to_vec();
        events.remove(lacking);
        assert!(!can_be_shipped(&events), "{}", complete[lacking].event_type);
    }
    let refunded = [&complete[..], &[&payment[1]]].concat();
    assert!(!can_be_shipped(&refunded));
}

#[test]
fn a_refund_shows_in_the_order_and_counts_in_sales_and_spending() {
    let customer = Uuid::from_u128(7);
    let created = order_of(2, customer, 3);
    let sold = Sold {
        lines: created.lines,
        total: created.total,
    };
    let mut life = life_of_order_2();
    let refunded = OrderRefunded {
        customer,
        reason: "the handle came off".into(),
        sold: Some(sold),
    };
    let end: [OrderEvent; 2] = [OrderShipped { customer }.into(), refunded.into()];
    life.extend(end.map(OrderEvent::into_domain));
    let [mut events] = record(BTreeMap::from([("order-2".to_owned(), life)]))
        .try_into()
        .unwrap();
    let euros = |amount: i64| serde_json::json!([{"amount": amount, "currency": "EUR"}]);
    let spent = |events: &[TypedEvent]| folded("customers", events)[&customer.to_string()]["spent"].clone();
    assert_eq!(spent(&events[..3]), euros(2_000));
    let day_of_sale = folded("sales", &events[..3])["day/1970-01-01"].clone();
    assert!(
        day_of_sale.get("refunded_orders").is_none(),
        "as before there were refunds"
    );

    let next_day = 24 * 60 * 60 * 1_000_000;
    events[3].recorded_at = Timestamp::from_micros(next_day);
    let order = &folded("orders", &events)["2"];
    assert_eq!(
        (&order["status"], &order["reason"]),
        (&"refunded".into(), &"the handle came off".into())
    );
    assert_eq!(order["history"][3]["status"], "refunded");
    assert_eq!(spent(&events), euros(0));
    let sales = folded("sales", &events);
    assert_eq!(sales["day/1970-01-01"], day_of_sale, "a past day never changes");
    let day = &sales["day/1970-01-02"];
    assert_eq!(
        (&day["orders"], &day["refunded_orders"], &day["refunded_units"]),
        (&0.into(), &1.into(), &4.into())
    );
    assert_eq!(day["refunded_revenue"], euros(2_000));
    let mug: super::sales::SalesDocument = serde_json::from_value(sales["sku/mug-0"].clone()).unwrap();
    assert_eq!((mug.units, mug.refunded_units, mug.net_units()), (3, 3, 0));
    assert_eq!(serde_json::to_value(mug.net_revenue()).unwrap(), euros(0));
}

#[test]
fn sales_count_by_day_and_product_and_cancellations_beside_them() {
    let customer = Uuid::from_u128(7);
    let created = order_of(2, customer, 3);
    let sold = Sold {
        lines: created.lines,
        total: created.total,
    };
    let mut life = life_of_order_2();
    life.push(
        OrderEvent::from(OrderCancelled {
            customer,
            reason: "no".into(),
            sold: Some(sold),
        })
        .into_domain(),
    );
    let [events] = record(BTreeMap::from([("order-2".to_owned(), life)]))
        .try_into()
        .unwrap();
    let sales = folded("sales", &events[..2]);
    let euros = |amount: i64| serde_json::json!([{"amount": amount, "currency": "EUR"}]);
    let day = &sales["day/1970-01-01"];
    assert_eq!((&day["orders"], &day["units"]), (&1.into(), &4.into()));
    assert_eq!(day["revenue"], euros(2_000));
    let mug = &sales["sku/mug-0"];
    assert_eq!(
        (&mug["units"], &mug["revenue"], &mug["name"]),
        (&3.into(), &euros(1_500), &"Mug 2".into())
    );
    let sales = folded("sales", &events);
    let mug = &sales["sku/mug-0"];
    assert_eq!(
        (&mug["units"], &mug["cancelled_units"], &mug["cancelled_revenue"]),
        (&3.into(), &3.into(), &euros(1_500))
    );
}

/// The predictions of so many people about a question: person n gives the n-th answer.
fn predictions(n: u8, answers: impl IntoIterator<Item = u8>) -> BTreeMap<String, Vec<DomainEvent>> {
    let of_person = |(person, answer): (u128, u8)| {
        let person = Uuid::from_u128(person);
        let stream = prediction_stream(question_id(n), person).unwrap();
        (stream.to_string(), vec![prediction_of(n, person, answer)])
    };
    (1..).zip(answers).map(of_person).collect()
}

fn tally(n: u8, events: &[TypedEvent]) -> QuestionDocument {
    let document = folded("predictions", events)[&question_id(n).to_string()].clone();
    serde_json::from_value(document).unwrap()
}

#[test]
fn each_person_counts_once_and_the_reveal_says_how_many_are_right() {
    let mut histories = predictions(0, [2, 2, 3, 1]);
    histories.insert(format!("question-{}", question_id(0)), life_of_question(0));
    let streams = record(histories);
    let events: Vec<_> = streams.iter().flatten().cloned().collect();
    let question = tally(0, &events);
    assert_eq!(
        (question.counts.as_slice(), question.answers),
        (&[1, 2, 1][..], 4)
    );
    let revealed = question.revealed.unwrap();
    assert_eq!((revealed.right, revealed.right_count), (2, 2));
    assert!(!question.is_open());
    let answers = folded("predictions", &events);
    let answers = answers.into_iter().filter(|(key, _)| key.contains('.'));
    let answers: Vec<AnswerDocument> = answers
        .map(|(_, document)| serde_json::from_value(document).unwrap())
        .collect();
    assert_eq!(answers.len(), 4);
    let right = answers
        .iter()
        .filter(|answer| question.is_right(answer) == Some(true));
    assert_eq!(right.count(), 2);
}

#[test]
fn an_answer_that_is_folded_before_its_question_counts_and_the_question_is_listed_after_it() {
    let mut histories = predictions(0, [3]);
    histories.insert(format!("question-{}", question_id(0)), life_of_question(0));
    let [answer, question] = record(histories).try_into().unwrap();
    let view = super::find("predictions").unwrap();
    let mut folding = view.load(&question_id(0).to_string(), None).unwrap();
    folding.fold(&answer[0]);
    assert_eq!(folding.listings(), Vec::new());
    folding.fold(&question[0]);
    assert_eq!(folding.listings().len(), 1);
    assert!(tally(0, &[answer[0].clone(), question[0].clone()]).is_open());
}

#[test]
fn a_number_near_enough_is_right_and_a_tally_does_not_grow_for_ever() {
    let mut histories = predictions(1, [1, 3, 4, 2, 2]);
    histories.insert(format!("question-{}", question_id(1)), life_of_question(1));
    let events: Vec<_> = record(histories).into_iter().flatten().collect();
    let question = tally(1, &events);
    assert_eq!(question.revealed.unwrap().right_count, 4);
    assert_eq!(question.numbers.len(), 4);

    let [template] = record(predictions(1, [1])).try_into().unwrap();
    let many = |numbers: &mut dyn Iterator<Item = i64>| {
        let events: Vec<_> = numbers
            .map(|number| {
                let mut event = template[0].clone();
                let DomainEvent::Prediction(PredictionEvent::PredictionMade(made)) = &mut event.payload
                else {
                    unreachable!("it is a prediction");
                };
                made.number = Some(number);
                event
            })
            .collect();
        tally(1, &events)
    };
    let most = i64::try_from(MAX_NUMBERS).unwrap();
    let up = many(&mut (0..most + 50));
    assert_eq!((up.numbers.len(), up.other_numbers), (MAX_NUMBERS, 50));
    let down = many(&mut (0..most + 50).rev());
    assert_eq!(up, down, "in every order the same numbers are kept");
}

#[test]
fn the_names_are_those_of_the_registry() {
    let names: Vec<_> = all().iter().map(|view| view.name()).collect();
    assert_eq!(names, super::NAMES);
}
