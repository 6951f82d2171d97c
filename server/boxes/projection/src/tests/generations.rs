//! Generations that an owner has not heard of, or that are behind.

use std::sync::Arc;

use super::lane;
use documents::{Scope, StoredGeneration, Switched};
use test_support::received;

use crate::{Context, rebuild::Rebuilds, testing::Parts};

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
    let parts = Parts::new(1).await;
    parts.append("inventory-mug-1", &[received(1), received(2)]).await;
    let events = parts.published().await;
    let here = lane(&parts, &parts.context);
    here.apply(&events[..1], &[]).await.unwrap();
    let there = parts.another_owner();
    let others = rebuilds(&there).await;
    others.rebuild(parts.workspace, VIEW).await.unwrap();
    others.finished(parts.workspace, VIEW).await;
    here.apply(&events, &[]).await.unwrap();
    let progress = parts.context.progress.of(parts.workspace, VIEW).unwrap();
    assert_eq!((progress.generation(), progress.folded().position(0)), (2, 2));
    assert_eq!(parts.document(VIEW, "mug-1").await["on_hand"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_is_behind_the_live_one_is_not_switched_in() {
    let parts = Parts::new(1).await;
    parts.append("inventory-mug-1", &[received(1)]).await;
    lane(&parts, &parts.context)
        .apply(&parts.published().await, &[])
        .await
        .unwrap();
    let documents = &parts.context.documents;
    let generation = documents.begin_build(parts.workspace, VIEW).await.unwrap();
    let scope = Scope {
        workspace: parts.workspace,
        view: VIEW,
        generation,
    };
    assert_eq!(documents.switch(&scope).await.unwrap(), Switched::Behind);
    assert!(documents.cancel_build(&scope).await.unwrap());
    assert_eq!(documents.switch(&scope).await.unwrap(), Switched::NotBuilding);
    assert!(!documents.cancel_build(&scope).await.unwrap());
    let live = StoredGeneration {
        workspace: parts.workspace,
        view: VIEW.to_owned(),
        generation: 1,
    };
    assert!(
        documents.remove(&live, 10).await.is_err(),
        "what is read is not removed"
    );
}
