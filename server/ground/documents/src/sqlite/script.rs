//! Statements that are sent together: a round trip to the connection's thread costs as much as several rows.
//!
//! A statement has a list of rows. Their number is a power of two, with empty rows after the last, so that a
//! few prepared statements serve every script. Long lists are split, and sent one by one.

use futures::TryStreamExt as _;
use sqlx::{
    Arguments as _, AssertSqlSafe, Either, Encode, Executor as _, Sqlite, SqliteConnection, Type,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::sql::{Failure, ScopeColumns, require_all};

/// The longest list of a script that is one round trip.
const JOINED_ROWS: usize = 64;

/// The most rows of one statement.
const STATEMENT_ROWS: usize = 256;

/// Fails unless the statement before it has changed so many rows, and so keeps the script from its commit. A
/// row count can only be compared in the database, because the statements do not wait for each other.
const CHECK: &str = "select 1 where json(iif(changes() = ?, 'null', 'not as many rows')) is null";

/// A statement on a list of rows.
pub(super) struct ListStatement {
    /// Its text, with `$rows` in the place of the rows.
    pub(super) sql: &'static str,
    /// The number of columns of a row. The first is null in the rows after the last, and only there.
    pub(super) columns: usize,
    /// Whether it has to change every row of the list.
    pub(super) changes_all: bool,
}

impl ListStatement {
    /// Its text for a number of rows.
    pub(super) fn text(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns].join(","));
        self.sql.replace("$rows", &vec![row; rows].join(","))
    }
}

#[derive(Default)]
struct Part {
    sql: String,
    arguments: SqliteArguments,
    /// For each statement, the number of rows that it must change; `None`: any number.
    expected: Vec<Option<usize>>,
}

/// Statements with their arguments, in order.
pub(super) struct Script {
    joined: bool,
    parts: Vec<Part>,
}

impl Script {
    /// A script with lists of at most so many rows.
    pub(super) fn new(longest: usize) -> Self {
        Self {
            joined: longest <= JOINED_ROWS,
            parts: Vec::new(),
        }
    }

    /// Adds a statement. `sql` is made of constants; values are bound.
    pub(super) fn statement(&mut self, sql: &str, expected: Option<usize>) {
        if !self.joined || self.parts.is_empty() {
            self.parts.push(Part::default());
        }
        if let Some(part) = self.parts.last_mut() {
            part.sql.push_str(sql);
            part.sql.push(';');
            part.expected.push(expected);
        }
    }

    /// Adds a statement on a list, unless the list is empty; `bind` binds the columns of a row. In a script
    /// that is one round trip it has room for at least `room` rows: lists with the same room have fewer
    /// combinations of sizes, and each combination is prepared once.
    pub(super) fn list<R>(
        &mut self,
        statement: &ListStatement,
        rows: &[R],
        room: usize,
        mut bind: impl FnMut(&mut Self, &R) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let room = if self.joined { room } else { 0 };
        for chunk in rows.chunks(STATEMENT_ROWS) {
            let size = chunk.len().max(room).next_power_of_two();
            let expected = statement.changes_all.then_some(chunk.len());
            self.statement(&statement.text(size), expected);
            for row in chunk {
                bind(self, row)?;
            }
            for _ in chunk.len() * statement.columns..size * statement.columns {
                self.bind(None::<i64>)?;
            }
            if self.joined && statement.changes_all {
                self.statement(CHECK, None);
                self.bind(i64::try_from(chunk.len()).unwrap_or(i64::MAX))?;
            }
        }
        Ok(())
    }

    /// Binds the next value.
    pub(super) fn bind<'v, T>(&mut self, value: T) -> Result<(), Failure>
    where
        T: Encode<'v, Sqlite> + Type<Sqlite>,
    {
        let Some(part) = self.parts.last_mut() else {
            return Ok(());
        };
        let added = part.arguments.add(value);
        added.map_err(|error| sqlx::Error::Encode(error).into())
    }

    /// Binds the columns of a generation of a view.
    pub(super) fn bind_scope(&mut self, scope: ScopeColumns) -> Result<(), Failure> {
        self.bind(scope.workspace)?;
        self.bind(scope.view)?;
        self.bind(scope.generation)
    }

    /// Runs the statements; returns the rows of each.
    pub(super) async fn run(self, connection: &mut SqliteConnection) -> Result<Vec<Vec<SqliteRow>>, Failure> {
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
                        if let Some(expected) = expected.next().flatten() {
                            require_all(expected, done.rows_affected())?;
                        }
                        results.push(std::mem::take(&mut rows));
                    }
                }
            }
        }
        Ok(results)
    }
}
