//! The one owner of a file, however the file is named: the appender caches heads and versions, so no second
//! process may append.
//!
//! The file itself is locked, so that a renamed or mounted one has the same lock; and a file beside it, for
//! systems where a lock on the file would exclude SQLite's own. A file with a second name (a hard link) is
//! refused also while no process has it open: SQLite writes a log beside the name by which it opens a file,
//! and under the other name acknowledged events would be missing.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::StoreError;

/// How long a start waits for the previous process to release the lock.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Whether a lock on a file (`flock`) leaves the locks alone that SQLite has on it (`fcntl`).
const LOCKS_ARE_INDEPENDENT: bool = cfg!(target_os = "linux");

/// Held as long as the store is open.
///
/// Closing any handle on the database file drops the shared lock that SQLite has on it for this process. So
/// this is dropped when the connection that writes is closed; those that read do without.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Option<File>,
    _beside: File,
}

/// Takes the lock of a file, which is created if it does not exist.
pub(super) async fn lock(path: &Path) -> Result<Lock, StoreError> {
    let beside = take(&beside(path), path).await?;
    let file = if LOCKS_ARE_INDEPENDENT {
        Some(take(path, path).await?)
    } else {
        None
    };
    if has_other_names(path) {
        return Err(StoreError::Unavailable(format!(
            "{} has a second name (a hard link), and under one of the two its newest events may be missing; \
             remove the other name, or make it a copy",
            path.display()
        )));
    }
    Ok(Lock {
        _file: file,
        _beside: beside,
    })
}

/// The file beside the database file, whose symbolic links are followed as SQLite does.
fn beside(path: &Path) -> PathBuf {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut name = OsString::from(path);
    name.push(".lock");
    PathBuf::from(name)
}

/// Locks a file on behalf of the database file `of`.
async fn take(path: &Path, of: &Path) -> Result<File, StoreError> {
    let cannot = |error: std::io::Error| {
        StoreError::Unavailable(format!("the lock {} cannot be taken: {error}", path.display()))
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(cannot)?;
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
    }
    Err(StoreError::Unavailable(format!(
        "another process has {} open",
        of.display()
    )))
}

#[cfg(unix)]
fn has_other_names(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    fs::metadata(path).is_ok_and(|file| file.nlink() > 1)
}

#[cfg(not(unix))]
fn has_other_names(_: &Path) -> bool {
    false
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn refusal(locked: Result<Lock, StoreError>) -> String {
        locked.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_file_has_one_owner_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("events.db"), folder.path().join("there.db"));
        let owner = lock(&here).await.unwrap();
        std::os::unix::fs::symlink(&here, &there).unwrap();
        assert!(refusal(lock(&there).await).contains("another process has"));
        fs::remove_file(&there).unwrap();
        fs::hard_link(&here, &there).unwrap();
        let said = refusal(lock(&there).await);
        assert!(
            said.contains("another process has") || said.contains("hard link"),
            "{said}"
        );
        drop(owner);
        for name in [&here, &there] {
            assert!(refusal(lock(name).await).contains("hard link"));
        }
        fs::remove_file(&here).unwrap();
        lock(&there).await.unwrap();
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_file_that_is_renamed_keeps_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (folder.path().join("events.db"), folder.path().join("after.db"));
        let owner = lock(&before).await.unwrap();
        fs::rename(&before, &after).unwrap();
        assert!(refusal(lock(&after).await).contains("another process has"));
        drop(owner);
        lock(&after).await.unwrap();
    }
}
