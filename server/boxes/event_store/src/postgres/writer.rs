//! Groups on the connection that writes. Mostly a group is one round trip: `append_commands`, by itself a
//! transaction. Where the complete state is looked up, the partitions' rows are locked first, and the
//! transaction lasts until the commit.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection, Postgres, error::DatabaseError};
use tokio::time::timeout;

use super::{look_up, notification::HeadNotification, write};
use database::postgres::CONNECT_TIMEOUT;

use crate::{
    Append, StoreError,
    appender::{AppendCache, Cause, Failure, LookUpMode, ValidatedGroup},
    sql::writer::{SqlWriter, limited},
};

/// Longer than the server's own limit for a statement, which ends it with a definite result.
pub(super) const STEP_LIMIT: Duration = Duration::from_secs(12);

/// A connection that was idle for longer is tested before it is used.
const PING_AFTER_REST: Duration = Duration::from_millis(500);

pub(super) async fn is_alive(connection: &mut PgConnection, rested: Duration) -> bool {
    rested <= PING_AFTER_REST || matches!(timeout(CONNECT_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}

/// The cause of an error, by its SQLSTATE.
pub(super) fn cause(error: &sqlx::Error) -> Cause {
    let code = error.as_database_error().and_then(DatabaseError::code);
    match code.as_deref() {
        // `append_commands` found other heads; a name, a command or a version exists already; a deadlock
        Some("FL001" | "23505" | "40001" | "40P01") => Cause::StaleCache,
        // the server is being stopped, or has crashed
        Some("57P01" | "57P02") => Cause::ConnectionLost,
        Some(code) if code.starts_with("08") => Cause::ConnectionLost,
        // disk full, too slow, locked, stopped, read only, broken
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
            Cause::ConnectionLost
        }
        None => Cause::Database,
    }
}

pub(super) async fn look_up(
    writer: &mut SqlWriter<Postgres>,
    cache: &mut AppendCache,
    appends: &[&Append],
    mode: LookUpMode,
) -> Result<(), Failure> {
    if mode == LookUpMode::Cached && !look_up::is_needed(cache, appends) {
        return Ok(());
    }
    let open = writer.connect().await?;
    let step = match mode {
        LookUpMode::Cached => {
            limited::<Postgres, _>(look_up::load_missing(&mut open.connection, cache, appends)).await
        }
        LookUpMode::Complete => {
            open.in_transaction = true;
            limited::<Postgres, _>(look_up::load_all(&mut open.connection, cache, appends)).await
        }
    };
    let is_current = writer.settle(step)?;
    if is_current {
        Ok(())
    } else {
        Err(Failure {
            error: StoreError::Unavailable("other servers are appending".to_owned()),
            cause: Cause::StaleCache,
        })
    }
}

pub(super) async fn write(
    writer: &mut SqlWriter<Postgres>,
    validated: &ValidatedGroup,
) -> Result<(), Failure> {
    let call = write::Group::new(validated)?;
    let notification = HeadNotification::of(writer.origin, validated);
    let open = writer.connect().await?;
    let step = limited::<Postgres, _>(async {
        call.run(&mut open.connection, &notification).await?;
        if open.in_transaction {
            open.connection.execute("commit").await?;
            open.in_transaction = false;
        }
        Ok(())
    })
    .await;
    writer.settle(step)
}

pub(super) async fn roll_back(writer: &mut SqlWriter<Postgres>) {
    let Some(open) = writer.open.as_mut().filter(|open| open.in_transaction) else {
        return;
    };
    if let Ok(Ok(_)) = timeout(CONNECT_TIMEOUT, open.connection.execute("rollback")).await {
        open.in_transaction = false;
    } else {
        tracing::warn!("the event store's writing connection was lost");
        writer.open = None;
    }
}
