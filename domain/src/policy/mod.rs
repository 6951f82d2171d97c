//! Policies (process managers) as pure functions: the state of a process, and its reactions to events.
//!
//! A process has a document, like a view, and lanes fold events into it exactly once. The document has the
//! outstanding work: unsent commands and timers, so that a crash loses none of it. Command ids are derived
//! from the causing event, so that no command has two effects; an event of such a command shows that it was
//! carried out. The server sends the commands and runs the timers.
//!
//! One file for each policy; the document of a process is in [`process`].

pub mod fulfilment;
pub mod process;

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    event::TypedEvent,
    id::StreamName,
    timestamp::Timestamp,
    view::{AnyView, DocumentError, FoldTarget, ListingEntry},
};
use process::Cause;
pub use process::{
    FailedCommand, Lease, Now, PendingCommand, Process, Refusal, SendOutcome, Timer, command_id,
};

/// The listing of processes with commands to send or timers to schedule.
pub const WORK: &str = "work";

/// The listing of processes with a scheduled timer, earliest first.
pub const TIMERS: &str = "timers";

/// The listing of processes with commands that were refused for good and that a person has to settle.
pub const FAILED: &str = "failed";

/// The listing of unfinished processes, including those that move between the other listings.
pub const OPEN: &str = "open";

/// How many timers of a process expire at once: each may start another one. Those after them expire the next
/// time.
const MAX_EXPIRIES: usize = 64;

/// A policy: the state of its processes, and their reactions.
pub trait Policy: Send + Sync + std::fmt::Debug + 'static {
    /// Its name, which is part of its commands' ids.
    const NAME: &'static str;
    /// The state of a process.
    type State: Serialize + DeserializeOwned + Default + Send + Sync + 'static;

    /// The key of the event's process; `None` if the event does not concern this policy.
    fn key(event: &TypedEvent) -> Option<String>;

    /// The state after the event.
    fn evolve(state: Self::State, event: &TypedEvent) -> Self::State;

    /// The reactions to an event, in the state after it.
    fn react(state: &Self::State, event: &TypedEvent) -> Vec<Reaction>;

    /// The reactions to an expired timer.
    fn expire(state: &Self::State, timer: &str) -> Vec<Reaction>;

    /// The reactions to the final refusal of one of its commands. A policy must handle each command that can
    /// be refused, here or as a dead letter, or the process ends unfinished.
    fn refused(_state: &Self::State, _command: &PendingCommand, _reason: &str) -> Vec<Reaction> {
        Vec::new()
    }

    /// Whether the final refusal of one of its commands leaves something undone that no other command does:
    /// then the command becomes a dead letter, and the process is unfinished until a person has settled it.
    fn is_dead_letter(_state: &Self::State, _command: &PendingCommand, _reason: &str) -> bool {
        false
    }
}

/// A reaction of a policy.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// Send a command.
    Send {
        /// Distinguishes the commands of one event; the same event and step are the same command.
        step: Cow<'static, str>,
        /// The command's name.
        command_type: &'static str,
        /// The stream that it is sent to.
        stream: String,
        /// Its fields.
        data: serde_json::Value,
    },
    /// Start a timer; one with the same name restarts.
    StartTimer {
        /// Its name in the process.
        name: &'static str,
        /// How long it runs, in milliseconds of the workspace's clock.
        after_ms: u64,
    },
    /// Start a timer with the first sending of a command that gets no answer; never, if it is answered at
    /// once. So a command has its full time, even if the server sent it late.
    StartDeadline {
        /// Its name in the process.
        name: &'static str,
        /// How long it runs, in milliseconds of the workspace's clock.
        after_ms: u64,
        /// The step of the command, which is among the same reactions.
        step: Cow<'static, str>,
    },
    /// Stop a timer; without effect if it does not run.
    StopTimer {
        /// Its name in the process.
        name: &'static str,
    },
}

/// A [`Policy`] with JSON processes: a view for the lanes, with the operations of the process manager.
pub trait AnyPolicy: AnyView {
    /// The policy as a view, for the lanes.
    fn as_view(&'static self) -> &'static dyn AnyView;

    /// The process after the expiry of the timers that are due at `now`, earliest first.
    fn expire(&self, process: &RawValue, now: Timestamp) -> Result<Process, DocumentError>;

    /// The process after the outcomes of sent commands, with its timers scheduled.
    fn sent(
        &self,
        process: &RawValue,
        sent: &[(Uuid, SendOutcome)],
        now: Now,
    ) -> Result<Process, DocumentError>;
}

/// A [`Policy`] with its type erased, for the registry.
#[derive(Debug)]
pub struct ErasedPolicy<P>(std::marker::PhantomData<fn() -> P>);

impl<P: Policy> ErasedPolicy<P> {
    /// The erased policy.
    #[expect(
        clippy::new_without_default,
        reason = "it has one value, which a registry names"
    )]
    pub const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

struct ProcessFold<P: Policy>(Option<Process<P::State>>);

fn unreadable<P: Policy>(source: serde_json::Error) -> DocumentError {
    DocumentError {
        view: P::NAME,
        source,
    }
}

impl<P: Policy> AnyView for ErasedPolicy<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn listing_names(&self) -> &'static [&'static str] {
        &[OPEN, WORK, TIMERS, FAILED]
    }

    fn keys(&self, event: &TypedEvent) -> Vec<String> {
        P::key(event).into_iter().collect()
    }

    fn load(&self, _key: &str, document: Option<&RawValue>) -> Result<Box<dyn FoldTarget>, DocumentError> {
        let process = document
            .map(|json| serde_json::from_str(json.get()))
            .transpose()
            .map_err(unreadable::<P>)?;
        Ok(Box::new(ProcessFold::<P>(process)))
    }
}

impl<P: Policy> AnyPolicy for ErasedPolicy<P> {
    fn as_view(&'static self) -> &'static dyn AnyView {
        self
    }

    fn expire(&self, process: &RawValue, now: Timestamp) -> Result<Process, DocumentError> {
        let mut process = read::<P>(process)?;
        expire_due::<P>(&mut process, now);
        process.schedule();
        untyped::<P>(process)
    }

    fn sent(
        &self,
        process: &RawValue,
        sent: &[(Uuid, SendOutcome)],
        now: Now,
    ) -> Result<Process, DocumentError> {
        let mut process = read::<P>(process)?;
        for (command_id, outcome) in sent {
            // Another server may have recorded it already.
            let Some(command) = process.sent(*command_id, outcome) else {
                continue;
            };
            if let SendOutcome::Refused(reason) = outcome {
                // A command to a stream that cannot exist has nothing to do there.
                let has_stream = command.stream.parse::<StreamName>().is_ok();
                if has_stream && P::is_dead_letter(&process.state, &command, reason) {
                    process.fail(command.clone(), reason, now.machine);
                }
                let reactions = P::refused(&process.state, &command, reason);
                process.record(
                    reactions,
                    Cause {
                        policy: P::NAME,
                        seed: command.command_id,
                        timer: "",
                        causation_id: command.causation_id,
                        correlation_id: command.correlation_id,
                        at: now.workspace,
                    },
                );
            }
        }
        process.schedule();
        untyped::<P>(process)
    }
}

fn read<P: Policy>(process: &RawValue) -> Result<Process<P::State>, DocumentError> {
    serde_json::from_str(process.get()).map_err(unreadable::<P>)
}

/// Expires the timers that are due at `now`, earliest first, also those that start at the expiry of another.
fn expire_due<P: Policy>(process: &mut Process<P::State>, now: Timestamp) {
    for _ in 0..MAX_EXPIRIES {
        let Some((timer, expires_at)) = process.take_due(now) else {
            return;
        };
        let reactions = P::expire(&process.state, &timer.name);
        process.record(
            reactions,
            Cause {
                policy: P::NAME,
                seed: timer.causation_id,
                timer: &timer.name,
                causation_id: timer.causation_id,
                correlation_id: timer.correlation_id,
                // A timer that starts now starts at the expiry of this one.
                at: expires_at,
            },
        );
    }
}

fn untyped<P: Policy>(process: Process<P::State>) -> Result<Process, DocumentError> {
    Ok(Process {
        state: serde_json::to_value(process.state).map_err(unreadable::<P>)?,
        pending: process.pending,
        timers: process.timers,
        refused: process.refused,
        failed: process.failed,
        leases: process.leases,
    })
}

impl<P: Policy> FoldTarget for ProcessFold<P> {
    fn fold(&mut self, event: &TypedEvent) {
        let mut process = self.0.take().unwrap_or_else(|| Process {
            state: P::State::default(),
            pending: Vec::new(),
            timers: Vec::new(),
            refused: Vec::new(),
            failed: Vec::new(),
            leases: BTreeMap::new(),
        });
        process.carried_out(event.metadata.command_id);
        // What was due before the event happened before it, also if the clock was put forward over both and
        // the event was faster than the server that expires timers.
        expire_due::<P>(&mut process, event.recorded_at);
        process.state = P::evolve(process.state, event);
        let cause = Cause {
            policy: P::NAME,
            seed: event.event_id,
            timer: "",
            causation_id: event.event_id,
            correlation_id: event.metadata.correlation_id,
            at: event.recorded_at,
        };
        process.record(P::react(&process.state, event), cause);
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

/// The registry of policies.
pub fn all() -> &'static [&'static dyn AnyPolicy] {
    const FULFILMENT: &ErasedPolicy<fulfilment::Fulfilment> = &ErasedPolicy::new();
    &[FULFILMENT]
}
