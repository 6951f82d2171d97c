//! Documents and their entries, in at most five statements of a lane's transaction: lists of rows are bound
//! as arrays, one for each column.
//!
//! A list is joined to a table from the outside, and the table is searched by its whole key: `lateral …
//! offset 0` enforces that. Otherwise the planner, which without statistics estimates one row for a
//! generation of a view, would scan all of its rows, and the list for each of them.

use serde_json::value::RawValue;
use sqlx::{PgConnection, Postgres};
use uuid::Uuid;

use crate::{
    DocumentStoreError, DocumentWrite, Scope, StoredDocument, columns,
    sql::{of_scope, require_all},
};

/// The documents of a list of keys.
pub(super) const LOAD: &str = "
    select d.key, d.data, d.owner
    from unnest($4::text[]) wanted (key)
    cross join lateral (
        select key, data, owner from documents
        where workspace = $1 and view = $2 and generation = $3 and key = wanted.key
        offset 0
    ) d
";

/// Deletes documents.
pub(super) const DELETE: &str = "
    delete from documents where ctid = any (array(
        select d.ctid
        from unnest($4::text[]) gone (key)
        cross join lateral (
            select ctid from documents
            where workspace = $1 and view = $2 and generation = $3 and key = gone.key
            offset 0
        ) d
    ))
";

/// Deletes entries of listings. A row's `ctid` is as good as its key here: the transaction has locked the
/// view.
pub(super) const REMOVE_ENTRIES: &str = "
    delete from listings where ctid = any (array(
        select l.ctid
        from unnest($4::text[], $5::text[], $6::text[], $7::text[]) gone (listing, group_key, sort_key, key)
        cross join lateral (
            select ctid from listings
            where workspace = $1 and view = $2 and generation = $3 and listing = gone.listing
                and group_key = gone.group_key and sort_key = gone.sort_key and key = gone.key
            offset 0
        ) l
    ))
";

pub(super) async fn load(
    transaction: &mut PgConnection,
    scope: &Scope,
    keys: &[String],
) -> Result<Vec<StoredDocument>, DocumentStoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, String, Option<Uuid>)> = of_scope::<Postgres>(LOAD, scope)?
        .bind(keys)
        .all(transaction)
        .await?;
    rows.into_iter()
        .map(|(key, data, owner)| columns::document(key, data, owner))
        .collect()
}

pub(super) async fn store(
    transaction: &mut PgConnection,
    scope: &Scope,
    writes: &[DocumentWrite],
) -> Result<(), DocumentStoreError> {
    write_documents(transaction, scope, writes).await?;
    delete_documents(transaction, scope, writes).await?;
    change_entries(
        transaction,
        scope,
        writes,
        |write| &write.removed_entries,
        REMOVE_ENTRIES,
    )
    .await?;
    change_entries(
        transaction,
        scope,
        writes,
        |write| &write.added_entries,
        "
        insert into listings (workspace, view, generation, listing, group_key, sort_key, key)
        select $1, $2, $3, * from unnest($4::text[], $5::text[], $6::text[], $7::text[])
        ",
    )
    .await
}

async fn write_documents(
    transaction: &mut PgConnection,
    scope: &Scope,
    writes: &[DocumentWrite],
) -> Result<(), DocumentStoreError> {
    let (mut keys, mut data, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for write in writes {
        if let Some(json) = write.data.as_deref().map(RawValue::get) {
            keys.push(write.key.as_str());
            data.push(json);
            owners.push(write.owner);
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    let rows = keys.len();
    let query = of_scope::<Postgres>(
        "
        insert into documents (workspace, view, generation, key, data, owner)
        select $1, $2, $3, * from unnest($4::text[], $5::text[], $6::uuid[])
        on conflict (workspace, view, generation, key)
            do update set data = excluded.data, owner = excluded.owner
        ",
        scope,
    )?;
    let changed = query
        .bind(keys)
        .bind(data)
        .bind(owners)
        .execute(transaction)
        .await?;
    require_all(scope, rows, changed)
}

async fn delete_documents(
    transaction: &mut PgConnection,
    scope: &Scope,
    writes: &[DocumentWrite],
) -> Result<(), DocumentStoreError> {
    let keys: Vec<&str> = writes
        .iter()
        .filter(|write| write.data.is_none())
        .map(|write| write.key.as_str())
        .collect();
    if keys.is_empty() {
        return Ok(());
    }
    // may be fewer than the keys: a document may never have been written
    of_scope::<Postgres>(DELETE, scope)?
        .bind(keys)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Runs a statement on the entries of documents, an array for each column, and checks the number of changed
/// rows.
async fn change_entries<'a>(
    transaction: &mut PgConnection,
    scope: &Scope,
    writes: &'a [DocumentWrite],
    entries: impl Fn(&'a DocumentWrite) -> &'a Vec<domain::view::ListingEntry>,
    statement: &'static str,
) -> Result<(), DocumentStoreError> {
    let (mut listings, mut groups, mut sorts, mut keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for write in writes {
        for entry in entries(write) {
            listings.push(entry.listing);
            groups.push(&*entry.group);
            sorts.push(&*entry.sort);
            keys.push(write.key.as_str());
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    let rows = keys.len();
    let changed = of_scope::<Postgres>(statement, scope)?
        .bind(listings)
        .bind(groups)
        .bind(sorts)
        .bind(keys)
        .execute(transaction)
        .await?;
    require_all(scope, rows, changed)
}
