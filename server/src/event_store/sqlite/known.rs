//! What the judge has to know: workspaces with the heads of their partitions, versions of streams, numbers of types,
//! and which commands were answered before.
//!
//! Looked up once a group, and kept: nobody else writes to the file while the appender runs (see the lock in `open`).
//! After any failure it is all forgotten, and read again from what really was stored.

use std::collections::{HashMap, HashSet};

use domain::{
    event::DomainEvent,
    id::{StreamName, WorkspaceId},
};
use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;

use super::{
    directory,
    row::{natural, small},
    write::{Script, placeholders},
};
use crate::event_store::{Append, RecordedCommand, StoreError};

/// More than this many entries, and a cache starts afresh: simpler than an order of age, and as rare.
const MAX_STREAMS: usize = 200_000;
const MAX_WORKSPACES: usize = 20_000;

/// A partition and its head.
#[derive(Debug, Clone)]
pub(super) struct KnownPartition {
    pub(super) no: i64,
    pub(super) workspace_no: i64,
    pub(super) partition: u32,
    pub(super) head: u64,
    pub(super) head_hash: String,
}

/// A workspace with its partitions, in their order.
#[derive(Debug)]
pub(super) struct KnownWorkspace {
    pub(super) no: i64,
    pub(super) partitions: Vec<KnownPartition>,
}

/// A stream that has an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownStream {
    pub(super) no: i64,
    pub(super) version: u64,
}

/// What is known at the moment.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) workspaces: HashMap<WorkspaceId, KnownWorkspace>,
    pub(super) streams: HashMap<(i64, StreamName), KnownStream>,
    /// Only of the group under way.
    pub(super) commands: HashMap<(i64, Uuid), RecordedCommand>,
    types: HashMap<String, Vec<(u32, i64)>>,
    next_stream_no: Option<i64>,
}

impl Known {
    /// Looks up what the appends of a group need.
    pub(super) async fn look_up<'a>(
        &mut self,
        connection: &mut SqliteConnection,
        appends: impl Iterator<Item = &'a Append> + Clone,
    ) -> Result<(), StoreError> {
        self.commands.clear();
        if self.streams.len() > MAX_STREAMS {
            self.streams.clear();
        }
        if self.workspaces.len() > MAX_WORKSPACES {
            self.workspaces.clear();
        }
        if self.next_stream_no.is_none() {
            let highest: Option<i64> = sqlx::query_scalar("select max(no) from streams")
                .fetch_one(&mut *connection)
                .await?;
            self.next_stream_no = Some(highest.unwrap_or(0) + 1);
        }
        for append in appends.clone() {
            if !self.workspaces.contains_key(&append.workspace)
                && let Some(workspace) = load_workspace(connection, append.workspace).await?
            {
                self.workspaces.insert(append.workspace, workspace);
            }
            for event in append.streams.iter().flat_map(|stream| &stream.events) {
                if self.type_no(&event.event_type, event.schema_version).is_none() {
                    self.register_type(connection, &event.event_type, event.schema_version)
                        .await?;
                }
            }
        }
        self.look_up_streams_and_commands(connection, appends).await
    }

    async fn look_up_streams_and_commands<'a>(
        &mut self,
        connection: &mut SqliteConnection,
        appends: impl Iterator<Item = &'a Append>,
    ) -> Result<(), StoreError> {
        let (mut streams, mut commands) = (HashSet::new(), HashMap::new());
        for append in appends {
            let Some(workspace) = self.workspaces.get(&append.workspace) else {
                continue;
            };
            commands.insert((workspace.no, append.metadata.command_id), append.workspace);
            for part in &append.streams {
                let key = (workspace.no, part.stream.clone());
                if !self.streams.contains_key(&key) {
                    streams.insert(key);
                }
            }
        }
        let streams: Vec<_> = streams.into_iter().collect();
        let wanted: Vec<_> = commands.keys().copied().collect();
        let mut script = Script::new(streams.len() + wanted.len());
        wanted_rows(
            &mut script,
            &wanted,
            "select 'command', c.workspace_no, c.command_id, c.body_digest, c.correlation_id, c.answer
             from wanted cross join commands c on c.workspace_no = wanted.a and c.command_id = wanted.b",
            |script, (workspace_no, command_id)| {
                script.bind(*workspace_no)?;
                script.bind(*command_id)
            },
        )?;
        wanted_rows(
            &mut script,
            &streams,
            "select 'stream', s.workspace_no, s.name, s.no, s.version
             from wanted cross join streams s on s.workspace_no = wanted.a and s.name = wanted.b",
            |script, (workspace_no, name)| {
                script.bind(*workspace_no)?;
                script.bind(name.as_str())
            },
        )?;
        for row in script.run(connection).await?.into_iter().flatten() {
            let workspace_no: i64 = row.try_get(1)?;
            if row.try_get::<&str, _>(0)? == "stream" {
                let name: StreamName = row
                    .try_get::<&str, _>(2)?
                    .parse()
                    .map_err(|error| StoreError::Corrupt(format!("the name of a stream: {error}")))?;
                let known = KnownStream {
                    no: row.try_get(3)?,
                    version: natural(row.try_get(4)?)?,
                };
                self.streams.insert((workspace_no, name), known);
            } else {
                let command_id: Uuid = row.try_get(2)?;
                if self.commands.contains_key(&(workspace_no, command_id)) {
                    continue;
                }
                let recorded = directory::recorded(connection, workspace_no, &row, 3).await?;
                self.commands.insert((workspace_no, command_id), recorded);
            }
        }
        Ok(())
    }

    /// The number of an event type.
    pub(super) fn type_no(&self, name: &str, schema_version: u32) -> Option<i64> {
        let versions = self.types.get(name)?;
        versions
            .iter()
            .find(|(version, _)| *version == schema_version)
            .map(|(_, no)| *no)
    }

    async fn register_type(
        &mut self,
        connection: &mut SqliteConnection,
        name: &str,
        schema_version: u32,
    ) -> Result<(), StoreError> {
        let no = directory::register_type(connection, name, schema_version).await?;
        self.types
            .entry(name.to_owned())
            .or_default()
            .push((schema_version, no));
        Ok(())
    }

    /// A number for a stream that has its first event. One that is not written leaves a hole, which nobody minds.
    pub(super) fn new_stream_no(&mut self) -> i64 {
        let no = self.next_stream_no.unwrap_or(1);
        self.next_stream_no = Some(no + 1);
        no
    }

    /// Notes every type of the domain; see [`EventStore::register_types`](crate::event_store::EventStore::register_types).
    pub(super) async fn register_domain_types(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<String>, StoreError> {
        for known in DomainEvent::types() {
            if self.type_no(known.name, known.schema_version).is_none() {
                self.register_type(connection, known.name, known.schema_version)
                    .await?;
            }
        }
        directory::unreadable_types(connection).await
    }
}

/// Asks for rows by their two-part keys. The number of keys is rounded up to a power of two by asking for the last one
/// again, so that few statements serve every group.
fn wanted_rows<K>(
    script: &mut Script,
    keys: &[K],
    select: &str,
    mut bind: impl FnMut(&mut Script, &K) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for chunk in keys.chunks(256) {
        let size = chunk.len().next_power_of_two();
        let sql = format!(
            "with wanted (a, b) as (values {}) {select}",
            placeholders(size, 2)
        );
        script.statement(&sql, None);
        for n in 0..size {
            bind(script, &chunk[n.min(chunk.len() - 1)])?;
        }
    }
    Ok(())
}

async fn load_workspace(
    connection: &mut SqliteConnection,
    id: WorkspaceId,
) -> Result<Option<KnownWorkspace>, StoreError> {
    let rows: Vec<(i64, i64, i64, i64, Vec<u8>)> = sqlx::query_as(
        "select w.no, p.no, p.partition, p.head, p.head_hash
         from workspaces w join partitions p on p.workspace_no = w.no
         where w.id = ? order by p.partition",
    )
    .bind(id.0)
    .fetch_all(connection)
    .await?;
    let mut partitions = Vec::with_capacity(rows.len());
    for (workspace_no, no, partition, head, head_hash) in rows {
        partitions.push(KnownPartition {
            no,
            workspace_no,
            partition: small(partition)?,
            head: natural(head)?,
            head_hash: hex::encode(head_hash),
        });
    }
    Ok(partitions
        .first()
        .map(|first| first.workspace_no)
        .map(|no| KnownWorkspace { no, partitions }))
}
