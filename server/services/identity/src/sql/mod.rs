//! The people store on a database that speaks SQL: everything except the differences that [`Database`]
//! covers.
//!
//! | module | what it holds |
//! |---|---|
//! | `database` | the differences between the databases |
//! | `keys` | the keys of people, and their erasure |
//! | `credentials` | hashes of passwords, and the emails that may sign in |
//! | `passwords` | changes of passwords, and the links that set a new one |
//! | `sessions` | refresh tokens |
//! | `purging` | the purge of workspaces |

mod credentials;
mod database;
mod keys;
mod passwords;
mod purging;
mod sessions;

use std::fmt;

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};
use sqlx::Pool;
use tokio::sync::mpsc;
use uuid::Uuid;

use self::credentials::{LOGINS, LOGINS_WITH_OWN_SALTS};
pub(super) use self::database::Database;

use super::{
    postgres::SessionListener,
    session_status::SessionChange,
    store::{
        KeyBytes, NewPassword, PasswordChange, PeopleError, PeopleStore, PersonId, StoredKey, StoredReset,
        StoredToken,
    },
};
use ::database::engine::statement;

/// A people store on a database that speaks SQL.
pub struct SqlPeopleStore<D: sqlx::Database> {
    pub(super) pool: Pool<D>,
    /// Receives the session changes of other servers; `None`: there are no other servers.
    pub(super) listener: Option<SessionListener>,
}

impl<D: sqlx::Database> fmt::Debug for SqlPeopleStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlPeopleStore")
            .field("database", &D::NAME)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<D: Database> PeopleStore for SqlPeopleStore<D> {
    fn is_shared(&self) -> bool {
        D::SHARED
    }

    async fn key(&self, of: PersonId) -> Result<Option<StoredKey>, PeopleError> {
        keys::key(&self.pool, of).await
    }

    async fn keep_key(&self, of: PersonId, key: &KeyBytes) -> Result<StoredKey, PeopleError> {
        keys::keep_key(&self.pool, of, key).await
    }

    async fn keep_keys(&self, keys: &[(PersonId, KeyBytes)]) -> Result<(), PeopleError> {
        keys::keep_keys(&self.pool, keys).await
    }

    async fn note_erasure(&self, of: PersonId, at: Timestamp) -> Result<(), PeopleError> {
        keys::note_erasure(&self.pool, of, at).await
    }

    async fn forget_erasure(&self, of: PersonId) -> Result<(), PeopleError> {
        keys::forget_erasure(&self.pool, of).await
    }

    async fn erasures(&self) -> Result<Vec<(PersonId, Timestamp)>, PeopleError> {
        keys::erasures(&self.pool).await
    }

    async fn erase(&self, of: PersonId, at: Timestamp) -> Result<bool, PeopleError> {
        keys::erase(&self.pool, of, at).await
    }

    async fn keep_credentials(&self, of: PersonId, command: Uuid, hash: &str) -> Result<(), PeopleError> {
        credentials::keep_credentials(&self.pool, of, command, hash).await
    }

    async fn credentials(&self, of: PersonId, command: Uuid) -> Result<Option<String>, PeopleError> {
        credentials::credentials(&self.pool, of, command).await
    }

    async fn people_with_hash(&self, hash: &str, limit: u32) -> Result<Vec<(PersonId, Uuid)>, PeopleError> {
        credentials::people_with_hash(&self.pool, hash, limit).await
    }

    async fn has_own_salts(&self) -> Result<bool, PeopleError> {
        credentials::has_own_salts(&self.pool).await
    }

    async fn replace_salt(
        &self,
        of: PersonId,
        command: Uuid,
        old: &str,
        new: &str,
    ) -> Result<bool, PeopleError> {
        credentials::replace_salt(&self.pool, of, command, old, new).await
    }

    async fn keep_reset(&self, reset: &StoredReset) -> Result<(), PeopleError> {
        passwords::keep_reset(&self.pool, reset).await
    }

    async fn reset(&self, hash: &[u8; 32]) -> Result<Option<StoredReset>, PeopleError> {
        passwords::reset(&self.pool, hash).await
    }

    async fn change_password(&self, new: &NewPassword<'_>, at: Timestamp) -> Result<bool, PeopleError> {
        passwords::change_password(&self.pool, new, at).await
    }

    async fn password_changes(&self, limit: u32) -> Result<Vec<PasswordChange>, PeopleError> {
        passwords::password_changes(&self.pool, limit).await
    }

    async fn forget_password_change(&self, change: &PasswordChange) -> Result<(), PeopleError> {
        passwords::forget_password_change(&self.pool, change).await
    }

    async fn keep_registering(
        &self,
        of: PersonId,
        command: Uuid,
        session: Uuid,
        until: Timestamp,
        given: Option<Timestamp>,
    ) -> Result<(), PeopleError> {
        sessions::keep_registering(&self.pool, of, command, session, until, given).await
    }

    async fn keep_first(
        &self,
        command: Uuid,
        token: &StoredToken,
        at: Timestamp,
    ) -> Result<bool, PeopleError> {
        sessions::keep_first(&self.pool, command, token, at).await
    }

    async fn forget_other_credentials(&self, of: PersonId, command: Uuid) -> Result<(), PeopleError> {
        credentials::forget_other_credentials(&self.pool, of, command).await
    }

    async fn forget_credentials(&self, of: PersonId, command: Uuid) -> Result<(), PeopleError> {
        credentials::forget_credentials(&self.pool, of, command).await
    }

    async fn keep_login(&self, login: &[u8; 32], of: PersonId) -> Result<(), PeopleError> {
        credentials::keep_login(&self.pool, login, of).await
    }

    async fn logins(
        &self,
        login: &[u8; 32],
        after: Option<PersonId>,
        limit: u32,
    ) -> Result<Vec<PersonId>, PeopleError> {
        credentials::logins(&self.pool, LOGINS, login, after, limit).await
    }

    async fn logins_with_own_salts(
        &self,
        login: &[u8; 32],
        after: Option<PersonId>,
        limit: u32,
    ) -> Result<Vec<PersonId>, PeopleError> {
        credentials::logins(&self.pool, LOGINS_WITH_OWN_SALTS, login, after, limit).await
    }

    async fn forget_login(&self, login: &[u8; 32], of: PersonId) -> Result<(), PeopleError> {
        credentials::forget_login(&self.pool, login, of).await
    }

    async fn forget_other_logins(&self, login: &[u8; 32], of: PersonId) -> Result<(), PeopleError> {
        credentials::forget_other_logins(&self.pool, login, of).await
    }

    async fn keep_token(&self, token: &StoredToken) -> Result<(), PeopleError> {
        sessions::keep_token(&self.pool, token).await
    }

    async fn token(&self, hash: &[u8; 32]) -> Result<Option<StoredToken>, PeopleError> {
        sessions::token(&self.pool, hash).await
    }

    async fn rotate_token(
        &self,
        hash: &[u8; 32],
        successor: &[u8],
        next: &StoredToken,
        at: Timestamp,
    ) -> Result<bool, PeopleError> {
        sessions::rotate_token(&self.pool, hash, successor, next, at).await
    }

    async fn newest_session(&self, of: PersonId) -> Result<Option<Timestamp>, PeopleError> {
        sessions::newest_session(&self.pool, of).await
    }

    async fn open_until(&self, family: Uuid, at: Timestamp) -> Result<Option<Timestamp>, PeopleError> {
        sessions::open_until(&self.pool, family, at).await
    }

    async fn end_family(&self, family: Uuid) -> Result<bool, PeopleError> {
        sessions::end_family(&self.pool, family).await
    }

    async fn notify(&self, of: PersonId) -> Result<(), PeopleError> {
        D::notify_servers(&self.pool, of).await
    }

    async fn listen(&self, changes: &mpsc::Sender<SessionChange>) -> Result<(), PeopleError> {
        match &self.listener {
            Some(listener) => listener.listen(changes).await,
            None => std::future::pending().await,
        }
    }

    async fn forget_ended(&self, before: Timestamp) -> Result<u64, PeopleError> {
        let tokens = sessions::forget_ended(&self.pool, before).await?;
        Ok(tokens + passwords::forget_ended(&self.pool, before).await?)
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PeopleError> {
        purging::workspaces(&self.pool).await
    }

    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<bool, PeopleError> {
        purging::purge(&self.pool, workspace, limit).await
    }

    async fn ping(&self) -> Result<(), PeopleError> {
        statement::<D>("select 1")
            .execute(&mut *self.pool.acquire().await?)
            .await?;
        Ok(())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

fn person_id((workspace, person): (Uuid, Uuid)) -> PersonId {
    PersonId {
        workspace: WorkspaceId(workspace),
        person,
    }
}

/// Fails unless a write changed exactly one row.
fn require_one(rows: u64) -> Result<(), PeopleError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(PeopleError::Unavailable(format!(
            "a write changed {rows} rows instead of one"
        )))
    }
}
