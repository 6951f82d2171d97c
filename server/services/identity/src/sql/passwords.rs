//! Changes of passwords, and the links that set a new one.

use domain::timestamp::Timestamp;
use sqlx::Pool;
use uuid::Uuid;

use super::{Database, person_id, require_one, sessions::end_other_families};
use database::engine::statement;

use crate::store::{NewPassword, PasswordChange, PeopleError, StoredReset};

const KEEP_RESET: &str = "
    insert into password_resets (hash, workspace, person, login, expires_at) values ($1, $2, $3, $4, $5)
    -- the same command, sent again while it was not known whether it was stored
    on conflict (hash) do update set expires_at = excluded.expires_at
";

const RESET: &str = "select workspace, person, login, expires_at from password_resets where hash = $1";

/// Of two requests with the same link, one deletes the row.
const USE_RESET: &str = "delete from password_resets where hash = $1 and expires_at > $2";

const FORGET_RESETS: &str = "delete from password_resets where workspace = $1 and person = $2";

const FORGET_ENDED: &str = "delete from password_resets where expires_at < $1";

const REPLACE_CREDENTIALS: &str = "
    update credentials set hash = $4, email_salt = 1
    where workspace = $1 and person = $2 and command_id = $3
";

const NOTE_CHANGE: &str = "
    insert into password_changes (workspace, person, command_id, by_link, changed_at)
    values ($1, $2, $3, $4, $5)
";

const CHANGES: &str = "
    select workspace, person, command_id, by_link from password_changes order by changed_at limit $1
";

const FORGET_CHANGE: &str = "
    delete from password_changes where workspace = $1 and person = $2 and command_id = $3
";

/// Workspace, person, login, expiry.
pub(super) type ResetColumns = (Uuid, Uuid, Vec<u8>, i64);

/// Workspace, person, command, whether by a link.
pub(super) type ChangeColumns = (Uuid, Uuid, Uuid, i64);

pub(super) async fn keep_reset<D: Database>(pool: &Pool<D>, reset: &StoredReset) -> Result<(), PeopleError> {
    let kept = statement::<D>(KEEP_RESET)
        .bind(&reset.hash[..])
        .bind(reset.of.workspace.0)
        .bind(reset.of.person)
        .bind(&reset.login[..])
        .bind(reset.expires_at.as_micros())
        .execute(&mut *pool.acquire().await?)
        .await?;
    require_one(kept)
}

pub(super) async fn reset<D: Database>(
    pool: &Pool<D>,
    hash: &[u8; 32],
) -> Result<Option<StoredReset>, PeopleError> {
    let row: Option<ResetColumns> = statement::<D>(RESET)
        .bind(&hash[..])
        .optional(&mut *pool.acquire().await?)
        .await?;
    let stored = |(workspace, person, login, expires_at): ResetColumns| {
        let login = <[u8; 32]>::try_from(login).map_err(|_| {
            PeopleError::Corrupt("the email of a link to set a password does not have 256 bits".to_owned())
        })?;
        Ok(StoredReset {
            hash: *hash,
            of: person_id((workspace, person)),
            login,
            expires_at: Timestamp::from_micros(expires_at),
        })
    };
    row.map(stored).transpose()
}

pub(super) async fn change_password<D: Database>(
    pool: &Pool<D>,
    new: &NewPassword<'_>,
    at: Timestamp,
) -> Result<bool, PeopleError> {
    let (workspace, person) = (new.of.workspace.0, new.of.person);
    let mut transaction = pool.begin_with(D::BEGIN).await?;
    if let Some(reset) = &new.reset {
        let used = statement::<D>(USE_RESET)
            .bind(&reset[..])
            .bind(at.as_micros())
            .execute(&mut transaction)
            .await?;
        if used == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
    }
    let replaced = statement::<D>(REPLACE_CREDENTIALS)
        .bind(workspace)
        .bind(person)
        .bind(new.command)
        .bind(new.hash)
        .execute(&mut transaction)
        .await?;
    if replaced == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    end_other_families::<D>(&mut transaction, new.of, new.kept).await?;
    // the links under the old password, none or more
    statement::<D>(FORGET_RESETS)
        .bind(workspace)
        .bind(person)
        .execute(&mut transaction)
        .await?;
    let noted = statement::<D>(NOTE_CHANGE)
        .bind(workspace)
        .bind(person)
        .bind(new.change)
        .bind(i64::from(new.reset.is_some()))
        .bind(at.as_micros())
        .execute(&mut transaction)
        .await?;
    require_one(noted)?;
    transaction.commit().await?;
    Ok(true)
}

pub(super) async fn password_changes<D: Database>(
    pool: &Pool<D>,
    limit: u32,
) -> Result<Vec<PasswordChange>, PeopleError> {
    let rows: Vec<ChangeColumns> = statement::<D>(CHANGES)
        .bind(i64::from(limit))
        .all(&mut *pool.acquire().await?)
        .await?;
    let change = |(workspace, person, command, by_link)| PasswordChange {
        of: person_id((workspace, person)),
        command,
        by_link: by_link != 0,
    };
    Ok(rows.into_iter().map(change).collect())
}

pub(super) async fn forget_password_change<D: Database>(
    pool: &Pool<D>,
    change: &PasswordChange,
) -> Result<(), PeopleError> {
    // no row if another server has recorded it, or the person was erased
    statement::<D>(FORGET_CHANGE)
        .bind(change.of.workspace.0)
        .bind(change.of.person)
        .bind(change.command)
        .execute(&mut *pool.acquire().await?)
        .await?;
    Ok(())
}

pub(super) async fn forget_ended<D: Database>(pool: &Pool<D>, before: Timestamp) -> Result<u64, PeopleError> {
    let ended = statement::<D>(FORGET_ENDED)
        .bind(before.as_micros())
        .execute(&mut *pool.acquire().await?)
        .await?;
    Ok(ended)
}
