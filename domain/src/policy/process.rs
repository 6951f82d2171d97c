//! The document of a process: what it remembers, what is to be sent, and what it waits for.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{OPEN, Reaction, TIMERS, WORK};
use crate::{timestamp::Timestamp, view::ListingEntry};

/// The name space of the ids of policies' commands (UUIDv5). Part of the stored format.
const COMMAND_NAMESPACE: Uuid = Uuid::from_u128(0x1f0c_7d3e_9a41_5b68_8e27_c65d_04ab_93f1);

/// Refusals that a process remembers.
const REFUSALS: usize = 20;

/// A command that is to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingCommand {
    /// The same for the same policy, event and step.
    pub command_id: Uuid,
    /// The command's name.
    #[serde(rename = "type")]
    pub command_type: String,
    /// The stream it is for.
    pub stream: String,
    /// Its fields.
    pub data: serde_json::Value,
    /// The event that caused it.
    pub causation_id: Uuid,
    /// The intention behind that.
    pub correlation_id: Uuid,
}

/// A timer of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// Its name.
    pub name: String,
    /// When the event happened that began it, by the machine's clock.
    pub begun_at: Timestamp,
    /// How long it runs.
    pub after_ms: u64,
    /// When it runs out, by the workspace's clock; absent until that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// It begins when this command was sent and not answered; absent where it has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<Uuid>,
    /// The event that began it.
    pub causation_id: Uuid,
    /// The intention behind that.
    pub correlation_id: Uuid,
}

impl Timer {
    fn is_to_be_scheduled(&self) -> bool {
        self.due_at.is_none() && self.waits_for.is_none()
    }

    /// When it runs out by the machine's clock, were the workspace's not ahead of it.
    pub(super) fn ran_out_at(&self) -> Timestamp {
        let micros = i64::try_from(self.after_ms)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000);
        Timestamp::from_micros(self.begun_at.as_micros().saturating_add(micros))
    }
}

/// A command that was refused; a policy has to live with that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The command.
    pub command_id: Uuid,
    /// Why.
    pub reason: String,
}

/// What became of a command that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It was carried out.
    Accepted,
    /// It was refused for ever, and why.
    Refused(String),
    /// It has no answer yet, and will be sent again.
    Unanswered,
}

/// What time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By the machine's clock.
    pub machine: Timestamp,
    /// How far the workspace's clock is ahead of that.
    pub ahead_ms: u64,
}

/// The document of a process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Process<S = serde_json::Value> {
    /// What it remembers.
    pub state: S,
    /// What is to be sent, in order.
    #[serde(default)]
    pub pending: Vec<PendingCommand>,
    /// What it waits for.
    #[serde(default)]
    pub timers: Vec<Timer>,
    /// The last refusals.
    #[serde(default)]
    pub refused: Vec<Refusal>,
}

/// What caused a reaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause<'a> {
    pub(super) policy: &'a str,
    /// What the ids of commands follow from: the event, or the command that was refused.
    pub(super) seed: Uuid,
    /// Empty, or the timer that ran out.
    pub(super) timer: &'a str,
    pub(super) causation_id: Uuid,
    pub(super) correlation_id: Uuid,
    pub(super) at: Timestamp,
}

/// The id of the command that a policy sends for an event, at a step; `timer`: when this one has run out.
pub fn command_id(policy: &str, event: Uuid, timer: &str, step: &str) -> Uuid {
    Uuid::new_v5(
        &COMMAND_NAMESPACE,
        format!("{policy}/{event}/{timer}/{step}").as_bytes(),
    )
}

impl<S> Process<S> {
    pub(super) fn note(&mut self, reactions: Vec<Reaction>, cause: Cause<'_>) {
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

    /// A command was sent. The command, where it is no longer pending because of that.
    pub(super) fn sent(&mut self, command_id: Uuid, outcome: &Sent, now: Now) -> Option<PendingCommand> {
        if *outcome == Sent::Unanswered {
            for timer in &mut self.timers {
                if timer.waits_for == Some(command_id) {
                    timer.waits_for = None;
                    timer.begun_at = now.machine;
                }
            }
            return None;
        }
        let index = self
            .pending
            .iter()
            .position(|pending| pending.command_id == command_id)?;
        let command = self.pending.remove(index);
        // The same event and step may have asked for it twice.
        self.pending.retain(|pending| pending.command_id != command_id);
        self.timers.retain(|timer| timer.waits_for != Some(command_id));
        if let Sent::Refused(reason) = outcome {
            self.refused.push(Refusal {
                command_id,
                reason: reason.clone(),
            });
            let surplus = self.refused.len().saturating_sub(REFUSALS);
            self.refused.drain(..surplus);
        }
        Some(command)
    }

    /// Says when timers run out that have not been looked at: `ahead_ms` is how far the workspace's clock is ahead of the
    /// machine's.
    pub(super) fn schedule(&mut self, ahead_ms: u64) {
        for timer in self.timers.iter_mut().filter(|timer| timer.is_to_be_scheduled()) {
            let ahead = i64::try_from(ahead_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
            timer.due_at = Some(Timestamp::from_micros(
                timer.ran_out_at().as_micros().saturating_add(ahead),
            ));
        }
    }

    /// Whether it has timers that have begun and were not looked at.
    pub fn is_to_be_scheduled(&self) -> bool {
        self.timers.iter().any(Timer::is_to_be_scheduled)
    }

    /// Where it is listed.
    pub fn listings(&self) -> Vec<ListingEntry> {
        let mut entries = Vec::new();
        if !self.pending.is_empty() || !self.timers.is_empty() {
            entries.push(ListingEntry::new(OPEN, ""));
        }
        if !self.pending.is_empty() || self.is_to_be_scheduled() {
            entries.push(ListingEntry::new(WORK, ""));
        }
        if let Some(due) = self.timers.iter().filter_map(|timer| timer.due_at).min() {
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
        ahead_ms: 5,
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
        process.note(vec![send("a"), send("b")], cause(""));
        process.note(vec![send("a")], cause(""));
        process.note(vec![send("a")], cause("deadline"));
        let ids: Vec<_> = process.pending.iter().map(|pending| pending.command_id).collect();
        assert_eq!(ids[0], ids[2]);
        assert!(ids[0] != ids[1] && ids[0] != ids[3] && ids[1] != ids[3]);
        assert!(process.sent(ids[0], &Sent::Accepted, NOW).is_some());
        assert_eq!(process.pending.len(), 2, "a repetition is done with the first");
    }

    #[test]
    fn a_timer_is_due_after_its_time_and_one_of_the_same_name_begins_again() {
        let start = |name, after_ms| Reaction::StartTimer { name, after_ms };
        let mut process = Process::<u64>::default();
        process.note(vec![start("a", 10), start("b", 20), start("a", 30)], cause(""));
        let open = ListingEntry::new(OPEN, "");
        assert_eq!(process.listings(), [open.clone(), ListingEntry::new(WORK, "")]);
        process.schedule(5);
        let due: Vec<_> = process
            .timers
            .iter()
            .map(|timer| timer.due_at.unwrap().as_micros())
            .collect();
        assert_eq!(due, [1_025_000, 1_035_000]);
        let timers = ListingEntry::new(TIMERS, format!("{:020}", 1_025_000));
        assert_eq!(process.listings(), [open, timers]);
        process.note(
            vec![
                Reaction::StopTimer { name: "b" },
                Reaction::StopTimer { name: "c" },
            ],
            cause(""),
        );
        assert_eq!(process.timers.len(), 1);
    }

    #[test]
    fn only_the_last_refusals_are_remembered() {
        let mut process = Process::<u64>::default();
        for n in 0..30 {
            process.note(vec![send("a")], cause(&n.to_string()));
            let id = process.pending[0].command_id;
            process.sent(id, &Sent::Refused(n.to_string()), NOW);
        }
        assert_eq!(process.refused.len(), REFUSALS);
        assert_eq!(process.refused[0].reason, "10");
    }

    #[test]
    fn a_deadline_begins_with_the_first_attempt_that_had_no_answer() {
        let begun = || {
            let mut process = Process::<u64>::default();
            let deadline = Reaction::StartDeadline {
                name: "patience",
                after_ms: 20,
                step: "a".into(),
            };
            process.note(vec![send("a"), deadline], cause(""));
            process
        };
        let mut process = begun();
        let id = process.pending[0].command_id;
        process.schedule(NOW.ahead_ms);
        assert_eq!(process.timers[0].due_at, None, "nobody has been asked");
        assert_eq!(process.sent(id, &Sent::Unanswered, NOW), None);
        process.schedule(NOW.ahead_ms);
        let due = Some(Timestamp::from_micros(9_025_000));
        assert_eq!(process.timers[0].due_at, due);
        let later = Now {
            machine: Timestamp::from_micros(10_000_000),
            ..NOW
        };
        process.sent(id, &Sent::Unanswered, later);
        process.schedule(NOW.ahead_ms);
        assert_eq!(process.timers[0].due_at, due, "it does not begin again");
        assert!(process.sent(id, &Sent::Accepted, later).is_some());
        assert_eq!(process.timers.len(), 1, "what began goes on until it is stopped");

        let mut answered = begun();
        assert!(answered.sent(id, &Sent::Accepted, NOW).is_some());
        assert_eq!(answered.timers, [], "what was answered at once needs no deadline");
    }
}
