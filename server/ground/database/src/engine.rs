//! Statements for both databases: code that is generic over the engine binds, runs and reads them, and the
//! compiler generates a copy for each engine.
//!
//! sqlx requires generic code to name every type that is bound or read. A bound on a type parameter would
//! have to be repeated at every function; as a supertrait of [`Engine`], or of a store's own trait, it is
//! written once. Both engines support `$1`, `on conflict`, `returning` and row values; numbers are bound as
//! `i64`, a `bigint` in both.

use futures::{TryStreamExt as _, future::BoxFuture, stream::BoxStream};
use sqlx::{Encode, Executor as _, FromRow, Postgres, Sqlite, Type, error::BoxDynError};
use uuid::Uuid;

/// An engine that binds parameters of type `T`.
pub trait Binds<T>: sqlx::Database {
    /// Adds the value after those that are bound already.
    fn bind(arguments: &mut Self::Arguments, value: T) -> Result<(), BoxDynError>;
}

impl<'v, D, T> Binds<T> for D
where
    D: sqlx::Database,
    T: Encode<'v, D> + Type<D>,
{
    fn bind(arguments: &mut D::Arguments, value: T) -> Result<(), BoxDynError> {
        sqlx::Arguments::add(arguments, value)
    }
}

/// An engine that reads rows as a `T`.
pub trait Reads<T>: sqlx::Database {
    /// The row as a `T`.
    fn read(row: &Self::Row) -> Result<T, sqlx::Error>;
}

impl<D, T> Reads<T> for D
where
    D: sqlx::Database,
    T: for<'r> FromRow<'r, D::Row>,
{
    fn read(row: &D::Row) -> Result<T, sqlx::Error> {
        T::from_row(row)
    }
}

/// SQLite or PostgreSQL, with the parameter and row types that every store needs.
pub trait Engine:
    sqlx::Database
    + Binds<i64>
    + Binds<Option<i64>>
    + Binds<Uuid>
    + Binds<Option<Uuid>>
    + Binds<Option<String>>
    + for<'v> Binds<&'v str>
    + for<'v> Binds<Option<&'v str>>
    + for<'v> Binds<&'v [u8]>
    + Reads<(i64,)>
    + Reads<(Uuid,)>
    + Reads<(String,)>
{
    /// Begins a transaction that writes. On SQLite it takes the write lock at once: after a read, the first
    /// write could fail because the snapshot is out of date.
    const BEGIN: &'static str;

    /// Begins a transaction that reads one snapshot with all its statements.
    const BEGIN_SNAPSHOT: &'static str;

    /// Runs a statement; returns the number of rows that it changed.
    fn execute<'c>(
        connection: &'c mut Self::Connection,
        sql: &'static str,
        arguments: Self::Arguments,
    ) -> BoxFuture<'c, Result<u64, sqlx::Error>>;

    /// Runs a statement; returns a stream of its rows.
    fn fetch<'c>(
        connection: &'c mut Self::Connection,
        sql: &'static str,
        arguments: Self::Arguments,
    ) -> BoxStream<'c, Result<Self::Row, sqlx::Error>>;

    /// Runs a statement; returns its first row.
    fn fetch_optional<'c>(
        connection: &'c mut Self::Connection,
        sql: &'static str,
        arguments: Self::Arguments,
    ) -> BoxFuture<'c, Result<Option<Self::Row>, sqlx::Error>>;
}

macro_rules! engine {
    ($engine:ty, begin: $begin:literal, snapshot: $snapshot:literal) => {
        impl Engine for $engine {
            const BEGIN: &'static str = $begin;
            const BEGIN_SNAPSHOT: &'static str = $snapshot;

            fn execute<'c>(
                connection: &'c mut Self::Connection,
                sql: &'static str,
                arguments: Self::Arguments,
            ) -> BoxFuture<'c, Result<u64, sqlx::Error>> {
                Box::pin(async move {
                    let done = connection.execute(sqlx::query_with(sql, arguments)).await?;
                    Ok(done.rows_affected())
                })
            }

            fn fetch<'c>(
                connection: &'c mut Self::Connection,
                sql: &'static str,
                arguments: Self::Arguments,
            ) -> BoxStream<'c, Result<Self::Row, sqlx::Error>> {
                connection.fetch(sqlx::query_with(sql, arguments))
            }

            fn fetch_optional<'c>(
                connection: &'c mut Self::Connection,
                sql: &'static str,
                arguments: Self::Arguments,
            ) -> BoxFuture<'c, Result<Option<Self::Row>, sqlx::Error>> {
                connection.fetch_optional(sqlx::query_with(sql, arguments))
            }
        }
    };
}

engine!(Sqlite, begin: "begin immediate", snapshot: "begin");
engine!(Postgres, begin: "begin", snapshot: "begin isolation level repeatable read read only");

/// A statement with its bound parameters.
#[must_use]
pub struct Statement<D: sqlx::Database> {
    sql: &'static str,
    arguments: Result<D::Arguments, BoxDynError>,
}

/// A statement that stays prepared on the connection that runs it.
pub fn statement<D: Engine>(sql: &'static str) -> Statement<D> {
    Statement {
        sql,
        arguments: Ok(D::Arguments::default()),
    }
}

impl<D: Engine> Statement<D> {
    /// Binds the next parameter: `$1`, then `$2`.
    pub fn bind<T>(mut self, value: T) -> Self
    where
        D: Binds<T>,
    {
        if let Ok(arguments) = &mut self.arguments
            && let Err(error) = D::bind(arguments, value)
        {
            self.arguments = Err(error);
        }
        self
    }

    /// Runs it; returns the number of rows that it changed.
    pub async fn execute(self, connection: &mut D::Connection) -> Result<u64, sqlx::Error> {
        let arguments = self.arguments.map_err(sqlx::Error::Encode)?;
        D::execute(connection, self.sql, arguments).await
    }

    /// Runs it; returns its rows.
    pub async fn all<T: Send>(self, connection: &mut D::Connection) -> Result<Vec<T>, sqlx::Error>
    where
        D: Reads<T>,
    {
        let arguments = self.arguments.map_err(sqlx::Error::Encode)?;
        let mut answer = D::fetch(connection, self.sql, arguments);
        let mut rows = Vec::new();
        while let Some(row) = answer.try_next().await? {
            rows.push(D::read(&row)?);
        }
        Ok(rows)
    }

    /// Runs it; returns its row, if there is one.
    pub async fn optional<T: Send>(self, connection: &mut D::Connection) -> Result<Option<T>, sqlx::Error>
    where
        D: Reads<T>,
    {
        let arguments = self.arguments.map_err(sqlx::Error::Encode)?;
        let row = D::fetch_optional(connection, self.sql, arguments).await?;
        row.map(|row| D::read(&row)).transpose()
    }

    /// Runs it; returns its row, which must exist.
    pub async fn one<T: Send>(self, connection: &mut D::Connection) -> Result<T, sqlx::Error>
    where
        D: Reads<T>,
    {
        self.optional(connection).await?.ok_or(sqlx::Error::RowNotFound)
    }
}
