//! Which adapter serves a URL.

use std::sync::Arc;

use super::{ReadModel, ReadModelError, postgres::PostgresReadModel, sqlite::SqliteReadModel};
use database::url::StoreUrl;

/// Opens the store that a URL names. In a PostgreSQL its tables lie in a schema of this name, so that one database holds
/// several stores.
pub async fn open(url: &StoreUrl, schema: &'static str) -> Result<Arc<dyn ReadModel>, ReadModelError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteReadModel::open(url.file()).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresReadModel::open(url.expose(), schema).await?),
    })
}

/// Opens the store that a URL names, to read from it and no more.
pub async fn open_to_read(
    url: &StoreUrl,
    schema: &'static str,
) -> Result<Arc<dyn ReadModel>, ReadModelError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteReadModel::open_to_read(url.file()).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresReadModel::open_to_read(url.expose(), schema).await?),
    })
}
