//! Opens the adapter that serves a URL.

use std::sync::Arc;

use super::{CommitObserver, EventStore, Import, PostgresEventStore, SqliteEventStore, StoreError};
use clock::SharedClock;
use database::url::StoreUrl;

/// Opens the store that a URL names. `observer` receives every commit.
pub async fn open(
    url: &StoreUrl,
    clock: SharedClock,
    observer: Option<Arc<dyn CommitObserver>>,
) -> Result<Arc<dyn EventStore>, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteEventStore::open(url.file(), clock, observer).await?),
        StoreUrl::Postgres(url) => {
            Arc::new(PostgresEventStore::open(url.expose(), url.connections(), clock, observer).await?)
        }
    })
}

/// Opens the store that a URL names, for reading only.
pub async fn open_to_read(url: &StoreUrl) -> Result<Arc<dyn EventStore>, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqliteEventStore::open_to_read(url.file()).await?),
        StoreUrl::Postgres(url) => {
            Arc::new(PostgresEventStore::open_to_read(url.expose(), url.connections()).await?)
        }
    })
}

/// Opens the store that a URL names, to import workspaces into it.
pub async fn open_to_import(url: &StoreUrl, clock: SharedClock) -> Result<Import, StoreError> {
    match url {
        StoreUrl::Sqlite(url) => SqliteEventStore::open_to_import(url.file(), clock).await,
        StoreUrl::Postgres(url) => {
            PostgresEventStore::open_to_import(url.expose(), url.connections(), clock).await
        }
    }
}
