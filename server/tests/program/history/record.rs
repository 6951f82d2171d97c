//! The clients' records. Times are ticks of one counter: an action that ended before another began has the
//! smaller tick, and only this order counts.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use clock::{Clock as _, SystemClock};
use domain::{token::ConsistencyToken, wire::CommandAnswer};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::running::TEST_TIMEOUT;

/// A command that was accepted.
#[derive(Debug)]
pub(crate) struct AcknowledgedCommand {
    /// Before it was sent for the first time.
    pub(crate) sent: u64,
    /// After its answer had come.
    pub(crate) answered: u64,
    pub(crate) answer: CommandAnswer,
}

/// A client's observation of a view.
#[derive(Debug)]
pub(crate) struct Observation {
    /// The client, for messages.
    pub(crate) by: String,
    pub(crate) view: &'static str,
    /// The token that the answer names.
    pub(crate) as_of: ConsistencyToken,
    pub(crate) what: ObservedState,
}

#[derive(Debug)]
pub(crate) enum ObservedState {
    /// A document, or its absence.
    Document { key: String, data: Option<Value> },
    /// A document in a group of a listing, or its absence.
    Listed {
        listing: &'static str,
        group: &'static str,
        key: String,
        data: Option<Value>,
    },
    /// A complete group of a listing.
    Listing {
        listing: &'static str,
        group: &'static str,
        rows: BTreeMap<String, Value>,
    },
}

/// All records of a run.
#[derive(Debug, Default)]
pub(crate) struct History {
    ticks: AtomicU64,
    commands: Mutex<Vec<AcknowledgedCommand>>,
    observations: Mutex<Vec<Observation>>,
    acknowledged: watch::Sender<u64>,
    phase: watch::Sender<RunPhase>,
}

/// The phase of the run: writers stop first, and watchers stop at the end of the log.
#[derive(Debug, Default)]
struct RunPhase {
    no_more_commands: bool,
    head: Option<ConsistencyToken>,
}

impl History {
    pub(crate) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn accepted(&self, sent: u64, answer: CommandAnswer) {
        let answered = self.tick();
        self.commands().push(AcknowledgedCommand {
            sent,
            answered,
            answer,
        });
        self.acknowledged.send_modify(|count| *count += 1);
    }

    pub(crate) fn observe(&self, observation: Observation) {
        self.observations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(observation);
    }

    pub(crate) fn commands(&self) -> std::sync::MutexGuard<'_, Vec<AcknowledgedCommand>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_observations(&self) -> Vec<Observation> {
        std::mem::take(&mut *self.observations.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The stream and the token of a recent command.
    pub(crate) fn recent(&self) -> Option<(String, ConsistencyToken)> {
        let commands = self.commands();
        let recent = &commands[commands.len().saturating_sub(16)..];
        let chosen = recent.get(rand::random_range(0..recent.len().max(1)))?;
        Some((chosen.answer.stream.clone(), chosen.answer.token.clone()))
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        *self.acknowledged.borrow()
    }

    pub(crate) async fn until_acknowledged(&self, count: u64) {
        let mut acknowledged = self.acknowledged.subscribe();
        tokio::time::timeout(TEST_TIMEOUT, acknowledged.wait_for(|so_far| *so_far >= count))
            .await
            .expect("commands are acknowledged")
            .unwrap();
    }

    pub(crate) fn no_more_commands(&self) {
        self.phase.send_modify(|phase| phase.no_more_commands = true);
    }

    pub(crate) fn takes_commands(&self) -> bool {
        !self.phase.borrow().no_more_commands
    }

    pub(crate) fn ends_at(&self, head: ConsistencyToken) {
        self.phase.send_modify(|phase| phase.head = Some(head));
    }

    /// Waits until the end of the log is known.
    pub(crate) async fn ended(&self) {
        let mut phase = self.phase.subscribe();
        let _ = phase.wait_for(|phase| phase.head.is_some()).await;
    }

    /// Whether a client with this token has seen the whole log.
    pub(crate) fn is_all(&self, as_of: &ConsistencyToken) -> bool {
        let phase = self.phase.borrow();
        phase.head.as_ref().is_some_and(|head| as_of.covers(head))
    }
}

/// A unique id.
pub(crate) fn unique() -> Uuid {
    SystemClock.new_id()
}
