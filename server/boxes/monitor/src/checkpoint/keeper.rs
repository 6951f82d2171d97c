//! Signs the heads of partitions, at intervals and on demand, and keeps what was signed.
//!
//! Each workspace has a file, to which notes are only added. It lies outside of the database: best on another
//! disk, or where it is copied to another machine. A head that was signed already is not signed again.
//!
//! A log that does not contain what is kept was rolled back or rewritten. That is said in the log of the
//! server and where checkpoints are shown; its heads go to a file of their own, so that the files still
//! say what was lost.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::PathBuf,
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

use super::{
    CheckpointError, CheckpointKey, LogCheckpoint, Note, Verifier,
    comparison::compare_partition,
    kept_files::{COMPARED, HistoryFiles, append, end_of, file_name, kept_files, last_of},
    parse,
};
use event_store::{ChainHead, EventStore, StoreError};

/// The most differences that are told at a time.
const MAX_DIFFERENCES: usize = 100;

/// The files of a workspace, compared with its log.
#[derive(Debug, Default)]
struct ComparedFiles {
    /// The newest file whose notes the log contains.
    fitting: Option<u32>,
    /// What the log does not contain, one sentence each.
    differences: Vec<String>,
}

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
        if of_workspaces.is_empty() {
            return Ok(0);
        }
        let files = self.files(workspace).await?;
        let mut count = 0;
        for (workspace, heads) in of_workspaces {
            let notes: Vec<Note> = heads
                .iter()
                .map(|(partition, head)| self.sign(workspace, *partition, head))
                .collect::<Result<_, _>>()?;
            let file = self.file_to_continue(workspace, files.get(&workspace)).await?;
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
        let mut notes: Vec<Note> = Vec::new();
        let mut files = self.files(Some(workspace)).await?;
        for file in files.remove(&workspace).unwrap_or_default().into_values() {
            let text = spawn_blocking(move || end_of(&file)).await;
            let text = text.map_err(|_| CheckpointError::Interrupted)??;
            notes.extend(parse(&text).into_iter().flatten());
        }
        notes.retain(|note| note.checkpoint().workspace == workspace);
        Ok(notes.split_off(notes.len().saturating_sub(limit)))
    }

    /// The histories of a workspace that are kept and that the log does not contain, one sentence each. Notes
    /// of another key say nothing about this log.
    pub async fn differences(&self, workspace: WorkspaceId) -> Result<Vec<String>, CheckpointError> {
        let files = self.files(Some(workspace)).await?;
        match files.get(&workspace) {
            Some(files) => Ok(self.compare_files(workspace, files).await?.differences),
            None => Ok(Vec::new()),
        }
    }

    /// The same of all workspaces that have files.
    pub async fn all_differences(&self) -> Result<Vec<String>, CheckpointError> {
        let mut differences = Vec::new();
        for (workspace, files) in self.files(None).await? {
            differences.extend(self.compare_files(workspace, &files).await?.differences);
        }
        Ok(differences)
    }

    async fn files(
        &self,
        only: Option<WorkspaceId>,
    ) -> Result<BTreeMap<WorkspaceId, HistoryFiles>, CheckpointError> {
        let folder = self.folder.clone();
        let files = spawn_blocking(move || kept_files(&folder, only)).await;
        files.map_err(|_| CheckpointError::Interrupted)?
    }

    /// The file to which the heads of the log are added: one whose notes the log contains.
    async fn file_to_continue(
        &self,
        workspace: WorkspaceId,
        files: Option<&HistoryFiles>,
    ) -> Result<PathBuf, CheckpointError> {
        let newest = files.and_then(|files| files.keys().next_back().copied());
        let fitting = match files {
            Some(files) => self.compare_files(workspace, files).await?.fitting,
            None => None,
        };
        let number = match (fitting, newest) {
            (Some(number), _) => number,
            (None, None) => 1,
            (None, Some(newest)) => {
                let number = newest.saturating_add(1);
                tracing::error!(
                    %workspace, file = file_name(workspace, number),
                    "the log does not contain what was signed; its heads are kept in a file of their own"
                );
                number
            }
        };
        Ok(self.folder.join(file_name(workspace, number)))
    }

    /// Compares the newest notes of each file of a workspace with the log: it contains those before them if
    /// it contains these.
    async fn compare_files(
        &self,
        workspace: WorkspaceId,
        files: &HistoryFiles,
    ) -> Result<ComparedFiles, CheckpointError> {
        let mut compared = ComparedFiles::default();
        if self.store.was_purged(workspace).await? {
            return Ok(compared);
        }
        for (number, file) in files {
            let path = file.clone();
            let text = spawn_blocking(move || last_of(&path, COMPARED)).await;
            let text = text.map_err(|_| CheckpointError::Interrupted)??;
            let mut fits = true;
            let newest = newest(&text, workspace, self.verifier());
            for (partition, checkpoints) in newest.into_iter().filter(|(_, found)| !found.is_empty()) {
                let place = (workspace, partition);
                let compared_partition = compare_partition(&*self.store, place, &checkpoints).await?;
                if let Some(difference) = compared_partition.difference {
                    fits = false;
                    compared.differences.push(format!(
                        "workspace {workspace}, partition {partition}: {difference}"
                    ));
                }
            }
            if fits {
                compared.fitting = Some(*number);
            }
        }
        Ok(compared)
    }

    /// Compares what is kept with the log, and says in the server's log what it does not contain.
    pub async fn compare_and_log(&self) {
        let differences = match self.all_differences().await {
            Ok(differences) => differences,
            Err(error) => {
                metrics::counter!("foldline_checkpoint_failures_total").increment(1);
                tracing::error!(%error, "the kept checkpoints could not be compared with the log");
                return;
            }
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; there are far fewer than 2^53 partitions"
        )]
        metrics::gauge!("foldline_checkpoint_differences").set(differences.len() as f64);
        for difference in differences.iter().take(MAX_DIFFERENCES) {
            tracing::error!(
                difference,
                "the log does not contain a history that was signed: it was rolled back or rewritten"
            );
        }
    }

    /// Removes what is kept of workspaces that were purged.
    async fn forget_purged(&self) -> Result<(), CheckpointError> {
        for (workspace, files) in self.files(None).await? {
            if !self.store.was_purged(workspace).await? {
                continue;
            }
            for file in files.into_values() {
                let removed =
                    spawn_blocking(move || fs::remove_file(&file).map_err(CheckpointError::file(&file)));
                removed.await.map_err(|_| CheckpointError::Interrupted)??;
            }
            self.kept.lock().await.retain(|(of, _), _| *of != workspace);
        }
        Ok(())
    }

    /// Keeps checkpoints at this interval, and once more at the end; before each, what is kept is compared
    /// with the log. Without an interval it is compared once.
    pub async fn run(self: Arc<Self>, every: Option<Duration>, stopping: CancellationToken) {
        let Some(every) = every else {
            stopping.run_until_cancelled(self.compare_and_log()).await;
            return;
        };
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            if stopping
                .run_until_cancelled(self.compare_and_log())
                .await
                .is_none()
            {
                break;
            }
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
}

/// The newest checkpoints of a text that a key has signed, by partition: the one with the highest position,
/// and the last one.
fn newest(text: &str, workspace: WorkspaceId, verifier: &Verifier) -> BTreeMap<u32, Vec<LogCheckpoint>> {
    let mut of_partitions: BTreeMap<u32, Vec<Note>> = BTreeMap::new();
    for note in parse(text).into_iter().flatten() {
        if note.checkpoint().workspace == workspace {
            of_partitions
                .entry(note.checkpoint().partition)
                .or_default()
                .push(note);
        }
    }
    let checkpoints = |notes: Vec<Note>| {
        let last = notes.iter().rev().find(|note| note.is_signed_by(verifier));
        let last = last.map(|note| note.checkpoint().clone());
        let mut by_position = notes;
        by_position.sort_by_key(|note| note.checkpoint().position);
        let highest = by_position.iter().rev().find(|note| note.is_signed_by(verifier));
        let highest = highest.map(|note| note.checkpoint().clone());
        let mut newest: Vec<LogCheckpoint> = last.into_iter().chain(highest).collect();
        newest.sort();
        newest.dedup();
        newest
    };
    of_partitions
        .into_iter()
        .map(|(partition, notes)| (partition, checkpoints(notes)))
        .collect()
}
