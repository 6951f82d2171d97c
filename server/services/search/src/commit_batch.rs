//! The content of the next commit: documents, processed positions and deletions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::id::WorkspaceId;
use projection::effect::ProcessedPositions;

use super::entry::IndexedDocument;

/// What waiting jobs add to the next commit.
#[derive(Default)]
pub(super) struct CommitBatch {
    /// By document id.
    pub(super) documents: BTreeMap<String, PendingDocument>,
    /// By their id in the index.
    pub(super) positions: HashMap<String, (WorkspaceId, ProcessedPositions)>,
    pub(super) forgotten: BTreeSet<WorkspaceId>,
    /// A user was erased: deleted documents must be removed from the files as well.
    pub(super) erased: bool,
}

/// A document that is written with the next commit.
#[derive(Clone)]
pub(super) struct PendingDocument {
    pub(super) workspace: WorkspaceId,
    pub(super) document: IndexedDocument,
    /// Whether the index has an earlier state of it, which must be deleted. A deletion is looked up in every
    /// segment, so a new document does without.
    pub(super) replaces: bool,
}

impl CommitBatch {
    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.positions.is_empty() && self.forgotten.is_empty()
    }

    /// Adds what a job was folded into; its documents take the place of earlier states.
    pub(super) fn add(&mut self, more: Self) {
        self.documents.extend(more.documents);
        self.positions.extend(more.positions);
        self.erased |= more.erased;
    }

    /// Deletes a workspace, and drops what was to be written of it.
    pub(super) fn forget(&mut self, workspace: WorkspaceId) {
        self.documents.retain(|_, pending| pending.workspace != workspace);
        self.positions.retain(|_, (of, _)| *of != workspace);
        self.forgotten.insert(workspace);
    }
}
