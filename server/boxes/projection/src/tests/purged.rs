//! Workspaces that were purged, by this server or by another without this one's knowledge.

use broker::PartitionId;
use std::sync::Arc;
use test_support::received;

use crate::{
    Context, Projections,
    lane_controls::LaneDials,
    testing::LaneFixture,
    {lane::Lane, lane_error::LaneError},
};

fn here(fixture: &LaneFixture) -> PartitionId {
    PartitionId {
        workspace: fixture.workspace,
        partition: 0,
    }
}

async fn has_ended(context: &Arc<Context>, fixture: &LaneFixture) {
    loop {
        let changed = context.progress.changed();
        let mut changed = std::pin::pin!(changed);
        changed.as_mut().enable();
        if context.progress.has_ended(fixture.workspace) {
            return;
        }
        changed.await;
    }
}

#[tokio::test]
async fn a_lane_ends_with_its_workspace_and_writes_nothing_more() {
    let fixture = LaneFixture::new(1).await;
    fixture
        .append("inventory-mug-1", &[received(3), received(4)])
        .await;
    let context = &fixture.context;
    let events = fixture.published().await;
    context.progress.stored(here(&fixture), 2);
    let view = context.progress.handler("inventory").unwrap().clone();
    let lane = Lane::new(context.clone(), view, here(&fixture));
    assert_eq!(context.progress.lag("inventory"), 2);

    assert!(context.store.begin_purge(fixture.workspace, None).await.unwrap());
    assert!(matches!(lane.catch_up(2, &[]).await, Err(LaneError::Gone)));
    context.progress.end(fixture.workspace).await;
    lane.catch_up(2, &[]).await.unwrap();
    lane.apply(&events, &[]).await.unwrap();
    // Later reports about it are ignored.
    context.progress.stored(here(&fixture), 9);
    context.progress.folded("inventory", here(&fixture), 2);
    assert_eq!(context.progress.lag("inventory"), 0);
    assert_eq!(context.progress.workspaces(), []);
    assert!(context.progress.has_ended(fixture.workspace));
    assert_eq!(context.progress.head(fixture.workspace).position(0), 0);
    assert_eq!(context.documents.workspaces().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_notice_that_another_server_has_purged_their_workspace() {
    let fixture = LaneFixture::new(1).await;
    fixture
        .append("inventory-mug-1", &[received(3), received(4)])
        .await;
    let context = fixture.context.clone();
    let projections = Projections::start(context.clone()).await.unwrap();
    for view in context.progress.handlers() {
        let progress = context.progress.of(fixture.workspace, view.name()).unwrap();
        progress.reaches(&"0:2".parse().unwrap()).await;
    }
    fixture
        .append("inventory-mug-1", &[received(5), received(6)])
        .await;
    let events = fixture.published().await;
    assert!(context.store.begin_purge(fixture.workspace, None).await.unwrap());
    // The first of the two was lost on the way and cannot be read any more.
    context.progress.stored(here(&fixture), 4);
    context.broker.publish(here(&fixture), events[3..].to_vec()).await;
    has_ended(&context, &fixture).await;
    projections.stop().await;
    assert_eq!(context.health.unready_reasons(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_lanes_release_a_workspace_that_ends() {
    let fixture = LaneFixture::new(1).await;
    fixture.append("inventory-mug-1", &[received(3)]).await;
    let context = fixture.context.clone();
    let projections = Projections::start(context.clone()).await.unwrap();
    let progress = context.progress.of(fixture.workspace, "inventory").unwrap();
    progress.reaches(&"0:1".parse().unwrap()).await;
    let paused = LaneDials {
        paused: true,
        ..LaneDials::default()
    };
    assert!(projections.bend(fixture.workspace, "inventory", Some(paused)));
    projections
        .transactions_ended(fixture.workspace, "inventory")
        .await;
    fixture.append("inventory-mug-1", &[received(4)]).await;
    context.progress.stored(here(&fixture), 2);
    let events = fixture.published().await;
    context.broker.publish(here(&fixture), events[1..].to_vec()).await;
    projections.end(fixture.workspace).await;
    assert!(
        !progress.controls().is_paused(),
        "a purged workspace has no paused lanes"
    );
    projections.stop().await;
    assert_eq!(fixture.document("inventory", "mug-1").await["on_hand"], 3);
}
