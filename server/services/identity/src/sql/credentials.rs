//! Hashes of passwords, and the emails that may sign in.

use sqlx::Pool;
use uuid::Uuid;

use super::{
    Database, person_id, require_one,
    sessions::{FORGET_TOKEN, hash_of_command},
};
use database::engine::statement;

use crate::store::{PeopleError, PersonId};

const KEEP_CREDENTIALS: &str = "
    insert into credentials (workspace, person, command_id, hash, email_salt) values ($1, $2, $3, $4, 1)
    -- the same command, sent again while it was not known whether it was stored
    on conflict (workspace, person, command_id) do update set hash = excluded.hash, email_salt = 1
";

const CREDENTIALS: &str =
    "select hash from credentials where workspace = $1 and person = $2 and command_id = $3";

const PEOPLE_WITH_HASH: &str = "
    select workspace, person, command_id from credentials where hash = $1
    order by workspace, person, command_id limit $2
";

const OWN_SALTS: &str = "
    select count(*) from (select 1 from credentials where email_salt = 0 limit 1) as one
";

/// The hash is compared, because the password may have been changed since it was read.
const REPLACE_SALT: &str = "
    update credentials set hash = $5, email_salt = 1
    where workspace = $1 and person = $2 and command_id = $3 and hash = $4
";

const FORGET_CREDENTIALS: &str =
    "delete from credentials where workspace = $1 and person = $2 and command_id = $3";

const FORGET_OTHER_CREDENTIALS: &str =
    "delete from credentials where workspace = $1 and person = $2 and command_id <> $3";

const KEEP_LOGIN: &str = "
    insert into logins (login, workspace, person) values ($1, $2, $3)
    on conflict (login, workspace, person) do nothing
";

/// A page of logins; all ids are greater than the nil ones before the first page.
pub(super) const LOGINS: &str = "
    select workspace, person from logins
    where login = $1 and (workspace, person) > ($2, $3)
    order by workspace, person limit $4
";

pub(super) const LOGINS_WITH_OWN_SALTS: &str = "
    select workspace, person from logins
    where login = $1 and (workspace, person) > ($2, $3) and exists (
        select 1 from credentials
        where credentials.workspace = logins.workspace and credentials.person = logins.person
            and credentials.email_salt = 0
    )
    order by workspace, person limit $4
";

const FORGET_LOGIN: &str = "delete from logins where login = $1 and workspace = $2 and person = $3";

const FORGET_OTHER_LOGINS: &str = "delete from logins where login <> $1 and workspace = $2 and person = $3";

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

pub(super) async fn people_with_hash<D: Database>(
    pool: &Pool<D>,
    hash: &str,
    limit: u32,
) -> Result<Vec<(PersonId, Uuid)>, PeopleError> {
    let rows: Vec<(Uuid, Uuid, Uuid)> = statement::<D>(PEOPLE_WITH_HASH)
        .bind(hash)
        .bind(i64::from(limit))
        .all(&mut *pool.acquire().await?)
        .await?;
    let person = |(workspace, person, command)| (person_id((workspace, person)), command);
    Ok(rows.into_iter().map(person).collect())
}

pub(super) async fn has_own_salts<D: Database>(pool: &Pool<D>) -> Result<bool, PeopleError> {
    let row: Option<(i64,)> = statement::<D>(OWN_SALTS)
        .optional(&mut *pool.acquire().await?)
        .await?;
    Ok(row.is_some_and(|(count,)| count > 0))
}

pub(super) async fn replace_salt<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
    command: Uuid,
    old: &str,
    new: &str,
) -> Result<bool, PeopleError> {
    let replaced = statement::<D>(REPLACE_SALT)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(command)
        .bind(old)
        .bind(new)
        .execute(&mut *pool.acquire().await?)
        .await?;
    Ok(replaced == 1)
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

pub(super) async fn forget_other_credentials<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
    command: Uuid,
) -> Result<(), PeopleError> {
    // any number of rows
    statement::<D>(FORGET_OTHER_CREDENTIALS)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(command)
        .execute(&mut *pool.acquire().await?)
        .await?;
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

/// A page of logins by one of the two queries.
pub(super) async fn logins<D: Database>(
    pool: &Pool<D>,
    sql: &'static str,
    login: &[u8; 32],
    after: Option<PersonId>,
    limit: u32,
) -> Result<Vec<PersonId>, PeopleError> {
    let (workspace, person) = after.map_or((Uuid::nil(), Uuid::nil()), |of| (of.workspace.0, of.person));
    let rows: Vec<(Uuid, Uuid)> = statement::<D>(sql)
        .bind(&login[..])
        .bind(workspace)
        .bind(person)
        .bind(i64::from(limit))
        .all(&mut *pool.acquire().await?)
        .await?;
    Ok(rows.into_iter().map(person_id).collect())
}

pub(super) async fn forget_login<D: Database>(
    pool: &Pool<D>,
    login: &[u8; 32],
    of: PersonId,
) -> Result<(), PeopleError> {
    // no row if another server has removed it
    statement::<D>(FORGET_LOGIN)
        .bind(&login[..])
        .bind(of.workspace.0)
        .bind(of.person)
        .execute(&mut *pool.acquire().await?)
        .await?;
    Ok(())
}

pub(super) async fn forget_other_logins<D: Database>(
    pool: &Pool<D>,
    login: &[u8; 32],
    of: PersonId,
) -> Result<(), PeopleError> {
    // any number of rows
    statement::<D>(FORGET_OTHER_LOGINS)
        .bind(&login[..])
        .bind(of.workspace.0)
        .bind(of.person)
        .execute(&mut *pool.acquire().await?)
        .await?;
    Ok(())
}
