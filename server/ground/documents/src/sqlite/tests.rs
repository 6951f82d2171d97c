//! The conformance suite on a SQLite file.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{SqliteDocumentStore, read, write};
use crate::{
    DocumentStore, DocumentStoreError,
    conformance::{TestDatabase, conformance_suite},
};

/// A file in a folder of its own.
struct File(TempDir);

impl File {
    fn path(&self) -> PathBuf {
        self.0.path().join("views.db")
    }
}

#[async_trait(?Send)]
impl TestDatabase for File {
    async fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    async fn open(&self) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
        Ok(Arc::new(SqliteDocumentStore::open(&self.path()).await?))
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

/// The cost of a lane's transaction depends on its events and not on the size of the view.
#[tokio::test]
async fn rows_are_found_by_their_whole_key() {
    let file = File::new().await;
    let read_model = SqliteDocumentStore::open(&file.path()).await.unwrap();
    let of_view = "(workspace=? AND view=?)";
    let of_lane = "(workspace=? AND view=? AND generation=? AND partition=?)";
    let of_document = "(workspace=? AND view=? AND generation=? AND key=?)";
    let of_entry = "(workspace=? AND view=? AND generation=? AND listing=? AND group_key=? AND sort_key=? \
                    AND key=?)";
    for (statement, searches) in [
        (&read::LANES, vec![("g", of_view), ("c", of_lane), ("p", of_lane)]),
        (&read::LOAD, vec![("d", of_document)]),
        (&write::DELETE, vec![("d", of_document)]),
        (&write::REMOVE_ENTRIES, vec![("listings", of_entry)]),
    ] {
        for rows in [1, 8] {
            let plan = format!("explain query plan {}", statement.text(rows));
            let steps: Vec<String> = sqlx::query(AssertSqlSafe(plan))
                .fetch_all(&read_model.readers)
                .await
                .unwrap()
                .iter()
                .map(|row| row.get("detail"))
                .collect();
            for (table, key) in &searches {
                let search = format!("SEARCH {table} ");
                assert!(
                    steps
                        .iter()
                        .any(|step| step.starts_with(&search) && step.contains(key)),
                    "{table} in {steps:?}"
                );
            }
        }
    }
    read_model.close().await;
}
