//! Compares the keys of this server with those of the other servers on its database. With other keys it could
//! find no email and accept no token of theirs, without an error that says why.
//!
//! The first server that starts stores the fingerprints of its keys. Signing keys are rotated: the keys of
//! two servers match while they have one in common.

use std::path::{Path, PathBuf};

use event_store::{EventStore, KeyFingerprint, StoreError};
use gateway::keys::{KeyError, KeyRing, SIGNING};

/// Why a server does not start with its keys.
#[derive(Debug, thiserror::Error)]
pub enum SharedKeysError {
    /// They are not those of the other servers.
    #[error(
        "the keys in {} are not those of the servers that started on this database before; what differs: {}. \
         Copy the folder of one of those servers, or, if their keys are lost or were replaced, start once \
         with --accept-keys", .folder.display(), .differ.join(", ")
    )]
    Differ {
        /// The folder of this server's keys.
        folder: PathBuf,
        /// The keys.
        differ: Vec<String>,
    },
    /// They cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The fingerprints cannot be compared.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Refuses keys that differ from those of the other servers, unless they are to be accepted. `is_new`: this
/// start has made the folder, so it is removed again, and that of another server can be copied there.
pub(crate) async fn check(
    events: &dyn EventStore,
    folder: &Path,
    keys: &KeyRing,
    (accept, is_new): (bool, bool),
) -> Result<(), SharedKeysError> {
    let own: Vec<KeyFingerprint> = keys
        .fingerprints(folder)?
        .into_iter()
        .map(|(purpose, fingerprint)| KeyFingerprint { purpose, fingerprint })
        .collect();
    let differ = events.match_keys(&own, accept).await?;
    if differ.is_empty() {
        return Ok(());
    }
    if is_new && let Err(error) = std::fs::remove_dir_all(folder) {
        tracing::warn!(
            %error,
            folder = %folder.display(),
            "the keys that were just made could not be removed"
        );
    }
    let name = |purpose: String| match purpose.as_str() {
        SIGNING => "the signing keys".to_owned(),
        _ => format!("{purpose}.key"),
    };
    Err(SharedKeysError::Differ {
        folder: folder.to_owned(),
        differ: differ.into_iter().map(name).collect(),
    })
}
