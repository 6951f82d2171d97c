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
        workspace: None,
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
fn a_command_is_persisted_and_then_sent_at_once() {
    let mut queue = CommandQueue::default();
    let actions = queue.enqueue(command(1));
    assert_eq!(actions[0], Action::Persist(command(1)));
    assert_eq!(sent(&actions), [1]);
    assert_eq!(queue.stage(key(1)), Some(&Stage::Sending));
}

#[test]
fn commands_are_sent_one_at_a_time_in_the_order_of_their_creation() {
    let mut queue = CommandQueue::default();
    queue.link(Link::Offline);
    assert_eq!(sent(&queue.enqueue(command(2))), []);
    assert_eq!(sent(&queue.enqueue(command(1))), []);
    assert_eq!(sent(&queue.link(Link::Live)), [1]);
    assert_eq!(sent(&queue.link(Link::Live)), []);
    assert_eq!(sent(&queue.answered(key(1), accepted(), 0, 0.0)), [2]);
}

#[test]
fn a_command_without_an_answer_is_sent_again_under_the_same_key_after_a_while() {
    let mut queue = CommandQueue::default();
    queue.enqueue(command(1));
    let actions = queue.answered(key(1), problem(0), 100, 0.0);
    assert!(matches!(actions.as_slice(), [Action::Persist(pending)] if pending.was_sent));
    assert_eq!(queue.tick(100), []);
    let wake = queue.wake_at().unwrap();
    assert_eq!(sent(&queue.tick(wake)), [1]);
}

#[test]
fn a_restored_connection_ends_the_wait() {
    let mut queue = CommandQueue::default();
    queue.enqueue(command(1));
    queue.answered(key(1), problem(503), 100, 1.0);
    assert_eq!(sent(&queue.link(Link::Reconnecting(2))), []);
    assert_eq!(sent(&queue.link(Link::Live)), [1]);
}

#[test]
fn an_accepted_command_is_deleted_from_storage_and_stays_in_memory() {
    let mut queue = CommandQueue::default();
    queue.enqueue(command(1));
    assert_eq!(
        queue.answered(key(1), accepted(), 0, 0.0),
        [Action::Delete(key(1))]
    );
    assert_eq!(
        queue.stage(key(1)),
        Some(&Stage::Accepted("0:9".parse().unwrap()))
    );
}

#[test]
fn a_refusal_is_persisted_until_it_has_been_read_and_does_not_delay_the_next_command() {
    let mut queue = CommandQueue::default();
    queue.enqueue(command(1));
    queue.enqueue(command(2));
    let actions = queue.answered(key(1), problem(422), 0, 0.0);
    assert!(matches!(&actions[0], Action::Persist(pending) if pending.problem().is_some()));
    assert_eq!(sent(&actions), [2]);
    assert_eq!(queue.discard(key(1)), [Action::Delete(key(1))]);
    assert_eq!(queue.stage(key(1)), None);
}

#[test]
fn without_a_session_everything_waits_and_is_sent_after_signing_in() {
    let mut queue = CommandQueue::default();
    queue.enqueue(command(1));
    queue.answered(key(1), problem(401), 0, 0.0);
    assert!(queue.is_session_ended());
    assert_eq!(queue.wake_at(), None);
    assert_eq!(sent(&queue.enqueue(command(2))), []);
    assert!(queue.all()[0].can_be_discarded(), "the server has not read it");
    // The next page begins with a session and with the persisted commands.
    let mut next = CommandQueue::default();
    assert_eq!(sent(&next.restore(queue.all().to_vec())), [1]);
}

#[test]
fn only_a_command_that_was_never_sent_can_be_discarded() {
    let mut queue = CommandQueue::default();
    queue.link(Link::Offline);
    queue.enqueue(command(1));
    assert_eq!(queue.discard(key(1)), [Action::Delete(key(1))]);
    queue.link(Link::Live);
    queue.enqueue(command(2));
    assert_eq!(queue.discard(key(2)), [], "it is on its way");
    queue.answered(key(2), problem(0), 0, 0.0);
    assert_eq!(queue.discard(key(2)), [], "it may have arrived");
}

#[test]
fn a_persisted_command_survives_a_reload_unchanged() {
    let mut pending = command(1);
    pending.expected = Some(3);
    pending.preview = Some(json!({"id": "1"}));
    assert_eq!(Pending::from_json(pending.to_json()), Some(pending.clone()));
    // A command that was unanswered when the page ended may have arrived.
    pending.stage = Stage::Sending;
    let restored = Pending::from_json(pending.to_json()).unwrap();
    assert_eq!((restored.stage, restored.was_sent), (Stage::Waiting, true));
    let Answer::Problem(refusal) = problem(422) else {
        unreachable!()
    };
    pending.stage = Stage::Refused(refusal);
    assert_eq!(
        Pending::from_json(pending.to_json()).map(|restored| restored.stage),
        Some(pending.stage)
    );
    assert_eq!(Pending::from_json(json!({"key": "1"})), None);
}

#[test]
fn another_tab_may_answer_first() {
    let mut queue = CommandQueue::default();
    queue.link(Link::Offline);
    queue.restore(vec![command(1), command(2)]);
    queue.deleted_elsewhere(key(1));
    assert_eq!(sent(&queue.link(Link::Live)), [2]);
    // A command that this tab has sent is this tab's to finish.
    queue.deleted_elsewhere(key(2));
    assert_eq!(queue.stage(key(2)), Some(&Stage::Sending));
}
