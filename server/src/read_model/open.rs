//! Which adapter serves a URL.

use std::sync::Arc;

use super::{ReadModel, ReadModelError, postgres::PostgresReadModel, sqlite::SqliteReadModel};
use crate::settings::StoreUrl;

/// Opens the read model that a URL names.
pub async fn open(url: &StoreUrl) -> Result<Arc<dyn ReadModel>, ReadModelError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteReadModel::open(url.file()).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresReadModel::open(url.expose()).await?),
    })
}

/// Opens the read model that a URL names, to look at it and no more.
pub async fn open_to_read(url: &StoreUrl) -> Result<Arc<dyn ReadModel>, ReadModelError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteReadModel::open_to_read(url.file()).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresReadModel::open_to_read(url.expose()).await?),
    })
}
