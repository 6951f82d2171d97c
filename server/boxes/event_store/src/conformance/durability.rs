//! Restarts, tampering, failures and observers.

use std::sync::{Arc, Mutex};

use domain::event::{GENESIS_HASH, StoredEvent};
use futures::future::join_all;

use super::{
    super::{AppendError, CommitObserver, Expected, StoreError},
    TestDatabase, append, checked_partition, event, one, open_workspace, part,
};

pub(crate) async fn the_database_refuses_to_change_or_delete_an_event<B: TestDatabase>(database: B) {
    let store = database.open().await;
    let workspace = open_workspace(&*store, 1).await;
    store
        .append(one(workspace, "order-1", Expected::Any))
        .await
        .unwrap();
    for statement in [
        "update events set payload = '{}'",
        "update events set version = 2",
        "delete from events",
    ] {
        let error = database.run(statement).await.unwrap_err();
        assert!(error.to_string().contains("events are immutable"), "{error}");
    }
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 1);
}

pub(crate) async fn tampering_past_the_triggers_is_visible_in_the_chain<B: TestDatabase>(database: B) {
    let store = database.open().await;
    let workspace = open_workspace(&*store, 1).await;
    for _ in 0..5 {
        store
            .append(one(workspace, "order-1", Expected::Any))
            .await
            .unwrap();
    }
    database.run(B::UNLOCK).await.unwrap();
    database
        .run("update events set payload = '{\"quantity\":99}' where version = 3")
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

pub(crate) async fn what_was_appended_is_there_after_a_restart_and_continues<B: TestDatabase>(database: B) {
    let store = database.open().await;
    let workspace = open_workspace(&*store, 2).await;
    let sent = one(workspace, "order-1", Expected::NoStream);
    let first = store.append(sent.clone()).await.unwrap();
    store.close().await;

    let store = database.open().await;
    assert_eq!(
        store.append(sent).await.unwrap(),
        first,
        "a repetition after a restart"
    );
    store.close().await;

    let store = database.open().await;
    assert!(
        matches!(
            store.append(one(workspace, "order-1", Expected::NoStream)).await,
            Err(AppendError::Conflict { current: 1, .. })
        ),
        "a stream that exists, though it is not cached"
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
        checked_partition(&*store, workspace, partition).await;
    }
}

pub(crate) async fn a_newer_schema_is_refused_with_a_sentence<B: TestDatabase>(database: B) {
    database.open().await.close().await;
    database
        .run(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             select 9000, 'from the future', true, checksum, 0 from _sqlx_migrations limit 1",
        )
        .await
        .unwrap();
    let error = B::open_at(&database.place(), None).await.unwrap_err().to_string();
    assert!(
        error.contains("schema 9000, from a newer version of this program"),
        "{error}"
    );
}

pub(crate) async fn one_bad_append_does_not_fail_its_neighbours_and_the_store_recovers<B: TestDatabase>(
    database: B,
) {
    let store = database.open().await;
    let workspace = open_workspace(&*store, 1).await;
    database.run(B::REFUSE).await.unwrap();
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
            Err(AppendError::Store(StoreError::Refused(_))) => assert_eq!(n % 10, 3),
            Err(error) => panic!("append {n}: {error}"),
        }
    }
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 36);
    let again = bad();
    assert!(store.append(again.clone()).await.is_err());
    // once there is space, the same command is accepted
    database.run(B::RELENT).await.unwrap();
    store.append(again).await.unwrap();
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 38);
}

/// Records the events that it receives.
#[derive(Default)]
struct EventRecorder(Mutex<Vec<StoredEvent>>);

impl CommitObserver for EventRecorder {
    fn committed(&self, events: Arc<[StoredEvent]>) {
        self.0.lock().unwrap().extend(events.iter().cloned());
    }
}

pub(crate) async fn an_observer_receives_every_commit_in_order<B: TestDatabase>(database: B) {
    let recorder = Arc::new(EventRecorder::default());
    let observer: Arc<dyn CommitObserver> = recorder.clone();
    let store = B::open_at(&database.place(), Some(observer)).await.unwrap();
    let workspaces = [open_workspace(&*store, 3).await, open_workspace(&*store, 1).await];
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
    let received = recorder.0.lock().unwrap();
    assert_eq!(received.len(), 200);
    for workspace in workspaces {
        for partition in 0..3 {
            let of_partition = received
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

struct PanickingObserver;

impl CommitObserver for PanickingObserver {
    fn committed(&self, _events: Arc<[StoredEvent]>) {
        panic!("a fault of the observer");
    }
}

pub(crate) async fn an_observer_that_panics_does_not_end_the_store<B: TestDatabase>(database: B) {
    let store = B::open_at(&database.place(), Some(Arc::new(PanickingObserver)))
        .await
        .unwrap();
    let workspace = open_workspace(&*store, 1).await;
    for _ in 0..3 {
        store
            .append(one(workspace, "order-1", Expected::Any))
            .await
            .unwrap();
    }
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 3);
}
