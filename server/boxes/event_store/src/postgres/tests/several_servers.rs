//! Several servers on one database, with commits that are delayed on purpose: an event is stored, and a
//! trigger that fires at the end of the transaction delays its commit. Readers see positions in order,
//! without a gap.

use std::sync::Arc;

use domain::{id::WorkspaceId, token::ConsistencyToken};
use futures::future::join_all;
use sqlx::{Executor as _, PgConnection};

use super::{Database, raw};
use crate::{
    AppendError, EventFilter, EventStore, Expected, PurgeProgress,
    conformance::{
        HOUR, NOW, StoppedClock, TestDatabase, append, assert_in_order, checked_partition, event, name, one,
        open_workspace, part, whole_stream,
    },
};

/// Commits of events of streams with "slow" in their names wait until the gate is open.
const GATE: &str = "
    create function wait_at_the_gate() returns trigger language plpgsql as $$
    begin
        if exists (select from streams where no = new.stream_no and name like 'order-slow%') then
            perform pg_advisory_xact_lock_shared(42);
        end if;
        return null;
    end $$;
    create constraint trigger delay after insert on events deferrable initially deferred
        for each row execute function wait_at_the_gate();
";

/// Every commit takes a random time.
const JITTER: &str = "
    create function dawdle() returns trigger language plpgsql as $$
    begin
        perform pg_sleep(random() * 0.003);
        return null;
    end $$;
    create constraint trigger delay after insert on events deferrable initially deferred
        for each row execute function dawdle();
";

/// Two servers whose clocks differ by an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_are_in_the_order_of_positions_though_servers_clocks_differ() {
    let database = Database::new().await;
    let place = database.place();
    let open = async |micros| {
        Database::open_with(&place, Arc::new(StoppedClock(micros)), None)
            .await
            .unwrap()
    };
    let (ahead, behind) = (open(NOW + HOUR).await, open(NOW).await);
    let workspace = open_workspace(&*ahead, 1).await;
    for _ in 0..3 {
        for server in [&ahead, &behind, &behind] {
            server
                .append(one(workspace, "order-1", Expected::Any))
                .await
                .unwrap();
        }
    }
    let events = checked_partition(&*ahead, workspace, 0).await;
    assert_eq!(events.len(), 9);
    assert_in_order(&events);
}

async fn servers<const N: usize>(database: &Database) -> [Arc<dyn EventStore>; N] {
    join_all((0..N).map(|_| database.open()))
        .await
        .try_into()
        .unwrap_or_else(|_| unreachable!("as many as were opened"))
}

/// Returns when `sessions` sessions wait for a lock.
async fn until_waiting(connection: &mut PgConnection, sessions: i64) {
    while waiting(connection).await != sessions {
        tokio::task::yield_now().await;
    }
}

/// The number of sessions that wait for a lock.
pub(super) async fn waiting(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() \
         and wait_event_type = 'Lock'",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_behind_a_delayed_commit_waits_and_neither_is_visible() {
    let database = Database::new().await;
    let [first, second, third] = servers(&database).await;
    let (shared, other) = (open_workspace(&*first, 1).await, open_workspace(&*first, 1).await);
    // so that the second server writes from its cache, as it mostly does
    second
        .append(one(shared, "order-0", Expected::Any))
        .await
        .unwrap();
    let mut gate = raw(&database).await;
    gate.execute(GATE).await.unwrap();
    gate.execute("select pg_advisory_lock(42)").await.unwrap();

    let slow = tokio::spawn({
        let first = first.clone();
        async move { first.append(one(shared, "order-slow", Expected::NoStream)).await }
    });
    until_waiting(&mut gate, 1).await;
    let waiting = tokio::spawn({
        let second = second.clone();
        async move { second.append(one(shared, "order-0", Expected::Exact(1))).await }
    });
    until_waiting(&mut gate, 2).await;
    // another partition does not wait
    third
        .append(one(other, "order-1", Expected::NoStream))
        .await
        .unwrap();
    assert_eq!(checked_partition(&*third, shared, 0).await.len(), 1);
    assert_eq!(third.head(shared).await.unwrap(), ConsistencyToken::at(0, 1));

    gate.execute("select pg_advisory_unlock(42)").await.unwrap();
    let (slow, waiting) = (slow.await.unwrap().unwrap(), waiting.await.unwrap().unwrap());
    assert_eq!(
        (slow.token, waiting.token),
        (ConsistencyToken::at(0, 2), ConsistencyToken::at(0, 3))
    );
    assert_eq!(checked_partition(&*third, shared, 0).await.len(), 3);
}

/// Reads a partition as a lane does, until it has seen so many events.
async fn follow(store: Arc<dyn EventStore>, workspace: WorkspaceId, partition: u32, until: u64) {
    let mut seen = 0;
    while seen < until {
        let head = store.head(workspace).await.unwrap().position(partition);
        let (before, page) = (seen, 7);
        let events = store
            .read_partition(workspace, partition, seen, page)
            .await
            .unwrap();
        for event in &events {
            assert_eq!(event.position, seen + 1, "the next position, and no other");
            seen = event.position;
        }
        assert!(
            seen >= head.min(before + u64::from(page)),
            "the events up to the head are there"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_and_interleaved_commits_are_read_in_order_and_without_a_gap() {
    const SERVERS: usize = 3;
    const CALLERS: u64 = 6;
    const APPENDS: u64 = 10;
    let database = Database::new().await;
    let stores: [_; SERVERS] = servers(&database).await;
    let workspace = open_workspace(&*stores[0], 2).await;
    raw(&database).await.execute(JITTER).await.unwrap();
    // one stream in each partition, so that an append of both locks both, in either order
    let stream_in = |partition| {
        (0..100)
            .map(|n| format!("order-both-{n}"))
            .find(|stream| name(stream).partition(2) == partition)
            .unwrap()
    };
    let both = [stream_in(0), stream_in(1)];
    let callers = stores.iter().enumerate().flat_map(|(server, store)| {
        let both = &both;
        (0..CALLERS).map(move |caller| {
            let (store, mut both) = (store.clone(), both.clone());
            tokio::spawn(async move {
                for n in 0..APPENDS {
                    let own = format!("order-{server}-{caller}");
                    store
                        .append(one(workspace, &own, Expected::Exact(n)))
                        .await
                        .unwrap();
                    both.reverse();
                    let parts = both
                        .iter()
                        .map(|stream| part(stream, Expected::Any, vec![event(n)]))
                        .collect();
                    store.append(append(workspace, parts)).await.unwrap();
                }
            })
        })
    });
    let callers: Vec<_> = callers.collect();
    let own = |partition| {
        (0..SERVERS)
            .flat_map(|server| (0..CALLERS).map(move |caller| format!("order-{server}-{caller}")))
            .filter(|stream| name(stream).partition(2) == partition)
            .count() as u64
            * APPENDS
    };
    let total = |partition| own(partition) + SERVERS as u64 * CALLERS * APPENDS;
    let readers = (0..2).map(|partition| {
        let store = stores[partition as usize].clone();
        tokio::spawn(follow(store, workspace, partition, total(partition)))
    });
    for task in join_all(callers.into_iter().chain(readers)).await {
        task.unwrap();
    }
    for partition in 0..2 {
        let events = checked_partition(&*stores[2], workspace, partition).await;
        assert_eq!(events.len() as u64, total(partition));
    }
    let (events, token) = stores[1]
        .read_events(
            workspace,
            &EventFilter::default(),
            &ConsistencyToken::default(),
            10_000,
        )
        .await
        .unwrap();
    assert_eq!(events.len() as u64, total(0) + total(1));
    assert_eq!(token, stores[0].head(workspace).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_servers_that_expect_one_version_one_wins_and_the_others_get_the_current_one() {
    let database = Database::new().await;
    let stores: [_; 3] = servers(&database).await;
    let workspace = open_workspace(&*stores[0], 1).await;
    for round in 0..5 {
        let appends =
            (0..30).map(|n| stores[n % 3].append(one(workspace, "order-1", Expected::Exact(round))));
        let results = join_all(appends).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        for result in results.into_iter().filter_map(Result::err) {
            assert!(
                matches!(result, AppendError::Conflict { current, .. } if current == round + 1),
                "{result:?}"
            );
        }
    }
    // a stream that another server began is not begun again
    stores[0]
        .append(one(workspace, "order-2", Expected::NoStream))
        .await
        .unwrap();
    let refused = stores[1]
        .append(one(workspace, "order-2", Expected::NoStream))
        .await;
    assert!(
        matches!(refused, Err(AppendError::Conflict { current: 1, .. })),
        "{refused:?}"
    );
    let empty = append(workspace, vec![part("order-2", Expected::NoStream, Vec::new())]);
    let refused = stores[2].append(empty).await;
    assert!(
        matches!(refused, Err(AppendError::Conflict { current: 1, .. })),
        "{refused:?}"
    );
    assert_eq!(checked_partition(&*stores[2], workspace, 0).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_sent_to_many_servers_is_stored_once() {
    let database = Database::new().await;
    let stores: [_; 3] = servers(&database).await;
    let workspace = open_workspace(&*stores[0], 4).await;
    for round in 0..10 {
        let sent = one(workspace, "order-1", Expected::Any);
        let mut other = one(workspace, &format!("order-other-{round}"), Expected::Any);
        other.metadata.command_id = sent.metadata.command_id;
        other.body_digest = [8; 32];
        let appends = (0..9).map(|n| stores[n % 3].append(if n == 4 { other.clone() } else { sent.clone() }));
        let results = join_all(appends).await;
        let accepted: Vec<_> = results.iter().flatten().collect();
        assert!(!accepted.is_empty() && accepted.iter().all(|answer| *answer == accepted[0]));
        for refused in results.iter().filter_map(|result| result.as_ref().err()) {
            assert!(matches!(refused, AppendError::CommandReused(_)), "{refused:?}");
        }
    }
    let events = stores[0]
        .read_events(
            workspace,
            &EventFilter::default(),
            &ConsistencyToken::default(),
            1_000,
        )
        .await
        .unwrap();
    assert_eq!(events.0.len(), 10);
    assert!(whole_stream(&*stores[0], workspace, "order-1").await.len() <= 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_servers_that_fill_a_workspace_do_not_exceed_its_limit() {
    const MOST: u64 = 30;
    let database = Database::new().await;
    let stores = [database.open().await, database.open().await];
    let workspace = open_workspace(&*stores[0], 4).await;
    // each caches heads, and those that the other server advances are soon out of date
    let appends = (0..100).map(|n: usize| {
        let mut append = one(workspace, &format!("order-{n}"), Expected::Any);
        append.max_events = Some(MOST);
        stores[n % 2].append(append)
    });
    let results = join_all(appends).await;
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    for refused in results.into_iter().filter_map(Result::err) {
        assert!(
            matches!(
                refused,
                AppendError::Full {
                    stored: MOST,
                    most: MOST
                }
            ),
            "{refused}"
        );
    }
    let mut count = 0;
    for partition in 0..4 {
        count += checked_partition(&*stores[1], workspace, partition).await.len();
    }
    assert_eq!((accepted as u64, count as u64), (MOST, MOST));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_workspace_that_one_server_marks_refuses_appends_at_the_other_and_is_purged_by_both() {
    let database = Database::new().await;
    let stores = [database.open().await, database.open().await];
    let workspace = open_workspace(&*stores[0], 2).await;
    for n in 0..20 {
        for store in &stores {
            let stream = format!("order-{}", n % 5);
            store
                .append(one(workspace, &stream, Expected::Any))
                .await
                .unwrap();
        }
    }
    assert!(stores[0].begin_purge(workspace, None).await.unwrap());
    // the second server has the old heads in its cache
    for stream in ["order-1", "order-new"] {
        let refused = stores[1].append(one(workspace, stream, Expected::Any)).await;
        assert!(
            matches!(refused, Err(AppendError::UnknownWorkspace(named)) if named == workspace),
            "{refused:?}"
        );
    }
    let purge = async |store: &Arc<dyn EventStore>| {
        while store.purge(workspace, 3).await.unwrap() != PurgeProgress::Complete {
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(purge(&stores[0]), purge(&stores[1]));
    for table in ["select count(*) from events", "select count(*) from workspaces"] {
        assert_eq!(database.number(table).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_first_write_was_overtaken_is_found_by_its_type() {
    let database = Database::new().await;
    let stores: [_; 2] = servers(&database).await;
    let workspace = open_workspace(&*stores[0], 1).await;
    let types = ["StockReceived", "StockShipped", "StockReserved", "StockReleased"];
    for (n, event_type) in types.iter().enumerate() {
        for store in &stores {
            let mut sent = one(workspace, "order-1", Expected::Any);
            (*event_type).clone_into(&mut sent.streams[0].events[0].event_type);
            // the other server has appended meanwhile
            store.append(sent).await.unwrap();
        }
        let filter = EventFilter {
            event_type: Some((*event_type).to_owned()),
            ..EventFilter::default()
        };
        let start = ConsistencyToken::default();
        let (found, _) = stores[0]
            .read_events(workspace, &filter, &start, 10)
            .await
            .unwrap();
        let positions: Vec<_> = found.iter().map(|event| event.position).collect();
        assert_eq!(positions, [2 * n as u64 + 1, 2 * n as u64 + 2], "{event_type}");
    }
}
