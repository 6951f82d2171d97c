//! The database server crashes under load, and comes back.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use domain::{event::StoredEvent, id::WorkspaceId};
use futures::future::join_all;

use super::Database;
use test_postgres::Cluster;

use crate::{
    Append, AppendError, CommitObserver, EventStore, Expected, StoreError,
    conformance::{TestDatabase, checked_partition, one, open_workspace},
};

/// Records the last position that the observer received of each partition.
#[derive(Default)]
struct PositionRecorder(Mutex<HashMap<u32, u64>>);

impl CommitObserver for PositionRecorder {
    fn committed(&self, events: Arc<[StoredEvent]>) {
        let mut positions = self.0.lock().unwrap();
        for event in &*events {
            let position = positions.entry(event.partition).or_insert(0);
            // after a lost answer an event may come again, and none is left out
            assert!(event.position <= *position + 1, "a gap before {}", event.position);
            *position = event.position.max(*position);
        }
    }
}

/// Appends until the store refuses; returns the refused append.
async fn until_refused(
    store: Arc<dyn EventStore>,
    workspace: WorkspaceId,
    caller: usize,
    acknowledged: Arc<Mutex<Vec<uuid::Uuid>>>,
) -> Append {
    loop {
        let sent = one(workspace, &format!("order-{caller}"), Expected::Any);
        match store.append(sent.clone()).await {
            Ok(_) => acknowledged.lock().unwrap().push(sent.metadata.command_id),
            Err(AppendError::Store(StoreError::Unavailable(_))) => return sent,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_and_comes_back_has_lost_nothing_that_was_acknowledged() {
    let cluster = Arc::new(
        tokio::task::spawn_blocking(|| Cluster::start(true))
            .await
            .unwrap(),
    );
    let database = Database::on(&cluster).await;
    let recorder = Arc::new(PositionRecorder::default());
    let store = Database::open_at(&database.url, Some(recorder.clone()))
        .await
        .unwrap();
    let workspace = open_workspace(&*store, 2).await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 1..=3 {
        let callers: Vec<_> = (0..16)
            .map(|caller| {
                tokio::spawn(until_refused(
                    store.clone(),
                    workspace,
                    caller,
                    acknowledged.clone(),
                ))
            })
            .collect();
        while acknowledged.lock().unwrap().len() < round * 100 {
            tokio::task::yield_now().await;
        }
        let crashing = cluster.clone();
        tokio::task::spawn_blocking(move || crashing.crash())
            .await
            .unwrap();
        let refused: Vec<_> = join_all(callers).await.into_iter().map(Result::unwrap).collect();
        assert!(store.ping().await.is_err());
        assert!(store.head(workspace).await.is_err());

        let resuming = cluster.clone();
        tokio::task::spawn_blocking(move || resuming.resume())
            .await
            .unwrap();
        // a repetition is stored once, whether the first try was stored or not; a database that has just come
        // back may not answer in time yet
        join_all(refused.iter().map(async |append| {
            while let Err(refused) = store.append(append.clone()).await {
                let is_slow = matches!(refused, AppendError::Store(StoreError::Unavailable(_)));
                assert!(is_slow, "{refused}");
            }
        }))
        .await;
        acknowledged
            .lock()
            .unwrap()
            .extend(refused.iter().map(|append| append.metadata.command_id));
        let mut stored = HashSet::new();
        for partition in 0..2 {
            let events = checked_partition(&*store, workspace, partition).await;
            assert_eq!(
                recorder.0.lock().unwrap().get(&partition).copied().unwrap_or(0),
                events.len() as u64,
                "the observer received everything"
            );
            for event in events {
                assert!(
                    stored.insert(event.metadata.command_id),
                    "a command is stored once"
                );
            }
        }
        let acknowledged = acknowledged.lock().unwrap();
        assert!(acknowledged.iter().all(|command| stored.contains(command)));
        assert_eq!(acknowledged.len(), stored.len());
    }
    store.close().await;
}
