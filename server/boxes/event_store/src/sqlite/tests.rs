//! The conformance suite on a SQLite file.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::SqliteEventStore;
use clock::SystemClock;

use crate::{
    CommitObserver, EventStore, StoreError,
    conformance::{TestDatabase, conformance_suite},
};

/// A file in a folder of its own.
struct File(TempDir);

impl File {
    fn path(&self) -> PathBuf {
        self.0.path().join("data/events.db")
    }
}

#[async_trait(?Send)]
impl TestDatabase for File {
    const UNLOCK: &str = "drop trigger events_are_never_updated";
    const REFUSE: &str =
        "create trigger no_room before insert on events when new.payload = '{\"quantity\":666}'
         begin select raise(abort, 'database or disk is full'); end";
    const RELENT: &str = "drop trigger no_room";
    const MOVE_COMMANDS_TO_ROWS: &[&str] = &[
        "insert into answers (workspace_no, command_id, body_digest, correlation_id, answer)
         select workspace_no, command_id, body_digest, correlation_id,
             '{\"token\":\"0:1\",\"streams\":[[\"order-1\",1,0,1,1]]}'
         from events where workspace_no is not null",
        "update events set workspace_no = null, body_digest = null, event_count = null",
    ];

    async fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn place(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    async fn open_at(
        place: &str,
        observer: Option<Arc<dyn CommitObserver>>,
    ) -> Result<Arc<dyn EventStore>, StoreError> {
        let store = SqliteEventStore::open(place.as_ref(), Arc::new(SystemClock), observer).await?;
        Ok(Arc::new(store))
    }

    async fn run(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        let mut raw = SqliteConnectOptions::new()
            .filename(self.path())
            .connect()
            .await?;
        sqlx::query(statement).execute(&mut raw).await?;
        raw.close().await
    }

    async fn number(&self, query: &'static str) -> i64 {
        let options = SqliteConnectOptions::new().filename(self.path());
        let mut raw = options.connect().await.unwrap();
        let number = sqlx::query_scalar(query).fetch_one(&mut raw).await.unwrap();
        raw.close().await.unwrap();
        number
    }
}

conformance_suite!(File);
