//! The conformance suite on PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::{PostgresDocumentStore, write};
use test_postgres::Database;

use crate::{
    DocumentStore, DocumentStoreError,
    conformance::{TestDatabase, conformance_suite},
};

const SCHEMA: &str = "foldline_views";

#[async_trait(?Send)]
impl TestDatabase for Database {
    async fn new() -> Self {
        Self::new().await
    }

    async fn open(&self) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
        Ok(Arc::new(PostgresDocumentStore::open(&self.url, SCHEMA).await?))
    }

    async fn run(&self, statement: &'static str) {
        let mut raw = PgConnection::connect(&self.url).await.unwrap();
        raw.execute("set search_path to foldline_views").await.unwrap();
        raw.execute(statement).await.unwrap();
    }
}

conformance_suite!(Database);

/// The cost of a lane's transaction depends on its events and not on the size of the view, also without
/// statistics.
#[tokio::test]
async fn rows_are_found_by_their_whole_key() {
    let database = Database::new().await;
    let read_model = PostgresDocumentStore::open(&database.url, SCHEMA).await.unwrap();
    let mut connection = read_model.writers.acquire().await.unwrap();
    for (name, statement, lists) in [
        ("load", write::LOAD, 1),
        ("delete", write::DELETE, 1),
        ("leave", write::REMOVE_ENTRIES, 4),
    ] {
        let (types, values) = (",text[]".repeat(lists), ", '{a}'".repeat(lists));
        let prepare = format!("prepare {name} (uuid, text, bigint {types}) as {statement}");
        connection.execute(AssertSqlSafe(prepare)).await.unwrap();
        let explain = format!(
            "explain execute {name} ('{}', 'orders', 1 {values})",
            uuid::Uuid::nil()
        );
        let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain))
            .persistent(false)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let by_key = |step: &String| step.contains("Index Cond") && step.contains("(key = ");
        assert!(plan.iter().any(by_key), "{name}: {plan:#?}");
    }
    drop(connection);
    read_model.close().await;
}
