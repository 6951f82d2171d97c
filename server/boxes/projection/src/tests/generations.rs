//! Generations that an owner does not know yet, or that are behind.

use std::sync::Arc;

use super::lane;
use documents::{Scope, StoredGeneration, SwitchOutcome};
use test_support::received;

use crate::{Context, rebuild::Rebuilds, testing::LaneFixture};

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
