//! What the judge has to know: workspaces with the heads of their partitions, versions of streams, numbers of types,
//! and which commands were answered before.
//!
//! Looked up by the database's writer where it is missing, and kept. A stream's version is kept with its partition: it is
//! true as long as the partition's head is, because every append moves the head.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use domain::id::{StreamName, WorkspaceId};
use uuid::Uuid;

use crate::{Append, Expected, RecordedCommand, StreamAppend};

/// More than this many streams or workspaces, and the memory starts afresh: simpler than an order of age, and as rare.
const MAX_STREAMS: usize = 200_000;
const MAX_WORKSPACES: usize = 20_000;

/// A stream that has an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CachedStream {
    pub(crate) no: i64,
    pub(crate) version: u64,
}

/// A partition, its head, and those of its streams that were met.
#[derive(Debug)]
pub(crate) struct CachedPartition {
    pub(crate) no: i64,
    pub(crate) head: u64,
    pub(crate) head_hash: String,
    pub(crate) streams: HashMap<StreamName, CachedStream>,
}

/// A workspace with its partitions, in their order.
#[derive(Debug)]
pub(crate) struct CachedWorkspace {
    pub(crate) no: i64,
    pub(crate) partitions: Vec<CachedPartition>,
}

impl CachedWorkspace {
    /// The partition of a stream, as an index.
    pub(crate) fn index(&self, stream: &StreamName) -> u32 {
        stream.partition(u32::try_from(self.partitions.len()).unwrap_or(u32::MAX))
    }

    /// How many events it has: positions are dense.
    pub(crate) fn events(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.head).sum()
    }

    /// The partition of a stream.
    pub(crate) fn partition(&self, stream: &StreamName) -> Option<&CachedPartition> {
        self.partitions.get(self.index(stream) as usize)
    }
}

/// A stream that is to be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MissingStream {
    pub(crate) workspace: WorkspaceId,
    pub(crate) workspace_no: i64,
    pub(crate) name: StreamName,
}

impl StreamAppend {
    /// Whether the stream must be known before the append is judged. One that is to have its first event now need not be:
    /// if it is there already the write finds out, because a name is there once.
    pub(crate) fn must_be_known(&self) -> bool {
        self.events.is_empty() || !matches!(self.expected, Expected::NoStream | Expected::Exact(0))
    }
}

/// What is known at the moment.
#[derive(Debug, Default)]
pub(crate) struct AppendCache {
    pub(crate) workspaces: HashMap<WorkspaceId, CachedWorkspace>,
    /// Only of the group under way, by the number of the workspace.
    pub(crate) commands: HashMap<(i64, Uuid), RecordedCommand>,
    /// Numbers for streams that have their first event. One that is not written leaves a hole, which nobody minds.
    pub(crate) stream_nos: Range<i64>,
    types: HashMap<String, Vec<(u32, i64)>>,
    /// How many streams have been noted since the memory was empty.
    streams: usize,
}

impl AppendCache {
    /// Begins a group: forgets the commands of the last one, and everything where it has become too much.
    pub(super) fn begin(&mut self) {
        self.commands.clear();
        if self.workspaces.len() > MAX_WORKSPACES || self.streams > MAX_STREAMS {
            self.workspaces.clear();
            self.streams = 0;
        }
    }

    /// Forgets everything that a failure may have made untrue.
    pub(super) fn forget(&mut self) {
        self.workspaces.clear();
        self.commands.clear();
        self.streams = 0;
    }

    /// Forgets a workspace that is there no more.
    pub(crate) fn forget_workspace(&mut self, workspace: WorkspaceId) {
        self.workspaces.remove(&workspace);
    }

    /// The workspaces that these appends name and that are not known.
    pub(crate) fn missing_workspaces(&self, appends: &[&Append]) -> Vec<WorkspaceId> {
        let ids: HashSet<_> = appends.iter().map(|append| append.workspace).collect();
        ids.into_iter()
            .filter(|id| !self.workspaces.contains_key(id))
            .collect()
    }

    /// The streams of known workspaces that these appends name, that are not known, and that `wanted` wants; each once.
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
                let known = workspace
                    .partition(&part.stream)
                    .is_some_and(|partition| partition.streams.contains_key(&part.stream));
                if !known {
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

    /// The commands of these appends, each once, with the number of its workspace.
    pub(crate) fn wanted_commands(&self, appends: &[&Append]) -> Vec<(i64, Uuid)> {
        let commands: HashSet<_> = appends
            .iter()
            .filter_map(|append| {
                let workspace = self.workspaces.get(&append.workspace)?;
                Some((workspace.no, append.metadata.command_id))
            })
            .collect();
        commands.into_iter().collect()
    }

    /// Those of these appends that may be refused: the version is not what they expect, another one of the group comes
    /// before them in the same stream, or the workspace may be full by then. Before that happens somebody must have looked whether they are repetitions.
    pub(crate) fn doubtful<'a>(&self, appends: &[&'a Append]) -> Vec<&'a Append> {
        let mut seen = HashSet::new();
        let mut coming: HashMap<WorkspaceId, u64> = HashMap::new();
        let mut is_doubtful = |append: &'a Append| {
            let workspace = self.workspaces.get(&append.workspace);
            let coming = coming.entry(append.workspace).or_default();
            *coming += append
                .streams
                .iter()
                .map(|part| part.events.len() as u64)
                .sum::<u64>();
            let events = workspace.map_or(0, CachedWorkspace::events) + *coming;
            let mut doubtful = append.max_events.is_some_and(|most| events > most);
            for part in &append.streams {
                let version = workspace
                    .and_then(|workspace| workspace.partition(&part.stream)?.streams.get(&part.stream))
                    .map_or(0, |stream| stream.version);
                let first = seen.insert((append.workspace, &part.stream));
                doubtful |= !first || !part.expected.is_met_by(version);
            }
            doubtful
        };
        appends
            .iter()
            .copied()
            .filter(|append| is_doubtful(append))
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

    /// Notes where a stream is.
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

    /// Notes the number of an event type.
    pub(super) fn note_type(&mut self, name: &str, schema_version: u32, no: i64) {
        self.types
            .entry(name.to_owned())
            .or_default()
            .push((schema_version, no));
    }
}
