//! The versions of more streams than are kept in memory.

use domain::id::StreamName;
use sqlx::SqliteConnection;

use super::scratch::{json, open};
use crate::chain::ChainCheck;
use event_store::AuditedEvent;

const TABLE: &str = "
    create table versions (stream text primary key, version integer not null) strict, without rowid;
";

/// Moves the versions of a partition's streams out of a [`ChainCheck`] and back into it.
pub(super) struct StreamVersions {
    /// Streams whose versions stay in memory.
    limit: usize,
    /// Opened for the first version that does not.
    database: Option<SqliteConnection>,
}

impl StreamVersions {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            database: None,
        }
    }

    /// Before these events are checked.
    pub(super) async fn recall(
        &mut self,
        chain: &mut ChainCheck,
        events: &[AuditedEvent],
    ) -> Result<(), sqlx::Error> {
        let Some(database) = &mut self.database else {
            return Ok(());
        };
        let readable = events.iter().filter_map(|read| read.event.as_ref().ok());
        let unknown = chain.unknown_streams(readable);
        if unknown.is_empty() {
            return Ok(());
        }
        let found: Vec<(String, i64)> = sqlx::query_as(
            "
            select v.stream, v.version
            from json_each($1) wanted
                cross join versions v on v.stream = wanted.value
            ",
        )
        .bind(json(&unknown)?)
        .fetch_all(database)
        .await?;
        for (stream, version) in found {
            let stream: StreamName = stream
                .parse()
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            chain.recall(stream, version.unsigned_abs());
        }
        Ok(())
    }

    /// After events were checked.
    pub(super) async fn make_room(&mut self, chain: &mut ChainCheck) -> Result<(), sqlx::Error> {
        if chain.streams_in_memory() <= self.limit {
            return Ok(());
        }
        let versions: Vec<(StreamName, u64)> = chain.take_versions().collect();
        let versions = json(&versions)?;
        let database = match self.database.take() {
            Some(database) => database,
            None => open(TABLE).await?,
        };
        let database = self.database.insert(database);
        sqlx::query(
            "
            insert into versions (stream, version)
            select value ->> 0, value ->> 1 from json_each($1)
            where true
            on conflict (stream) do update set version = excluded.version
            ",
        )
        .bind(versions)
        .execute(database)
        .await?;
        Ok(())
    }
}
