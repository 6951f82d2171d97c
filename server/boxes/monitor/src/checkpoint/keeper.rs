//! Signs the heads of partitions, at intervals and on demand, and keeps what was signed.
//!
//! Each workspace has a file, to which notes are only added. It lies outside of the database: best on another
//! disk, or where it is copied to another machine. A head that was signed already is not signed again.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::id::WorkspaceId;
use tokio::{
    sync::Mutex,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{CheckpointError, CheckpointKey, LogCheckpoint, Note, Verifier, parse};
use event_store::{ChainHead, EventStore, StoreError};

/// The extension of the files.
const EXTENSION: &str = "notes";

/// How much of the end of a file is read to find what was signed last: more than the notes of all partitions
/// that a workspace can have.
const TAIL: u64 = 64 * 1_024;

/// Signs checkpoints of a log and keeps them in a folder.
#[derive(Debug)]
pub struct CheckpointKeeper {
    store: Arc<dyn EventStore>,
    key: CheckpointKey,
    folder: PathBuf,
    /// The heads that this process has kept last; locked while files are written.
    kept: Mutex<HashMap<(WorkspaceId, u32), ChainHead>>,
}

impl CheckpointKeeper {
    /// Signs with a key, and keeps in a folder, which is created when it is needed.
    pub fn new(store: Arc<dyn EventStore>, key: CheckpointKey, folder: PathBuf) -> Self {
        Self {
            store,
            key,
            folder,
            kept: Mutex::default(),
        }
    }

    /// Verifies what it signs.
    pub fn verifier(&self) -> &Verifier {
        self.key.verifier()
    }

    /// The heads of a workspace's partitions that have an event, signed now.
    pub async fn fresh(&self, workspace: WorkspaceId) -> Result<Vec<Note>, CheckpointError> {
        let heads = self.store.chain_heads(Some(workspace)).await?;
        let signed = heads.iter().filter(|(.., head)| head.position > 0);
        signed
            .map(|(_, partition, head)| self.sign(workspace, *partition, head))
            .collect()
    }

    fn sign(
        &self,
        workspace: WorkspaceId,
        partition: u32,
        head: &ChainHead,
    ) -> Result<Note, CheckpointError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(&head.hash, &mut hash)
            .map_err(|error| StoreError::Corrupt(format!("the hash of a head: {error}")))?;
        let checkpoint = LogCheckpoint {
            workspace,
            partition,
            position: head.position,
            hash,
        };
        Ok(Note::sign(checkpoint, &self.key))
    }

    /// Signs and keeps the heads that were not kept yet, of one workspace or of all; returns their number.
    pub async fn keep(&self, workspace: Option<WorkspaceId>) -> Result<u64, CheckpointError> {
        let mut kept = self.kept.lock().await;
        let mut of_workspaces: BTreeMap<WorkspaceId, Vec<(u32, ChainHead)>> = BTreeMap::new();
        for (workspace, partition, head) in self.store.chain_heads(workspace).await? {
            let is_new = kept.get(&(workspace, partition)) != Some(&head);
            if head.position > 0 && is_new {
                let heads = of_workspaces.entry(workspace).or_default();
                heads.push((partition, head));
            }
        }
        let mut count = 0;
        for (workspace, heads) in of_workspaces {
            let notes: Vec<Note> = heads
                .iter()
                .map(|(partition, head)| self.sign(workspace, *partition, head))
                .collect::<Result<_, _>>()?;
            let file = self.file(workspace);
            let added = spawn_blocking(move || append(&file, &notes)).await;
            count += added.map_err(|_| CheckpointError::Interrupted)??;
            kept.extend(
                heads
                    .into_iter()
                    .map(|(partition, head)| ((workspace, partition), head)),
            );
        }
        Ok(count)
    }

    /// The newest notes that are kept of a workspace, oldest first, at most `limit`. What cannot be read is
    /// left out.
    pub async fn kept(&self, workspace: WorkspaceId, limit: usize) -> Result<Vec<Note>, CheckpointError> {
        let file = self.file(workspace);
        let text = spawn_blocking(move || end_of(&file)).await;
        let text = text.map_err(|_| CheckpointError::Interrupted)??;
        let mut notes: Vec<Note> = parse(&text).into_iter().flatten().collect();
        notes.retain(|note| note.checkpoint().workspace == workspace);
        Ok(notes.split_off(notes.len().saturating_sub(limit)))
    }

    /// Removes what is kept of workspaces that were purged.
    async fn forget_purged(&self) -> Result<(), CheckpointError> {
        let folder = self.folder.clone();
        let workspaces = spawn_blocking(move || workspaces_in(&folder)).await;
        for workspace in workspaces.map_err(|_| CheckpointError::Interrupted)?? {
            if self.store.workspace(workspace).await?.is_none() && self.store.was_purged(workspace).await? {
                let file = self.file(workspace);
                let removed =
                    spawn_blocking(move || fs::remove_file(&file).map_err(CheckpointError::file(&file)));
                removed.await.map_err(|_| CheckpointError::Interrupted)??;
                self.kept.lock().await.retain(|(of, _), _| *of != workspace);
            }
        }
        Ok(())
    }

    /// Keeps checkpoints at this interval, and once more at the end.
    pub async fn run(self: Arc<Self>, every: Duration, stopping: CancellationToken) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            self.keep_and_log().await;
            if let Err(error) = self.forget_purged().await {
                tracing::warn!(%error, "checkpoints of purged workspaces could not be removed");
            }
        }
        self.keep_and_log().await;
    }

    async fn keep_and_log(&self) {
        match self.keep(None).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "checkpoints of the log were signed and kept"),
            Err(error) => {
                metrics::counter!("foldline_checkpoint_failures_total").increment(1);
                tracing::error!(%error, "checkpoints of the log could not be signed and kept");
            }
        }
    }

    fn file(&self, workspace: WorkspaceId) -> PathBuf {
        self.folder.join(format!("{workspace}.{EXTENSION}"))
    }
}

/// Adds those notes to a file that are not among its last ones; returns their number.
fn append(file: &Path, notes: &[Note]) -> Result<u64, CheckpointError> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(CheckpointError::file(folder))?;
    }
    let tail = end_of(file)?;
    let new: Vec<&Note> = notes.iter().filter(|note| !tail.contains(note.text())).collect();
    if new.is_empty() {
        return Ok(0);
    }
    let mut text = String::new();
    if !tail.is_empty() && !tail.ends_with("\n\n") {
        // the last one was cut off, as on a full disk
        text.push_str("\n\n");
    }
    for note in &new {
        text.push_str(&note.to_string());
        text.push('\n');
    }
    let mut opened = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .map_err(CheckpointError::file(file))?;
    opened
        .write_all(text.as_bytes())
        .and_then(|()| opened.sync_data())
        .map_err(CheckpointError::file(file))?;
    Ok(new.len() as u64)
}

/// The end of a file; empty if there is none. It begins with a whole note, unless the file is damaged.
fn end_of(file: &Path) -> Result<String, CheckpointError> {
    let mut opened = match fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(CheckpointError::file(file)(error)),
    };
    let mut bytes = Vec::new();
    let length = opened.metadata().map_err(CheckpointError::file(file))?.len();
    let skipped = length.saturating_sub(TAIL);
    opened
        .seek(SeekFrom::Start(skipped))
        .and_then(|_| opened.take(TAIL).read_to_end(&mut bytes))
        .map_err(CheckpointError::file(file))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if skipped == 0 {
        return Ok(text);
    }
    // the first note is cut off: the next one follows the empty line behind its signatures
    let begin = text
        .find(&format!("\n\n{}/", super::NAME))
        .map_or(text.len(), |at| at + 2);
    Ok(text[begin..].to_owned())
}

/// The workspaces that have a file.
fn workspaces_in(folder: &Path) -> Result<Vec<WorkspaceId>, CheckpointError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CheckpointError::file(folder)(error)),
    };
    let mut workspaces = Vec::new();
    for entry in entries {
        let path = entry.map_err(CheckpointError::file(folder))?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let is_ours = path.extension().is_some_and(|extension| extension == EXTENSION);
        workspaces.extend(
            name.filter(|_| is_ours)
                .and_then(|name| name.parse::<WorkspaceId>().ok()),
        );
    }
    Ok(workspaces)
}
