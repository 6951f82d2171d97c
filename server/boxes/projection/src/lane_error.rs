//! Why a lane cannot go on.

use documents::DocumentStoreError;
use event_store::StoreError;

/// Why a lane cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The read model did not take it, or an event cannot be applied.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
    /// Historical events could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The workspace is there no more.
    #[error("the workspace was purged")]
    Gone,
    /// An educator has paused the lanes of the view.
    #[error("the lanes of this view are paused")]
    Paused,
    /// An effect consumer could not do what it does.
    #[error("it could not be done: {0}")]
    Effect(String),
    /// An event is missing in the store, though later ones are known.
    #[error("the event at position {0} is not in the event store")]
    Missing(u64),
}

impl LaneError {
    /// What is said of it in the interface: nothing of what a database or a mail server said, which is in the log.
    pub(super) fn public_reason(&self) -> String {
        match self {
            Self::Documents(DocumentStoreError::Unavailable(_)) => {
                "the read model is not available".to_owned()
            }
            Self::Documents(DocumentStoreError::Refused(_)) => "the read model refuses a value".to_owned(),
            Self::Documents(DocumentStoreError::Corrupt(_)) => {
                "the read model holds something unreadable; a rebuild mends it".to_owned()
            }
            Self::Store(StoreError::Corrupt(_)) => "the event store holds something unreadable".to_owned(),
            Self::Store(_) => "the event store is not available".to_owned(),
            Self::Effect(_) => "it could not be done".to_owned(),
            Self::Documents(DocumentStoreError::Fault(_)) | Self::Gone | Self::Paused | Self::Missing(_) => {
                self.to_string()
            }
        }
    }
}
