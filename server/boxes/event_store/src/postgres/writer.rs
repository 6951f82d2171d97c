//! The connection that writes to the database, as the appender uses it.
//!
//! Mostly a group is one round trip: `append_group`, by itself a transaction. Where the appender wants to be certain, the
//! partitions' rows are locked first, and the transaction lasts from there until the commit.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};
use sqlx::{Connection as _, Executor as _, PgConnection, error::DatabaseError};
use tokio::time::{error::Elapsed, timeout};
use uuid::Uuid;

use super::{directory, lifecycle, look_up, notice::Notice, read, write};
use database::postgres::{Connector, PATIENCE};

use crate::{
    Admitted, Append, Purged, Snapshot, StoreError, Workspace,
    appender::{Cause, Failure, Judged, Knowledge, Known, LifecycleWriter, Writer},
    columns,
};

/// How long one step of a group may take before the connection counts as lost. Longer than the server's own limit for a
/// statement, which ends it in a way that is certain.
const LIMIT: Duration = Duration::from_secs(12);

/// A connection that rested so long is asked first whether it still is one.
const RESTED: Duration = Duration::from_millis(500);

/// The connection, which is opened anew when it broke.
pub(super) struct PostgresWriter {
    connector: Connector,
    /// Of what is told to other servers.
    origin: Uuid,
    connection: Option<PgConnection>,
    used: Instant,
    in_transaction: bool,
}

impl PostgresWriter {
    pub(super) fn new(connector: Connector, origin: Uuid) -> Self {
        Self {
            connector,
            origin,
            connection: None,
            used: Instant::now(),
            in_transaction: false,
        }
    }

    /// Takes the connection; `put_back` brings it back.
    async fn take(&mut self) -> Result<PgConnection, StoreError> {
        let rested = self.used.elapsed() > RESTED;
        self.used = Instant::now();
        if let Some(mut open) = self.connection.take()
            && (!rested || matches!(timeout(PATIENCE, open.ping()).await, Ok(Ok(()))))
        {
            return Ok(open);
        }
        self.in_transaction = false;
        Ok(self.connector.connect().await?)
    }

    /// Keeps the connection, unless it was lost on the way.
    fn put_back<T>(
        &mut self,
        connection: PgConnection,
        outcome: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, Failure> {
        let result = match outcome {
            Ok(result) => result.map_err(failure),
            Err(_) => Err(Failure {
                error: StoreError::Unavailable("it does not answer".to_owned()),
                cause: Cause::Lost,
            }),
        };
        self.used = Instant::now();
        if matches!(&result, Err(failure) if failure.cause == Cause::Lost) {
            self.in_transaction = false;
        } else {
            self.connection = Some(connection);
        }
        result
    }
}

/// What an error says about another try, by its SQLSTATE.
pub(super) fn failure(error: sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let cause = match code.as_deref() {
        // `append_group` found other heads; a name, a command or a version is there already; a deadlock
        Some("FL001" | "23505" | "40001" | "40P01") => Cause::Overtaken,
        // the server is being stopped, or has crashed
        Some("57P01" | "57P02") => Cause::Lost,
        Some(code) if code.starts_with("08") => Cause::Lost,
        // no room, too slow, locked, stopped, read only, broken
        Some("25006" | "55P03") => Cause::Database,
        Some(code)
            if ["53", "57", "58", "XX"]
                .iter()
                .any(|class| code.starts_with(class)) =>
        {
            Cause::Database
        }
        Some(_) => Cause::OneAppend,
        None if matches!(
            error,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)
        ) =>
        {
            Cause::Lost
        }
        None => Cause::Database,
    };
    Failure {
        error: error.into(),
        cause,
    }
}

#[async_trait]
impl LifecycleWriter for PostgresWriter {
    async fn admit(&mut self, workspace: WorkspaceId, most: Option<u32>) -> Result<Admitted, StoreError> {
        let mut connection = self.take().await?;
        let outcome = timeout(LIMIT, lifecycle::admit(&mut connection, workspace, most)).await;
        self.put_back(connection, outcome)
            .map_err(|failure| failure.error)
    }

    async fn note_activity(&mut self, workspace: WorkspaceId, at: Timestamp) -> Result<bool, StoreError> {
        let mut connection = self.take().await?;
        let outcome = timeout(LIMIT, lifecycle::note_activity(&mut connection, workspace, at)).await;
        self.put_back(connection, outcome)
            .map_err(|failure| failure.error)
    }

    async fn begin_purge(
        &mut self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut connection = self.take().await?;
        let outcome = timeout(
            LIMIT,
            lifecycle::begin_purge(&mut connection, workspace, idle_since, now),
        )
        .await;
        self.put_back(connection, outcome)
            .map_err(|failure| failure.error)
    }

    async fn purge(&mut self, workspace: WorkspaceId, limit: u32) -> Result<Purged, StoreError> {
        let mut connection = self.take().await?;
        let outcome = timeout(LIMIT, lifecycle::purge(&mut connection, workspace, limit)).await;
        self.put_back(connection, outcome)
            .map_err(|failure| failure.error)
    }
}

#[async_trait]
impl Writer for PostgresWriter {
    const SHARED: bool = true;

    async fn look_up(
        &mut self,
        known: &mut Known,
        appends: &[&Append],
        knowledge: Knowledge,
    ) -> Result<(), Failure> {
        if knowledge == Knowledge::Remembered && !look_up::is_needed(known, appends) {
            return Ok(());
        }
        let mut connection = self.take().await?;
        let outcome = match knowledge {
            Knowledge::Remembered => {
                timeout(LIMIT, look_up::remembered(&mut connection, known, appends)).await
            }
            Knowledge::Certain => {
                self.in_transaction = true;
                timeout(LIMIT, look_up::certain(&mut connection, known, appends)).await
            }
        };
        let is_true = self.put_back(connection, outcome)?;
        if is_true {
            Ok(())
        } else {
            Err(Failure {
                error: StoreError::Unavailable("others are appending".to_owned()),
                cause: Cause::Overtaken,
            })
        }
    }

    async fn write(&mut self, judged: &Judged) -> Result<(), Failure> {
        let call = write::Group::new(judged)?;
        let notice = Notice::of(self.origin, judged);
        let mut connection = self.take().await?;
        let commit = self.in_transaction;
        let outcome = timeout(LIMIT, async {
            call.run(&mut connection, &notice).await?;
            if commit {
                connection.execute("commit").await?;
            }
            Ok(())
        })
        .await;
        self.put_back(connection, outcome)?;
        self.in_transaction = false;
        Ok(())
    }

    async fn give_up(&mut self) {
        if !std::mem::take(&mut self.in_transaction) {
            return;
        }
        if let Some(mut connection) = self.connection.take() {
            if let Ok(Ok(_)) = timeout(PATIENCE, connection.execute("rollback")).await {
                self.connection = Some(connection);
            } else {
                tracing::warn!("the event store's writing connection was lost");
            }
        }
    }

    async fn create_workspace(&mut self, workspace: &Workspace, now: Timestamp) -> Result<bool, StoreError> {
        let template = columns::template(workspace)?;
        let mut connection = self.take().await?;
        let outcome = timeout(
            LIMIT,
            directory::create_workspace(&mut connection, workspace, &template, now),
        )
        .await;
        self.put_back(connection, outcome)
            .map_err(|failure| failure.error)
    }

    async fn save_snapshot(
        &mut self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        let mut connection = self.take().await?;
        let outcome = timeout(
            LIMIT,
            directory::save_snapshot(&mut connection, workspace, stream, snapshot),
        )
        .await;
        self.put_back(connection, outcome)
            .map_err(|failure| failure.error)
    }

    async fn register_type(
        &mut self,
        name: &str,
        schema_version: u32,
        schema: Option<&str>,
    ) -> Result<(i64, Option<String>), StoreError> {
        let mut connection = self.take().await?;
        let outcome = timeout(
            LIMIT,
            directory::register_type(&mut connection, name, schema_version, schema),
        )
        .await;
        self.put_back(connection, outcome)
            .map_err(|failure| failure.error)
    }

    async fn stored_types(&mut self) -> Result<Vec<(String, i64)>, StoreError> {
        let mut connection = self.take().await?;
        let outcome = timeout(LIMIT, directory::stored_types(&mut connection)).await;
        self.put_back(connection, outcome)
            .map_err(|failure| failure.error)
    }

    async fn read(
        &mut self,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut connection = self.take().await?;
        let outcome = timeout(
            LIMIT,
            read::partition(&mut connection, workspace, partition, after, limit),
        )
        .await;
        let rows = self
            .put_back(connection, outcome)
            .map_err(|failure| failure.error)?;
        columns::events(workspace, rows)
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the event store's writing connection did not close cleanly");
        }
    }
}
