//! Which adapter serves a URL.

use std::sync::Arc;

use super::{
    ReadModel, ReadModelError,
    postgres::{self, PostgresReadModel},
    sqlite::SqliteReadModel,
};
use crate::settings::StoreUrl;

/// Opens the read model that a URL names.
pub async fn open(url: &StoreUrl) -> Result<Arc<dyn ReadModel>, ReadModelError> {
    open_in(url, postgres::VIEWS).await
}

/// Opens what process managers remember, which is kept as views are: in a file of its own, or in a schema of its own.
pub async fn open_processes(url: &StoreUrl) -> Result<Arc<dyn ReadModel>, ReadModelError> {
    open_in(url, postgres::PROCESSES).await
}

async fn open_in(url: &StoreUrl, schema: &'static str) -> Result<Arc<dyn ReadModel>, ReadModelError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteReadModel::open(url.file()).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresReadModel::open(url.expose(), schema).await?),
    })
}

/// Opens the read model that a URL names, to look at it and no more.
pub async fn open_to_read(url: &StoreUrl) -> Result<Arc<dyn ReadModel>, ReadModelError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteReadModel::open_to_read(url.file()).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresReadModel::open_to_read(url.expose()).await?),
    })
}
