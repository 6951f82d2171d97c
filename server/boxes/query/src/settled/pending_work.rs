//! The work of process managers and consumers, as `/settled` sees it.

use std::{collections::BTreeSet, fmt::Debug};

use async_trait::async_trait;
use documents::DocumentStoreError;
use domain::{event::TypedEvent, id::WorkspaceId, token::ConsistencyToken};
use tokio::sync::futures::OwnedNotified;
use uuid::Uuid;

/// Processes, by the names of their policies and their keys.
pub type ProcessKeys = BTreeSet<(&'static str, String)>;

/// The work of a correlation.
#[derive(Debug, Clone, Copy)]
pub struct OfCorrelation<'a> {
    /// The correlation.
    pub id: Uuid,
    /// The processes that its events concern.
    pub processes: &'a ProcessKeys,
}

/// What process managers and consumers still have to do.
#[async_trait]
pub trait PendingWork: Send + Sync + Debug {
    /// Each wakes when processes or parked events of a workspace change after the call.
    fn changed(&self, workspace: WorkspaceId) -> Vec<OwnedNotified>;

    /// Why they are not ready, one sentence each.
    fn unready_reasons(&self) -> Vec<String>;

    /// Waits until all of them have handled the events of a workspace up to a token.
    async fn reach(&self, workspace: WorkspaceId, token: &ConsistencyToken);

    /// The processes that an event concerns.
    fn processes_of(&self, event: &TypedEvent) -> ProcessKeys;

    /// Whether work, a timer or a parked event is left, of one correlation or of all. Looks no further than
    /// the first.
    async fn is_unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<OfCorrelation<'_>>,
    ) -> Result<bool, DocumentStoreError>;

    /// Their remaining work and timers for events up to a token, of one correlation or of all.
    async fn unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<OfCorrelation<'_>>,
        up_to: &ConsistencyToken,
    ) -> Result<Vec<String>, DocumentStoreError>;
}
