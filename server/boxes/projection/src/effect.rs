//! What a consumer is given to do, and what it says of it. A handler without documents has its effect before the checkpoint
//! moves over the events, so a crash in between has it come again: at least once, in order. A consumer that must not do it
//! twice keeps [`ProcessedPositions`] with its effect.

use std::collections::{BTreeSet, HashSet};

use broker::{Events, PartitionId};
use documents::{DocumentStoreError, FoldFault, SealError};
use event_store::StoreError;
use serde::{Deserialize, Serialize};

use super::lane_error::LaneError;

/// Events of one partition that something is to be done about.
#[derive(Debug, Clone)]
pub struct Work {
    /// The partition.
    pub partition: PartitionId,
    /// The position behind which the lane stands, and where it will stand; absent where parked events are tried again.
    pub passed: Option<(u64, u64)>,
    /// The events, in order, every one of them readable; without those that are parked.
    pub events: Events,
}

/// Why nothing was done, or not all.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// It may be possible later: tried again for ever, slowly.
    #[error("{0}")]
    Unavailable(String),
    /// A database refuses what becomes of one of the events, and will refuse it again: that event's fault, once it is
    /// known which it is.
    #[error("{0}")]
    Refused(String),
    /// It is this event's fault: after some attempts it is a dead letter.
    #[error(transparent)]
    Event(#[from] FoldFault),
}

impl From<SealError> for EffectError {
    fn from(error: SealError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// What of a partition had its effect. Written together with the effect, it makes "at least once" exactly once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessedPositions {
    /// Up to here everything had its effect, but for `missing`.
    pub checkpoint: u64,
    /// What was parked, and may come later.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub missing: BTreeSet<u64>,
}

impl ProcessedPositions {
    /// Whether an event at this position has not had its effect.
    pub fn wants(&self, position: u64) -> bool {
        position > self.checkpoint || self.missing.contains(&position)
    }

    /// Notes that all of the work is done. `true`: this must be written down though nothing came of the events, because
    /// some were not among them.
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
        self.checkpoint = self.checkpoint.max(to);
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
    fn what_was_not_given_is_wanted_later_and_nothing_else_twice() {
        let mut inbox = ProcessedPositions::default();
        // Nothing of 1 to 3 was given: all of it was parked.
        assert!(inbox.note(&work(Some((0, 3)))));
        assert!(inbox.wants(2) && inbox.wants(4));
        // The same again, as after a crash, and what came since.
        inbox.missing.remove(&1);
        assert!(inbox.note(&work(Some((0, 4)))));
        assert_eq!(inbox.missing, BTreeSet::from([2, 3, 4]));
        assert!(!inbox.wants(1));
    }
}
