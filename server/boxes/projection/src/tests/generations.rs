//! Generations that an owner does not know yet, or that are behind.

use std::sync::{Arc, Mutex};

use super::lane;
use broker::decode;
use documents::{Scope, StoredGeneration, SwitchOutcome};
use domain::{event::StoredEvent, id::WorkspaceId};
use test_support::received;

use crate::{
    Context,
    rebuild::{RebuildObserver, Rebuilds},
    testing::LaneFixture,
};

const VIEW: &str = "inventory";

/// The rebuilds of one owner.
pub(super) async fn rebuilds(context: &Arc<Context>) -> Rebuilds {
    Rebuilds::start(
        context.clone(),
        tokio_util::task::TaskTracker::new(),
        tokio_util::sync::CancellationToken::default(),
    )
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_has_not_heard_of_a_switch_writes_nothing_and_follows() {
    let fixture = LaneFixture::new(1).await;
    fixture
        .append("inventory-mug-1", &[received(1), received(2)])
        .await;
    let events = fixture.published().await;
    let here = lane(&fixture, &fixture.context);
    here.apply(&events[..1], &[]).await.unwrap();
    let there = fixture.another_owner();
    let others = rebuilds(&there).await;
    others.rebuild(fixture.workspace, VIEW).await.unwrap();
    others.finished(fixture.workspace, VIEW).await;
    here.apply(&events, &[]).await.unwrap();
    let progress = fixture.context.progress.of(fixture.workspace, VIEW).unwrap();
    assert_eq!((progress.generation(), progress.folded().position(0)), (2, 2));
    assert_eq!(fixture.document(VIEW, "mug-1").await["on_hand"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_replaces_a_view_that_is_ahead_of_the_log() {
    let fixture = LaneFixture::new(1).await;
    fixture.append("inventory-mug-1", &[received(1)]).await;
    let store = &fixture.context.store;
    let stored = store.read_partition(fixture.workspace, 0, 0, 1).await.unwrap();
    // It was published before its commit, which never came.
    let phantom = StoredEvent {
        position: 2,
        version: 2,
        ..stored[0].clone()
    };
    let lane = lane(&fixture, &fixture.context);
    let published = decode(&[stored[0].clone(), phantom]);
    lane.apply(&published, &[]).await.unwrap();
    assert_eq!(fixture.document(VIEW, "mug-1").await["on_hand"], 2);

    let rebuilds = rebuilds(&fixture.context).await;
    rebuilds.rebuild(fixture.workspace, VIEW).await.unwrap();
    rebuilds.finished(fixture.workspace, VIEW).await;
    let progress = fixture.context.progress.of(fixture.workspace, VIEW).unwrap();
    assert_eq!((progress.generation(), progress.folded().position(0)), (2, 1));
    assert_eq!(fixture.document(VIEW, "mug-1").await["on_hand"], 1);

    fixture.append("inventory-mug-1", &[received(4)]).await;
    lane.apply(&fixture.published().await, &[]).await.unwrap();
    assert_eq!(fixture.document(VIEW, "mug-1").await["on_hand"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_is_behind_the_live_one_is_not_switched_in() {
    let fixture = LaneFixture::new(1).await;
    fixture.append("inventory-mug-1", &[received(1)]).await;
    lane(&fixture, &fixture.context)
        .apply(&fixture.published().await, &[])
        .await
        .unwrap();
    let documents = &fixture.context.documents;
    let generation = documents.begin_build(fixture.workspace, VIEW).await.unwrap();
    let scope = Scope {
        workspace: fixture.workspace,
        view: VIEW,
        generation,
    };
    assert_eq!(documents.switch(&scope).await.unwrap(), SwitchOutcome::Behind);
    assert!(documents.cancel_build(&scope).await.unwrap());
    assert_eq!(
        documents.switch(&scope).await.unwrap(),
        SwitchOutcome::NotBuilding
    );
    assert!(!documents.cancel_build(&scope).await.unwrap());
    let live = StoredGeneration {
        workspace: fixture.workspace,
        view: VIEW.to_owned(),
        generation: 1,
    };
    assert!(
        documents.remove(&live, 10).await.is_err(),
        "the live generation is not removed"
    );
}

/// Notes the rebuilds that have begun.
#[derive(Debug, Default)]
struct NotedRebuilds(Mutex<Vec<(WorkspaceId, &'static str)>>);

impl RebuildObserver for NotedRebuilds {
    fn begun(self: Arc<Self>, workspace: WorkspaceId, view: &'static str) {
        self.0.lock().unwrap().push((workspace, view));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_hears_of_each_rebuild_that_begins_and_of_no_other() {
    let fixture = LaneFixture::new(1).await;
    fixture.append("inventory-mug-1", &[received(1)]).await;
    let lane = lane(&fixture, &fixture.context);
    lane.apply(&fixture.published().await, &[]).await.unwrap();
    let rebuilds = rebuilds(&fixture.context).await;
    let noted = Arc::new(NotedRebuilds::default());
    rebuilds.observe(Arc::clone(&noted) as _);
    rebuilds.rebuild(fixture.workspace, "nonsense").await.unwrap_err();
    for _ in 0..2 {
        rebuilds.rebuild(fixture.workspace, VIEW).await.unwrap();
        rebuilds.finished(fixture.workspace, VIEW).await;
    }
    assert_eq!(*noted.0.lock().unwrap(), [(fixture.workspace, VIEW); 2]);
}
