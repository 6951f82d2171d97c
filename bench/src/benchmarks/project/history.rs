//! The folded log: orders in waves. All orders of a wave are placed, then all are confirmed, shipped and
//! delivered, so that as many other events are between two events of an order as the wave has orders.

use anyhow::Result;
use domain::{
    aggregate::order::{OrderConfirmed, OrderCreated, OrderDelivered, OrderEvent, OrderShipped},
    event_type::{AggregateEvent as _, EventType},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::ours::order_created;

/// The number of events of an order.
const ORDER_EVENTS: usize = 4;

/// A log of orders in waves.
#[derive(Debug, Clone)]
pub(super) struct History {
    open_orders: usize,
    waves: usize,
}

/// An event of an order.
#[derive(Debug, Clone)]
pub(super) struct HistoryEvent {
    /// The order's id.
    pub(super) order: String,
    /// In the order's stream, from 1.
    pub(super) version: u64,
    pub(super) event: OrderEvent,
}

impl HistoryEvent {
    pub(super) fn event_type(&self) -> EventType {
        self.event.event_type()
    }

    pub(super) fn payload(&self) -> Result<Box<RawValue>> {
        Ok(self.event.encode()?)
    }
}

impl History {
    /// A history with this many open orders and at least this many events, in complete waves.
    pub(super) fn new(open_orders: usize, events: usize) -> Self {
        Self {
            open_orders,
            waves: events.div_ceil(open_orders * ORDER_EVENTS),
        }
    }

    /// The number of its events.
    pub(super) fn len(&self) -> usize {
        self.waves * self.open_orders * ORDER_EVENTS
    }

    /// The events in parts; each part has at most one event of an order.
    pub(super) fn parts(&self) -> impl Iterator<Item = Result<Vec<HistoryEvent>>> + '_ {
        (0..self.waves * ORDER_EVENTS).map(|part| {
            let (wave, step) = (part / ORDER_EVENTS, part % ORDER_EVENTS);
            let event = order_events()?.into_iter().nth(step);
            let orders = wave * self.open_orders..(wave + 1) * self.open_orders;
            Ok(orders
                .filter_map(|order| {
                    Some(HistoryEvent {
                        // The ids of orders are not sorted.
                        order: format!("{:016x}", (order as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                        version: step as u64 + 1,
                        event: event.clone()?,
                    })
                })
                .collect())
        })
    }
}

/// The events of an order.
fn order_events() -> Result<[OrderEvent; ORDER_EVENTS]> {
    let created: OrderCreated = serde_json::from_str(&order_created(Uuid::from_u128(7)))?;
    let customer = created.customer.id;
    let confirmed = OrderConfirmed {
        customer,
        lines: created.lines.clone(),
        total: created.total.clone(),
    };
    Ok([
        created.into(),
        confirmed.into(),
        OrderShipped { customer }.into(),
        OrderDelivered { customer }.into(),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn every_order_has_every_event_in_order() {
        let history = History::new(3, 20);
        let mut versions: HashMap<String, u64> = HashMap::new();
        let mut events = 0;
        for part in history.parts() {
            let part = part.unwrap();
            let orders: HashSet<_> = part.iter().map(|happened| &happened.order).collect();
            assert_eq!(orders.len(), part.len(), "an order once in a part");
            for happened in &part {
                let version = versions.entry(happened.order.clone()).or_default();
                *version += 1;
                assert_eq!(happened.version, *version);
            }
            events += part.len();
        }
        assert_eq!((events, history.len()), (24, 24), "whole waves");
        assert!(versions.len() == 6 && versions.values().all(|version| *version == 4));
    }
}
