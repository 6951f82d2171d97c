//! What a running server shows of its log and its projections: streams, events, proof that the views follow
//! from them, dead letters, and rebuilds.
//!
//! The gateway checks rights and bounds how much is done at a time: every call here names the workspace of
//! its caller.

use std::sync::Arc;

use domain::{
    id::{StreamName, WorkspaceId},
    token::ConsistencyToken,
    wire::{
        CheckpointsAnswer, EventPage, EventSchema, Page, ProjectionStatus, RebuildProgress, StreamInfo,
        VerifyReport,
    },
};
use uuid::Uuid;

use super::{
    checkpoint::{CheckpointError, CheckpointKeeper, shown},
    export::Export,
    verify::{VerifyError, verify_running},
};
use documents::{DeadLetter, DeadLetterKey, DocumentStore, DocumentStoreError};
use event_store::{Direction, EventFilter, EventStore, StoreError, Workspace};
use projection::{
    Projections,
    dead_letters::{DeadLetterError, DeadLetters, ReleaseOutcome, Remedy},
    rebuild::RebuildError,
};

/// Inspects the log and the projections of a running server.
#[derive(Debug)]
pub struct Inspection {
    events: Arc<dyn EventStore>,
    read_model: Arc<dyn DocumentStore>,
    projections: Arc<Projections>,
    dead_letters: Vec<DeadLetters>,
    checkpoints: Arc<CheckpointKeeper>,
}

impl Inspection {
    /// An inspection of these boxes; `dead_letters` are those of all event handlers.
    pub fn new(
        events: Arc<dyn EventStore>,
        read_model: Arc<dyn DocumentStore>,
        projections: Arc<Projections>,
        dead_letters: Vec<DeadLetters>,
        checkpoints: Arc<CheckpointKeeper>,
    ) -> Self {
        Self {
            events,
            read_model,
            projections,
            dead_letters,
            checkpoints,
        }
    }

    /// A page of the streams whose names begin with a prefix.
    pub async fn streams(
        &self,
        workspace: WorkspaceId,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<StreamInfo>, StoreError> {
        self.events.streams(workspace, prefix, cursor, limit).await
    }

    /// A page of the events of a stream; `None`: there is no such stream.
    pub async fn stream(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        from: u64,
        direction: Direction,
        limit: u32,
    ) -> Result<Option<EventPage>, StoreError> {
        // One more than asked for tells whether there is a next page.
        let events = self
            .events
            .read_stream(workspace, stream, from, direction, limit.saturating_add(1));
        let mut data = events.await?;
        if data.is_empty() {
            let first = self
                .events
                .read_stream(workspace, stream, 1, Direction::Forwards, 1);
            if first.await?.is_empty() {
                return Ok(None);
            }
        }
        let next = data.get(limit as usize).map(|event| event.version.to_string());
        data.truncate(limit as usize);
        Ok(Some(EventPage { data, next }))
    }

    /// A page of the events of a workspace after a token.
    pub async fn events(
        &self,
        workspace: WorkspaceId,
        filter: &EventFilter,
        after: &ConsistencyToken,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let (data, token) = self.events.read_events(workspace, filter, after, limit).await?;
        let next = (data.len() >= limit as usize).then(|| token.to_string());
        Ok(EventPage { data, next })
    }

    /// Every schema in the event store, by type and version.
    pub async fn schemas(&self) -> Result<Vec<EventSchema>, StoreError> {
        self.events.schemas().await
    }

    /// Computes every hash of a workspace and folds every view of it again. That reads a whole log: the
    /// caller bounds how many are verified at a time.
    pub async fn verify(&self, workspace: &Workspace) -> Result<VerifyReport, VerifyError> {
        verify_running(&*self.events, &*self.read_model, &self.projections, workspace).await
    }

    /// The heads of a workspace, signed now; or, with a limit, the newest signed checkpoints that are kept.
    pub async fn checkpoints(
        &self,
        workspace: WorkspaceId,
        kept: Option<usize>,
    ) -> Result<CheckpointsAnswer, CheckpointError> {
        let notes = match kept {
            None => self.checkpoints.fresh(workspace).await?,
            Some(limit) => self.checkpoints.kept(workspace, limit).await?,
        };
        Ok(CheckpointsAnswer {
            verifier: self.checkpoints.verifier().to_string(),
            data: notes.iter().map(shown).collect(),
        })
    }

    /// Begins to export a workspace.
    pub async fn export(&self, workspace: Workspace) -> Result<Export, StoreError> {
        Export::begin(Arc::clone(&self.events), workspace).await
    }

    /// The status of every projection of a workspace.
    pub async fn projections(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Vec<ProjectionStatus>, DocumentStoreError> {
        self.projections.status(workspace).await
    }

    /// Rebuilds a view from the whole log, beside the live one.
    pub async fn rebuild(&self, workspace: WorkspaceId, view: &str) -> Result<RebuildProgress, RebuildError> {
        self.projections.rebuilds.rebuild(workspace, view).await
    }

    /// Cancels the rebuild of a view.
    pub async fn cancel_rebuild(&self, workspace: WorkspaceId, view: &str) -> Result<(), RebuildError> {
        self.projections.rebuilds.cancel(workspace, view).await
    }

    /// A page of the dead letters of views, policies and consumers, and whether there are more after it.
    pub async fn dead_letters(
        &self,
        workspace: WorkspaceId,
        view: Option<&str>,
        after: Option<&DeadLetterKey>,
        limit: u32,
    ) -> Result<(Vec<DeadLetter>, bool), DocumentStoreError> {
        let mut letters = Vec::new();
        for of in &self.dead_letters {
            letters.extend(of.list(workspace, view, after, limit.saturating_add(1)).await?);
        }
        letters.sort_by_key(DeadLetter::key);
        // Handlers that share a store have each listed all of its dead letters.
        letters.dedup_by_key(|letter| letter.event.id);
        let has_more = letters.len() > limit as usize;
        letters.truncate(limit as usize);
        Ok((letters, has_more))
    }

    /// Retries or discards a dead letter.
    pub async fn remedy(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
        remedy: Remedy,
    ) -> Result<ReleaseOutcome, DeadLetterError> {
        for of in &self.dead_letters {
            match of.remedy(workspace, id, remedy).await {
                Err(DeadLetterError::Unknown) => {}
                released => return released,
            }
        }
        Err(DeadLetterError::Unknown)
    }
}
