//! The state that the validator needs: workspaces with the heads of their partitions, versions of streams,
//! numbers of types, and the commands that were answered before.
//!
//! The database's writer loads what is missing. A stream's version is cached with its partition: it is
//! current as long as the partition's head is, because every append advances the head.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use domain::{
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};
use uuid::Uuid;

use crate::{Append, Expected, RecordedCommand, StreamAppend, type_block::NewestBlock};

/// With more streams or workspaces than this, the cache is cleared: simpler than an eviction by age, and
/// rare.
const MAX_STREAMS: usize = 200_000;
const MAX_WORKSPACES: usize = 20_000;

/// A stream that has an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CachedStream {
    pub(crate) no: i64,
    pub(crate) version: u64,
}

/// A partition, its head, and those of its streams that were loaded.
#[derive(Debug)]
pub(crate) struct CachedPartition {
    pub(crate) no: i64,
    pub(crate) head: u64,
    pub(crate) head_hash: String,
    /// When its newest event was recorded; `None`: it has no event.
    pub(crate) recorded_at: Option<Timestamp>,
    pub(crate) streams: HashMap<StreamName, CachedStream>,
    pub(crate) newest_block: NewestBlock,
}

impl CachedPartition {
    /// A partition as it was loaded, without its streams.
    pub(crate) fn new(no: i64, head: u64, head_hash: String, recorded_at: Option<Timestamp>) -> Self {
        Self {
            no,
            head,
            head_hash,
            recorded_at,
            streams: HashMap::new(),
            newest_block: NewestBlock::default(),
        }
    }

    /// Replaces a head that turned out to be another: what is cached belongs to the old one.
    pub(crate) fn reset(&mut self, head: u64, head_hash: &str, recorded_at: Option<Timestamp>) {
        *self = Self::new(self.no, head, head_hash.to_owned(), recorded_at);
    }

    /// The time of the next event: that of its workspace, but always after the event before it. So the order
    /// of times is that of positions, also if a clock is put back or another server's clock is ahead,
    /// and a list that is sorted by time needs nothing else to be in the order of the log.
    pub(crate) fn next_recorded_at(&self, now: Timestamp) -> Timestamp {
        let after_head = self
            .recorded_at
            .map(|head| Timestamp::from_micros(head.as_micros().saturating_add(1)));
        after_head.map_or(now, |after_head| after_head.max(now))
    }
}

/// A workspace with its partitions, in their order.
#[derive(Debug)]
pub(crate) struct CachedWorkspace {
    pub(crate) no: i64,
    /// Whether every command has a row of its own, not only one without events.
    pub(crate) answers_in_rows: bool,
    /// Whether commands are also in the table of before, which the database has to look through.
    pub(crate) has_earlier_commands: bool,
    pub(crate) partitions: Vec<CachedPartition>,
}

impl CachedWorkspace {
    /// The index of a stream's partition.
    pub(crate) fn index(&self, stream: &StreamName) -> u32 {
        stream.partition(u32::try_from(self.partitions.len()).unwrap_or(u32::MAX))
    }

    /// The number of its events: positions are dense.
    pub(crate) fn events(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.head).sum()
    }

    /// The partition of a stream.
    pub(crate) fn partition(&self, stream: &StreamName) -> Option<&CachedPartition> {
        self.partitions.get(self.index(stream) as usize)
    }
}

/// A stream that has to be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MissingStream {
    pub(crate) workspace: WorkspaceId,
    pub(crate) workspace_no: i64,
    pub(crate) name: StreamName,
}

impl StreamAppend {
    /// Whether the stream must be loaded before the append is validated. One that gets its first event now
    /// need not be: if it exists already, the write fails, because a name is unique.
    pub(crate) fn must_be_loaded(&self) -> bool {
        self.events.is_empty() || !matches!(self.expected, Expected::NoStream | Expected::Exact(0))
    }
}

impl Append {
    /// Whether it only checks versions: no event tells of it.
    pub(crate) fn is_without_events(&self) -> bool {
        self.streams.iter().all(|part| part.events.is_empty())
    }
}

/// The cached state.
#[derive(Debug, Default)]
pub(crate) struct AppendCache {
    pub(crate) workspaces: HashMap<WorkspaceId, CachedWorkspace>,
    /// The recorded commands of the current group, by the number of the workspace.
    pub(crate) commands: HashMap<(i64, Uuid), RecordedCommand>,
    /// Numbers for streams that get their first event. One that is not written leaves a harmless hole.
    pub(crate) stream_nos: Range<i64>,
    types: HashMap<String, Vec<(u32, i64)>>,
    /// The number of cached streams.
    streams: usize,
}

impl AppendCache {
    /// Begins a group: removes the commands of the last one, and every workspace if there are too many.
    pub(super) fn begin_group(&mut self) {
        self.commands.clear();
        if self.workspaces.len() > MAX_WORKSPACES || self.streams > MAX_STREAMS {
            self.workspaces.clear();
            self.streams = 0;
        }
    }

    /// Removes everything that a failure may have invalidated.
    pub(super) fn clear(&mut self) {
        self.workspaces.clear();
        self.commands.clear();
        self.streams = 0;
    }

    /// Forgets the numbers for new streams: others may have used them.
    pub(super) fn forget_stream_numbers(&mut self) {
        self.stream_nos = 0..0;
    }

    /// Removes a workspace that has ended.
    pub(crate) fn remove_workspace(&mut self, workspace: WorkspaceId) {
        self.workspaces.remove(&workspace);
    }

    /// The workspaces of these appends that are not cached.
    pub(crate) fn missing_workspaces(&self, appends: &[&Append]) -> Vec<WorkspaceId> {
        let ids: HashSet<_> = appends.iter().map(|append| append.workspace).collect();
        ids.into_iter()
            .filter(|id| !self.workspaces.contains_key(id))
            .collect()
    }

    /// The streams of these appends that `wanted` selects and that are not cached, each once; only of cached
    /// workspaces.
    pub(crate) fn missing_streams(
        &self,
        appends: &[&Append],
        wanted: impl Fn(&StreamAppend) -> bool,
    ) -> Vec<MissingStream> {
        let mut streams = HashSet::new();
        for append in appends {
            let Some(workspace) = self.workspaces.get(&append.workspace) else {
                continue;
            };
            for part in append.streams.iter().filter(|part| wanted(part)) {
                let is_cached = workspace
                    .partition(&part.stream)
                    .is_some_and(|partition| partition.streams.contains_key(&part.stream));
                if !is_cached {
                    streams.insert(MissingStream {
                        workspace: append.workspace,
                        workspace_no: workspace.no,
                        name: part.stream.clone(),
                    });
                }
            }
        }
        streams.into_iter().collect()
    }

    /// The command ids of these appends, each once, with the number of its workspace.
    pub(crate) fn command_keys(&self, appends: &[&Append]) -> Vec<(i64, Uuid)> {
        let commands: HashSet<_> = appends
            .iter()
            .filter_map(|append| {
                let workspace = self.workspaces.get(&append.workspace)?;
                Some((workspace.no, append.metadata.command_id))
            })
            .collect();
        commands.into_iter().collect()
    }

    /// Those of these appends whose commands have to be looked up first. Some may be refused, while a
    /// repetition is answered: the version is not what they expect, another one of the group comes before
    /// them in the same stream, or the workspace may be full by then. The others have no events, so the
    /// index of the events' commands does not refuse them.
    pub(crate) fn possible_repetitions<'a>(&self, appends: &[&'a Append]) -> Vec<&'a Append> {
        let mut seen = HashSet::new();
        let mut new_events: HashMap<WorkspaceId, u64> = HashMap::new();
        let mut may_be_repeated = |append: &'a Append| {
            let workspace = self.workspaces.get(&append.workspace);
            let new_events = new_events.entry(append.workspace).or_default();
            *new_events += append
                .streams
                .iter()
                .map(|part| part.events.len() as u64)
                .sum::<u64>();
            let events = workspace.map_or(0, CachedWorkspace::events) + *new_events;
            let mut is_possible =
                append.is_without_events() || append.max_events.is_some_and(|most| events > most);
            for part in &append.streams {
                let version = workspace
                    .and_then(|workspace| workspace.partition(&part.stream)?.streams.get(&part.stream))
                    .map_or(0, |stream| stream.version);
                let first = seen.insert((append.workspace, &part.stream));
                is_possible |= !first || !part.expected.is_met_by(version);
            }
            is_possible
        };
        appends
            .iter()
            .copied()
            .filter(|append| may_be_repeated(append))
            .collect()
    }

    /// The partition of a stream.
    pub(crate) fn partition_mut(
        &mut self,
        workspace: WorkspaceId,
        stream: &StreamName,
    ) -> Option<&mut CachedPartition> {
        let workspace = self.workspaces.get_mut(&workspace)?;
        let index = workspace.index(stream);
        workspace.partitions.get_mut(index as usize)
    }

    /// Caches a stream.
    pub(crate) fn note_stream(&mut self, workspace: WorkspaceId, name: &StreamName, stream: CachedStream) {
        if let Some(partition) = self.partition_mut(workspace, name)
            && partition.streams.insert(name.clone(), stream).is_none()
        {
            self.streams += 1;
        }
    }

    /// The number of an event type.
    pub(super) fn type_no(&self, name: &str, schema_version: u32) -> Option<i64> {
        let versions = self.types.get(name)?;
        versions
            .iter()
            .find(|(version, _)| *version == schema_version)
            .map(|(_, no)| *no)
    }

    /// Caches the number of an event type.
    pub(super) fn note_type(&mut self, name: &str, schema_version: u32, no: i64) {
        self.types
            .entry(name.to_owned())
            .or_default()
            .push((schema_version, no));
    }
}
