//! Queries: each is one statement, so that documents, generation and checkpoints are of one snapshot.

use domain::{id::WorkspaceId, wire::Order};
use sqlx::Pool;
use uuid::Uuid;

use super::{Database, lane::of_lane};
use database::engine::statement;

use crate::{
    DocumentStoreError, DocumentUsage, FIRST_GENERATION, LaneId, Moment, PageRequest, Scope,
    StoredCheckpoint, StoredDocument, StoredRow,
    columns::{self, CheckpointRow, loaded, stored},
};

/// The beginning of every query: the live generation of a view, and its joined checkpoints.
macro_rules! at_one_moment {
    ($($rest:literal),+) => {
        concat!(
            "
            with
                -- a view without a row was never rebuilt
                live as (
                    select coalesce(
                        (select live from generations where workspace = $1 and view = $2), 1
                    ) as generation
                ),
                moment as (
                    select
                        generation,
                        (
                            select string_agg(c.partition || ':' || c.position, ',')
                            from checkpoints c
                            where c.workspace = $1 and c.view = $2 and c.generation = live.generation
                        ) as as_of
                    from live
                )",
            $($rest),+
        )
    };
}

pub(super) const DOCUMENT: &str = at_one_moment!(
    "
    select moment.generation, moment.as_of, d.key, d.data, d.owner
    from moment
        left join documents d
            on d.workspace = $1 and d.view = $2 and d.generation = moment.generation and d.key = $3
    "
);

/// The statement of a page. Its variants differ in the order and in the beginning.
macro_rules! page {
    ($after:literal, $direction:literal) => {
        at_one_moment!(
            ",
                -- one range of the primary key
                entries as (
                    select l.sort_key, l.key
                    from listings l
                    where l.workspace = $1 and l.view = $2 and l.generation = (select generation from live)
                        and l.listing = $3 and l.group_key = $4 ",
            $after,
            " order by l.sort_key ",
            $direction,
            ", l.key ",
            $direction,
            " limit $5
                )
            -- a listing without entries is still a moment: one row without a key
            select moment.generation, moment.as_of, d.key, d.data, d.owner, e.sort_key
            from moment
                left join entries e on true
                left join documents d
                    on d.workspace = $1 and d.view = $2 and d.generation = moment.generation and d.key = e.key
            order by e.sort_key ",
            $direction,
            ", e.key ",
            $direction
        )
    };
}

/// The workspaces with an entry in a listing: one index search for each workspace of the store, independently
/// of the number of rows.
const WORKSPACES_LISTED: &str = "
    with recursive known (workspace) as (
        select (select workspace from documents order by workspace limit 1)
        union all
        select (select workspace from documents where workspace > known.workspace order by workspace limit 1)
        from known where known.workspace is not null
    )
    select known.workspace from known
    where known.workspace is not null and exists (
        select 1 from listings l
        where l.workspace = known.workspace and l.view = $1 and l.generation = $2 and l.listing = $3
    )
";

const PAGE_ASC: &str = page!("", "asc");
const PAGE_DESC: &str = page!("", "desc");
const NEXT_ASC: &str = page!("and (l.sort_key, l.key) > ($6, $7)", "asc");
const NEXT_DESC: &str = page!("and (l.sort_key, l.key) < ($6, $7)", "desc");

/// Generation, joined checkpoints, key, JSON, owner.
pub(super) type DocumentColumns = (i64, Option<String>, Option<String>, Option<String>, Option<Uuid>);

/// The same, and the sort key.
pub(super) type EntryColumns = (
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Uuid>,
    Option<String>,
);

pub(super) async fn checkpoints<D: Database>(
    readers: &Pool<D>,
) -> Result<Vec<StoredCheckpoint>, DocumentStoreError> {
    let rows: Vec<CheckpointRow> = statement::<D>(
        "
        select c.workspace, c.view, c.generation, c.partition, c.position, c.hash, c.released_at
        from checkpoints c
            left join generations g on g.workspace = c.workspace and g.view = c.view
        where c.generation = coalesce(g.live, 1)
        ",
    )
    .all(&mut *readers.acquire().await?)
    .await?;
    columns::all(rows)
}

pub(super) async fn checkpoint<D: Database>(
    connection: &mut D::Connection,
    lane: &LaneId,
) -> Result<u64, DocumentStoreError> {
    let checkpoint = of_lane::<D>(
        "
        select position from checkpoints
        where workspace = $1 and view = $2 and generation = $3 and partition = $4
        ",
        lane,
    )?
    .optional(connection)
    .await?;
    checkpoint.map_or(Ok(0), |(position,)| loaded(position))
}

pub(super) async fn document<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    view: &str,
    key: &str,
) -> Result<Moment<Option<StoredDocument>>, DocumentStoreError> {
    let (generation, as_of, key, data, owner): DocumentColumns = statement::<D>(DOCUMENT)
        .bind(workspace.0)
        .bind(view)
        .bind(key)
        .one(&mut *readers.acquire().await?)
        .await?;
    columns::moment(generation, as_of.as_deref(), found(key, data, owner)?)
}

/// The documents with one of these keys. The generation is read first: one that is removed meanwhile has no
/// document any more, as if it had been read later.
pub(super) async fn documents<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    view: &'static str,
    keys: &[String],
) -> Result<Vec<StoredDocument>, DocumentStoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut connection = readers.acquire().await?;
    let (live,): (i64,) = statement::<D>(
        "select coalesce((select live from generations where workspace = $1 and view = $2), 1)",
    )
    .bind(workspace.0)
    .bind(view)
    .one(&mut connection)
    .await?;
    let scope = Scope {
        workspace,
        view,
        generation: loaded(live)?,
    };
    Ok(D::load(&mut connection, &scope, keys).await?)
}

/// The number of a workspace's documents, and of their bytes, which the database knows without reading them.
pub(super) async fn usage<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
) -> Result<DocumentUsage, DocumentStoreError> {
    let (documents, bytes): (i64, i64) = statement::<D>(
        "
        select count(*), cast(coalesce(sum(octet_length(d.data)), 0) as bigint)
        from documents d
            left join generations g on g.workspace = d.workspace and g.view = d.view
        where d.workspace = $1 and d.generation = coalesce(g.live, 1)
        ",
    )
    .bind(workspace.0)
    .one(&mut *readers.acquire().await?)
    .await?;
    Ok(DocumentUsage {
        documents: loaded(documents)?,
        bytes: loaded(bytes)?,
    })
}

pub(super) async fn workspaces_listed<D: Database>(
    readers: &Pool<D>,
    view: &'static str,
    listing: &'static str,
) -> Result<Vec<WorkspaceId>, DocumentStoreError> {
    let ids: Vec<(Uuid,)> = statement::<D>(WORKSPACES_LISTED)
        .bind(view)
        .bind(stored(FIRST_GENERATION)?)
        .bind(listing)
        .all(&mut *readers.acquire().await?)
        .await?;
    Ok(ids.into_iter().map(|(id,)| WorkspaceId(id)).collect())
}

/// A document; `None`: the outer join found none.
fn found(
    key: Option<String>,
    data: Option<String>,
    owner: Option<Uuid>,
) -> Result<Option<StoredDocument>, DocumentStoreError> {
    let Some((key, data)) = key.zip(data) else {
        return Ok(None);
    };
    columns::document(key, data, owner).map(Some)
}

pub(super) async fn page<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    view: &str,
    page: &PageRequest<'_>,
) -> Result<Moment<Vec<StoredRow>>, DocumentStoreError> {
    let sql = match (page.order, page.after) {
        (Order::Asc, None) => PAGE_ASC,
        (Order::Desc, None) => PAGE_DESC,
        (Order::Asc, Some(_)) => NEXT_ASC,
        (Order::Desc, Some(_)) => NEXT_DESC,
    };
    let mut query = statement::<D>(sql)
        .bind(workspace.0)
        .bind(view)
        .bind(page.listing)
        .bind(page.group)
        .bind(i64::from(page.limit));
    if let Some(last) = page.after {
        query = query.bind(last.sort.as_str()).bind(last.key.as_str());
    }
    let rows: Vec<EntryColumns> = query.all(&mut *readers.acquire().await?).await?;
    let (generation, as_of) = rows
        .first()
        .map(|(generation, as_of, ..)| (*generation, as_of.clone()))
        .ok_or_else(|| DocumentStoreError::Corrupt("a snapshot without a row".to_owned()))?;
    let mut entries = Vec::with_capacity(rows.len());
    for (_, _, key, data, owner, sort) in rows {
        if let Some((document, sort)) = found(key, data, owner)?.zip(sort) {
            entries.push(StoredRow { sort, document });
        }
    }
    columns::moment(generation, as_of.as_deref(), entries)
}
