//! The port to the database of people: keys, credentials, refresh tokens, links to set a password, and notes
//! of erasures and of changed passwords. It stores rows; the other modules interpret them.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::session_status::SessionChange;
use database::{
    disk,
    postgres::{OpenError, is_permanent_refusal},
    schema::SchemaError,
};
use documents::SealError;

/// Why the people store cannot be read or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeopleError {
    /// The database cannot be reached or is shutting down; worth a retry.
    #[error("the people store is unavailable: {0}")]
    Unavailable(String),
    /// Its disk is full; worth a retry when there is space.
    #[error("the people store has no room left: {0}")]
    Full(String),
    /// The database refuses a value permanently: no retry helps.
    #[error("the people store refuses a value: {0}")]
    Refused(String),
    /// A stored value cannot be used.
    #[error("the people store holds something unusable: {0}")]
    Corrupt(String),
}

impl From<PeopleError> for SealError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Refused(_) => Self::Refused(error.to_string()),
            PeopleError::Unavailable(_) | PeopleError::Full(_) | PeopleError::Corrupt(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl From<sqlx::Error> for PeopleError {
    fn from(error: sqlx::Error) -> Self {
        if is_permanent_refusal(&error) {
            return Self::Refused(error.to_string());
        }
        if disk::is_full(&error) {
            return Self::Full(error.to_string());
        }
        Self::Unavailable(error.to_string())
    }
}

impl From<SchemaError> for PeopleError {
    fn from(error: SchemaError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl From<OpenError> for PeopleError {
    fn from(error: OpenError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// A key of AES-256.
pub type KeyBytes = [u8; 32];

/// The key of a person.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredKey {
    /// It opens the person's sealed texts.
    Key(KeyBytes),
    /// It was destroyed.
    Destroyed,
}

impl Debug for StoredKey {
    /// Never the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(…)",
            Self::Destroyed => "Destroyed",
        })
    }
}

/// A person of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PersonId {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The person.
    pub person: Uuid,
}

/// A refresh token, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The session, which all tokens of one sign-in share.
    pub family: Uuid,
    /// The person.
    pub of: PersonId,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When it was used; `None`: it was not.
    pub used_at: Option<Timestamp>,
    /// The next token of the session, sealed under the text of this one; `None`: this one was not used, or by
    /// an earlier version.
    pub successor: Option<Vec<u8>>,
}

/// A link to set a new password, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReset {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The person.
    pub of: PersonId,
    /// The keyed hash of the email that the link is sent to.
    pub login: [u8; 32],
    /// When it expires.
    pub expires_at: Timestamp,
}

/// A password in place of the present one of an account.
#[derive(Clone, Copy)]
pub struct NewPassword<'a> {
    /// The person.
    pub of: PersonId,
    /// The command under which the present one is stored.
    pub command: Uuid,
    /// The hash, with the salt of the email.
    pub hash: &'a str,
    /// The session that does not end.
    pub kept: Option<Uuid>,
    /// The hash of the link that is used up with it.
    pub reset: Option<[u8; 32]>,
    /// The command that records the change.
    pub change: Uuid,
}

impl Debug for NewPassword<'_> {
    /// Never the hash.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPassword").finish_non_exhaustive()
    }
}

/// A changed password whose event has to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordChange {
    /// The person.
    pub of: PersonId,
    /// The id of the command that records it.
    pub command: Uuid,
    /// Whether it was changed by the link of an email.
    pub by_link: bool,
}

/// A store of keys, credentials, refresh tokens and notes of erasures.
#[async_trait]
pub trait PeopleStore: Send + Sync + Debug {
    /// Whether other servers may change the same rows.
    fn is_shared(&self) -> bool;

    /// The key of a person.
    async fn key(&self, of: PersonId) -> Result<Option<StoredKey>, PeopleError>;

    /// Stores a key unless there is one, or was one; returns the stored key.
    async fn keep_key(&self, of: PersonId, key: &KeyBytes) -> Result<StoredKey, PeopleError>;

    /// Stores keys of several people in one transaction, each unless there is one, or was one.
    async fn keep_keys(&self, keys: &[(PersonId, KeyBytes)]) -> Result<(), PeopleError>;

    /// Notes that a person is about to be erased.
    async fn note_erasure(&self, of: PersonId, at: Timestamp) -> Result<(), PeopleError>;

    /// Removes the note: the person is not erased.
    async fn forget_erasure(&self, of: PersonId) -> Result<(), PeopleError>;

    /// The noted erasures, with the times of the notes.
    async fn erasures(&self) -> Result<Vec<(PersonId, Timestamp)>, PeopleError>;

    /// Destroys a person's key and credentials in one transaction. No copy of the key remains in the files,
    /// if the database supports that. `false`: there was nothing left to destroy.
    async fn erase(&self, of: PersonId, at: Timestamp) -> Result<bool, PeopleError>;

    /// Stores a password's hash for the command that registers its person. The salt is that of the email.
    async fn keep_credentials(&self, of: PersonId, command: Uuid, hash: &str) -> Result<(), PeopleError>;

    /// The hash that is stored for a command.
    async fn credentials(&self, of: PersonId, command: Uuid) -> Result<Option<String>, PeopleError>;

    /// The people with this hash and the commands under which it is stored, at most `limit`. The hash has the
    /// salt of an email.
    async fn people_with_hash(&self, hash: &str, limit: u32) -> Result<Vec<(PersonId, Uuid)>, PeopleError>;

    /// Whether there are hashes, of any people, with salts of their own.
    async fn has_own_salts(&self) -> Result<bool, PeopleError>;

    /// Stores the same password with the salt of the email in place of `old`. `false`: the stored hash is
    /// another one by now.
    async fn replace_salt(
        &self,
        of: PersonId,
        command: Uuid,
        old: &str,
        new: &str,
    ) -> Result<bool, PeopleError>;

    /// Stores a link to set a new password.
    async fn keep_reset(&self, reset: &StoredReset) -> Result<(), PeopleError>;

    /// The link to set a new password with this hash.
    async fn reset(&self, hash: &[u8; 32]) -> Result<Option<StoredReset>, PeopleError>;

    /// Replaces a command's hash, ends every session of the person except `kept` and all links to set a
    /// password, and notes the change, in one transaction. `false`: there is no hash to replace, or the link
    /// is used or has expired; nothing was changed.
    async fn change_password(&self, new: &NewPassword<'_>, at: Timestamp) -> Result<bool, PeopleError>;

    /// The noted changes of passwords, the oldest first, at most `limit`.
    async fn password_changes(&self, limit: u32) -> Result<Vec<PasswordChange>, PeopleError>;

    /// Removes the note of a change.
    async fn forget_password_change(&self, change: &PasswordChange) -> Result<(), PeopleError>;

    /// Stores the session of the token by which a command registers its person, until the token expires. It
    /// is a row among the refresh tokens, with the command's id instead of a token's hash, and renews
    /// nothing. With `given` it counts as used at that time, so that [`keep_first`](Self::keep_first) stores
    /// nothing.
    async fn keep_registering(
        &self,
        of: PersonId,
        command: Uuid,
        session: Uuid,
        until: Timestamp,
        given: Option<Timestamp>,
    ) -> Result<(), PeopleError>;

    /// Stores the first refresh token for the session of a registering token, and notes in the same
    /// transaction that it was issued. `false`: one was issued before, or the session has ended; nothing was
    /// stored.
    async fn keep_first(
        &self,
        command: Uuid,
        token: &StoredToken,
        at: Timestamp,
    ) -> Result<bool, PeopleError>;

    /// Deletes the hashes of a registered person that are stored under other commands than this one.
    async fn forget_other_credentials(&self, of: PersonId, command: Uuid) -> Result<(), PeopleError>;

    /// Deletes the hash and the session of a command that was refused.
    async fn forget_credentials(&self, of: PersonId, command: Uuid) -> Result<(), PeopleError>;

    /// Allows a person to sign in with an email, by its keyed hash.
    async fn keep_login(&self, login: &[u8; 32], of: PersonId) -> Result<(), PeopleError>;

    /// A page of the people who may sign in with an email: at most `limit`, after `after` in the order of
    /// workspaces and people. The log alone tells who holds the email.
    async fn logins(
        &self,
        login: &[u8; 32],
        after: Option<PersonId>,
        limit: u32,
    ) -> Result<Vec<PersonId>, PeopleError>;

    /// The same of those people only whose hashes have salts of their own.
    async fn logins_with_own_salts(
        &self,
        login: &[u8; 32],
        after: Option<PersonId>,
        limit: u32,
    ) -> Result<Vec<PersonId>, PeopleError>;

    /// Removes the login of a person who does not hold the email.
    async fn forget_login(&self, login: &[u8; 32], of: PersonId) -> Result<(), PeopleError>;

    /// Removes the logins of a person by every other email.
    async fn forget_other_logins(&self, login: &[u8; 32], of: PersonId) -> Result<(), PeopleError>;

    /// Stores a new refresh token.
    async fn keep_token(&self, token: &StoredToken) -> Result<(), PeopleError>;

    /// The token with this hash.
    async fn token(&self, hash: &[u8; 32]) -> Result<Option<StoredToken>, PeopleError>;

    /// Marks a token as used, notes its sealed successor, and stores that one, in one transaction. `false`:
    /// the token was used already, or does not exist; nothing was stored. Of the used tokens of a session the
    /// newest are kept.
    async fn rotate_token(
        &self,
        hash: &[u8; 32],
        successor: &[u8],
        next: &StoredToken,
        at: Timestamp,
    ) -> Result<bool, PeopleError>;

    /// When the session of a person expires that was renewed last; `None`: they have none.
    async fn newest_session(&self, of: PersonId) -> Result<Option<Timestamp>, PeopleError>;

    /// When a family expires; `None`: it does not exist, or has ended.
    async fn open_until(&self, family: Uuid, at: Timestamp) -> Result<Option<Timestamp>, PeopleError>;

    /// Deletes the tokens of a family, which ends its session. `false`: there were none.
    async fn end_family(&self, family: Uuid) -> Result<bool, PeopleError>;

    /// Notifies the other servers that sessions of a person have begun or ended.
    async fn notify(&self, of: PersonId) -> Result<(), PeopleError>;

    /// Passes on the changes that other servers notify, until the connection is lost. Its first change is
    /// [`SessionChange::Unknown`], since earlier notifications may have been missed. Without other servers it
    /// never returns.
    async fn listen(&self, changes: &mpsc::Sender<SessionChange>) -> Result<(), PeopleError>;

    /// Deletes tokens and links that expired before; returns their number.
    async fn forget_ended(&self, before: Timestamp) -> Result<u64, PeopleError>;

    /// The workspaces with any rows.
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PeopleError>;

    /// Deletes up to `limit` rows of each kind of a workspace; returns whether there may be more.
    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<bool, PeopleError>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), PeopleError>;

    /// Closes it.
    async fn close(&self);
}
