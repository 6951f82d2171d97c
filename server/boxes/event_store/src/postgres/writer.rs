//! Groups on the connection that writes. Mostly a group is one round trip: `append_group`, by itself a transaction. Where the
//! appender wants to be certain, the partitions' rows are locked first, and the transaction lasts from there until the
//! commit.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection, Postgres, error::DatabaseError};
use tokio::time::timeout;

use super::{look_up, notice::Notice, write};
use database::postgres::PATIENCE;

use crate::{
    Append, StoreError,
    appender::{AppendCache, Cause, Failure, Knowledge, ValidatedGroup},
    sql::writer::{SqlWriter, limited},
};

/// Longer than the server's own limit for a statement, which ends it in a way that is certain.
pub(super) const STEP_LIMIT: Duration = Duration::from_secs(12);

/// A connection that rested so long is asked first whether it still is one.
const RESTED: Duration = Duration::from_millis(500);

pub(super) async fn is_alive(connection: &mut PgConnection, rested: Duration) -> bool {
    rested <= RESTED || matches!(timeout(PATIENCE, connection.ping()).await, Ok(Ok(())))
}

/// What an error says about another try, by its SQLSTATE.
pub(super) fn cause(error: &sqlx::Error) -> Cause {
    let code = error.as_database_error().and_then(DatabaseError::code);
    match code.as_deref() {
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
    }
}

pub(super) async fn look_up(
    writer: &mut SqlWriter<Postgres>,
    known: &mut AppendCache,
    appends: &[&Append],
    knowledge: Knowledge,
) -> Result<(), Failure> {
    if knowledge == Knowledge::Remembered && !look_up::is_needed(known, appends) {
        return Ok(());
    }
    let open = writer.connect().await?;
    let step = match knowledge {
        Knowledge::Remembered => {
            limited::<Postgres, _>(look_up::remembered(&mut open.connection, known, appends)).await
        }
        Knowledge::Certain => {
            open.in_transaction = true;
            limited::<Postgres, _>(look_up::certain(&mut open.connection, known, appends)).await
        }
    };
    let is_true = writer.settle(step)?;
    if is_true {
        Ok(())
    } else {
        Err(Failure {
            error: StoreError::Unavailable("others are appending".to_owned()),
            cause: Cause::Overtaken,
        })
    }
}

pub(super) async fn write(writer: &mut SqlWriter<Postgres>, judged: &ValidatedGroup) -> Result<(), Failure> {
    let call = write::Group::new(judged)?;
    let notice = Notice::of(writer.origin, judged);
    let open = writer.connect().await?;
    let step = limited::<Postgres, _>(async {
        call.run(&mut open.connection, &notice).await?;
        if open.in_transaction {
            open.connection.execute("commit").await?;
            open.in_transaction = false;
        }
        Ok(())
    })
    .await;
    writer.settle(step)
}

pub(super) async fn give_up(writer: &mut SqlWriter<Postgres>) {
    let Some(open) = writer.open.as_mut().filter(|open| open.in_transaction) else {
        return;
    };
    if let Ok(Ok(_)) = timeout(PATIENCE, open.connection.execute("rollback")).await {
        open.in_transaction = false;
    } else {
        tracing::warn!("the event store's writing connection was lost");
        writer.open = None;
    }
}
