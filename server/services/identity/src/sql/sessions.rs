//! Refresh tokens. The tokens of one family are those of one session.

use domain::timestamp::Timestamp;
use sqlx::Pool;
use uuid::Uuid;

use super::{Database, person_id, require_one};
use database::engine::{Statement, statement};

use crate::store::{PeopleError, PersonId, StoredToken};

/// The used tokens of a session that are kept, so that a use of one of them is recognised as a theft. A
/// browser takes this many in about eight hours of use; older ones are refused like any unknown token.
const KEPT_USED_TOKENS: i64 = 64;

/// How often the end of sessions is repeated: a renewal that was under way may have added a token, and ends
/// with the one that it came from.
const END_ATTEMPTS: usize = 8;

/// Ends the sessions under the old password, except the one in which it was changed.
const END_OTHER_FAMILIES: &str = "
    delete from refresh_tokens where workspace = $1 and person = $2 and ($3 is null or family <> $3)
";

const KEEP_TOKEN: &str = "
    insert into refresh_tokens (hash, family, workspace, person, expires_at) values ($1, $2, $3, $4, $5)
";

/// The command may be repeated with another token, if it was not known whether it was stored. A used session
/// stays used.
const KEEP_REGISTERING: &str = "
    insert into refresh_tokens (hash, family, workspace, person, expires_at, used_at)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (hash) do update set family = excluded.family, expires_at = excluded.expires_at,
        used_at = coalesce(refresh_tokens.used_at, excluded.used_at)
";

/// Of two requests with the same registering token, one changes the row.
const USE_REGISTERING: &str = "
    update refresh_tokens set used_at = $3 where hash = $1 and family = $2 and used_at is null
";

pub(super) const FORGET_TOKEN: &str = "delete from refresh_tokens where hash = $1";

const TOKEN: &str = "
    select family, workspace, person, expires_at, used_at, successor from refresh_tokens where hash = $1
";

/// Of two requests with the same token, at whichever servers, one changes the row.
const ROTATE_TOKEN: &str = "
    update refresh_tokens set used_at = $2, successor = $3 where hash = $1 and used_at is null
";

/// The row of a registering token has no successor, and stays.
const FORGET_OLD_USED: &str = "
    delete from refresh_tokens where family = $1 and successor is not null and hash not in (
        select hash from refresh_tokens where family = $1 and successor is not null
        order by used_at desc, hash limit $2
    )
";

/// Each renewal has the same lifetime, so the last one to end was renewed last.
const NEWEST_SESSION: &str = "
    select expires_at from refresh_tokens where workspace = $1 and person = $2
    order by expires_at desc limit 1
";

const OPEN_UNTIL: &str = "
    select expires_at from refresh_tokens where family = $1 and expires_at > $2
    order by expires_at desc limit 1
";

const END_FAMILY: &str = "delete from refresh_tokens where family = $1";

const FORGET_ENDED: &str = "delete from refresh_tokens where expires_at < $1";

/// Family, workspace, person, expiry, use, sealed successor.
pub(super) type TokenColumns = (Uuid, Uuid, Uuid, i64, Option<i64>, Option<Vec<u8>>);

/// Stored instead of a token's hash for the session of a registering token. No token has such a hash.
pub(super) fn hash_of_command(command: Uuid) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(command.as_bytes());
    hash
}

/// A statement with the columns of a token as its parameters.
fn of_token<D: Database>(sql: &'static str, token: &StoredToken) -> Statement<D> {
    statement::<D>(sql)
        .bind(&token.hash[..])
        .bind(token.family)
        .bind(token.of.workspace.0)
        .bind(token.of.person)
        .bind(token.expires_at.as_micros())
}

pub(super) async fn keep_registering<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
    command: Uuid,
    session: Uuid,
    until: Timestamp,
    given: Option<Timestamp>,
) -> Result<(), PeopleError> {
    let kept = statement::<D>(KEEP_REGISTERING)
        .bind(&hash_of_command(command)[..])
        .bind(session)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(until.as_micros())
        .bind(given.map(Timestamp::as_micros))
        .execute(&mut *pool.acquire().await?)
        .await?;
    require_one(kept)
}

pub(super) async fn keep_first<D: Database>(
    pool: &Pool<D>,
    command: Uuid,
    token: &StoredToken,
    at: Timestamp,
) -> Result<bool, PeopleError> {
    let mut transaction = pool.begin_with(D::BEGIN).await?;
    let used = statement::<D>(USE_REGISTERING)
        .bind(&hash_of_command(command)[..])
        .bind(token.family)
        .bind(at.as_micros())
        .execute(&mut transaction)
        .await?;
    if used == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    let kept = of_token::<D>(KEEP_TOKEN, token).execute(&mut transaction).await?;
    require_one(kept)?;
    transaction.commit().await?;
    Ok(true)
}

pub(super) async fn keep_token<D: Database>(pool: &Pool<D>, token: &StoredToken) -> Result<(), PeopleError> {
    let kept = of_token::<D>(KEEP_TOKEN, token)
        .execute(&mut *pool.acquire().await?)
        .await?;
    require_one(kept)
}

pub(super) async fn token<D: Database>(
    pool: &Pool<D>,
    hash: &[u8; 32],
) -> Result<Option<StoredToken>, PeopleError> {
    let row: Option<TokenColumns> = statement::<D>(TOKEN)
        .bind(&hash[..])
        .optional(&mut *pool.acquire().await?)
        .await?;
    Ok(row.map(
        |(family, workspace, person, expires_at, used_at, successor)| StoredToken {
            hash: *hash,
            family,
            of: person_id((workspace, person)),
            expires_at: Timestamp::from_micros(expires_at),
            used_at: used_at.map(Timestamp::from_micros),
            successor,
        },
    ))
}

pub(super) async fn rotate_token<D: Database>(
    pool: &Pool<D>,
    hash: &[u8; 32],
    successor: &[u8],
    next: &StoredToken,
    at: Timestamp,
) -> Result<bool, PeopleError> {
    let mut transaction = pool.begin_with(D::BEGIN).await?;
    let used = statement::<D>(ROTATE_TOKEN)
        .bind(&hash[..])
        .bind(at.as_micros())
        .bind(successor)
        .execute(&mut transaction)
        .await?;
    if used == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    let kept = of_token::<D>(KEEP_TOKEN, next).execute(&mut transaction).await?;
    require_one(kept)?;
    // none in a young session
    statement::<D>(FORGET_OLD_USED)
        .bind(next.family)
        .bind(KEPT_USED_TOKENS)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

/// Ends every session of a person except `kept`, within a transaction.
pub(super) async fn end_other_families<D: Database>(
    connection: &mut D::Connection,
    of: PersonId,
    kept: Option<Uuid>,
) -> Result<(), PeopleError> {
    for _ in 0..END_ATTEMPTS {
        let ended = statement::<D>(END_OTHER_FAMILIES)
            .bind(of.workspace.0)
            .bind(of.person)
            .bind(kept)
            .execute(&mut *connection)
            .await?;
        if ended == 0 {
            break;
        }
    }
    Ok(())
}

pub(super) async fn newest_session<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
) -> Result<Option<Timestamp>, PeopleError> {
    let row: Option<(i64,)> = statement::<D>(NEWEST_SESSION)
        .bind(of.workspace.0)
        .bind(of.person)
        .optional(&mut *pool.acquire().await?)
        .await?;
    Ok(row.map(|(until,)| Timestamp::from_micros(until)))
}

pub(super) async fn open_until<D: Database>(
    pool: &Pool<D>,
    family: Uuid,
    at: Timestamp,
) -> Result<Option<Timestamp>, PeopleError> {
    let row: Option<(i64,)> = statement::<D>(OPEN_UNTIL)
        .bind(family)
        .bind(at.as_micros())
        .optional(&mut *pool.acquire().await?)
        .await?;
    Ok(row.map(|(until,)| Timestamp::from_micros(until)))
}

pub(super) async fn end_family<D: Database>(pool: &Pool<D>, family: Uuid) -> Result<bool, PeopleError> {
    let mut connection = pool.acquire().await?;
    let mut has_ended = false;
    for _ in 0..END_ATTEMPTS {
        let ended = statement::<D>(END_FAMILY)
            .bind(family)
            .execute(&mut connection)
            .await?;
        if ended == 0 {
            break;
        }
        has_ended = true;
    }
    Ok(has_ended)
}

pub(super) async fn forget_ended<D: Database>(pool: &Pool<D>, before: Timestamp) -> Result<u64, PeopleError> {
    let ended = statement::<D>(FORGET_ENDED)
        .bind(before.as_micros())
        .execute(&mut *pool.acquire().await?)
        .await?;
    Ok(ended)
}
