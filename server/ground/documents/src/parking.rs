//! Parked events: what a projection could not apply, and what waits behind it.
//!
//! A **dead letter** is an event that could not be applied. It holds back its own stream only: later events of the stream
//! on that lane wait behind it, in order. Parking happens in the transaction that moves the lane's checkpoint over the
//! event (see [`DocumentStore::update`](super::DocumentStore::update)), so an event is folded or parked, and never neither.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use domain::{
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    wire::DeadLetterInfo,
};
use uuid::Uuid;

use super::{DocumentStoreError, Fold, LaneId};

/// What a parked event is waiting for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParkedState {
    /// It could not be applied: a dead letter.
    Dead {
        /// Why not.
        reason: String,
        /// How often that was tried.
        attempts: u32,
    },
    /// It is behind a dead letter of its stream.
    Waiting,
    /// Somebody decided to go on without it; kept as a record, and holds back nothing.
    Discarded {
        /// Why it could not be applied.
        reason: String,
        /// How often that was tried.
        attempts: u32,
    },
}

/// An event that a lane has passed without applying it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Its position in the lane's partition.
    pub position: u64,
    /// Its name in the interface: unique in the workspace, and the same wherever it is computed.
    pub id: Uuid,
    /// The stream.
    pub stream: StreamName,
    /// Its version in the stream.
    pub version: u64,
    /// The event's id.
    pub event_id: Uuid,
    /// The event's type.
    pub event_type: String,
    /// The intention that caused it.
    pub correlation_id: Uuid,
    /// What it is waiting for.
    pub state: ParkedState,
    /// When it was parked.
    pub parked_at: Timestamp,
}

/// A dead letter as stored, with the lane it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The view's name; perhaps one that this program no longer has.
    pub view: String,
    /// The generation whose lane parked it.
    pub generation: u64,
    /// The partition.
    pub partition: u32,
    /// The event.
    pub event: ParkedEvent,
    /// How many events of its stream wait behind it.
    pub waiting: u64,
}

impl DeadLetter {
    /// Where it stands in the order in which dead letters are listed.
    pub fn place(&self) -> DeadLetterKey {
        DeadLetterKey {
            view: self.view.clone(),
            generation: self.generation,
            partition: self.partition,
            position: self.event.position,
        }
    }
}

/// The place of a dead letter in the order in which they are listed.
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

/// How many dead letters a view has, and how many events wait behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedCount {
    /// The view.
    pub view: String,
    /// Dead letters.
    pub dead: u64,
    /// Events that wait behind them.
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
    /// The events of a stream that are held back on a lane, by position: the first is the dead letter.
    async fn held(&self, lane: &LaneId, stream: &StreamName) -> Result<Vec<ParkedEvent>, DocumentStoreError>;

    /// In one transaction: takes the held events of a stream off the lane, if they are exactly those at the positions
    /// `believed`; reads the documents of `keys`; folds, with nothing held; and writes what the fold answers, which may
    /// park some of them again. Notes that documents have changed without the checkpoint moving. `false`: they are not
    /// those that the caller believes, and nothing was changed.
    async fn release(
        &self,
        lane: &LaneId,
        stream: &StreamName,
        believed: &[u64],
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<bool, DocumentStoreError>;

    /// The dead letters of a workspace in the order of their places, behind `after`, at most `limit`; of the live
    /// generations and of those being built.
    async fn dead_letters(
        &self,
        workspace: WorkspaceId,
        view: Option<&str>,
        after: Option<&DeadLetterKey>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, DocumentStoreError>;

    /// The dead letter of this id.
    async fn dead_letter(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
    ) -> Result<Option<DeadLetter>, DocumentStoreError>;

    /// What is held back in the live generations: in one workspace or in all, and of one correlation or of all.
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
