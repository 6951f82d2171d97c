//! What the requests of a group write, in one round trip up to `commit`.

use sqlx::SqliteConnection;

use super::script::{ListStatement, Script};
use crate::sql::{Change, Entry, Failure, Rows};

/// No checkpoint has moved since it was read and compared: the transaction has the write lock.
const ADVANCE: ListStatement = ListStatement {
    sql: "
    with moved (workspace, view, generation, partition, position, hash) as (values $rows)
    insert into checkpoints (workspace, view, generation, partition, position, hash)
    select workspace, view, generation, partition, position, hash from moved where workspace is not null
    on conflict (workspace, view, generation, partition)
        do update set position = excluded.position, hash = excluded.hash
    ",
    columns: 6,
    changes_all: false,
};

const WRITE: ListStatement = ListStatement {
    sql: "
    with written (workspace, view, generation, key, data, owner) as (values $rows)
    insert into documents (workspace, view, generation, key, data, owner)
    select workspace, view, generation, key, data, owner from written where workspace is not null
    on conflict (workspace, view, generation, key)
        do update set data = excluded.data, owner = excluded.owner
    ",
    columns: 6,
    changes_all: false,
};

/// May be fewer than the list has: a document may never have been written.
pub(super) const DELETE: ListStatement = ListStatement {
    sql: "
    with gone (workspace, view, generation, key) as (values $rows)
    delete from documents where rowid in (
        select d.rowid
        from gone g
            cross join documents d
                on d.workspace = g.workspace and d.view = g.view and d.generation = g.generation
                    and d.key = g.key
    )
    ",
    columns: 4,
    changes_all: false,
};

/// An insertion changes every row or fails; a deletion has to be checked.
pub(super) const REMOVE_ENTRIES: ListStatement = ListStatement {
    sql: "
    with gone (workspace, view, generation, listing, group_key, sort_key, key) as (values $rows)
    delete from listings
    where (workspace, view, generation, listing, group_key, sort_key, key) in (
        select workspace, view, generation, listing, group_key, sort_key, key from gone
        where workspace is not null
    )
    ",
    columns: 7,
    changes_all: true,
};

const ADD_ENTRIES: ListStatement = ListStatement {
    sql: "
    with added (workspace, view, generation, listing, group_key, sort_key, key) as (values $rows)
    insert into listings (workspace, view, generation, listing, group_key, sort_key, key)
    select workspace, view, generation, listing, group_key, sort_key, key from added
    where workspace is not null
    ",
    columns: 7,
    changes_all: false,
};

/// The primary key refuses an event that is parked already.
const PARK: ListStatement = ListStatement {
    sql: "
    with held (
        workspace, view, generation, partition, position, id, stream, version, event_id, event_type,
        correlation_id, state, reason, attempts, parked_at
    ) as (values $rows)
    insert into parked (
        workspace, view, generation, partition, position, id, stream, version, event_id, event_type,
        correlation_id, state, reason, attempts, parked_at
    )
    select
        workspace, view, generation, partition, position, id, stream, version, event_id, event_type,
        correlation_id, state, reason, attempts, parked_at
    from held where workspace is not null
    ",
    columns: 15,
    changes_all: false,
};

pub(super) async fn commit(connection: &mut SqliteConnection, changes: &[Change<'_>]) -> Result<(), Failure> {
    let mut script = script(changes)?;
    script.statement("commit", None);
    script.run(connection).await?;
    Ok(())
}

/// Writes in a transaction that goes on.
pub(super) async fn store(connection: &mut SqliteConnection, changes: &[Change<'_>]) -> Result<(), Failure> {
    script(changes)?.run(connection).await?;
    Ok(())
}

fn script(changes: &[Change<'_>]) -> Result<Script, Failure> {
    let rows = Rows::of(changes)?;
    let lists = [rows.written.len(), rows.removed.len(), rows.added.len()];
    let room = lists.into_iter().max().unwrap_or(0);
    let mut script = Script::new(room.max(rows.deleted.len()).max(rows.parked.len()));
    script.list(&ADVANCE, &rows.checkpoints, 0, |script, row| {
        script.bind_scope(row.scope)?;
        script.bind(row.partition)?;
        script.bind(row.position)?;
        script.bind(row.hash)
    })?;
    script.list(&WRITE, &rows.written, room, |script, row| {
        script.bind_scope(row.scope)?;
        script.bind(row.key)?;
        script.bind(row.data)?;
        script.bind(row.owner)
    })?;
    script.list(&DELETE, &rows.deleted, 0, |script, row| {
        script.bind_scope(row.scope)?;
        script.bind(row.key)
    })?;
    script.list(&REMOVE_ENTRIES, &rows.removed, room, bind_entry)?;
    script.list(&ADD_ENTRIES, &rows.added, room, bind_entry)?;
    script.list(&PARK, &rows.parked, 0, |script, row| {
        script.bind_scope(row.scope)?;
        script.bind(row.partition)?;
        script.bind(row.position)?;
        script.bind(row.id)?;
        script.bind(row.stream)?;
        script.bind(row.version)?;
        script.bind(row.event_id)?;
        script.bind(row.event_type)?;
        script.bind(row.correlation_id)?;
        script.bind(row.state)?;
        script.bind(row.reason)?;
        script.bind(row.attempts)?;
        script.bind(row.parked_at)
    })?;
    Ok(script)
}

fn bind_entry(script: &mut Script, entry: &Entry<'_>) -> Result<(), Failure> {
    script.bind_scope(entry.scope)?;
    script.bind(entry.listing)?;
    script.bind(entry.group)?;
    script.bind(entry.sort)?;
    script.bind(entry.key)
}
