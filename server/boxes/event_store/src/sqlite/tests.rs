//! The conformance suite on a SQLite file.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::SqliteEventStore;
use clock::SharedClock;

use crate::{
    CommitObserver, DigestKey, EventStore, Expected, StoreError,
    conformance::{TestDatabase, append, conformance_suite, event, open_workspace, part},
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

    async fn open_with(
        place: &str,
        clock: SharedClock,
        observer: Option<Arc<dyn CommitObserver>>,
    ) -> Result<Arc<dyn EventStore>, StoreError> {
        let store = SqliteEventStore::open(place.as_ref(), clock, observer).await?;
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

/// Given a file with digests that have no key, when they get one, then none is left in its bytes.
#[tokio::test]
async fn a_digest_that_had_no_key_is_gone_from_the_file() {
    let file = File::new().await;
    let store = file.open().await;
    let workspace = open_workspace(&*store, 1).await;
    for events in [vec![event(1)], Vec::new()] {
        let appended = append(workspace, vec![part("order-1", Expected::Any, events)]);
        store.append(appended).await.unwrap();
    }
    store.close().await;
    let has_digest = || {
        let folder = std::fs::read_dir(file.path().parent().unwrap()).unwrap();
        let files = folder.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files
            .into_iter()
            .any(|bytes| bytes.windows(32).any(|bytes| bytes == [7; 32]))
    };
    assert!(has_digest());
    for statement in [
        "insert into unkeyed_digests (partition_no, keyed_to, head) select no, 0, null from partitions",
        "update answers set keyed = 0",
    ] {
        file.run(statement).await.unwrap();
    }
    let store = file.open().await;
    store.key_digests(&DigestKey::new([3; 32])).await.unwrap();
    // the log of writes as well
    assert!(!has_digest());
    store.close().await;
}
