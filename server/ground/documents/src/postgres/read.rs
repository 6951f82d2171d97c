//! What the requests of a group need, and the locks that exclude other writers: lists are bound as arrays,
//! one for each column.
//!
//! A list is joined to a table from the outside, and the table is searched by its whole key: `lateral …
//! offset 0` enforces that. Otherwise the planner, which without statistics estimates one row for a
//! generation of a view, would scan all of its rows, and the list for each of them.

use std::collections::BTreeSet;

use database::engine::{Statement, statement};
use domain::id::WorkspaceId;
use sqlx::{PgConnection, Postgres};
use uuid::Uuid;

use crate::{
    FIRST_GENERATION, Scope, StoredDocument,
    columns::{self, stored},
    sql::{Failure, Loaded, Request, ScopeColumns, ViewGenerations},
};

/// Locks views, in the order of the list.
pub(super) const LOCK_VIEWS: &str = "
    select wanted.no, g.live, g.newest, g.building
    from unnest($1::uuid[], $2::text[]) with ordinality wanted (workspace, view, no)
    cross join lateral (
        select live, newest, building from generations
        where workspace = wanted.workspace and view = wanted.view
        offset 0
        for no key update
    ) g
";

/// Writes the missing rows of views.
const ADD_VIEWS: &str = "
    insert into generations (workspace, view, live, newest)
    select workspace, view, $3::bigint, $3::bigint
    from unnest($1::uuid[], $2::text[]) missing (workspace, view)
    on conflict do nothing
";

/// The checkpoints of lanes, which stay as they are until the end of the transaction, and their held streams.
pub(super) const LANES: &str = "
    select wanted.no, c.position, h.streams
    from unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[])
        wanted (no, workspace, view, generation, partition)
    left join lateral (
        select position from checkpoints
        where workspace = wanted.workspace and view = wanted.view and generation = wanted.generation
            and partition = wanted.partition
        offset 0
        for no key update
    ) c on true
    cross join lateral (
        select array_agg(distinct stream) as streams from parked
        where workspace = wanted.workspace and view = wanted.view and generation = wanted.generation
            and partition = wanted.partition and state <> 'discarded'
    ) h
";

/// The documents of a list of keys.
pub(super) const LOAD: &str = "
    select wanted.no, d.key, d.data, d.owner
    from unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::text[])
        wanted (no, workspace, view, generation, key)
    cross join lateral (
        select key, data, owner from documents
        where workspace = wanted.workspace and view = wanted.view and generation = wanted.generation
            and key = wanted.key
        offset 0
    ) d
";

/// The columns of generations of views, as arrays.
#[derive(Default)]
pub(super) struct Scopes {
    workspaces: Vec<Uuid>,
    views: Vec<&'static str>,
    generations: Vec<i64>,
}

impl Scopes {
    pub(super) fn of(scopes: impl Iterator<Item = ScopeColumns>) -> Self {
        let mut columns = Self::default();
        for scope in scopes {
            columns.push(scope);
        }
        columns
    }

    fn push(&mut self, scope: ScopeColumns) {
        self.workspaces.push(scope.workspace);
        self.views.push(scope.view);
        self.generations.push(scope.generation);
    }

    /// Binds the next three parameters.
    pub(super) fn bind(self, statement: Statement<Postgres>) -> Statement<Postgres> {
        statement
            .bind(self.workspaces)
            .bind(self.views)
            .bind(self.generations)
    }
}

pub(super) async fn begin(
    connection: &mut PgConnection,
    requests: &[&Request],
) -> Result<Vec<Loaded>, Failure> {
    let mut loaded = Vec::new();
    loaded.resize_with(requests.len(), Loaded::default);
    // sorted, so that the groups of two servers do not wait for each other
    let views: BTreeSet<(WorkspaceId, &'static str)> = requests
        .iter()
        .map(|request| (request.scope.workspace, request.scope.view))
        .collect();
    let views: Vec<_> = views.into_iter().collect();
    let locked = lock(connection, &views).await?;
    for (view, generations) in views.iter().zip(locked) {
        for (request, loaded) in requests.iter().zip(&mut loaded) {
            if (request.scope.workspace, request.scope.view) == *view {
                loaded.generations = generations;
            }
        }
    }
    load_lanes(connection, requests, &mut loaded).await?;
    load_documents(connection, requests, &mut loaded).await?;
    Ok(loaded)
}

/// Begins a transaction and locks these views, all of which have a row then.
async fn lock(
    connection: &mut PgConnection,
    views: &[(WorkspaceId, &'static str)],
) -> Result<Vec<ViewGenerations>, Failure> {
    let workspaces: Vec<Uuid> = views.iter().map(|(workspace, _)| workspace.0).collect();
    let names: Vec<&str> = views.iter().map(|(_, view)| *view).collect();
    loop {
        statement::<Postgres>("begin").execute(connection).await?;
        let mut rows: Vec<(i64, i64, i64, Option<i64>)> = statement::<Postgres>(LOCK_VIEWS)
            .bind(workspaces.as_slice())
            .bind(names.as_slice())
            .all(connection)
            .await?;
        if rows.len() == views.len() {
            rows.sort_unstable();
            let generations = rows
                .into_iter()
                .map(|(_, live, newest, building)| ViewGenerations::from_columns((live, newest, building)));
            return Ok(generations.collect::<Result<_, _>>()?);
        }
        // Some are written for the first time. A transaction of its own adds their rows: one that holds locks
        // already would wait for another that adds the same row, and may wait for its locks.
        statement::<Postgres>("rollback").execute(connection).await?;
        statement::<Postgres>(ADD_VIEWS)
            .bind(workspaces.as_slice())
            .bind(names.as_slice())
            .bind(stored(FIRST_GENERATION)?)
            .execute(connection)
            .await?;
    }
}

async fn load_lanes(
    connection: &mut PgConnection,
    requests: &[&Request],
    loaded: &mut [Loaded],
) -> Result<(), Failure> {
    let (mut numbers, mut scopes, mut partitions) = (Vec::new(), Scopes::default(), Vec::new());
    for (no, request) in (0_i64..).zip(requests) {
        if let Some(advance) = &request.advance {
            numbers.push(no);
            scopes.push(ScopeColumns::try_from(&request.scope)?);
            partitions.push(i64::from(advance.partition));
        }
    }
    if numbers.is_empty() {
        return Ok(());
    }
    let rows: Vec<(i64, Option<i64>, Option<Vec<String>>)> = scopes
        .bind(statement::<Postgres>(LANES).bind(numbers))
        .bind(partitions)
        .all(connection)
        .await?;
    for (no, position, streams) in rows {
        let loaded = Loaded::of(loaded, no)?;
        if let Some(position) = position {
            loaded.checkpoint = columns::loaded(position)?;
        }
        loaded.input.held_streams = streams.unwrap_or_default();
    }
    Ok(())
}

async fn load_documents(
    connection: &mut PgConnection,
    requests: &[&Request],
    loaded: &mut [Loaded],
) -> Result<(), Failure> {
    let (mut numbers, mut scopes, mut keys) = (Vec::new(), Scopes::default(), Vec::new());
    for (no, request) in (0_i64..).zip(requests) {
        let scope = ScopeColumns::try_from(&request.scope)?;
        for key in &request.keys {
            numbers.push(no);
            scopes.push(scope);
            keys.push(key.as_str());
        }
    }
    for (no, document) in documents(connection, numbers, scopes, keys).await? {
        Loaded::of(loaded, no)?.input.documents.push(document);
    }
    Ok(())
}

/// The documents of one generation of a view, in a transaction that has begun.
pub(super) async fn load(
    connection: &mut PgConnection,
    scope: &Scope,
    keys: &[String],
) -> Result<Vec<StoredDocument>, Failure> {
    let scopes = Scopes::of(std::iter::repeat_n(ScopeColumns::try_from(scope)?, keys.len()));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = documents(connection, vec![0; keys.len()], scopes, keys).await?;
    Ok(found.into_iter().map(|(_, document)| document).collect())
}

/// The existing documents of these columns, each with its number.
async fn documents(
    connection: &mut PgConnection,
    numbers: Vec<i64>,
    scopes: Scopes,
    keys: Vec<&str>,
) -> Result<Vec<(i64, StoredDocument)>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(i64, String, String, Option<Uuid>)> = scopes
        .bind(statement::<Postgres>(LOAD).bind(numbers))
        .bind(keys)
        .all(connection)
        .await?;
    rows.into_iter()
        .map(|(no, key, data, owner)| Ok((no, columns::document(key, data, owner)?)))
        .collect()
}
