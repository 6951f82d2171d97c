//! An import that writes to memory: it makes every check of an import, and what has passed is the
//! [content](WorkspaceContent) of the imported workspaces. The caller bounds the lines that it reads.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use domain::{event::StoredEvent, timestamp::Timestamp};
use uuid::Uuid;

use super::{Import, ImportDatabase};
use crate::{
    AnsweredCommand, StoreError, Workspace, WorkspaceContent,
    appender::{CachedStream, ValidatedGroup},
};
use clock::SharedClock;

/// A workspace that was read.
#[derive(Debug)]
struct DryWorkspace {
    workspace: Workspace,
    content: WorkspaceContent,
    /// By name.
    streams: HashMap<String, CachedStream>,
    event_ids: HashSet<Uuid>,
    repeated: Option<Uuid>,
}

impl DryWorkspace {
    fn add(&mut self, event: StoredEvent, stream_no: i64) {
        let stream = CachedStream {
            no: stream_no,
            version: event.version,
        };
        self.streams.insert(event.stream.to_string(), stream);
        if !self.event_ids.insert(event.event_id) {
            self.repeated = Some(event.event_id);
        }
        self.content.push_event(event);
    }
}

#[derive(Debug, Default)]
struct Collected {
    /// Their numbers are their indexes.
    workspaces: Vec<DryWorkspace>,
    types: HashMap<(String, u32), i64>,
}

/// What a dry import has read. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct DryImport(Arc<Mutex<Collected>>);

impl DryImport {
    /// A dry import that begins, with the import that writes to it.
    pub fn begin(clock: SharedClock) -> (Self, Import) {
        let collected = Self::default();
        let import = Import::new(Box::new(collected.clone()), clock);
        (collected, import)
    }

    /// The workspaces that were read, each with its content.
    pub fn take(&self) -> Vec<(Workspace, WorkspaceContent)> {
        let workspaces = std::mem::take(&mut self.collected().workspaces);
        workspaces
            .into_iter()
            .map(|read| (read.workspace, read.content))
            .collect()
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        // Each change is one step: a panic leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collected {
    fn workspace(&mut self, no: i64) -> Result<&mut DryWorkspace, StoreError> {
        let found = usize::try_from(no)
            .ok()
            .and_then(|index| self.workspaces.get_mut(index));
        found.ok_or_else(|| StoreError::Unavailable("no workspace is being imported".to_owned()))
    }

    fn write(&mut self, validated: &ValidatedGroup) -> Result<(), StoreError> {
        for row in &validated.events {
            // Of a batch, all events are of the workspace that is being imported: the newest.
            let newest = self.workspaces.last_mut();
            let newest = newest.ok_or_else(|| StoreError::Unavailable("nothing was begun".to_owned()))?;
            newest.add(row.event.clone(), row.stream_no);
        }
        for row in &validated.commands {
            let command = AnsweredCommand {
                command_id: row.command_id,
                correlation_id: row.correlation_id,
                answer: row.answer.clone(),
            };
            self.workspace(row.workspace_no)?.content.push_command(command);
        }
        Ok(())
    }
}

#[async_trait]
impl ImportDatabase for DryImport {
    async fn begin(
        &mut self,
        workspace: &Workspace,
        _: Timestamp,
    ) -> Result<Option<(i64, Vec<i64>)>, StoreError> {
        let mut collected = self.collected();
        let no = i64::try_from(collected.workspaces.len()).unwrap_or(i64::MAX);
        collected.workspaces.push(DryWorkspace {
            workspace: workspace.clone(),
            content: WorkspaceContent::empty(workspace),
            streams: HashMap::new(),
            event_ids: HashSet::new(),
            repeated: None,
        });
        Ok(Some((no, (0..i64::from(workspace.shards)).collect())))
    }

    async fn streams(
        &mut self,
        workspace_no: i64,
        names: &[&str],
    ) -> Result<Vec<(String, CachedStream)>, StoreError> {
        let mut collected = self.collected();
        let read = collected.workspace(workspace_no)?;
        let known = names.iter().filter_map(|name| {
            let stream = read.streams.get(*name)?;
            Some(((*name).to_owned(), *stream))
        });
        Ok(known.collect())
    }

    async fn stream_numbers(&mut self) -> Result<Range<i64>, StoreError> {
        // They are asked for once, and never run out.
        Ok(1..i64::MAX)
    }

    async fn type_no(&mut self, name: &str, schema_version: u32) -> Result<i64, StoreError> {
        let mut collected = self.collected();
        let next = i64::try_from(collected.types.len()).unwrap_or(i64::MAX);
        let key = (name.to_owned(), schema_version);
        Ok(*collected.types.entry(key).or_insert(next))
    }

    async fn write(&mut self, validated: &ValidatedGroup) -> Result<(), StoreError> {
        self.collected().write(validated)
    }

    async fn repeated_event_id(&mut self, workspace_no: i64) -> Result<Option<Uuid>, StoreError> {
        Ok(self.collected().workspace(workspace_no)?.repeated)
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<(), StoreError> {
        self.collected().workspaces.clear();
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
