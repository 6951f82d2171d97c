//! Lanes over real databases: in any order and however often an event is delivered, its effect is exactly
//! once.

mod dials;
mod effect_dials;
mod generations;
mod handled;
mod hops;
mod lane_leases;
mod model;
mod ownership;
mod progress;
mod purged;
mod refused;
mod servers;
mod supervisor;

use std::sync::Arc;

use futures::future::join_all;
use proptest::{prelude::*, test_runner::TestRunner};

use super::{lane::Lane, lane_error::LaneError};
use broker::{PartitionId, PublishedEvent};
use documents::DocumentStoreError;
use test_support::received;

use crate::testing::LaneFixture;

/// The lane of the view `inventory` on partition 0.
fn lane(fixture: &LaneFixture, context: &Arc<super::Context>) -> Lane {
    let partition = PartitionId {
        workspace: fixture.workspace,
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
            let fixture = LaneFixture::new(1).await;
            for n in 1..=20 {
                fixture.append("inventory-mug-1", &[received(n)]).await;
            }
            let events = fixture.published().await;
            let lane = lane(&fixture, &fixture.context);
            for delivery in &deliveries {
                let delivery: Vec<_> = delivery.iter().map(|n| events[*n].clone()).collect();
                lane.apply(&delivery, &[]).await.unwrap();
            }
            let seen = deliveries.iter().flatten().max().copied().unwrap_or(0) as u64 + 1;
            let on_hand = fixture.document("inventory", "mug-1").await["on_hand"].clone();
            // Historical events come in pages and may go beyond what was delivered; never less, never twice.
            assert!(
                on_hand.as_u64() >= Some(seen * (seen + 1) / 2),
                "{on_hand} after {seen}"
            );
            lane.apply(&events, &[]).await.unwrap();
            assert_eq!(fixture.document("inventory", "mug-1").await["on_hand"], 210);
        });
        Ok(())
    };
    runner.run(&deliveries, property).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_owner_of_a_lane_is_harmless() {
    let fixture = LaneFixture::new(1).await;
    for n in 0..60 {
        fixture
            .append(&format!("inventory-mug-{}", n % 3), &[received(1)])
            .await;
    }
    let events = fixture.published().await;
    let owners = [
        fixture.context.clone(),
        fixture.another_owner(),
        fixture.another_owner(),
    ]
    .map(|context| {
        let lane = lane(&fixture, &context);
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
            fixture.document("inventory", &format!("mug-{n}")).await["on_hand"],
            20
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_but_unacknowledged_delivery_is_repeated_and_skipped() {
    let fixture = LaneFixture::new(1).await;
    let mut subscriber = fixture.context.broker.subscribe("inventory").await;
    fixture
        .append("inventory-mug-1", &[received(3), received(4)])
        .await;
    let partition = PartitionId {
        workspace: fixture.workspace,
        partition: 0,
    };
    fixture
        .context
        .broker
        .publish(partition, fixture.published().await)
        .await;
    for attempt in 1..=3 {
        let delivery = subscriber.next().await.unwrap();
        assert_eq!(delivery.attempt(), attempt);
        // A new owner each time: it knows only what the read model stores.
        let owner = fixture.another_owner();
        lane(&fixture, &owner)
            .apply(delivery.events(), &[])
            .await
            .unwrap();
        drop(delivery);
    }
    assert_eq!(fixture.document("inventory", "mug-1").await["on_hand"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_stops_the_lane_behind_those_before_it() {
    let fixture = LaneFixture::new(1).await;
    fixture
        .append("inventory-mug-1", &[received(3), received(4), received(5)])
        .await;
    let mut events = fixture.published().await;
    let broken = PublishedEvent {
        decoded: Err(domain::event::DecodeError::UnknownType("StockStolen".into())),
        position: 2,
        event_id: events[1].event_id,
        event_type: "StockStolen".into(),
        stream: events[1].stream.clone(),
        version: 2,
        correlation_id: events[1].correlation_id,
        recorded_at: events[1].recorded_at,
        hash: events[1].hash.clone(),
    };
    events[1] = Arc::new(broken);
    let lane = lane(&fixture, &fixture.context);
    let stopped = lane.apply(&events, &[]).await;
    assert!(
        matches!(
            &stopped,
            Err(LaneError::Documents(DocumentStoreError::Fault(fault))) if fault.position == 2
        ),
        "{stopped:?}"
    );
    assert_eq!(fixture.document("inventory", "mug-1").await["on_hand"], 3);
}
