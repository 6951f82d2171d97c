//! One clock: the events and timers of a workspace go by it, and an educator may put it forward at any
//! moment. In every interleaving of leaps, attempts to charge, answers and timers, what was due first happens
//! first: an order is confirmed if its charge was answered before the deadline, and rejected if not.

use std::collections::VecDeque;

use proptest::prelude::*;
use serde_json::value::{RawValue, to_raw_value};

use super::*;
use crate::{
    policy::{AnyPolicy as _, ErasedPolicy, Now, Process, SendOutcome},
    view::AnyView as _,
};

const POLICY: ErasedPolicy<Fulfilment> = ErasedPolicy::new();

const DEADLINE: i64 = 5_000;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Time passes, in milliseconds.
    Pass(i64),
    /// The clock is put forward, in milliseconds.
    Leap(i64),
    /// The runner sends the charge, if it waits.
    Send,
    /// The provider is asked, and answers or not.
    Ask,
    /// The runner records the outcome of the attempt.
    Record,
    /// The lane folds the next event.
    Deliver,
    /// The runner expires what is due.
    Expire,
}

/// An attempt to charge, which is not recorded yet.
struct Attempt {
    command: Uuid,
    sent_at: i64,
    outcome: Option<SendOutcome>,
}

/// An order that is to be charged; times are in milliseconds of the workspace's clock.
struct Shop {
    now: i64,
    process: Box<RawValue>,
    /// Recorded, and not folded.
    log: VecDeque<TypedEvent>,
    attempt: Option<Attempt>,
    /// How long after the first request the provider answers.
    delay: i64,
    asked_at: Option<i64>,
    /// When the charge was recorded.
    charged_at: Option<i64>,
    /// When the first attempt without an answer was sent.
    deadline_began: Option<i64>,
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

impl Shop {
    fn open(delay: i64) -> Self {
        let mut shop = Self {
            now: 1_000,
            process: RawValue::NULL.to_owned(),
            log: VecDeque::new(),
            attempt: None,
            delay,
            asked_at: None,
            charged_at: None,
            deadline_began: None,
        };
        let mut folding = POLICY.load("1", None).unwrap();
        for mut event in [created(), reserved("cup"), reserved("mug")] {
            event.recorded_at = at(shop.now);
            folding.fold(&event);
        }
        shop.process = folding.document().unwrap().unwrap();
        shop
    }

    fn parsed(&self) -> Process {
        serde_json::from_str(self.process.get()).unwrap()
    }

    fn set(&mut self, process: &Process) {
        self.process = to_raw_value(process).unwrap();
    }

    fn charge(&self) -> Option<Uuid> {
        let pending = self.parsed().pending.into_iter();
        let mut charges = pending.filter(|command| command.command_type == "ProcessPayment");
        charges.next().map(|command| command.command_id)
    }

    fn send(&mut self) {
        // As the runner: what is due expires first.
        let is_due = self.parsed().next_due().is_some_and(|due| due <= at(self.now));
        if self.attempt.is_none()
            && !is_due
            && let Some(command) = self.charge()
        {
            self.attempt = Some(Attempt {
                command,
                sent_at: self.now,
                outcome: None,
            });
        }
    }

    fn ask(&mut self) {
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.outcome.is_none()) else {
            return;
        };
        let asked_at = *self.asked_at.get_or_insert(self.now);
        if self.now < asked_at + self.delay {
            let sent_at = at(attempt.sent_at);
            attempt.outcome = Some(SendOutcome::Unanswered { sent_at });
            return;
        }
        attempt.outcome = Some(SendOutcome::Accepted);
        let mut event = processed();
        event.recorded_at = at(self.now);
        event.metadata.command_id = attempt.command;
        self.log.push_back(event);
        self.charged_at = Some(self.now);
    }

    fn record(&mut self) {
        let Some(attempt) = self.attempt.take_if(|attempt| attempt.outcome.is_some()) else {
            return;
        };
        let outcome = attempt.outcome.unwrap();
        if let SendOutcome::Unanswered { .. } = outcome {
            self.deadline_began.get_or_insert(attempt.sent_at);
        }
        let now = Now {
            machine: at(self.now),
            workspace: at(self.now),
        };
        let sent = [(attempt.command, outcome)];
        let after = POLICY.sent(&self.process, &sent, now).unwrap();
        self.set(&after);
    }

    fn deliver(&mut self) {
        if let Some(event) = self.log.pop_front() {
            let mut folding = POLICY.load("1", Some(&*self.process)).unwrap();
            folding.fold(&event);
            self.process = folding.document().unwrap().unwrap();
        }
    }

    /// Expires what is due at a time, after the events that are in the log.
    fn expire(&mut self, now: i64) {
        while !self.log.is_empty() {
            self.deliver();
        }
        let after = POLICY.expire(&self.process, at(now)).unwrap();
        self.set(&after);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Pass(ms) => self.now += ms,
            Step::Leap(ms) => {
                self.expire(self.now + ms);
                self.now += ms;
            }
            Step::Send => self.send(),
            Step::Ask => self.ask(),
            Step::Record => self.record(),
            Step::Deliver => self.deliver(),
            Step::Expire => self.expire(self.now),
        }
    }

    /// The first command to the order, which decides it: the commands of a stream are sent in their order.
    fn decision(&self) -> Option<String> {
        let pending = self.parsed().pending.into_iter();
        let mut decisions = pending.filter(|command| command.stream == "order-1");
        decisions.next().map(|command| command.command_type)
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..4_000_i64).prop_map(Step::Pass),
        2 => prop_oneof![0..9_000_i64, Just(3_600_000)].prop_map(Step::Leap),
        4 => Just(Step::Send),
        4 => Just(Step::Ask),
        4 => Just(Step::Record),
        2 => Just(Step::Deliver),
        2 => Just(Step::Expire),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_was_due_first_happened_first_in_every_interleaving_of_leaps_charges_and_timers(
        delay in prop_oneof![0..10_000_i64, Just(8_000), Just(0)],
        steps in steps(),
    ) {
        let mut shop = Shop::open(delay);
        for step in steps {
            shop.run(step);
        }
        for _ in 0..3 {
            for step in [Step::Send, Step::Ask, Step::Record, Step::Leap(20_000), Step::Expire] {
                shop.run(step);
            }
        }
        let deadline = shop.deadline_began.map(|began| began + DEADLINE);
        let charged_at = shop.charged_at.unwrap();
        let is_in_time = deadline.is_none_or(|deadline| charged_at < deadline);
        let expected = if is_in_time { "ConfirmOrder" } else { "RejectOrder" };
        let decision = shop.decision();
        prop_assert_eq!(
            decision.as_deref(),
            Some(expected),
            "by {:?}, charged at {}",
            deadline,
            charged_at
        );
    }
}

#[test]
fn a_leap_between_the_request_and_the_record_of_its_missing_answer_does_not_move_the_deadline() {
    let mut shop = Shop::open(8_000);
    for step in [Step::Send, Step::Ask, Step::Leap(3_600_000), Step::Record] {
        shop.run(step);
    }
    assert_eq!(shop.parsed().next_due(), Some(at(6_000)));
    for step in [Step::Expire, Step::Send, Step::Ask, Step::Record, Step::Deliver] {
        shop.run(step);
    }
    assert_eq!(shop.decision().as_deref(), Some("RejectOrder"));
    assert!(shop.charged_at.is_some(), "it was answered after the deadline");
}

#[test]
fn a_late_charge_that_is_folded_before_the_deadline_was_expired_comes_after_it() {
    let mut shop = Shop::open(8_000);
    for step in [Step::Send, Step::Ask, Step::Record, Step::Send] {
        shop.run(step);
    }
    for step in [Step::Pass(9_000), Step::Ask, Step::Deliver] {
        shop.run(step);
    }
    let pending = shop.parsed().pending.into_iter();
    let decisions = pending.filter(|command| command.stream == "order-1");
    let decisions: Vec<_> = decisions.map(|command| command.command_type).collect();
    assert_eq!(decisions, ["RejectOrder", "ConfirmOrder"]);
}
