//! What a database must keep of people, whichever it is: keys, credentials, tokens that renew sessions, and erasures that
//! are under way. Plain rows; what they mean is decided around it.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::standing::Change;
use database::{
    postgres::{OpenError, refuses_for_good},
    schema::SchemaError,
};
use documents::SealError;

/// What is kept of people cannot be read or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeopleError {
    /// The database is gone, full or shutting down; worth a retry.
    #[error("what is kept of people is unavailable: {0}")]
    Unavailable(String),
    /// The database refuses a value, and will refuse it again: no retry helps.
    #[error("what is kept of people cannot hold a value: {0}")]
    Refused(String),
    /// What it holds cannot be used.
    #[error("what is kept of people cannot be used: {0}")]
    Corrupt(String),
}

impl From<PeopleError> for SealError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Refused(_) => Self::Refused(error.to_string()),
            PeopleError::Unavailable(_) | PeopleError::Corrupt(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<sqlx::Error> for PeopleError {
    fn from(error: sqlx::Error) -> Self {
        if refuses_for_good(&error) {
            return Self::Refused(error.to_string());
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
    /// It opens what is theirs.
    Key(KeyBytes),
    /// It is gone for ever.
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
    /// Where.
    pub workspace: WorkspaceId,
    /// Who.
    pub person: Uuid,
}

/// A token that renews a session, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Shared by all that follow from one sign-in.
    pub family: Uuid,
    /// Whose.
    pub of: PersonId,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// When it was used, if it was.
    pub used_at: Option<Timestamp>,
}

/// See the module.
#[async_trait]
pub trait PeopleStore: Send + Sync + Debug {
    /// Whether other servers may change the same rows.
    fn is_shared(&self) -> bool;

    /// The key of a person.
    async fn key(&self, of: PersonId) -> Result<Option<StoredKey>, PeopleError>;

    /// Keeps a key unless there is one, or was one; what there is then.
    async fn keep_key(&self, of: PersonId, key: &KeyBytes) -> Result<StoredKey, PeopleError>;

    /// Notes that a person is about to be erased.
    async fn note_erasure(&self, of: PersonId, at: Timestamp) -> Result<(), PeopleError>;

    /// They are not, after all.
    async fn forget_erasure(&self, of: PersonId) -> Result<(), PeopleError>;

    /// Erasures that are under way, with when they were noted.
    async fn erasures(&self) -> Result<Vec<(PersonId, Timestamp)>, PeopleError>;

    /// Destroys a person's key and everything by which they sign in, in one transaction; no copy of the key stays behind in
    /// the database's files where the database can do that.
    async fn erase(&self, of: PersonId, at: Timestamp) -> Result<(), PeopleError>;

    /// Keeps a password's hash for the command that registers its person.
    async fn keep_credentials(&self, of: PersonId, command: Uuid, hash: &str) -> Result<(), PeopleError>;

    /// The hash that was kept for a command.
    async fn credentials(&self, of: PersonId, command: Uuid) -> Result<Option<String>, PeopleError>;

    /// Puts another hash in the place of a command's, and ends every sign-in of the person but one, in one transaction.
    /// `false`: there is none to replace, so nothing was ended.
    async fn replace_credentials(
        &self,
        of: PersonId,
        command: Uuid,
        hash: &str,
        kept: Option<Uuid>,
    ) -> Result<bool, PeopleError>;

    /// Keeps the session of the token by which a command registers its person, until the token ends. Nothing renews it: it
    /// is kept where tokens that do are, and in the place of a token's hash it has the command's id. With `given` it counts as
    /// used at that time, so that [`keep_first`](Self::keep_first) keeps nothing.
    async fn keep_registering(
        &self,
        of: PersonId,
        command: Uuid,
        session: Uuid,
        until: Timestamp,
        given: Option<Timestamp>,
    ) -> Result<(), PeopleError>;

    /// Keeps the first token that renews the session of a registering token, and notes in the same transaction that it was
    /// given. `false`: one was given before, or that session has ended, and nothing was kept.
    async fn keep_first(
        &self,
        command: Uuid,
        token: &StoredToken,
        at: Timestamp,
    ) -> Result<bool, PeopleError>;

    /// The command was refused: what was kept for it goes, the hash and the session.
    async fn forget_credentials(&self, of: PersonId, command: Uuid) -> Result<(), PeopleError>;

    /// A person may sign in with this email.
    async fn keep_login(&self, login: &[u8; 32], of: PersonId) -> Result<(), PeopleError>;

    /// Who may sign in with an email, at most `limit`.
    async fn logins(&self, login: &[u8; 32], limit: u32) -> Result<Vec<PersonId>, PeopleError>;

    /// Keeps a new token.
    async fn keep_token(&self, token: &StoredToken) -> Result<(), PeopleError>;

    /// Keeps the next token of a family; `false`: the family has ended, and a new token does not begin it again.
    async fn keep_next(&self, token: &StoredToken) -> Result<bool, PeopleError>;

    /// A token.
    async fn token(&self, hash: &[u8; 32]) -> Result<Option<StoredToken>, PeopleError>;

    /// Uses a token; `false`: it was used already, or is gone.
    async fn use_token(&self, hash: &[u8; 32], at: Timestamp) -> Result<bool, PeopleError>;

    /// Until when a family is good; `None`: it is not, or not any more.
    async fn open_until(&self, family: Uuid, at: Timestamp) -> Result<Option<Timestamp>, PeopleError>;

    /// Signs out: no token of the family is good any more. `false`: none was.
    async fn end_family(&self, family: Uuid) -> Result<bool, PeopleError>;

    /// Tells the other servers that sessions of a person have ended or begun to count.
    async fn tell(&self, of: PersonId) -> Result<(), PeopleError>;

    /// Passes on what servers tell, until that cannot be heard any more. Whenever it begins to listen, it says that it is
    /// not known what was told before. Where there are no other servers, nothing is ever heard.
    async fn hear(&self, heard: &mpsc::Sender<Change>) -> Result<(), PeopleError>;

    /// Deletes tokens that ended before; how many.
    async fn forget_ended(&self, before: Timestamp) -> Result<u64, PeopleError>;

    /// The workspaces of which anything is kept.
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PeopleError>;

    /// Removes up to `limit` rows of each kind of a workspace; whether there may be more.
    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<bool, PeopleError>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), PeopleError>;

    /// Closes it.
    async fn close(&self);
}
