//! What the clients write down. Moments are ticks of one counter: whatever ended before something else began has the
//! smaller tick, and that is all that an order in time means here.

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

use crate::running::PATIENCE;

/// A command that was accepted.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    /// Before it was sent for the first time.
    pub(crate) sent: u64,
    /// After its answer had come.
    pub(crate) answered: u64,
    pub(crate) answer: CommandAnswer,
}

/// What somebody was shown of a view.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Who saw it, for the message.
    pub(crate) by: String,
    pub(crate) view: &'static str,
    /// The moment that it claims to show.
    pub(crate) as_of: ConsistencyToken,
    pub(crate) what: Shown,
}

#[derive(Debug)]
pub(crate) enum Shown {
    /// A document, or that there is none.
    Document { key: String, data: Option<Value> },
    /// A document in a group of a listing, or that it is not in it.
    Listed {
        listing: &'static str,
        group: &'static str,
        key: String,
        data: Option<Value>,
    },
    /// All of a group of a listing.
    Listing {
        listing: &'static str,
        group: &'static str,
        rows: BTreeMap<String, Value>,
    },
}

/// Everything that was written down.
#[derive(Debug, Default)]
pub(crate) struct History {
    ticks: AtomicU64,
    commands: Mutex<Vec<Acknowledged>>,
    seen: Mutex<Vec<Seen>>,
    acknowledged: watch::Sender<u64>,
    closing: watch::Sender<Closing>,
}

/// How far the run is: who writes stops first, and who sees stops where the log ends.
#[derive(Debug, Default)]
struct Closing {
    no_more_commands: bool,
    head: Option<ConsistencyToken>,
}

impl History {
    pub(crate) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn accepted(&self, sent: u64, answer: CommandAnswer) {
        let answered = self.tick();
        self.commands().push(Acknowledged {
            sent,
            answered,
            answer,
        });
        self.acknowledged.send_modify(|count| *count += 1);
    }

    pub(crate) fn saw(&self, seen: Seen) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seen);
    }

    pub(crate) fn commands(&self) -> std::sync::MutexGuard<'_, Vec<Acknowledged>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something that was written a moment ago: its stream and token.
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
        tokio::time::timeout(PATIENCE, acknowledged.wait_for(|so_far| *so_far >= count))
            .await
            .expect("commands are acknowledged")
            .unwrap();
    }

    pub(crate) fn no_more_commands(&self) {
        self.closing
            .send_modify(|closing| closing.no_more_commands = true);
    }

    pub(crate) fn takes_commands(&self) -> bool {
        !self.closing.borrow().no_more_commands
    }

    pub(crate) fn ends_at(&self, head: ConsistencyToken) {
        self.closing.send_modify(|closing| closing.head = Some(head));
    }

    /// Returns when the log has ended.
    pub(crate) async fn ended(&self) {
        let mut closing = self.closing.subscribe();
        let _ = closing.wait_for(|closing| closing.head.is_some()).await;
    }

    /// Whether all of the log was shown to somebody who has seen this.
    pub(crate) fn is_all(&self, seen: &ConsistencyToken) -> bool {
        let closing = self.closing.borrow();
        closing.head.as_ref().is_some_and(|head| seen.covers(head))
    }
}

/// A name that nothing else has.
pub(crate) fn unique() -> Uuid {
    SystemClock.new_id()
}
