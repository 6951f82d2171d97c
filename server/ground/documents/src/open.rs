//! Which adapter serves a URL.

use std::sync::Arc;

use super::{
    DocumentStore, DocumentStoreError, postgres::PostgresDocumentStore, sqlite::SqliteDocumentStore,
};
use database::url::StoreUrl;

/// Opens the store that a URL names. In a PostgreSQL its tables lie in a schema of this name, so that one database holds
/// several stores.
pub async fn open(
    url: &StoreUrl,
    schema: &'static str,
) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteDocumentStore::open(url.file()).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresDocumentStore::open(url.expose(), schema).await?),
    })
}

/// Opens the store that a URL names, to read from it and no more.
pub async fn open_to_read(
    url: &StoreUrl,
    schema: &'static str,
) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteDocumentStore::open_to_read(url.file()).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresDocumentStore::open_to_read(url.expose(), schema).await?),
    })
}
