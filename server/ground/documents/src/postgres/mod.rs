//! The document store in a PostgreSQL database, which may be the event store's: each has its own schema.
//!
//! A transaction that writes views locks their rows in `generations`, so that lanes of different partitions
//! never fold into one document at the same time, and none writes a generation that is being retired. One
//! that locks several does so by workspace and view, so that two of them never wait for each other.

mod read;
mod sharing;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use domain::id::WorkspaceId;
use sqlx::{PgConnection, PgPool, Postgres};

use super::{
    DocumentStoreError, FIRST_GENERATION, Scope, Sharing, StoredDocument,
    columns::stored,
    sql::{Change, Database, Failure, Loaded, Request, SqlDocumentStore, ViewGenerations},
};
use database::{connections::ConnectionLimit, engine::statement, postgres, postgres::OpenError};
use sharing::PostgresSharing;

/// The most groups of updates that are committed at the same time. Releases, rebuilds and purges share their
/// connections.
const GROUPS: u32 = 2;

/// A document store in a PostgreSQL database.
pub type PostgresDocumentStore = SqlDocumentStore<Postgres>;

impl PostgresDocumentStore {
    /// Opens the database that a URL names, as in `postgres://user:password@host/database`, and runs the
    /// migrations in one of its schemas.
    pub(super) async fn open(
        url: &str,
        connections: ConnectionLimit,
        schema: &'static str,
    ) -> Result<Self, DocumentStoreError> {
        let database = postgres::Database::new(url, schema)?;
        database
            .migrate(sqlx::migrate!("../../../migrations/postgres/views"))
            .await?;
        let writers = database.writers(connections.document_writers()).await?;
        let readers = database.readers(connections.document_readers()).await?;
        let groups = usize::try_from(connections.document_writers().min(GROUPS)).unwrap_or(1);
        Ok(Self::new(writers, readers, groups))
    }

    /// Opens a migrated schema of a database, for reading only.
    pub(super) async fn open_to_read(
        url: &str,
        connections: ConnectionLimit,
        schema: &'static str,
    ) -> Result<Self, DocumentStoreError> {
        let database = postgres::Database::new(url, schema)?;
        let readers = database.readers(connections.document_readers()).await?;
        Ok(Self::new(readers.clone(), readers, 1))
    }

    /// Whether the schema has the tables.
    pub(super) async fn is_made(url: &str, schema: &'static str) -> Result<bool, DocumentStoreError> {
        let readers = postgres::Database::new(url, schema)?.readers(1).await?;
        let is_made = sqlx::query_scalar("select to_regclass('documents') is not null")
            .fetch_one(&readers)
            .await?;
        Ok(is_made)
    }
}

impl From<OpenError> for DocumentStoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Schema(error) => error.into(),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl Database for Postgres {
    const REMOVE_DOCUMENTS: &'static str = "
        delete from documents where (workspace, view, generation, key) in (
            select workspace, view, generation, key from documents
            where workspace = $1 and view = $2 and generation = $3 limit $4
        )
    ";
    const PURGE_DOCUMENTS: &'static str = "
        delete from documents where (workspace, view, generation, key) in (
            select workspace, view, generation, key from documents where workspace = $1 limit $2
        )
    ";

    const PURGE_CHANGES: Option<&'static str> = Some(
        "
        delete from changes where (workspace, view, generation, events) in (
            select workspace, view, generation, events from changes where workspace = $1 limit $2
        )
        ",
    );

    const RESET_CHANGES: Option<&'static str> =
        Some("delete from changes where workspace = $1 and view = $2 and generation = $3");

    const LOCK_WORKSPACE: Option<&'static str> =
        Some("select 1 from generations where workspace = $1 order by view for update");

    fn sharing(writers: &PgPool, readers: &PgPool) -> Option<Arc<dyn Sharing>> {
        Some(Arc::new(PostgresSharing::new(writers.clone(), readers.clone())))
    }

    async fn lock_view(
        transaction: &mut PgConnection,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<(), DocumentStoreError> {
        Self::generations(transaction, workspace, view).await?;
        Ok(())
    }

    async fn generations(
        transaction: &mut PgConnection,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<ViewGenerations, DocumentStoreError> {
        loop {
            let row = statement::<Self>(
                "
                select live, newest, building from generations
                where workspace = $1 and view = $2 for no key update
                ",
            )
            .bind(workspace.0)
            .bind(view)
            .optional(transaction)
            .await?;
            if let Some(row) = row {
                return ViewGenerations::from_columns(row);
            }
            // the first transaction that writes this view; if two do at once, one of them waits here for the
            // other
            statement::<Self>(
                "insert into generations (workspace, view, live, newest) values ($1, $2, $3, $3) \
                 on conflict do nothing",
            )
            .bind(workspace.0)
            .bind(view)
            .bind(stored(FIRST_GENERATION)?)
            .execute(transaction)
            .await?;
        }
    }

    async fn begin_group(
        connection: &mut PgConnection,
        requests: &[&Request],
    ) -> Result<Vec<Loaded>, Failure> {
        read::begin(connection, requests).await
    }

    async fn commit_group(connection: &mut PgConnection, changes: &[Change<'_>]) -> Result<(), Failure> {
        write::commit(connection, changes).await
    }

    async fn load(
        transaction: &mut PgConnection,
        scope: &Scope,
        keys: &[String],
    ) -> Result<Vec<StoredDocument>, Failure> {
        read::load(transaction, scope, keys).await
    }

    async fn store(transaction: &mut PgConnection, changes: &[Change<'_>]) -> Result<(), Failure> {
        write::store(transaction, changes).await
    }
}
