//! The document of a process: its state, its unsent commands and its timers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FAILED, OPEN, Reaction, TIMERS, WORK};
use crate::{timestamp::Timestamp, view::ListingEntry};

/// The name space of the ids of policies' commands (UUIDv5). Part of the stored format.
const COMMAND_NAMESPACE: Uuid = Uuid::from_u128(0x1f0c_7d3e_9a41_5b68_8e27_c65d_04ab_93f1);

/// The maximum number of refusals in the document.
const MAX_REFUSALS: usize = 20;

/// A command without a final answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingCommand {
    /// The command's id: the same for the same policy, event and step.
    pub command_id: Uuid,
    /// The command's name.
    #[serde(rename = "type")]
    pub command_type: String,
    /// The stream that it is sent to.
    pub stream: String,
    /// Its fields.
    pub data: serde_json::Value,
    /// The event that caused it.
    pub causation_id: Uuid,
    /// The correlation id of that event.
    pub correlation_id: Uuid,
}

/// A timer of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// Its name.
    pub name: String,
    /// The time of its start, by the workspace's clock.
    pub begun_at: Timestamp,
    /// Its duration, in milliseconds of the workspace's clock.
    pub after_ms: u64,
    /// The time of its expiry, by the workspace's clock; absent until it is scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The command whose unanswered attempt starts the timer; absent once it has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<Uuid>,
    /// The event that caused it.
    pub causation_id: Uuid,
    /// The correlation id of that event.
    pub correlation_id: Uuid,
}

impl Timer {
    fn is_to_be_scheduled(&self) -> bool {
        self.due_at.is_none() && self.waits_for.is_none()
    }

    /// The time of its expiry, whether or not it is scheduled; `None`: it has not started.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        if self.waits_for.is_some() {
            return None;
        }
        let micros = i64::try_from(self.after_ms)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000);
        let after = || Timestamp::from_micros(self.begun_at.as_micros().saturating_add(micros));
        Some(self.due_at.unwrap_or_else(after))
    }
}

/// The final refusal of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The command.
    pub command_id: Uuid,
    /// The reason.
    pub reason: String,
}

/// A lease of a command without an answer, for servers that run the same policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The server that sends it again.
    pub server: Uuid,
    /// By when it does, by that server's clock. Each attempt has another time.
    pub sends_by: Timestamp,
}

/// A command that was refused for good and that a person has to settle: a dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedCommand {
    /// The command.
    pub command: PendingCommand,
    /// The reason of its last refusal.
    pub reason: String,
    /// How often it was refused.
    pub attempts: u32,
    /// The time of its last refusal, by the machine's clock.
    pub refused_at: Timestamp,
}

/// The outcome of sending a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// It was accepted.
    Accepted,
    /// It was refused for good, with the reason.
    Refused(String),
    /// It is unanswered, and will be sent again.
    Unanswered {
        /// When it was sent, by the workspace's clock: a deadline of its answer begins then, and not when the
        /// answer is missed, because the clock may be put forward in between.
        sent_at: Timestamp,
    },
}

/// The current time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By the machine's clock.
    pub machine: Timestamp,
    /// By the workspace's clock.
    pub workspace: Timestamp,
}

/// The document of a process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Process<S = serde_json::Value> {
    /// The state of the policy.
    pub state: S,
    /// The unsent commands, in order.
    #[serde(default)]
    pub pending: Vec<PendingCommand>,
    /// The timers.
    #[serde(default)]
    pub timers: Vec<Timer>,
    /// The newest refusals.
    #[serde(default)]
    pub refused: Vec<Refusal>,
    /// The refused commands that a person has to settle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedCommand>,
    /// The leases of unsent commands, by their ids; absent for one that its own server sends at once.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leases: BTreeMap<Uuid, Lease>,
}

/// The cause of a reaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause<'a> {
    pub(super) policy: &'a str,
    /// The source of the commands' ids: the event, or the refused command.
    pub(super) seed: Uuid,
    /// The expired timer; empty for other causes.
    pub(super) timer: &'a str,
    pub(super) causation_id: Uuid,
    pub(super) correlation_id: Uuid,
    pub(super) at: Timestamp,
}

/// The id of a policy's command for an event at a step; `timer` is the expired timer, or empty.
pub fn command_id(policy: &str, event: Uuid, timer: &str, step: &str) -> Uuid {
    Uuid::new_v5(
        &COMMAND_NAMESPACE,
        format!("{policy}/{event}/{timer}/{step}").as_bytes(),
    )
}

impl<S> Process<S> {
    pub(super) fn record(&mut self, reactions: Vec<Reaction>, cause: Cause<'_>) {
        for reaction in reactions {
            match reaction {
                Reaction::Send {
                    step,
                    command_type,
                    stream,
                    data,
                } => self.pending.push(PendingCommand {
                    command_id: command_id(cause.policy, cause.seed, cause.timer, &step),
                    command_type: command_type.to_owned(),
                    stream,
                    data,
                    causation_id: cause.causation_id,
                    correlation_id: cause.correlation_id,
                }),
                Reaction::StartTimer { name, after_ms } => self.start(name, after_ms, None, cause),
                Reaction::StartDeadline { name, after_ms, step } => {
                    let command = command_id(cause.policy, cause.seed, cause.timer, &step);
                    self.start(name, after_ms, Some(command), cause);
                }
                Reaction::StopTimer { name } => self.timers.retain(|timer| timer.name != name),
            }
        }
    }

    fn start(&mut self, name: &str, after_ms: u64, waits_for: Option<Uuid>, cause: Cause<'_>) {
        self.timers.retain(|timer| timer.name != name);
        self.timers.push(Timer {
            name: name.to_owned(),
            begun_at: cause.at,
            after_ms,
            due_at: None,
            waits_for,
            causation_id: cause.causation_id,
            correlation_id: cause.correlation_id,
        });
    }

    /// Applies the outcome of a sent command. Returns the command if that removed it from the pending ones.
    pub(super) fn sent(&mut self, command_id: Uuid, outcome: &SendOutcome) -> Option<PendingCommand> {
        if let SendOutcome::Unanswered { sent_at } = outcome {
            for timer in &mut self.timers {
                if timer.waits_for == Some(command_id) {
                    timer.waits_for = None;
                    timer.begun_at = *sent_at;
                }
            }
            return None;
        }
        let index = self
            .pending
            .iter()
            .position(|pending| pending.command_id == command_id)?;
        let command = self.pending.remove(index);
        // The same event and step may have added it twice.
        self.carried_out(command_id);
        if let SendOutcome::Refused(reason) = outcome {
            self.refused.push(Refusal {
                command_id,
                reason: reason.clone(),
            });
            let surplus = self.refused.len().saturating_sub(MAX_REFUSALS);
            self.refused.drain(..surplus);
        }
        Some(command)
    }

    /// Removes a command that has an event: it was carried out, whether or not its answer has arrived.
    pub(super) fn carried_out(&mut self, command_id: Uuid) {
        self.pending.retain(|pending| pending.command_id != command_id);
        self.timers.retain(|timer| timer.waits_for != Some(command_id));
        self.leases.remove(&command_id);
    }

    fn is_pending(&self, command_id: Uuid) -> bool {
        let mut pending = self.pending.iter();
        pending.any(|pending| pending.command_id == command_id)
    }

    /// Gives a command without an answer a lease, or renews it.
    pub fn renew(&mut self, command_id: Uuid, lease: Lease) {
        if self.is_pending(command_id) {
            self.leases.insert(command_id, lease);
        }
    }

    /// Takes a command over whose lease is `seen`; with another one, it is another server's.
    pub fn take_over(&mut self, command_id: Uuid, seen: Option<Lease>, lease: Option<Lease>) {
        if self.leases.get(&command_id).copied() == seen
            && let Some(lease) = lease
        {
            self.renew(command_id, lease);
        }
    }

    /// Keeps a refused command as a dead letter.
    pub(super) fn fail(&mut self, command: PendingCommand, reason: &str, refused_at: Timestamp) {
        let id = command.command_id;
        let refusals = self.refused.iter().filter(|refusal| refusal.command_id == id);
        self.failed.push(FailedCommand {
            command,
            reason: reason.to_owned(),
            attempts: u32::try_from(refusals.count()).unwrap_or(u32::MAX),
            refused_at,
        });
    }

    /// Settles a dead letter: the command is sent again, or discarded. Returns whether there is one of this
    /// id.
    pub fn settle(&mut self, command_id: Uuid, send_again: bool) -> bool {
        let is_it = |failed: &FailedCommand| failed.command.command_id == command_id;
        let Some(index) = self.failed.iter().position(is_it) else {
            return false;
        };
        let FailedCommand { command, .. } = self.failed.remove(index);
        if send_again {
            self.pending.push(command);
        }
        true
    }

    /// Sets the expiry of unscheduled timers.
    pub(super) fn schedule(&mut self) {
        for timer in self.timers.iter_mut().filter(|timer| timer.is_to_be_scheduled()) {
            timer.due_at = timer.expires_at();
        }
    }

    /// Takes the timer out that expires first, if it does so by `now`; with the time of its expiry.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(Timer, Timestamp)> {
        let expiries = self.timers.iter().enumerate();
        let expiries = expiries.filter_map(|(index, timer)| Some((timer.expires_at()?, index)));
        let (expires_at, index) = expiries.min()?;
        (expires_at <= now).then(|| (self.timers.remove(index), expires_at))
    }

    /// Whether it has started timers that are not scheduled yet.
    pub fn is_to_be_scheduled(&self) -> bool {
        self.timers.iter().any(Timer::is_to_be_scheduled)
    }

    /// Whether a deadline starts with the first unanswered attempt of this command.
    pub fn starts_deadline(&self, command_id: Uuid) -> bool {
        self.timers
            .iter()
            .any(|timer| timer.waits_for == Some(command_id))
    }

    /// The earliest expiry of its scheduled timers, by the workspace's clock.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.iter().filter_map(|timer| timer.due_at).min()
    }

    /// Its listing entries.
    pub fn listings(&self) -> Vec<ListingEntry> {
        let mut entries = Vec::new();
        if !self.pending.is_empty() || !self.timers.is_empty() || !self.failed.is_empty() {
            entries.push(ListingEntry::new(OPEN, ""));
        }
        if !self.failed.is_empty() {
            entries.push(ListingEntry::new(FAILED, ""));
        }
        if !self.pending.is_empty() || self.is_to_be_scheduled() {
            entries.push(ListingEntry::new(WORK, ""));
        }
        if let Some(due) = self.next_due() {
            entries.push(ListingEntry::new(
                TIMERS,
                format!("{:020}", due.as_micros().max(0)),
            ));
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        machine: Timestamp::from_micros(9_000_000),
        workspace: Timestamp::from_micros(9_005_000),
    };

    const UNANSWERED: SendOutcome = SendOutcome::Unanswered {
        sent_at: NOW.workspace,
    };

    fn cause(timer: &str) -> Cause<'_> {
        Cause {
            policy: "test",
            seed: Uuid::from_u128(1),
            timer,
            causation_id: Uuid::from_u128(1),
            correlation_id: Uuid::from_u128(2),
            at: Timestamp::from_micros(1_000_000),
        }
    }

    fn send(step: &'static str) -> Reaction {
        Reaction::Send {
            step: step.into(),
            command_type: "ReceiveStock",
            stream: "inventory-mug".to_owned(),
            data: serde_json::json!({"quantity": 1}),
        }
    }

    #[test]
    fn a_command_id_is_the_same_for_the_same_event_and_step_and_no_other() {
        let mut process = Process::<u64>::default();
        process.record(vec![send("a"), send("b")], cause(""));
        process.record(vec![send("a")], cause(""));
        process.record(vec![send("a")], cause("deadline"));
        let ids: Vec<_> = process.pending.iter().map(|pending| pending.command_id).collect();
        assert_eq!(ids[0], ids[2]);
        assert!(ids[0] != ids[1] && ids[0] != ids[3] && ids[1] != ids[3]);
        assert!(process.sent(ids[0], &SendOutcome::Accepted).is_some());
        assert_eq!(
            process.pending.len(),
            2,
            "the duplicate is removed with the first"
        );
    }

    #[test]
    fn a_command_with_an_event_is_not_sent_again_and_has_no_deadline() {
        let mut process = Process::<u64>::default();
        let deadline = Reaction::StartDeadline {
            name: "deadline",
            after_ms: 20,
            step: "a".into(),
        };
        process.record(vec![send("a"), send("b"), deadline], cause(""));
        let [a, b] = [0, 1].map(|n: usize| process.pending[n].command_id);
        process.carried_out(a);
        let pending: Vec<_> = process.pending.iter().map(|pending| pending.command_id).collect();
        assert_eq!(pending, [b]);
        assert_eq!(process.timers, []);
        assert_eq!(
            process.sent(a, &SendOutcome::Accepted),
            None,
            "its answer comes later"
        );
    }

    #[test]
    fn a_timer_is_due_after_its_duration_and_one_with_the_same_name_restarts() {
        let start = |name, after_ms| Reaction::StartTimer { name, after_ms };
        let mut process = Process::<u64>::default();
        process.record(vec![start("a", 10), start("b", 20), start("a", 30)], cause(""));
        let open = ListingEntry::new(OPEN, "");
        assert_eq!(process.listings(), [open.clone(), ListingEntry::new(WORK, "")]);
        process.schedule();
        let due: Vec<_> = process
            .timers
            .iter()
            .map(|timer| timer.due_at.unwrap().as_micros())
            .collect();
        assert_eq!(due, [1_020_000, 1_030_000]);
        let timers = ListingEntry::new(TIMERS, format!("{:020}", 1_020_000));
        assert_eq!(process.listings(), [open, timers]);
        process.record(
            vec![
                Reaction::StopTimer { name: "b" },
                Reaction::StopTimer { name: "c" },
            ],
            cause(""),
        );
        assert_eq!(process.timers.len(), 1);
    }

    #[test]
    fn the_timer_that_expires_first_is_taken_first_also_if_it_is_not_scheduled() {
        let start = |name, after_ms| Reaction::StartTimer { name, after_ms };
        let mut process = Process::<u64>::default();
        process.record(vec![start("late", 30), start("first", 10)], cause(""));
        process.schedule();
        process.record(vec![start("second", 20)], cause(""));
        let at = |ms: i64| Timestamp::from_micros(1_000_000 + ms * 1_000);
        let mut take = |now| {
            let taken = process.take_due(now);
            taken.map(|(timer, expiry)| (timer.name, expiry))
        };
        assert_eq!(take(at(9)), None);
        assert_eq!(take(at(25)), Some(("first".to_owned(), at(10))));
        assert_eq!(take(at(25)), Some(("second".to_owned(), at(20))));
        assert_eq!(take(at(25)), None);
    }

    #[test]
    fn only_the_newest_refusals_are_stored() {
        let mut process = Process::<u64>::default();
        for n in 0..30 {
            process.record(vec![send("a")], cause(&n.to_string()));
            let id = process.pending[0].command_id;
            process.sent(id, &SendOutcome::Refused(n.to_string()));
        }
        assert_eq!(process.refused.len(), MAX_REFUSALS);
        assert_eq!(process.refused[0].reason, "10");
    }

    #[test]
    fn a_lease_is_renewed_taken_over_once_and_ends_with_its_command() {
        let lease = |server| Lease {
            server: Uuid::from_u128(server),
            sends_by: Timestamp::from_micros(1),
        };
        let mut process = Process::<u64>::default();
        process.record(vec![send("a"), send("b")], cause(""));
        let [a, b] = [0, 1].map(|n: usize| process.pending[n].command_id);
        process.renew(a, lease(1));
        process.renew(Uuid::nil(), lease(1));
        process.take_over(b, None, Some(lease(2)));
        process.take_over(b, None, Some(lease(3)));
        let stored = serde_json::to_string(&process).unwrap();
        let mut stored: Process<u64> = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored.leases, BTreeMap::from([(a, lease(1)), (b, lease(2))]));
        stored.take_over(a, Some(lease(1)), Some(lease(3)));
        assert_eq!(stored.leases[&a], lease(3));
        stored.carried_out(a);
        stored.sent(b, &SendOutcome::Accepted);
        assert!(stored.leases.is_empty());
        stored.take_over(a, None, Some(lease(3)));
        let stored = serde_json::to_value(&stored).unwrap();
        assert_eq!(stored.get("leases"), None);
    }

    #[test]
    fn a_dead_letter_keeps_the_process_open_until_it_is_settled() {
        let mut process = Process::<u64>::default();
        process.record(vec![send("a")], cause(""));
        let id = process.pending[0].command_id;
        for attempts in 1..=2 {
            let refused = SendOutcome::Refused("no".to_owned());
            let command = process.sent(id, &refused).unwrap();
            process.fail(command, "no", NOW.machine);
            let [failed] = &process.failed[..] else {
                panic!("{process:?}");
            };
            assert_eq!((failed.attempts, failed.refused_at), (attempts, NOW.machine));
            let listings = [OPEN, FAILED].map(|listing| ListingEntry::new(listing, ""));
            assert_eq!(process.listings(), listings);
            assert!(!process.settle(Uuid::nil(), true));
            assert!(process.settle(id, true));
            assert_eq!(process.pending[0].command_id, id);
        }
        let command = process.pending.remove(0);
        process.fail(command, "no", NOW.machine);
        let stored = serde_json::to_string(&process).unwrap();
        let mut stored: Process<u64> = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored.failed, process.failed);
        assert!(stored.settle(id, false));
        assert_eq!(stored.listings(), []);
        assert!(!stored.settle(id, false));
        let stored = serde_json::to_value(&stored).unwrap();
        assert_eq!(stored.get("failed"), None);
    }

    #[test]
    fn a_deadline_starts_with_the_first_unanswered_attempt() {
        let begun = || {
            let mut process = Process::<u64>::default();
            let deadline = Reaction::StartDeadline {
                name: "deadline",
                after_ms: 20,
                step: "a".into(),
            };
            process.record(vec![send("a"), deadline], cause(""));
            process
        };
        let mut process = begun();
        let id = process.pending[0].command_id;
        process.schedule();
        assert_eq!(process.timers[0].due_at, None, "the command has not been sent");
        assert_eq!(process.take_due(Timestamp::from_micros(i64::MAX)), None);
        assert!(process.starts_deadline(id));
        assert_eq!(process.next_due(), None);
        assert_eq!(process.sent(id, &UNANSWERED), None);
        process.schedule();
        let due = Some(Timestamp::from_micros(9_025_000));
        assert_eq!(process.timers[0].due_at, due);
        assert_eq!(process.next_due(), due);
        assert!(!process.starts_deadline(id), "later attempts change nothing");
        let later = SendOutcome::Unanswered {
            sent_at: Timestamp::from_micros(10_000_000),
        };
        process.sent(id, &later);
        process.schedule();
        assert_eq!(process.timers[0].due_at, due, "it does not start again");
        assert!(process.sent(id, &SendOutcome::Accepted).is_some());
        assert_eq!(
            process.timers.len(),
            1,
            "a started timer runs until it is stopped"
        );

        let mut answered = begun();
        assert!(answered.sent(id, &SendOutcome::Accepted).is_some());
        assert_eq!(
            answered.timers,
            [],
            "a command answered at once needs no deadline"
        );
    }
}
