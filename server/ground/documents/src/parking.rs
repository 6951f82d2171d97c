//! Parked events: events that a projection could not apply, and the later events that wait behind them.
//!
//! A **dead letter** is an event that could not be applied. It holds back only its own stream: later events
//! of the stream on that lane wait behind it, in order. An event is parked in the transaction that advances
//! the lane's checkpoint over it (see [`DocumentStore::update`](super::DocumentStore::update)), so each event
//! is either folded or parked.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use domain::{
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    wire::DeadLetterInfo,
};
use uuid::Uuid;

use super::{DocumentStoreError, Fold, LaneId};

/// The state of a parked event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParkedState {
    /// It could not be applied: a dead letter.
    Dead {
        /// The reason.
        reason: String,
        /// The number of attempts to apply it.
        attempts: u32,
    },
    /// It waits behind a dead letter of its stream.
    Waiting,
    /// It was discarded by a client; it stays as a record, and holds back no event.
    Discarded {
        /// The reason why it could not be applied.
        reason: String,
        /// The number of attempts to apply it.
        attempts: u32,
    },
}

/// An event that a lane has parked instead of applying it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Its position in the lane's partition.
    pub position: u64,
    /// Its id in the API: unique in the workspace, and the same on every server.
    pub id: Uuid,
    /// The stream.
    pub stream: StreamName,
    /// Its version in the stream.
    pub version: u64,
    /// The event's id.
    pub event_id: Uuid,
    /// The event's type.
    pub event_type: String,
    /// The event's correlation id.
    pub correlation_id: Uuid,
    /// Its state.
    pub state: ParkedState,
    /// When it was parked.
    pub parked_at: Timestamp,
}

/// A dead letter as stored, with its lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The view's name; the program may not have this view any more.
    pub view: String,
    /// The generation of the lane that parked it.
    pub generation: u64,
    /// The partition.
    pub partition: u32,
    /// The event.
    pub event: ParkedEvent,
    /// The number of events of its stream that wait behind it.
    pub waiting: u64,
}

impl DeadLetter {
    /// Its key in the order of dead letters.
    pub fn key(&self) -> DeadLetterKey {
        DeadLetterKey {
            view: self.view.clone(),
            generation: self.generation,
            partition: self.partition,
            position: self.event.position,
        }
    }
}

/// The key of a dead letter, by which they are listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetterKey {
    /// The view.
    pub view: String,
    /// The generation.
    pub generation: u64,
    /// The partition.
    pub partition: u32,
    /// The position.
    pub position: u64,
}

/// The numbers of a view's dead letters and of the events that wait behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedCount {
    /// The view.
    pub view: String,
    /// The number of dead letters.
    pub dead: u64,
    /// The number of events that wait behind them.
    pub waiting: u64,
}

impl fmt::Display for ParkedCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} dead letters, {} events wait behind one",
            self.view, self.dead, self.waiting
        )
    }
}

/// The parked events of a document store. Parts of [`DocumentStore`](super::DocumentStore).
#[async_trait]
pub trait Parking: Send + Sync + Debug {
    /// The events of a stream that are held back on a lane, by position; the first is the dead letter.
    async fn held_events(
        &self,
        lane: &LaneId,
        stream: &StreamName,
    ) -> Result<Vec<ParkedEvent>, DocumentStoreError>;

    /// What a lane has parked of a stream after a position, by position, at most `limit`: in any state, also
    /// the records of what was discarded.
    async fn parked_events(
        &self,
        lane: &LaneId,
        stream: &StreamName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<ParkedEvent>, DocumentStoreError>;

    /// In one transaction: removes the held events of a stream from the lane, if they are exactly those at
    /// the positions `expected`; reads the documents of `keys`; folds, with no stream held back; and writes
    /// the fold's output, which may park some of the events again. Notes that documents have changed without
    /// a new checkpoint. `false`: other events are held, and nothing was changed.
    async fn release(
        &self,
        lane: &LaneId,
        stream: &StreamName,
        expected: &[u64],
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<bool, DocumentStoreError>;

    /// The dead letters of a workspace in the order of their keys, after `after`, at most `limit`; those of
    /// the live generations and of the ones that are being built.
    async fn dead_letters(
        &self,
        workspace: WorkspaceId,
        view: Option<&str>,
        after: Option<&DeadLetterKey>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, DocumentStoreError>;

    /// The dead letter with this id.
    async fn dead_letter(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
    ) -> Result<Option<DeadLetter>, DocumentStoreError>;

    /// The counts of parked events in the live generations, of one workspace or of all, and of one
    /// correlation or of all.
    async fn parked_counts(
        &self,
        workspace: Option<WorkspaceId>,
        correlation: Option<Uuid>,
    ) -> Result<Vec<ParkedCount>, DocumentStoreError>;
}

impl From<DeadLetter> for DeadLetterInfo {
    fn from(letter: DeadLetter) -> Self {
        let event = letter.event;
        let (reason, attempts) = match event.state {
            ParkedState::Dead { reason, attempts } | ParkedState::Discarded { reason, attempts } => {
                (reason, attempts)
            }
            ParkedState::Waiting => (String::new(), 0),
        };
        Self {
            id: event.id,
            view: letter.view,
            generation: letter.generation,
            stream: event.stream.to_string(),
            version: event.version,
            partition: letter.partition,
            position: event.position,
            event_id: event.event_id,
            event_type: event.event_type,
            correlation_id: event.correlation_id,
            reason,
            attempts,
            waiting: letter.waiting,
            parked_at: event.parked_at,
        }
    }
}
