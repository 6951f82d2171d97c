//! Folds the events of one job into documents, each as often as events touch it. A document that is the same
//! afterwards is not written again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{
    event::TypedEvent,
    id::WorkspaceId,
    view::{DocumentError, FoldTarget},
    wire::SearchKind,
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    commit_batch::{CommitBatch, PendingDocument},
    entry::{IndexedDocument, document_id, views},
    index::{Files, SearchError, positions_id},
};
use documents::FoldFault;
use projection::effect::{EffectError, ProcessedPositions, Work};

/// The event after which nothing personal of its user may be in the files.
pub(super) const USER_ERASED: &str = "UserErased";

/// What a job is folded into: the committed documents and what is to be committed before it.
pub(super) struct JobFold<'a> {
    pub(super) files: &'a Files,
    /// The committed positions, by their id in the index, as far as the writer knows them.
    pub(super) committed: &'a HashMap<String, ProcessedPositions>,
    pub(super) before: &'a CommitBatch,
}

/// A document while events are folded into it.
struct OpenDocument {
    indexed: IndexedDocument,
    replaces: bool,
    target: Box<dyn FoldTarget>,
}

impl JobFold<'_> {
    /// Folds those events of a job that have not been folded before.
    pub(super) fn fold(&self, work: &Work) -> Result<CommitBatch, EffectError> {
        let workspace = work.partition.workspace;
        let at = positions_id(workspace, work.partition.partition);
        let mut processed = self.processed_positions(&at)?;
        let mut open = BTreeMap::new();
        let mut erased = BTreeSet::new();
        for event in work.events.iter().filter(|event| processed.wants(event.position)) {
            let Ok(typed) = &event.decoded else { continue };
            self.fold_event(workspace, typed, &mut open)?;
            if typed.event_type == USER_ERASED {
                erased.extend(typed.stream.id().parse::<Uuid>());
            }
        }
        let mut more = CommitBatch::default();
        let must_be_noted = processed.note(work);
        for (document_id, open) in open {
            if let Some(document) = open.changed()? {
                let pending = PendingDocument {
                    workspace,
                    document,
                    replaces: open.replaces,
                };
                more.documents.insert(document_id, pending);
            }
        }
        self.mark_documents_of_erased_users(workspace, &mut more)?;
        for user in erased {
            self.erase(workspace, user, &mut more)?;
        }
        if must_be_noted || !more.documents.is_empty() {
            more.positions.insert(at, (workspace, processed));
        }
        Ok(more)
    }

    fn processed_positions(&self, at: &str) -> Result<ProcessedPositions, EffectError> {
        if let Some((_, pending)) = self.before.positions.get(at) {
            return Ok(pending.clone());
        }
        match self.committed.get(at) {
            Some(committed) => Ok(committed.clone()),
            None => self.files.processed_positions(at).map_err(failed),
        }
    }

    fn fold_event(
        &self,
        workspace: WorkspaceId,
        event: &TypedEvent,
        open: &mut BTreeMap<String, OpenDocument>,
    ) -> Result<(), EffectError> {
        let fault = |error: DocumentError| FoldFault {
            position: event.position,
            reason: error.to_string(),
        };
        for (kind, view) in views() {
            for key in view.keys(event) {
                let document_id = document_id(workspace, kind, &key);
                if !open.contains_key(&document_id) {
                    let (indexed, replaces) = if let Some(pending) = self.before.documents.get(&document_id) {
                        (Some(pending.document.clone()), pending.replaces)
                    } else {
                        let stored = self.files.document(&document_id).map_err(failed)?;
                        let replaces = stored.is_some();
                        (stored, replaces)
                    };
                    let indexed = indexed.unwrap_or_else(|| IndexedDocument {
                        kind,
                        key: key.clone(),
                        owner: None,
                        listed: false,
                        erased: false,
                        data: None,
                    });
                    let target = view.load(&key, indexed.data.as_deref()).map_err(fault)?;
                    let document = OpenDocument {
                        indexed,
                        replaces,
                        target,
                    };
                    open.insert(document_id.clone(), document);
                }
                if let Some(document) = open.get_mut(&document_id) {
                    document.target.fold(event);
                }
            }
        }
        Ok(())
    }

    /// A new document may belong to a user whose erasure came first, in another partition.
    fn mark_documents_of_erased_users(
        &self,
        workspace: WorkspaceId,
        more: &mut CommitBatch,
    ) -> Result<(), EffectError> {
        let is_new = |pending: &&PendingDocument| !pending.replaces && !pending.document.erased;
        let owners = more.documents.values().filter(is_new);
        let owners: BTreeSet<Uuid> = owners.filter_map(|pending| pending.document.owner).collect();
        for user in owners {
            if self.is_erased(workspace, user, more)? {
                let documents = more.documents.values_mut().map(|pending| &mut pending.document);
                for document in documents.filter(|document| document.owner == Some(user)) {
                    document.erased = true;
                }
            }
        }
        Ok(())
    }

    /// Whether a user was erased: their own document says so.
    fn is_erased(&self, workspace: WorkspaceId, user: Uuid, more: &CommitBatch) -> Result<bool, EffectError> {
        let own = document_id(workspace, SearchKind::Customers, &user.to_string());
        let pending = more.documents.get(&own);
        if let Some(pending) = pending.or_else(|| self.before.documents.get(&own)) {
            return Ok(pending.document.erased);
        }
        let stored = self.files.document(&own).map_err(failed)?;
        Ok(stored.is_some_and(|document| document.erased))
    }

    /// Writes all documents of a user again, without personal data.
    fn erase(&self, workspace: WorkspaceId, user: Uuid, more: &mut CommitBatch) -> Result<(), EffectError> {
        let stored = self.files.documents_of(workspace, user).map_err(failed)?;
        let stored = stored.into_iter().map(|document| {
            let pending = PendingDocument {
                workspace,
                document,
                replaces: true,
            };
            (pending.document.document_id(workspace), pending)
        });
        let of_person = |(document_id, pending): (&String, &PendingDocument)| {
            let is_of_person = pending.workspace == workspace && pending.document.owner == Some(user);
            is_of_person.then(|| (document_id.clone(), pending.clone()))
        };
        let newer: Vec<_> = self
            .before
            .documents
            .iter()
            .chain(&more.documents)
            .filter_map(of_person)
            .collect();
        // Later ones take the place of earlier ones.
        let of_person: BTreeMap<_, _> = stored.chain(newer).collect();
        for (document_id, mut pending) in of_person {
            pending.document.erased = true;
            more.documents.insert(document_id, pending);
        }
        more.erased = true;
        Ok(())
    }
}

impl OpenDocument {
    /// The document after its events; `None`: they have not changed it.
    fn changed(&self) -> Result<Option<IndexedDocument>, EffectError> {
        let unreadable = |error: DocumentError| EffectError::Unavailable(error.to_string());
        let before = &self.indexed;
        let after = IndexedDocument {
            kind: before.kind,
            key: before.key.clone(),
            owner: self.target.owner(),
            listed: !self.target.listings().is_empty(),
            erased: before.erased,
            data: self.target.document().map_err(unreadable)?,
        };
        let is_same = after.owner == before.owner
            && after.listed == before.listed
            && after.data.as_deref().map(RawValue::get) == before.data.as_deref().map(RawValue::get);
        Ok((!is_same).then_some(after))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn failed(error: SearchError) -> EffectError {
    EffectError::Unavailable(error.to_string())
}
