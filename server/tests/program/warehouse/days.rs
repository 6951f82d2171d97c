//! Past days: orders that were confirmed and cancelled then, written into the log of a stopped server.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use clock::{Clock, SystemClock};
use domain::{
    access::Role,
    aggregate::order::{
        Customer, OrderCancelled, OrderConfirmed, OrderCreated, OrderEvent, OrderLine, OrderRefunded, Sold,
    },
    event::{ActorRef, DomainEvent, EventPayload as _, Metadata},
    id::WorkspaceId,
    money::Money,
    timestamp::Timestamp,
};
use event_store::{Append, EventStore, Expected, NewEvent, StreamAppend};
use uuid::Uuid;

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// How long before the end of a day its last order is placed: each event is later than the one before it.
const LAST_US: i64 = 100;

/// A clock that stands at this microsecond.
#[derive(Debug, Default)]
struct FixedClock(AtomicI64);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Writes a week of orders into the log: on each day one in its first and one in its last microseconds, every
/// other one cancelled a day later. Returns the number of orders.
pub(crate) async fn write(folder: &Path, workspace: WorkspaceId, sku: &str, price: &Money) -> usize {
    let clock = Arc::new(FixedClock::default());
    let store = event_store::open(&folder.join("events.db").into(), clock.clone(), None)
        .await
        .unwrap();
    let today = SystemClock.now().as_micros() / DAY_US;
    let mut orders = 0;
    let mut appends = Vec::new();
    for days_ago in 3..10 {
        let midnight = (today - days_ago) * DAY_US;
        for moment in [midnight, midnight + DAY_US - LAST_US] {
            let quantity = u32::try_from(days_ago).unwrap();
            let [created, confirmed, cancelled, refunded] = order(OrderLine {
                sku: sku.to_owned(),
                name: "Mug".to_owned(),
                price: price.clone(),
                quantity,
            });
            let stream = format!("order-then-{orders}");
            appends.push((moment, stream.clone(), vec![created, confirmed]));
            match orders % 4 {
                0 | 2 => appends.push((moment + DAY_US, stream, vec![cancelled])),
                1 => appends.push((moment + DAY_US, stream, vec![refunded])),
                _ => {}
            }
            orders += 1;
        }
    }
    // Times never decrease within a partition.
    appends.sort_by_key(|(moment, ..)| *moment);
    for (moment, stream, events) in appends {
        clock.0.store(moment, Ordering::Relaxed);
        append(&*store, workspace, &stream, &events).await;
    }
    store.close().await;
    orders
}

/// The events of an order: it is placed and confirmed, and then cancelled or refunded.
fn order(line: OrderLine) -> [DomainEvent; 4] {
    let customer = SystemClock.new_id();
    let total = line.price.times(line.quantity).unwrap();
    let lines = vec![line];
    [
        OrderCreated {
            customer: Customer {
                id: customer,
                name: "Ada".to_owned(),
            },
            lines: lines.clone(),
            total: total.clone(),
            payment_method: "tok_ok".to_owned(),
        }
        .into(),
        OrderConfirmed {
            customer,
            lines: lines.clone(),
            total: total.clone(),
        }
        .into(),
        OrderEvent::from(OrderCancelled {
            customer,
            reason: "changed my mind".to_owned(),
            sold: Some(Sold {
                lines: lines.clone(),
                total: total.clone(),
            }),
        }),
        OrderRefunded {
            customer,
            reason: "the handle came off".to_owned(),
            sold: Some(Sold { lines, total }),
        }
        .into(),
    ]
    .map(OrderEvent::into_domain)
}

async fn append(store: &dyn EventStore, workspace: WorkspaceId, stream: &str, events: &[DomainEvent]) {
    let new = |event: &DomainEvent| NewEvent {
        event_id: SystemClock.new_id(),
        event_type: event.event_type().name.to_owned(),
        schema_version: event.event_type().schema_version,
        payload: event.encode().unwrap(),
    };
    let append = Append {
        workspace,
        body_digest: [0; 32],
        streams: vec![StreamAppend {
            stream: stream.parse().unwrap(),
            expected: Expected::Any,
            events: events.iter().map(new).collect(),
        }],
        max_events: None,
        metadata: Metadata {
            correlation_id: SystemClock.new_id(),
            causation_id: None,
            command_id: SystemClock.new_id(),
            actor: ActorRef {
                id: Uuid::nil(),
                role: Role::System,
            },
            traceparent: None,
        },
    };
    store.append(append).await.unwrap();
}
