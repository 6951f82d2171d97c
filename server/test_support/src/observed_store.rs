//! A document store for tests over a real one: an observer carries out each write, and may inspect its result
//! or let it fail; it is told of reads. Everything else is delegated.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use domain::{
    id::{StreamName, WorkspaceId},
    token::ConsistencyToken,
};
use futures::future::BoxFuture;
use uuid::Uuid;

use documents::{
    Checkpoint, DeadLetter, DeadLetterKey, DocumentStore, DocumentStoreError, DocumentUsage, Fold,
    Generations, LaneId, Moment, PageRequest, ParkedCount, ParkedEvent, Parking, Purging, Scope, Sharing,
    StoredCheckpoint, StoredDocument, StoredGeneration, StoredRow, SwitchOutcome, UpdateOutcome,
    ViewSnapshot,
};

/// A write to carry out.
pub type Write<'a, T> = BoxFuture<'a, Result<T, DocumentStoreError>>;

/// Observes writes, and is told of reads.
#[async_trait]
pub trait WriteObserver: Send + Sync + Debug {
    /// A lane's update.
    async fn update(&self, update: Write<'_, UpdateOutcome>) -> Result<UpdateOutcome, DocumentStoreError> {
        update.await
    }

    /// A change outside of a lane.
    async fn amend(&self, _scope: &Scope, amend: Write<'_, ()>) -> Result<(), DocumentStoreError> {
        amend.await
    }

    /// A document is read, by its key, or a page of a listing, by its name.
    fn read(&self, _what: &str) {}
}

/// A document store whose writes an observer carries out.
#[derive(Debug)]
pub struct ObservedStore<W> {
    pub inner: Arc<dyn DocumentStore>,
    pub observer: W,
}

#[async_trait]
impl<W: WriteObserver> DocumentStore for ObservedStore<W> {
    async fn checkpoints(&self) -> Result<Vec<StoredCheckpoint>, DocumentStoreError> {
        self.inner.checkpoints().await
    }

    async fn checkpoint(&self, lane: &LaneId) -> Result<u64, DocumentStoreError> {
        self.inner.checkpoint(lane).await
    }

    async fn update(
        &self,
        lane: &LaneId,
        from: u64,
        to: &Checkpoint,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<UpdateOutcome, DocumentStoreError> {
        let update = self.inner.update(lane, from, to, keys, fold);
        self.observer.update(update).await
    }

    async fn amend(
        &self,
        scope: &Scope,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<(), DocumentStoreError> {
        let amend = self.inner.amend(scope, keys, fold);
        self.observer.amend(scope, amend).await
    }

    async fn document(
        &self,
        workspace: WorkspaceId,
        view: &str,
        key: &str,
    ) -> Result<Moment<Option<StoredDocument>>, DocumentStoreError> {
        self.observer.read(key);
        self.inner.document(workspace, view, key).await
    }

    async fn documents(
        &self,
        workspace: WorkspaceId,
        view: &'static str,
        keys: &[String],
    ) -> Result<Vec<StoredDocument>, DocumentStoreError> {
        for key in keys {
            self.observer.read(key);
        }
        self.inner.documents(workspace, view, keys).await
    }

    async fn usage(&self, workspace: WorkspaceId) -> Result<DocumentUsage, DocumentStoreError> {
        self.inner.usage(workspace).await
    }

    async fn page(
        &self,
        workspace: WorkspaceId,
        view: &str,
        page: &PageRequest<'_>,
    ) -> Result<Moment<Vec<StoredRow>>, DocumentStoreError> {
        self.observer.read(page.listing);
        self.inner.page(workspace, view, page).await
    }

    async fn workspaces_listed(
        &self,
        view: &'static str,
        listing: &'static str,
    ) -> Result<Vec<WorkspaceId>, DocumentStoreError> {
        self.inner.workspaces_listed(view, listing).await
    }

    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<Moment<Box<dyn ViewSnapshot>>, DocumentStoreError> {
        self.inner.snapshot(workspace, view).await
    }

    fn sharing(&self) -> Option<Arc<dyn Sharing>> {
        self.inner.sharing()
    }

    async fn ping(&self) -> Result<(), DocumentStoreError> {
        self.inner.ping().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl<W: WriteObserver> Generations for ObservedStore<W> {
    async fn live_generation(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError> {
        self.inner.live_generation(workspace, view).await
    }

    async fn begin_build(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError> {
        self.inner.begin_build(workspace, view).await
    }

    async fn builds(&self) -> Result<Vec<StoredGeneration>, DocumentStoreError> {
        self.inner.builds().await
    }

    async fn folded(&self, scope: &Scope) -> Result<ConsistencyToken, DocumentStoreError> {
        self.inner.folded(scope).await
    }

    async fn switch(&self, scope: &Scope) -> Result<SwitchOutcome, DocumentStoreError> {
        self.inner.switch(scope).await
    }

    async fn switch_from(
        &self,
        scope: &Scope,
        live: &ConsistencyToken,
    ) -> Result<SwitchOutcome, DocumentStoreError> {
        self.inner.switch_from(scope, live).await
    }

    async fn restart(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError> {
        self.inner.restart(workspace, view).await
    }

    async fn has_rows(&self, scope: &Scope) -> Result<bool, DocumentStoreError> {
        self.inner.has_rows(scope).await
    }

    async fn reset(&self, scope: &Scope, documents: bool) -> Result<(), DocumentStoreError> {
        self.inner.reset(scope, documents).await
    }

    async fn cancel_build(&self, scope: &Scope) -> Result<bool, DocumentStoreError> {
        self.inner.cancel_build(scope).await
    }

    async fn leftovers(&self) -> Result<Vec<StoredGeneration>, DocumentStoreError> {
        self.inner.leftovers().await
    }

    async fn remove(&self, leftover: &StoredGeneration, limit: u32) -> Result<bool, DocumentStoreError> {
        self.inner.remove(leftover, limit).await
    }
}

#[async_trait]
impl<W: WriteObserver> Purging for ObservedStore<W> {
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, DocumentStoreError> {
        self.inner.workspaces().await
    }

    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<bool, DocumentStoreError> {
        self.inner.purge(workspace, limit).await
    }
}

#[async_trait]
impl<W: WriteObserver> Parking for ObservedStore<W> {
    async fn held_events(
        &self,
        lane: &LaneId,
        stream: &StreamName,
    ) -> Result<Vec<ParkedEvent>, DocumentStoreError> {
        self.inner.held_events(lane, stream).await
    }

    async fn parked_events(
        &self,
        lane: &LaneId,
        stream: &StreamName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<ParkedEvent>, DocumentStoreError> {
        self.inner.parked_events(lane, stream, after, limit).await
    }

    async fn release(
        &self,
        lane: &LaneId,
        stream: &StreamName,
        believed: &[u64],
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<bool, DocumentStoreError> {
        self.inner.release(lane, stream, believed, keys, fold).await
    }

    async fn dead_letters(
        &self,
        workspace: WorkspaceId,
        view: Option<&str>,
        after: Option<&DeadLetterKey>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, DocumentStoreError> {
        self.inner.dead_letters(workspace, view, after, limit).await
    }

    async fn dead_letter(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
    ) -> Result<Option<DeadLetter>, DocumentStoreError> {
        self.inner.dead_letter(workspace, id).await
    }

    async fn parked_counts(
        &self,
        workspace: Option<WorkspaceId>,
        correlation: Option<Uuid>,
    ) -> Result<Vec<ParkedCount>, DocumentStoreError> {
        self.inner.parked_counts(workspace, correlation).await
    }
}
