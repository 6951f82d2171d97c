//! The writer of the index: a thread that takes the lanes' waiting jobs, folds their events, and commits them
//! together.
//!
//! A commit costs some milliseconds however small it is, so waiting jobs share one. Documents and the
//! processed positions of their partition are in the same commit, so each event is in the index exactly once,
//! however often it is delivered and wherever a crash happens.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{event::TypedEvent, id::WorkspaceId, view::FoldTarget};
use tantivy::{IndexWriter, TantivyDocument, Term};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use uuid::Uuid;

use super::{
    entry::{IndexedDocument, TextPart, document_id, joined, views},
    index::{Fields, Files, SearchError, collect_garbage, owner_term, positions_id},
};
use documents::{FoldFault, Opener};
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

/// Writes to the index.
pub(super) struct Writer {
    pub(super) files: Arc<Files>,
    pub(super) index: IndexWriter,
    pub(super) opener: Arc<dyn Opener>,
    pub(super) runtime: Handle,
}

/// The content of the next commit.
#[derive(Default)]
struct CommitBatch {
    /// By document id.
    documents: BTreeMap<String, (WorkspaceId, IndexedDocument)>,
    positions: HashMap<String, (WorkspaceId, ProcessedPositions)>,
    forgotten: BTreeSet<WorkspaceId>,
    /// A user was erased: deleted documents must be removed from the files as well.
    erased: bool,
}

impl Writer {
    /// Runs until all senders of jobs are dropped.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(BATCH_SIZE);
        while jobs.blocking_recv_many(&mut waiting, BATCH_SIZE) > 0 {
            let begun = Instant::now();
            self.work(std::mem::take(&mut waiting));
            pause(COMMIT_INTERVAL.saturating_sub(begun.elapsed()));
        }
        if let Err(error) = self.index.wait_merging_threads() {
            tracing::warn!(%error, "the search index was closed while it was being merged");
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let mut pending = CommitBatch::default();
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Index(work, answer) => {
                    // A panic leaves nothing of the job in the batch.
                    let done = catch_unwind(AssertUnwindSafe(|| self.index(&work, &pending)));
                    let done = done.unwrap_or_else(|_| Err(unavailable("a fold panicked")));
                    match done {
                        Ok(more) => {
                            pending.add(more);
                            answers.push(answer);
                        }
                        Err(error) => drop(answer.send(Err(error))),
                    }
                }
                Job::Forget(workspace, answer) => {
                    pending.forget(workspace);
                    answers.push(answer);
                }
            }
        }
        let written = catch_unwind(AssertUnwindSafe(|| self.write(pending)));
        let failed = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the search index panicked".to_owned()),
        };
        if let Some(reason) = &failed
            && let Err(error) = self.roll_back()
        {
            tracing::error!(reason, %error, "a failed commit of the search index could not be rolled back");
        }
        for answer in answers {
            // The lane may have stopped waiting.
            let _ = answer.send(match &failed {
                None => Ok(()),
                Some(reason) => Err(unavailable(reason)),
            });
        }
    }

    /// Rolls back what was not committed, including its files.
    fn roll_back(&mut self) -> tantivy::Result<()> {
        self.index.rollback()?;
        collect_garbage(&self.index)
    }

    /// Folds those events of a job that have not been folded before.
    fn index(&self, work: &Work, before: &CommitBatch) -> Result<CommitBatch, EffectError> {
        let workspace = work.partition.workspace;
        let at = positions_id(workspace, work.partition.partition);
        let mut processed = match before.positions.get(&at) {
            Some((_, processed)) => processed.clone(),
            None => self.files.processed_positions(&at).map_err(failed)?,
        };
        let mut folds: BTreeMap<String, (IndexedDocument, Box<dyn FoldTarget>)> = BTreeMap::new();
        let mut erased = BTreeSet::new();
        for event in work.events.iter().filter(|event| processed.wants(event.position)) {
            let Ok(typed) = &event.decoded else { continue };
            self.fold(workspace, typed, before, &mut folds)?;
            if typed.event_type == "UserErased" {
                erased.extend(typed.stream.id().parse::<Uuid>());
            }
        }
        let mut more = CommitBatch::default();
        let must_be_noted = processed.note(work);
        for (document_id, (mut indexed, folding)) in folds {
            let unreadable = |error: domain::view::DocumentError| unavailable(&error.to_string());
            indexed.data = folding.document().map_err(unreadable)?;
            indexed.owner = folding.owner();
            indexed.listed = !folding.listings().is_empty();
            more.documents.insert(document_id, (workspace, indexed));
        }
        for user in erased {
            self.erase(workspace, user, before, &mut more)?;
        }
        if must_be_noted || !more.documents.is_empty() {
            more.positions.insert(at, (workspace, processed));
        }
        Ok(more)
    }

    fn fold(
        &self,
        workspace: WorkspaceId,
        event: &TypedEvent,
        before: &CommitBatch,
        folds: &mut BTreeMap<String, (IndexedDocument, Box<dyn FoldTarget>)>,
    ) -> Result<(), EffectError> {
        let fault = |error: domain::view::DocumentError| FoldFault {
            position: event.position,
            reason: error.to_string(),
        };
        for (kind, view) in views() {
            for key in view.keys(event) {
                let document_id = document_id(workspace, kind, &key);
                if !folds.contains_key(&document_id) {
                    let indexed = match before.documents.get(&document_id) {
                        Some((_, indexed)) => Some(indexed.clone()),
                        None => self.files.document(&document_id).map_err(failed)?,
                    };
                    let indexed = indexed.unwrap_or(IndexedDocument {
                        kind,
                        key: key.clone(),
                        owner: None,
                        listed: false,
                        erased: false,
                        data: None,
                    });
                    let folding = view.load(&key, indexed.data.as_deref()).map_err(fault)?;
                    folds.insert(document_id.clone(), (indexed, folding));
                }
                if let Some((_, folding)) = folds.get_mut(&document_id) {
                    folding.fold(event);
                }
            }
        }
        Ok(())
    }

    /// Writes all documents of a user again, without personal data.
    fn erase(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        before: &CommitBatch,
        more: &mut CommitBatch,
    ) -> Result<(), EffectError> {
        let stored = self.files.documents_of(workspace, user).map_err(failed)?;
        let stored = stored
            .into_iter()
            .map(|indexed| (indexed.document_id(workspace), indexed));
        let of_person = |(document_id, (of, indexed)): (&String, &(WorkspaceId, IndexedDocument))| {
            (*of == workspace && indexed.owner == Some(user)).then(|| (document_id.clone(), indexed.clone()))
        };
        let newer: Vec<_> = before
            .documents
            .iter()
            .chain(&more.documents)
            .filter_map(of_person)
            .collect();
        // Later ones take the place of earlier ones.
        let of_person: BTreeMap<_, _> = stored.chain(newer).collect();
        for (document_id, mut indexed) in of_person {
            indexed.erased = true;
            more.documents.insert(document_id, (workspace, indexed));
        }
        more.erased = true;
        Ok(())
    }

    /// Writes a batch in one commit.
    fn write(&mut self, pending: CommitBatch) -> Result<(), SearchError> {
        let CommitBatch {
            documents,
            positions,
            forgotten,
            erased,
        } = pending;
        if documents.is_empty() && positions.is_empty() && forgotten.is_empty() {
            return Ok(());
        }
        let fields = self.files.fields;
        for workspace in &forgotten {
            self.index
                .delete_term(Term::from_field_text(fields.workspace, &workspace.to_string()));
        }
        for (document_id, (workspace, indexed)) in documents {
            let document = self.tantivy_document(&document_id, workspace, &indexed)?;
            self.index
                .delete_term(Term::from_field_text(fields.document_id, &document_id));
            self.index.add_document(document)?;
        }
        for (document_id, (workspace, processed)) in positions {
            let mut document = TantivyDocument::new();
            document.add_text(fields.document_id, &document_id);
            document.add_text(fields.workspace, workspace.to_string());
            document.add_text(fields.document, serde_json::to_string(&processed)?);
            self.index
                .delete_term(Term::from_field_text(fields.document_id, &document_id));
            self.index.add_document(document)?;
        }
        self.index.commit()?;
        self.files.reader.reload()?;
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

impl CommitBatch {
    fn add(&mut self, more: Self) {
        self.documents.extend(more.documents);
        self.positions.extend(more.positions);
        self.erased |= more.erased;
    }

    fn forget(&mut self, workspace: WorkspaceId) {
        self.documents.retain(|_, (of, _)| *of != workspace);
        self.positions.retain(|_, (of, _)| *of != workspace);
        self.forgotten.insert(workspace);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the writer has a thread of its own, on which nothing else waits"
)]
fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn failed(error: SearchError) -> EffectError {
    unavailable(&error.to_string())
}

fn unavailable(reason: &str) -> EffectError {
    EffectError::Unavailable(reason.to_owned())
}
