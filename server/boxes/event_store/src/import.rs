//! Imports workspaces that were exported elsewhere, with their ids, versions, positions, times, hashes and
//! answered commands unchanged.
//!
//! An import is one transaction: before [`Import::commit`] no reader sees any of it, and an import that is
//! rolled back leaves no trace. Every event is checked as if it had been appended, so a log with a broken
//! hash chain is refused. Memory does not grow with the log: the streams of each batch are read from the
//! database.

pub(super) mod dry;

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use async_trait::async_trait;
use domain::{event::StoredEvent, id::StreamName, timestamp::Timestamp, token::ConsistencyToken};
use uuid::Uuid;

use super::{
    StoreError, UNKNOWN_BODY, Workspace,
    answer::StoredAnswer,
    appender::{CachedStream, CommandRow, EventRow, NewStream, PartitionUpdate, ValidatedGroup},
    chain_head::ChainHead,
    type_block::TypeBlock,
};
use clock::SharedClock;

/// A command with its answer, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredCommand {
    /// Its id.
    pub command_id: Uuid,
    /// The correlation id of its events.
    pub correlation_id: Uuid,
    /// JSON in the store's own format.
    pub answer: String,
}

impl AnsweredCommand {
    /// The position that a reader must have reached to see what it appended.
    pub fn token(&self) -> Result<ConsistencyToken, StoreError> {
        Ok(StoredAnswer::from_json(&self.answer)?.token)
    }

    /// Whether the answer has what this program writes, in any order: no other member, and no more bytes.
    pub fn is_as_written(&self) -> Result<bool, StoreError> {
        let written = StoredAnswer::from_json(&self.answer)?.to_json()?;
        let parsed = |json: &str| serde_json::from_str::<serde_json::Value>(json).ok();
        Ok(self.answer.len() <= written.len() && parsed(&self.answer) == parsed(&written))
    }

    /// What the answer says of each stream.
    pub fn streams(&self) -> Result<Vec<AnsweredStream>, StoreError> {
        let streams = StoredAnswer::from_json(&self.answer)?.streams.into_iter();
        Ok(streams
            .map(|(stream, version, partition, first, count)| AnsweredStream {
                stream,
                version,
                partition,
                first,
                count,
            })
            .collect())
    }
}

/// What a stored answer says of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredStream {
    /// The stream.
    pub stream: StreamName,
    /// Its version after the command.
    pub version: u64,
    /// Its partition.
    pub partition: u32,
    /// The position of the first of the command's events.
    pub first: u64,
    /// The number of the command's events.
    pub count: u64,
}

/// Why a batch was refused.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// One of its entries is invalid.
    #[error("{reason}")]
    Entry {
        /// Its index in the batch.
        index: usize,
        /// The fault.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The database operations of an import: one connection, and one transaction on it.
#[async_trait]
pub(super) trait ImportDatabase: Send {
    /// Creates a workspace in the transaction, which begins with the first one; returns its number and those
    /// of its partitions. `None`: the join code is taken, and nothing was created.
    async fn begin(
        &mut self,
        workspace: &Workspace,
        now: Timestamp,
    ) -> Result<Option<(i64, Vec<i64>)>, StoreError>;

    /// Those of these streams that exist.
    async fn streams(
        &mut self,
        workspace_no: i64,
        names: &[&str],
    ) -> Result<Vec<(String, CachedStream)>, StoreError>;

    /// Unused stream numbers.
    async fn stream_numbers(&mut self) -> Result<Range<i64>, StoreError>;

    /// The number of an event type; a new one if it has none.
    async fn type_no(&mut self, name: &str, schema_version: u32) -> Result<i64, StoreError>;

    /// Writes rows.
    async fn write(&mut self, validated: &ValidatedGroup) -> Result<(), StoreError>;

    /// An id that several events of a workspace have; the database sorts them, so that memory does not grow
    /// with the log.
    async fn repeated_event_id(&mut self, workspace_no: i64) -> Result<Option<Uuid>, StoreError>;

    /// Commits the transaction, if one was begun; when it returns, its workspaces are durable.
    async fn commit(&mut self) -> Result<(), StoreError>;

    /// Rolls the transaction back, if one was begun.
    async fn roll_back(&mut self) -> Result<(), StoreError>;

    /// Closes the connection.
    async fn close(self: Box<Self>) -> Result<(), StoreError>;
}

/// The workspace that is being imported.
struct WorkspaceImport {
    workspace: Workspace,
    no: i64,
    partitions: Vec<(i64, ChainHead)>,
}

/// Imports workspaces, one after another. They are visible when they are committed, all of them and complete.
pub struct Import {
    database: Box<dyn ImportDatabase>,
    clock: SharedClock,
    current: Option<WorkspaceImport>,
    numbers: Range<i64>,
    types: HashMap<(String, u32), i64>,
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import").finish_non_exhaustive()
    }
}

impl Import {
    pub(super) fn new(database: Box<dyn ImportDatabase>, clock: SharedClock) -> Self {
        Self {
            database,
            clock,
            current: None,
            numbers: 0..0,
            types: HashMap::new(),
        }
    }

    /// Begins a workspace that does not exist yet. `false`: its join code is taken.
    pub async fn begin(&mut self, workspace: &Workspace) -> Result<bool, StoreError> {
        let Some((no, partitions)) = self.database.begin(workspace, self.clock.now()).await? else {
            return Ok(false);
        };
        self.current = Some(WorkspaceImport {
            workspace: workspace.clone(),
            no,
            partitions: partitions
                .into_iter()
                .map(|no| (no, ChainHead::default()))
                .collect(),
        });
        Ok(true)
    }

    /// Adds the next events of the workspace: those of each partition in order.
    pub async fn events(&mut self, events: Vec<StoredEvent>) -> Result<(), ImportFault> {
        let mut types = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            if let Err(error) = event.decode() {
                let reason = error.to_string();
                return Err(ImportFault::Entry { index, reason });
            }
            types.push(self.type_no(event).await?);
        }
        let Self {
            database,
            current,
            numbers,
            ..
        } = self;
        let current = current.as_mut().ok_or_else(no_import)?;
        let names: BTreeSet<_> = events.iter().map(|event| event.stream.as_str()).collect();
        let names: Vec<_> = names.into_iter().collect();
        let stored = database.streams(current.no, &names).await?;
        let mut streams = Streams {
            stored: stored.into_iter().collect(),
            new: Vec::new(),
        };
        let mut validated = ValidatedGroup::default();
        let mut partitions: HashMap<u32, PartitionUpdate> = HashMap::new();
        for (index, (event, type_no)) in events.into_iter().zip(types).enumerate() {
            if numbers.is_empty() {
                *numbers = database.stream_numbers().await?;
            }
            let (partition_no, update) = current
                .chain(&event, streams.version(&event.stream))
                .map_err(|reason| ImportFault::Entry { index, reason })?;
            partitions
                .entry(event.partition)
                .and_modify(|partition| {
                    partition.head = update.head;
                    partition.head_hash.clone_from(&update.head_hash);
                })
                .or_insert(update);
            validated.events.push(EventRow {
                partition_no,
                stream_no: streams.advance(&event, current.no, partition_no, numbers),
                type_no,
                // an exported event does not say that it is the first of its command
                command: None,
                event,
            });
        }
        validated.streams = streams.new;
        validated.type_blocks = TypeBlock::of_all(&validated.events);
        validated.partitions = partitions.into_values().collect();
        validated.partitions.sort_by_key(|partition| partition.no);
        Ok(database.write(&validated).await?)
    }

    /// Adds commands of the workspace.
    pub async fn commands(&mut self, commands: Vec<AnsweredCommand>) -> Result<(), ImportFault> {
        let current = self.current.as_ref().ok_or_else(no_import)?;
        let mut validated = ValidatedGroup::default();
        for (index, command) in commands.into_iter().enumerate() {
            if let Err(error) = command.token() {
                let reason = error.to_string();
                return Err(ImportFault::Entry { index, reason });
            }
            validated.commands.push(CommandRow {
                workspace_no: current.no,
                command_id: command.command_id,
                // no export has it
                body_digest: UNKNOWN_BODY,
                correlation_id: command.correlation_id,
                answer: command.answer,
            });
        }
        Ok(self.database.write(&validated).await?)
    }

    /// The chain heads of the workspace's partitions so far.
    pub fn chain_heads(&self) -> impl Iterator<Item = &ChainHead> {
        self.current
            .iter()
            .flat_map(|workspace| &workspace.partitions)
            .map(|(_, head)| head)
    }

    /// An id that several of the workspace's events have, of which there must be none: dead letters, effects
    /// and commands of policies are known by the id of their event.
    pub async fn repeated_event_id(&mut self) -> Result<Option<Uuid>, StoreError> {
        let no = self.current.as_ref().ok_or_else(no_import)?.no;
        self.database.repeated_event_id(no).await
    }

    /// Ends the workspace; another may begin.
    pub fn end(&mut self) -> Result<(), StoreError> {
        self.current.take().map(|_| ()).ok_or_else(no_import)
    }

    /// Makes the workspaces visible.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.database.commit().await
    }

    /// Rolls back everything that was not committed.
    pub async fn roll_back(&mut self) -> Result<(), StoreError> {
        self.current = None;
        self.database.roll_back().await
    }

    /// The time by which events of the future are recognised.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Closes the connection and releases the store's lock.
    pub async fn close(self) -> Result<(), StoreError> {
        self.database.close().await
    }

    async fn type_no(&mut self, event: &StoredEvent) -> Result<i64, StoreError> {
        let key = (event.event_type.clone(), event.schema_version);
        if let Some(no) = self.types.get(&key) {
            return Ok(*no);
        }
        let no = self.database.type_no(&key.0, key.1).await?;
        self.types.insert(key, no);
        Ok(no)
    }
}

fn no_import() -> StoreError {
    StoreError::Unavailable("no workspace is being imported".to_owned())
}

impl WorkspaceImport {
    /// Checks an event and makes it the head of its partition; returns the partition's number and its update.
    fn chain(&mut self, event: &StoredEvent, version: u64) -> Result<(i64, PartitionUpdate), String> {
        let shards = self.workspace.shards;
        let (no, head) = self
            .partitions
            .get_mut(event.partition as usize)
            .ok_or_else(|| format!("the workspace has partitions 0 to {}", shards.saturating_sub(1)))?;
        if event.workspace != self.workspace.id {
            return Err(format!("it is of workspace {}", event.workspace));
        }
        if let Some(fault) = head.fault(event, (event.partition, shards), version) {
            return Err(fault);
        }
        let before = head.clone();
        head.advance(event);
        let update = PartitionUpdate {
            no: *no,
            workspace: self.workspace.id,
            workspace_no: self.no,
            partition: event.partition,
            before: before.position,
            hash_before: before.hash,
            head: head.position,
            head_hash: head.hash.clone(),
        };
        Ok((*no, update))
    }
}

/// The streams of a batch.
struct Streams {
    /// Those that exist, with their versions after the events so far.
    stored: HashMap<String, CachedStream>,
    new: Vec<NewStream>,
}

impl Streams {
    fn version(&self, name: &StreamName) -> u64 {
        self.stored.get(name.as_str()).map_or(0, |stream| stream.version)
    }

    /// Advances the stream to an event; returns the stream's number.
    fn advance(
        &mut self,
        event: &StoredEvent,
        workspace_no: i64,
        partition_no: i64,
        numbers: &mut Range<i64>,
    ) -> i64 {
        if let Some(stream) = self.stored.get_mut(event.stream.as_str()) {
            stream.version = event.version;
            return stream.no;
        }
        // `numbers` is filled before every event, so there is one
        let no = numbers.next().unwrap_or(i64::MAX);
        let version = event.version;
        self.stored
            .insert(event.stream.to_string(), CachedStream { no, version });
        self.new.push(NewStream {
            no,
            workspace_no,
            name: event.stream.clone(),
            partition_no,
            version,
        });
        no
    }
}
