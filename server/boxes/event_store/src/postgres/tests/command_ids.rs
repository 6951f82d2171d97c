//! An id of a command is used once in a workspace, also where two servers get it for two partitions.

use domain::id::WorkspaceId;
use futures::future::join_all;

use sqlx::Executor as _;

use super::{Database, raw, several_servers::waiting};
use crate::{
    AppendError, EventStore, Expected,
    conformance::{TestDatabase, append, checked_partition, event, name, one, open_workspace, part},
};

/// Streams in two partitions of a workspace with two.
fn in_both_partitions(round: u32) -> [String; 2] {
    [0, 1].map(|partition| {
        (0..100)
            .map(|n| format!("order-{round}-{n}"))
            .find(|stream| name(stream).partition(2) == partition)
            .unwrap()
    })
}

/// Two servers get one id at the same time, for streams in different partitions: with events or without.
async fn an_id_is_used_once(stores: [&dyn EventStore; 2], workspace: WorkspaceId) {
    for round in 0..24 {
        let [one_stream, other_stream] = in_both_partitions(round);
        let events = |wanted: bool| if wanted { vec![event(1)] } else { Vec::new() };
        let sent = append(
            workspace,
            vec![part(&one_stream, Expected::Any, events(round % 3 != 0))],
        );
        let mut other = append(
            workspace,
            vec![part(&other_stream, Expected::Any, events(round % 3 != 1))],
        );
        other.metadata.command_id = sent.metadata.command_id;
        other.body_digest = [8; 32];
        // neighbours of the same groups
        let neighbour = |stream| one(workspace, stream, Expected::Any);
        let results = tokio::join!(
            stores[0].append(sent.clone()),
            stores[0].append(neighbour("order-a")),
            stores[1].append(other.clone()),
            stores[1].append(neighbour("order-b")),
        );
        let (Ok(_), Ok(_)) = (&results.1, &results.3) else {
            panic!("a neighbour was refused: {results:?}");
        };
        let (accepted, refused, answer) = match (results.0, results.2) {
            (Ok(answer), Err(AppendError::CommandReused(_))) => (sent, other, answer),
            (Err(AppendError::CommandReused(_)), Ok(answer)) => (other, sent, answer),
            results => panic!("one is accepted and one refused: {results:?}"),
        };
        for store in stores {
            assert_eq!(store.append(accepted.clone()).await.unwrap(), answer);
            let refused = store.append(refused.clone()).await;
            assert!(
                matches!(refused, Err(AppendError::CommandReused(_))),
                "{refused:?}"
            );
        }
    }
    for partition in 0..2 {
        checked_partition(stores[0], workspace, partition).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_id_that_two_servers_get_for_two_partitions_is_used_once() {
    let database = Database::new().await;
    let stores = [database.open().await, database.open().await];
    let workspace = open_workspace(&*stores[0], 2).await;
    an_id_is_used_once([&*stores[0], &*stores[1]], workspace).await;
    let rows = database.number("select count(*) from answers").await;
    let commands = database.number("select count(*) from commands").await;
    assert!(
        rows <= 16,
        "commands with events have no rows, but there are {rows}"
    );
    assert_eq!(commands, 24 * 3);
}

/// Before the events had columns for their commands, a workspace's partitions could lie in several tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_id_is_used_once_in_a_workspace_whose_partitions_lie_in_several_tables() {
    let database = Database::new().await;
    let stores = [database.open().await, database.open().await];
    let workspace = open_workspace(&*stores[0], 2).await;
    database
        .run("update workspaces set answers_in_rows = true")
        .await
        .unwrap();
    an_id_is_used_once([&*stores[0], &*stores[1]], workspace).await;
    assert_eq!(database.number("select count(*) from answers").await, 24 * 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partitions_of_a_workspace_lie_in_one_table() {
    let database = Database::new().await;
    let store = database.open().await;
    for shards in [1, 16, 64] {
        let workspace = open_workspace(&*store, shards).await;
        let appends = (0..200).map(|n| {
            let stream = format!("order-{n}");
            let store = &store;
            async move { store.append(one(workspace, &stream, Expected::Any)).await }
        });
        for answer in join_all(appends).await {
            answer.unwrap();
        }
    }
    let tables = "select max(tables) from (
        select count(distinct e.tableoid) as tables
        from events e join partitions p on p.no = e.partition_no group by p.workspace_no
    ) t";
    assert_eq!(database.number(tables).await, 1);
}

/// Commits of commands with the body of [`append`] wait until the gate is open.
const GATE: &str = "
    create function wait_at_the_gate() returns trigger language plpgsql as $$
    begin
        if new.body_digest = decode(repeat('07', 32), 'hex') then
            perform pg_advisory_xact_lock_shared(42);
        end if;
        return null;
    end $$;
    create constraint trigger delay after insert on events deferrable initially deferred
        for each row execute function wait_at_the_gate();
    create constraint trigger delay after insert on answers deferrable initially deferred
        for each row execute function wait_at_the_gate();
";

/// One server has written a command and not committed it yet, when the other gets its id for another
/// partition: the other waits, and then refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_used_once_also_while_its_first_use_is_not_committed() {
    let database = Database::new().await;
    let mut gate = raw(&database).await;
    let stores = [database.open().await, database.open().await];
    gate.execute(GATE).await.unwrap();
    for answers_in_rows in [false, true] {
        let workspace = open_workspace(&*stores[0], 2).await;
        if answers_in_rows {
            gate.execute("update workspaces set answers_in_rows = true")
                .await
                .unwrap();
        }
        let kinds = [(true, true), (true, false), (false, true), (false, false)];
        for (round, (of_first, of_second)) in (0..).zip(kinds) {
            let streams = in_both_partitions(round);
            // so that both servers write from their caches, as they mostly do
            for (store, stream) in stores.iter().zip(&streams) {
                store.append(one(workspace, stream, Expected::Any)).await.unwrap();
            }
            let events = |wanted: bool| if wanted { vec![event(1)] } else { Vec::new() };
            let command = |n: usize, wanted| {
                append(
                    workspace,
                    vec![part(&streams[n], Expected::Exact(1), events(wanted))],
                )
            };
            let (first, mut second) = (command(0, of_first), command(1, of_second));
            second.metadata.command_id = first.metadata.command_id;
            second.body_digest = [8; 32];
            gate.execute("select pg_advisory_lock(42)").await.unwrap();
            let store = stores[0].clone();
            let first = tokio::spawn(async move { store.append(first).await });
            while waiting(&mut gate).await < 1 {
                tokio::task::yield_now().await;
            }
            let store = stores[1].clone();
            let second = tokio::spawn(async move { store.append(second).await });
            while waiting(&mut gate).await < 2 && !second.is_finished() {
                tokio::task::yield_now().await;
            }
            gate.execute("select pg_advisory_unlock(42)").await.unwrap();
            let case = (answers_in_rows, of_first, of_second);
            first.await.unwrap().unwrap();
            let refused = second.await.unwrap();
            assert!(
                matches!(refused, Err(AppendError::CommandReused(_))),
                "{case:?}: {refused:?}"
            );
        }
    }
}
