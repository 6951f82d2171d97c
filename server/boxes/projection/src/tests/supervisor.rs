//! The supervisor: lanes that panic, and a view that is right in the end.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use broker::{Acknowledger, Delivery, DeliveryContent, PartitionId, Subscriber};
use documents::Scope;
use test_support::received;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Commit, Context, Followers, Projections, following::Following, lane_group::LaneGroup,
    retry::STOPPED_AFTER, testing::LaneFixture,
};

/// Followers that panic when a commit is announced: after the transaction, before the progress is noted.
#[derive(Debug)]
struct PanickingFollowers {
    left: AtomicU32,
    panics: watch::Sender<u32>,
}

impl Followers for PanickingFollowers {
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

fn with_panics(fixture: &LaneFixture, panics: u32) -> (Arc<Context>, Arc<PanickingFollowers>) {
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
    } = &*fixture.context;
    let followers = Arc::new(PanickingFollowers {
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

fn here(fixture: &LaneFixture) -> PartitionId {
    PartitionId {
        workspace: fixture.workspace,
        partition: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_panics_is_restarted_and_has_its_effect_once() {
    let fixture = LaneFixture::new(1).await;
    fixture
        .append("inventory-mug-1", &[received(3), received(4)])
        .await;
    let (context, followers) = with_panics(&fixture, 3);
    // Three views catch up, and the first three commits panic.
    let projections = Projections::start(context.clone()).await.unwrap();
    for view in context.progress.handlers() {
        let progress = context.progress.of(fixture.workspace, view.name()).unwrap();
        progress.reaches(&"0:2".parse().unwrap()).await;
    }
    assert_eq!(*followers.panics.borrow(), 3);
    assert_eq!(fixture.document("inventory", "mug-1").await["on_hand"], 7);
    // Live deliveries panic as well, and are made again.
    followers.left.store(2, Ordering::Release);
    fixture.append("inventory-mug-1", &[received(5)]).await;
    let events = fixture.published().await;
    context.progress.stored(here(&fixture), 3);
    context.broker.publish(here(&fixture), events[2..].to_vec()).await;
    for view in context.progress.handlers() {
        let progress = context.progress.of(fixture.workspace, view.name()).unwrap();
        progress.reaches(&"0:3".parse().unwrap()).await;
    }
    assert_eq!(*followers.panics.borrow(), 5);
    assert_eq!(fixture.document("inventory", "mug-1").await["on_hand"], 12);
    projections.stop().await;
    assert_eq!(context.health.unready_reasons(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_reports_which_lane_fails_and_when_it_works_again() {
    let fixture = LaneFixture::new(1).await;
    fixture.append("inventory-mug-1", &[received(3)]).await;
    let (context, followers) = with_panics(&fixture, u32::MAX);
    let projections = Projections::start(context.clone()).await.unwrap();
    // Its commit was made and cannot be announced: the lane fails again and again. The second panic comes
    // after the first failure was noted.
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
        .flat_map(|view| context.health.failing(view.name(), fixture.workspace))
        .collect();
    assert!(
        failing
            .iter()
            .any(|lane| lane.reason.contains("a real panic") && lane.failures > 0),
        "{failing:?}"
    );
    assert!(
        !context.health.unready_reasons().is_empty(),
        "lanes are catching up"
    );
    followers.left.store(0, Ordering::Release);
    for view in context.progress.handlers() {
        let progress = context.progress.of(fixture.workspace, view.name()).unwrap();
        progress.reaches(&"0:1".parse().unwrap()).await;
    }
    projections.stop().await;
    assert_eq!(context.health.unready_reasons(), Vec::<String>::new());
    let failing = context.health.failing("inventory", fixture.workspace);
    assert!(failing.is_empty(), "{failing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_ready_though_lanes_have_stopped() {
    let fixture = LaneFixture::new(1).await;
    fixture.append("inventory-mug-1", &[received(3)]).await;
    let (context, followers) = with_panics(&fixture, u32::MAX);
    let projections = Projections::start(context.clone()).await.unwrap();
    // Checked each time that a lane panics again, which is after its previous failure was noted.
    let have_stopped = |_: &u32| {
        let handlers = context.progress.handlers();
        handlers.iter().all(|view| {
            let failing = context.health.failing(view.name(), fixture.workspace);
            failing.iter().any(|lane| lane.failures >= STOPPED_AFTER)
        })
    };
    followers.panics.subscribe().wait_for(have_stopped).await.unwrap();
    assert_eq!(context.health.unready_reasons(), Vec::<String>::new());
    projections.stop().await;
}

/// A broker that always has a delivery, as one that delivers again at once.
struct AlwaysDelivering(PartitionId);

#[async_trait]
impl Subscriber for AlwaysDelivering {
    async fn next(&mut self) -> Option<Delivery> {
        let content = DeliveryContent {
            partition: self.0,
            events: Vec::new(),
            attempt: 1,
        };
        Some(Delivery::new(content, Arc::new(NotRecorded)))
    }
}

struct NotRecorded;

impl Acknowledger for NotRecorded {
    fn settle(&self, _: &DeliveryContent, _: bool) {}
}

// A runtime that shuts down drops the tasks that are spawned, so each of them is delivered again at once. The
// group's own task ends only where it yields.
#[tokio::test]
async fn a_group_yields_while_there_is_always_another_delivery() {
    let fixture = LaneFixture::new(1).await;
    let (context, cancelled) = (fixture.context.clone(), CancellationToken::new());
    let handler = context.progress.handlers()[0].clone();
    let following = Arc::new(Following::new(context.clone()));
    let group = LaneGroup::new(context, handler, following, TaskTracker::new(), cancelled.clone());
    let endless = Box::new(AlwaysDelivering(here(&fixture)));
    tokio::join!(group.run(endless), async { cancelled.cancel() });
}
