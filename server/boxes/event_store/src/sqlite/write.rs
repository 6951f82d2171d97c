//! Writes a group in as few statements as possible: a round trip to the connection's thread costs as much as
//! several rows.
//!
//! A statement has many rows. Their number is a power of two, with empty rows after the last, so that a few
//! prepared statements serve every group. All but the largest groups are one round trip, from `begin` to
//! `commit`.

use futures::TryStreamExt as _;
use sqlx::{
    Arguments as _, AssertSqlSafe, Either, Encode, Executor as _, Sqlite, SqliteConnection, Type,
    sqlite::{SqliteArguments, SqliteRow},
};
use uuid::Uuid;

use super::row::place;
use crate::{
    StoreError,
    appender::{EventRow, ValidatedGroup},
    columns::{bytes_of_hash, integer},
};

/// The most rows of one statement. A group with no more rows for any table is one round trip.
const MAX_ROWS: usize = 64;

/// Statements with their arguments, in order.
pub(super) struct Script {
    joined: bool,
    parts: Vec<Part>,
}

#[derive(Default)]
struct Part {
    sql: String,
    arguments: SqliteArguments,
    /// For each statement, the number of rows that it must affect; `None`: any number.
    expected: Vec<Option<u64>>,
}

impl Script {
    /// A script that writes at most `rows` rows into a table.
    pub(super) fn new(rows: usize) -> Self {
        Self {
            joined: rows <= MAX_ROWS,
            parts: Vec::new(),
        }
    }

    /// Adds a statement. `sql` is made of constants; values are bound.
    pub(super) fn statement(&mut self, sql: &str, expected: Option<u64>) {
        if !self.joined || self.parts.is_empty() {
            self.parts.push(Part::default());
        }
        if let Some(part) = self.parts.last_mut() {
            part.sql.push_str(sql);
            part.sql.push(';');
            part.expected.push(expected);
        }
    }

    /// Binds the next value of the newest statement.
    pub(super) fn bind<'v, T>(&mut self, value: T) -> Result<(), StoreError>
    where
        T: Encode<'v, Sqlite> + Type<Sqlite>,
    {
        let Some(part) = self.parts.last_mut() else {
            return Ok(());
        };
        part.arguments
            .add(value)
            .map_err(|error| sqlx::Error::Encode(error).into())
    }

    /// Runs the statements; returns the rows of each.
    pub(super) async fn run(
        self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<Vec<SqliteRow>>, sqlx::Error> {
        let mut results = Vec::new();
        for Part {
            sql,
            arguments,
            expected,
        } in self.parts
        {
            let mut expected = expected.into_iter();
            let mut rows = Vec::new();
            let mut answers = connection.fetch_many(sqlx::query_with(AssertSqlSafe(sql), arguments));
            while let Some(answer) = answers.try_next().await? {
                match answer {
                    Either::Right(row) => rows.push(row),
                    Either::Left(done) => {
                        if let Some(expected) = expected.next().flatten()
                            && expected != done.rows_affected()
                        {
                            return Err(sqlx::Error::Protocol(format!(
                                "{} rows were written instead of {expected}",
                                done.rows_affected()
                            )));
                        }
                        results.push(std::mem::take(&mut rows));
                    }
                }
            }
        }
        Ok(results)
    }

    /// Writes rows into a table, `bind` binding the columns of one.
    fn rows<R>(
        &mut self,
        insert: &str,
        columns: usize,
        conflict: &str,
        rows: &[R],
        bind: impl FnMut(&mut Self, &R) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.insert(insert, columns, conflict, rows, true, bind)
    }

    /// The same, except for rows that exist.
    fn rows_if_new<R>(
        &mut self,
        insert: &str,
        columns: usize,
        rows: &[R],
        bind: impl FnMut(&mut Self, &R) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.insert(insert, columns, " on conflict do nothing", rows, false, bind)
    }

    fn insert<R>(
        &mut self,
        insert: &str,
        columns: usize,
        conflict: &str,
        rows: &[R],
        all: bool,
        mut bind: impl FnMut(&mut Self, &R) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for chunk in rows.chunks(MAX_ROWS) {
            let size = chunk.len().next_power_of_two();
            // a first column is null only in the rows after the last
            let sql = format!(
                "insert into {insert} select * from (values {}) where column1 is not null{conflict}",
                placeholders(size, columns)
            );
            self.statement(&sql, all.then_some(chunk.len() as u64));
            for row in chunk {
                bind(self, row)?;
            }
            for _ in chunk.len() * columns..size * columns {
                self.bind(None::<i64>)?;
            }
        }
        Ok(())
    }
}

/// Placeholders for rows of columns, as in `(?,?),(?,?)`.
pub(super) fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    vec![row; rows].join(",")
}

/// The whole transaction of a group.
pub(super) fn transaction(validated: &ValidatedGroup) -> Result<Script, StoreError> {
    let mut script = Script::new(most_rows(validated));
    // the write lock at once, so that no other write comes in between
    script.statement("begin immediate", None);
    add(&mut script, validated)?;
    script.statement("commit", None);
    Ok(script)
}

/// The rows of a group, for a transaction that has begun.
pub(super) fn rows(validated: &ValidatedGroup) -> Result<Script, StoreError> {
    let mut script = Script::new(most_rows(validated));
    add(&mut script, validated)?;
    Ok(script)
}

/// The largest number of rows for one table.
fn most_rows(validated: &ValidatedGroup) -> usize {
    let of_log = validated.events.len().max(validated.commands.len());
    let of_log = of_log.max(validated.type_blocks.len());
    of_log
        .max(validated.streams.len())
        .max(validated.partitions.len())
}

fn add(script: &mut Script, validated: &ValidatedGroup) -> Result<(), StoreError> {
    script.rows(
        "streams (no, workspace_no, name, partition_no, version)",
        5,
        "",
        &validated.streams,
        |script, stream| {
            script.bind(stream.no)?;
            script.bind(stream.workspace_no)?;
            script.bind(stream.name.as_str())?;
            script.bind(stream.partition_no)?;
            script.bind(integer(stream.version))
        },
    )?;
    script.rows(
        "events (place, stream_no, version, event_id, type_no, payload, correlation_id, causation_id, \
         command_id, actor_id, actor_role, traceparent, recorded_at, hash, workspace_no, body_digest, \
         event_count, answer)",
        18,
        "",
        &validated.events,
        |script, row| {
            let event = &row.event;
            script.bind(place(row.partition_no, event.position))?;
            script.bind(row.stream_no)?;
            script.bind(integer(event.version))?;
            script.bind(event.event_id)?;
            script.bind(row.type_no)?;
            script.bind(event.payload.get())?;
            script.bind(event.metadata.correlation_id)?;
            script.bind(event.metadata.causation_id)?;
            script.bind(event.metadata.command_id)?;
            script.bind(event.metadata.actor.id)?;
            script.bind(event.metadata.actor.role.as_str())?;
            script.bind(event.metadata.traceparent.as_deref())?;
            script.bind(event.recorded_at.as_micros())?;
            script.bind(bytes_of_hash(&event.hash)?)?;
            let command = row.command.as_ref();
            script.bind(command.map(|command| command.workspace_no))?;
            script.bind(command.map(|command| &command.body_digest[..]))?;
            script.bind(command.map(|command| integer(command.event_count)))?;
            script.bind(command.and_then(|command| command.answer.as_deref()))
        },
    )?;
    refuse_answered(script, validated)?;
    let type_blocks: Vec<_> = validated.type_blocks.iter().collect();
    script.rows_if_new(
        "type_blocks (type_no, partition_no, block)",
        3,
        &type_blocks,
        |script, block| {
            script.bind(block.type_no)?;
            script.bind(block.partition_no)?;
            script.bind(integer(block.block))
        },
    )?;
    script.rows(
        "partitions (no, workspace_no, partition, head, head_hash)",
        5,
        " on conflict (no) do update set head = excluded.head, head_hash = excluded.head_hash",
        &validated.partitions,
        |script, partition| {
            script.bind(partition.no)?;
            script.bind(partition.workspace_no)?;
            script.bind(partition.partition)?;
            script.bind(integer(partition.head))?;
            script.bind(bytes_of_hash(&partition.head_hash)?)
        },
    )?;
    script.rows(
        "answers (workspace_no, command_id, body_digest, correlation_id, answer, keyed)",
        6,
        "",
        &validated.commands,
        |script, command| {
            script.bind(command.workspace_no)?;
            script.bind(command.command_id)?;
            script.bind(&command.body_digest[..])?;
            script.bind(command.correlation_id)?;
            script.bind(command.answer.as_str())?;
            script.bind(true)
        },
    )
}

/// Refuses a command with events whose id has a row already, which the index of the events' commands does not
/// know: such a row would be inserted a second time, against its key.
fn refuse_answered(script: &mut Script, validated: &ValidatedGroup) -> Result<(), StoreError> {
    let of_command =
        |row: &EventRow| Some((row.command.as_ref()?.workspace_no, row.event.metadata.command_id));
    let commands: Vec<(i64, Uuid)> = validated.events.iter().filter_map(of_command).collect();
    for chunk in commands.chunks(MAX_ROWS) {
        let size = chunk.len().next_power_of_two();
        let sql = format!(
            "insert into answers select a.* from (values {}) g \
             cross join answers a on a.workspace_no = g.column1 and a.command_id = g.column2",
            placeholders(size, 2)
        );
        script.statement(&sql, Some(0));
        for (workspace_no, command_id) in chunk {
            script.bind(*workspace_no)?;
            script.bind(*command_id)?;
        }
        for _ in chunk.len() * 2..size * 2 {
            script.bind(None::<i64>)?;
        }
    }
    Ok(())
}
