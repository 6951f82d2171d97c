//! What the requests of a group need, in one round trip from `begin` on.
//!
//! `cross join` and `left join` keep the list on the outside: the planner, which assumes a long list and a
//! small view, would otherwise scan every row of the view.

use database::engine::Reads;
use sqlx::{Sqlite, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

use super::script::{ListStatement, Script};
use crate::{
    Scope, StoredDocument, columns,
    sql::{Failure, Loaded, Request, ScopeColumns, ViewGenerations},
};

/// Generations, checkpoint and held streams of lanes: for each lane a row, or one for each held stream.
pub(super) const LANES: ListStatement = ListStatement {
    sql: "
    with wanted (no, workspace, view, generation, partition) as (values $rows)
    select distinct w.no, g.live, g.newest, g.building, c.position, p.stream
    from wanted w
        left join generations g on g.workspace = w.workspace and g.view = w.view
        left join checkpoints c
            on c.workspace = w.workspace and c.view = w.view and c.generation = w.generation
                and c.partition = w.partition
        left join parked p
            on p.workspace = w.workspace and p.view = w.view and p.generation = w.generation
                and p.partition = w.partition and p.state <> 'discarded'
    where w.no is not null
    ",
    columns: 5,
    changes_all: false,
};

/// The documents of a list of keys.
pub(super) const LOAD: ListStatement = ListStatement {
    sql: "
    with wanted (no, workspace, view, generation, key) as (values $rows)
    select w.no, d.key, d.data, d.owner
    from wanted w
        cross join documents d
            on d.workspace = w.workspace and d.view = w.view and d.generation = w.generation
                and d.key = w.key
    ",
    columns: 5,
    changes_all: false,
};

/// Number; live, newest and building generation; checkpoint; a held stream.
type LaneColumns = (
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
);

/// Number, key, JSON, owner.
type DocumentColumns = (i64, String, String, Option<Uuid>);

/// The lane of a request.
struct WantedLane {
    no: i64,
    scope: ScopeColumns,
    partition: i64,
}

/// A document that a request needs.
struct WantedDocument<'a> {
    no: i64,
    scope: ScopeColumns,
    key: &'a str,
}

pub(super) async fn begin(
    connection: &mut SqliteConnection,
    requests: &[&Request],
) -> Result<Vec<Loaded>, Failure> {
    let (mut lanes, mut documents) = (Vec::new(), Vec::new());
    for (no, request) in (0..).zip(requests) {
        let scope = ScopeColumns::try_from(&request.scope)?;
        if let Some(advance) = &request.advance {
            lanes.push(WantedLane {
                no,
                scope,
                partition: i64::from(advance.partition),
            });
        }
        documents.extend(request.keys.iter().map(|key| WantedDocument { no, scope, key }));
    }
    let mut script = Script::new(documents.len());
    // the write lock at once: after a read, the first write could fail because the snapshot is out of date
    script.statement("begin immediate", None);
    script.list(&LANES, &lanes, 0, |script, lane| {
        script.bind(lane.no)?;
        script.bind_scope(lane.scope)?;
        script.bind(lane.partition)
    })?;
    add_documents(&mut script, &documents, lanes.len())?;

    let mut results = script.run(connection).await?.into_iter().skip(1);
    let mut loaded = Vec::new();
    loaded.resize_with(requests.len(), Loaded::default);
    if !lanes.is_empty() {
        for row in results.next().unwrap_or_default() {
            add_lane(&mut loaded, &row)?;
        }
    }
    for row in results.flatten() {
        let (no, document) = document(&row)?;
        Loaded::of(&mut loaded, no)?.input.documents.push(document);
    }
    Ok(loaded)
}

/// The documents of one generation of a view, in a transaction that has begun.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    scope: &Scope,
    keys: &[String],
) -> Result<Vec<StoredDocument>, Failure> {
    let scope = ScopeColumns::try_from(scope)?;
    let documents: Vec<_> = keys
        .iter()
        .map(|key| WantedDocument { no: 0, scope, key })
        .collect();
    let mut script = Script::new(documents.len());
    add_documents(&mut script, &documents, 0)?;
    let rows = script.run(connection).await?;
    rows.iter().flatten().map(|row| Ok(document(row)?.1)).collect()
}

fn add_documents(script: &mut Script, documents: &[WantedDocument<'_>], room: usize) -> Result<(), Failure> {
    script.list(&LOAD, documents, room, |script, document| {
        script.bind(document.no)?;
        script.bind_scope(document.scope)?;
        script.bind(document.key)
    })
}

fn add_lane(loaded: &mut [Loaded], row: &SqliteRow) -> Result<(), Failure> {
    let (no, live, newest, building, position, stream): LaneColumns = <Sqlite as Reads<_>>::read(row)?;
    let loaded = Loaded::of(loaded, no)?;
    // a view without a row was never rebuilt
    if let Some((live, newest)) = live.zip(newest) {
        loaded.generations = ViewGenerations::from_columns((live, newest, building))?;
    }
    if let Some(position) = position {
        loaded.checkpoint = columns::loaded(position)?;
    }
    loaded.input.held_streams.extend(stream);
    Ok(())
}

/// A document, with the number of its request.
fn document(row: &SqliteRow) -> Result<(i64, StoredDocument), Failure> {
    let (no, key, data, owner): DocumentColumns = <Sqlite as Reads<_>>::read(row)?;
    Ok((no, columns::document(key, data, owner)?))
}
