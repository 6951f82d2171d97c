//! What the appender asks of a database. Everything else about a group, what is judged, what is remembered, what is
//! tried again and who hears of it, is the same for all of them.

use async_trait::async_trait;
use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};

use super::{append_cache::AppendCache, group_validator::ValidatedGroup, lifecycle::LifecycleWriter};
use crate::{Append, Snapshot, StoreError, Workspace};

/// Why a group was not stored, and what that says about another try.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    pub(crate) cause: Cause,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// What was remembered is no longer so: worth another try, on what the database says now.
    Overtaken,
    /// The connection had gone, and the answer with it: worth another try, which finds what the first one stored.
    Lost,
    /// It may lie in one of the appends, so that the others are worth a try without it.
    OneAppend,
    /// The database is locked, full, unreadable or gone, and is so for every append: trying each would make the last
    /// caller wait as often as there are appends.
    Database,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let cause = match error {
            // what cannot be read, or is refused, may be what one append asked for
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

/// How sure the judge must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// What is remembered will do: the write is refused if it is not true.
    Remembered,
    /// Everything is asked, commands too, and stays true until the group is written or given up.
    Certain,
}

/// The one connection that writes.
#[async_trait]
pub(crate) trait Writer: LifecycleWriter + Send + 'static {
    /// Whether others write to the same log, so that what is remembered may be out of date.
    const SHARED: bool;

    /// Looks up what is not known of what these appends need.
    async fn look_up(
        &mut self,
        known: &mut AppendCache,
        appends: &[&Append],
        knowledge: Knowledge,
    ) -> Result<(), Failure>;

    /// Stores a group, whole or not at all; when it returns, the group is durable.
    async fn write(&mut self, judged: &ValidatedGroup) -> Result<(), Failure>;

    /// Ends what `look_up` or `write` began and nobody finishes.
    async fn give_up(&mut self);

    /// See [`EventStore::create_workspace`](crate::EventStore::create_workspace).
    async fn create_workspace(&mut self, workspace: &Workspace, now: Timestamp) -> Result<bool, StoreError>;

    /// See [`EventStore::save_snapshot`](crate::EventStore::save_snapshot).
    async fn save_snapshot(
        &mut self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError>;

    /// The number of an event type, which it gets if it has none, and its schema, which is kept if there was none.
    async fn register_type(
        &mut self,
        name: &str,
        schema_version: u32,
        schema: Option<&str>,
    ) -> Result<(i64, Option<String>), StoreError>;

    /// The names and schema versions that some event has.
    async fn stored_types(&mut self) -> Result<Vec<(String, i64)>, StoreError>;

    /// Events of a partition behind a position, oldest first, at most `limit`.
    async fn read(
        &mut self,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Closes the connection.
    async fn close(&mut self);
}
