//! A view as it is stored, copied from one snapshot into the scratch database.

use std::collections::HashSet;

use domain::{event::TypedEvent, id::WorkspaceId, token::ConsistencyToken, view::AnyView};

use super::{VerifyError, scratch::Scratch};
use documents::{DocumentStore, DocumentStoreError, Moment};

/// What a snapshot of a view says besides its documents and entries.
pub(super) struct StoredView {
    pub(super) view: &'static dyn AnyView,
    /// The token up to which it is folded.
    pub(super) as_of: ConsistencyToken,
    /// The number of its documents.
    pub(super) documents: u64,
    /// The partition and the position of every event that was parked.
    pub(super) passed: HashSet<(u32, u64)>,
}

impl StoredView {
    /// Copies a view. A page is written while the next one is read.
    pub(super) async fn copy(
        read_model: &dyn DocumentStore,
        workspace: WorkspaceId,
        view: &'static dyn AnyView,
        page_size: u32,
        scratch: &mut Scratch,
    ) -> Result<Self, VerifyError> {
        let name = view.name();
        let Moment {
            value: mut snapshot,
            as_of,
            ..
        } = read_model.snapshot(workspace, name).await?;
        let mut documents = 0;
        let mut page = snapshot.documents(page_size).await?;
        while !page.is_empty() {
            documents += page.len() as u64;
            let (added, next) = tokio::join!(scratch.add_stored(name, &page), snapshot.documents(page_size));
            added?;
            page = next?;
        }
        let mut page = snapshot.entries(page_size).await?;
        while !page.is_empty() {
            let (added, next) = tokio::join!(scratch.add_listed(name, &page), snapshot.entries(page_size));
            added?;
            page = next?;
        }
        let passed = snapshot.passed().await?.into_iter().collect();
        drop(snapshot);
        if let Some(key) = scratch.entry_without_document(name).await? {
            return Err(DocumentStoreError::entry_without_document(name, &key).into());
        }
        Ok(Self {
            view,
            as_of,
            documents,
            passed,
        })
    }

    /// Whether the stored view has folded this event: it is not after its token, and it was not parked.
    pub(super) fn has_folded(&self, event: &TypedEvent) -> bool {
        let TypedEvent {
            partition, position, ..
        } = event;
        *position <= self.as_of.position(*partition) && !self.passed.contains(&(*partition, *position))
    }
}
