//! Reading: every query is one statement, so that documents, generation and checkpoints are of one moment.

use std::collections::BTreeMap;

use domain::{id::WorkspaceId, wire::Order};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use crate::{
    Everything, LaneId, ListedDocument, Moment, PageRequest, ReadModelError, StoredCheckpoint,
    StoredDocument, StoredRow,
    columns::{self, CheckpointRow, loaded, stored},
};

const DOCUMENT: &str = "
    with
        -- a view without a row was never rebuilt
        live as (
            select coalesce(
                (select live from generations where workspace = ?1 and view = ?2), 1
            ) as generation
        ),
        moment as (
            select
                generation,
                (
                    select group_concat(partition || ':' || position, ',')
                    from checkpoints c
                    where c.workspace = ?1 and c.view = ?2 and c.generation = live.generation
                ) as as_of
            from live
        )
    select moment.generation, moment.as_of, d.key, d.data, d.owner
    from moment
    left join documents d
        on d.workspace = ?1 and d.view = ?2 and d.generation = moment.generation and d.key = ?3
";

/// A page, as a statement: the two directions differ in one comparison and in the order.
macro_rules! page {
    ($compare:literal, $direction:literal) => {
        concat!(
            "
            with
                live as (
                    select coalesce(
                        (select live from generations where workspace = ?1 and view = ?2), 1
                    ) as generation
                ),
                moment as (
                    select
                        generation,
                        (
                            select group_concat(partition || ':' || position, ',')
                            from checkpoints c
                            where c.workspace = ?1 and c.view = ?2 and c.generation = live.generation
                        ) as as_of
                    from live
                ),
                -- one range of the primary key
                entries as (
                    select l.sort_key, l.key
                    from listings l
                    where l.workspace = ?1 and l.view = ?2 and l.generation = (select generation from live)
                        and l.listing = ?3 and l.group_key = ?4
                        and (?5 is null or (l.sort_key, l.key) ",
            $compare,
            " (?5, ?6))
                    order by l.sort_key ",
            $direction,
            ", l.key ",
            $direction,
            "
                    limit ?7
                )
            -- a listing without entries is still a moment: one row without a key
            select moment.generation, moment.as_of, e.sort_key, d.key, d.data, d.owner
            from moment
            left join entries e on true
            left join documents d
                on d.workspace = ?1 and d.view = ?2 and d.generation = moment.generation and d.key = e.key
            order by e.sort_key ",
            $direction,
            ", e.key ",
            $direction
        )
    };
}

const PAGE_ASC: &str = page!(">", "asc");
const PAGE_DESC: &str = page!("<", "desc");

pub(super) async fn checkpoints(readers: &SqlitePool) -> Result<Vec<StoredCheckpoint>, ReadModelError> {
    let rows = sqlx::query_as::<_, CheckpointRow>(
        "
        select c.workspace, c.view, c.generation, c.partition, c.position, c.released_at
        from checkpoints c
        left join generations g on g.workspace = c.workspace and g.view = c.view
        where c.generation = coalesce(g.live, 1)
        ",
    )
    .fetch_all(readers)
    .await?;
    columns::all(rows)
}

pub(super) async fn checkpoint(readers: &SqlitePool, lane: &LaneId) -> Result<u64, ReadModelError> {
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
    .fetch_optional(readers)
    .await?;
    position.map_or(Ok(0), loaded)
}

pub(super) async fn document(
    readers: &SqlitePool,
    workspace: WorkspaceId,
    view: &str,
    key: &str,
) -> Result<Moment<Option<StoredDocument>>, ReadModelError> {
    let row = sqlx::query(DOCUMENT)
        .bind(workspace.0)
        .bind(view)
        .bind(key)
        .fetch_one(readers)
        .await?;
    moment(&row, stored_document(&row)?)
}

pub(super) async fn page(
    readers: &SqlitePool,
    workspace: WorkspaceId,
    view: &str,
    page: &PageRequest<'_>,
) -> Result<Moment<Vec<StoredRow>>, ReadModelError> {
    let statement = match page.order {
        Order::Asc => PAGE_ASC,
        Order::Desc => PAGE_DESC,
    };
    let rows = sqlx::query(statement)
        .bind(workspace.0)
        .bind(view)
        .bind(page.listing)
        .bind(page.group)
        .bind(page.behind.map(|place| place.sort.as_str()))
        .bind(page.behind.map(|place| place.key.as_str()))
        .bind(page.limit)
        .fetch_all(readers)
        .await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(document) = stored_document(row)? {
            entries.push(StoredRow {
                sort: row.try_get("sort_key")?,
                document,
            });
        }
    }
    let first = rows
        .first()
        .ok_or_else(|| ReadModelError::Corrupt("a moment without a row".to_owned()))?;
    moment(first, entries)
}

pub(super) async fn everything(
    readers: &SqlitePool,
    workspace: WorkspaceId,
    view: &str,
) -> Result<Moment<Everything>, ReadModelError> {
    // one transaction, so that its statements see one moment
    let mut transaction = readers.begin().await?;
    let first = sqlx::query(DOCUMENT)
        .bind(workspace.0)
        .bind(view)
        .bind("")
        .fetch_one(&mut *transaction)
        .await?;
    let Moment {
        as_of, generation, ..
    } = moment(&first, ())?;
    let rows = sqlx::query(
        "select key, data, owner from documents where workspace = ?1 and view = ?2 and generation = ?3 order by key",
    )
    .bind(workspace.0)
    .bind(view)
    .bind(stored(generation)?)
    .fetch_all(&mut *transaction)
    .await?;
    let mut documents = BTreeMap::new();
    for row in &rows {
        if let Some(document) = stored_document(row)? {
            documents.insert(
                document.key.clone(),
                ListedDocument {
                    document,
                    places: Vec::new(),
                },
            );
        }
    }
    let rows = sqlx::query(
        "
        select key, listing, group_key, sort_key from listings
        where workspace = ?1 and view = ?2 and generation = ?3
        order by key, listing, group_key, sort_key
        ",
    )
    .bind(workspace.0)
    .bind(view)
    .bind(stored(generation)?)
    .fetch_all(&mut *transaction)
    .await?;
    for row in &rows {
        let key: &str = row.try_get("key")?;
        let listed = documents.get_mut(key).ok_or_else(|| {
            ReadModelError::Corrupt(format!("{view} lists {key}, of which there is no document"))
        })?;
        listed.places.push((
            row.try_get("listing")?,
            row.try_get("group_key")?,
            row.try_get("sort_key")?,
        ));
    }
    let passed = sqlx::query_as::<_, (u32, i64)>(
        "select partition, position from parked where workspace = ?1 and view = ?2 and generation = ?3",
    )
    .bind(workspace.0)
    .bind(view)
    .bind(stored(generation)?)
    .fetch_all(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Moment {
        value: Everything {
            documents: documents.into_values().collect(),
            passed: passed
                .into_iter()
                .map(|(partition, position)| Ok((partition, loaded(position)?)))
                .collect::<Result<_, ReadModelError>>()?,
        },
        as_of,
        generation,
    })
}

fn moment<T>(row: &SqliteRow, value: T) -> Result<Moment<T>, ReadModelError> {
    columns::moment(row.try_get("generation")?, row.try_get("as_of")?, value)
}

/// The document of a row; `None` where the outer join found none.
pub(super) fn stored_document(row: &SqliteRow) -> Result<Option<StoredDocument>, ReadModelError> {
    let Some(key) = row.try_get::<Option<String>, _>("key")? else {
        return Ok(None);
    };
    columns::document(key, row.try_get("data")?, row.try_get("owner")?).map(Some)
}
