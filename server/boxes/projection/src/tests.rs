//! Lanes over real databases: in any order and however often an event is delivered, its effect is exactly once.

mod ended;
mod generations;
mod model;
mod ownership;
mod refused;
mod supervisor;

use std::sync::Arc;

use futures::future::join_all;
use proptest::{prelude::*, test_runner::TestRunner};

use super::{lane::Lane, lane_error::LaneError};
use broker::{PartitionId, PublishedEvent};
use documents::DocumentStoreError;
use test_support::received;

use crate::testing::Parts;

/// The lane of the view `inventory` on partition 0.
fn lane(parts: &Parts, context: &Arc<super::Context>) -> Lane {
    let partition = PartitionId {
        workspace: parts.workspace,
        partition: 0,
    };
    Lane::new(
        context.clone(),
        context.progress.handler("inventory").unwrap().clone(),
        partition,
    )
}

#[test]
fn duplicates_reordering_and_gaps_have_their_effect_exactly_once() {
    let deliveries = prop::collection::vec(prop::collection::vec(0..20_usize, 1..8), 1..12);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
    let property = |deliveries: Vec<Vec<usize>>| {
        runtime.block_on(async {
            let parts = Parts::new(1).await;
            for n in 1..=20 {
                parts.append("inventory-mug-1", &[received(n)]).await;
            }
            let events = parts.published().await;
            let lane = lane(&parts, &parts.context);
            for delivery in &deliveries {
                let delivery: Vec<_> = delivery.iter().map(|n| events[*n].clone()).collect();
                lane.apply(&delivery, &[]).await.unwrap();
            }
            let seen = deliveries.iter().flatten().max().copied().unwrap_or(0) as u64 + 1;
            let on_hand = parts.document("inventory", "mug-1").await["on_hand"].clone();
            // Historical events come in pages, and may lead further than what was delivered; never less, never twice.
            assert!(
                on_hand.as_u64() >= Some(seen * (seen + 1) / 2),
                "{on_hand} after {seen}"
            );
            lane.apply(&events, &[]).await.unwrap();
            assert_eq!(parts.document("inventory", "mug-1").await["on_hand"], 210);
        });
        Ok(())
    };
    runner.run(&deliveries, property).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_owner_of_a_lane_is_harmless() {
    let parts = Parts::new(1).await;
    for n in 0..60 {
        parts
            .append(&format!("inventory-mug-{}", n % 3), &[received(1)])
            .await;
    }
    let events = parts.published().await;
    let owners = [
        parts.context.clone(),
        parts.another_owner(),
        parts.another_owner(),
    ]
    .map(|context| {
        let lane = lane(&parts, &context);
        let events = events.clone();
        tokio::spawn(async move {
            for chunk in events.chunks(2) {
                lane.apply(chunk, &[]).await.unwrap();
            }
        })
    });
    join_all(owners).await.into_iter().for_each(Result::unwrap);
    for n in 0..3 {
        assert_eq!(
            parts.document("inventory", &format!("mug-{n}")).await["on_hand"],
            20
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_but_not_acknowledged_is_delivered_again_and_skipped() {
    let parts = Parts::new(1).await;
    let mut subscriber = parts.context.broker.subscribe("inventory").await;
    parts.append("inventory-mug-1", &[received(3), received(4)]).await;
    let partition = PartitionId {
        workspace: parts.workspace,
        partition: 0,
    };
    parts
        .context
        .broker
        .publish(partition, parts.published().await)
        .await;
    for attempt in 1..=3 {
        let delivery = subscriber.next().await.unwrap();
        assert_eq!(delivery.attempt(), attempt);
        // A new owner each time: it knows nothing but what the read model says.
        let owner = parts.another_owner();
        lane(&parts, &owner).apply(delivery.events(), &[]).await.unwrap();
        drop(delivery);
    }
    assert_eq!(parts.document("inventory", "mug-1").await["on_hand"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_stops_the_lane_behind_those_before_it() {
    let parts = Parts::new(1).await;
    parts
        .append("inventory-mug-1", &[received(3), received(4), received(5)])
        .await;
    let mut events = parts.published().await;
    let broken = PublishedEvent {
        decoded: Err(domain::event::DecodeError::UnknownType("StockStolen".into())),
        position: 2,
        event_id: events[1].event_id,
        event_type: "StockStolen".into(),
        stream: events[1].stream.clone(),
        version: 2,
        correlation_id: events[1].correlation_id,
        recorded_at: events[1].recorded_at,
    };
    events[1] = Arc::new(broken);
    let lane = lane(&parts, &parts.context);
    let stopped = lane.apply(&events, &[]).await;
    assert!(
        matches!(&stopped, Err(LaneError::Documents(DocumentStoreError::Fault(fault))) if fault.position == 2),
        "{stopped:?}"
    );
    assert_eq!(parts.document("inventory", "mug-1").await["on_hand"], 3);
}
