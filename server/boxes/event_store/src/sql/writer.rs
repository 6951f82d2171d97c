//! The connection that writes, as the appender uses it: reopened when it has broken, and dropped when a step
//! on it was lost.

use std::time::Instant;

use async_trait::async_trait;
use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};
use sqlx::Connection as _;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Database, digests, directory, import::SqlImport, key_fingerprints, lifecycle};
use crate::{
    AdmissionOutcome, Append, Import, KeyFingerprint, PurgeProgress, Snapshot, StoreError, Workspace,
    WorkspaceContent,
    appender::{AppendCache, Cause, Failure, LifecycleWriter, LookUpMode, ValidatedGroup, Writer},
    columns,
    digest::DigestKey,
};
use clock::SharedClock;

/// A connection that is open.
pub(crate) struct OpenConnection<D: Database> {
    pub(crate) connection: D::Connection,
    /// Whether it is in a transaction.
    pub(crate) in_transaction: bool,
    used: Instant,
}

/// The only writer of a database.
pub(crate) struct SqlWriter<D: Database> {
    connector: D::Connector,
    /// Identifies this server in its notifications; nil where there are no other servers.
    pub(crate) origin: Uuid,
    pub(crate) open: Option<OpenConnection<D>>,
    _lock: D::Lock,
}

impl<D: Database> SqlWriter<D> {
    pub(crate) fn new(connector: D::Connector, lock: D::Lock, origin: Uuid) -> Self {
        Self {
            connector,
            origin,
            open: None,
            _lock: lock,
        }
    }

    /// The open connection, if it still works; otherwise a new one.
    pub(crate) async fn connect(&mut self) -> Result<&mut OpenConnection<D>, StoreError> {
        if let Some(mut open) = self.open.take()
            && D::is_alive(&mut open.connection, open.used.elapsed()).await
        {
            open.used = Instant::now();
            return Ok(self.open.insert(open));
        }
        let open = OpenConnection {
            connection: D::connect(&self.connector).await?,
            in_transaction: false,
            used: Instant::now(),
        };
        Ok(self.open.insert(open))
    }

    /// Records the outcome of a step: a connection that was lost is not used again.
    pub(crate) fn settle<T>(&mut self, step: Result<T, Failure>) -> Result<T, Failure> {
        if matches!(&step, Err(failure) if failure.cause == Cause::ConnectionLost) {
            self.open = None;
        } else if let Some(open) = &mut self.open {
            open.used = Instant::now();
        }
        step
    }
}

/// An error of a database, with its cause.
pub(crate) fn failure<D: Database>(error: sqlx::Error) -> Failure {
    Failure {
        cause: D::cause(&error),
        error: error.into(),
    }
}

/// Runs a step on the connection that writes, within its time limit.
pub(crate) async fn limited<D: Database, T>(
    step: impl Future<Output = Result<T, sqlx::Error>> + Send,
) -> Result<T, Failure> {
    let Some(limit) = D::STEP_LIMIT else {
        return step.await.map_err(failure::<D>);
    };
    timeout(limit, step)
        .await
        .map_or_else(|_| Err(unanswered()), |answered| answered.map_err(failure::<D>))
}

fn unanswered() -> Failure {
    Failure {
        error: StoreError::Unavailable("the database does not answer".to_owned()),
        cause: Cause::ConnectionLost,
    }
}

#[async_trait]
impl<D: Database> LifecycleWriter for SqlWriter<D> {
    async fn admit(
        &mut self,
        workspace: WorkspaceId,
        most: Option<u32>,
    ) -> Result<AdmissionOutcome, StoreError> {
        let open = self.connect().await?;
        let step = limited::<D, _>(lifecycle::admit::<D>(&mut open.connection, workspace, most)).await;
        Ok(self.settle(step)?)
    }

    async fn release(&mut self, workspace: WorkspaceId, people: u32) -> Result<bool, StoreError> {
        let open = self.connect().await?;
        let step = limited::<D, _>(lifecycle::release::<D>(&mut open.connection, workspace, people)).await;
        Ok(self.settle(step)?)
    }

    async fn note_activity(&mut self, workspace: WorkspaceId, at: Timestamp) -> Result<bool, StoreError> {
        let open = self.connect().await?;
        let step = limited::<D, _>(lifecycle::note_activity::<D>(&mut open.connection, workspace, at)).await;
        Ok(self.settle(step)?)
    }

    async fn begin_purge(
        &mut self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let open = self.connect().await?;
        let marking = lifecycle::begin_purge::<D>(&mut open.connection, workspace, idle_since, now);
        let step = limited::<D, _>(marking).await;
        Ok(self.settle(step)?)
    }

    async fn replace(
        &mut self,
        old: &Workspace,
        new: WorkspaceId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let open = self.connect().await?;
        let step = limited::<D, _>(lifecycle::replace::<D>(&mut open.connection, old, new, now)).await;
        Ok(self.settle(step)?)
    }

    async fn purge(&mut self, workspace: WorkspaceId, limit: u32) -> Result<PurgeProgress, StoreError> {
        let open = self.connect().await?;
        let step = limited::<D, _>(lifecycle::purge::<D>(&mut open.connection, workspace, limit)).await;
        Ok(self.settle(step)?)
    }
}

#[async_trait]
impl<D: Database> Writer for SqlWriter<D> {
    const SHARED: bool = D::SHARED;

    async fn look_up(
        &mut self,
        cache: &mut AppendCache,
        appends: &[&Append],
        mode: LookUpMode,
    ) -> Result<(), Failure> {
        D::look_up(self, cache, appends, mode).await
    }

    async fn write(&mut self, validated: &ValidatedGroup) -> Result<(), Failure> {
        D::write(self, validated).await
    }

    async fn roll_back(&mut self) {
        D::roll_back(self).await;
    }

    async fn create_workspace(&mut self, workspace: &Workspace, now: Timestamp) -> Result<bool, StoreError> {
        let template = columns::template(workspace)?;
        let open = self.connect().await?;
        let opening = directory::create_workspace::<D>(&mut open.connection, workspace, &template, now);
        let step = limited::<D, _>(opening).await;
        Ok(self.settle(step)?)
    }

    async fn import(
        &mut self,
        workspace: &Workspace,
        content: WorkspaceContent,
        clock: SharedClock,
    ) -> Result<bool, StoreError> {
        // A connection of its own: an import that fails leaves the one that writes as it is. The appender
        // does nothing meanwhile, so that on SQLite neither waits for the other.
        let database = SqlImport::<D>::beside_writer(D::connect(&self.connector).await?);
        let mut import = Import::new(Box::new(database), clock);
        let imported = content.import(&mut import, workspace).await;
        if imported.is_err()
            && let Err(error) = import.roll_back().await
        {
            tracing::warn!(%error, "an import could not be rolled back; its connection is dropped");
        }
        if let Err(error) = import.close().await {
            tracing::warn!(%error, "the connection of an import did not close cleanly");
        }
        imported
    }

    async fn save_snapshot(
        &mut self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        let open = self.connect().await?;
        let saving = directory::save_snapshot::<D>(&mut open.connection, workspace, stream, snapshot);
        let step = limited::<D, _>(saving).await;
        Ok(self.settle(step)?)
    }

    async fn register_type(
        &mut self,
        name: &str,
        schema_version: u32,
        schema: Option<&str>,
    ) -> Result<(i64, Option<String>), StoreError> {
        let open = self.connect().await?;
        let registering = directory::register_type::<D>(&mut open.connection, name, schema_version, schema);
        let step = limited::<D, _>(registering).await;
        Ok(self.settle(step)?)
    }

    async fn stored_types(&mut self) -> Result<Vec<(String, i64)>, StoreError> {
        let open = self.connect().await?;
        let step = limited::<D, _>(directory::stored_types::<D>(&mut open.connection)).await;
        Ok(self.settle(step)?)
    }

    async fn match_keys(
        &mut self,
        keys: &[KeyFingerprint],
        replace: bool,
    ) -> Result<Vec<String>, StoreError> {
        let open = self.connect().await?;
        let matching = key_fingerprints::match_keys::<D>(&mut open.connection, keys, replace);
        let step = limited::<D, _>(matching).await;
        Ok(self.settle(step)?)
    }

    async fn probe_write(&mut self) -> Result<(), StoreError> {
        let open = self.connect().await?;
        let step = limited::<D, _>(directory::probe_write::<D>(&mut open.connection)).await;
        Ok(self.settle(step)?)
    }

    async fn read(
        &mut self,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let open = self.connect().await?;
        let reading = D::partition(&mut open.connection, workspace, partition, after, limit);
        let step = limited::<D, _>(reading).await;
        columns::events(workspace, self.settle(step)?)
    }

    async fn key_digests(&mut self, key: &DigestKey) -> Result<bool, StoreError> {
        let open = self.connect().await?;
        let step = limited::<D, _>(digests::key_batch::<D>(&mut open.connection, key)).await;
        Ok(self.settle(step)?)
    }

    async fn close(&mut self) {
        if let Some(open) = self.open.take()
            && let Err(error) = open.connection.close().await
        {
            tracing::warn!(%error, "the event store's writing connection did not close cleanly");
        }
    }
}
