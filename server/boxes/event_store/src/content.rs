//! The content of a workspace in memory, of a bounded size: what another workspace begins with.
//!
//! Its events keep their ids, versions, positions and times. The chain of hashes covers the workspace, so it
//! is made again for the new one. Sealed texts stay sealed under the keys of the old workspace, which the
//! new one does not have: no name and no address of a person comes with them.

use std::collections::HashMap;

use domain::{
    event::{GENESIS_HASH, StoredEvent},
    id::WorkspaceId,
    wire::Template,
};

use super::{
    EventStore, StoreError, Workspace,
    import::{AnsweredCommand, Import, ImportFault},
};

/// Entries that are read or written at a time.
const PAGE: u32 = 500;

/// The bytes of an event or a command beside its payload or answer, roughly.
const BYTES_OF_ENTRY: usize = 600;

/// Why the content of a workspace was not read.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It is larger than it may be.
    #[error("the workspace has more than {0} bytes of events and commands")]
    TooLarge(usize),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The events of a workspace and its answered commands.
#[derive(Debug, Clone)]
pub struct WorkspaceContent {
    /// The number of partitions that the events belong to.
    pub shards: u32,
    /// The template that filled the workspace at first.
    pub template: Template,
    /// Partition by partition, each in the order of positions.
    pub(super) events: Vec<StoredEvent>,
    /// In the order of their ids.
    pub(super) commands: Vec<AnsweredCommand>,
    /// Roughly.
    pub(super) bytes: usize,
}

impl WorkspaceContent {
    /// No content.
    pub(super) const fn empty(workspace: &Workspace) -> Self {
        Self {
            shards: workspace.shards,
            template: workspace.template,
            events: Vec::new(),
            commands: Vec::new(),
            bytes: 0,
        }
    }

    /// Reads what a workspace holds now, of at most this many bytes.
    pub async fn read(
        store: &dyn EventStore,
        workspace: &Workspace,
        most_bytes: usize,
    ) -> Result<Self, ContentError> {
        let mut content = Self::empty(workspace);
        let head = store.head(workspace.id).await?;
        for partition in 0..workspace.shards {
            let last = head.position(partition);
            let mut after = 0;
            while after < last {
                let limit = u32::try_from(last - after).unwrap_or(u32::MAX).min(PAGE);
                let events = store
                    .read_partition(workspace.id, partition, after, limit)
                    .await?;
                // Dense positions: a page that ends early would be a damaged log.
                let Some(newest) = events.last() else {
                    let missing = format!("position {} of partition {partition} is not there", after + 1);
                    return Err(StoreError::Corrupt(missing).into());
                };
                after = newest.position;
                for event in events {
                    content.push_event(event);
                }
                content.require_room(most_bytes)?;
            }
        }
        let mut after = None;
        loop {
            let commands = store.commands(workspace.id, after, PAGE).await?;
            let Some(last) = commands.last() else { break };
            after = Some(last.command_id);
            for command in commands {
                // A later command belongs to events that were not read.
                if head.covers(&command.token()?) {
                    content.push_command(command);
                }
            }
            content.require_room(most_bytes)?;
        }
        Ok(content)
    }

    pub(super) fn push_event(&mut self, event: StoredEvent) {
        self.bytes += event.payload.get().len() + BYTES_OF_ENTRY;
        self.events.push(event);
    }

    pub(super) fn push_command(&mut self, command: AnsweredCommand) {
        self.bytes += command.answer.len() + BYTES_OF_ENTRY;
        self.commands.push(command);
    }

    fn require_room(&self, most_bytes: usize) -> Result<(), ContentError> {
        if self.bytes > most_bytes {
            return Err(ContentError::TooLarge(most_bytes));
        }
        Ok(())
    }

    /// Its size in memory, roughly.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of its events.
    pub fn event_count(&self) -> u64 {
        self.events.len() as u64
    }

    /// The events, partition by partition.
    pub fn events(&self) -> &[StoredEvent] {
        &self.events
    }

    /// The same content as that of another workspace, with a chain of hashes of its own.
    #[must_use]
    pub fn in_workspace(&self, workspace: WorkspaceId) -> Self {
        let mut heads: HashMap<u32, String> = HashMap::new();
        let mut events = Vec::with_capacity(self.events.len());
        for event in &self.events {
            let mut event = event.clone();
            // The actor of a template's events is the workspace.
            if event.is_of_template() {
                event.metadata.actor.id = workspace.0;
            }
            event.workspace = workspace;
            let previous = heads.get(&event.partition).map_or(GENESIS_HASH, String::as_str);
            event.hash = event.chain_hash(previous);
            heads.insert(event.partition, event.hash.clone());
            events.push(event);
        }
        Self {
            events,
            commands: self.commands.clone(),
            ..*self
        }
    }

    /// Imports it as the content of a new workspace; `false`: the join code is taken.
    pub(super) async fn import(self, import: &mut Import, workspace: &Workspace) -> Result<bool, StoreError> {
        if !import.begin(workspace).await? {
            import.roll_back().await?;
            return Ok(false);
        }
        let mut events = self.events.into_iter();
        loop {
            let page: Vec<_> = events.by_ref().take(PAGE as usize).collect();
            if page.is_empty() {
                break;
            }
            import.events(page).await.map_err(refused)?;
        }
        let mut commands = self.commands.into_iter();
        loop {
            let page: Vec<_> = commands.by_ref().take(PAGE as usize).collect();
            if page.is_empty() {
                break;
            }
            import.commands(page).await.map_err(refused)?;
        }
        if let Some(id) = import.repeated_event_id().await? {
            return Err(StoreError::Refused(format!("several events have the id {id}")));
        }
        import.end()?;
        import.commit().await?;
        Ok(true)
    }
}

fn refused(fault: ImportFault) -> StoreError {
    match fault {
        ImportFault::Entry { reason, .. } => StoreError::Refused(reason),
        ImportFault::Store(error) => error,
    }
}
