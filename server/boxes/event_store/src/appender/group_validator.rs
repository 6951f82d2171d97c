//! One group in memory: each append is judged on its own, and sees what the ones before it in the group did.
//!
//! Nothing here waits. What is not accepted leaves no trace; what is accepted has its positions, versions, hashes and
//! answer when this returns, and is true once the transaction is committed.

use std::collections::HashMap;

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
    Append, AppendError, Appended, NewEvent, RecordedCommand, StoreError, StreamAppend, StreamAppended,
    answer::StoredAnswer,
};

/// An event with the numbers that the tables need.
pub(crate) struct Placed {
    pub(crate) partition_no: i64,
    pub(crate) stream_no: i64,
    pub(crate) type_no: i64,
    pub(crate) event: StoredEvent,
}

/// A stream that the group moved.
pub(crate) struct MovedStream {
    pub(crate) no: i64,
    pub(crate) workspace_no: i64,
    pub(crate) name: StreamName,
    pub(crate) partition_no: i64,
    /// Whether these are its first events.
    pub(crate) is_new: bool,
    pub(crate) version: u64,
}

/// A partition that the group moved, or at least relied on: its head before and after.
pub(crate) struct MovedPartition {
    pub(crate) no: i64,
    pub(crate) workspace: WorkspaceId,
    pub(crate) workspace_no: i64,
    pub(crate) partition: u32,
    pub(crate) before: u64,
    pub(crate) hash_before: String,
    pub(crate) head: u64,
    pub(crate) head_hash: String,
}

impl MovedPartition {
    /// As it is before the group.
    fn untouched(
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

/// A command that the group accepted.
pub(crate) struct AcceptedCommand {
    pub(crate) workspace_no: i64,
    pub(crate) command_id: Uuid,
    pub(crate) body_digest: [u8; 32],
    pub(crate) correlation_id: Uuid,
    pub(crate) answer: String,
}

/// What a group writes.
#[derive(Default)]
pub(crate) struct ValidatedGroup {
    /// In the order of partitions and positions: of a partition all together, without a gap.
    pub(crate) events: Vec<Placed>,
    pub(crate) streams: Vec<MovedStream>,
    /// In the order of their numbers.
    pub(crate) partitions: Vec<MovedPartition>,
    pub(crate) commands: Vec<AcceptedCommand>,
}

/// The judge of a group.
pub(super) struct GroupValidator<'a> {
    known: &'a mut AppendCache,
    now: Timestamp,
    /// Others append to the same log.
    shared: bool,
    events: Vec<Placed>,
    streams: HashMap<i64, MovedStream>,
    partitions: HashMap<i64, MovedPartition>,
    commands: Vec<AcceptedCommand>,
}

impl<'a> GroupValidator<'a> {
    pub(super) fn new(known: &'a mut AppendCache, now: Timestamp, shared: bool) -> Self {
        let (events, commands) = (Vec::new(), Vec::new());
        Self {
            known,
            now,
            shared,
            events,
            streams: HashMap::new(),
            partitions: HashMap::new(),
            commands,
        }
    }

    /// One append.
    pub(super) fn judge(&mut self, append: &Append) -> Result<Appended, AppendError> {
        let Some(workspace) = self.known.workspaces.get(&append.workspace) else {
            return Err(AppendError::UnknownWorkspace(append.workspace));
        };
        let workspace_no = workspace.no;
        let command_id = append.metadata.command_id;
        if let Some(recorded) = self.known.commands.get(&(workspace_no, command_id)) {
            return if recorded.body_digest == append.body_digest {
                Ok(recorded.answer.clone())
            } else {
                Err(AppendError::CommandReused(command_id))
            };
        }
        // All expectations before the first event: a conflict on the second stream must leave the first as it was.
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
        let mut stored = Vec::with_capacity(append.streams.len());
        for part in &append.streams {
            let (appended, partition, head) = self.store(append, part)?;
            token.advance(partition, head);
            let first = appended.events.first().map_or(0, |event| event.position);
            stored.push((
                part.stream.clone(),
                appended.version,
                partition,
                first,
                appended.events.len() as u64,
            ));
            streams.push(appended);
        }
        let stored = StoredAnswer {
            token: token.clone(),
            streams: stored,
        };
        let answer = Appended {
            correlation_id: append.metadata.correlation_id,
            streams,
            token,
        };
        self.commands.push(AcceptedCommand {
            workspace_no,
            command_id,
            body_digest: append.body_digest,
            correlation_id: answer.correlation_id,
            answer: stored.to_json()?,
        });
        let recorded = RecordedCommand {
            body_digest: append.body_digest,
            answer: answer.clone(),
        };
        self.known.commands.insert((workspace_no, command_id), recorded);
        Ok(answer)
    }

    /// How many events a workspace has is known from all its partitions: the write has to confirm each of them.
    fn rely_on_all(&mut self, id: WorkspaceId) {
        let Some(workspace) = self.known.workspaces.get(&id) else {
            return;
        };
        for (index, partition) in (0..).zip(&workspace.partitions) {
            self.partitions
                .entry(partition.no)
                .or_insert_with(|| MovedPartition::untouched(partition, (id, workspace.no), index));
        }
    }

    /// What is to be written.
    pub(super) fn finish(mut self) -> ValidatedGroup {
        self.events
            .sort_by_key(|placed| (placed.partition_no, placed.event.position));
        let mut partitions: Vec<_> = self.partitions.into_values().collect();
        partitions.sort_by_key(|partition| partition.no);
        ValidatedGroup {
            partitions,
            events: self.events,
            streams: self.streams.into_values().collect(),
            commands: self.commands,
        }
    }

    /// The events of one stream: what the caller hears, and the partition with its head.
    fn store(
        &mut self,
        append: &Append,
        part: &StreamAppend,
    ) -> Result<(StreamAppended, u32, u64), AppendError> {
        let unknown = || AppendError::UnknownWorkspace(append.workspace);
        let mut types = Vec::with_capacity(part.events.len());
        for event in &part.events {
            types.push(self.type_no(event)?);
        }
        let workspace = self
            .known
            .workspaces
            .get_mut(&append.workspace)
            .ok_or_else(unknown)?;
        let (workspace_no, index) = (workspace.no, workspace.index(&part.stream));
        let partition = workspace.partitions.get_mut(index as usize).ok_or_else(unknown)?;
        let moved = self
            .partitions
            .entry(partition.no)
            .or_insert_with(|| MovedPartition::untouched(partition, (append.workspace, workspace_no), index));
        let (mut stream, is_new) = match partition.streams.get(&part.stream) {
            Some(known) => (*known, false),
            None if part.events.is_empty() => (CachedStream { no: 0, version: 0 }, true),
            None => {
                let no = self.known.stream_nos.next().ok_or_else(|| {
                    StoreError::Unavailable("there is no number for a new stream".to_owned())
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
                self.now,
            );
            partition.head = event.position;
            partition.head_hash.clone_from(&event.hash);
            events.push(AppendedEvent {
                event_id: event.event_id,
                event_type: event.event_type.clone(),
                version: event.version,
                position: event.position,
                partition: index,
            });
            self.events.push(Placed {
                partition_no: partition.no,
                stream_no: stream.no,
                type_no,
                event,
            });
        }
        let head = partition.head;
        if !part.events.is_empty() {
            moved.head = head;
            moved.head_hash.clone_from(&partition.head_hash);
            self.streams
                .entry(stream.no)
                .or_insert_with(|| MovedStream {
                    no: stream.no,
                    workspace_no,
                    name: part.stream.clone(),
                    partition_no: partition.no,
                    is_new,
                    version: stream.version,
                })
                .version = stream.version;
            self.known.note_stream(append.workspace, &part.stream, stream);
        }
        Ok((
            StreamAppended {
                stream: part.stream.clone(),
                version: stream.version,
                events,
            },
            index,
            head,
        ))
    }

    fn type_no(&self, event: &NewEvent) -> Result<i64, StoreError> {
        self.known
            .type_no(&event.event_type, event.schema_version)
            .ok_or_else(|| {
                StoreError::Unavailable(format!("event type {} has not been registered", event.event_type))
            })
    }
}

/// The event behind the head of its partition.
fn recorded(
    append: &Append,
    part: &StreamAppend,
    event: &NewEvent,
    (index, partition): (u32, &CachedPartition),
    version: u64,
    now: Timestamp,
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
        recorded_at: now,
        hash: String::new(),
    };
    recorded.hash = recorded.chain_hash(&partition.head_hash);
    recorded
}
