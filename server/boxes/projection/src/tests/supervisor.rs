//! The supervisor: lanes that really panic, and a view that is right in the end.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use broker::PartitionId;
use documents::Scope;
use test_support::received;
use tokio::sync::watch;

use crate::{Commit, Context, Followers, Projections, retry::STOPPED_AFTER, testing::Parts};

/// Followers that panic when they are told of a commit: after the transaction, before it is noted.
#[derive(Debug)]
struct Panicking {
    left: AtomicU32,
    panics: watch::Sender<u32>,
}

impl Followers for Panicking {
    fn follow(&self, _: &Scope) -> bool {
        false
    }

    fn committed(&self, _: Commit) {
        let may_panic = |left: u32| left.checked_sub(1);
        if self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, may_panic)
            .is_ok()
        {
            self.panics.send_modify(|panics| *panics += 1);
            panic!("a real panic");
        }
    }
}

fn with_panics(parts: &Parts, panics: u32) -> (Arc<Context>, Arc<Panicking>) {
    let Context {
        store,
        broker,
        documents,
        cache,
        progress,
        health,
        clock,
        ownership,
        ..
    } = &*parts.context;
    let followers = Arc::new(Panicking {
        left: AtomicU32::new(panics),
        panics: watch::Sender::new(0),
    });
    let context = Context {
        store: store.clone(),
        broker: broker.clone(),
        documents: documents.clone(),
        cache: cache.clone(),
        followers: followers.clone(),
        progress: progress.clone(),
        health: health.clone(),
        clock: clock.clone(),
        ownership: ownership.clone(),
    };
    (Arc::new(context), followers)
}

fn here(parts: &Parts) -> PartitionId {
    PartitionId {
        workspace: parts.workspace,
        partition: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_panics_is_restarted_and_has_its_effect_once() {
    let parts = Parts::new(1).await;
    parts.append("inventory-mug-1", &[received(3), received(4)]).await;
    let (context, followers) = with_panics(&parts, 3);
    // Three views catch up, and the first three commits panic.
    let projections = Projections::start(context.clone()).await.unwrap();
    for view in context.progress.handlers() {
        let progress = context.progress.of(parts.workspace, view.name()).unwrap();
        progress.reaches(&"0:2".parse().unwrap()).await;
    }
    assert_eq!(*followers.panics.borrow(), 3);
    assert_eq!(parts.document("inventory", "mug-1").await["on_hand"], 7);
    // Live deliveries panic as well, and are made again.
    followers.left.store(2, Ordering::Release);
    parts.append("inventory-mug-1", &[received(5)]).await;
    let events = parts.published().await;
    context.progress.stored(here(&parts), 3);
    context.broker.publish(here(&parts), events[2..].to_vec()).await;
    for view in context.progress.handlers() {
        let progress = context.progress.of(parts.workspace, view.name()).unwrap();
        progress.reaches(&"0:3".parse().unwrap()).await;
    }
    assert_eq!(*followers.panics.borrow(), 5);
    assert_eq!(parts.document("inventory", "mug-1").await["on_hand"], 12);
    projections.stop().await;
    assert_eq!(context.health.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_which_lane_fails_and_when_it_goes_on() {
    let parts = Parts::new(1).await;
    parts.append("inventory-mug-1", &[received(3)]).await;
    let (context, followers) = with_panics(&parts, u32::MAX);
    let projections = Projections::start(context.clone()).await.unwrap();
    // Its commit was made, and cannot be told: the lane fails again and again. The second panic comes after the first
    // failure was noted.
    followers
        .panics
        .subscribe()
        .wait_for(|panics| *panics > 6)
        .await
        .unwrap();
    let failing: Vec<_> = context
        .progress
        .handlers()
        .iter()
        .flat_map(|view| context.health.failing(view.name(), parts.workspace))
        .collect();
    assert!(
        failing
            .iter()
            .any(|lane| lane.reason.contains("a real panic") && lane.failures > 0),
        "{failing:?}"
    );
    assert!(!context.health.complaints().is_empty(), "lanes are catching up");
    followers.left.store(0, Ordering::Release);
    for view in context.progress.handlers() {
        let progress = context.progress.of(parts.workspace, view.name()).unwrap();
        progress.reaches(&"0:1".parse().unwrap()).await;
    }
    projections.stop().await;
    assert_eq!(context.health.complaints(), Vec::<String>::new());
    let failing = context.health.failing("inventory", parts.workspace);
    assert!(failing.is_empty(), "{failing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_ready_though_lanes_have_stopped() {
    let parts = Parts::new(1).await;
    parts.append("inventory-mug-1", &[received(3)]).await;
    let (context, followers) = with_panics(&parts, u32::MAX);
    let projections = Projections::start(context.clone()).await.unwrap();
    // Looked at whenever a lane panics again, which is after its failure before was noted.
    let have_stopped = |_: &u32| {
        let handlers = context.progress.handlers();
        handlers.iter().all(|view| {
            let failing = context.health.failing(view.name(), parts.workspace);
            failing.iter().any(|lane| lane.failures >= STOPPED_AFTER)
        })
    };
    followers.panics.subscribe().wait_for(have_stopped).await.unwrap();
    assert_eq!(context.health.complaints(), Vec::<String>::new());
    projections.stop().await;
}
