//! The hops of a lane: over which arrows events really went, and how that ended.

use std::sync::{Arc, Mutex, PoisonError};

use domain::wire::hops::{Arrow, Hop, HopOutcome};
use telemetry::hops::{HopSink, Watch, install_for_tests, watch};
use test_support::received;

use super::lane;
use crate::{fold::PoisonEvent, testing::LaneFixture};

#[derive(Debug, Default)]
struct Hops(Mutex<Vec<Hop>>);

impl HopSink for Hops {
    fn record(&self, hop: Hop) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(hop);
    }
}

impl Hops {
    fn of(fixture: &LaneFixture) -> (Arc<Self>, Watch) {
        install_for_tests();
        let hops = Arc::<Self>::default();
        let watch = watch(fixture.workspace, hops.clone());
        (hops, watch)
    }

    /// The hops since the last call, in the order in which they began: arrow, position and outcome.
    fn take(&self) -> Vec<(Arrow, u64, HopOutcome)> {
        let mut hops = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        hops.sort_by_key(|hop| hop.started_at);
        for hop in &hops {
            assert_eq!(hop.lane.as_deref(), Some("inventory"), "{hop:?}");
            assert_eq!(hop.event_type.as_deref(), Some("StockReceived"), "{hop:?}");
            assert_eq!(hop.partition, Some(0), "{hop:?}");
            assert!(hop.event_id.is_some() && hop.correlation_id.is_some(), "{hop:?}");
        }
        hops.into_iter()
            .map(|hop| (hop.arrow, hop.position.unwrap(), hop.outcome))
            .collect()
    }
}

/// The hops of one event over the arrows of the view `inventory`, which is drawn on both sheets.
fn delivered(position: u64, outcome: HopOutcome) -> [(Arrow, u64, HopOutcome); 2] {
    [Arrow::EventSubscription, Arrow::InventoryConsumer].map(|arrow| (arrow, position, outcome))
}

fn written(position: u64, outcome: HopOutcome) -> [(Arrow, u64, HopOutcome); 2] {
    [Arrow::UpsertProjection, Arrow::InventoryDb].map(|arrow| (arrow, position, outcome))
}

fn sorted(mut hops: Vec<(Arrow, u64, HopOutcome)>) -> Vec<(Arrow, u64, HopOutcome)> {
    hops.sort();
    hops
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_to_the_lane_before_it_goes_to_the_read_model_and_a_repetition_goes_no_further() {
    let fixture = LaneFixture::new(1).await;
    fixture.append("inventory-mug-1", &[received(1)]).await;
    let events = fixture.published().await;
    let lane = lane(&fixture, &fixture.context);
    let (hops, _watch) = Hops::of(&fixture);
    lane.apply(&events, &[]).await.unwrap();
    let taken = hops.take();
    let (first, last) = (taken.first().copied(), taken.last().copied());
    assert_eq!(
        first,
        Some((Arrow::EventSubscription, 1, HopOutcome::Done)),
        "{taken:?}"
    );
    assert_eq!(
        last.map(|(arrow, ..)| arrow),
        Some(Arrow::InventoryDb),
        "{taken:?}"
    );
    let expected = [delivered(1, HopOutcome::Done), written(1, HopOutcome::Done)].concat();
    assert_eq!(sorted(taken), sorted(expected));
    lane.apply(&events, &[]).await.unwrap();
    assert_eq!(
        sorted(hops.take()),
        sorted(delivered(1, HopOutcome::Duplicate).to_vec())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_filled_over_the_arrow_of_historical_events() {
    let fixture = LaneFixture::new(1).await;
    fixture
        .append("inventory-mug-1", &[received(1), received(2)])
        .await;
    let events = fixture.published().await;
    let lane = lane(&fixture, &fixture.context);
    let (hops, _watch) = Hops::of(&fixture);
    lane.apply(&events[1..], &[]).await.unwrap();
    let expected = [
        [
            (Arrow::HistoricalEvents, 1, HopOutcome::Done),
            (Arrow::HistoricalEvents, 2, HopOutcome::Done),
        ],
        written(1, HopOutcome::Done),
        written(2, HopOutcome::Done),
        delivered(2, HopOutcome::Done),
    ]
    .concat();
    assert_eq!(sorted(hops.take()), sorted(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_event_and_what_waits_behind_it_are_parked_and_other_streams_go_on() {
    let fixture = LaneFixture::new(1).await;
    fixture
        .append("inventory-mug-1", &[received(1), received(2)])
        .await;
    fixture.append("inventory-mug-2", &[received(3)]).await;
    let events = fixture.published().await;
    let lane = lane(&fixture, &fixture.context);
    let (hops, _watch) = Hops::of(&fixture);
    let poison = PoisonEvent {
        position: 1,
        reason: "it does not fit".to_owned(),
        attempts: 3,
    };
    lane.apply(&events, &[poison]).await.unwrap();
    let outcomes = [
        (1, HopOutcome::Parked),
        (2, HopOutcome::Parked),
        (3, HopOutcome::Done),
    ];
    let expected = outcomes
        .map(|(position, outcome)| [delivered(position, outcome), written(position, outcome)].concat());
    assert_eq!(sorted(hops.take()), sorted(expected.concat()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_lane_makes_no_hop_and_an_unwatched_workspace_makes_none() {
    let (fixture, other) = (LaneFixture::new(1).await, LaneFixture::new(1).await);
    let (hops, _watch) = Hops::of(&fixture);
    other.append("inventory-mug-1", &[received(1)]).await;
    let events = other.published().await;
    lane(&other, &other.context).apply(&events, &[]).await.unwrap();
    assert_eq!(hops.take(), []);
    fixture.append("inventory-mug-1", &[received(1)]).await;
    let events = fixture.published().await;
    let lane = lane(&fixture, &fixture.context);
    let progress = &fixture.context.progress;
    let inventory = progress.of(fixture.workspace, "inventory").unwrap();
    inventory.controls().decide(true, 1);
    lane.apply(&events, &[]).await.unwrap_err();
    assert_eq!(hops.take(), []);
    inventory.controls().decide(false, 2);
    lane.apply(&events, &[]).await.unwrap();
    assert_eq!(hops.take().len(), 4);
}
