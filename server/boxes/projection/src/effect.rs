//! What a consumer gets to perform, and what it answers. A handler without documents has its effect before
//! the checkpoint moves over the events, so a crash in between makes them come again: at least once, in
//! order. A consumer that must not act twice keeps [`ProcessedPositions`] with its effect.

use std::collections::{BTreeSet, HashSet};

use broker::{Events, PartitionId};
use documents::{DocumentStoreError, FoldFault, SealError};
use event_store::StoreError;
use serde::{Deserialize, Serialize};

use super::lane_error::LaneError;

/// Events of one partition for a consumer to perform.
#[derive(Debug, Clone)]
pub struct Work {
    /// The partition.
    pub partition: PartitionId,
    /// The lane's checkpoint before and after these events; absent when parked events are retried.
    pub passed: Option<(u64, u64)>,
    /// The events, in order and decodable, without those that are parked.
    pub events: Events,
}

/// Why a consumer performed none or not all of the events.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// A dependency does not answer; the lane retries without end, slowly.
    #[error("{0}")]
    Unavailable(String),
    /// A database refuses a value of one of the events, and will refuse it again. The lane finds out which
    /// event is at fault.
    #[error("{0}")]
    Refused(String),
    /// This event is at fault; after some attempts it is a dead letter.
    #[error(transparent)]
    Event(#[from] FoldFault),
}

impl From<SealError> for EffectError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Refused(_) => Self::Refused(error.to_string()),
            SealError::Unavailable(_) => Self::Unavailable(error.to_string()),
        }
    }
}

/// The positions of a partition that had their effect. Written together with the effect, they make "at least
/// once" exactly once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessedPositions {
    /// Every event up to here had its effect, except those in `missing`.
    pub checkpoint: u64,
    /// The hash of the log's chain at the checkpoint, if it is known: a log with another one has another
    /// history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Parked positions, which may come later.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub missing: BTreeSet<u64>,
}

impl ProcessedPositions {
    /// Whether an event at this position has not had its effect.
    pub fn wants(&self, position: u64) -> bool {
        position > self.checkpoint || self.missing.contains(&position)
    }

    /// Notes that all of the work is done. `true`: the consumer must store this even if the events had no
    /// effect, because some were not among them.
    pub fn note(&mut self, work: &Work) -> bool {
        for event in &work.events {
            self.missing.remove(&event.position);
        }
        let Some((from, to)) = work.passed else {
            return true;
        };
        let given: HashSet<u64> = work.events.iter().map(|event| event.position).collect();
        let before = self.missing.len();
        self.missing
            .extend((from.max(self.checkpoint) + 1..=to).filter(|position| !given.contains(position)));
        if to >= self.checkpoint {
            let last = work.events.last().filter(|event| event.position == to);
            let hash = last.map(|event| event.hash.clone());
            if to > self.checkpoint || hash.is_some() {
                self.hash = hash;
            }
            self.checkpoint = to;
        }
        self.missing.len() > before
    }
}

impl From<std::io::Error> for EffectError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<DocumentStoreError> for EffectError {
    fn from(error: DocumentStoreError) -> Self {
        if matches!(error, DocumentStoreError::Refused(_)) {
            return Self::Refused(error.to_string());
        }
        Self::Unavailable(error.to_string())
    }
}

impl From<StoreError> for EffectError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Refused(_)) {
            return Self::Refused(error.to_string());
        }
        Self::Unavailable(error.to_string())
    }
}

impl From<EffectError> for LaneError {
    fn from(error: EffectError) -> Self {
        match error {
            EffectError::Unavailable(reason) | EffectError::Refused(reason) => Self::Effect(reason),
            EffectError::Event(fault) => Self::Documents(DocumentStoreError::Fault(fault)),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::id::WorkspaceId;
    use uuid::Uuid;

    use super::*;

    fn work(passed: Option<(u64, u64)>) -> Work {
        Work {
            partition: PartitionId {
                workspace: WorkspaceId(Uuid::nil()),
                partition: 0,
            },
            passed,
            events: Events::new(),
        }
    }

    #[test]
    fn a_parked_position_is_wanted_later_and_no_other_twice() {
        let mut processed = ProcessedPositions::default();
        // Nothing of 1 to 3 was given: all of it was parked.
        assert!(processed.note(&work(Some((0, 3)))));
        assert!(processed.wants(2) && processed.wants(4));
        // The same again, as after a crash, and one event more.
        processed.missing.remove(&1);
        assert!(processed.note(&work(Some((0, 4)))));
        assert_eq!(processed.missing, BTreeSet::from([2, 3, 4]));
        assert!(!processed.wants(1));
    }
}
