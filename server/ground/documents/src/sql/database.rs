//! The differences between the databases; all other SQL is the same for both.

use domain::id::WorkspaceId;
use uuid::Uuid;

use super::{
    generations::ViewGenerations,
    query::{DocumentColumns, EntryColumns},
};
use database::engine::{Engine, Reads};

use crate::{
    DocumentStoreError, DocumentWrite, Scope, StoredDocument,
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

    /// The existing documents of these keys.
    fn load(
        transaction: &mut Self::Connection,
        scope: &Scope,
        keys: &[String],
    ) -> impl Future<Output = Result<Vec<StoredDocument>, DocumentStoreError>> + Send;

    /// Writes documents and their entries, in a few statements for any number of them.
    fn store(
        transaction: &mut Self::Connection,
        scope: &Scope,
        writes: &[DocumentWrite],
    ) -> impl Future<Output = Result<(), DocumentStoreError>> + Send;

    /// Deletes documents of the generation `$3` of the view `$2` of the workspace `$1`, at most `$4`.
    const REMOVE_DOCUMENTS: &'static str;

    /// Deletes documents of the workspace `$1`, at most `$2`.
    const PURGE_DOCUMENTS: &'static str;
}
