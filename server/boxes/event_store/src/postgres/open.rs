//! The database of the store: its connections and its migrations.

use database::{
    connections::ConnectionLimit,
    postgres::{Connector, Database, OpenError},
};
use sqlx::PgPool;

use crate::StoreError;

/// The schema of the tables.
const SCHEMA: &str = "foldline_events";

/// An open database.
pub(super) struct OpenDatabase {
    pub(super) writer: Connector,
    pub(super) readers: PgPool,
    pub(super) database: Database,
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Schema(error) => error.into(),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

/// Opens a database for a server, and runs the migrations.
pub(super) async fn open(url: &str, connections: ConnectionLimit) -> Result<OpenDatabase, StoreError> {
    let database = Database::new(url, SCHEMA)?;
    database
        .migrate(sqlx::migrate!("../../../migrations/postgres/events"))
        .await?;
    Ok(OpenDatabase {
        writer: database.writer(),
        readers: database.readers(connections.event_readers()).await?,
        database,
    })
}

/// Connections that read a migrated database.
pub(super) async fn open_to_read(url: &str, connections: ConnectionLimit) -> Result<PgPool, StoreError> {
    let database = Database::new(url, SCHEMA)?;
    Ok(database.readers(connections.event_readers()).await?)
}
