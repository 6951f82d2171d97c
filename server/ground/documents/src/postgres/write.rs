//! What the requests of a group write, a statement for each table: lists of rows are bound as arrays, one for
//! each column.
//!
//! As in `read`, rows that are deleted are searched by their whole key. A row's `ctid` is as good as its key
//! here: the transaction has locked the view.

use database::engine::{Statement, statement};
use sqlx::{PgConnection, Postgres};

use super::read::Scopes;
use crate::sql::{Change, Entry, Failure, Rows, require_all};

/// No checkpoint has moved since it was read and compared: its row and its view are locked.
const ADVANCE: &str = "
    insert into checkpoints (workspace, view, generation, partition, position, hash)
    select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
    on conflict (workspace, view, generation, partition)
        do update set position = excluded.position, hash = excluded.hash
";

const WRITE: &str = "
    insert into documents (workspace, view, generation, key, data, owner)
    select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::uuid[])
    on conflict (workspace, view, generation, key)
        do update set data = excluded.data, owner = excluded.owner
";

/// Deletes documents.
pub(super) const DELETE: &str = "
    delete from documents where ctid = any (array(
        select d.ctid
        from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[]) gone (workspace, view, generation, key)
        cross join lateral (
            select ctid from documents
            where workspace = gone.workspace and view = gone.view and generation = gone.generation
                and key = gone.key
            offset 0
        ) d
    ))
";

/// Deletes entries of listings.
pub(super) const REMOVE_ENTRIES: &str = "
    delete from listings where ctid = any (array(
        select l.ctid
        from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
            gone (workspace, view, generation, listing, group_key, sort_key, key)
        cross join lateral (
            select ctid from listings
            where workspace = gone.workspace and view = gone.view and generation = gone.generation
                and listing = gone.listing and group_key = gone.group_key and sort_key = gone.sort_key
                and key = gone.key
            offset 0
        ) l
    ))
";

const ADD_ENTRIES: &str = "
    insert into listings (workspace, view, generation, listing, group_key, sort_key, key)
    select *
    from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
";

/// The primary key refuses an event that is parked already.
const PARK: &str = "
    insert into parked (
        workspace, view, generation, partition, position, id, stream, version, event_id, event_type,
        correlation_id, state, reason, attempts, parked_at
    )
    select *
    from unnest(
        $1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::text[],
        $8::bigint[], $9::uuid[], $10::text[], $11::uuid[], $12::text[], $13::text[], $14::bigint[],
        $15::bigint[]
    )
";

/// Orders the commit among those of its view: the checkpoints are those after it, and no other transaction
/// moves one meanwhile.
const SHARE: &str = "
    insert into changes (
        workspace, view, generation, events, partition, from_position, to_position, content, stored_at
    )
    select
        shared.workspace, shared.view, shared.generation,
        (
            select sum(position) from checkpoints
            where workspace = shared.workspace and view = shared.view and generation = shared.generation
        )::bigint,
        shared.partition, shared.from_position, shared.to_position, shared.content, clock_timestamp()
    from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
        shared (workspace, view, generation, partition, from_position, to_position, content)
    on conflict (workspace, view, generation, events) do update set
        partition = excluded.partition, from_position = excluded.from_position,
        to_position = excluded.to_position, content = excluded.content, stored_at = excluded.stored_at
";

pub(super) async fn commit(connection: &mut PgConnection, changes: &[Change<'_>]) -> Result<(), Failure> {
    store(connection, changes).await?;
    statement::<Postgres>("commit").execute(connection).await?;
    Ok(())
}

/// Writes in a transaction that goes on.
pub(super) async fn store(connection: &mut PgConnection, changes: &[Change<'_>]) -> Result<(), Failure> {
    let rows = Rows::of(changes)?;
    if !rows.checkpoints.is_empty() {
        let affected = advance(&rows).execute(connection).await?;
        require_all(rows.checkpoints.len(), affected)?;
    }
    if !rows.written.is_empty() {
        let affected = write(&rows).execute(connection).await?;
        require_all(rows.written.len(), affected)?;
    }
    if !rows.deleted.is_empty() {
        // may be fewer than the keys: a document may never have been written
        delete(&rows).execute(connection).await?;
    }
    if !rows.removed.is_empty() {
        let affected = entries(REMOVE_ENTRIES, &rows.removed).execute(connection).await?;
        require_all(rows.removed.len(), affected)?;
    }
    if !rows.added.is_empty() {
        let affected = entries(ADD_ENTRIES, &rows.added).execute(connection).await?;
        require_all(rows.added.len(), affected)?;
    }
    if !rows.parked.is_empty() {
        let affected = park(&rows).execute(connection).await?;
        require_all(rows.parked.len(), affected)?;
    }
    if !rows.shared.is_empty() {
        let affected = share(&rows).execute(connection).await?;
        require_all(rows.shared.len(), affected)?;
    }
    Ok(())
}

fn advance(rows: &Rows<'_>) -> Statement<Postgres> {
    let rows = &rows.checkpoints;
    Scopes::of(rows.iter().map(|row| row.scope))
        .bind(statement(ADVANCE))
        .bind(column(rows, |row| row.partition))
        .bind(column(rows, |row| row.position))
        .bind(column(rows, |row| row.hash))
}

fn write(rows: &Rows<'_>) -> Statement<Postgres> {
    let rows = &rows.written;
    Scopes::of(rows.iter().map(|row| row.scope))
        .bind(statement(WRITE))
        .bind(column(rows, |row| row.key))
        .bind(column(rows, |row| row.data))
        .bind(column(rows, |row| row.owner))
}

fn delete(rows: &Rows<'_>) -> Statement<Postgres> {
    let rows = &rows.deleted;
    Scopes::of(rows.iter().map(|row| row.scope))
        .bind(statement(DELETE))
        .bind(column(rows, |row| row.key))
}

fn entries(sql: &'static str, entries: &[Entry<'_>]) -> Statement<Postgres> {
    Scopes::of(entries.iter().map(|entry| entry.scope))
        .bind(statement(sql))
        .bind(column(entries, |entry| entry.listing))
        .bind(column(entries, |entry| entry.group))
        .bind(column(entries, |entry| entry.sort))
        .bind(column(entries, |entry| entry.key))
}

fn park(rows: &Rows<'_>) -> Statement<Postgres> {
    let rows = &rows.parked;
    Scopes::of(rows.iter().map(|row| row.scope))
        .bind(statement(PARK))
        .bind(column(rows, |row| row.partition))
        .bind(column(rows, |row| row.position))
        .bind(column(rows, |row| row.id))
        .bind(column(rows, |row| row.stream))
        .bind(column(rows, |row| row.version))
        .bind(column(rows, |row| row.event_id))
        .bind(column(rows, |row| row.event_type))
        .bind(column(rows, |row| row.correlation_id))
        .bind(column(rows, |row| row.state))
        .bind(column(rows, |row| row.reason))
        .bind(column(rows, |row| row.attempts))
        .bind(column(rows, |row| row.parked_at))
}

fn share(rows: &Rows<'_>) -> Statement<Postgres> {
    let rows = &rows.shared;
    Scopes::of(rows.iter().map(|row| row.scope))
        .bind(statement(SHARE))
        .bind(column(rows, |row| row.partition))
        .bind(column(rows, |row| row.from))
        .bind(column(rows, |row| row.to))
        .bind(column(rows, |row| row.content))
}

/// A column of rows.
fn column<R, T>(rows: &[R], of: impl FnMut(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
