//! The stored runs: documents in the process store of the learner's workspace, listed by person and together.

use std::sync::Arc;

use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    PageRequest, Scope, StoredDocument,
};
use domain::{id::WorkspaceId, view::ListingEntry, wire::Order};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{LessonError, StoredRun};
use crate::stage::Sandbox;

/// The view name of the runs in the process store.
const VIEW: &str = "lesson_runs";

/// The listing of the runs of a person.
const BY_PERSON: &str = "by_person";

/// The listing of all runs of a workspace.
const ALL: &str = "all";

/// The most runs of a list.
const PAGE: u32 = 200;

/// How large the JSON of a run may be, in bytes; the evidence of its largest steps is left out before.
const MOST_BYTES: usize = 100_000;

/// Stores runs.
#[derive(Debug)]
pub(super) struct RunStorage(Arc<dyn DocumentStore>);

impl RunStorage {
    pub(super) fn new(process_store: Arc<dyn DocumentStore>) -> Self {
        Self(process_store)
    }

    /// Stores a new run.
    pub(super) async fn insert(&self, workspace: WorkspaceId, run: &StoredRun) -> Result<(), LessonError> {
        let write = DocumentWrite {
            key: run.id.to_string(),
            data: Some(json(run)?),
            owner: None,
            removed_entries: Vec::new(),
            added_entries: entries(run),
        };
        self.amend(workspace, run.id, &mut |_| Some(write.clone())).await
    }

    /// Stores what has changed in a run, unless another request has changed it since it was read.
    pub(super) async fn save(&self, workspace: WorkspaceId, mut run: StoredRun) -> Result<(), LessonError> {
        let read = run.version;
        run.version += 1;
        let data = bounded(&mut run)?;
        let mut outcome = Err(LessonError::UnknownRun);
        let mut change = |stored: Option<StoredRun>| {
            outcome = match stored {
                None => Err(LessonError::UnknownRun),
                Some(stored) if stored.version != read => Err(LessonError::Busy),
                Some(_) => Ok(()),
            };
            outcome.is_ok().then(|| DocumentWrite {
                key: run.id.to_string(),
                data: Some(Arc::clone(&data)),
                owner: None,
                removed_entries: Vec::new(),
                added_entries: Vec::new(),
            })
        };
        self.amend(workspace, run.id, &mut change).await?;
        outcome
    }

    /// Deletes a run; one that is gone stays so.
    pub(super) async fn delete(&self, workspace: WorkspaceId, run: &StoredRun) -> Result<(), LessonError> {
        let mut change = |stored: Option<StoredRun>| {
            stored.map(|stored| DocumentWrite {
                key: stored.id.to_string(),
                data: None,
                owner: None,
                removed_entries: entries(&stored),
                added_entries: Vec::new(),
            })
        };
        self.amend(workspace, run.id, &mut change).await
    }

    /// The run of this id.
    pub(super) async fn find(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
    ) -> Result<Option<StoredRun>, LessonError> {
        let read = self.0.document(workspace, VIEW, &id.to_string()).await?;
        Ok(read.value.as_ref().map(parsed).transpose()?)
    }

    /// The runs of a person, newest first.
    pub(super) async fn of_person(
        &self,
        workspace: WorkspaceId,
        person: Uuid,
    ) -> Result<Vec<StoredRun>, LessonError> {
        self.page(workspace, BY_PERSON, &person.to_string()).await
    }

    /// The newest runs of a workspace, newest first.
    pub(super) async fn all(&self, workspace: WorkspaceId) -> Result<Vec<StoredRun>, LessonError> {
        self.page(workspace, ALL, "").await
    }

    /// The sandboxes of the newest runs of a workspace that have not ended. Older ones expire by themselves.
    pub(super) async fn live_sandboxes(&self, workspace: WorkspaceId) -> Result<Vec<Sandbox>, LessonError> {
        let runs = self.all(workspace).await?;
        let live = runs.into_iter().filter(|run| !run.ended);
        Ok(live.map(|run| run.sandbox).collect())
    }

    async fn page(
        &self,
        workspace: WorkspaceId,
        listing: &str,
        group: &str,
    ) -> Result<Vec<StoredRun>, LessonError> {
        let request = PageRequest {
            listing,
            group,
            order: Order::Desc,
            limit: PAGE,
            after: None,
        };
        let page = self.0.page(workspace, VIEW, &request).await?;
        // One that another version of the program has stored, and that this one cannot read, hides no other.
        let read = page.value.iter().filter_map(|row| {
            let run = parsed(&row.document);
            run.inspect_err(|error| tracing::warn!(%error, "a run of a lesson is left out"))
                .ok()
        });
        Ok(read.collect())
    }

    /// Changes the document of a run in one transaction.
    async fn amend(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
        change: &mut (dyn FnMut(Option<StoredRun>) -> Option<DocumentWrite> + Send),
    ) -> Result<(), LessonError> {
        let mut fold = |loaded: FoldInput| {
            let stored = loaded.documents.first().map(parsed).transpose().map_err(fault)?;
            Ok(FoldOutput {
                writes: change(stored).into_iter().collect(),
                ..FoldOutput::default()
            })
        };
        let scope = Scope {
            workspace,
            view: VIEW,
            generation: FIRST_GENERATION,
        };
        Ok(self.0.amend(&scope, &[id.to_string()], &mut fold).await?)
    }
}

/// The entries of a run in the listings: by time.
fn entries(run: &StoredRun) -> Vec<ListingEntry> {
    let sort = run.started_at.to_string();
    vec![
        ListingEntry::grouped(BY_PERSON, run.person.to_string(), sort.clone()),
        ListingEntry::new(ALL, sort),
    ]
}

/// The JSON of a run, without the evidence of its largest steps where it would be too large.
fn bounded(run: &mut StoredRun) -> Result<Arc<RawValue>, DocumentStoreError> {
    loop {
        let data = json(run)?;
        if data.get().len() <= MOST_BYTES {
            return Ok(data);
        }
        let largest = run.steps.iter_mut().max_by_key(|step| step.evidence.len());
        match largest.filter(|step| !step.evidence.is_empty()) {
            Some(step) => step.evidence.clear(),
            // What is left is bounded by the number of steps and expectations, except for what acts remember.
            None => {
                return Err(DocumentStoreError::Refused(
                    "the run remembers more than is kept of a run".to_owned(),
                ));
            }
        }
    }
}

fn json(run: &StoredRun) -> Result<Arc<RawValue>, DocumentStoreError> {
    let raw = serde_json::value::to_raw_value(run).map_err(|error| unreadable(&error))?;
    Ok(raw.into())
}

fn parsed(document: &StoredDocument) -> Result<StoredRun, DocumentStoreError> {
    serde_json::from_str(document.data.get()).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> DocumentStoreError {
    DocumentStoreError::Corrupt(format!("a run of a lesson: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn fault(error: DocumentStoreError) -> FoldFault {
    FoldFault {
        position: 0,
        reason: error.to_string(),
    }
}
