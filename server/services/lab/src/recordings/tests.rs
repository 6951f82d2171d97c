//! Which part of the log and which hops a recording has.

use domain::{
    access::ActorRef,
    event::Metadata,
    wire::{Arrow, HopOutcome},
};

use super::*;

fn token(text: &str) -> ConsistencyToken {
    text.parse().unwrap()
}

#[test]
fn a_run_begins_where_it_was_asked_for_and_has_no_partition_but_those_of_its_end() {
    let to = token("0:10,1:7");
    for (wanted, from) in [
        ("0:4,1:7", "0:4,1:7"),
        ("0:4", "0:4,1:0"),
        ("0:99,1:6,7:3", "0:10,1:6"),
    ] {
        assert_eq!(run_begin(Some(&token(wanted)), &to), token(from), "{wanted}");
    }
}

#[test]
fn a_run_without_a_beginning_has_the_newest_events_evenly_over_the_partitions() {
    assert_eq!(run_begin(None, &token("0:2500")), token("0:500"));
    let from = run_begin(None, &token("0:1500,1:900"));
    assert_eq!(from, token("0:500,1:0"));
    assert!(from.behind(&token("0:1500,1:900")) <= MOST_EVENTS);
    assert_eq!(
        run_begin(None, &ConsistencyToken::default()),
        ConsistencyToken::default()
    );
}

/// An event whose ids are these numbers.
fn event(id: u128, correlation: u128) -> StoredEvent {
    StoredEvent {
        workspace: WorkspaceId(Uuid::from_u128(1)),
        partition: 0,
        position: 1,
        stream: "order-1".parse().unwrap(),
        version: 1,
        event_id: Uuid::from_u128(id),
        event_type: "OrderCreated".to_owned(),
        schema_version: 1,
        payload: RawValue::from_string("{}".to_owned()).unwrap(),
        metadata: Metadata {
            correlation_id: Uuid::from_u128(correlation),
            causation_id: None,
            command_id: Uuid::from_u128(3),
            actor: ActorRef {
                id: Uuid::from_u128(4),
                role: Role::Student,
            },
            traceparent: None,
        },
        recorded_at: Timestamp::from_micros(1),
        hash: String::new(),
    }
}

/// A hop that began at this time.
fn hop(arrow: Arrow, event: Option<u128>, correlation: Option<u128>, at: i64) -> Hop {
    Hop {
        arrow,
        event_id: event.map(Uuid::from_u128),
        event_type: None,
        stream: None,
        partition: None,
        position: None,
        correlation_id: correlation.map(Uuid::from_u128),
        lane: None,
        started_at: Timestamp::from_micros(at),
        duration_us: 1,
        outcome: HopOutcome::Done,
    }
}

#[test]
fn a_run_has_the_hops_of_its_events_and_commands_and_the_queries_meanwhile() {
    let events = [event(10, 20)];
    let watched = vec![
        hop(Arrow::QueryProjection, None, None, 1),
        hop(Arrow::AppendEvents, Some(10), Some(20), 4),
        hop(Arrow::RestJsonCommand, None, Some(20), 3),
        hop(Arrow::AppendEvents, Some(11), Some(20), 5),
        hop(Arrow::RestJsonCommand, None, Some(21), 5),
        hop(Arrow::CacheLookup, None, None, 5),
        hop(Arrow::UpsertProjection, Some(10), Some(20), 6),
        hop(Arrow::CacheLookup, None, None, 7),
    ];
    let arrows: Vec<Arrow> = hops_of_run(&events, watched)
        .iter()
        .map(|hop| hop.arrow)
        .collect();
    assert_eq!(
        arrows,
        [
            Arrow::RestJsonCommand,
            Arrow::AppendEvents,
            Arrow::CacheLookup,
            Arrow::UpsertProjection
        ]
    );
}

#[test]
fn a_run_that_nothing_watched_has_no_hops() {
    let watched = vec![hop(Arrow::CacheLookup, None, None, 1)];
    assert_eq!(hops_of_run(&[event(10, 20)], watched), Vec::new());
    assert_eq!(hops_of_run(&[event(10, 20)], Vec::new()), Vec::new());
}
