//! Whether the disk takes writes: a small file is written where the server keeps its data, and removed.
//!
//! A database on a full disk still answers, so a ping does not show it.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use database::url::StoreUrl;
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::settings::StorageSettings;

/// How much is written: several pages of a database.
const LENGTH: usize = 65_536;
/// The name of the file.
const FILE: &str = "write-probe";

/// What is said of a full disk.
pub(super) const FULL: &str = "the disk is full: writes are refused until it has room, and reading goes on";

/// Why the disk takes no writes. The message is public, so it names no path; the source does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteProbeError {
    /// There is no room, or none that the process may use.
    #[error("{FULL}")]
    Full(#[source] io::Error),
    /// It cannot be written for another reason.
    #[error("the disk takes no writes: they are refused, and reading goes on")]
    Failed(#[source] io::Error),
}

impl From<io::Error> for WriteProbeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full(error)
            }
            _ => Self::Failed(error),
        }
    }
}

/// Writes to the folders of a server.
#[derive(Debug)]
pub(crate) struct WriteProbe {
    folders: BTreeSet<PathBuf>,
    /// One at a time: the file has one name.
    turn: Mutex<()>,
}

impl WriteProbe {
    /// Writes to the data folder, and to that of the event store if it is a file.
    pub(crate) fn new(storage: &StorageSettings) -> Self {
        let mut folders = BTreeSet::from([storage.data_dir.clone()]);
        if let StoreUrl::Sqlite(url) = storage.event_store() {
            let folder = url.file().parent().unwrap_or(Path::new(""));
            folders.insert(folder.to_owned());
        }
        Self::of(folders)
    }

    fn of(folders: BTreeSet<PathBuf>) -> Self {
        let turn = Mutex::default();
        Self { folders, turn }
    }

    /// Writes to each folder.
    pub(crate) async fn write(&self) -> Result<(), WriteProbeError> {
        let _turn = self.turn.lock().await;
        for folder in &self.folders {
            let file = folder.join(FILE);
            let written = spawn_blocking(move || write(&file)).await;
            written.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

fn write(file: &Path) -> io::Result<()> {
    let written = fs::write(file, vec![0; LENGTH]);
    // Also what was written of it before the disk was full.
    let removed = fs::remove_file(file);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_takes_writes_is_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let probe = WriteProbe::of([folder.path().to_owned()].into());
        probe.write().await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_folder_that_takes_none_is_told_and_not_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = WriteProbe::of([missing].into()).write().await.unwrap_err();
        assert!(matches!(error, WriteProbeError::Failed(_)), "{error:?}");
        assert!(!error.to_string().contains("missing"), "{error}");
    }

    #[test]
    fn no_room_is_told_apart() {
        for (kind, is_full) in [
            (io::ErrorKind::StorageFull, true),
            (io::ErrorKind::QuotaExceeded, true),
            (io::ErrorKind::FileTooLarge, true),
            (io::ErrorKind::ReadOnlyFilesystem, false),
        ] {
            let error = WriteProbeError::from(io::Error::from(kind));
            assert_eq!(matches!(error, WriteProbeError::Full(_)), is_full, "{kind}");
        }
    }
}
