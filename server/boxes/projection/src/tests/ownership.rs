//! A server runs the lane groups that it owns, and no other.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use broker::PartitionId;
use test_support::received;

use crate::{Context, Projections, ownership::Ownership, testing::LaneFixture};

/// Owns every group, or all but `inventory`.
#[derive(Debug, Default)]
struct AllButInventory(AtomicBool);

#[async_trait]
impl Ownership for AllButInventory {
    async fn owns(&self, group: &'static str, _: PartitionId) -> bool {
        group != "inventory" || self.0.load(Ordering::Acquire)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_handle_events_for_a_group_that_it_does_not_own() {
    let fixture = LaneFixture::new(1).await;
    fixture.append("inventory-mug-1", &[received(3)]).await;
    let ownership = Arc::new(AllButInventory::default());
    let context = Arc::new(Context {
        ownership: ownership.clone(),
        ..fixture.new_context()
    });
    let here = PartitionId {
        workspace: fixture.workspace,
        partition: 0,
    };
    let projections = Projections::start(context.clone()).await.unwrap();
    let inventory = context.progress.of(fixture.workspace, "inventory").unwrap();
    let orders = context.progress.of(fixture.workspace, "orders").unwrap();
    orders.reaches(&"0:1".parse().unwrap()).await;
    fixture.append("inventory-mug-1", &[received(4)]).await;
    let events = fixture.published().await;
    context.progress.stored(here, 2);
    context.broker.publish(here, events[1..].to_vec()).await;
    orders.reaches(&"0:2".parse().unwrap()).await;
    assert_eq!(inventory.folded().position(0), 0);

    // It has become the owner: with the next event the lane reads the events that it has missed.
    ownership.0.store(true, Ordering::Release);
    fixture.append("inventory-mug-1", &[received(5)]).await;
    let events = fixture.published().await;
    context.progress.stored(here, 3);
    context.broker.publish(here, events[2..].to_vec()).await;
    inventory.reaches(&"0:3".parse().unwrap()).await;
    assert_eq!(fixture.document("inventory", "mug-1").await["on_hand"], 12);
    projections.stop().await;
}
