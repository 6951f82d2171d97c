//! The suite that every document store passes, on a PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::{PostgresDocumentStore, write};
use testing_postgres::Database;

use crate::{
    DocumentStore, DocumentStoreError,
    conformance::{Bench, conformance_suite},
};

const SCHEMA: &str = "foldline_views";

#[async_trait(?Send)]
impl Bench for Database {
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

/// A lane's transaction costs what its events cost, however many documents the view has; also while nobody has counted them.
#[tokio::test]
async fn rows_are_found_by_their_whole_key() {
    let database = Database::new().await;
    let read_model = PostgresDocumentStore::open(&database.url, SCHEMA).await.unwrap();
    let mut connection = read_model.writers.acquire().await.unwrap();
    for (name, statement, lists) in [
        ("load", write::LOAD, 1),
        ("delete", write::DELETE, 1),
        ("leave", write::LEAVE, 4),
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
