//! The hops of a lane: over which arrows events really went, and how that ended.

use std::sync::Arc;

use domain::wire::hops::{Arrow, HopOutcome};
use telemetry::hops::Watch;
use test_support::{RecordedHops, received};

use super::lane;
use crate::{fold::PoisonEvent, lane_controls::LaneDials, testing::LaneFixture};

fn watched(fixture: &LaneFixture) -> (Arc<RecordedHops>, Watch) {
    RecordedHops::of(fixture.workspace)
}

/// The hops since the last call, at least so many: arrow, position and outcome.
async fn taken(hops: &RecordedHops, count: usize) -> Vec<(Arrow, u64, HopOutcome)> {
    let hops = hops.take(count).await;
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
    let (hops, _watch) = watched(&fixture);
    lane.apply(&events, &[]).await.unwrap();
    let all = taken(&hops, 4).await;
    let (first, last) = (all.first().copied(), all.last().copied());
    assert_eq!(
        first,
        Some((Arrow::EventSubscription, 1, HopOutcome::Done)),
        "{all:?}"
    );
    assert_eq!(last.map(|(arrow, ..)| arrow), Some(Arrow::InventoryDb), "{all:?}");
    let expected = [delivered(1, HopOutcome::Done), written(1, HopOutcome::Done)].concat();
    assert_eq!(sorted(all), sorted(expected));
    lane.apply(&events, &[]).await.unwrap();
    assert_eq!(
        sorted(taken(&hops, 2).await),
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
    let (hops, _watch) = watched(&fixture);
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
    assert_eq!(sorted(taken(&hops, expected.len()).await), sorted(expected));
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
    let (hops, _watch) = watched(&fixture);
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
    let expected = expected.concat();
    assert_eq!(sorted(taken(&hops, expected.len()).await), sorted(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_lane_makes_no_hop_and_an_unwatched_workspace_makes_none() {
    let (fixture, other) = (LaneFixture::new(1).await, LaneFixture::new(1).await);
    let (hops, _watch) = watched(&fixture);
    other.append("inventory-mug-1", &[received(1)]).await;
    let events = other.published().await;
    lane(&other, &other.context).apply(&events, &[]).await.unwrap();
    assert_eq!(taken(&hops, 0).await, []);
    fixture.append("inventory-mug-1", &[received(1)]).await;
    let events = fixture.published().await;
    let lane = lane(&fixture, &fixture.context);
    let progress = &fixture.context.progress;
    let inventory = progress.of(fixture.workspace, "inventory").unwrap();
    let paused = LaneDials {
        paused: true,
        ..LaneDials::default()
    };
    inventory.controls().bend(Some(paused));
    lane.apply(&events, &[]).await.unwrap_err();
    assert_eq!(taken(&hops, 0).await, []);
    inventory.controls().bend(None);
    lane.apply(&events, &[]).await.unwrap();
    assert_eq!(taken(&hops, 4).await.len(), 4);
}
