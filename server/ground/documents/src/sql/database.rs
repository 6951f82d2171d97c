//! The differences between the databases; all other SQL is the same for both.

use std::sync::Arc;

use domain::id::WorkspaceId;
use sqlx::Pool;
use uuid::Uuid;

use super::{
    generations::ViewGenerations,
    group::{Change, Failure, Loaded, Request},
    query::{DocumentColumns, EntryColumns},
};
use database::engine::{Engine, Reads};

use crate::{
    DocumentStoreError, Scope, Sharing, StoredDocument,
    columns::{CheckpointRow, CountRow, DeadLetterRow, GenerationRow, ParkedRow},
};

/// A database of the document store.
pub(crate) trait Database:
    Engine
    + Reads<GenerationRow>
    + Reads<CheckpointRow>
    + Reads<ParkedRow>
    + Reads<DeadLetterRow>
    + Reads<CountRow>
    + Reads<DocumentColumns>
    + Reads<EntryColumns>
    + Reads<(Option<String>,)>
    + Reads<(i64, i64)>
    + Reads<(i64, i64, Option<i64>)>
    + Reads<(i64, i64, Option<String>)>
    + Reads<(String, String, Option<Uuid>)>
    + Reads<(String, String, String, String)>
{
    /// Locks a view until the end of the transaction: no other transaction writes the view meanwhile.
    fn lock_view(
        transaction: &mut Self::Connection,
        workspace: WorkspaceId,
        view: &str,
    ) -> impl Future<Output = Result<(), DocumentStoreError>> + Send;

    /// The same; returns the generations of the view.
    fn generations(
        transaction: &mut Self::Connection,
        workspace: WorkspaceId,
        view: &str,
    ) -> impl Future<Output = Result<ViewGenerations, DocumentStoreError>> + Send;

    /// Begins a transaction in which no other transaction writes the views of these requests, and reads what
    /// each of them needs, in their order.
    fn begin_group(
        connection: &mut Self::Connection,
        requests: &[&Request],
    ) -> impl Future<Output = Result<Vec<Loaded>, Failure>> + Send;

    /// Writes in the transaction that [`begin_group`](Self::begin_group) has begun, and commits it. No
    /// checkpoint has moved since it was read: the transaction excludes other writers.
    fn commit_group(
        connection: &mut Self::Connection,
        changes: &[Change<'_>],
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// The existing documents of these keys.
    fn load(
        transaction: &mut Self::Connection,
        scope: &Scope,
        keys: &[String],
    ) -> impl Future<Output = Result<Vec<StoredDocument>, Failure>> + Send;

    /// Writes in a transaction, in a few statements for any number of rows.
    fn store(
        transaction: &mut Self::Connection,
        changes: &[Change<'_>],
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Locks every view of the workspace `$1` until the end of the transaction, in the order of
    /// [`begin_group`](Self::begin_group); `None`: every transaction that writes excludes all others.
    const LOCK_WORKSPACE: Option<&'static str>;

    /// Deletes documents of the generation `$3` of the view `$2` of the workspace `$1`, at most `$4`.
    const REMOVE_DOCUMENTS: &'static str;

    /// Deletes documents of the workspace `$1`, at most `$2`.
    const PURGE_DOCUMENTS: &'static str;

    /// Deletes what was handed over to other servers of the workspace `$1`, at most `$2`; `None`: nothing is.
    const PURGE_CHANGES: Option<&'static str>;

    /// Deletes what was handed over of the generation `$3` of the view `$2` in the workspace `$1`; `None`:
    /// nothing is.
    const RESET_CHANGES: Option<&'static str>;

    /// What servers that share the database agree upon; `None`: a single server uses it.
    fn sharing(_writers: &Pool<Self>, _readers: &Pool<Self>) -> Option<Arc<dyn Sharing>> {
        None
    }
}
