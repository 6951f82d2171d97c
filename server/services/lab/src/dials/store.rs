//! The guarantees of the log, which the command service holds through its port: the version check, the
//! Idempotency-Keys of clients, and that an event is published after its commit.
//!
//! What protects the rest: the event store appends as always, so positions, versions and the chain have no
//! gap, and each stored command has its answer. Accounts and emails keep every guarantee, and policies keep
//! the ids of their commands. An event that is published early goes to views alone, which a rebuild cures;
//! process managers and consumers, whose effects nothing takes back, get what is stored.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use broker::{Broker, PartitionId, decode};
use clock::SharedClock;
use command::{AppendPort, Intent, Isolation};
use domain::{
    access::Role,
    aggregate::{email::Email, user::User},
    decider::Decider as _,
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    view,
    wire::Guarantees,
};
use event_store::{Append, AppendAnswer, AppendError, ChainHead, EventStore, Expected, StreamAppend};
use uuid::Uuid;

use super::{
    board::DialBoard,
    race_window::{Overtaking, RaceWindows},
};
use crate::invariants::Witness;

/// The bits of an id's first half that are its version, and not of the key that it was made from.
const VERSION_BITS: u64 = 0xf000;

/// The event store as commands see it, with the guarantees that the dials of a workspace hold.
#[derive(Debug)]
pub struct BentStore {
    store: Arc<dyn EventStore>,
    broker: Arc<dyn Broker>,
    board: Arc<DialBoard>,
    clock: SharedClock,
    windows: RaceWindows,
    /// Is told what is published early.
    witness: Arc<Witness>,
    /// The names of views, and of the slots of those of one's own.
    views: Vec<&'static str>,
}

impl BentStore {
    /// A port to the store that publishes early through this broker; `clock` is that of the store.
    pub fn new(
        store: Arc<dyn EventStore>,
        broker: Arc<dyn Broker>,
        board: Arc<DialBoard>,
        clock: SharedClock,
    ) -> Self {
        Self {
            store,
            broker,
            board,
            clock,
            windows: RaceWindows::default(),
            witness: Arc::default(),
            views: view::NAMES.into_iter().chain(view::own::SLOTS).collect(),
        }
    }

    /// Tells this witness of every event that is published early.
    #[must_use]
    pub fn with_witness(self, witness: Arc<Witness>) -> Self {
        Self { witness, ..self }
    }

    /// The guarantees of a workspace, if one of those of the log is taken away.
    fn bent(&self, workspace: WorkspaceId) -> Option<Guarantees> {
        let guarantees = self.board.of(workspace)?.dials.guarantees;
        Some(guarantees).filter(|held| !held.optimistic_concurrency || !held.publish_after_commit)
    }

    /// Waits until both are held again.
    async fn put_back(&self, workspace: WorkspaceId) {
        let mut changes = self.board.changes();
        while self.bent(workspace).is_some() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Gives another decision on the stream time to be made and appended first. A stream's first event has no
    /// rival.
    async fn await_rival(&self, append: &Append) -> Overtaking {
        match append.streams.first() {
            Some(own) if !own.events.is_empty() && decided_on(own.expected) > 0 => {
                tokio::select! {
                    overtaking = self.windows.pass(append.workspace, &own.stream) => overtaking,
                    () = self.put_back(append.workspace) => Overtaking::default(),
                }
            }
            _ => Overtaking::default(),
        }
    }

    /// Publishes the events of an append to the views, at the positions that they would have if it was the
    /// next one. Returns their ids.
    async fn publish_early(&self, append: &Append) -> Vec<Uuid> {
        let workspace = append.workspace;
        // The append meets the fault of a store too, and reports it.
        let Ok(heads) = self.store.chain_heads(Some(workspace)).await else {
            return Vec::new();
        };
        let heads = heads.into_iter().map(|(_, partition, head)| (partition, head));
        let mut early = Vec::new();
        let now = self.clock.now_in(workspace);
        for (partition, events) in early_events(append, heads.collect(), now) {
            let partition = PartitionId { workspace, partition };
            let events = decode(&events);
            for event in &events {
                self.witness.published(workspace, event);
                early.push(event.event_id);
            }
            self.broker.publish_to(&self.views, partition, events).await;
        }
        early
    }
}

#[async_trait]
impl AppendPort for BentStore {
    fn isolation(&self, workspace: WorkspaceId, stream: &StreamName) -> Isolation {
        match self.bent(workspace).filter(|_| is_bendable(stream)) {
            None => Isolation::Queue,
            Some(held) if held.optimistic_concurrency => Isolation::VersionCheck,
            Some(_) => Isolation::Nothing,
        }
    }

    fn new_id(&self, intent: &Intent) -> Option<Uuid> {
        let bent = self.board.of(intent.workspace)?;
        let is_of_client = intent.causation_id.is_none() && intent.actor.role != Role::System;
        let is_named_by_key = intent.may_be_repeated && is_of_client && is_bendable(&intent.stream);
        (is_named_by_key && !bent.dials.guarantees.idempotency_keys)
            .then(|| another_id(intent.command_id, self.clock.new_id()))
    }

    async fn append(&self, mut append: Append) -> Result<AppendAnswer, AppendError> {
        let workspace = append.workspace;
        let is_bendable = |part: &StreamAppend| is_bendable(&part.stream);
        let bent = self
            .bent(workspace)
            .filter(|_| append.streams.iter().all(is_bendable));
        let Some(guarantees) = bent else {
            return self.store.append(append).await;
        };
        let mut early = Vec::new();
        if !guarantees.publish_after_commit {
            early = self.publish_early(&append).await;
        }
        let overtaking = self.await_rival(&append).await;
        // As they are now: meanwhile the check may have been put back.
        if self
            .bent(workspace)
            .is_some_and(|held| !held.optimistic_concurrency)
        {
            for part in &mut append.streams {
                part.expected = Expected::Any;
            }
        }
        let appended = self.store.append(append).await;
        drop(overtaking);
        if appended.is_err() {
            for event in early {
                self.witness.refused(workspace, event);
            }
        }
        appended
    }
}

/// The key that a command id was made from, or shares with the other commands under the same key; `None`: the
/// command had none.
pub fn key_of(command_id: Uuid) -> Option<u64> {
    let (key, _) = command_id.as_u64_pair();
    matches!(command_id.get_version_num(), 5 | 8).then_some(key & !VERSION_BITS)
}

/// Another id for a command under the same key: its first half shows the key, and the other is that of a new
/// id, which is random.
fn another_id(command_id: Uuid, new: Uuid) -> Uuid {
    let ((key, _), (_, random)) = (command_id.as_u64_pair(), new.as_u64_pair());
    let id = Uuid::from_u64_pair(key, random);
    uuid::Builder::from_custom_bytes(id.into_bytes()).into_uuid()
}

/// Whether the guarantees of a stream can be taken away. An account is a person's, and its email is no other
/// person's, in every lesson.
fn is_bendable(stream: &StreamName) -> bool {
    ![User::CATEGORY, Email::CATEGORY].contains(&stream.category())
}

/// The version that a command was decided on; 0 is also that of an append that names none.
const fn decided_on(expected: Expected) -> u64 {
    match expected {
        Expected::Exact(version) => version,
        Expected::Any | Expected::NoStream | Expected::StreamExists => 0,
    }
}

/// The events of an append after these heads, by partition.
fn early_events(
    append: &Append,
    mut heads: BTreeMap<u32, ChainHead>,
    now: Timestamp,
) -> BTreeMap<u32, Vec<StoredEvent>> {
    let mut early: BTreeMap<u32, Vec<StoredEvent>> = BTreeMap::new();
    let shards = u32::try_from(heads.len()).unwrap_or(u32::MAX);
    for part in &append.streams {
        // A workspace that has ended has no partition.
        let partition = part.stream.partition(shards);
        let Some(head) = heads.get_mut(&partition) else {
            continue;
        };
        for (event, version) in part.events.iter().zip(decided_on(part.expected) + 1..) {
            let mut event = StoredEvent {
                workspace: append.workspace,
                partition,
                position: head.position + 1,
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
            event.hash = event.chain_hash(&head.hash);
            head.advance(&event);
            early.entry(partition).or_default().push(event);
        }
    }
    early
}

#[cfg(test)]
mod tests;
