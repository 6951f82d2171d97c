//! The suite that every read model passes, on a file.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::SqliteReadModel;
use crate::read_model::{
    ReadModel, ReadModelError,
    conformance::{Bench, conformance_suite},
};

/// A file in a folder of its own.
struct File(TempDir);

impl File {
    fn path(&self) -> PathBuf {
        self.0.path().join("views.db")
    }
}

#[async_trait(?Send)]
impl Bench for File {
    async fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    async fn open(&self) -> Result<Arc<dyn ReadModel>, ReadModelError> {
        Ok(Arc::new(SqliteReadModel::open(&self.path()).await?))
    }

    async fn run(&self, statement: &'static str) {
        let mut raw = SqliteConnectOptions::new()
            .filename(self.path())
            .connect()
            .await
            .unwrap();
        sqlx::query(statement).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    }
}

conformance_suite!(File);
