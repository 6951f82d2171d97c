//! The scratch database of a verification: what does not stay in memory.
//!
//! It is a temporary database of SQLite's: private to its connection, in memory as far as the page cache goes
//! and beyond that in an unnamed file in the folder for temporary files, and gone with the connection.

use futures::TryStreamExt as _;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, QueryBuilder, Sqlite, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::fold::FoldedDocument;
use documents::{RawDocument, StoredEntry};

/// The page cache, as SQLite counts it: negative, in KiB.
const CACHE_SIZE: &str = "-16384";

/// Larger than the default, so that a page has several documents.
const PAGE_SIZE: u32 = 16_384;

/// Rows of a full `insert`, whose statement stays prepared.
const ROWS: usize = 100;

/// The clustered primary keys give every comparison its order.
const TABLES: &str = "
    -- without a document, if its row cannot be read
    create table stored (
        view text not null, key text not null, document text, owner text,
        primary key (view, key)
    ) strict, without rowid;
    create table listed (
        view text not null, key text not null,
        listing text not null, group_key text not null, sort_key text not null,
        primary key (view, key, listing, group_key, sort_key)
    ) strict, without rowid;
    -- without a document, if its events have deleted it
    create table folded (
        view text not null, key text not null, document text, owner text, entries text not null,
        primary key (view, key)
    ) strict, without rowid;
";

/// A query with every document whose text, owner or entries differ, by key; the caller compares them in
/// detail.
const DIFFERENT: &str = "
    select key, stored, folded, entries, listed, owner is not folded_owner
    from (
        select s.key as key, s.document as stored, f.document as folded, f.entries as entries,
            s.owner as owner, f.owner as folded_owner,
            (
                select json_group_array(json_array(l.listing, l.group_key, l.sort_key))
                from listed l
                where l.view = s.view and l.key = s.key
            ) as listed
        from stored s
            left join folded f on f.view = s.view and f.key = s.key
        where s.view = $1 and s.document is not null
    )
    where folded is not stored or entries is not listed or owner is not folded_owner
    order by key
";

/// Key, the stored document, the folded one, the JSON of its entries, that of the stored entries, and whether
/// the owners differ.
pub(super) type Difference = (String, String, Option<String>, Option<String>, String, bool);

/// The stored and the folded documents of every view.
pub(super) struct Scratch {
    connection: SqliteConnection,
}

impl Scratch {
    pub(super) async fn open() -> Result<Self, sqlx::Error> {
        let connection = open(TABLES).await?;
        Ok(Self { connection })
    }

    /// Ends the database.
    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    /// Adds documents as they are stored.
    pub(super) async fn add_stored(
        &mut self,
        view: &str,
        documents: &[RawDocument],
    ) -> Result<(), sqlx::Error> {
        let owner = |document: &RawDocument| {
            let (_, owner) = document.content.as_ref().ok()?;
            owner.map(|owner| owner.to_string())
        };
        let owners: Vec<Option<String>> = documents.iter().map(owner).collect();
        let rows: Vec<_> = documents
            .iter()
            .zip(&owners)
            .map(|(document, owner)| {
                let text = document.content.as_ref().ok().map(|(text, _)| text.as_str());
                [Some(view), Some(document.key.as_str()), text, owner.as_deref()]
            })
            .collect();
        let into = "insert into stored (view, key, document, owner) ";
        self.insert(into, &rows, "").await
    }

    /// Adds entries as they are stored.
    pub(super) async fn add_listed(
        &mut self,
        view: &str,
        entries: &[StoredEntry],
    ) -> Result<(), sqlx::Error> {
        let rows: Vec<_> = entries
            .iter()
            .map(|entry| {
                let StoredEntry {
                    listing,
                    group,
                    sort,
                    key,
                } = entry;
                [
                    view,
                    key.as_str(),
                    listing.as_str(),
                    group.as_str(),
                    sort.as_str(),
                ]
                .map(Some)
            })
            .collect();
        let into = "insert into listed (view, key, listing, group_key, sort_key) ";
        self.insert(into, &rows, "").await
    }

    /// Adds folded documents, or replaces them.
    pub(super) async fn put_folded(
        &mut self,
        view: &str,
        documents: &[FoldedDocument],
    ) -> Result<(), sqlx::Error> {
        let rows: Vec<_> = documents
            .iter()
            .map(|folded| {
                [
                    Some(view),
                    Some(folded.key.as_str()),
                    folded.document.as_deref().map(RawValue::get),
                    folded.owner.as_deref(),
                    Some(folded.entries.as_str()),
                ]
            })
            .collect();
        let into = "insert into folded (view, key, document, owner, entries) ";
        let then = " on conflict (view, key) do update set document = excluded.document, \
                    owner = excluded.owner, entries = excluded.entries";
        self.insert(into, &rows, then).await
    }

    async fn insert<const COLUMNS: usize>(
        &mut self,
        into: &str,
        rows: &[[Option<&str>; COLUMNS]],
        then: &str,
    ) -> Result<(), sqlx::Error> {
        for rows in rows.chunks(ROWS) {
            let mut insert = QueryBuilder::<Sqlite>::new(into);
            insert.push_values(rows, |mut row, columns| {
                for column in columns {
                    row.push_bind(*column);
                }
            });
            insert.push(then);
            insert
                .build()
                .persistent(rows.len() == ROWS)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// Those of the keys that have a folded document, each with its JSON.
    pub(super) async fn folded(
        &mut self,
        view: &str,
        keys: &[&str],
    ) -> Result<Vec<(String, String)>, sqlx::Error> {
        sqlx::query_as(
            "
            select f.key, f.document
            from json_each($2) wanted
                cross join folded f on f.view = $1 and f.key = wanted.value
            where f.document is not null
            ",
        )
        .bind(view)
        .bind(json(keys)?)
        .fetch_all(&mut self.connection)
        .await
    }

    /// The keys of stored entries whose documents are not stored, at most `limit`.
    pub(super) async fn entries_without_document(
        &mut self,
        view: &str,
        limit: usize,
    ) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(
            "
            select distinct l.key from listed l
            where l.view = $1
                and not exists (select 1 from stored s where s.view = l.view and s.key = l.key)
            order by l.key limit $2
            ",
        )
        .bind(view)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut self.connection)
        .await
    }

    /// Passes each document that may differ from its fold to `visit`, by key, until it returns `false`.
    pub(super) async fn differences(
        &mut self,
        view: &str,
        mut visit: impl FnMut(Difference) -> bool,
    ) -> Result<(), sqlx::Error> {
        let mut rows = sqlx::query_as::<_, Difference>(DIFFERENT)
            .bind(view)
            .fetch(&mut self.connection);
        while let Some(difference) = rows.try_next().await? {
            if !visit(difference) {
                break;
            }
        }
        Ok(())
    }

    /// The keys of folded documents that are not stored, at most `limit`.
    pub(super) async fn missing(&mut self, view: &str, limit: usize) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(
            "
            select f.key from folded f
            where f.view = $1 and f.document is not null
                and not exists (select 1 from stored s where s.view = f.view and s.key = f.key)
            order by f.key limit $2
            ",
        )
        .bind(view)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut self.connection)
        .await
    }
}

/// Opens a temporary database with these tables.
pub(super) async fn open(tables: &'static str) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = SqliteConnectOptions::new()
        // the name of a temporary database
        .filename("")
        .create_if_missing(true)
        .page_size(PAGE_SIZE)
        .pragma("cache_size", CACHE_SIZE)
        // after a failure or a crash the database is not read again
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .disable_statement_logging()
        .connect()
        .await?;
    connection.execute(tables).await?;
    Ok(connection)
}

/// A list as one parameter.
pub(super) fn json<T: Serialize + ?Sized>(list: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(list).map_err(|error| sqlx::Error::Encode(error.into()))
}
