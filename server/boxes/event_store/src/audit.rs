//! What the verifier and an export of all workspaces read: row by row, so that one that cannot be read hides
//! no other.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::{event::StoredEvent, id::WorkspaceId, wire::StreamInfo};
use uuid::Uuid;

use super::{AnsweredCommand, Snapshot, StoreError, Workspace};

/// An event as the verifier reads it.
#[derive(Debug, Clone)]
pub struct AuditedEvent {
    /// Its position in the partition.
    pub position: u64,
    /// The event, or why it cannot be read.
    pub event: Result<StoredEvent, StoreError>,
    /// Whether white space is stored around its payload. Readers leave it out, and it was not hashed.
    pub is_padded: bool,
}

/// The id of a workspace, and the workspace, or why it cannot be read.
pub type AuditedWorkspace = (WorkspaceId, Result<Workspace, StoreError>);

/// The id of a command, and the command with its answer, or why it cannot be read.
pub type AuditedCommand = (Uuid, Result<AnsweredCommand, StoreError>);

/// The name of a stream, and its snapshot with the stream, or why that cannot be read.
pub type AuditedSnapshot = (String, Result<(StreamInfo, Snapshot), StoreError>);

/// Reads rows that may be damaged; part of [`EventStore`](super::EventStore).
#[async_trait]
pub trait Audit: Send + Sync + Debug {
    /// Workspaces in the order of their ids, after `after`.
    async fn audit_workspaces(
        &self,
        after: Option<WorkspaceId>,
        limit: u32,
    ) -> Result<Vec<AuditedWorkspace>, StoreError>;

    /// Events of a partition after a position, oldest first, at most `limit`. Empty only after the last.
    async fn audit_partition(
        &self,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditedEvent>, StoreError>;

    /// Recorded commands in the order of their ids, after `after`.
    async fn audit_commands(
        &self,
        workspace: WorkspaceId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<AuditedCommand>, StoreError>;

    /// Snapshots by the names of their streams, after `after`.
    async fn audit_snapshots(
        &self,
        workspace: WorkspaceId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditedSnapshot>, StoreError>;
}
