//! Opens the adapter that serves a URL.

use std::sync::Arc;

use super::{
    DocumentStore, DocumentStoreError, postgres::PostgresDocumentStore, sqlite::SqliteDocumentStore,
};
use database::url::StoreUrl;

/// Opens the store that a URL names. In a PostgreSQL database its tables are in this schema, so that one
/// database can hold several stores.
pub async fn open(
    url: &StoreUrl,
    schema: &'static str,
) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteDocumentStore::open(url.file()).await?),
        StoreUrl::Postgres(url) => {
            Arc::new(PostgresDocumentStore::open(url.expose(), url.connections(), schema).await?)
        }
    })
}

/// Whether a store was ever opened at a URL to be written to: before, there is nothing to read.
pub async fn is_made(url: &StoreUrl, schema: &'static str) -> Result<bool, DocumentStoreError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => url.file().exists(),
        StoreUrl::Postgres(url) => PostgresDocumentStore::is_made(url.expose(), schema).await?,
    })
}

/// Opens the store that a URL names, for reading only.
pub async fn open_to_read(
    url: &StoreUrl,
    schema: &'static str,
) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteDocumentStore::open_to_read(url.file()).await?),
        StoreUrl::Postgres(url) => {
            Arc::new(PostgresDocumentStore::open_to_read(url.expose(), url.connections(), schema).await?)
        }
    })
}
