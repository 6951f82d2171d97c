//! Policies (process managers) as pure functions: what a process remembers, and what it wants done about an event.
//!
//! A process has a document, like a view's, and the same lanes fold events into it exactly once. What it wants done lies in
//! the document until it is done: commands that were not sent yet, and timers. So nothing is forgotten by a crash, and
//! command ids follow from the event that caused them, so nothing is done twice. Sending and waiting are the server's.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    event::TypedEvent,
    timestamp::Timestamp,
    view::{AnyView, DocumentError, Folding, ListingEntry},
};

/// The name space of the ids of policies' commands (UUIDv5). Part of the stored format.
const COMMAND_NAMESPACE: Uuid = Uuid::from_u128(0x1f0c_7d3e_9a41_5b68_8e27_c65d_04ab_93f1);

/// The listing of processes with something to do now.
pub const WORK: &str = "work";

/// The listing of processes with a timer, the earliest first.
pub const TIMERS: &str = "timers";

/// The listing of processes that are not done: whatever moves from one of the others to the other is always here.
pub const OPEN: &str = "open";

/// Refusals that a process remembers.
const REFUSALS: usize = 20;

/// A policy.
pub trait Policy: Send + Sync + std::fmt::Debug + 'static {
    /// Its name, which is part of its commands' ids.
    const NAME: &'static str;
    /// What a process remembers.
    type State: Serialize + DeserializeOwned + Default + Send + Sync + 'static;

    /// The process that an event belongs to; `None`: it does not concern this policy.
    fn key(event: &TypedEvent) -> Option<String>;

    /// What the process remembers after the event.
    fn evolve(state: Self::State, event: &TypedEvent) -> Self::State;

    /// What it wants done about the event, with the state after it.
    fn react(state: &Self::State, event: &TypedEvent) -> Vec<Reaction>;

    /// What it wants done when a timer has run out.
    fn expire(state: &Self::State, timer: &str) -> Vec<Reaction>;
}

/// What a policy wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// A command is to be sent.
    Send {
        /// Tells the commands that one event causes apart; the same event and step is the same command.
        step: &'static str,
        /// The command's name.
        command_type: &'static str,
        /// The stream it is for.
        stream: String,
        /// Its fields.
        data: serde_json::Value,
    },
    /// A timer begins; one of the same name begins again.
    StartTimer {
        /// Its name in the process.
        name: &'static str,
        /// How long it runs, in milliseconds of the workspace's clock.
        after_ms: u64,
    },
    /// A timer stops; one that does not run is nothing to complain about.
    StopTimer {
        /// Its name in the process.
        name: &'static str,
    },
}

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
    /// The event that began it.
    pub causation_id: Uuid,
    /// The intention behind that.
    pub correlation_id: Uuid,
}

impl Timer {
    /// When it runs out by the machine's clock, were the workspace's not ahead of it.
    fn ran_out_at(&self) -> Timestamp {
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
struct Cause<'a> {
    policy: &'a str,
    /// Empty, or the timer that ran out.
    timer: &'a str,
    causation_id: Uuid,
    correlation_id: Uuid,
    at: Timestamp,
}

/// The id of the command that a policy sends for an event, at a step; `timer`: when this one has run out.
pub fn command_id(policy: &str, event: Uuid, timer: &str, step: &str) -> Uuid {
    Uuid::new_v5(
        &COMMAND_NAMESPACE,
        format!("{policy}/{event}/{timer}/{step}").as_bytes(),
    )
}

impl<S> Process<S> {
    fn note(&mut self, reactions: Vec<Reaction>, cause: Cause<'_>) {
        for reaction in reactions {
            match reaction {
                Reaction::Send {
                    step,
                    command_type,
                    stream,
                    data,
                } => self.pending.push(PendingCommand {
                    command_id: command_id(cause.policy, cause.causation_id, cause.timer, step),
                    command_type: command_type.to_owned(),
                    stream,
                    data,
                    causation_id: cause.causation_id,
                    correlation_id: cause.correlation_id,
                }),
                Reaction::StartTimer { name, after_ms } => {
                    self.timers.retain(|timer| timer.name != name);
                    self.timers.push(Timer {
                        name: name.to_owned(),
                        begun_at: cause.at,
                        after_ms,
                        due_at: None,
                        causation_id: cause.causation_id,
                        correlation_id: cause.correlation_id,
                    });
                }
                Reaction::StopTimer { name } => self.timers.retain(|timer| timer.name != name),
            }
        }
    }

    /// A command was sent, or refused for ever.
    pub fn done(&mut self, command_id: Uuid, refused: Option<String>) {
        self.pending.retain(|pending| pending.command_id != command_id);
        if let Some(reason) = refused {
            self.refused.push(Refusal { command_id, reason });
            let surplus = self.refused.len().saturating_sub(REFUSALS);
            self.refused.drain(..surplus);
        }
    }

    /// Says when timers run out that have not been looked at: `ahead_ms` is how far the workspace's clock is ahead of the
    /// machine's.
    pub fn schedule(&mut self, ahead_ms: u64) {
        for timer in self.timers.iter_mut().filter(|timer| timer.due_at.is_none()) {
            let ahead = i64::try_from(ahead_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
            timer.due_at = Some(Timestamp::from_micros(
                timer.ran_out_at().as_micros().saturating_add(ahead),
            ));
        }
    }

    /// Where it is listed.
    pub fn listings(&self) -> Vec<ListingEntry> {
        let mut entries = Vec::new();
        if !self.pending.is_empty() || !self.timers.is_empty() {
            entries.push(ListingEntry::new(OPEN, ""));
        }
        if !self.pending.is_empty() || self.timers.iter().any(|timer| timer.due_at.is_none()) {
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

/// A [`Policy`] whose processes are JSON: a view to the lanes, and what the server asks of it besides.
pub trait AnyPolicy: AnyView {
    /// Itself, as the lanes see it.
    fn as_view(&'static self) -> &'static dyn AnyView;

    /// The process after its timers have run out that are due at `now`.
    fn expire(&self, process: &RawValue, now: Timestamp) -> Result<Process, DocumentError>;
}

/// A policy as the registry keeps it.
#[derive(Debug)]
pub struct Erased<P>(std::marker::PhantomData<fn() -> P>);

impl<P: Policy> Erased<P> {
    /// The policy.
    #[expect(
        clippy::new_without_default,
        reason = "it has one value, which a registry names"
    )]
    pub const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

struct Running<P: Policy>(Option<Process<P::State>>);

fn unreadable<P: Policy>(source: serde_json::Error) -> DocumentError {
    DocumentError {
        view: P::NAME,
        source,
    }
}

impl<P: Policy> AnyView for Erased<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn listing_names(&self) -> &'static [&'static str] {
        &[OPEN, WORK, TIMERS]
    }

    fn keys(&self, event: &TypedEvent) -> Vec<String> {
        P::key(event).into_iter().collect()
    }

    fn load(&self, _key: &str, document: Option<&RawValue>) -> Result<Box<dyn Folding>, DocumentError> {
        let process = document
            .map(|json| serde_json::from_str(json.get()))
            .transpose()
            .map_err(unreadable::<P>)?;
        Ok(Box::new(Running::<P>(process)))
    }
}

impl<P: Policy> AnyPolicy for Erased<P> {
    fn as_view(&'static self) -> &'static dyn AnyView {
        self
    }

    fn expire(&self, process: &RawValue, now: Timestamp) -> Result<Process, DocumentError> {
        let mut process: Process<P::State> = serde_json::from_str(process.get()).map_err(unreadable::<P>)?;
        let is_due = |timer: &Timer| timer.due_at.is_some_and(|due_at| due_at <= now);
        let due: Vec<Timer> = process.timers.extract_if(.., |timer| is_due(timer)).collect();
        for timer in due {
            let reactions = P::expire(&process.state, &timer.name);
            process.note(
                reactions,
                Cause {
                    policy: P::NAME,
                    timer: &timer.name,
                    causation_id: timer.causation_id,
                    correlation_id: timer.correlation_id,
                    // A timer that begins now begins when this one ran out.
                    at: timer.ran_out_at(),
                },
            );
        }
        let value = serde_json::to_value(process).map_err(unreadable::<P>)?;
        serde_json::from_value(value).map_err(unreadable::<P>)
    }
}

impl<P: Policy> Folding for Running<P> {
    fn fold(&mut self, event: &TypedEvent) {
        let mut process = self.0.take().unwrap_or_else(|| Process {
            state: P::State::default(),
            pending: Vec::new(),
            timers: Vec::new(),
            refused: Vec::new(),
        });
        process.state = P::evolve(process.state, event);
        let cause = Cause {
            policy: P::NAME,
            timer: "",
            causation_id: event.event_id,
            correlation_id: event.metadata.correlation_id,
            at: event.recorded_at,
        };
        process.note(P::react(&process.state, event), cause);
        self.0 = Some(process);
    }

    fn document(&self) -> Result<Option<Box<RawValue>>, DocumentError> {
        self.0
            .as_ref()
            .map(serde_json::value::to_raw_value)
            .transpose()
            .map_err(unreadable::<P>)
    }

    fn listings(&self) -> Vec<ListingEntry> {
        self.0.as_ref().map(Process::listings).unwrap_or_default()
    }

    fn owner(&self) -> Option<Uuid> {
        None
    }
}

/// Every policy: the registry.
pub fn all() -> &'static [&'static dyn AnyPolicy] {
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(timer: &str) -> Cause<'_> {
        Cause {
            policy: "test",
            timer,
            causation_id: Uuid::from_u128(1),
            correlation_id: Uuid::from_u128(2),
            at: Timestamp::from_micros(1_000_000),
        }
    }

    fn send(step: &'static str) -> Reaction {
        Reaction::Send {
            step,
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
        process.done(ids[0], None);
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
            process.done(Uuid::from_u128(n), Some("no".to_owned()));
        }
        assert_eq!(process.refused.len(), REFUSALS);
        assert_eq!(process.refused[0].command_id, Uuid::from_u128(10));
    }
}
