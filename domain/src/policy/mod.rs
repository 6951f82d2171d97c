//! Policies (process managers) as pure functions: what a process remembers, and what it wants done about an event.
//!
//! A process has a document, like a view's, and the same lanes fold events into it exactly once. What it wants done lies in
//! the document until it is done: commands that were not sent yet, and timers. So nothing is forgotten by a crash, and
//! command ids follow from the event that caused them, so nothing is done twice. Sending and waiting are the server's.
//!
//! One file a policy; the document of a process is in [`process`].

pub mod fulfilment;
pub mod process;

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    event::TypedEvent,
    timestamp::Timestamp,
    view::{AnyView, DocumentError, Folding, ListingEntry},
};
use process::Cause;
pub use process::{Now, PendingCommand, Process, Refusal, Sent, Timer, command_id};

/// The listing of processes with something to do now.
pub const WORK: &str = "work";

/// The listing of processes with a timer, the earliest first.
pub const TIMERS: &str = "timers";

/// The listing of processes that are not done: whatever moves from one of the others to the other is always here.
pub const OPEN: &str = "open";

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

    /// What it wants done when one of its commands was refused for ever. A refusal that leads nowhere leaves things undone,
    /// so think of each command that can be refused.
    fn refused(_state: &Self::State, _command: &PendingCommand, _reason: &str) -> Vec<Reaction> {
        Vec::new()
    }
}

/// What a policy wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// A command is to be sent.
    Send {
        /// Tells the commands that one event causes apart; the same event and step is the same command.
        step: Cow<'static, str>,
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
    /// A timer begins once a command was sent and has not been answered; never, if it is answered at once. So a command is
    /// given its time also by a server that was late to send it.
    StartDeadline {
        /// Its name in the process.
        name: &'static str,
        /// How long it runs, in milliseconds of the workspace's clock.
        after_ms: u64,
        /// The step of the command, which is sent by the same reactions.
        step: Cow<'static, str>,
    },
    /// A timer stops; one that does not run is nothing to complain about.
    StopTimer {
        /// Its name in the process.
        name: &'static str,
    },
}

/// A [`Policy`] whose processes are JSON: a view to the lanes, and what the server asks of it besides.
pub trait AnyPolicy: AnyView {
    /// Itself, as the lanes see it.
    fn as_view(&'static self) -> &'static dyn AnyView;

    /// The process after its timers have run out that are due at `now`.
    fn expire(&self, process: &RawValue, now: Timestamp) -> Result<Process, DocumentError>;

    /// The process after commands were sent, with its timers scheduled.
    fn sent(&self, process: &RawValue, sent: &[(Uuid, Sent)], now: Now) -> Result<Process, DocumentError>;
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
        let mut process = read::<P>(process)?;
        let is_due = |timer: &Timer| timer.due_at.is_some_and(|due_at| due_at <= now);
        let due: Vec<Timer> = process.timers.extract_if(.., |timer| is_due(timer)).collect();
        for timer in due {
            let reactions = P::expire(&process.state, &timer.name);
            process.note(
                reactions,
                Cause {
                    policy: P::NAME,
                    seed: timer.causation_id,
                    timer: &timer.name,
                    causation_id: timer.causation_id,
                    correlation_id: timer.correlation_id,
                    // A timer that begins now begins when this one ran out.
                    at: timer.ran_out_at(),
                },
            );
        }
        untyped::<P>(process)
    }

    fn sent(&self, process: &RawValue, sent: &[(Uuid, Sent)], now: Now) -> Result<Process, DocumentError> {
        let mut process = read::<P>(process)?;
        for (command_id, outcome) in sent {
            // Another server may have noted it already.
            let Some(command) = process.sent(*command_id, outcome, now) else {
                continue;
            };
            if let Sent::Refused(reason) = outcome {
                let reactions = P::refused(&process.state, &command, reason);
                process.note(
                    reactions,
                    Cause {
                        policy: P::NAME,
                        seed: command.command_id,
                        timer: "",
                        causation_id: command.causation_id,
                        correlation_id: command.correlation_id,
                        at: now.machine,
                    },
                );
            }
        }
        process.schedule(now.ahead_ms);
        untyped::<P>(process)
    }
}

fn read<P: Policy>(process: &RawValue) -> Result<Process<P::State>, DocumentError> {
    serde_json::from_str(process.get()).map_err(unreadable::<P>)
}

fn untyped<P: Policy>(process: Process<P::State>) -> Result<Process, DocumentError> {
    let value = serde_json::to_value(process).map_err(unreadable::<P>)?;
    serde_json::from_value(value).map_err(unreadable::<P>)
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
            seed: event.event_id,
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
    const FULFILMENT: &Erased<fulfilment::Fulfilment> = &Erased::new();
    &[FULFILMENT]
}
