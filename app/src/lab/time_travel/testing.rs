//! A history of a shop for the tests of the lab.

use domain::{
    access::{ActorRef, Role},
    aggregate::{
        inventory::{InventoryEvent, StockReceived, StockReleased, StockReserved, StockShipped},
        order::{
            Customer, OrderCancelled, OrderConfirmed, OrderCreated, OrderDelivered, OrderEvent, OrderLine,
            OrderShipped, Sold,
        },
        payment::{PaymentEvent, PaymentProcessed},
        product::{PriceChanged, ProductEvent, ProductListed},
    },
    event::{DomainEvent, EventPayload, Metadata, StoredEvent},
    id::WorkspaceId,
    money::Money,
    timestamp::Timestamp,
};
use uuid::Uuid;

/// An event as it is stored.
pub(crate) fn stored(
    number: u128,
    (partition, position): (u32, u64),
    recorded_at: i64,
    (stream, version): (&str, u64),
    payload: &DomainEvent,
) -> StoredEvent {
    let event_type = payload.event_type();
    StoredEvent {
        workspace: WorkspaceId(Uuid::nil()),
        partition,
        position,
        stream: stream.parse().unwrap(),
        version,
        event_id: Uuid::from_u128(number),
        event_type: event_type.name.to_owned(),
        schema_version: event_type.schema_version,
        payload: payload.encode().unwrap(),
        metadata: Metadata {
            correlation_id: Uuid::from_u128(1),
            causation_id: None,
            command_id: Uuid::from_u128(number),
            actor: ActorRef {
                id: Uuid::from_u128(5),
                role: Role::Staff,
            },
            traceparent: None,
        },
        recorded_at: Timestamp::from_micros(recorded_at),
        hash: String::new(),
    }
}

/// Received stock, in partition 0.
pub(crate) fn received(number: u128, position: u64, recorded_at: i64) -> StoredEvent {
    let received = InventoryEvent::from(StockReceived { quantity: 1 });
    let (place, stream) = ((0, position), ("inventory-mug-0", position));
    stored(number, place, recorded_at, stream, &received.into_domain())
}

const PRODUCTS: u64 = 7;

fn product(n: u64) -> Vec<(String, DomainEvent)> {
    let sku = format!("mug-{n}");
    let listed = ProductListed {
        sku: sku.clone(),
        name: format!("Mug {n}"),
        description: "Holds coffee.".into(),
        price: Money::new(500, "EUR"),
        tags: vec!["kitchen".into()],
    };
    let price = Money::new(600, "EUR");
    let received = StockReceived { quantity: 1_000_000 };
    vec![
        (format!("product-{sku}"), ProductEvent::from(listed).into_domain()),
        (
            format!("product-{sku}"),
            ProductEvent::from(PriceChanged { price }).into_domain(),
        ),
        (
            format!("inventory-{sku}"),
            InventoryEvent::from(received).into_domain(),
        ),
    ]
}

/// The life of an order, in the order in which its events follow from each other.
fn order(n: u64) -> Vec<(String, DomainEvent)> {
    let (customer, sku) = (
        Uuid::from_u128(u128::from(n % 11) + 1),
        format!("mug-{}", n % PRODUCTS),
    );
    let (order, quantity) = (n.to_string(), u32::try_from(n % 3 + 1).unwrap());
    let lines = vec![OrderLine {
        sku: sku.clone(),
        name: "Mug".into(),
        price: Money::new(500, "EUR"),
        quantity,
    }];
    let total = Money::new(500 * i64::from(quantity), "EUR");
    let created = OrderCreated {
        customer: Customer {
            id: customer,
            name: "Ada".into(),
        },
        lines: lines.clone(),
        total: total.clone(),
        payment_method: "tok_ok".into(),
    };
    let paid = PaymentProcessed {
        order: order.clone(),
        customer,
        amount: total.clone(),
        method: "tok_ok".into(),
        charge: "ch_1".into(),
    };
    let confirmed = OrderConfirmed {
        customer,
        lines: lines.clone(),
        total: total.clone(),
    };
    let of_order = |event: OrderEvent| (format!("order-{n}"), event.into_domain());
    let of_stock = |event: InventoryEvent| (format!("inventory-{sku}"), event.into_domain());
    let reserved = StockReserved {
        order: order.clone(),
        quantity,
    };
    let mut life = vec![
        of_order(created.into()),
        of_stock(reserved.into()),
        (format!("payment-{n}"), PaymentEvent::from(paid).into_domain()),
        of_order(confirmed.into()),
    ];
    if n.is_multiple_of(5) {
        let cancelled = OrderCancelled {
            customer,
            reason: "changed my mind".into(),
            sold: Some(Sold { lines, total }),
        };
        life.push(of_order(cancelled.into()));
        life.push(of_stock(StockReleased { order, quantity }.into()));
    } else {
        life.push(of_order(OrderShipped { customer }.into()));
        life.push(of_stock(StockShipped { order, quantity }.into()));
        life.push(of_order(OrderDelivered { customer }.into()));
    }
    life
}

/// The first `count` events of a shop, by time, in this number of partitions. Twenty orders are under way at
/// a time; a generator of Knuth's (MMIX) chooses which of them goes on.
pub(crate) fn shop(count: usize, partitions: u32) -> Vec<StoredEvent> {
    let mut random: u64 = 1;
    let mut choose = |bound: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 40).unwrap() % bound
    };
    let mut versions = std::collections::BTreeMap::<String, u64>::new();
    let mut heads = vec![0_u64; usize::try_from(partitions).unwrap()];
    let mut events: Vec<StoredEvent> = Vec::new();
    let mut record = |stream: &str, payload: &DomainEvent| {
        let partition = stream
            .parse::<domain::id::StreamName>()
            .unwrap()
            .partition(partitions);
        let head = &mut heads[usize::try_from(partition).unwrap()];
        *head += 1;
        let version = versions.entry(stream.to_owned()).or_default();
        *version += 1;
        let number = events.len();
        // Several events have the same time.
        let at = 1_763_756_400_000_000 + i64::try_from(number / 3).unwrap() * 20_000_000;
        let place = (partition, *head);
        let number = u128::try_from(number).unwrap() + 1_000;
        events.push(stored(number, place, at, (stream, *version), payload));
        events.len()
    };
    for (stream, payload) in (0..PRODUCTS).flat_map(product) {
        record(&stream, &payload);
    }
    let mut orders = 0;
    let mut under_way = Vec::new();
    loop {
        while under_way.len() < 20 {
            orders += 1;
            under_way.push(order(orders).into_iter());
        }
        let chosen = choose(under_way.len());
        match under_way[chosen].next() {
            Some((stream, payload)) => {
                if record(&stream, &payload) >= count {
                    break;
                }
            }
            None => {
                under_way.remove(chosen);
            }
        }
    }
    events
}
