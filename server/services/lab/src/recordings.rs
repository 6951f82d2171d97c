//! Recordings: runs of a workspace's pipeline that are kept under a link.
//!
//! A recording is a range of the log, and the hops that were watched meanwhile. The events are not copied:
//! they are read from the log whenever the recording is, so that it shows no more than the log does, also of
//! a person who was erased since. What is stored lies in the process store, counts against the quota of the
//! sandbox, and is purged with the workspace.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use clock::SharedClock;
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    Scope, StoredDocument,
};
use domain::{
    access::{Actor, Role},
    event::StoredEvent,
    id::WorkspaceId,
    rejection::{Rejection, Violations},
    replay,
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{CommandInRecording, Hop, KeepRecording, RECORDING_FORMAT, Recording, RecordingInfo},
};
use event_store::{EventStore, StoreError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The view name of the recordings in the process store.
const VIEW: &str = "lab_recordings";

/// The key of the document that lists the recordings of a workspace.
const INDEX: &str = "index";

/// How many recordings a workspace keeps at most.
const MOST_RECORDINGS: usize = 20;

/// How many events a recording has at most.
const MOST_EVENTS: u64 = 2_000;

/// How many hops a recording has at most; the newest are left out.
const MOST_HOPS: usize = 10_000;

/// How large the JSON of a recording may be, in bytes. A browser plays files of 8 MiB.
const MOST_BYTES: usize = 7 * 1024 * 1024;

/// The bytes of an event's JSON beside its payload, at most: names of members, ids, times and the hash.
const EVENT_BYTES: usize = 1_000;

/// The longest title, in characters.
const MAX_TITLE: usize = 80;

/// How many events are read at a time.
const PAGE: u32 = 500;

/// Why a recording was not kept, read or deleted.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A field is not valid.
    #[error(transparent)]
    Invalid(#[from] Rejection),
    /// The run would end after the newest event.
    #[error("is after the newest event, which is at {head}")]
    BeyondHead {
        /// The head of the log.
        head: ConsistencyToken,
    },
    /// No event lies in the run.
    #[error("no event lies between `from` and `to`, so there is nothing to play")]
    Empty,
    /// The run has too many events.
    #[error(
        "a recording has at most {most} events, and this run has {0}; begin later, or end earlier",
        most = MOST_EVENTS
    )]
    TooLong(u64),
    /// The run is too large for a file that a browser plays.
    #[error("a recording has at most 7 MB, and this run is larger; begin later, or end earlier")]
    TooLarge,
    /// The workspace keeps as many recordings as it may.
    #[error(
        "a workspace keeps at most {most} recordings; delete one that is not needed any more",
        most = MOST_RECORDINGS
    )]
    TooMany,
    /// There is no such recording, or the log does not have its events any more.
    #[error("there is no recording of this id in your workspace")]
    Unknown,
    /// The caller may not delete it.
    #[error("only the person who kept a recording, or an educator, may delete it")]
    Foreign,
    /// The log could not be read.
    #[error(transparent)]
    Events(#[from] StoreError),
    /// What is stored of the recordings could not be read or changed.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
}

/// Where a partition of a run ends: the hash of its last event tells whether the log still has these events.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    partition: u32,
    hash: String,
}

/// A recording as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredRecording {
    info: RecordingInfo,
    ends: Vec<End>,
    hops: Vec<Hop>,
}

/// The list of a workspace's recordings, as it is stored; oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    recordings: Vec<RecordingInfo>,
}

/// A recording that is ready to be stored.
#[derive(Debug)]
pub struct RecordingDraft {
    workspace: WorkspaceId,
    info: RecordingInfo,
    json: Arc<RawValue>,
}

impl RecordingDraft {
    /// The bytes that it takes to store it.
    pub fn bytes(&self) -> u64 {
        self.json.get().len() as u64
    }
}

/// Keeps the recordings of all workspaces.
#[derive(Debug)]
pub struct Recordings {
    process_store: Arc<dyn DocumentStore>,
    events: Arc<dyn EventStore>,
    clock: SharedClock,
}

impl Recordings {
    /// Recordings of this log, stored in `process_store`.
    pub fn new(
        process_store: Arc<dyn DocumentStore>,
        events: Arc<dyn EventStore>,
        clock: SharedClock,
    ) -> Self {
        Self {
            process_store,
            events,
            clock,
        }
    }

    /// Prepares a recording of a run. `watched` are the hops that the lab has watched in this workspace;
    /// those of the run are taken from them.
    pub async fn draft(
        &self,
        workspace: WorkspaceId,
        person: Uuid,
        wanted: KeepRecording,
        watched: Vec<Hop>,
    ) -> Result<RecordingDraft, RecordingError> {
        let title = wanted.title.unwrap_or_default().trim().to_owned();
        let mut violations = Violations::default();
        if !title.is_empty() {
            violations.require_name(&title, MAX_TITLE, "title");
        }
        violations.finish()?;
        if self.list(workspace).await?.len() >= MOST_RECORDINGS {
            return Err(RecordingError::TooMany);
        }
        let head = self.events.head(workspace).await?;
        let to = wanted.to.unwrap_or_else(|| head.clone());
        if !head.covers(&to) {
            return Err(RecordingError::BeyondHead { head });
        }
        let from = run_begin(wanted.from.as_ref(), &to);
        let count = from.behind(&to);
        match count {
            0 => return Err(RecordingError::Empty),
            1..=MOST_EVENTS => {}
            _ => return Err(RecordingError::TooLong(count)),
        }
        let events = self.events(workspace, &from, &to).await?;
        let hops = hops_of_run(&events, watched);
        let info = RecordingInfo {
            id: self.clock.new_id(),
            title,
            made_at: self.clock.now(),
            made_by: person,
            from,
            to,
            events: count,
            hops: hops.len() as u64,
        };
        let stored = StoredRecording {
            info: info.clone(),
            ends: ends(&events),
            hops,
        };
        let json: Arc<RawValue> = raw(&stored)?.into();
        if json.get().len().saturating_add(bytes_of(&events)) > MOST_BYTES {
            return Err(RecordingError::TooLarge);
        }
        Ok(RecordingDraft {
            workspace,
            info,
            json,
        })
    }

    /// Stores a draft, unless the workspace keeps as many recordings as it may. Returns its id.
    pub async fn keep(&self, draft: &RecordingDraft) -> Result<Uuid, RecordingError> {
        let id = draft.info.id;
        let mut is_full = false;
        let mut fold = |loaded: FoldInput| {
            let mut index = index(&loaded.documents).map_err(fault)?;
            is_full = index.recordings.len() >= MOST_RECORDINGS;
            if is_full {
                return Ok(FoldOutput::default());
            }
            index.recordings.push(draft.info.clone());
            Ok(FoldOutput {
                writes: vec![
                    write(INDEX, Some(raw(&index).map_err(fault)?.into())),
                    write(&id.to_string(), Some(Arc::clone(&draft.json))),
                ],
                ..FoldOutput::default()
            })
        };
        let keys = [INDEX.to_owned(), id.to_string()];
        self.process_store
            .amend(&scope(draft.workspace), &keys, &mut fold)
            .await?;
        if is_full {
            return Err(RecordingError::TooMany);
        }
        Ok(id)
    }

    /// The recordings of a workspace, newest first.
    pub async fn list(&self, workspace: WorkspaceId) -> Result<Vec<RecordingInfo>, RecordingError> {
        let read = self.process_store.document(workspace, VIEW, INDEX).await?;
        let documents: Vec<StoredDocument> = read.value.into_iter().collect();
        let mut recordings = index(&documents)?.recordings;
        recordings.reverse();
        Ok(recordings)
    }

    /// A recording with its events, as the log has them now.
    pub async fn read(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
    ) -> Result<Recording<Box<RawValue>>, RecordingError> {
        let read = self
            .process_store
            .document(workspace, VIEW, &id.to_string())
            .await?;
        let document = read.value.ok_or(RecordingError::Unknown)?;
        let StoredRecording {
            info,
            ends: stored_ends,
            hops,
        } = parsed(document.data.get())?;
        let events = self.events(workspace, &info.from, &info.to).await?;
        // A log that was restored from a backup may have other events at these positions, or none.
        if ends(&events) != stored_ends {
            return Err(RecordingError::Unknown);
        }
        let commands = commands(&events);
        Ok(Recording {
            format: RECORDING_FORMAT.to_owned(),
            title: info.title,
            made_at: info.made_at,
            workspace,
            from: info.from,
            to: info.to,
            events,
            hops,
            commands,
        })
    }

    /// Deletes a recording for the person who kept it, or for an educator.
    pub async fn delete(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        id: Uuid,
    ) -> Result<(), RecordingError> {
        let mut outcome = Err(RecordingError::Unknown);
        let mut fold = |loaded: FoldInput| {
            let mut index = index(&loaded.documents).map_err(fault)?;
            let found = index.recordings.iter().position(|recording| recording.id == id);
            outcome = match found {
                None => Err(RecordingError::Unknown),
                Some(at) if may_delete(actor, &index.recordings[at]) => Ok(()),
                Some(_) => Err(RecordingError::Foreign),
            };
            let (Ok(()), Some(at)) = (&outcome, found) else {
                return Ok(FoldOutput::default());
            };
            index.recordings.remove(at);
            Ok(FoldOutput {
                writes: vec![
                    write(INDEX, Some(raw(&index).map_err(fault)?.into())),
                    write(&id.to_string(), None),
                ],
                ..FoldOutput::default()
            })
        };
        let keys = [INDEX.to_owned(), id.to_string()];
        self.process_store
            .amend(&scope(workspace), &keys, &mut fold)
            .await?;
        outcome
    }

    /// The events of a run by time, in order within each partition.
    async fn events(
        &self,
        workspace: WorkspaceId,
        from: &ConsistencyToken,
        to: &ConsistencyToken,
    ) -> Result<Vec<StoredEvent>, RecordingError> {
        let mut events = Vec::new();
        for (partition, last) in to.iter() {
            let mut after = from.position(partition);
            while after < last {
                let limit = u32::try_from(last - after).map_or(PAGE, |rest| rest.min(PAGE));
                let page = self
                    .events
                    .read_partition(workspace, partition, after, limit)
                    .await?;
                let Some(newest) = page.last() else { break };
                after = newest.position;
                events.extend(page);
            }
        }
        events.sort_by_key(|event| (event.recorded_at, event.partition, event.position));
        Ok(events)
    }
}

/// Where a run begins: where it was asked for, and in every partition at its end at the latest.
fn run_begin(wanted: Option<&ConsistencyToken>, to: &ConsistencyToken) -> ConsistencyToken {
    let partitions = to.iter().count().max(1) as u64;
    to.iter()
        .map(|(partition, last)| match wanted {
            Some(wanted) => (partition, wanted.position(partition).min(last)),
            None => (partition, last.saturating_sub(MOST_EVENTS / partitions)),
        })
        .collect()
}

/// The hops of a run, by time: those of its events and of what they belong to, and those without an event,
/// such as queries, that began meanwhile.
fn hops_of_run(events: &[StoredEvent], watched: Vec<Hop>) -> Vec<Hop> {
    let ids: HashSet<Uuid> = events.iter().map(|event| event.event_id).collect();
    let correlations: HashSet<Uuid> = events.iter().map(|event| event.metadata.correlation_id).collect();
    let is_of_run = |hop: &Hop| match (hop.event_id, hop.correlation_id) {
        (Some(event), _) => ids.contains(&event),
        (None, Some(correlation)) => correlations.contains(&correlation),
        (None, None) => false,
    };
    let of_run = watched.iter().filter(|hop| is_of_run(hop));
    let times: Vec<Timestamp> = of_run.map(|hop| hop.started_at).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
        return Vec::new();
    };
    let is_meanwhile = |hop: &Hop| {
        hop.event_id.is_none() && hop.correlation_id.is_none() && (first..=last).contains(&&hop.started_at)
    };
    let mut hops = watched;
    hops.retain(|hop| is_of_run(hop) || is_meanwhile(hop));
    hops.sort_by_key(|hop| hop.started_at);
    hops.truncate(MOST_HOPS);
    hops
}

/// The bytes of the JSON of events, and of the commands that led to them, at most.
fn bytes_of(events: &[StoredEvent]) -> usize {
    let of = |event: &StoredEvent| 2 * event.payload.get().len() + EVENT_BYTES;
    events.iter().map(of).fold(0, usize::saturating_add)
}

/// Where each partition of a run ends, in the order of partitions.
fn ends(events: &[StoredEvent]) -> Vec<End> {
    let mut last: BTreeMap<u32, &StoredEvent> = BTreeMap::new();
    for event in events {
        last.insert(event.partition, event);
    }
    let of = |(partition, event): (u32, &StoredEvent)| End {
        partition,
        hash: event.hash.clone(),
    };
    last.into_iter().map(of).collect()
}

/// The commands of people that led to these events, each once, with their times. The template's events are
/// no person's, and an event that cannot be read any more has no command.
fn commands(events: &[StoredEvent]) -> Vec<CommandInRecording> {
    let Some(first) = events.first() else {
        return Vec::new();
    };
    let mut seen = HashSet::new();
    let mut commands = Vec::new();
    for event in events.iter().filter(|event| !event.is_of_template()) {
        let Some(command) = event.decode().ok().and_then(|event| replay::command_of(&event)) else {
            continue;
        };
        if seen.insert(event.metadata.command_id) {
            commands.push(CommandInRecording {
                at_ms: event.recorded_at.millis_since(first.recorded_at),
                command,
            });
        }
    }
    commands
}

fn may_delete(actor: &Actor, recording: &RecordingInfo) -> bool {
    actor.role == Role::Educator || actor.id == recording.made_by
}

const fn scope(workspace: WorkspaceId) -> Scope {
    Scope {
        workspace,
        view: VIEW,
        generation: FIRST_GENERATION,
    }
}

fn write(key: &str, data: Option<Arc<RawValue>>) -> DocumentWrite {
    DocumentWrite {
        key: key.to_owned(),
        data,
        owner: None,
        removed_entries: Vec::new(),
        added_entries: Vec::new(),
    }
}

/// The list among these documents; empty before the first recording.
fn index(documents: &[StoredDocument]) -> Result<Index, DocumentStoreError> {
    let stored = documents.iter().find(|document| document.key == INDEX);
    let index = stored.map(|document| parsed(document.data.get())).transpose()?;
    Ok(index.unwrap_or_default())
}

fn raw<T: Serialize>(document: &T) -> Result<Box<RawValue>, DocumentStoreError> {
    serde_json::value::to_raw_value(document).map_err(|error| unreadable(&error))
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, DocumentStoreError> {
    serde_json::from_str(text).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> DocumentStoreError {
    DocumentStoreError::Corrupt(format!("a recording: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn fault(error: DocumentStoreError) -> FoldFault {
    FoldFault {
        position: 0,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
