//! The keys of people, and their erasure.

use domain::timestamp::Timestamp;
use sqlx::Pool;
use uuid::Uuid;

use super::{Database, person_id, require_one};
use database::engine::statement;

use crate::store::{KeyBytes, PeopleError, PersonId, StoredKey};

const KEY: &str = "select key from person_keys where workspace = $1 and person = $2";

const KEEP_KEY: &str = "
    insert into person_keys (workspace, person, key) values ($1, $2, $3)
    on conflict (workspace, person) do nothing
";

const NOTE_ERASURE: &str = "
    insert into erasures (workspace, person, wanted_at) values ($1, $2, $3)
    -- the later one decides how long it has been under way
    on conflict (workspace, person) do update set wanted_at = excluded.wanted_at
";

const FORGET_ERASURE: &str = "delete from erasures where workspace = $1 and person = $2";

const ERASURES: &str = "select workspace, person, wanted_at from erasures order by wanted_at";

const DESTROY_KEY: &str = "
    insert into person_keys (workspace, person, key, destroyed_at) values ($1, $2, null, $3)
    on conflict (workspace, person) do update set key = null, destroyed_at = excluded.destroyed_at
    -- once is enough, and the first time is the one that is kept
    where person_keys.key is not null
";

/// Deletes a person's credentials, and the note of the erasure, together with the key.
const FORGET_PERSON: [&str; 6] = [
    "delete from credentials where workspace = $1 and person = $2",
    "delete from logins where workspace = $1 and person = $2",
    "delete from refresh_tokens where workspace = $1 and person = $2",
    "delete from password_resets where workspace = $1 and person = $2",
    "delete from password_changes where workspace = $1 and person = $2",
    FORGET_ERASURE,
];

/// The key; null: it was destroyed.
pub(super) type KeyColumns = (Option<Vec<u8>>,);

fn stored_key((key,): KeyColumns) -> Result<StoredKey, PeopleError> {
    match key.map(KeyBytes::try_from) {
        None => Ok(StoredKey::Destroyed),
        Some(Ok(key)) => Ok(StoredKey::Key(key)),
        Some(Err(_)) => Err(PeopleError::Corrupt(
            "a person's key does not have 256 bits".to_owned(),
        )),
    }
}

pub(super) async fn key<D: Database>(pool: &Pool<D>, of: PersonId) -> Result<Option<StoredKey>, PeopleError> {
    let row: Option<KeyColumns> = statement::<D>(KEY)
        .bind(of.workspace.0)
        .bind(of.person)
        .optional(&mut *pool.acquire().await?)
        .await?;
    row.map(stored_key).transpose()
}

pub(super) async fn keep_key<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
    new: &KeyBytes,
) -> Result<StoredKey, PeopleError> {
    // if another server was faster, no row is changed and its key is returned
    statement::<D>(KEEP_KEY)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(&new[..])
        .execute(&mut *pool.acquire().await?)
        .await?;
    let kept = key(pool, of).await?;
    kept.ok_or_else(|| PeopleError::Unavailable("a key was not kept".to_owned()))
}

pub(super) async fn keep_keys<D: Database>(
    pool: &Pool<D>,
    new: &[(PersonId, KeyBytes)],
) -> Result<(), PeopleError> {
    let mut transaction = pool.begin_with(D::BEGIN).await?;
    for (of, key) in new {
        // no row is changed if the person has a key
        statement::<D>(KEEP_KEY)
            .bind(of.workspace.0)
            .bind(of.person)
            .bind(&key[..])
            .execute(&mut transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

pub(super) async fn note_erasure<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
    at: Timestamp,
) -> Result<(), PeopleError> {
    let noted = statement::<D>(NOTE_ERASURE)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(at.as_micros())
        .execute(&mut *pool.acquire().await?)
        .await?;
    require_one(noted)
}

pub(super) async fn forget_erasure<D: Database>(pool: &Pool<D>, of: PersonId) -> Result<(), PeopleError> {
    // no row if another server has finished it
    statement::<D>(FORGET_ERASURE)
        .bind(of.workspace.0)
        .bind(of.person)
        .execute(&mut *pool.acquire().await?)
        .await?;
    Ok(())
}

pub(super) async fn erasures<D: Database>(pool: &Pool<D>) -> Result<Vec<(PersonId, Timestamp)>, PeopleError> {
    let rows: Vec<(Uuid, Uuid, i64)> = statement::<D>(ERASURES).all(&mut *pool.acquire().await?).await?;
    Ok(rows
        .into_iter()
        .map(|(workspace, person, at)| (person_id((workspace, person)), Timestamp::from_micros(at)))
        .collect())
}

pub(super) async fn erase<D: Database>(
    pool: &Pool<D>,
    of: PersonId,
    at: Timestamp,
) -> Result<bool, PeopleError> {
    let mut transaction = pool.begin_with(D::BEGIN).await?;
    // no row is changed if the key was destroyed before
    let mut changed = statement::<D>(DESTROY_KEY)
        .bind(of.workspace.0)
        .bind(of.person)
        .bind(at.as_micros())
        .execute(&mut transaction)
        .await?;
    for sql in FORGET_PERSON {
        changed += statement::<D>(sql)
            .bind(of.workspace.0)
            .bind(of.person)
            .execute(&mut transaction)
            .await?;
    }
    transaction.commit().await?;
    // also if nothing was left: an earlier attempt may have ended here
    D::remove_copies(pool).await?;
    Ok(changed > 0)
}
