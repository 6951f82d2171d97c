//! The errors of a lane.

use super::progress::unreadable_event;
use documents::DocumentStoreError;
use event_store::StoreError;

/// Why a lane cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The read model failed, or an event cannot be applied.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
    /// Historical events could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The workspace was purged.
    #[error("the workspace was purged")]
    Gone,
    /// A dial has paused the lanes of the handler.
    #[error("the lanes are paused")]
    Paused,
    /// A dial slows the lanes of the handler down: the next event has to wait.
    #[error("the lanes are slowed down")]
    Slow,
    /// A dial has the transaction fail, as if the store of the handler did not answer.
    #[error("an educator has transactions fail here")]
    FailedByDial,
    /// A consumer could not perform the events.
    #[error("the consumer failed: {0}")]
    Effect(String),
    /// An event cannot be read: its partition stops before it.
    #[error("the event at position {position} cannot be read: {reason}")]
    Unreadable {
        /// Its position.
        position: u64,
        /// The reason.
        reason: String,
    },
    /// An event is missing in the store, though later ones are known.
    #[error("the event at position {0} is not in the event store")]
    Missing(u64),
}

impl LaneError {
    /// Whether only an operator can mend it, so that nothing is gained by waiting for the lane.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Corrupt(_)) | Self::Unreadable { .. } | Self::Missing(_)
        )
    }

    /// The reason as the interface shows it. It leaves out messages of databases and mail servers, which are
    /// in the log.
    pub(super) fn public_reason(&self) -> String {
        match self {
            Self::Documents(DocumentStoreError::Unavailable(_)) => {
                "the read model is not available".to_owned()
            }
            Self::Documents(DocumentStoreError::Full(_)) => "the read model's disk is full".to_owned(),
            Self::Documents(DocumentStoreError::Refused(_)) => "the read model refuses a value".to_owned(),
            Self::Documents(DocumentStoreError::Corrupt(_)) => {
                "the read model holds something unreadable; a rebuild mends it".to_owned()
            }
            Self::Unreadable { position, .. } => unreadable_event(*position),
            Self::Store(StoreError::Corrupt(_)) => "the event store holds something unreadable".to_owned(),
            Self::Store(_) => "the event store is not available".to_owned(),
            Self::Effect(_) => "the consumer failed".to_owned(),
            Self::Documents(DocumentStoreError::Fault(_))
            | Self::Gone
            | Self::Paused
            | Self::Slow
            | Self::FailedByDial
            | Self::Missing(_) => self.to_string(),
        }
    }
}
