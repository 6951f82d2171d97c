//! Workspaces that were purged: by this server, or by another that this one has not heard of.

use broker::PartitionId;
use std::sync::Arc;
use test_support::received;

use crate::{
    Context, Projections,
    testing::Parts,
    {lane::Lane, lane_error::LaneError},
};

fn here(parts: &Parts) -> PartitionId {
    PartitionId {
        workspace: parts.workspace,
        partition: 0,
    }
}

async fn has_ended(context: &Arc<Context>, parts: &Parts) {
    loop {
        let changed = context.progress.changed();
        let mut changed = std::pin::pin!(changed);
        changed.as_mut().enable();
        if context.progress.has_ended(parts.workspace) {
            return;
        }
        changed.await;
    }
}

#[tokio::test]
async fn a_lane_ends_with_its_workspace_and_writes_nothing_more() {
    let parts = Parts::new(1).await;
    parts.append("inventory-mug-1", &[received(3), received(4)]).await;
    let context = &parts.context;
    let events = parts.published().await;
    context.progress.stored(here(&parts), 2);
    let view = context.progress.handler("inventory").unwrap().clone();
    let lane = Lane::new(context.clone(), view, here(&parts));
    assert_eq!(context.progress.lag("inventory"), 2);

    assert!(context.store.begin_purge(parts.workspace, None).await.unwrap());
    assert!(matches!(lane.catch_up(2, &[]).await, Err(LaneError::Gone)));
    context.progress.end(parts.workspace).await;
    lane.catch_up(2, &[]).await.unwrap();
    lane.apply(&events, &[]).await.unwrap();
    // what is still told of it counts for nothing
    context.progress.stored(here(&parts), 9);
    context.progress.folded("inventory", here(&parts), 2);
    assert_eq!(context.progress.lag("inventory"), 0);
    assert_eq!(context.progress.workspaces(), []);
    assert!(context.progress.has_ended(parts.workspace));
    assert_eq!(context.progress.head(parts.workspace).position(0), 0);
    assert_eq!(context.documents.workspaces().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_notice_that_another_server_has_purged_their_workspace() {
    let parts = Parts::new(1).await;
    parts.append("inventory-mug-1", &[received(3), received(4)]).await;
    let context = parts.context.clone();
    let projections = Projections::start(context.clone()).await.unwrap();
    for view in context.progress.handlers() {
        let progress = context.progress.of(parts.workspace, view.name()).unwrap();
        progress.reaches(&"0:2".parse().unwrap()).await;
    }
    parts.append("inventory-mug-1", &[received(5), received(6)]).await;
    let events = parts.published().await;
    assert!(context.store.begin_purge(parts.workspace, None).await.unwrap());
    // the first of the two was lost on the way, and cannot be read any more
    context.progress.stored(here(&parts), 4);
    context.broker.publish(here(&parts), events[3..].to_vec()).await;
    has_ended(&context, &parts).await;
    projections.stop().await;
    assert_eq!(context.health.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_are_held_let_go_of_a_workspace_that_ends() {
    let parts = Parts::new(1).await;
    parts.append("inventory-mug-1", &[received(3)]).await;
    let context = parts.context.clone();
    let projections = Projections::start(context.clone()).await.unwrap();
    let progress = context.progress.of(parts.workspace, "inventory").unwrap();
    progress.reaches(&"0:1".parse().unwrap()).await;
    projections.pause(parts.workspace, "inventory").await.unwrap();
    parts.append("inventory-mug-1", &[received(4)]).await;
    context.progress.stored(here(&parts), 2);
    let events = parts.published().await;
    context.broker.publish(here(&parts), events[1..].to_vec()).await;
    projections.end(parts.workspace).await;
    assert!(
        !progress.controls().is_paused(),
        "nothing is held that is not there"
    );
    projections.stop().await;
    assert_eq!(parts.document("inventory", "mug-1").await["on_hand"], 3);
}
