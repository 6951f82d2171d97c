//! What a group writes, as few statements as it can be: a round trip to the connection's thread costs as much as
//! several rows.
//!
//! Rows go out many to a statement, in sizes that are powers of two and with empty rows behind the last, so that a handful
//! of prepared statements serves every group; and all but the largest groups go out whole, from `begin` to `commit`, in one
//! round trip.

use futures::TryStreamExt as _;
use sqlx::{
    Arguments as _, AssertSqlSafe, Either, Encode, Executor as _, Sqlite, SqliteConnection, Type,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::row::place;
use crate::{
    StoreError,
    appender::ValidatedGroup,
    columns::{bytes_of_hash, integer},
};

/// The most rows of one statement. A group of which no table gets more goes out as one.
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
    /// For each statement, the rows that it must affect; `None` where that means nothing.
    expected: Vec<Option<u64>>,
}

impl Script {
    /// A script that writes at most so many rows into a table.
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

    /// Runs the statements; for each, the rows that it returned.
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
        mut bind: impl FnMut(&mut Self, &R) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for chunk in rows.chunks(MAX_ROWS) {
            let size = chunk.len().next_power_of_two();
            // a first column is never null but in the rows behind the last
            let sql = format!(
                "insert into {insert} select * from (values {}) where column1 is not null{conflict}",
                placeholders(size, columns)
            );
            self.statement(&sql, Some(chunk.len() as u64));
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

/// `(?,?),(?,?)`: so many rows of so many columns.
pub(super) fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    vec![row; rows].join(",")
}

/// The whole transaction of a group.
pub(super) fn transaction(judged: &ValidatedGroup) -> Result<Script, StoreError> {
    let mut script = Script::new(most_rows(judged));
    // the write lock at once: nothing read here may be overtaken
    script.statement("begin immediate", None);
    add(&mut script, judged)?;
    script.statement("commit", None);
    Ok(script)
}

/// The rows of a group, for a transaction that has begun.
pub(super) fn rows(judged: &ValidatedGroup) -> Result<Script, StoreError> {
    let mut script = Script::new(most_rows(judged));
    add(&mut script, judged)?;
    Ok(script)
}

/// The rows of the table that gets the most.
fn most_rows(judged: &ValidatedGroup) -> usize {
    let of_log = judged.events.len().max(judged.commands.len());
    of_log.max(judged.streams.len()).max(judged.partitions.len())
}

fn add(script: &mut Script, judged: &ValidatedGroup) -> Result<(), StoreError> {
    script.rows(
        "streams (no, workspace_no, name, partition_no, version)",
        5,
        " on conflict (no) do update set version = excluded.version",
        &judged.streams,
        |script, stream| {
            script.bind(stream.no)?;
            script.bind(stream.workspace_no)?;
            script.bind(stream.name.as_str())?;
            script.bind(stream.partition_no)?;
            script.bind(integer(stream.version))
        },
    )?;
    script.rows(
        "events (place, stream_no, version, event_id, type_no, payload, correlation_id, causation_id, command_id, \
         actor_id, actor_role, traceparent, recorded_at, hash)",
        14,
        "",
        &judged.events,
        |script, placed| {
            let event = &placed.event;
            script.bind(place(placed.partition_no, event.position))?;
            script.bind(placed.stream_no)?;
            script.bind(integer(event.version))?;
            script.bind(event.event_id)?;
            script.bind(placed.type_no)?;
            script.bind(event.payload.get())?;
            script.bind(event.metadata.correlation_id)?;
            script.bind(event.metadata.causation_id)?;
            script.bind(event.metadata.command_id)?;
            script.bind(event.metadata.actor.id)?;
            script.bind(event.metadata.actor.role.as_str())?;
            script.bind(event.metadata.traceparent.as_deref())?;
            script.bind(event.recorded_at.as_micros())?;
            script.bind(bytes_of_hash(&event.hash)?)
        },
    )?;
    script.rows(
        "partitions (no, workspace_no, partition, head, head_hash)",
        5,
        " on conflict (no) do update set head = excluded.head, head_hash = excluded.head_hash",
        &judged.partitions,
        |script, partition| {
            script.bind(partition.no)?;
            script.bind(partition.workspace_no)?;
            script.bind(partition.partition)?;
            script.bind(integer(partition.head))?;
            script.bind(bytes_of_hash(&partition.head_hash)?)
        },
    )?;
    script.rows(
        "commands (workspace_no, command_id, body_digest, correlation_id, answer)",
        5,
        "",
        &judged.commands,
        |script, command| {
            script.bind(command.workspace_no)?;
            script.bind(command.command_id)?;
            script.bind(&command.body_digest[..])?;
            script.bind(command.correlation_id)?;
            script.bind(command.answer.as_str())
        },
    )
}
