//! Purging: everything that a document store holds of a workspace goes with it.
//!
//! A document store does not know which workspaces there are; the event store does. So it can say of which it holds anything,
//! and whoever finds one among them that is there no more has it purged.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::id::WorkspaceId;

use super::DocumentStoreError;

/// Part of [`DocumentStore`](super::DocumentStore).
#[async_trait]
pub trait Purging: Send + Sync + Debug {
    /// The workspaces of which it holds anything.
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, DocumentStoreError>;

    /// Removes up to `limit` rows of each kind of a workspace, in one transaction; whether there may be more.
    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<bool, DocumentStoreError>;
}

/// The workspaces of a table whose primary key begins with the workspace: a jump in its index for each, however many rows
/// there are.
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

/// For every table that can be the only one to hold something of a workspace.
pub(super) const WORKSPACES: [&str; 3] = [
    workspaces_of!("documents"),
    workspaces_of!("checkpoints"),
    workspaces_of!("generations"),
];
