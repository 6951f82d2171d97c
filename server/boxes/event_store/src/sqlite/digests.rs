//! The statements that give digests of earlier versions their key.

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::row::place;
use crate::columns::natural;

pub(super) const UNKEYED_ROWS: [(&str, &str); 1] = [(
    "select workspace_no, command_id, body_digest from answers where keyed = 0
     order by workspace_no, command_id limit $1",
    "update answers set body_digest = $3, keyed = 1
     where workspace_no = $1 and command_id = $2 and keyed = 0",
)];

pub(super) const UNKEYED_EVENTS: &str = "select place & 1099511627775, body_digest from events
    where place > ($1 << 40) + $2 and place <= ($1 << 40) + $3 and body_digest is not null
    order by place limit $4";

/// Implements [`Database::write_row_digests`](crate::sql::Database::write_row_digests).
pub(super) async fn write_rows(
    connection: &mut SqliteConnection,
    update: &'static str,
    keyed: &[(i64, Uuid, [u8; 32])],
) -> Result<u64, sqlx::Error> {
    let mut changed = 0;
    for (workspace_no, command_id, digest) in keyed {
        let written = sqlx::query(update)
            .bind(*workspace_no)
            .bind(*command_id)
            .bind(digest.to_vec())
            .execute(&mut *connection)
            .await?;
        changed += written.rows_affected();
    }
    Ok(changed)
}

/// Implements [`Database::write_event_digests`](crate::sql::Database::write_event_digests).
pub(super) async fn write_events(
    connection: &mut SqliteConnection,
    partition_no: i64,
    keyed: &[(i64, [u8; 32])],
) -> Result<u64, sqlx::Error> {
    let mut changed = 0;
    for (position, digest) in keyed {
        let position = natural(*position).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let written = sqlx::query("update events set body_digest = $2 where place = $1")
            .bind(place(partition_no, position))
            .bind(digest.to_vec())
            .execute(&mut *connection)
            .await?;
        changed += written.rows_affected();
    }
    Ok(changed)
}
