//! The conversation, as given-when-then.

use domain::wire::{ChangeCause, SnapshotData};
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn token(text: &str) -> ConsistencyToken {
    text.parse().unwrap()
}

fn order() -> Target {
    Target::Document {
        view: "orders".into(),
        key: "a".into(),
    }
}

fn resume_point(text: &str) -> ResumePoint {
    ResumePoint {
        token: token(text),
        generation: 1,
    }
}

fn snapshot(id: u64, as_of: &str) -> ServerFrame {
    let data = SnapshotData::Document(json!(1));
    ServerFrame::Snapshot {
        id,
        as_of: token(as_of),
        generation: 1,
        behind: 0,
        data,
        next: None,
    }
}

fn change(id: u64, as_of: &str, key: &str) -> ServerFrame {
    let event = ChangeCause {
        id: uuid::Uuid::nil(),
        event_type: "OrderCreated".into(),
        partition: 0,
        position: token(as_of).position(0),
    };
    ServerFrame::Change {
        id,
        as_of: token(as_of),
        key: key.into(),
        data: Some(json!(1)),
        sort: None,
        event,
    }
}

/// The tokens that the subscriptions of these actions resume from.
fn resumes(actions: &[Action]) -> Vec<Option<String>> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Send(ClientFrame::Subscribe { resume, .. }) => {
                Some(resume.as_ref().map(ToString::to_string))
            }
            _ => None,
        })
        .collect()
}

/// A live connection with one subscription at 0:5; returns the subscription's id.
fn live() -> (Protocol, u64) {
    let mut protocol = Protocol::default();
    assert_eq!(protocol.start(0), [Action::Open(1)]);
    assert_eq!(protocol.opened(1, 10), []);
    let (id, actions) = protocol.subscribe(order(), Some(resume_point("0:5")));
    assert_eq!(resumes(&actions), [Some("0:5".to_owned())]);
    (protocol, id)
}

/// Loses the connection and opens the next one; returns the frames sent at its opening.
fn reconnect(protocol: &mut Protocol, now: Millis) -> Vec<Action> {
    protocol.closed(protocol.connection, now, 0.0);
    let opening = protocol.tick(now, 0.0);
    assert_eq!(opening, [Action::Open(protocol.connection)]);
    protocol.opened(protocol.connection, now)
}

#[test]
fn a_subscription_made_before_the_connection_is_open_is_sent_when_it_is() {
    let mut protocol = Protocol::default();
    protocol.start(0);
    assert_eq!(protocol.link(), Link::Connecting);
    assert_eq!(protocol.subscribe(order(), None).1, []);
    assert_eq!(resumes(&protocol.opened(1, 10)), [None]);
    assert_eq!(protocol.link(), Link::Live);
}

#[test]
fn a_rendered_snapshot_is_continued_from_its_token_and_generation() {
    let (mut protocol, id) = live();
    let sent = reconnect(&mut protocol, 100);
    let Some(Action::Send(ClientFrame::Subscribe {
        id: sent_id,
        key,
        resume,
        generation,
        ..
    })) = sent.first()
    else {
        panic!("nothing was subscribed: {sent:?}");
    };
    assert_eq!((*sent_id, key.as_deref()), (id, Some("a")));
    assert_eq!((resume, *generation), (&Some(token("0:5")), Some(1)));
}

#[test]
fn after_a_loss_it_resumes_where_every_change_is_known_to_be_complete() {
    let (mut protocol, id) = live();
    protocol.received(1, change(id, "0:6", "a"), 20);
    assert_eq!(
        resumes(&reconnect(&mut protocol, 30)),
        [Some("0:5".to_owned())],
        "another document may follow at 0:6"
    );
    let connection = protocol.connection;
    protocol.received(connection, change(id, "0:6", "a"), 40);
    protocol.received(connection, change(id, "0:7", "a"), 50);
    assert_eq!(resumes(&reconnect(&mut protocol, 60)), [Some("0:6".to_owned())]);
    let connection = protocol.connection;
    protocol.received(
        connection,
        ServerFrame::CaughtUp {
            id,
            as_of: token("0:9"),
        },
        70,
    );
    assert_eq!(resumes(&reconnect(&mut protocol, 80)), [Some("0:9".to_owned())]);
}

#[test]
fn a_subscription_resumes_from_its_newest_snapshot() {
    let (mut protocol, id) = live();
    let delivered = protocol.received(1, snapshot(id, "0:40"), 20);
    assert!(matches!(delivered.as_slice(), [Action::Deliver(to, _)] if *to == id));
    assert_eq!(resumes(&reconnect(&mut protocol, 30)), [Some("0:40".to_owned())]);
}

fn error(id: u64, status: u16) -> ServerFrame {
    let problem = domain::wire::Problem {
        kind: "/problems/test".into(),
        title: String::new(),
        status,
        detail: String::new(),
        violations: Vec::new(),
        current_version: None,
        rule: None,
        waiting_for: Vec::new(),
        workspace: None,
    };
    ServerFrame::Error {
        id: Some(id),
        problem,
    }
}

#[test]
fn a_refused_subscription_begins_anew_with_the_next_connection() {
    let (mut protocol, id) = live();
    assert_eq!(protocol.received(1, error(id, 403), 20).len(), 1);
    assert_eq!(protocol.wake_at(), Some(20 + SILENCE));
    assert_eq!(resumes(&reconnect(&mut protocol, 30)), [None]);
}

#[test]
fn a_subscription_that_the_server_could_not_accept_is_sent_again_later() {
    let (mut protocol, id) = live();
    protocol.received(1, error(id, 429), 20);
    assert_eq!(protocol.wake_at(), Some(20 + PATIENCE));
    assert_eq!(protocol.tick(19 + PATIENCE, 0.0), []);
    assert_eq!(resumes(&protocol.tick(20 + PATIENCE, 0.0)), [None]);
    assert_eq!(protocol.wake_at(), Some(20 + SILENCE));
}

/// A connection that is live, with a subscription to the hops; returns the subscription's id.
fn live_lab() -> (Protocol, u64) {
    let mut protocol = Protocol::default();
    protocol.start(0);
    protocol.opened(1, 10);
    let (id, actions) = protocol.subscribe(Target::Lab(LabTopic::Hops), None);
    assert!(asks_for_hops(&actions), "{actions:?}");
    (protocol, id)
}

/// Whether the first action subscribes to the hops, and to no view.
fn asks_for_hops(actions: &[Action]) -> bool {
    matches!(
        actions.first(),
        Some(Action::Send(ClientFrame::Subscribe {
            view: None,
            key: None,
            lab: Some(LabTopic::Hops),
            resume: None,
            ..
        }))
    )
}

fn hops(id: u64) -> ServerFrame {
    ServerFrame::Hops {
        id,
        data: Vec::new(),
        merged: Vec::new(),
        dropped: 0,
    }
}

#[test]
fn the_hops_are_subscribed_to_without_a_view_and_again_after_a_loss() {
    let (mut protocol, id) = live_lab();
    let delivered = protocol.received(1, hops(id), 20);
    assert!(matches!(delivered.as_slice(), [Action::Deliver(to, _)] if *to == id));
    assert!(asks_for_hops(&reconnect(&mut protocol, 30)));
}

#[test]
fn hops_that_the_server_could_not_send_are_asked_for_later_and_refused_ones_are_not() {
    let (mut protocol, id) = live_lab();
    protocol.received(1, error(id, 429), 20);
    assert!(asks_for_hops(&protocol.tick(20 + PATIENCE, 0.0)));
    protocol.received(1, error(id, 403), 30 + PATIENCE);
    assert_eq!(protocol.wake_at(), Some(30 + PATIENCE + SILENCE));
}

#[test]
fn a_ping_is_answered() {
    let (mut protocol, _) = live();
    assert_eq!(
        protocol.received(1, ServerFrame::Ping, 20),
        [Action::Send(ClientFrame::Pong)]
    );
}

#[test]
fn a_silent_connection_is_closed_and_every_frame_resets_the_timer() {
    let (mut protocol, _) = live();
    protocol.received(1, ServerFrame::Ping, 40_000);
    assert_eq!(protocol.tick(10 + SILENCE, 0.5), []);
    assert_eq!(protocol.link(), Link::Live);
    assert_eq!(protocol.tick(40_000 + SILENCE, 0.5), [Action::Close]);
    assert_eq!(protocol.link(), Link::Reconnecting(1));
}

#[test]
fn a_connection_that_does_not_open_in_time_is_closed() {
    let mut protocol = Protocol::default();
    protocol.start(0);
    assert_eq!(protocol.wake_at(), Some(CONNECT_TIMEOUT));
    assert_eq!(protocol.tick(CONNECT_TIMEOUT, 1.0), [Action::Close]);
    assert_eq!(protocol.wake_at(), Some(CONNECT_TIMEOUT + backoff::BASE));
}

#[test]
fn waits_grow_with_failures_and_a_stable_connection_resets_them() {
    let mut protocol = Protocol::default();
    protocol.start(0);
    let mut now = 0;
    for failures in 0..4 {
        protocol.closed(protocol.connection, now, 1.0);
        assert_eq!(protocol.wake_at(), Some(now + backoff::delay(failures, 1.0)));
        assert_eq!(protocol.link(), Link::Reconnecting(failures + 1));
        now = protocol.wake_at().unwrap();
        protocol.tick(now, 1.0);
    }
    // A server that accepts and hangs up at once is no better than one that refuses.
    protocol.opened(protocol.connection, now);
    protocol.closed(protocol.connection, now + 1, 1.0);
    assert_eq!(protocol.wake_at(), Some(now + 1 + backoff::delay(4, 1.0)));
    now = protocol.wake_at().unwrap();
    protocol.tick(now, 1.0);
    protocol.opened(protocol.connection, now);
    now += STABLE;
    protocol.closed(protocol.connection, now, 1.0);
    assert_eq!(protocol.wake_at(), Some(now + backoff::BASE));
}

#[test]
fn frames_of_an_abandoned_connection_are_ignored() {
    let (mut protocol, id) = live();
    protocol.tick(10 + SILENCE, 0.0);
    let now = protocol.wake_at().unwrap();
    protocol.tick(now, 0.0);
    assert_eq!(protocol.received(1, change(id, "0:6", "a"), now), []);
    assert_eq!(protocol.opened(1, now), []);
    protocol.closed(1, now, 0.0);
    assert_eq!(
        protocol.link(),
        Link::Reconnecting(1),
        "the new attempt is still in progress"
    );
}

#[test]
fn the_loss_of_the_network_shows_at_once_and_its_return_is_used_at_once() {
    let (mut protocol, _) = live();
    assert_eq!(protocol.network(false, 20, 1.0), [Action::Close]);
    assert_eq!(protocol.link(), Link::Offline);
    let opening = protocol.network(true, 30, 1.0);
    assert_eq!(opening, [Action::Open(protocol.connection)]);
    assert_eq!(
        resumes(&protocol.opened(protocol.connection, 40)),
        [Some("0:5".to_owned())]
    );
}

#[test]
fn a_connection_that_opens_overrules_the_browsers_report_of_no_network() {
    let (mut protocol, _) = live();
    protocol.network(false, 20, 0.0);
    protocol.tick(20, 0.0);
    assert_eq!(protocol.link(), Link::Offline);
    protocol.opened(protocol.connection, 30);
    assert_eq!(protocol.link(), Link::Live);
}

#[test]
fn a_page_whose_workspace_was_reset_is_loaded_again_once() {
    let moved = || ServerFrame::Moved {
        workspace: domain::id::WorkspaceId(uuid::Uuid::from_u128(2)),
    };
    let (mut protocol, _) = live();
    assert_eq!(protocol.received(7, moved(), 20), [], "of another connection");
    let connection = protocol.connection;
    assert_eq!(protocol.received(connection, moved(), 20), [Action::Reload]);
    assert_eq!((protocol.link(), protocol.wake_at()), (Link::SessionEnded, None));
    assert_eq!(protocol.received(connection, moved(), 21), []);
    assert_eq!(protocol.tick(30 + SILENCE, 0.0), []);
}

#[test]
fn an_ended_session_is_not_retried() {
    let (mut protocol, _) = live();
    protocol.closed(1, 20, 0.0);
    let now = protocol.wake_at().unwrap();
    protocol.tick(now, 0.0);
    protocol.refused(1);
    assert_eq!(
        protocol.link(),
        Link::Reconnecting(1),
        "that was an earlier connection"
    );
    protocol.refused(protocol.connection);
    assert_eq!((protocol.link(), protocol.wake_at()), (Link::SessionEnded, None));
    assert_eq!(protocol.tick(now + SILENCE, 0.0), []);
    assert_eq!(protocol.network(true, now, 0.0), []);
    assert_eq!(protocol.start(now), []);
}
