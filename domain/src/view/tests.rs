//! Every view is held to its promise: any interleaving that keeps each stream's order gives the same documents.

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree};
use uuid::Uuid;

use super::{AnyView, all};
use crate::{
    access::Role,
    aggregate::{
        inventory::{InventoryEvent, StockReceived, StockReleased, StockReserved, StockShipped},
        order::{
            Customer, OrderCancelled, OrderConfirmed, OrderCreated, OrderDelivered, OrderEvent, OrderLine,
            OrderShipped,
        },
        product::{PriceChanged, ProductEvent, ProductListed, ProductRetired},
        user::{DisplayNameChanged, EmailChanged, UserErased, UserEvent, UserRegistered},
    },
    event::{ActorRef, DomainEvent, EventPayload, Metadata, TypedEvent},
    id::WorkspaceId,
    money::Money,
    timestamp::Timestamp,
};

/// The whole life of one stream: a valid history, cut off anywhere.
fn any_history() -> impl Strategy<Value = (String, Vec<DomainEvent>)> {
    let sku = || (0..3_u8).prop_map(|n| format!("mug-{n}"));
    let order = (0..4_u8, 1..5_u32, 0..5_usize).prop_map(|(n, quantity, length)| {
        let customer = Customer {
            id: Uuid::from_u128(u128::from(n % 2)),
            name: "Ada".into(),
        };
        let price = Money::new(500, "EUR");
        let line = OrderLine {
            sku: "mug-0".into(),
            name: "Mug".into(),
            price: price.clone(),
            quantity,
        };
        let created = OrderCreated {
            customer,
            lines: vec![line],
            total: price,
            payment_method: "tok_ok".into(),
        };
        let events: Vec<OrderEvent> = if n == 0 {
            vec![created.into(), OrderCancelled { reason: "no".into() }.into()]
        } else {
            vec![
                created.into(),
                OrderConfirmed {}.into(),
                OrderShipped {}.into(),
                OrderDelivered {}.into(),
            ]
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
    let user = (0..2_u8, 0..5_usize).prop_map(|(n, length)| {
        let registered = UserRegistered {
            email: format!("{n}@example.org"),
            display_name: format!("Ada {n}"),
            role: Role::Customer,
        };
        let life: Vec<UserEvent> = vec![
            registered.into(),
            DisplayNameChanged {
                display_name: "Lovelace".into(),
            }
            .into(),
            EmailChanged {
                email: "countess@example.org".into(),
            }
            .into(),
            UserErased {}.into(),
        ];
        // The same people as those who order.
        (
            format!("user-{}", Uuid::from_u128(u128::from(n))),
            life.into_iter()
                .take(length)
                .map(UserEvent::into_domain)
                .collect(),
        )
    });
    prop_oneof![order, product, stock, user]
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
            let folding = documents.entry(key).or_insert_with(|| view.load(None).unwrap());
            folding.fold(event);
            // Through JSON after every event, as a lane does that stops there.
            *folding = view.load(folding.document().unwrap().as_deref()).unwrap();
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
            prop_assert_eq!(fold_all(*view, &merged), fold_all(*view, &one_after_the_other), "{}", view.name());
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
                for _key in view.keys(&event) {
                    let mut folding = view.load(None).unwrap();
                    folding.fold(&event);
                    for entry in folding.listings() {
                        assert!(view.listing_names().contains(&entry.listing), "{entry:?}");
                    }
                }
            }
        }
    }
}
