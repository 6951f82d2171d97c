//! Writing: a lane's update is one transaction of at most nine statements, however many documents it touches; lists of
//! rows go in as one JSON parameter.

use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

use super::{generations, parking, query::stored_document};
use crate::{
    DocumentWrite, Effect, Fold, LaneId, Loaded, ReadModelError, Scope, StoredDocument, Updated,
    columns::{loaded, stored},
};

/// The documents of a list of keys. `cross join` keeps the list outside: the planner, which takes the list for long and the
/// view for short, would go through every document of the view instead.
pub(super) const LOAD: &str = "
    select d.key, d.data, d.owner
    from json_each(?4) wanted
    cross join documents d
        on d.workspace = ?1 and d.view = ?2 and d.generation = ?3 and d.key = wanted.value
";

pub(super) async fn update(
    writer: &SqlitePool,
    lane: &LaneId,
    from: u64,
    to: u64,
    keys: &[String],
    fold: &mut Fold<'_>,
) -> Result<Updated, ReadModelError> {
    // Immediate: takes the write lock now. A deferred transaction could find at its first write that its snapshot is old.
    let mut transaction = writer.begin_with("begin immediate").await?;
    let generations = generations::of(&mut transaction, lane.scope.workspace, lane.scope.view).await?;
    if !generations.has(lane.scope.generation) {
        transaction.rollback().await?;
        return Ok(Updated::Retired {
            live: generations.live,
        });
    }
    if !advance(&mut transaction, lane, from, to).await? {
        let checkpoint = checkpoint(&mut transaction, lane).await?;
        transaction.rollback().await?;
        return Ok(Updated::Elsewhere { checkpoint });
    }
    let loaded = Loaded {
        documents: load(&mut transaction, &lane.scope, keys).await?,
        held: parking::held_streams(&mut transaction, lane).await?,
    };
    let Effect { writes, parked } = fold(loaded)?;
    store(&mut transaction, &lane.scope, &writes).await?;
    parking::park(&mut transaction, lane, &parked).await?;
    transaction.commit().await?;
    Ok(Updated::Committed)
}

pub(super) async fn amend(
    writer: &SqlitePool,
    scope: &Scope,
    keys: &[String],
    fold: &mut Fold<'_>,
) -> Result<(), ReadModelError> {
    let mut transaction = writer.begin_with("begin immediate").await?;
    let loaded = Loaded {
        documents: load(&mut transaction, scope, keys).await?,
        held: Vec::new(),
    };
    let effect = fold(loaded)?;
    store(&mut transaction, scope, &effect.writes).await?;
    transaction.commit().await?;
    Ok(())
}

/// The compare-and-set that makes a second owner of a lane harmless.
async fn advance(
    transaction: &mut Transaction<'_, Sqlite>,
    lane: &LaneId,
    from: u64,
    to: u64,
) -> Result<bool, ReadModelError> {
    let statement = if from == 0 {
        "
        insert into checkpoints (workspace, view, generation, partition, position)
        values (?1, ?2, ?3, ?4, ?5)
        on conflict do nothing
        "
    } else {
        "
        update checkpoints set position = ?5
        where workspace = ?1 and view = ?2 and generation = ?3 and partition = ?4 and position = ?6
        "
    };
    let mut query = sqlx::query(statement)
        .bind(lane.scope.workspace.0)
        .bind(lane.scope.view)
        .bind(stored(lane.scope.generation)?)
        .bind(lane.partition)
        .bind(stored(to)?);
    if from > 0 {
        query = query.bind(stored(from)?);
    }
    Ok(query.execute(&mut **transaction).await?.rows_affected() == 1)
}

async fn checkpoint(transaction: &mut Transaction<'_, Sqlite>, lane: &LaneId) -> Result<u64, ReadModelError> {
    let position: Option<i64> = sqlx::query_scalar(
        "
        select position from checkpoints
        where workspace = ?1 and view = ?2 and generation = ?3 and partition = ?4
        ",
    )
    .bind(lane.scope.workspace.0)
    .bind(lane.scope.view)
    .bind(stored(lane.scope.generation)?)
    .bind(lane.partition)
    .fetch_optional(&mut **transaction)
    .await?;
    position.map_or(Ok(0), loaded)
}

pub(super) async fn load(
    transaction: &mut Transaction<'_, Sqlite>,
    scope: &Scope,
    keys: &[String],
) -> Result<Vec<StoredDocument>, ReadModelError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(LOAD)
        .bind(scope.workspace.0)
        .bind(scope.view)
        .bind(stored(scope.generation)?)
        .bind(json(&keys)?)
        .fetch_all(&mut **transaction)
        .await?;
    rows.iter()
        .filter_map(|row| stored_document(row).transpose())
        .collect()
}

pub(super) async fn store(
    transaction: &mut Transaction<'_, Sqlite>,
    scope: &Scope,
    writes: &[DocumentWrite],
) -> Result<(), ReadModelError> {
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
    let left: Vec<[&str; 4]> = places(writes, |write| &write.left);
    let entered: Vec<[&str; 4]> = places(writes, |write| &write.entered);
    run(
        transaction,
        scope,
        &written,
        "
        insert into documents (workspace, view, generation, key, data, owner)
        select ?1, ?2, ?3, value ->> 0, value ->> 1, unhex(value ->> 2, '-')
        from json_each(?4)
        where true
        on conflict (workspace, view, generation, key) do update set data = excluded.data, owner = excluded.owner
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
        where workspace = ?1 and view = ?2 and generation = ?3 and key in (select value from json_each(?4))
        ",
        Affects::Some,
    )
    .await?;
    run(
        transaction,
        scope,
        &left,
        "
        delete from listings
        where (workspace, view, generation, listing, group_key, sort_key, key) in (
            select ?1, ?2, ?3, value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?4)
        )
        ",
        Affects::Every,
    )
    .await?;
    run(
        transaction,
        scope,
        &entered,
        "
        insert into listings (workspace, view, generation, listing, group_key, sort_key, key)
        select ?1, ?2, ?3, value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?4)
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

/// How many rows a statement must have changed.
#[derive(Clone, Copy, PartialEq)]
enum Affects {
    /// As many as it was given.
    Every,
    /// At most as many: a document may never have been written.
    Some,
}

/// Runs a statement over a list of rows, unless there are none, and holds it to its effect.
async fn run<T: Serialize>(
    transaction: &mut Transaction<'_, Sqlite>,
    scope: &Scope,
    rows: &[T],
    statement: &'static str,
    affects: Affects,
) -> Result<(), ReadModelError> {
    if rows.is_empty() {
        return Ok(());
    }
    let changed = sqlx::query(statement)
        .bind(scope.workspace.0)
        .bind(scope.view)
        .bind(stored(scope.generation)?)
        .bind(json(&rows)?)
        .execute(&mut **transaction)
        .await?
        .rows_affected();
    if affects == Affects::Every && changed != rows.len() as u64 {
        return Err(ReadModelError::Corrupt(format!(
            "view {}: {} rows were to change, {changed} did",
            scope.view,
            rows.len()
        )));
    }
    Ok(())
}

pub(super) fn json<T: Serialize>(rows: &T) -> Result<String, ReadModelError> {
    serde_json::to_string(rows).map_err(|error| ReadModelError::Corrupt(error.to_string()))
}
