//! Hashes of passwords, and the emails that may sign in.

use sqlx::Pool;
use uuid::Uuid;

use super::{
    Database, person_id, require_one,
    sessions::{END_OTHER_FAMILIES, FORGET_TOKEN, hash_of_command},
};
use database::engine::statement;

use crate::store::{PeopleError, PersonId};

const KEEP_CREDENTIALS: &str = "
    insert into credentials (workspace, person, command_id, hash) values ($1, $2, $3, $4)
    -- the same command, sent again while it was not known whether it was stored
    on conflict (workspace, person, command_id) do update set hash = excluded.hash
";

const CREDENTIALS: &str =
    "select hash from credentials where workspace = $1 and person = $2 and command_id = $3";

const REPLACE_CREDENTIALS: &str =
    "update credentials set hash = $4 where workspace = $1 and person = $2 and command_id = $3";

const FORGET_CREDENTIALS: &str =
    "delete from credentials where workspace = $1 and person = $2 and command_id = $3";

const KEEP_LOGIN: &str = "
    insert into logins (login, workspace, person) values ($1, $2, $3)
    on conflict (login, workspace, person) do nothing
";

const LOGINS: &str =
    "select workspace, person from logins where login = $1 order by workspace, person limit $2";

pub(super) async fn keep_credentials<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
    command: Uuid,
    hash: &str,
) -> Result<(), PeopleError> {
    let kept = statement::<D>(KEEP_CREDENTIALS)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(command)
        .bind(hash)
        .execute(&mut *pool.acquire().await?)
        .await?;
    require_one(kept)
}

pub(super) async fn credentials<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
    command: Uuid,
) -> Result<Option<String>, PeopleError> {
    let row: Option<(String,)> = statement::<D>(CREDENTIALS)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(command)
        .optional(&mut *pool.acquire().await?)
        .await?;
    Ok(row.map(|(hash,)| hash))
}

pub(super) async fn replace_credentials<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
    command: Uuid,
    hash: &str,
    kept: Option<Uuid>,
) -> Result<bool, PeopleError> {
    let mut transaction = pool.begin_with(D::BEGIN).await?;
    let replaced = statement::<D>(REPLACE_CREDENTIALS)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(command)
        .bind(hash)
        .execute(&mut transaction)
        .await?;
    if replaced == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    // any number of rows
    statement::<D>(END_OTHER_FAMILIES)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(kept)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

pub(super) async fn forget_credentials<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
    command: Uuid,
) -> Result<(), PeopleError> {
    let mut transaction = pool.begin_with(D::BEGIN).await?;
    // no row if the person was erased meanwhile
    statement::<D>(FORGET_CREDENTIALS)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(command)
        .execute(&mut transaction)
        .await?;
    // no row if the command was refused before the session was stored
    statement::<D>(FORGET_TOKEN)
        .bind(&hash_of_command(command)[..])
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

pub(super) async fn keep_login<D: Database>(
    pool: &Pool<D>,
    login: &[u8; 32],
    of: PersonId,
) -> Result<(), PeopleError> {
    // no row if it is stored already
    statement::<D>(KEEP_LOGIN)
        .bind(&login[..])
        .bind(of.workspace.0)
        .bind(of.person)
        .execute(&mut *pool.acquire().await?)
        .await?;
    Ok(())
}

pub(super) async fn logins<D: Database>(
    pool: &Pool<D>,
    login: &[u8; 32],
    limit: u32,
) -> Result<Vec<PersonId>, PeopleError> {
    let rows: Vec<(Uuid, Uuid)> = statement::<D>(LOGINS)
        .bind(&login[..])
        .bind(i64::from(limit))
        .all(&mut *pool.acquire().await?)
        .await?;
    Ok(rows.into_iter().map(person_id).collect())
}
