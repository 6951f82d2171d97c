//! The conformance suite on PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::{ConnectionLimit, PostgresDocumentStore, read, write};
use test_postgres::Database;

use crate::{
    DocumentStore, DocumentStoreError,
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
