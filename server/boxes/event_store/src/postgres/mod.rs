//! The event store in a PostgreSQL database: for several servers, or for a database that is looked after by others.
//!
//! Servers are kept apart by the rows of the partitions: an append holds those that it moves until its commit, so positions
//! are dense and in the order of commits, of one server or of several. What an appender remembers is confirmed by the write
//! itself: `append_group` refuses a group whose partitions have other heads than the appender believed.
//!
//! | module | what it holds |
//! |---|---|
//! | `open` | the database, its connections, their settings and its migrations |
//! | `notice` | what a server tells the others of a group |
//! | `listen` | how a server hears of the groups of others |
//! | `writer` | groups on the connection that writes |
//! | `look_up` | what a group has to know beforehand |
//! | `write` | what a group writes: one call |
//! | `read` | the statements that read events |
//! | `purge` | the end of a workspace where others append |
//! | `row` | the columns of an event |

mod listen;
mod look_up;
mod notice;
mod open;
mod purge;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use std::{ops::Range, sync::Arc, time::Duration};

use domain::id::WorkspaceId;
use sqlx::{PgConnection, Postgres};
use uuid::Uuid;

use super::{
    Append, CommitObserver, EventFilter, StoreError,
    answer::AnswerColumns,
    appender::{self, AppendCache, Cause, Failure, Knowledge, ValidatedGroup},
    columns::{EventColumns, integer},
    import::Import,
    sql::{Database, Listening, SqlEventStore, import::SqlImport, writer::SqlWriter},
};
use clock::SharedClock;
use database::postgres::Connector;
use notice::Notice;

/// An event store in a PostgreSQL database.
pub type PostgresEventStore = SqlEventStore<Postgres>;

impl PostgresEventStore {
    /// Opens the database that a URL names, as in `postgres://user:password@host/database`, and makes the tables where
    /// they are not there. Refuses a database that a newer version of the program has written. `observer` is told of
    /// every commit of this process, and of the heads that others have moved.
    pub async fn open(
        url: &str,
        clock: SharedClock,
        observer: Option<Arc<dyn CommitObserver>>,
    ) -> Result<Self, StoreError> {
        let opened = open::open(url).await?;
        let origin = clock.new_id();
        let writer = SqlWriter::<Postgres>::new(opened.writer, (), origin);
        let queue = appender::start(writer, clock, observer.clone());
        let readers = opened.readers;
        let listening = observer.map_or_else(Listening::none, |observer| {
            listen::start(opened.database, readers.clone(), origin, observer)
        });
        Ok(Self::new(readers, queue, listening))
    }

    /// Opens a database that has the tables, to look at it and no more. Appends are refused.
    pub async fn open_to_read(url: &str) -> Result<Self, StoreError> {
        Ok(Self::read_only(open::open_to_read(url).await?))
    }

    /// Opens the database to bring workspaces into it; servers on it may go on.
    pub async fn open_to_import(url: &str, clock: SharedClock) -> Result<Import, StoreError> {
        let opened = open::open(url).await?;
        opened.readers.close().await;
        let database = SqlImport::<Postgres>::new(opened.writer.connect().await?, ());
        Ok(Import::new(Box::new(database), clock))
    }
}

impl Database for Postgres {
    type Connector = Connector;
    type Lock = ();

    const SHARED: bool = true;
    const STEP_LIMIT: Option<Duration> = Some(writer::STEP_LIMIT);
    const STREAM_FORWARDS: &'static str = read::STREAM_FORWARDS;
    const STREAM_BACKWARDS: &'static str = read::STREAM_BACKWARDS;
    const STREAM_TAIL: &'static str = read::STREAM_TAIL;
    const CLAIM_PURGE: &'static str = purge::CLAIM_PURGE;
    const PURGE_PARTITIONS: &'static str = purge::PURGE_PARTITIONS;
    const BEGIN_IMPORT: &'static [&'static str] = &[
        "begin",
        // what is imported may come slowly, and holds no other transaction up
        "set local idle_in_transaction_session_timeout = 0",
    ];

    async fn connect(connector: &Connector) -> Result<PgConnection, sqlx::Error> {
        connector.connect().await
    }

    async fn is_alive(connection: &mut PgConnection, rested: Duration) -> bool {
        writer::is_alive(connection, rested).await
    }

    fn cause(error: &sqlx::Error) -> Cause {
        writer::cause(error)
    }

    async fn look_up(
        writer: &mut SqlWriter<Self>,
        known: &mut AppendCache,
        appends: &[&Append],
        knowledge: Knowledge,
    ) -> Result<(), Failure> {
        writer::look_up(writer, known, appends, knowledge).await
    }

    async fn write(writer: &mut SqlWriter<Self>, judged: &ValidatedGroup) -> Result<(), Failure> {
        writer::write(writer, judged).await
    }

    async fn give_up(writer: &mut SqlWriter<Self>) {
        writer::give_up(writer).await;
    }

    async fn partition(
        connection: &mut PgConnection,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EventColumns>, sqlx::Error> {
        read::partition(connection, workspace, partition, after, limit).await
    }

    fn page(filter: &EventFilter) -> &'static str {
        read::page(filter)
    }

    fn bounds(_: i64, behind: u64, until: u64) -> (i64, i64) {
        (integer(behind), integer(until))
    }

    async fn answer_events(
        connection: &mut PgConnection,
        workspace_no: i64,
        partition: u32,
        position: u64,
        count: u64,
    ) -> Result<Vec<AnswerColumns>, sqlx::Error> {
        read::answer_events(connection, workspace_no, partition, position, count).await
    }

    async fn invalidate_heads(connection: &mut PgConnection, workspace_no: i64) -> Result<(), sqlx::Error> {
        purge::invalidate_heads(connection, workspace_no).await
    }

    async fn purge_events(
        connection: &mut PgConnection,
        workspace_no: i64,
        limit: u32,
    ) -> Result<u64, sqlx::Error> {
        purge::events(connection, workspace_no, limit).await
    }

    async fn streams(
        connection: &mut PgConnection,
        workspace_no: i64,
        names: &[&str],
    ) -> Result<Vec<(String, i64, i64)>, sqlx::Error> {
        look_up::streams(connection, workspace_no, names).await
    }

    async fn stream_numbers(connection: &mut PgConnection) -> Result<Range<i64>, sqlx::Error> {
        look_up::stream_numbers(connection).await
    }

    async fn write_rows(connection: &mut PgConnection, judged: &ValidatedGroup) -> Result<(), StoreError> {
        // heard by every server when the import is committed: none of them is called nil
        let notice = Notice::of(Uuid::nil(), judged);
        Ok(write::Group::new(judged)?.run(connection, &notice).await?)
    }
}
