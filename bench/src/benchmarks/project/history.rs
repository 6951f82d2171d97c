//! The log that is folded: orders in waves. All orders of a wave are placed, then all are confirmed, sent and delivered, so
//! that as many other events lie between two of an order as the wave has orders.

use anyhow::Result;
use domain::{
    aggregate::order::{OrderConfirmed, OrderCreated, OrderDelivered, OrderEvent, OrderShipped},
    event_type::{AggregateEvent as _, EventType},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::ours::order_created;

/// What happens to every order.
const LIFE: usize = 4;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct History {
    under_way: usize,
    waves: usize,
}

/// An event of an order.
#[derive(Debug, Clone)]
pub(super) struct Happened {
    /// The order's id.
    pub(super) order: String,
    /// In the order's stream, from 1.
    pub(super) version: u64,
    pub(super) event: OrderEvent,
}

impl Happened {
    pub(super) fn event_type(&self) -> EventType {
        self.event.event_type()
    }

    pub(super) fn payload(&self) -> Result<Box<RawValue>> {
        Ok(self.event.encode()?)
    }
}

impl History {
    /// With so many orders under way, and at least so many events, in whole waves.
    pub(super) fn new(under_way: usize, events: usize) -> Self {
        Self {
            under_way,
            waves: events.div_ceil(under_way * LIFE),
        }
    }

    /// How many events it has.
    pub(super) fn len(&self) -> usize {
        self.waves * self.under_way * LIFE
    }

    /// The events in parts; of an order each part has one event at most.
    pub(super) fn parts(&self) -> impl Iterator<Item = Result<Vec<Happened>>> + '_ {
        (0..self.waves * LIFE).map(|part| {
            let (wave, step) = (part / LIFE, part % LIFE);
            let event = life()?.into_iter().nth(step);
            let orders = wave * self.under_way..(wave + 1) * self.under_way;
            Ok(orders
                .filter_map(|order| {
                    Some(Happened {
                        // ids of orders do not come in their order
                        order: format!("{:016x}", (order as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                        version: step as u64 + 1,
                        event: event.clone()?,
                    })
                })
                .collect())
        })
    }
}

/// An order's life.
fn life() -> Result<[OrderEvent; LIFE]> {
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
    fn every_order_lives_through_every_step_in_its_order() {
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
