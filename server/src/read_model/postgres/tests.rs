//! The suite that every read model passes, on a PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{PostgresReadModel, VIEWS};
use crate::{
    read_model::{
        ReadModel, ReadModelError,
        conformance::{Bench, conformance_suite},
    },
    testing_postgres::Database,
};

#[async_trait(?Send)]
impl Bench for Database {
    async fn new() -> Self {
        Self::new().await
    }

    async fn open(&self) -> Result<Arc<dyn ReadModel>, ReadModelError> {
        Ok(Arc::new(PostgresReadModel::open(&self.url, VIEWS).await?))
    }

    async fn run(&self, statement: &'static str) {
        let mut raw = PgConnection::connect(&self.url).await.unwrap();
        raw.execute("set search_path to foldline_views").await.unwrap();
        raw.execute(statement).await.unwrap();
    }
}

conformance_suite!(Database);
