//! All of a view in one snapshot: a transaction that only reads, and statements that each read a page.

use async_trait::async_trait;
use domain::id::WorkspaceId;
use sqlx::{Pool, Transaction};
use uuid::Uuid;

use super::{
    Database,
    query::{DOCUMENT, DocumentColumns},
};
use database::engine::statement;

use crate::{
    DocumentStoreError, Moment, StoredDocument, StoredEntry, ViewSnapshot,
    columns::{self, loaded},
};

struct Snapshot<D: Database> {
    transaction: Transaction<'static, D>,
    workspace: WorkspaceId,
    view: String,
    generation: i64,
    /// The key of the last document that was read; no document has the empty key.
    last_key: String,
    /// The last entry that was read; no listing has the empty name.
    last_entry: StoredEntry,
}

pub(super) async fn begin<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    view: &str,
) -> Result<Moment<Box<dyn ViewSnapshot>>, DocumentStoreError> {
    let mut transaction = readers.begin_with(D::BEGIN_SNAPSHOT).await?;
    let (generation, as_of, ..): DocumentColumns = statement::<D>(DOCUMENT)
        .bind(workspace.0)
        .bind(view)
        .bind("")
        .one(&mut transaction)
        .await?;
    let snapshot: Box<dyn ViewSnapshot> = Box::new(Snapshot {
        transaction,
        workspace,
        view: view.to_owned(),
        generation,
        last_key: String::new(),
        last_entry: StoredEntry::default(),
    });
    columns::moment(generation, as_of.as_deref(), snapshot)
}

#[async_trait]
impl<D: Database> ViewSnapshot for Snapshot<D> {
    async fn documents(&mut self, limit: u32) -> Result<Vec<StoredDocument>, DocumentStoreError> {
        let rows: Vec<(String, String, Option<Uuid>)> = statement::<D>(
            "
            select key, data, owner from documents
            where workspace = $1 and view = $2 and generation = $3 and key > $4
            order by key limit $5
            ",
        )
        .bind(self.workspace.0)
        .bind(self.view.as_str())
        .bind(self.generation)
        .bind(self.last_key.as_str())
        .bind(i64::from(limit))
        .all(&mut self.transaction)
        .await?;
        if let Some((key, ..)) = rows.last() {
            self.last_key.clone_from(key);
        }
        rows.into_iter()
            .map(|(key, data, owner)| columns::document(key, data, owner))
            .collect()
    }

    async fn entries(&mut self, limit: u32) -> Result<Vec<StoredEntry>, DocumentStoreError> {
        let rows: Vec<(String, String, String, String)> = statement::<D>(
            "
            select listing, group_key, sort_key, key from listings
            where workspace = $1 and view = $2 and generation = $3
                and (listing, group_key, sort_key, key) > ($4, $5, $6, $7)
            order by listing, group_key, sort_key, key limit $8
            ",
        )
        .bind(self.workspace.0)
        .bind(self.view.as_str())
        .bind(self.generation)
        .bind(self.last_entry.listing.as_str())
        .bind(self.last_entry.group.as_str())
        .bind(self.last_entry.sort.as_str())
        .bind(self.last_entry.key.as_str())
        .bind(i64::from(limit))
        .all(&mut self.transaction)
        .await?;
        let entries: Vec<StoredEntry> = rows
            .into_iter()
            .map(|(listing, group, sort, key)| StoredEntry {
                listing,
                group,
                sort,
                key,
            })
            .collect();
        if let Some(entry) = entries.last() {
            self.last_entry.clone_from(entry);
        }
        Ok(entries)
    }

    async fn passed(&mut self) -> Result<Vec<(u32, u64)>, DocumentStoreError> {
        let passed: Vec<(i64, i64)> = statement::<D>(
            "select partition, position from parked where workspace = $1 and view = $2 and generation = $3",
        )
        .bind(self.workspace.0)
        .bind(self.view.as_str())
        .bind(self.generation)
        .all(&mut self.transaction)
        .await?;
        passed
            .into_iter()
            .map(|(partition, position)| Ok((loaded(partition)?, loaded(position)?)))
            .collect()
    }
}
