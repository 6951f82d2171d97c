//! `foldline backup`: copies everything that cannot be folded again into a folder, also while a server has it
//! open.
//!
//! It copies the process store, then the events, then the personal data, then the keys, in this
//! order. A process store that is older than the events handles the later events again; a newer one would
//! lose them. Every sealed value in the copied events has its key in the copy, unless the key was destroyed
//! since. Views are folded again when the copy is started. The folder gets its name once everything in it is
//! written, flushed and verified, so an interrupted backup is never mistaken for a complete one.

use std::{
    fs::{self, DirBuilder, File},
    io,
    path::{Path, PathBuf},
};

use super::chain::{ChainCheck, replay};
use database::{sqlite, url::StoreUrl};
use event_store::{EventStore as _, SqliteEventStore, StoreError};

/// Workspaces that are read at a time.
const PAGE: u32 = 500;

/// Why a backup failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The events are not in a file.
    #[error(
        "the events are in a PostgreSQL database, whose own tools take a backup while it is in use: \
         `pg_dump --format=custom --schema=foldline_events --schema=foldline_processes \
         --schema=foldline_people`; copy the folder {keys} as well"
    )]
    Postgres {
        /// The folder of the keys.
        keys: PathBuf,
    },
    /// The target folder exists already.
    #[error("{0} is there already; a backup is a folder of its own")]
    Exists(PathBuf),
    /// There is nothing to back up.
    #[error("there is no file {0}")]
    Missing(PathBuf),
    /// A folder or a file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be copied or checked.
    #[error("{path} cannot be copied: {source}")]
    Copy {
        /// Which.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// The copy cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy is corrupt: so is the original, or the disk is faulty.
    #[error("the copy is corrupt: {}", .0.join("; "))]
    Corrupt(Vec<String>),
}

/// The stores and the folder to back up.
#[derive(Debug, Clone)]
pub struct BackupSources {
    /// The events.
    pub events: StoreUrl,
    /// The process store.
    pub process_store: StoreUrl,
    /// The store of personal data.
    pub people: StoreUrl,
    /// The folder of the keys.
    pub keys: PathBuf,
}

/// The content of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupSummary {
    /// Workspaces.
    pub workspaces: u64,
    /// Events in them, each verified.
    pub events: u64,
}

/// Backs up these stores into a new folder. `foldline serve --data-dir <folder>` starts from a restored copy.
pub async fn backup(sources: BackupSources, folder: &Path) -> Result<BackupSummary, BackupError> {
    let BackupSources {
        events,
        process_store,
        people,
        keys,
    } = sources;
    let StoreUrl::Sqlite(events) = events else {
        return Err(BackupError::Postgres { keys });
    };
    if folder.exists() {
        return Err(BackupError::Exists(folder.to_owned()));
    }
    if !events.file().is_file() {
        return Err(BackupError::Missing(events.file().to_owned()));
    }
    let mut name = folder.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { path, source }
    };
    if partial.exists() {
        // Left by an interrupted backup.
        fs::remove_dir_all(&partial).map_err(at(&partial))?;
    }
    private_folder(&partial).map_err(at(&partial))?;
    if let StoreUrl::Sqlite(process_store) = process_store
        && process_store.file().is_file()
    {
        copy(process_store.file(), &partial.join("consumers.db")).await?;
    }
    let copied = partial.join("events.db");
    copy(events.file(), &copied).await?;
    if let StoreUrl::Sqlite(people) = people
        && people.file().is_file()
    {
        copy(people.file(), &partial.join("people.db")).await?;
    }
    if keys.is_dir() {
        copy_keys(&keys, &partial.join("keys")).map_err(at(&keys))?;
    }
    let summary = verify(&copied).await?;
    flush(&partial).map_err(at(&partial))?;
    fs::rename(&partial, folder).map_err(at(folder))?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    flush(parent.unwrap_or(Path::new("."))).map_err(at(folder))?;
    Ok(summary)
}

/// Copies a database, and checks that the copy is sound.
async fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::Copy {
        path: from.to_owned(),
        source,
    };
    sqlite::copy(from, to).await.map_err(failed)?;
    let errors = sqlite::integrity_errors(to).await.map_err(failed)?;
    if !errors.is_empty() {
        return Err(BackupError::Corrupt(errors));
    }
    // SQLite does not flush such a copy.
    flush(to).map_err(|source| BackupError::File {
        path: to.to_owned(),
        source,
    })
}

/// Copies the keys with their permissions: they sign tokens.
fn copy_keys(from: &Path, to: &Path) -> io::Result<()> {
    private_folder(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let copied = to.join(entry.file_name());
            fs::copy(entry.path(), &copied)?;
            flush(&copied)?;
        }
    }
    flush(to)
}

fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn flush(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Recomputes every hash of the copy.
async fn verify(events: &Path) -> Result<BackupSummary, BackupError> {
    let store = SqliteEventStore::open_to_read(events).await?;
    let mut summary = BackupSummary {
        workspaces: 0,
        events: 0,
    };
    let (mut findings, mut after) = (Vec::new(), None);
    loop {
        let page = store.workspaces(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for workspace in &page {
            summary.workspaces += 1;
            for partition in 0..workspace.shards {
                let mut chain = ChainCheck::new(workspace.shards, partition);
                replay(&store, workspace, partition, |events| {
                    for event in events {
                        chain.check(event);
                    }
                })
                .await?;
                summary.events += chain.events;
                findings.append(&mut chain.findings);
            }
        }
    }
    store.close().await;
    if findings.is_empty() {
        Ok(summary)
    } else {
        Err(BackupError::Corrupt(findings))
    }
}
