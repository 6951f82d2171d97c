//! The suite that every store passes, and what only this one can show: its triggers, its file, its groups, and a
//! process that is killed.

mod killed;

use std::sync::{Arc, Mutex};

use domain::event::{GENESIS_HASH, StoredEvent};
use futures::future::join_all;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::SqliteEventStore;
use crate::{
    clock::SystemClock,
    event_store::{
        AppendError, CommitObserver, EventStore, Expected, StoreError,
        conformance::{
            Fixture, append, checked_partition, conformance_suite, event, one, open_workspace, part,
        },
    },
};

async fn open_in(folder: &TempDir) -> SqliteEventStore {
    let path = folder.path().join("data/events.db");
    SqliteEventStore::open(&path, Arc::new(SystemClock), None)
        .await
        .unwrap()
}

async fn fixture() -> Fixture {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open_in(&folder).await);
    Fixture {
        store,
        _keep: Box::new(folder),
    }
}

/// The file as anybody could open it.
async fn raw(folder: &TempDir) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(folder.path().join("data/events.db"))
        .connect()
        .await
        .unwrap()
}

conformance_suite!(fixture);

#[tokio::test]
async fn the_database_refuses_to_change_or_delete_an_event() {
    let folder = TempDir::new().unwrap();
    let store = open_in(&folder).await;
    let workspace = open_workspace(&store, 1).await;
    store
        .append(one(workspace, "order-1", Expected::Any))
        .await
        .unwrap();
    let mut raw = raw(&folder).await;
    for statement in [
        "update events set payload = '{}'",
        "update events set version = 2",
        "delete from events",
    ] {
        let error = sqlx::query(statement).execute(&mut raw).await.unwrap_err();
        assert!(error.to_string().contains("events are immutable"), "{error}");
    }
    assert_eq!(checked_partition(&store, workspace, 0).await.len(), 1);
}

#[tokio::test]
async fn tampering_past_the_triggers_is_visible_in_the_chain() {
    let folder = TempDir::new().unwrap();
    let store = open_in(&folder).await;
    let workspace = open_workspace(&store, 1).await;
    for _ in 0..5 {
        store
            .append(one(workspace, "order-1", Expected::Any))
            .await
            .unwrap();
    }
    let mut raw = raw(&folder).await;
    sqlx::query("drop trigger events_are_never_updated")
        .execute(&mut raw)
        .await
        .unwrap();
    sqlx::query("update events set payload = '{\"quantity\":99}' where version = 3")
        .execute(&mut raw)
        .await
        .unwrap();
    let events = store.read_partition(workspace, 0, 0, 10).await.unwrap();
    let mut previous = GENESIS_HASH.to_owned();
    let broken = events.iter().find(|event| {
        let whole = event.chain_hash(&previous) == event.hash;
        previous.clone_from(&event.hash);
        !whole
    });
    assert_eq!(broken.map(|event| event.position), Some(3));
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_restart_and_continues() {
    let folder = TempDir::new().unwrap();
    let store = open_in(&folder).await;
    let workspace = open_workspace(&store, 2).await;
    let sent = one(workspace, "order-1", Expected::NoStream);
    let first = store.append(sent.clone()).await.unwrap();
    store.close().await;

    let store = open_in(&folder).await;
    assert_eq!(
        store.append(sent).await.unwrap(),
        first,
        "a repetition after a restart"
    );
    store
        .append(one(workspace, "order-1", Expected::Exact(1)))
        .await
        .unwrap();
    store
        .append(one(workspace, "order-2", Expected::NoStream))
        .await
        .unwrap();
    for partition in 0..2 {
        checked_partition(&store, workspace, partition).await;
    }
}

#[tokio::test]
async fn a_file_of_a_newer_schema_is_refused_with_a_sentence() {
    let folder = TempDir::new().unwrap();
    open_in(&folder).await.close().await;
    let mut connection = raw(&folder).await;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9000, 'from the future', true, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    let path = folder.path().join("data/events.db");
    let error = SqliteEventStore::open(&path, Arc::new(SystemClock), None)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("schema 9000, from a newer version of this program"),
        "{error}"
    );
}

/// Makes the database refuse, as a full disk would, every event whose payload has the given text.
async fn refuse_payloads(raw: &mut SqliteConnection) {
    sqlx::query(
        "create trigger no_room before insert on events when new.payload = '{\"quantity\":666}'
         begin select raise(abort, 'database or disk is full'); end",
    )
    .execute(raw)
    .await
    .unwrap();
}

#[tokio::test]
async fn one_bad_append_does_not_fail_its_neighbours_and_the_store_recovers() {
    let folder = TempDir::new().unwrap();
    let store = open_in(&folder).await;
    let workspace = open_workspace(&store, 1).await;
    let mut raw = raw(&folder).await;
    refuse_payloads(&mut raw).await;
    let bad = || {
        append(
            workspace,
            vec![part("order-bad", Expected::Any, vec![event(1), event(666)])],
        )
    };
    let appends = (0..40).map(|n| {
        let good = one(workspace, &format!("order-{}", n % 5), Expected::Any);
        store.append(if n % 10 == 3 { bad() } else { good })
    });
    for (n, result) in join_all(appends).await.into_iter().enumerate() {
        match result {
            Ok(_) => assert_ne!(n % 10, 3),
            Err(AppendError::Store(StoreError::Unavailable(_))) => assert_eq!(n % 10, 3),
            Err(error) => panic!("append {n}: {error}"),
        }
    }
    assert_eq!(checked_partition(&store, workspace, 0).await.len(), 36);
    let again = bad();
    assert!(store.append(again.clone()).await.is_err());
    // once there is room, the very same command goes through
    sqlx::query("drop trigger no_room")
        .execute(&mut raw)
        .await
        .unwrap();
    store.append(again).await.unwrap();
    assert_eq!(checked_partition(&store, workspace, 0).await.len(), 38);
}

/// Keeps what it is told.
#[derive(Default)]
struct Recorder(Mutex<Vec<StoredEvent>>);

impl CommitObserver for Recorder {
    fn committed(&self, events: Arc<[StoredEvent]>) {
        self.0.lock().unwrap().extend(events.iter().cloned());
    }
}

#[tokio::test]
async fn an_observer_hears_every_commit_in_order() {
    let folder = TempDir::new().unwrap();
    let recorder = Arc::new(Recorder::default());
    let path = folder.path().join("events.db");
    let observer: Arc<dyn CommitObserver> = recorder.clone();
    let store = SqliteEventStore::open(&path, Arc::new(SystemClock), Some(observer))
        .await
        .unwrap();
    let workspaces = [open_workspace(&store, 3).await, open_workspace(&store, 1).await];
    let streams: Vec<_> = (0..200_usize)
        .map(|n| (workspaces[n % 2], format!("order-{}", n % 11)))
        .collect();
    let appends = streams
        .iter()
        .map(|(workspace, stream)| store.append(one(*workspace, stream, Expected::Any)));
    join_all(appends)
        .await
        .into_iter()
        .for_each(|result| assert!(result.is_ok()));
    store.close().await;
    let heard = recorder.0.lock().unwrap();
    assert_eq!(heard.len(), 200);
    for workspace in workspaces {
        for partition in 0..3 {
            let of_partition = heard
                .iter()
                .filter(|e| (e.workspace, e.partition) == (workspace, partition));
            assert!(
                of_partition
                    .zip(1..)
                    .all(|(event, position)| event.position == position)
            );
        }
    }
}

struct Panicking;

impl CommitObserver for Panicking {
    fn committed(&self, _events: Arc<[StoredEvent]>) {
        panic!("an observer's own mistake");
    }
}

#[tokio::test]
async fn an_observer_that_panics_takes_nobody_with_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let store = SqliteEventStore::open(&path, Arc::new(SystemClock), Some(Arc::new(Panicking)))
        .await
        .unwrap();
    let workspace = open_workspace(&store, 1).await;
    for _ in 0..3 {
        store
            .append(one(workspace, "order-1", Expected::Any))
            .await
            .unwrap();
    }
    assert_eq!(checked_partition(&store, workspace, 0).await.len(), 3);
}
