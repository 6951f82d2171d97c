use domain::wire::{
    MergedHops,
    hops::{BUSINESS_SHEET, PATTERN_SHEET},
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{
    super::hop_log::testing::{hop, hop_of},
    *,
};

const MILLI: i64 = 1_000;

fn log(hops: Vec<Hop>) -> HopLog {
    let mut log = HopLog::default();
    log.receive(hops, vec![], 0);
    log
}

/// The hops of an order, as they arrive: enclosing ones after those within.
fn order() -> Vec<Hop> {
    vec![
        hop(Arrow::ValidateCommand, 7, 2 * MILLI),
        hop(Arrow::AppendEvents, 7, 3 * MILLI),
        hop(Arrow::OrderCreated, 7, 4 * MILLI),
        hop(Arrow::PublishedDomainEvents, 7, 4 * MILLI + 10),
        hop(Arrow::RestJsonCommand, 7, MILLI),
        hop_of(Arrow::UpsertProjection, 7, 6 * MILLI, "orders"),
        hop_of(Arrow::EventSubscription, 7, 5 * MILLI, "orders"),
        hop_of(Arrow::UpsertProjection, 7, 6 * MILLI + 20, "activity"),
        hop_of(Arrow::EventSubscription, 7, 5 * MILLI + 20, "activity"),
        hop(Arrow::HttpsJwtCommandRequest, 7, 0),
        // The policy's command, and its event.
        hop(Arrow::ValidateCommand, 8, 7 * MILLI),
        hop(Arrow::AppendEvents, 8, 8 * MILLI),
    ]
}

fn arrows_of(schedule: &Schedule, event: u128) -> Vec<Arrow> {
    let own = |leg: &&Leg| leg.event_id == Some(Uuid::from_u128(event));
    schedule.legs().iter().filter(own).map(|leg| leg.arrow).collect()
}

#[test]
fn a_packet_takes_its_arrows_one_after_the_other_in_the_order_of_its_hops() {
    let schedule = Schedule::of(&log(order()), PATTERN_SHEET, None);
    assert_eq!(
        arrows_of(&schedule, 7),
        [
            Arrow::HttpsJwtCommandRequest,
            Arrow::RestJsonCommand,
            Arrow::ValidateCommand,
            Arrow::AppendEvents,
            Arrow::PublishedDomainEvents,
            Arrow::EventSubscription,
            Arrow::UpsertProjection,
        ]
    );
    let own: Vec<_> = schedule
        .legs()
        .iter()
        .filter(|leg| leg.event_id == Some(Uuid::from_u128(7)))
        .collect();
    for pair in own.windows(2) {
        assert!(pair[0].end <= pair[1].start, "{pair:?}");
    }
    for leg in schedule.legs() {
        assert!(leg.end >= later(leg.start, SHORTEST_US), "{leg:?}");
        assert!(leg.start >= leg.started_at, "{leg:?}");
    }
}

#[test]
fn the_lanes_of_one_arrow_are_one_packet_and_a_second_attempt_is_another() {
    let mut hops = order();
    hops.push(Hop {
        outcome: HopOutcome::Retried,
        ..hop_of(Arrow::EventSubscription, 7, 5 * MILLI + 40, "sales")
    });
    hops.push(hop_of(Arrow::EventSubscription, 7, 9 * MILLI, "sales"));
    let schedule = Schedule::of(&log(hops), PATTERN_SHEET, None);
    let deliveries: Vec<_> = schedule
        .legs()
        .iter()
        .filter(|leg| leg.arrow == Arrow::EventSubscription)
        .map(|leg| (leg.lanes, leg.outcome))
        .collect();
    assert_eq!(deliveries, [(3, HopOutcome::Retried), (1, HopOutcome::Done)]);
}

#[test]
fn an_effect_is_not_shown_before_its_cause() {
    let schedule = Schedule::of(&log(order()), PATTERN_SHEET, None);
    let event = Uuid::from_u128;
    assert!(schedule.stored_at(event(7)) < schedule.stored_at(event(8)));
    assert_eq!(schedule.stored_at(event(9)), None);
    let mut begun = schedule.legs().to_vec();
    begun.sort_by_key(|leg| leg.started_at);
    assert_eq!(begun, schedule.legs(), "in the order of the hops");
}

#[test]
fn a_sheet_shows_its_own_arrows_and_consumers_have_copies() {
    let mut hops = order();
    hops.extend([
        hop_of(Arrow::NotificationConsumer, 7, 5 * MILLI + 60, "mail"),
        hop_of(Arrow::EmailPush, 7, 5 * MILLI + 70, "mail"),
        hop_of(Arrow::SearchIndexer, 7, 5 * MILLI + 80, "search"),
    ]);
    let schedule = Schedule::of(&log(hops), BUSINESS_SHEET, None);
    let start = |arrow| {
        let leg = schedule.legs().iter().find(|leg| leg.arrow == arrow);
        leg.map(|leg| leg.start)
    };
    assert_eq!(start(Arrow::HttpsJwtCommandRequest), None);
    assert!(start(Arrow::OrderCreated) < start(Arrow::PublishedDomainEvents));
    assert!(start(Arrow::NotificationConsumer) < start(Arrow::EmailPush));
    // It does not wait until the email is sent.
    let sent = schedule.legs().iter().find(|leg| leg.arrow == Arrow::EmailPush);
    assert!(start(Arrow::SearchIndexer) < sent.map(|leg| leg.end));
}

#[test]
fn a_query_begins_with_its_request() {
    let query = |arrow, at, duration_us| Hop {
        event_id: None,
        correlation_id: None,
        duration_us,
        ..hop(arrow, 0, at)
    };
    let hops = vec![
        query(Arrow::CacheLookup, 10, 5),
        query(Arrow::QueryProjection, 20, 100),
        query(Arrow::JsonResponse200, 130, 5),
        query(Arrow::HttpsReadRequest, 0, 140),
        query(Arrow::HttpsReadRequest, 150, 10),
    ];
    let schedule = Schedule::of(&log(hops), PATTERN_SHEET, None);
    let legs: Vec<_> = schedule
        .legs()
        .iter()
        .map(|leg| (leg.arrow, leg.start.as_micros()))
        .collect();
    assert_eq!(
        legs,
        [
            (Arrow::HttpsReadRequest, 0),
            (Arrow::HttpsReadRequest, 150),
            (Arrow::CacheLookup, 600_000),
            (Arrow::QueryProjection, 1_200_000),
            (Arrow::JsonResponse200, 1_800_000),
        ]
    );
}

#[test]
fn a_picture_has_each_packet_where_it_is() {
    let log = log(order());
    let schedule = Schedule::of(&log, PATTERN_SHEET, None);
    let picture = schedule.picture(&log, Timestamp::from_micros(150_000));
    let [packet] = picture.packets.as_slice() else {
        panic!("{picture:?}");
    };
    assert_eq!(
        (packet.arrow, packet.short_id.as_str(), packet.flow.as_str()),
        (Arrow::HttpsJwtCommandRequest, "00000007", "command")
    );
    assert!((packet.progress - 0.25).abs() < 1e-9, "{packet:?}");
    assert!(picture.streams.is_empty());
    let later = schedule.picture(&log, Timestamp::from_micros(200_000));
    assert_eq!(later.packets[0].id, packet.id);
    let end = schedule.legs().iter().map(|leg| leg.end).max().unwrap();
    assert_eq!(schedule.picture(&log, end), Picture::default());
}

#[test]
fn too_many_packets_merge_into_a_counted_stream() {
    let hops = |arrow, count: u128| {
        (0..count).map(move |n| Hop {
            correlation_id: Some(Uuid::from_u128(n)),
            ..hop(arrow, n, i64::try_from(n).unwrap())
        })
    };
    let many = u128::try_from(MOST_PACKETS).unwrap() + 40;
    let mut log = log(hops(Arrow::AppendEvents, many).collect());
    let other = hop(Arrow::PublishedDomainEvents, 500, 3);
    let counted = MergedHops {
        arrow: Arrow::UpsertProjection,
        from: Timestamp::from_micros(0),
        to: Timestamp::from_micros(100_000),
        count: 812,
    };
    log.receive(vec![other], vec![counted], 0);
    let schedule = Schedule::of(&log, PATTERN_SHEET, None);
    let picture = schedule.picture(&log, Timestamp::from_micros(1_000));
    assert_eq!(picture.packets.len(), 1);
    assert_eq!(
        picture.streams,
        [
            Stream {
                arrow: Arrow::AppendEvents,
                per_second: 100
            },
            Stream {
                arrow: Arrow::UpsertProjection,
                per_second: 812
            },
        ]
    );
    let later = schedule.picture(&log, Timestamp::from_micros(1_100_000));
    assert!(later.streams.is_empty());
}

#[test]
fn a_live_schedule_shows_the_same_as_a_whole_one() {
    let mut hops = Vec::new();
    for n in 0..200_u128 {
        let at = i64::try_from(n).unwrap() * 400_000;
        let of = |arrow, offset| Hop {
            correlation_id: Some(Uuid::from_u128(n)),
            ..hop(arrow, n, at + offset)
        };
        hops.extend([
            of(Arrow::RestJsonCommand, 0),
            of(Arrow::AppendEvents, 100),
            of(Arrow::PublishedDomainEvents, 200),
        ]);
    }
    let log = log(hops);
    let at = Timestamp::from_micros(79_000_000);
    let whole = Schedule::of(&log, PATTERN_SHEET, None);
    let live = Schedule::live(&log, PATTERN_SHEET, at);
    assert!(live.legs().len() < whole.legs().len());
    assert_eq!(live.picture(&log, at), whole.picture(&log, at));
}

#[test]
fn a_packet_that_would_be_a_minute_late_is_not_shown() {
    let many: Vec<Hop> = (0..200).map(|n| hop(Arrow::ValidateCommand, 7, n)).collect();
    let schedule = Schedule::of(&log(many), PATTERN_SHEET, None);
    assert_eq!(schedule.legs().len(), 101, "one each 600 ms of a minute");
}
