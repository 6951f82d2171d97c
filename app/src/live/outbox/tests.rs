#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::json;

use super::*;

fn command(number: u128) -> Pending {
    Pending {
        key: Uuid::from_u128(number),
        command: "CancelOrder".into(),
        stream: "order-1".into(),
        data: json!({"reason": "changed my mind"}),
        expected: None,
        made_at: Timestamp::from_micros(1_763_756_400_000_000),
        preview: None,
        was_sent: false,
        stage: Stage::Waiting,
    }
}

fn problem(status: u16) -> Answer {
    Answer::Problem(Problem {
        kind: "/problems/test".into(),
        title: String::new(),
        status,
        detail: String::new(),
        violations: Vec::new(),
        current_version: None,
        rule: None,
        waiting_for: Vec::new(),
    })
}

fn accepted() -> Answer {
    Answer::Accepted("0:9".parse().unwrap())
}

/// The keys that are sent by these actions.
fn sent(actions: &[Action]) -> Vec<u128> {
    let keys = actions.iter().filter_map(|action| match action {
        Action::Send(pending) => Some(pending.key.as_u128()),
        _ => None,
    });
    keys.collect()
}

fn key(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

#[test]
fn a_command_is_kept_and_then_sent_at_once() {
    let mut outbox = Outbox::default();
    let actions = outbox.put(command(1));
    assert_eq!(actions[0], Action::Keep(command(1)));
    assert_eq!(sent(&actions), [1]);
    assert_eq!(outbox.stage(key(1)), Some(&Stage::Sending));
}

#[test]
fn commands_go_one_after_the_other_in_the_order_in_which_they_were_made() {
    let mut outbox = Outbox::default();
    outbox.link(Link::Offline);
    assert_eq!(sent(&outbox.put(command(2))), []);
    assert_eq!(sent(&outbox.put(command(1))), []);
    assert_eq!(sent(&outbox.link(Link::Live)), [1]);
    assert_eq!(sent(&outbox.link(Link::Live)), []);
    assert_eq!(sent(&outbox.answered(key(1), accepted(), 0, 0.0)), [2]);
}

#[test]
fn a_lost_answer_is_asked_for_again_under_the_same_key_after_a_while() {
    let mut outbox = Outbox::default();
    outbox.put(command(1));
    let kept = outbox.answered(key(1), problem(0), 100, 0.0);
    assert!(matches!(kept.as_slice(), [Action::Keep(pending)] if pending.was_sent));
    assert_eq!(outbox.tick(100), []);
    let wake = outbox.wake_at().unwrap();
    assert_eq!(sent(&outbox.tick(wake)), [1]);
}

#[test]
fn the_connection_that_is_back_ends_the_waiting() {
    let mut outbox = Outbox::default();
    outbox.put(command(1));
    outbox.answered(key(1), problem(503), 100, 1.0);
    assert_eq!(sent(&outbox.link(Link::Reconnecting(2))), []);
    assert_eq!(sent(&outbox.link(Link::Live)), [1]);
}

#[test]
fn an_accepted_command_is_kept_no_longer_and_still_known() {
    let mut outbox = Outbox::default();
    outbox.put(command(1));
    assert_eq!(
        outbox.answered(key(1), accepted(), 0, 0.0),
        [Action::Forget(key(1))]
    );
    assert_eq!(
        outbox.stage(key(1)),
        Some(&Stage::Accepted("0:9".parse().unwrap()))
    );
}

#[test]
fn a_refusal_is_kept_until_it_has_been_read_and_does_not_hold_up_the_next() {
    let mut outbox = Outbox::default();
    outbox.put(command(1));
    outbox.put(command(2));
    let actions = outbox.answered(key(1), problem(422), 0, 0.0);
    assert!(matches!(&actions[0], Action::Keep(pending) if pending.problem().is_some()));
    assert_eq!(sent(&actions), [2]);
    assert_eq!(outbox.discard(key(1)), [Action::Forget(key(1))]);
    assert_eq!(outbox.stage(key(1)), None);
}

#[test]
fn without_a_session_everything_waits_and_is_sent_after_signing_in() {
    let mut outbox = Outbox::default();
    outbox.put(command(1));
    outbox.answered(key(1), problem(401), 0, 0.0);
    assert!(outbox.is_over());
    assert_eq!(outbox.wake_at(), None);
    assert_eq!(sent(&outbox.put(command(2))), []);
    assert!(outbox.all()[0].can_be_discarded(), "nobody has heard it");
    // The next page begins with a session, and with what was kept.
    let mut next = Outbox::default();
    assert_eq!(sent(&next.found(outbox.all().to_vec())), [1]);
}

#[test]
fn only_what_has_never_left_can_be_discarded() {
    let mut outbox = Outbox::default();
    outbox.link(Link::Offline);
    outbox.put(command(1));
    assert_eq!(outbox.discard(key(1)), [Action::Forget(key(1))]);
    outbox.link(Link::Live);
    outbox.put(command(2));
    assert_eq!(outbox.discard(key(2)), [], "it is on its way");
    outbox.answered(key(2), problem(0), 0, 0.0);
    assert_eq!(outbox.discard(key(2)), [], "it may have arrived");
}

#[test]
fn what_is_kept_survives_a_reload_as_it_was() {
    let mut pending = command(1);
    pending.expected = Some(3);
    pending.preview = Some(json!({"id": "1"}));
    assert_eq!(Pending::from_json(pending.to_json()), Some(pending.clone()));
    // What was on its way when the page ended may have arrived.
    pending.stage = Stage::Sending;
    let found = Pending::from_json(pending.to_json()).unwrap();
    assert_eq!((found.stage, found.was_sent), (Stage::Waiting, true));
    let Answer::Problem(refusal) = problem(422) else {
        unreachable!()
    };
    pending.stage = Stage::Refused(refusal);
    assert_eq!(
        Pending::from_json(pending.to_json()).map(|found| found.stage),
        Some(pending.stage)
    );
    assert_eq!(Pending::from_json(json!({"key": "1"})), None);
}

#[test]
fn another_tab_may_answer_first() {
    let mut outbox = Outbox::default();
    outbox.link(Link::Offline);
    outbox.found(vec![command(1), command(2)]);
    outbox.forgotten(key(1));
    assert_eq!(sent(&outbox.link(Link::Live)), [2]);
    // What this tab is waiting for itself is its own to end.
    outbox.forgotten(key(2));
    assert_eq!(outbox.stage(key(2)), Some(&Stage::Sending));
}
