//! Documents and their entries, in at most five statements of a lane's transaction: a list of rows is one
//! JSON parameter.

use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{Sqlite, SqliteConnection};
use uuid::Uuid;

use crate::{
    DocumentStoreError, DocumentWrite, Scope, StoredDocument, columns,
    sql::{of_scope, require_all},
};

/// The documents of a list of keys. `cross join` keeps the list on the outside: the planner, which assumes a
/// long list and a small view, would otherwise scan every document of the view.
pub(super) const LOAD: &str = "
    select d.key, d.data, d.owner
    from json_each($4) wanted
    cross join documents d
        on d.workspace = $1 and d.view = $2 and d.generation = $3 and d.key = wanted.value
";

pub(super) async fn load(
    transaction: &mut SqliteConnection,
    scope: &Scope,
    keys: &[String],
) -> Result<Vec<StoredDocument>, DocumentStoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, String, Option<Uuid>)> = of_scope::<Sqlite>(LOAD, scope)?
        .bind(json(&keys)?.as_str())
        .all(transaction)
        .await?;
    rows.into_iter()
        .map(|(key, data, owner)| columns::document(key, data, owner))
        .collect()
}

pub(super) async fn store(
    transaction: &mut SqliteConnection,
    scope: &Scope,
    writes: &[DocumentWrite],
) -> Result<(), DocumentStoreError> {
    let written: Vec<(&str, &str, Option<Uuid>)> = writes
        .iter()
        .filter_map(|write| {
            Some((
                write.key.as_str(),
                write.data.as_deref().map(RawValue::get)?,
                write.owner,
            ))
        })
        .collect();
    let deleted: Vec<&str> = writes
        .iter()
        .filter(|write| write.data.is_none())
        .map(|write| write.key.as_str())
        .collect();
    let removed: Vec<[&str; 4]> = places(writes, |write| &write.removed_entries);
    let added: Vec<[&str; 4]> = places(writes, |write| &write.added_entries);
    run(
        transaction,
        scope,
        &written,
        "
        insert into documents (workspace, view, generation, key, data, owner)
        select $1, $2, $3, value ->> 0, value ->> 1, unhex(value ->> 2, '-')
        from json_each($4)
        where true
        on conflict (workspace, view, generation, key)
            do update set data = excluded.data, owner = excluded.owner
        ",
        Affects::Every,
    )
    .await?;
    run(
        transaction,
        scope,
        &deleted,
        "
        delete from documents
        where workspace = $1 and view = $2 and generation = $3 and key in (select value from json_each($4))
        ",
        Affects::Some,
    )
    .await?;
    run(
        transaction,
        scope,
        &removed,
        "
        delete from listings
        where (workspace, view, generation, listing, group_key, sort_key, key) in (
            select $1, $2, $3, value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each($4)
        )
        ",
        Affects::Every,
    )
    .await?;
    run(
        transaction,
        scope,
        &added,
        "
        insert into listings (workspace, view, generation, listing, group_key, sort_key, key)
        select $1, $2, $3, value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each($4)
        ",
        Affects::Every,
    )
    .await
}

fn places<'a>(
    writes: &'a [DocumentWrite],
    entries: impl Fn(&'a DocumentWrite) -> &'a Vec<domain::view::ListingEntry>,
) -> Vec<[&'a str; 4]> {
    writes
        .iter()
        .flat_map(|write| {
            entries(write)
                .iter()
                .map(|entry| [entry.listing, &*entry.group, &*entry.sort, &*write.key])
        })
        .collect()
}

/// The number of rows that a statement must have changed.
#[derive(Clone, Copy)]
enum Affects {
    /// Every row of its list.
    Every,
    /// Some rows of its list: a document may never have been written.
    Some,
}

/// Runs a statement on a list of rows, unless it is empty, and checks the number of changed rows.
async fn run<T: Serialize>(
    transaction: &mut SqliteConnection,
    scope: &Scope,
    rows: &[T],
    sql: &'static str,
    affects: Affects,
) -> Result<(), DocumentStoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let changed = of_scope::<Sqlite>(sql, scope)?
        .bind(json(&rows)?.as_str())
        .execute(transaction)
        .await?;
    match affects {
        Affects::Every => require_all(scope, rows.len(), changed),
        Affects::Some => Ok(()),
    }
}

fn json<T: Serialize>(rows: &T) -> Result<String, DocumentStoreError> {
    serde_json::to_string(rows).map_err(|error| DocumentStoreError::Corrupt(error.to_string()))
}
