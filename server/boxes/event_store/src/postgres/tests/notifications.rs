//! Notifications between servers: each server receives the heads and the messages of the others and not its
//! own, reads the heads while it cannot listen, and is told when it may have missed messages.

use std::{collections::HashMap, str::FromStr as _, sync::Arc};

use domain::{event::StoredEvent, id::WorkspaceId};
use futures::future::join_all;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use tokio::sync::watch;

use super::{ConnectionLimit, Database, PostgresEventStore, raw};
use crate::{
    CommitObserver, EventStore, Expected,
    conformance::{TestDatabase, one, open_workspace},
};

type Heads = HashMap<(WorkspaceId, u32), u64>;

/// Records the heads that the observer receives.
#[derive(Default)]
struct HeadRecorder(watch::Sender<Heads>);

impl CommitObserver for HeadRecorder {
    fn committed(&self, _events: Arc<[StoredEvent]>) {}

    fn head_advanced(&self, workspace: WorkspaceId, partition: u32, head: u64) {
        self.0.send_modify(|heads| {
            let newest = heads.entry((workspace, partition)).or_default();
            *newest = head.max(*newest);
        });
    }
}

impl HeadRecorder {
    async fn wait_for(&self, workspace: WorkspaceId, partition: u32, position: u64) {
        let is_reached = |heads: &Heads| heads.get(&(workspace, partition)) == Some(&position);
        self.0.subscribe().wait_for(is_reached).await.unwrap();
    }
}

async fn open_with_recorder(database: &Database) -> (Arc<dyn EventStore>, Arc<HeadRecorder>) {
    let recorder = Arc::new(HeadRecorder::default());
    let store = Database::open_at(&database.place(), Some(recorder.clone()))
        .await
        .unwrap();
    (store, recorder)
}

async fn append(store: &dyn EventStore, workspace: WorkspaceId, times: usize) {
    for _ in 0..times {
        store
            .append(one(workspace, "order-1", Expected::Any))
            .await
            .unwrap();
    }
}

/// Terminates the connections that listen, as soon as there are some; returns their number.
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
        // a server that was cut off before may not listen again yet
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
async fn each_server_receives_the_heads_of_the_others_and_not_its_own() {
    let database = Database::new().await;
    let ((first, heads_of_one), (second, heads_of_two)) = (
        open_with_recorder(&database).await,
        open_with_recorder(&database).await,
    );
    let of_one = open_workspace(&*first, 1).await;
    let of_two = open_workspace(&*second, 1).await;
    // from here on both listen: each receives the other's head, though it has not used that workspace
    tokio::join!(append(&*first, of_one, 1), append(&*second, of_two, 1));
    tokio::join!(
        heads_of_one.wait_for(of_two, 0, 1),
        heads_of_two.wait_for(of_one, 0, 1)
    );
    let own =
        |recorder: &HeadRecorder, workspace| recorder.0.borrow().get(&(workspace, 0)).copied().unwrap_or(0);
    let before = (own(&heads_of_one, of_one), own(&heads_of_two, of_two));
    tokio::join!(append(&*first, of_one, 9), append(&*second, of_two, 9));
    tokio::join!(
        heads_of_one.wait_for(of_two, 0, 10),
        heads_of_two.wait_for(of_one, 0, 10)
    );
    assert_eq!(
        (own(&heads_of_one, of_one), own(&heads_of_two, of_two)),
        before,
        "a server is not notified of its own commits"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_with_more_partitions_than_a_notification_names_is_still_noticed() {
    let database = Database::new().await;
    let (two, heads) = open_with_recorder(&database).await;
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
        heads.wait_for(workspace, partition, head).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_during_a_lost_connection_are_received_when_it_is_back() {
    let database = Database::new().await;
    let (_two, heads) = open_with_recorder(&database).await;
    let sender = database.open().await;
    let workspace = open_workspace(&*sender, 1).await;
    append(&*sender, workspace, 1).await;
    heads.wait_for(workspace, 0, 1).await;
    let mut connection = raw(&database).await;
    for head in 2..5 {
        assert_eq!(cut(&mut connection, &name(&database)).await, 1);
        append(&*sender, workspace, 1).await;
        heads.wait_for(workspace, 0, head).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_listen_reads_the_heads() {
    let database = Database::new().await;
    let (_two, heads) = open_with_recorder(&database).await;
    let sender = database.open().await;
    let workspace = open_workspace(&*sender, 1).await;
    append(&*sender, workspace, 1).await;
    heads.wait_for(workspace, 0, 1).await;
    // from another database: this one refuses new connections from here on, and keeps the open ones
    let options = PgConnectOptions::from_str(&database.url).unwrap();
    let mut connection = options.database("postgres").connect().await.unwrap();
    let name = name(&database);
    let allow = async |connection: &mut PgConnection, allowed: bool| {
        let sql = format!("alter database {name} with allow_connections {allowed}");
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    };
    allow(&mut connection, false).await;
    assert_eq!(cut(&mut connection, &name).await, 1);
    append(&*sender, workspace, 1).await;
    heads.wait_for(workspace, 0, 2).await;
    append(&*sender, workspace, 1).await;
    heads.wait_for(workspace, 0, 3).await;
    allow(&mut connection, true).await;
}

/// Records the messages that the observer receives; `None`: some may have been missed.
#[derive(Default)]
struct MessageRecorder(watch::Sender<Vec<Option<String>>>);

impl CommitObserver for MessageRecorder {
    fn committed(&self, _events: Arc<[StoredEvent]>) {}

    fn heard(&self, message: Option<&str>) {
        self.0
            .send_modify(|messages| messages.push(message.map(str::to_owned)));
    }
}

impl MessageRecorder {
    async fn wait_for(&self, messages: &[Option<&str>]) {
        let messages: Vec<_> = messages
            .iter()
            .map(|message| message.map(str::to_owned))
            .collect();
        let are_here = |heard: &Vec<Option<String>>| *heard == messages;
        self.0.subscribe().wait_for(are_here).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_receives_the_messages_of_the_others_or_that_it_may_have_missed_some() {
    let database = Database::new().await;
    let (recorder, own) = (
        Arc::new(MessageRecorder::default()),
        Arc::new(MessageRecorder::default()),
    );
    let _one = Database::open_at(&database.place(), Some(recorder.clone()))
        .await
        .unwrap();
    recorder.wait_for(&[None]).await;
    let two = Database::open_at(&database.place(), Some(own.clone()))
        .await
        .unwrap();
    own.wait_for(&[None]).await;
    two.tell("first").await.unwrap();
    two.tell("second !").await.unwrap();
    recorder.wait_for(&[None, Some("first"), Some("second !")]).await;
    // a command at the terminal is no server, and tells them as well
    let terminal = PostgresEventStore::open_to_read(&database.url, ConnectionLimit::default())
        .await
        .unwrap();
    terminal.tell("third").await.unwrap();
    own.wait_for(&[None, Some("third")]).await;
    assert_eq!(cut(&mut raw(&database).await, &name(&database)).await, 2);
    own.wait_for(&[None, Some("third"), None]).await;
}
