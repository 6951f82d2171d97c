//! One group in memory: each append is judged on its own, and sees what the ones before it in the group did.
//!
//! Nothing here waits. What is not accepted leaves no trace; what is accepted has its positions, versions, hashes and
//! answer when this returns, and is true once the transaction is committed.

use std::collections::{BTreeMap, HashMap};

use domain::{
    event::{RecordedEvent, StoredEvent},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::AppendedEvent,
};
use uuid::Uuid;

use super::{
    directory::StoredAnswer,
    known::{Known, KnownPartition, KnownStream},
};
use crate::event_store::{
    Append, AppendError, Appended, NewEvent, RecordedCommand, StoreError, StreamAppend, StreamAppended,
};

/// An event with the numbers that the tables need.
pub(super) struct Placed {
    pub(super) partition_no: i64,
    pub(super) stream_no: i64,
    pub(super) type_no: i64,
    pub(super) event: StoredEvent,
}

/// A stream that the group moved.
pub(super) struct MovedStream {
    pub(super) no: i64,
    pub(super) workspace_no: i64,
    pub(super) name: StreamName,
    pub(super) partition_no: i64,
    pub(super) version: u64,
}

/// A command that the group accepted.
pub(super) struct AcceptedCommand {
    pub(super) workspace_no: i64,
    pub(super) command_id: Uuid,
    pub(super) body_digest: [u8; 32],
    pub(super) correlation_id: Uuid,
    pub(super) answer: String,
}

/// What a group writes.
#[derive(Default)]
pub(super) struct Judged {
    /// In the order of their places: of a partition all together, without a gap.
    pub(super) events: Vec<Placed>,
    pub(super) streams: Vec<MovedStream>,
    pub(super) partitions: Vec<KnownPartition>,
    pub(super) commands: Vec<AcceptedCommand>,
}

/// The judge of a group.
pub(super) struct Judge<'a> {
    known: &'a mut Known,
    now: Timestamp,
    events: Vec<Placed>,
    streams: HashMap<i64, MovedStream>,
    /// By workspace and partition.
    partitions: BTreeMap<i64, (WorkspaceId, u32)>,
    commands: Vec<AcceptedCommand>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(known: &'a mut Known, now: Timestamp) -> Self {
        let (events, commands) = (Vec::new(), Vec::new());
        Self {
            known,
            now,
            events,
            streams: HashMap::new(),
            partitions: BTreeMap::new(),
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
            let current = self.version(workspace_no, &part.stream);
            if !part.expected.is_met_by(current) {
                return Err(AppendError::Conflict {
                    stream: part.stream.clone(),
                    current,
                });
            }
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

    /// What is to be written.
    pub(super) fn finish(mut self) -> Judged {
        self.events
            .sort_by_key(|placed| (placed.partition_no, placed.event.position));
        let known = &self.known;
        let partition = |(id, partition): &(WorkspaceId, u32)| {
            known
                .workspaces
                .get(id)
                .and_then(|workspace| workspace.partitions.get(*partition as usize))
                .cloned()
        };
        Judged {
            partitions: self.partitions.values().filter_map(partition).collect(),
            events: self.events,
            streams: self.streams.into_values().collect(),
            commands: self.commands,
        }
    }

    fn version(&self, workspace_no: i64, stream: &StreamName) -> u64 {
        self.known
            .streams
            .get(&(workspace_no, stream.clone()))
            .map_or(0, |known| known.version)
    }

    /// The events of one stream: what the caller hears, and the partition with its head.
    fn store(
        &mut self,
        append: &Append,
        part: &StreamAppend,
    ) -> Result<(StreamAppended, u32, u64), AppendError> {
        let unknown = || AppendError::UnknownWorkspace(append.workspace);
        let workspace_no = self
            .known
            .workspaces
            .get(&append.workspace)
            .ok_or_else(unknown)?
            .no;
        let key = (workspace_no, part.stream.clone());
        let mut stream = match self.known.streams.get(&key) {
            Some(known) => *known,
            None if part.events.is_empty() => KnownStream { no: 0, version: 0 },
            None => KnownStream {
                no: self.known.new_stream_no(),
                version: 0,
            },
        };
        let mut types = Vec::with_capacity(part.events.len());
        for event in &part.events {
            types.push(self.type_no(event)?);
        }
        let partitions = &mut self
            .known
            .workspaces
            .get_mut(&append.workspace)
            .ok_or_else(unknown)?
            .partitions;
        let index = part
            .stream
            .partition(u32::try_from(partitions.len()).unwrap_or(u32::MAX));
        let partition = partitions.get_mut(index as usize).ok_or_else(unknown)?;
        let mut events = Vec::with_capacity(part.events.len());
        for (event, type_no) in part.events.iter().zip(types) {
            stream.version += 1;
            let event = self::recorded(append, &part.stream, event, partition, stream.version, self.now);
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
            self.partitions.insert(partition.no, (append.workspace, index));
            let moved = MovedStream {
                no: stream.no,
                workspace_no,
                name: part.stream.clone(),
                partition_no: partition.no,
                version: stream.version,
            };
            self.streams.insert(stream.no, moved);
            self.known.streams.insert(key, stream);
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
    stream: &StreamName,
    event: &NewEvent,
    partition: &KnownPartition,
    version: u64,
    now: Timestamp,
) -> StoredEvent {
    let mut recorded = RecordedEvent {
        workspace: append.workspace,
        partition: partition.partition,
        position: partition.head + 1,
        stream: stream.clone(),
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
