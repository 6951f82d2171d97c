//! The conformance suite on PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::id::WorkspaceId;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use super::{ConnectionLimit, PostgresDocumentStore, read, write};
use test_postgres::Database;

use crate::{
    DocumentStore, DocumentStoreError, FIRST_GENERATION, FoldInput, FoldOutput, FollowedView, LaneId,
    Purging as _, Scope, SharedChanges, SharedCommit, UpdateOutcome,
    conformance::{TestDatabase, conformance_suite, two_servers_write_the_same_views},
};

const SCHEMA: &str = "foldline_views";

async fn open(database: &Database) -> Result<PostgresDocumentStore, DocumentStoreError> {
    PostgresDocumentStore::open(&database.url, ConnectionLimit::default(), SCHEMA).await
}

#[async_trait(?Send)]
impl TestDatabase for Database {
    async fn new() -> Self {
        Self::new().await
    }

    async fn open(&self) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
        Ok(Arc::new(open(self).await?))
    }

    async fn run(&self, statement: &'static str) {
        let mut raw = PgConnection::connect(&self.url).await.unwrap();
        raw.execute("set search_path to foldline_views").await.unwrap();
        raw.execute(statement).await.unwrap();
    }
}

conformance_suite!(Database);

/// Each server's groups lock the views in one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_two_servers_do_not_deadlock() {
    let database = Database::new().await;
    let servers = [database.open().await.unwrap(), database.open().await.unwrap()];
    two_servers_write_the_same_views(&servers).await;
}

/// The cost of a lane's transaction depends on its events and not on the size of the view, also without
/// statistics.
#[tokio::test]
async fn rows_are_found_by_their_whole_key() {
    let database = Database::new().await;
    let read_model = open(&database).await.unwrap();
    let mut connection = read_model.writers.acquire().await.unwrap();
    let scope = "uuid[], text[], bigint[]";
    for (name, statement, types, last) in [
        (
            "lock_views",
            read::LOCK_VIEWS,
            "uuid[], text[]".to_owned(),
            "view",
        ),
        (
            "lanes",
            read::LANES,
            format!("bigint[], {scope}, bigint[]"),
            "partition",
        ),
        ("load", read::LOAD, format!("bigint[], {scope}, text[]"), "key"),
        ("delete", write::DELETE, format!("{scope}, text[]"), "key"),
        (
            "leave",
            write::REMOVE_ENTRIES,
            format!("{scope}, text[], text[], text[], text[]"),
            "key",
        ),
    ] {
        let nulls = vec!["null"; types.split(',').count()].join(", ");
        let prepare = format!("prepare {name} ({types}) as {statement}");
        connection.execute(AssertSqlSafe(prepare)).await.unwrap();
        let explain = format!("explain execute {name} ({nulls})");
        let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain))
            .persistent(false)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let last = format!("({last} = ");
        let by_key = |step: &&String| step.contains("Index Cond") && step.contains(&last);
        let searched = statement.matches("lateral").count();
        assert_eq!(plan.iter().filter(by_key).count(), searched, "{name}: {plan:#?}");
    }
    drop(connection);
    read_model.close().await;
}

/// A statement that gets no connection in time is unavailable, and not refused.
#[tokio::test]
async fn without_a_free_connection_the_store_is_unavailable() {
    let database = Database::new().await;
    let read_model = open(&database).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..ConnectionLimit::default().document_readers() {
        taken.push(read_model.readers.acquire().await.unwrap());
    }
    let waited = read_model.ping().await;
    assert!(
        matches!(waited, Err(DocumentStoreError::Unavailable(_))),
        "{waited:?}"
    );
    taken.pop();
    read_model.ping().await.unwrap();
    drop(taken);
    read_model.close().await;
}

/// Two servers that take the same lane groups: each group gets one owner, until that one has left.
#[tokio::test]
async fn a_lane_group_has_one_owner_that_is_alive() {
    let database = Database::new().await;
    let stores = [open(&database).await.unwrap(), open(&database).await.unwrap()];
    let [one, two] = [1, 2].map(Uuid::from_u128);
    let [here, there] = stores.each_ref().map(|store| store.sharing().unwrap());
    assert_eq!(here.renew(one).await.unwrap().servers, [one]);
    assert_eq!(here.claim(one, &[0, 1]).await.unwrap(), [(0, one), (1, one)]);
    assert_eq!(there.renew(two).await.unwrap().servers, [one, two]);
    let mut owners = there.claim(two, &[1, 2]).await.unwrap();
    owners.sort_unstable();
    assert_eq!(owners, [(0, one), (1, one), (2, two)]);
    here.hand_over(one, &[(0, two), (2, one)]).await.unwrap();
    let mut owners = there.renew(two).await.unwrap().owners;
    owners.sort_unstable();
    assert_eq!(owners, [(0, two), (1, one), (2, two)]);
    // its process has ended
    stores[0].close().await;
    while there.renew(two).await.unwrap().servers != [two] {}
    let mut owners = there.claim(two, &[1]).await.unwrap();
    owners.sort_unstable();
    assert_eq!(owners, [(0, two), (1, two), (2, two)]);
    there.leave(two).await.unwrap();
    stores[1].close().await;
}

/// A commit that is handed over is read in the order of its view, with what the view has folded then.
#[tokio::test]
async fn commits_are_handed_over_in_the_order_of_their_view() {
    let database = Database::new().await;
    let store = open(&database).await.unwrap();
    let workspace = WorkspaceId(Uuid::from_u128(7));
    let scope = Scope {
        workspace,
        view: "orders",
        generation: FIRST_GENERATION,
    };
    let steps: [(u32, u64, u64, Option<&str>); 3] =
        [(0, 0, 2, Some("[]")), (1, 0, 1, None), (0, 2, 3, Some("[1]"))];
    for (partition, from, to, content) in steps {
        let lane = LaneId { scope, partition };
        let mut share = |_: FoldInput| {
            Ok(FoldOutput {
                shared: Some(SharedChanges {
                    from,
                    content: content.map(str::to_owned),
                }),
                ..FoldOutput::default()
            })
        };
        let updated = store
            .update(&lane, from, &to.into(), &[], &mut share)
            .await
            .unwrap();
        assert_eq!(updated, UpdateOutcome::Committed);
    }
    let sharing = store.sharing().unwrap();
    let follow = async |events| {
        let views = ["orders", "products"].map(|view| FollowedView { view, events });
        let mut found = sharing.commits(workspace, &views).await.unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[1].commits.is_empty());
        found.swap_remove(0)
    };
    let all = follow(0).await;
    let commit = |events, (partition, from, to, content): (u32, u64, u64, Option<&str>)| SharedCommit {
        events,
        partition,
        from,
        to,
        content: content.map(str::to_owned),
    };
    assert_eq!(
        (all.generation, all.as_of.to_string().as_str()),
        (FIRST_GENERATION, "0:3,1:1")
    );
    let expected = [commit(2, steps[0]), commit(3, steps[1]), commit(4, steps[2])];
    assert_eq!(all.commits, expected);
    assert_eq!(follow(3).await.commits, expected[2..]);
    // what is not old stays, and a purge takes all
    sharing.trim().await.unwrap();
    assert_eq!(follow(3).await.commits.len(), 1);
    while store.purge(workspace, 2).await.unwrap() {}
    assert!(follow(0).await.commits.is_empty());
    store.close().await;
}
