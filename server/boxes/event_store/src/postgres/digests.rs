//! The statements that give digests of earlier versions their key: an array for each column, so that a batch
//! costs one round trip.

use sqlx::PgConnection;
use uuid::Uuid;

/// Commands with rows, and those of before events had columns for their commands.
pub(super) const UNKEYED_ROWS: [(&str, &str); 2] = [
    (
        "select workspace_no, command_id, body_digest from answers where not keyed
         order by workspace_no, command_id limit $1",
        "update answers a set body_digest = g.digest, keyed = true
         from unnest($1::bigint[], $2::uuid[], $3::bytea[]) g (workspace_no, command_id, digest)
         where a.workspace_no = g.workspace_no and a.command_id = g.command_id and not a.keyed",
    ),
    (
        "select workspace_no, command_id, body_digest from earlier_commands where not keyed
         order by workspace_no, command_id limit $1",
        "update earlier_commands a set body_digest = g.digest, keyed = true
         from unnest($1::bigint[], $2::uuid[], $3::bytea[]) g (workspace_no, command_id, digest)
         where a.workspace_no = g.workspace_no and a.command_id = g.command_id and not a.keyed",
    ),
];

pub(super) const UNKEYED_EVENTS: &str = "select position, body_digest from events
    where partition_no = $1 and position > $2 and position <= $3 and body_digest is not null
    order by position limit $4";

/// Implements [`Database::write_row_digests`](crate::sql::Database::write_row_digests).
pub(super) async fn write_rows(
    connection: &mut PgConnection,
    update: &'static str,
    keyed: &[(i64, Uuid, [u8; 32])],
) -> Result<u64, sqlx::Error> {
    let workspace_nos: Vec<i64> = keyed.iter().map(|(workspace_no, ..)| *workspace_no).collect();
    let command_ids: Vec<Uuid> = keyed.iter().map(|(_, command_id, _)| *command_id).collect();
    let digests: Vec<Vec<u8>> = keyed.iter().map(|(.., digest)| digest.to_vec()).collect();
    let written = sqlx::query(update)
        .bind(workspace_nos)
        .bind(command_ids)
        .bind(digests)
        .execute(connection)
        .await?;
    Ok(written.rows_affected())
}

/// Implements [`Database::write_event_digests`](crate::sql::Database::write_event_digests).
pub(super) async fn write_events(
    connection: &mut PgConnection,
    partition_no: i64,
    keyed: &[(i64, [u8; 32])],
) -> Result<u64, sqlx::Error> {
    let positions: Vec<i64> = keyed.iter().map(|(position, _)| *position).collect();
    let digests: Vec<Vec<u8>> = keyed.iter().map(|(_, digest)| digest.to_vec()).collect();
    let written = sqlx::query(
        "update events e set body_digest = g.digest
         from unnest($2::bigint[], $3::bytea[]) g (position, digest)
         where e.partition_no = $1 and e.position = g.position",
    )
    .bind(partition_no)
    .bind(positions)
    .bind(digests)
    .execute(connection)
    .await?;
    Ok(written.rows_affected())
}
