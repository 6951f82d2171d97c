//! Signed checkpoints of the log: the head of each partition, signed at intervals and kept outside of the
//! database, so that a history that is rewritten as a whole shows.
//!
//! The hash chain alone proves that nothing was changed within a log. A person who can write to the database
//! can compute it anew, though. A checkpoint that was signed before, and is kept elsewhere, then has another
//! hash.
//!
//! Notes have the format of transparency logs (C2SP signed-note and tlog-checkpoint, with Ed25519), so tools
//! for them read and verify ours. A partition is a chain and no tree: its size is the number of its events,
//! and its root hash the hash of the newest one.
//!
//! | module | content |
//! |---|---|
//! | `key` | the key that signs, in a file of its own, and its verifier |
//! | `note` | the text of a checkpoint with its signatures, written and parsed |
//! | `keeper` | signs at intervals, keeps what was signed, and compares it with the log |
//! | `kept_files` | the files, which only grow, and have one history each |
//! | `comparison` | whether a log still contains what was signed |
//! | [`terminal`] | `foldline checkpoint`, and what `foldline verify --checkpoint` says |

mod comparison;
mod keeper;
mod kept_files;
mod key;
mod note;
pub mod terminal;
#[cfg(test)]
mod tests;

use std::{io, path::PathBuf};

use domain::{id::WorkspaceId, wire::SignedCheckpoint};

pub use comparison::{Comparison, compare};
pub use keeper::CheckpointKeeper;
pub use key::{CheckpointKey, Verifier, VerifierError};
pub use note::{MalformedNote, Note, parse};

use event_store::StoreError;

/// The name of the key that signs, and the beginning of every origin.
pub const NAME: &str = "foldline";

/// The history of a partition up to a position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogCheckpoint {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The partition.
    pub partition: u32,
    /// The position of an event.
    pub position: u64,
    /// The hash of the chain there, as bytes.
    pub hash: [u8; 32],
}

/// Why checkpoints cannot be signed, kept or compared.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read or written.
    #[error("{path} cannot be used: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another user could read the key, and so sign checkpoints.
    #[error("the key {path} may be read by others; please run: chmod 600 {path}")]
    Permissions {
        /// The file.
        path: PathBuf,
    },
    /// The file is not an Ed25519 private key.
    #[error("{path} is not an Ed25519 private key in PKCS#8 PEM")]
    MalformedKey {
        /// The file.
        path: PathBuf,
    },
    /// The machine gave no random bytes, or a key could not be encoded.
    #[error("a key cannot be made: {0}")]
    Generation(String),
    /// A task of this module ended early.
    #[error("signing checkpoints was interrupted")]
    Interrupted,
}

impl CheckpointError {
    fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

/// A note as the interface shows it.
pub fn shown(note: &Note) -> SignedCheckpoint {
    let LogCheckpoint {
        partition,
        position,
        hash,
        ..
    } = note.checkpoint();
    SignedCheckpoint {
        partition: *partition,
        position: *position,
        hash: hex::encode(hash),
        note: note.to_string(),
    }
}
