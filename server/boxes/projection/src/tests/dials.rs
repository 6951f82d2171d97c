//! The dials of lanes over real databases: what each does to a view, that it does nothing to another
//! workspace, and that a rebuild makes right what a taken guarantee has made wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use broker::{Events, PartitionId};
use documents::ParkedState;
use domain::wire::{ProjectionStatus, hops::HopOutcome};
use test_support::{RecordedHops, received};
use tokio::sync::watch;

use super::{generations::rebuilds, lane};
use crate::{
    Projections,
    dead_letters::{DeadLetters, Remedy},
    fold::{POISONED, PoisonEvent},
    lane::Lane,
    lane_controls::{LaneDials, TransactionFaults},
    lane_error::LaneError,
    progress::HandlerProgress,
    retry::EVENT_ATTEMPTS,
    testing::LaneFixture,
};

const VIEW: &str = "inventory";

/// Has the next so many transactions fail.
#[derive(Debug)]
struct FailNext(AtomicU32);

impl TransactionFaults for FailNext {
    fn fails_next(&self) -> bool {
        let left = |left: u32| left.checked_sub(1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, left)
            .is_ok()
    }
}

/// Has every transaction fail, and counts them.
#[derive(Debug, Default)]
struct FailAlways(watch::Sender<u32>);

impl TransactionFaults for FailAlways {
    fn fails_next(&self) -> bool {
        self.0.send_modify(|count| *count += 1);
        true
    }
}

fn paused() -> LaneDials {
    LaneDials {
        paused: true,
        ..LaneDials::default()
    }
}

/// Slower than any test.
fn slow() -> LaneDials {
    LaneDials {
        slow: Duration::from_hours(1),
        ..LaneDials::default()
    }
}

fn failing(faults: Arc<dyn TransactionFaults>) -> LaneDials {
    LaneDials {
        failing: Some(faults),
        ..LaneDials::default()
    }
}

fn poisoned() -> LaneDials {
    LaneDials {
        poison: Some("StockReceived".to_owned()),
        ..LaneDials::default()
    }
}

fn without_duplicate_detection() -> LaneDials {
    LaneDials {
        detects_duplicates: false,
        ..LaneDials::default()
    }
}

fn without_gap_detection() -> LaneDials {
    LaneDials {
        detects_gaps: false,
        ..LaneDials::default()
    }
}

fn here(fixture: &LaneFixture) -> PartitionId {
    PartitionId {
        workspace: fixture.workspace,
        partition: 0,
    }
}

fn progress(fixture: &LaneFixture) -> HandlerProgress {
    fixture.context.progress.of(fixture.workspace, VIEW).unwrap()
}

fn bend(fixture: &LaneFixture, dials: LaneDials) {
    progress(fixture).controls().bend(Some(dials));
}

fn rest(fixture: &LaneFixture) {
    progress(fixture).controls().bend(None);
}

/// The stock of a workspace with these receipts of one product, and its published events.
async fn stock(quantities: &[u32]) -> (LaneFixture, Events) {
    let fixture = LaneFixture::new(1).await;
    for quantity in quantities {
        fixture.append("inventory-mug-1", &[received(*quantity)]).await;
    }
    let events = fixture.published().await;
    (fixture, events)
}

async fn on_hand(fixture: &LaneFixture) -> Option<u64> {
    fixture.document(VIEW, "mug-1").await["on_hand"].as_u64()
}

/// Rebuilds the view while its dials stay as they are.
async fn rebuild(fixture: &LaneFixture) {
    let rebuilds = rebuilds(&fixture.context).await;
    rebuilds.rebuild(fixture.workspace, VIEW).await.unwrap();
    rebuilds.finished(fixture.workspace, VIEW).await;
}

/// Publishes what is stored beyond these events.
async fn publish_after(fixture: &LaneFixture, known: usize) {
    let events = fixture.published().await;
    let head = events.last().map_or(0, |event| event.position);
    fixture.context.progress.stored(here(fixture), head);
    let new = events[known..].to_vec();
    fixture.context.broker.publish(here(fixture), new).await;
}

async fn status(projections: &Projections, fixture: &LaneFixture) -> ProjectionStatus {
    let status = projections.status(fixture.workspace).await.unwrap();
    status.into_iter().find(|status| status.view == VIEW).unwrap()
}

#[tokio::test]
async fn without_duplicate_detection_a_repeated_event_is_folded_again_and_a_rebuild_cures_it() {
    let (fixture, events) = stock(&[3, 4]).await;
    let (other, elsewhere) = stock(&[3, 4]).await;
    let (lane, other_lane) = (lane(&fixture, &fixture.context), lane(&other, &other.context));
    lane.apply(&events, &[]).await.unwrap();
    bend(&fixture, without_duplicate_detection());
    lane.apply(&events[1..], &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(11));
    // An older event as well; the checkpoint stays where it is.
    lane.apply(&events[..1], &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(14));
    assert_eq!(progress(&fixture).folded().position(0), 2);
    let checkpoints = fixture.context.documents.checkpoints().await.unwrap();
    let stored = checkpoints
        .iter()
        .find(|checkpoint| checkpoint.view == VIEW)
        .unwrap();
    assert_eq!(
        (stored.position, stored.hash.as_ref()),
        (2, Some(&events[1].hash)),
        "the log has this history"
    );
    // A client that holds a token of this position has missed a change.
    assert_eq!(progress(&fixture).release_positions().position(0), 2);
    for _ in 0..2 {
        other_lane.apply(&elsewhere, &[]).await.unwrap();
    }
    assert_eq!(on_hand(&other).await, Some(7));

    rebuild(&fixture).await;
    assert_eq!(on_hand(&fixture).await, Some(7));
    rest(&fixture);
    lane.apply(&events, &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(7));
}

#[tokio::test]
async fn an_event_that_came_once_is_folded_once_though_its_delivery_takes_several_attempts() {
    let (fixture, events) = stock(&[1, 2, 4]).await;
    let lane = lane(&fixture, &fixture.context);
    lane.apply(&events[..1], &[]).await.unwrap();
    let dials = LaneDials {
        detects_duplicates: false,
        slow: Duration::from_hours(1),
        failing: Some(Arc::new(FailNext(AtomicU32::new(2)))),
        ..LaneDials::default()
    };
    bend(&fixture, dials);
    // The first of them is a repetition. Each event waits, and the first attempts after that fail.
    let (mut waits, mut failures) = (0, 0);
    loop {
        match lane.apply(&events, &[]).await {
            Ok(()) => break,
            Err(LaneError::Slow) => {
                waits += 1;
                lane.allow_next();
            }
            Err(LaneError::FailedByDial) => failures += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((waits, failures), (3, 2));
    assert_eq!(on_hand(&fixture).await, Some(1 + 1 + 2 + 4));
}

#[tokio::test]
async fn a_repeated_event_whose_stream_waits_behind_a_dead_letter_is_left_to_it() {
    let (fixture, events) = stock(&[1, 2, 4]).await;
    let lane = lane(&fixture, &fixture.context);
    let poison = PoisonEvent {
        position: 2,
        reason: "it does not fit".to_owned(),
        attempts: EVENT_ATTEMPTS,
    };
    lane.apply(&events, &[poison]).await.unwrap();
    bend(&fixture, without_duplicate_detection());
    lane.apply(&events, &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(1), "all of its stream waits");
    let letters = DeadLetters::new(fixture.context.clone());
    let listed = letters
        .list(fixture.workspace, Some(VIEW), None, 2)
        .await
        .unwrap();
    let [letter] = &listed[..] else {
        panic!("{listed:?}")
    };
    let retried = letters.remedy(fixture.workspace, letter.event.id, Remedy::Retry);
    assert_eq!(retried.await.unwrap().applied, 2);
    assert_eq!(on_hand(&fixture).await, Some(7));
}

#[tokio::test]
async fn without_gap_detection_a_later_event_jumps_over_a_missing_one_and_a_rebuild_cures_it() {
    let (fixture, events) = stock(&[1, 2, 4, 8]).await;
    let lane = lane(&fixture, &fixture.context);
    bend(&fixture, without_gap_detection());
    lane.apply(&events[..1], &[]).await.unwrap();
    lane.apply(&events[2..3], &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(5));
    assert_eq!(progress(&fixture).folded().position(0), 3);
    // What was missing comes too late, and is taken for a repetition.
    lane.apply(&events[1..2], &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(5));
    rest(&fixture);
    lane.apply(&events[3..], &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(13));

    bend(&fixture, without_gap_detection());
    rebuild(&fixture).await;
    assert_eq!(on_hand(&fixture).await, Some(15));
}

#[tokio::test]
async fn without_both_guarantees_events_are_folded_as_they_come() {
    let (fixture, events) = stock(&[1, 2, 4]).await;
    let dials = LaneDials {
        detects_duplicates: false,
        detects_gaps: false,
        ..LaneDials::default()
    };
    bend(&fixture, dials);
    let (hops, _watch) = RecordedHops::of(fixture.workspace);
    let swapped: Events = [1, 0, 2].map(|n: usize| events[n].clone()).into();
    lane(&fixture, &fixture.context)
        .apply(&swapped, &[])
        .await
        .unwrap();
    assert_eq!(on_hand(&fixture).await, Some(7));
    let hops = hops.take(12).await;
    assert!(hops.iter().all(|hop| hop.outcome == HopOutcome::Done), "{hops:?}");
}

#[tokio::test]
async fn duplicates_alone_are_folded_where_gaps_are_detected() {
    let (fixture, events) = stock(&[1, 2, 4]).await;
    bend(&fixture, without_duplicate_detection());
    let lane = lane(&fixture, &fixture.context);
    // The gap is filled from the event store, which is no repetition.
    lane.apply(&events[2..], &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(7));
    lane.apply(&events[..2], &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(10));
}

#[tokio::test]
async fn a_slow_lane_applies_one_event_after_each_wait() {
    let (fixture, events) = stock(&[1, 2]).await;
    let (hops, _watch) = RecordedHops::of(fixture.workspace);
    bend(&fixture, slow());
    let lane = lane(&fixture, &fixture.context);
    for expected in [None, Some(1)] {
        assert!(matches!(lane.apply(&events, &[]).await, Err(LaneError::Slow)));
        assert_eq!(on_hand(&fixture).await, expected);
        assert!(!lane.allow_next() || expected.is_some());
    }
    lane.apply(&events, &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(3));
    // Each event is told once: two arrows to the handler, and two from it.
    let hops = hops.take(8).await;
    assert!(hops.iter().all(|hop| hop.outcome == HopOutcome::Done), "{hops:?}");
    // Catching up waits as well.
    fixture.append("inventory-mug-1", &[received(4)]).await;
    let behind = Lane::new(fixture.context.clone(), lane.handler().clone(), here(&fixture));
    assert!(matches!(behind.catch_up(3, &[]).await, Err(LaneError::Slow)));
    behind.allow_next();
    behind.catch_up(3, &[]).await.unwrap();
    assert_eq!(on_hand(&fixture).await, Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_lanes_hold_up_no_other_workspace_and_go_on_when_the_dial_is_at_rest() {
    let fixture = LaneFixture::new(16).await;
    let there = fixture.another_workspace(1).await;
    let context = &fixture.context;
    context.progress.bend(fixture.workspace, VIEW, Some(slow()));
    // More lanes than may run at the same time.
    for n in 0..64 {
        fixture
            .append(&format!("inventory-mug-{n}"), &[received(1)])
            .await;
    }
    test_support::append(&*context.store, there, "inventory-mug-1", &[received(5)]).await;
    let projections = Projections::start(context.clone()).await.unwrap();
    let elsewhere = context.progress.of(there, VIEW).unwrap();
    elsewhere.reaches(&"0:1".parse().unwrap()).await;
    let bent = status(&projections, &fixture).await;
    assert_eq!((bent.slow_ms, bent.paused, bent.behind), (3_600_000, false, 64));
    assert!(bent.failing.is_empty(), "{bent:?}");
    // The server is ready: an educator has slowed these lanes down.
    while !context.health.unready_reasons().is_empty() {
        tokio::task::yield_now().await;
    }
    let head = context.progress.head(fixture.workspace);
    assert!(projections.bend(fixture.workspace, VIEW, None));
    progress(&fixture).reaches(&head).await;
    assert_eq!(status(&projections, &fixture).await.slow_ms, 0);
    projections.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stops_while_its_lanes_wait() {
    for dials in [slow(), paused()] {
        let (fixture, _) = stock(&[1]).await;
        bend(&fixture, dials);
        let projections = Projections::start(fixture.context.clone()).await.unwrap();
        let others = fixture.context.progress.of(fixture.workspace, "orders").unwrap();
        others.reaches(&"0:1".parse().unwrap()).await;
        projections.stop().await;
        assert_eq!(on_hand(&fixture).await, None);
        assert_eq!(fixture.context.health.unready_reasons(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_fail_by_a_dial_are_tried_again_and_have_their_effect_once() {
    let (fixture, _) = stock(&[1, 2]).await;
    bend(&fixture, failing(Arc::new(FailNext(AtomicU32::new(3)))));
    let projections = Projections::start(fixture.context.clone()).await.unwrap();
    progress(&fixture).reaches(&"0:2".parse().unwrap()).await;
    assert_eq!(on_hand(&fixture).await, Some(3));
    assert!(status(&projections, &fixture).await.fails_by_dial);

    // With every transaction failing, the lane waits longer each time; at rest it tries again at once.
    let always = Arc::new(FailAlways::default());
    let mut failures = always.0.subscribe();
    bend(&fixture, failing(always));
    fixture.append("inventory-mug-1", &[received(4)]).await;
    publish_after(&fixture, 2).await;
    failures.wait_for(|count| *count > 2).await.unwrap();
    let bent = status(&projections, &fixture).await;
    assert_eq!((bent.behind, bent.dead_letters), (1, 0));
    let reason = bent.failing.first().map(|lane| lane.reason.as_str());
    assert_eq!(reason, Some("an educator has transactions fail here"));
    rest(&fixture);
    progress(&fixture).reaches(&"0:3".parse().unwrap()).await;
    assert_eq!(on_hand(&fixture).await, Some(7));
    projections.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_a_dead_letter_with_its_reason_and_is_retried_once_the_dial_is_at_rest() {
    let (fixture, _) = stock(&[1]).await;
    let projections = Projections::start(fixture.context.clone()).await.unwrap();
    progress(&fixture).reaches(&"0:1".parse().unwrap()).await;
    bend(&fixture, poisoned());
    fixture
        .append("inventory-mug-1", &[received(2), received(4)])
        .await;
    publish_after(&fixture, 1).await;
    progress(&fixture).reaches(&"0:3".parse().unwrap()).await;
    assert_eq!(on_hand(&fixture).await, Some(1));
    let bent = status(&projections, &fixture).await;
    assert_eq!((bent.dead_letters, bent.waiting), (1, 1));
    assert_eq!(bent.poison.as_deref(), Some("StockReceived"));

    let letters = &projections.dead_letters;
    let listed = letters
        .list(fixture.workspace, Some(VIEW), None, 9)
        .await
        .unwrap();
    let [letter] = &listed[..] else {
        panic!("{listed:?}")
    };
    let dead = ParkedState::Dead {
        reason: POISONED.to_owned(),
        attempts: EVENT_ATTEMPTS,
    };
    assert_eq!(letter.event.state, dead);
    let id = letter.event.id;
    let again = letters
        .remedy(fixture.workspace, id, Remedy::Retry)
        .await
        .unwrap();
    assert_eq!(again.applied, 0, "the dial is bent still");
    rest(&fixture);
    let healed = letters
        .remedy(fixture.workspace, id, Remedy::Retry)
        .await
        .unwrap();
    assert_eq!((healed.applied, healed.dead_letter), (2, None));
    assert_eq!(on_hand(&fixture).await, Some(7));
    projections.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_a_pause_meets_waits_for_its_end() {
    let (fixture, events) = stock(&[1, 2]).await;
    lane(&fixture, &fixture.context)
        .apply(&events, &[])
        .await
        .unwrap();
    let progress = progress(&fixture);
    let rebuilds = rebuilds(&fixture.context).await;
    // The build begins, and cannot switch while a lane has the lock.
    let turn = progress.turn().await;
    rebuilds.rebuild(fixture.workspace, VIEW).await.unwrap();
    progress.controls().bend(Some(paused()));
    drop(turn);
    assert!(rebuilds.progress(fixture.workspace, VIEW).is_some());
    assert_eq!(progress.generation(), 1);
    progress.controls().bend(None);
    rebuilds.finished(fixture.workspace, VIEW).await;
    assert_eq!(progress.generation(), 2);
    // And one that is paused is not rebuilt.
    progress.controls().bend(Some(paused()));
    assert!(rebuilds.rebuild(fixture.workspace, VIEW).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_bent_before_it_starts_starts_bent() {
    let (fixture, _) = stock(&[1]).await;
    bend(&fixture, paused());
    let projections = Projections::start(fixture.context.clone()).await.unwrap();
    let others = fixture.context.progress.of(fixture.workspace, "orders").unwrap();
    others.reaches(&"0:1".parse().unwrap()).await;
    projections.transactions_ended(fixture.workspace, VIEW).await;
    let bent = status(&projections, &fixture).await;
    assert_eq!((bent.paused, bent.behind), (true, 1));
    assert!(projections.check_may_pause(fixture.workspace, VIEW).is_ok());
    assert!(
        projections
            .check_may_pause(fixture.workspace, "no-such-view")
            .is_err()
    );
    assert!(!projections.bend(fixture.workspace, "no-such-view", Some(paused())));
    assert!(projections.bend(fixture.workspace, VIEW, None));
    progress(&fixture).reaches(&"0:1".parse().unwrap()).await;
    projections.stop().await;
}
