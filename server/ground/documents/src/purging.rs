//! Purging: deletes the rows of a workspace in a document store.
//!
//! A document store does not know which workspaces exist; the event store does. So it lists the workspaces of
//! its rows, and the lifecycle service purges those that have ended.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::id::WorkspaceId;

use super::DocumentStoreError;

/// The purge of workspaces; part of [`DocumentStore`](super::DocumentStore).
#[async_trait]
pub trait Purging: Send + Sync + Debug {
    /// The workspaces with any rows.
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, DocumentStoreError>;

    /// Deletes up to `limit` rows of each kind of a workspace, in one transaction; returns whether there may
    /// be more.
    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<bool, DocumentStoreError>;
}

/// The workspaces of a table with a primary key that begins with the workspace: one index search for each
/// workspace, independently of the number of rows.
macro_rules! workspaces_of {
    ($table:literal) => {
        concat!(
            "
            with recursive known (workspace) as (
                select (select workspace from ",
            $table,
            " order by workspace limit 1)
                union all
                select (select workspace from ",
            $table,
            " where workspace > known.workspace order by workspace limit 1)
                from known where known.workspace is not null
            )
            select workspace from known where workspace is not null
            "
        )
    };
}

/// One statement for every table that can be the only one with rows of a workspace.
pub(super) const WORKSPACES: [&str; 3] = [
    workspaces_of!("documents"),
    workspaces_of!("checkpoints"),
    workspaces_of!("generations"),
];
