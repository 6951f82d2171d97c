//! The operations that the appender needs of a database. The rest is the same for every database: validation,
//! cache, retries and the notification of the observer.

use async_trait::async_trait;
use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};

use super::{append_cache::AppendCache, group_validator::ValidatedGroup, lifecycle::LifecycleWriter};
use crate::{Append, KeyFingerprint, Snapshot, StoreError, Workspace, WorkspaceContent, digest::DigestKey};
use clock::SharedClock;

/// Why a group was not stored, and whether a retry makes sense.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    pub(crate) cause: Cause,
}

/// The cause of a failure, which decides about a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The cache is out of date: worth a retry on the current state.
    StaleCache,
    /// The connection was lost before the answer: worth a retry, which finds what the first try stored.
    ConnectionLost,
    /// One of the appends may have caused it: worth a retry of each append alone.
    OneAppend,
    /// The database is locked, full, unreadable or not reachable, for every append: a retry of each alone
    /// would only make the callers wait.
    Database,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let cause = match error {
            // an unreadable row or a refused value may concern a single append
            StoreError::Corrupt(_) | StoreError::Refused(_) => Cause::OneAppend,
            StoreError::Unavailable(_) | StoreError::Full(_) => Cause::Database,
        };
        Self { error, cause }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Which state is loaded before a group is validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookUpMode {
    /// Only what the cache lacks; the write is refused if the cache is out of date.
    Cached,
    /// Everything, commands included; it stays current until the group is written or rolled back.
    Complete,
}

/// The one connection that writes.
#[async_trait]
pub(crate) trait Writer: LifecycleWriter + Send + 'static {
    /// Whether other servers write to the same log, so that the cache may be out of date.
    const SHARED: bool;

    /// Loads the state that these appends need into the cache.
    async fn look_up(
        &mut self,
        cache: &mut AppendCache,
        appends: &[&Append],
        mode: LookUpMode,
    ) -> Result<(), Failure>;

    /// Stores a group, all or nothing; when it returns, the group is durable.
    async fn write(&mut self, validated: &ValidatedGroup) -> Result<(), Failure>;

    /// Rolls back a transaction that `look_up` or `write` began and that is not finished.
    async fn roll_back(&mut self);

    /// Implements [`EventStore::create_workspace`](crate::EventStore::create_workspace).
    async fn create_workspace(&mut self, workspace: &Workspace, now: Timestamp) -> Result<bool, StoreError>;

    /// Implements [`EventStore::import_workspace`](crate::EventStore::import_workspace).
    async fn import(
        &mut self,
        workspace: &Workspace,
        content: WorkspaceContent,
        clock: SharedClock,
    ) -> Result<bool, StoreError>;

    /// Implements [`EventStore::save_snapshot`](crate::EventStore::save_snapshot).
    async fn save_snapshot(
        &mut self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError>;

    /// Registers an event type; returns its number and its stored schema, which is `schema` if there was
    /// none.
    async fn register_type(
        &mut self,
        name: &str,
        schema_version: u32,
        schema: Option<&str>,
    ) -> Result<(i64, Option<String>), StoreError>;

    /// The names and schema versions of stored events.
    async fn stored_types(&mut self) -> Result<Vec<(String, i64)>, StoreError>;

    /// Implements [`EventStore::match_keys`](crate::EventStore::match_keys).
    async fn match_keys(&mut self, keys: &[KeyFingerprint], replace: bool)
    -> Result<Vec<String>, StoreError>;

    /// Writes something that changes nothing, to find out whether there is room.
    async fn probe_write(&mut self) -> Result<(), StoreError>;

    /// Events of a partition after a position, oldest first, at most `limit`.
    async fn read(
        &mut self,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Gives one batch of digests of earlier versions their key; `false`: there are none left.
    async fn key_digests(&mut self, key: &DigestKey) -> Result<bool, StoreError>;

    /// Closes the connection.
    async fn close(&mut self);
}
