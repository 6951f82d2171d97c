//! Validates one group in memory: each append by itself, against the state that the ones before it in the
//! group leave.
//!
//! Nothing here waits. A refused append leaves no trace; an accepted one has its positions, versions, hashes
//! and answer when this returns. They hold once the transaction is committed.

use std::collections::{BTreeSet, HashMap};

use clock::Clock;
use domain::{
    event::{RecordedEvent, StoredEvent},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::AppendedEvent,
};
use uuid::Uuid;

use super::append_cache::{AppendCache, CachedPartition, CachedStream};
use crate::{
    Append, AppendAnswer, AppendError, NewEvent, RecordedCommand, StoreError, StreamAppend,
    StreamAppendAnswer, answer::StoredAnswer, type_block::TypeBlock,
};

/// An event with the foreign keys of its row.
pub(crate) struct EventRow {
    pub(crate) partition_no: i64,
    pub(crate) stream_no: i64,
    pub(crate) type_no: i64,
    /// At the first event of a command: what its answer needs beyond its events.
    pub(crate) command: Option<CommandOfEvents>,
    pub(crate) event: StoredEvent,
}

/// The columns of a command in the row of its first event.
pub(crate) struct CommandOfEvents {
    pub(crate) workspace_no: i64,
    pub(crate) body_digest: [u8; 32],
    /// The number of its events.
    pub(crate) event_count: u64,
    /// JSON, if it names several streams.
    pub(crate) answer: Option<String>,
}

/// A stream that gets its first event. Its later versions are those of its events.
pub(crate) struct NewStream {
    pub(crate) no: i64,
    pub(crate) workspace_no: i64,
    pub(crate) name: StreamName,
    pub(crate) partition_no: i64,
    /// After its first append.
    pub(crate) version: u64,
}

/// A partition that the group appends to, or that a decision relies on: its head before and after.
pub(crate) struct PartitionUpdate {
    pub(crate) no: i64,
    pub(crate) workspace: WorkspaceId,
    pub(crate) workspace_no: i64,
    pub(crate) partition: u32,
    pub(crate) before: u64,
    pub(crate) hash_before: String,
    pub(crate) head: u64,
    pub(crate) head_hash: String,
}

impl PartitionUpdate {
    /// The partition before the group: its head is unchanged.
    fn unchanged(
        partition: &CachedPartition,
        (workspace, workspace_no): (WorkspaceId, i64),
        index: u32,
    ) -> Self {
        Self {
            no: partition.no,
            workspace,
            workspace_no,
            partition: index,
            before: partition.head,
            hash_before: partition.head_hash.clone(),
            head: partition.head,
            head_hash: partition.head_hash.clone(),
        }
    }
}

/// A command with a row of its own.
pub(crate) struct CommandRow {
    pub(crate) workspace_no: i64,
    pub(crate) command_id: Uuid,
    pub(crate) body_digest: [u8; 32],
    pub(crate) correlation_id: Uuid,
    pub(crate) answer: String,
}

/// The rows that a group writes.
#[derive(Default)]
pub(crate) struct ValidatedGroup {
    /// In the order of partitions and positions; those of a partition have no gap.
    pub(crate) events: Vec<EventRow>,
    pub(crate) streams: Vec<NewStream>,
    /// In the order of their numbers.
    pub(crate) partitions: Vec<PartitionUpdate>,
    /// Blocks that have an event of a type for the first time, as far as this process knows.
    pub(crate) type_blocks: BTreeSet<TypeBlock>,
    /// The commands that no event tells of.
    pub(crate) commands: Vec<CommandRow>,
    /// The numbers of the workspaces with a command that has a row because it has no event.
    pub(crate) eventless: BTreeSet<i64>,
    /// The numbers of the workspaces with a new command and with commands in the table of before.
    pub(crate) earlier: BTreeSet<i64>,
}

impl ValidatedGroup {
    /// Whether there is nothing to write: every append was refused, or is a repetition.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.commands.is_empty()
    }
}

/// Validates the appends of a group, one after another.
pub(super) struct GroupValidator<'a> {
    cache: &'a mut AppendCache,
    /// Knows the time of each workspace.
    clock: &'a dyn Clock,
    /// Whether other servers append to the same log.
    shared: bool,
    events: Vec<EventRow>,
    streams: Vec<NewStream>,
    type_blocks: BTreeSet<TypeBlock>,
    partitions: HashMap<i64, PartitionUpdate>,
    commands: Vec<CommandRow>,
    eventless: BTreeSet<i64>,
    earlier: BTreeSet<i64>,
}

impl<'a> GroupValidator<'a> {
    pub(super) fn new(cache: &'a mut AppendCache, clock: &'a dyn Clock, shared: bool) -> Self {
        let (events, commands) = (Vec::new(), Vec::new());
        Self {
            cache,
            clock,
            shared,
            events,
            streams: Vec::new(),
            type_blocks: BTreeSet::new(),
            partitions: HashMap::new(),
            commands,
            eventless: BTreeSet::new(),
            earlier: BTreeSet::new(),
        }
    }

    /// Accepts or refuses one append.
    pub(super) fn validate(&mut self, append: &Append) -> Result<AppendAnswer, AppendError> {
        let Some(workspace) = self.cache.workspaces.get(&append.workspace) else {
            return Err(AppendError::UnknownWorkspace(append.workspace));
        };
        let (workspace_no, answers_in_rows) = (workspace.no, workspace.answers_in_rows);
        if workspace.has_earlier_commands {
            self.earlier.insert(workspace_no);
        }
        let command_id = append.metadata.command_id;
        if let Some(recorded) = self.cache.commands.get(&(workspace_no, command_id)) {
            return if recorded.is_repeated_by(&append.body_digest) {
                Ok(recorded.answer.clone())
            } else {
                Err(AppendError::CommandReused(command_id))
            };
        }
        // All versions before the first event: a conflict on the second stream must leave the first
        // unchanged.
        for part in &append.streams {
            let current = workspace
                .partition(&part.stream)
                .and_then(|partition| partition.streams.get(&part.stream))
                .map_or(0, |stream| stream.version);
            if !part.expected.is_met_by(current) {
                return Err(AppendError::Conflict {
                    stream: part.stream.clone(),
                    current,
                });
            }
        }
        let stored = workspace.events();
        let new: usize = append.streams.iter().map(|part| part.events.len()).sum();
        if let Some(most) = append
            .max_events
            .filter(|most| new > 0 && stored + new as u64 > *most)
        {
            return Err(AppendError::Full { stored, most });
        }
        if append.max_events.is_some() && self.shared {
            self.rely_on_all(append.workspace);
        }
        let mut streams = Vec::with_capacity(append.streams.len());
        let mut token = ConsistencyToken::default();
        let mut partitions = Vec::with_capacity(append.streams.len());
        let first = self.events.len();
        let now = self.clock.now_in(append.workspace);
        for part in &append.streams {
            let (appended, partition, head) = self.store(append, part, now)?;
            token.advance(partition, head);
            partitions.push(partition);
            streams.push(appended);
        }
        let answer = AppendAnswer {
            correlation_id: append.metadata.correlation_id,
            streams,
            token,
        };
        let json = || StoredAnswer::new(&answer, partitions).to_json();
        match self.events.get_mut(first) {
            Some(row) if !answers_in_rows => {
                row.command = Some(CommandOfEvents {
                    workspace_no,
                    body_digest: append.body_digest,
                    event_count: new as u64,
                    answer: (append.streams.len() > 1).then(json).transpose()?,
                });
            }
            _ => {
                if !answers_in_rows {
                    self.eventless.insert(workspace_no);
                }
                self.commands.push(CommandRow {
                    workspace_no,
                    command_id,
                    body_digest: append.body_digest,
                    correlation_id: answer.correlation_id,
                    answer: json()?,
                });
            }
        }
        let recorded = RecordedCommand {
            body_digest: append.body_digest,
            answer: answer.clone(),
        };
        self.cache.commands.insert((workspace_no, command_id), recorded);
        Ok(answer)
    }

    /// The number of a workspace's events depends on all its partitions: the write has to confirm each of
    /// them.
    fn rely_on_all(&mut self, id: WorkspaceId) {
        let Some(workspace) = self.cache.workspaces.get(&id) else {
            return;
        };
        for (index, partition) in (0..).zip(&workspace.partitions) {
            self.partitions
                .entry(partition.no)
                .or_insert_with(|| PartitionUpdate::unchanged(partition, (id, workspace.no), index));
        }
    }

    /// The rows to write.
    pub(super) fn finish(mut self) -> ValidatedGroup {
        self.events
            .sort_by_key(|row| (row.partition_no, row.event.position));
        let mut partitions: Vec<_> = self.partitions.into_values().collect();
        partitions.sort_by_key(|partition| partition.no);
        ValidatedGroup {
            partitions,
            events: self.events,
            streams: self.streams,
            type_blocks: self.type_blocks,
            commands: self.commands,
            eventless: self.eventless,
            earlier: self.earlier,
        }
    }

    /// Adds the events of one stream; returns the answer for it, and the partition with its head.
    fn store(
        &mut self,
        append: &Append,
        part: &StreamAppend,
        now: Timestamp,
    ) -> Result<(StreamAppendAnswer, u32, u64), AppendError> {
        let unknown = || AppendError::UnknownWorkspace(append.workspace);
        let mut types = Vec::with_capacity(part.events.len());
        for event in &part.events {
            types.push(self.type_no(event)?);
        }
        let workspace = self
            .cache
            .workspaces
            .get_mut(&append.workspace)
            .ok_or_else(unknown)?;
        let (workspace_no, index) = (workspace.no, workspace.index(&part.stream));
        let partition = workspace.partitions.get_mut(index as usize).ok_or_else(unknown)?;
        let update = self.partitions.entry(partition.no).or_insert_with(|| {
            PartitionUpdate::unchanged(partition, (append.workspace, workspace_no), index)
        });
        let (mut stream, is_new) = match partition.streams.get(&part.stream) {
            Some(stream) => (*stream, false),
            None if part.events.is_empty() => (CachedStream { no: 0, version: 0 }, true),
            None => {
                let no = self.cache.stream_nos.next().ok_or_else(|| {
                    StoreError::Unavailable("no number is left for a new stream".to_owned())
                })?;
                (CachedStream { no, version: 0 }, true)
            }
        };
        let mut events = Vec::with_capacity(part.events.len());
        for (event, type_no) in part.events.iter().zip(types) {
            stream.version += 1;
            let event = recorded(
                append,
                part,
                event,
                (index, &*partition),
                stream.version,
                partition.next_recorded_at(now),
            );
            partition.head = event.position;
            partition.head_hash.clone_from(&event.hash);
            partition.recorded_at = Some(event.recorded_at);
            events.push(AppendedEvent {
                event_id: event.event_id,
                event_type: event.event_type.clone(),
                version: event.version,
                position: event.position,
                partition: index,
            });
            let row = EventRow {
                partition_no: partition.no,
                stream_no: stream.no,
                type_no,
                command: None,
                event,
            };
            let type_block = TypeBlock::of(&row);
            if partition.newest_block.note(type_block) {
                self.type_blocks.insert(type_block);
            }
            self.events.push(row);
        }
        let head = partition.head;
        if !part.events.is_empty() {
            update.head = head;
            update.head_hash.clone_from(&partition.head_hash);
            if is_new {
                self.streams.push(NewStream {
                    no: stream.no,
                    workspace_no,
                    name: part.stream.clone(),
                    partition_no: partition.no,
                    version: stream.version,
                });
            }
            self.cache.note_stream(append.workspace, &part.stream, stream);
        }
        Ok((
            StreamAppendAnswer {
                stream: part.stream.clone(),
                version: stream.version,
                events,
            },
            index,
            head,
        ))
    }

    fn type_no(&self, event: &NewEvent) -> Result<i64, StoreError> {
        self.cache
            .type_no(&event.event_type, event.schema_version)
            .ok_or_else(|| {
                StoreError::Unavailable(format!("event type {} has not been registered", event.event_type))
            })
    }
}

/// The event, as the one after the head of its partition.
fn recorded(
    append: &Append,
    part: &StreamAppend,
    event: &NewEvent,
    (index, partition): (u32, &CachedPartition),
    version: u64,
    recorded_at: Timestamp,
) -> StoredEvent {
    let mut recorded = RecordedEvent {
        workspace: append.workspace,
        partition: index,
        position: partition.head + 1,
        stream: part.stream.clone(),
        version,
        event_id: event.event_id,
        event_type: event.event_type.clone(),
        schema_version: event.schema_version,
        payload: event.payload.clone(),
        metadata: append.metadata.clone(),
        recorded_at,
        hash: String::new(),
    };
    recorded.hash = recorded.chain_hash(&partition.head_hash);
    recorded
}
