//! The writer of the index: a thread that takes the lanes' waiting jobs, folds their events, and commits them
//! together.
//!
//! A commit costs some milliseconds however small it is, so waiting jobs share one. Documents and the
//! processed positions of their partition are in the same commit, so each event is in the index exactly once,
//! however often it is delivered and wherever a crash happens.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use domain::id::WorkspaceId;
use tantivy::{IndexWriter, TantivyDocument, Term};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{
    commit_batch::CommitBatch,
    entry::{IndexedDocument, TextPart, joined},
    index::{Fields, Files, SearchError, owner_term},
    index_writer::roll_back,
    job_fold::JobFold,
};
use documents::Opener;
use projection::effect::{EffectError, ProcessedPositions, Work};

/// The most jobs that share a commit.
const BATCH_SIZE: usize = 64;

/// The shortest interval between commits, so that a busy shop does not keep the disk busy.
const COMMIT_INTERVAL: Duration = Duration::from_millis(50);

/// How often to try to remove deleted documents from the files while merges are running.
const PURGE_ATTEMPTS: u32 = 20;

/// A job for the writer.
pub(super) enum Job {
    /// Indexes events.
    Index(Work, oneshot::Sender<Result<(), EffectError>>),
    /// Deletes a workspace.
    Forget(WorkspaceId, oneshot::Sender<Result<(), EffectError>>),
}

impl Job {
    fn answer(self, outcome: Result<(), EffectError>) {
        let (Self::Index(_, answer) | Self::Forget(_, answer)) = self;
        // The lane may have stopped waiting.
        let _ = answer.send(outcome);
    }
}

/// Writes to the index.
pub(super) struct Writer {
    files: Arc<Files>,
    index: IndexWriter,
    opener: Arc<dyn Opener>,
    runtime: Handle,
    /// The positions that were committed since the last failure, by their id in the index.
    positions: HashMap<String, ProcessedPositions>,
    /// After a failure, readers may not show what is committed.
    is_stale: bool,
}

impl Writer {
    pub(super) fn new(
        files: Arc<Files>,
        index: IndexWriter,
        opener: Arc<dyn Opener>,
        runtime: Handle,
    ) -> Self {
        Self {
            files,
            index,
            opener,
            runtime,
            positions: HashMap::new(),
            is_stale: false,
        }
    }

    /// Runs until all senders of jobs are dropped.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(BATCH_SIZE);
        while jobs.blocking_recv_many(&mut waiting, BATCH_SIZE) > 0 {
            let begun = Instant::now();
            if self.work(std::mem::take(&mut waiting)) {
                pause(COMMIT_INTERVAL.saturating_sub(begun.elapsed()));
            }
        }
        if let Err(error) = self.index.wait_merging_threads() {
            tracing::warn!(%error, "the search index was closed while it was being merged");
        }
    }

    /// Does the jobs in one commit. `false`: they change nothing, and nothing was committed.
    fn work(&mut self, jobs: Vec<Job>) -> bool {
        if let Err(error) = self.refresh() {
            for job in jobs {
                job.answer(Err(unavailable(&error.to_string())));
            }
            return false;
        }
        let mut pending = CommitBatch::default();
        let mut done = Vec::with_capacity(jobs.len());
        for job in jobs {
            match &job {
                Job::Index(work, _) => {
                    let fold = JobFold {
                        files: &self.files,
                        committed: &self.positions,
                        before: &pending,
                    };
                    // A panic leaves nothing of the job in the batch.
                    let folded = catch_unwind(AssertUnwindSafe(|| fold.fold(work)));
                    match folded.unwrap_or_else(|_| Err(unavailable("a fold panicked"))) {
                        Ok(more) => pending.add(more),
                        Err(error) => {
                            job.answer(Err(error));
                            continue;
                        }
                    }
                }
                Job::Forget(workspace, _) => pending.forget(*workspace),
            }
            done.push(job);
        }
        let commits = !pending.is_empty();
        let failure = if commits { self.commit(pending) } else { None };
        let outcome = || match &failure {
            None => Ok(()),
            Some(reason) => Err(unavailable(reason)),
        };
        for job in done {
            job.answer(outcome());
        }
        commits
    }

    /// After a failure, lets readers show what is committed: what is folded and deleted follows from it.
    fn refresh(&mut self) -> tantivy::Result<()> {
        if self.is_stale {
            self.files.reader.reload()?;
            self.is_stale = false;
        }
        Ok(())
    }

    /// Commits a batch, or rolls it back and returns the reason.
    fn commit(&mut self, pending: CommitBatch) -> Option<String> {
        let written = catch_unwind(AssertUnwindSafe(|| self.write(pending)));
        let reason = match written {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the search index panicked".to_owned(),
        };
        self.positions.clear();
        self.is_stale = true;
        if let Err(error) = roll_back(&mut self.index) {
            tracing::error!(reason, %error, "a failed commit of the search index could not be rolled back");
        }
        Some(reason)
    }

    /// Writes a batch in one commit.
    fn write(&mut self, pending: CommitBatch) -> Result<(), SearchError> {
        let CommitBatch {
            documents,
            positions,
            forgotten,
            erased,
        } = pending;
        let fields = self.files.fields;
        for workspace in &forgotten {
            self.index
                .delete_term(Term::from_field_text(fields.workspace, &workspace.to_string()));
        }
        for (document_id, pending) in documents {
            let document = self.tantivy_document(&document_id, pending.workspace, &pending.document)?;
            if pending.replaces {
                self.index
                    .delete_term(Term::from_field_text(fields.document_id, &document_id));
            }
            self.index.add_document(document)?;
        }
        for (document_id, (workspace, processed)) in &positions {
            let mut document = TantivyDocument::new();
            document.add_text(fields.document_id, document_id);
            document.add_text(fields.workspace, workspace.to_string());
            document.add_text(fields.document, serde_json::to_string(processed)?);
            self.index
                .delete_term(Term::from_field_text(fields.document_id, document_id));
            self.index.add_document(document)?;
        }
        self.index.commit()?;
        self.files.reader.reload()?;
        if !forgotten.is_empty() {
            self.positions.clear();
        }
        let committed = positions.into_iter().map(|(at, (_, processed))| (at, processed));
        self.positions.extend(committed);
        if erased || !forgotten.is_empty() {
            self.purge()?;
        }
        Ok(())
    }

    fn tantivy_document(
        &self,
        document_id: &str,
        workspace: WorkspaceId,
        indexed: &IndexedDocument,
    ) -> Result<TantivyDocument, SearchError> {
        let Fields {
            document_id: id_field,
            workspace: workspace_field,
            kind,
            owner,
            title,
            text,
            tag,
            tag_words,
            status,
            document: document_field,
        } = self.files.fields;
        let mut document = TantivyDocument::new();
        document.add_text(id_field, document_id);
        document.add_text(workspace_field, workspace.to_string());
        document.add_text(document_field, serde_json::to_string(indexed)?);
        if let Some(of) = indexed.owner {
            document.add_text(owner, owner_term(workspace, of));
        }
        // Without a kind no query finds it.
        if indexed.listed {
            let words = indexed.words();
            document.add_text(kind, indexed.kind.as_str());
            document.add_text(title, self.opened(workspace, words.title)?);
            document.add_text(text, self.opened(workspace, words.text)?);
            for word in words.tags {
                document.add_text(tag_words, &word);
                document.add_text(tag, word);
            }
            if let Some(word) = words.status {
                document.add_text(status, word);
            }
        }
        Ok(document)
    }

    fn opened(&self, workspace: WorkspaceId, pieces: Vec<TextPart>) -> Result<String, SearchError> {
        let open = |piece| match piece {
            TextPart::Plain(text) => Ok(text),
            TextPart::Personal(text) => self.runtime.block_on(self.opener.open_text(workspace, &text)),
        };
        let opened: Result<Vec<_>, _> = pieces.into_iter().map(open).collect();
        Ok(joined(opened?))
    }

    /// Removes deleted documents from the files: they stay in their segment until it is merged.
    fn purge(&mut self) -> Result<(), SearchError> {
        for _ in 0..PURGE_ATTEMPTS {
            let metas = self.files.index.searchable_segment_metas()?;
            let segments: Vec<_> = metas
                .iter()
                .filter(|meta| meta.num_deleted_docs() > 0)
                .map(tantivy::SegmentMeta::id)
                .collect();
            if segments.is_empty() {
                break;
            }
            // A segment that is being merged already is removed by that merge.
            if self.index.merge(&segments).wait().is_err() {
                pause(COMMIT_INTERVAL);
            }
            self.files.reader.reload()?;
        }
        self.index.garbage_collect_files().wait()?;
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the writer has a thread of its own, on which nothing else waits"
)]
fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

fn unavailable(reason: &str) -> EffectError {
    EffectError::Unavailable(reason.to_owned())
}
