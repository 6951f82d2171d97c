//! Servers hear of each other's commits: of each at once, of none twice as news of their own, and of all of them also where
//! nothing can be heard.

use std::{collections::HashMap, str::FromStr as _, sync::Arc};

use domain::{event::StoredEvent, id::WorkspaceId};
use futures::future::join_all;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use tokio::sync::watch;

use super::{Database, raw};
use crate::{
    CommitObserver, EventStore, Expected,
    conformance::{Bench, one, open_workspace},
};

type Heads = HashMap<(WorkspaceId, u32), u64>;

/// Keeps the heads that it hears of.
#[derive(Default)]
struct Ear(watch::Sender<Heads>);

impl CommitObserver for Ear {
    fn committed(&self, _events: Arc<[StoredEvent]>) {}

    fn moved(&self, workspace: WorkspaceId, partition: u32, head: u64) {
        self.0.send_modify(|heads| {
            let known = heads.entry((workspace, partition)).or_default();
            *known = head.max(*known);
        });
    }
}

impl Ear {
    async fn hears(&self, workspace: WorkspaceId, partition: u32, position: u64) {
        let heard = |heads: &Heads| heads.get(&(workspace, partition)) == Some(&position);
        self.0.subscribe().wait_for(heard).await.unwrap();
    }
}

async fn listening(database: &Database) -> (Arc<dyn EventStore>, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    let store = Database::open_at(&database.place(), Some(ear.clone()))
        .await
        .unwrap();
    (store, ear)
}

async fn append(store: &dyn EventStore, workspace: WorkspaceId, times: usize) {
    for _ in 0..times {
        store
            .append(one(workspace, "order-1", Expected::Any))
            .await
            .unwrap();
    }
}

/// Ends the connections that listen, as soon as there are some, and says how many there were.
async fn cut(connection: &mut PgConnection, database: &str) -> usize {
    loop {
        let ended: Vec<bool> = sqlx::query_scalar(
            "select pg_terminate_backend(pid, 60000) from pg_stat_activity
             where application_name = 'foldline listener' and datname = $1",
        )
        .bind(database)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        // whoever was cut off before may not listen again yet
        if !ended.is_empty() {
            return ended.into_iter().filter(|ended| *ended).count();
        }
    }
}

fn name(database: &Database) -> String {
    let options = PgConnectOptions::from_str(&database.url).unwrap();
    options.get_database().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_hears_of_the_commits_of_the_others_and_not_of_its_own() {
    let database = Database::new().await;
    let ((first, ear_of_one), (second, ear_of_two)) =
        (listening(&database).await, listening(&database).await);
    let of_one = open_workspace(&*first, 1).await;
    let of_two = open_workspace(&*second, 1).await;
    // from here on both listen: each has heard of the other's, though neither knew that workspace
    tokio::join!(append(&*first, of_one, 1), append(&*second, of_two, 1));
    tokio::join!(ear_of_one.hears(of_two, 0, 1), ear_of_two.hears(of_one, 0, 1));
    let own = |ear: &Ear, workspace| ear.0.borrow().get(&(workspace, 0)).copied().unwrap_or(0);
    let before = (own(&ear_of_one, of_one), own(&ear_of_two, of_two));
    tokio::join!(append(&*first, of_one, 9), append(&*second, of_two, 9));
    tokio::join!(ear_of_one.hears(of_two, 0, 10), ear_of_two.hears(of_one, 0, 10));
    assert_eq!(
        (own(&ear_of_one, of_one), own(&ear_of_two, of_two)),
        before,
        "what one has committed oneself is no news"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_moves_more_partitions_than_a_notice_names_is_heard_of_all_the_same() {
    let database = Database::new().await;
    let (two, ear) = listening(&database).await;
    let sender = database.open().await;
    let mut workspaces = Vec::new();
    for _ in 0..8 {
        workspaces.push(open_workspace(&*sender, 64).await);
    }
    append(&*sender, workspaces[0], 1).await;
    let streams = workspaces
        .iter()
        .flat_map(|workspace| (0..50).map(|n| (*workspace, format!("order-{n}"))));
    let streams: Vec<_> = streams.collect();
    let appends = streams
        .iter()
        .map(|(workspace, stream)| sender.append(one(*workspace, stream, Expected::Any)));
    assert!(join_all(appends).await.iter().all(Result::is_ok));
    for (workspace, partition, head) in two.heads().await.unwrap() {
        ear.hears(workspace, partition, head).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_while_a_connection_was_lost_is_heard_when_it_is_back() {
    let database = Database::new().await;
    let (_two, ear) = listening(&database).await;
    let sender = database.open().await;
    let workspace = open_workspace(&*sender, 1).await;
    append(&*sender, workspace, 1).await;
    ear.hears(workspace, 0, 1).await;
    let mut connection = raw(&database).await;
    for head in 2..5 {
        assert_eq!(cut(&mut connection, &name(&database)).await, 1);
        append(&*sender, workspace, 1).await;
        ear.hears(workspace, 0, head).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_listen_looks() {
    let database = Database::new().await;
    let (_two, ear) = listening(&database).await;
    let sender = database.open().await;
    let workspace = open_workspace(&*sender, 1).await;
    append(&*sender, workspace, 1).await;
    ear.hears(workspace, 0, 1).await;
    // from another database: this one takes no new connection any more, and those that are there stay
    let options = PgConnectOptions::from_str(&database.url).unwrap();
    let mut connection = options.database("postgres").connect().await.unwrap();
    let name = name(&database);
    let admit = async |connection: &mut PgConnection, admitted: bool| {
        let sql = format!("alter database {name} with allow_connections {admitted}");
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    };
    admit(&mut connection, false).await;
    assert_eq!(cut(&mut connection, &name).await, 1);
    append(&*sender, workspace, 1).await;
    ear.hears(workspace, 0, 2).await;
    append(&*sender, workspace, 1).await;
    ear.hears(workspace, 0, 3).await;
    admit(&mut connection, true).await;
}
