//! Gives digests of earlier versions their key, see [`digest`](crate::digest). The database notes which have
//! none, and the note changes in the transaction that changes the digests. So no digest is keyed twice, and
//! an interrupted run is continued by the next one.

use sqlx::Connection as _;
use uuid::Uuid;

use super::Database;
use database::{disk, engine::statement};

use crate::digest::DigestKey;

/// Digests of one transaction.
const BATCH: i64 = 1_000;

/// Digests without a key are those of before the first run: what is appended after it has one.
const NOTE_HEADS: &str = "
    update unkeyed_digests set head = coalesce(
        (select p.head from partitions p where p.no = unkeyed_digests.partition_no), 0
    )
    where head is null
";

const WITHOUT_HEAD: &str = "select count(*) from unkeyed_digests where head is null";

const NEXT_PARTITION: &str = "
    select partition_no, keyed_to, head from unkeyed_digests order by partition_no limit 1
";

const NOTE_PROGRESS: &str = "update unkeyed_digests set keyed_to = $2 where partition_no = $1";

const FORGET_PARTITION: &str = "delete from unkeyed_digests where partition_no = $1";

/// The digest of an event: its position, and the digest without a key.
pub(crate) type EventDigestColumns = (i64, Vec<u8>);

/// The digest of a row: number of the workspace, id of the command, and the digest without a key.
pub(crate) type RowDigestColumns = (i64, Uuid, Vec<u8>);

/// Keys one batch. `false`: every digest has a key.
pub(super) async fn key_batch<D: Database>(
    connection: &mut D::Connection,
    key: &DigestKey,
) -> Result<bool, sqlx::Error> {
    for sql in D::BEFORE_KEYING {
        statement::<D>(sql).execute(connection).await?;
    }
    let mut transaction = connection.begin_with(D::BEGIN).await?;
    if let Some(lock) = D::LOCK_UNKEYED_DIGESTS {
        statement::<D>(lock).execute(&mut transaction).await?;
    }
    let (without_head,): (i64,) = statement::<D>(WITHOUT_HEAD).one(&mut transaction).await?;
    if without_head > 0 {
        if let Some(lock) = D::LOCK_PARTITIONS {
            statement::<D>(lock).execute(&mut transaction).await?;
        }
        let noted = statement::<D>(NOTE_HEADS).execute(&mut transaction).await?;
        require_all(noted, without_head)?;
    }
    let more = key_rows::<D>(&mut transaction, key).await? || key_events::<D>(&mut transaction, key).await?;
    transaction.commit().await?;
    if !more {
        // At every start: the one before may have been interrupted here.
        for sql in D::AFTER_KEYING {
            match statement::<D>(sql).execute(connection).await {
                // A server starts on a full disk, and reads.
                Err(error) if disk::is_full(&error) => {
                    tracing::warn!(%error, "the next start overwrites digests without a key");
                }
                done => {
                    done?;
                }
            }
        }
    }
    Ok(more)
}

/// Keys digests of commands with rows. `false`: there are none left.
async fn key_rows<D: Database>(connection: &mut D::Connection, key: &DigestKey) -> Result<bool, sqlx::Error> {
    for &(select, update) in D::UNKEYED_ROWS {
        let rows: Vec<RowDigestColumns> = statement::<D>(select).bind(BATCH).all(connection).await?;
        if rows.is_empty() {
            continue;
        }
        let mut keyed = Vec::with_capacity(rows.len());
        for (workspace_no, command_id, digest) in rows {
            keyed.push((workspace_no, command_id, keyed_digest(key, &digest)?));
        }
        let changed = D::write_row_digests(connection, update, &keyed).await?;
        require_all(changed, length(keyed.len()))?;
        return Ok(true);
    }
    Ok(false)
}

/// Keys digests of events. `false`: there are none left.
async fn key_events<D: Database>(
    connection: &mut D::Connection,
    key: &DigestKey,
) -> Result<bool, sqlx::Error> {
    let next: Option<(i64, i64, i64)> = statement::<D>(NEXT_PARTITION).optional(connection).await?;
    let Some((partition_no, keyed_to, head)) = next else {
        return Ok(false);
    };
    let events: Vec<EventDigestColumns> = statement::<D>(D::UNKEYED_EVENTS)
        .bind(partition_no)
        .bind(keyed_to)
        .bind(head)
        .bind(BATCH)
        .all(connection)
        .await?;
    let mut keyed = Vec::with_capacity(events.len());
    for (position, digest) in events {
        keyed.push((position, keyed_digest(key, &digest)?));
    }
    let changed = D::write_event_digests(connection, partition_no, &keyed).await?;
    require_all(changed, length(keyed.len()))?;
    // The triggers accept a digest after `keyed_to` only, so this comes last.
    let noted = if let Some((last, _)) = keyed.last() {
        let progress = statement::<D>(NOTE_PROGRESS).bind(partition_no).bind(*last);
        progress.execute(connection).await?
    } else {
        let forgotten = statement::<D>(FORGET_PARTITION).bind(partition_no);
        forgotten.execute(connection).await?
    };
    require_all(noted, 1)?;
    Ok(true)
}

fn keyed_digest(key: &DigestKey, stored: &[u8]) -> Result<[u8; 32], sqlx::Error> {
    let digest: &[u8; 32] = stored
        .try_into()
        .map_err(|_| sqlx::Error::Decode("the digest of a command has another length".into()))?;
    Ok(key.keyed(digest))
}

fn length(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn require_all(changed: u64, expected: i64) -> Result<(), sqlx::Error> {
    if u64::try_from(expected) == Ok(changed) {
        Ok(())
    } else {
        let reason = format!("{changed} rows were changed instead of {expected}");
        Err(sqlx::Error::Protocol(reason))
    }
}
