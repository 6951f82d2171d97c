//! The writer of the index: a thread that takes the lanes' waiting jobs, folds their events, and commits them
//! together.
//!
//! A commit costs some milliseconds however small it is, so waiting jobs share one. Documents and the
//! processed positions of their partition are in the same commit, so each event is in the index exactly once,
//! however often it is delivered and wherever a crash happens.
//!
//! A commit deletes documents, and leaves their text in files until segments are merged. So a commit that
//! erases notes that this is unconfirmed, and a job that erases is done only once no file has a deleted
//! document. After a failure its lane repeats it; after a crash the next start finds the note.

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
    index_writer::{pause_merges, resume_merges, roll_back},
    job_fold::{JobFold, USER_ERASED},
};
use documents::Opener;
use projection::effect::{EffectError, ProcessedPositions, Work};

/// The most jobs that share a commit.
const BATCH_SIZE: usize = 64;

/// The shortest interval between commits, so that a busy shop does not keep the disk busy.
const COMMIT_INTERVAL: Duration = Duration::from_millis(50);

/// How often to try to remove deleted documents from the files while merges are running.
const PURGE_ATTEMPTS: u32 = 20;

/// The note of a commit after which no file has the text of an erasure. An index of an earlier version has
/// none.
const CONFIRMED: &str = "erasures are confirmed";

/// A job for the writer.
pub(super) enum Job {
    /// Indexes events.
    Index(Work, oneshot::Sender<Result<(), EffectError>>),
    /// Deletes a workspace.
    Forget(WorkspaceId, oneshot::Sender<Result<(), EffectError>>),
}

impl Job {
    /// Whether it is done only once no file has a deleted document. Also for an event that is in the index
    /// already: it comes again because that was not confirmed.
    fn erases(&self) -> bool {
        match self {
            Self::Index(work, _) => work.events.iter().any(|event| {
                let typed = event.decoded.as_ref();
                typed.is_ok_and(|typed| typed.event_type == USER_ERASED)
            }),
            Self::Forget(..) => true,
        }
    }

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
    /// Whether no file has the text of an erasure.
    is_confirmed: bool,
}

impl Writer {
    pub(super) fn new(
        files: Arc<Files>,
        index: IndexWriter,
        opener: Arc<dyn Opener>,
        runtime: Handle,
    ) -> Self {
        let metas = files.index.load_metas();
        let is_confirmed = metas.is_ok_and(|metas| metas.payload.as_deref() == Some(CONFIRMED));
        Self {
            files,
            index,
            opener,
            runtime,
            positions: HashMap::new(),
            is_stale: false,
            is_confirmed,
        }
    }

    /// Runs until all senders of jobs are dropped.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        // A crash may have interrupted an erasure.
        if let Some(reason) = self.confirm(PURGE_ATTEMPTS) {
            tracing::warn!(
                reason,
                "the search index may have erased text in its files for now"
            );
        }
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
        let attempts = if done.iter().any(Job::erases) {
            PURGE_ATTEMPTS
        } else {
            1
        };
        let unconfirmed = if failure.is_none() {
            self.confirm(attempts)
        } else {
            None
        };
        for job in done {
            let reason = failure
                .as_deref()
                .or_else(|| unconfirmed.as_deref().filter(|_| job.erases()));
            let outcome = reason.map_or(Ok(()), |reason| Err(unavailable(reason)));
            job.answer(outcome);
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
        self.roll_back(&reason);
        Some(reason)
    }

    /// Rolls back what a failed commit has left.
    fn roll_back(&mut self, reason: &str) {
        self.positions.clear();
        self.is_stale = true;
        if let Err(error) = roll_back(&mut self.index) {
            tracing::error!(reason, %error, "a failed commit of the search index could not be rolled back");
        }
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
        self.is_confirmed &= !erased && forgotten.is_empty();
        if !self.is_confirmed {
            pause_merges(&self.index);
        }
        self.commit_index()?;
        if !forgotten.is_empty() {
            self.positions.clear();
        }
        let committed = positions.into_iter().map(|(at, (_, processed))| (at, processed));
        self.positions.extend(committed);
        Ok(())
    }

    /// Commits what was written, with the note whether erasures are confirmed.
    fn commit_index(&mut self) -> Result<(), SearchError> {
        let mut prepared = self.index.prepare_commit()?;
        if self.is_confirmed {
            prepared.set_payload(CONFIRMED);
        }
        prepared.commit()?;
        self.files.reader.reload()?;
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

    /// Removes what was erased from the files, if that is not confirmed yet, and notes it. Otherwise returns
    /// the reason why it is not confirmed.
    fn confirm(&mut self, attempts: u32) -> Option<String> {
        if self.is_confirmed {
            return None;
        }
        let confirmed = catch_unwind(AssertUnwindSafe(|| self.try_confirm(attempts)));
        let reason = match confirmed {
            Ok(Ok(true)) => return None,
            Ok(Ok(false)) => return Some("its files are being merged and may have erased text".to_owned()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the search index panicked".to_owned(),
        };
        self.is_confirmed = false;
        self.roll_back(&reason);
        Some(reason)
    }

    fn try_confirm(&mut self, attempts: u32) -> Result<bool, SearchError> {
        pause_merges(&self.index);
        for attempt in 0..attempts {
            if attempt > 0 {
                pause(COMMIT_INTERVAL);
            }
            if self.purge()? {
                self.is_confirmed = true;
                resume_merges(&self.index);
                self.commit_index()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes deleted documents from the files: they stay in their segment until it is merged. `false`: a
    /// merge is running, and a file may have some.
    fn purge(&mut self) -> Result<bool, SearchError> {
        // What an earlier commit began ends first: it may have the same segments.
        self.index.garbage_collect_files().wait()?;
        if self.files.is_merging()? {
            return Ok(false);
        }
        let metas = self.files.index.searchable_segment_metas()?;
        let segments: Vec<_> = metas
            .iter()
            .filter(|meta| meta.num_deleted_docs() > 0)
            .map(tantivy::SegmentMeta::id)
            .collect();
        // A merge that has not made a file yet is not seen: then its segments are not there any more.
        let is_merged = segments.is_empty() || self.index.merge(&segments).wait().is_ok();
        self.files.reader.reload()?;
        self.index.garbage_collect_files().wait()?;
        Ok(is_merged && self.files.are_clean()?)
    }

    /// Commits work as a server does that is killed before the text is out of the files.
    #[cfg(test)]
    pub(super) fn commit_and_be_killed(mut self, work: &Work) {
        let before = CommitBatch::default();
        let fold = JobFold {
            files: &self.files,
            committed: &self.positions,
            before: &before,
        };
        let pending = fold.fold(work).unwrap();
        self.write(pending).unwrap();
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
