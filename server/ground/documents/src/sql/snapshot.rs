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
    Checkpoint, DocumentStoreError, Moment, RawDocument, StoredDocument, StoredEntry, ViewSnapshot,
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

/// Key, JSON, owner.
type Row = (String, String, Option<Uuid>);

impl<D: Database> Snapshot<D> {
    /// The documents after the last one that was read.
    async fn rows(&mut self, limit: u32) -> Result<Vec<Row>, sqlx::Error> {
        statement::<D>(
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
        .await
    }

    /// The same, each row on its own.
    async fn one_by_one(&mut self, limit: u32) -> Result<Vec<RawDocument>, DocumentStoreError> {
        let keys: Vec<(String,)> = statement::<D>(
            "
            select key from documents
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
        let mut documents = Vec::with_capacity(keys.len());
        for (key,) in keys {
            let row: Result<Row, sqlx::Error> = statement::<D>(
                "
                select key, data, owner from documents
                where workspace = $1 and view = $2 and generation = $3 and key = $4
                ",
            )
            .bind(self.workspace.0)
            .bind(self.view.as_str())
            .bind(self.generation)
            .bind(key.as_str())
            .one(&mut self.transaction)
            .await;
            let content = match row.map_err(DocumentStoreError::from) {
                Ok((_, text, owner)) => Ok((text, owner)),
                Err(DocumentStoreError::Corrupt(reason)) => Err(reason),
                Err(error) => return Err(error),
            };
            documents.push(RawDocument { key, content });
        }
        Ok(documents)
    }
}

#[async_trait]
impl<D: Database> ViewSnapshot for Snapshot<D> {
    async fn documents(&mut self, limit: u32) -> Result<Vec<StoredDocument>, DocumentStoreError> {
        let rows = self.rows(limit).await?;
        if let Some((key, ..)) = rows.last() {
            self.last_key.clone_from(key);
        }
        rows.into_iter()
            .map(|(key, data, owner)| columns::document(key, data, owner))
            .collect()
    }

    async fn raw_documents(&mut self, limit: u32) -> Result<Vec<RawDocument>, DocumentStoreError> {
        let documents: Vec<RawDocument> = match self.rows(limit).await.map_err(DocumentStoreError::from) {
            Ok(rows) => rows
                .into_iter()
                .map(|(key, text, owner)| RawDocument {
                    key,
                    content: Ok((text, owner)),
                })
                .collect(),
            // a column that cannot be decoded fails the whole page
            Err(DocumentStoreError::Corrupt(_)) => self.one_by_one(limit).await?,
            Err(error) => return Err(error),
        };
        if let Some(last) = documents.last() {
            self.last_key.clone_from(&last.key);
        }
        Ok(documents)
    }

    async fn contains(&mut self, key: &str) -> Result<bool, DocumentStoreError> {
        let (documents,): (i64,) = statement::<D>(
            "
            select count(*) from documents
            where workspace = $1 and view = $2 and generation = $3 and key = $4
            ",
        )
        .bind(self.workspace.0)
        .bind(self.view.as_str())
        .bind(self.generation)
        .bind(key)
        .one(&mut self.transaction)
        .await?;
        Ok(documents > 0)
    }

    async fn checkpoints(&mut self) -> Result<Vec<(u32, Checkpoint)>, DocumentStoreError> {
        let rows: Vec<(i64, i64, Option<String>)> = statement::<D>(
            "
            select partition, position, hash from checkpoints
            where workspace = $1 and view = $2 and generation = $3 order by partition
            ",
        )
        .bind(self.workspace.0)
        .bind(self.view.as_str())
        .bind(self.generation)
        .all(&mut self.transaction)
        .await?;
        rows.into_iter()
            .map(|(partition, position, hash)| {
                let position = loaded(position)?;
                Ok((loaded(partition)?, Checkpoint { position, hash }))
            })
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
