//! Bringing in a workspace that was exported elsewhere, with everything as it was: ids, versions, positions, times, hashes
//! and answered commands.
//!
//! One transaction a workspace: until [`Import::commit`] nobody sees anything of it, and what is given up was never there.
//! Every event is held to what an append would have made true, so a log that does not chain cannot come in. Memory does not
//! grow with the log: what is known of streams is asked of the database, batch by batch.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use async_trait::async_trait;
use domain::{event::StoredEvent, id::StreamName, timestamp::Timestamp, token::ConsistencyToken};
use uuid::Uuid;

use super::{
    StoreError, Workspace,
    answer::StoredAnswer,
    appender::{AcceptedCommand, CachedStream, MovedPartition, MovedStream, Placed, ValidatedGroup},
    chain_head::ChainHead,
};
use clock::SharedClock;

/// A command with its answer, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredCommand {
    /// Its id.
    pub command_id: Uuid,
    /// A digest of its body.
    pub body_digest: [u8; 32],
    /// Shared by everything that the intention caused.
    pub correlation_id: Uuid,
    /// JSON, the store's own.
    pub answer: String,
}

impl AnsweredCommand {
    /// How far a reader must have seen to see what it appended.
    pub fn token(&self) -> Result<ConsistencyToken, StoreError> {
        Ok(StoredAnswer::from_json(&self.answer)?.token)
    }
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// One of its entries, by its place in the batch.
    #[error("{reason}")]
    Entry {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an import asks of a database: one connection, and one transaction on it.
#[async_trait]
pub(super) trait ImportDatabase: Send {
    /// Begins the transaction and opens the workspace in it: its number, and those of its partitions. `None`: the join code
    /// is taken, and nothing was begun.
    async fn begin(
        &mut self,
        workspace: &Workspace,
        now: Timestamp,
    ) -> Result<Option<(i64, Vec<i64>)>, StoreError>;

    /// Those of these streams that are there.
    async fn streams(
        &mut self,
        workspace_no: i64,
        names: &[&str],
    ) -> Result<Vec<(String, CachedStream)>, StoreError>;

    /// Numbers that no stream has.
    async fn stream_numbers(&mut self) -> Result<Range<i64>, StoreError>;

    /// The number of an event type, which it gets if it has none.
    async fn type_no(&mut self, name: &str, schema_version: u32) -> Result<i64, StoreError>;

    /// Writes rows.
    async fn write(&mut self, judged: &ValidatedGroup) -> Result<(), StoreError>;

    /// Ends the transaction; when it returns, the workspace is durable.
    async fn commit(&mut self) -> Result<(), StoreError>;

    /// Ends the transaction without a trace.
    async fn roll_back(&mut self) -> Result<(), StoreError>;

    /// Closes the connection.
    async fn close(self: Box<Self>) -> Result<(), StoreError>;
}

/// The workspace under way.
struct Begun {
    workspace: Workspace,
    no: i64,
    partitions: Vec<(i64, ChainHead)>,
}

/// See the module.
pub struct Import {
    database: Box<dyn ImportDatabase>,
    clock: SharedClock,
    begun: Option<Begun>,
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
            begun: None,
            numbers: 0..0,
            types: HashMap::new(),
        }
    }

    /// Begins a workspace that is not there yet. `false`: its join code is taken.
    pub async fn begin(&mut self, workspace: &Workspace) -> Result<bool, StoreError> {
        let Some((no, partitions)) = self.database.begin(workspace, self.clock.now()).await? else {
            return Ok(false);
        };
        self.begun = Some(Begun {
            workspace: workspace.clone(),
            no,
            partitions: partitions
                .into_iter()
                .map(|no| (no, ChainHead::default()))
                .collect(),
        });
        Ok(true)
    }

    /// Takes the next events of the workspace: of each partition in its order.
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
            begun,
            numbers,
            ..
        } = self;
        let begun = begun.as_mut().ok_or_else(nothing_begun)?;
        let names: BTreeSet<_> = events.iter().map(|event| event.stream.as_str()).collect();
        let names: Vec<_> = names.into_iter().collect();
        let known = database.streams(begun.no, &names).await?;
        let mut streams = Streams {
            known: known.into_iter().collect(),
            moved: HashMap::new(),
        };
        let mut judged = ValidatedGroup::default();
        let mut partitions: HashMap<u32, MovedPartition> = HashMap::new();
        for (index, (event, type_no)) in events.into_iter().zip(types).enumerate() {
            if numbers.is_empty() {
                *numbers = database.stream_numbers().await?;
            }
            let (partition_no, moved) = begun
                .link(&event, streams.version(&event.stream))
                .map_err(|reason| ImportFault::Entry { index, reason })?;
            partitions
                .entry(event.partition)
                .and_modify(|partition| {
                    partition.head = moved.head;
                    partition.head_hash.clone_from(&moved.head_hash);
                })
                .or_insert(moved);
            judged.events.push(Placed {
                partition_no,
                stream_no: streams.advance(&event, begun.no, partition_no, numbers),
                type_no,
                event,
            });
        }
        judged.streams = streams.moved.into_values().collect();
        judged.partitions = partitions.into_values().collect();
        judged.partitions.sort_by_key(|partition| partition.no);
        Ok(database.write(&judged).await?)
    }

    /// Takes commands of the workspace.
    pub async fn commands(&mut self, commands: Vec<AnsweredCommand>) -> Result<(), ImportFault> {
        let begun = self.begun.as_ref().ok_or_else(nothing_begun)?;
        let mut judged = ValidatedGroup::default();
        for (index, command) in commands.into_iter().enumerate() {
            if let Err(error) = command.token() {
                let reason = error.to_string();
                return Err(ImportFault::Entry { index, reason });
            }
            judged.commands.push(AcceptedCommand {
                workspace_no: begun.no,
                command_id: command.command_id,
                body_digest: command.body_digest,
                correlation_id: command.correlation_id,
                answer: command.answer,
            });
        }
        Ok(self.database.write(&judged).await?)
    }

    /// Where the partitions of the workspace stand by now.
    pub fn links(&self) -> impl Iterator<Item = &ChainHead> {
        self.begun
            .iter()
            .flat_map(|begun| &begun.partitions)
            .map(|(_, link)| link)
    }

    /// Makes the workspace visible, whole.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.begun.take().ok_or_else(nothing_begun)?;
        self.database.commit().await
    }

    /// Leaves no trace of the workspace under way, where there is one.
    pub async fn give_up(&mut self) -> Result<(), StoreError> {
        match self.begun.take() {
            Some(_) => self.database.roll_back().await,
            None => Ok(()),
        }
    }

    /// Closes the connection, and lets others at the store.
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

fn nothing_begun() -> StoreError {
    StoreError::Unavailable("no workspace is being imported".to_owned())
}

impl Begun {
    /// Hangs an event on its partition: the partition's number, and how it has moved.
    fn link(&mut self, event: &StoredEvent, version: u64) -> Result<(i64, MovedPartition), String> {
        let shards = self.workspace.shards;
        let (no, link) = self
            .partitions
            .get_mut(event.partition as usize)
            .ok_or_else(|| format!("the workspace has partitions 0 to {}", shards.saturating_sub(1)))?;
        if event.workspace != self.workspace.id {
            return Err(format!("it is of workspace {}", event.workspace));
        }
        if let Some(fault) = link.fault(event, (event.partition, shards), version) {
            return Err(fault);
        }
        let before = link.clone();
        link.advance(event);
        let moved = MovedPartition {
            no: *no,
            workspace: self.workspace.id,
            workspace_no: self.no,
            partition: event.partition,
            before: before.position,
            hash_before: before.hash,
            head: link.position,
            head_hash: link.hash.clone(),
        };
        Ok((*no, moved))
    }
}

/// The streams of a batch.
struct Streams {
    known: HashMap<String, CachedStream>,
    moved: HashMap<StreamName, MovedStream>,
}

impl Streams {
    fn version(&self, name: &StreamName) -> u64 {
        let moved = self.moved.get(name).map(|stream| stream.version);
        moved.unwrap_or_else(|| self.known.get(name.as_str()).map_or(0, |stream| stream.version))
    }

    /// Moves the stream on to an event; its number.
    fn advance(
        &mut self,
        event: &StoredEvent,
        workspace_no: i64,
        partition_no: i64,
        numbers: &mut Range<i64>,
    ) -> i64 {
        let known = self.known.get(event.stream.as_str());
        let stream = self
            .moved
            .entry(event.stream.clone())
            .or_insert_with(|| MovedStream {
                // `numbers` is filled before every event, so there is one
                no: known.map_or_else(|| numbers.next().unwrap_or(i64::MAX), |stream| stream.no),
                workspace_no,
                name: event.stream.clone(),
                partition_no,
                is_new: known.is_none(),
                version: 0,
            });
        stream.version = event.version;
        stream.no
    }
}
