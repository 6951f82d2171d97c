//! Erasure: destroys the key and the credentials of a person, and ends their sessions, as the effect of the
//! stored `UserErased`.
//!
//! A consumer: its lanes repeat the effect until it succeeds, with growing pauses, also after a restart and
//! at another server, and `/settled` waits for it. The effect may come again and again. No failure makes such
//! an event a dead letter: an erasure is never given up.
//!
//! The checkpoints lie with the events. A people store that was restored from an older backup has keys that
//! the checkpoints have passed, so [`finish`] looks for these at the start of a server.
//!
//! Tests over the whole pipeline: `server/tests/api/people/erasure.rs`.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    aggregate::user::UserEvent,
    event::{DomainEvent, TypedEvent},
    id::{StreamName, WorkspaceId},
    token::ConsistencyToken,
    wire::ERASURE,
};

use consumer::{CheckpointStorage, Consumer, EffectError, EventHandler, Work};
use event_store::{EventFilter, EventStore};
use identity::{LookUpError, People, PersonId};

/// The name of its lanes.
pub const NAME: &str = ERASURE;

/// The type of the event.
const USER_ERASED: &str = "UserErased";

/// Workspaces that are read at a time.
const WORKSPACES: u32 = 500;

/// Erasures that are read at a time.
const ERASURES: u32 = 100;

/// Carries out stored erasures.
#[derive(Debug)]
pub struct Erasure {
    people: Arc<People>,
}

impl Erasure {
    /// A consumer that erases from this people service.
    pub const fn new(people: Arc<People>) -> Self {
        Self { people }
    }
}

#[async_trait]
impl EventHandler for Erasure {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn perform(&self, work: &Work) -> Result<(), EffectError> {
        for event in &work.events {
            let Ok(typed) = &event.decoded else { continue };
            if let Some(of) = erased(typed) {
                // What a database refuses for good is tried again as well.
                let erased = self.people.erased(of).await;
                erased.map_err(|error| EffectError::Unavailable(error.to_string()))?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer for Erasure {
    fn checkpoint_storage(&self) -> CheckpointStorage {
        CheckpointStorage::ProcessStore
    }

    /// It has no data of its own.
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, EffectError> {
        Ok(Vec::new())
    }

    async fn forget(&self, _: WorkspaceId) -> Result<(), EffectError> {
        Ok(())
    }
}

/// Erases every person whose erasure is stored and whose key is there, in all workspaces; returns their
/// number.
pub async fn finish(people: &People, events: &dyn EventStore) -> Result<u64, LookUpError> {
    let mut finished = 0;
    let mut after = None;
    loop {
        let page = events.workspaces(after, WORKSPACES).await?;
        let Some(last) = page.last() else {
            return Ok(finished);
        };
        after = Some(last.id);
        for workspace in &page {
            finished += finish_workspace(people, events, workspace.id).await?;
        }
    }
}

async fn finish_workspace(
    people: &People,
    events: &dyn EventStore,
    workspace: WorkspaceId,
) -> Result<u64, LookUpError> {
    let filter = EventFilter {
        event_type: Some(USER_ERASED.to_owned()),
        ..EventFilter::default()
    };
    let (mut finished, mut token) = (0, ConsistencyToken::default());
    loop {
        let (page, seen) = events.read_events(workspace, &filter, &token, ERASURES).await?;
        token = seen;
        for of in page.iter().filter_map(|event| person(workspace, &event.stream)) {
            if !people.is_key_destroyed(of).await? {
                people.erased(of).await?;
                finished += 1;
            }
        }
        if page.len() < ERASURES as usize {
            return Ok(finished);
        }
    }
}

/// The person whose erasure an event tells of.
fn erased(event: &TypedEvent) -> Option<PersonId> {
    matches!(&event.payload, DomainEvent::User(UserEvent::UserErased(_)))
        .then(|| person(event.workspace, &event.stream))?
}

/// The person of a stream; the id of such a stream is that of its person.
fn person(workspace: WorkspaceId, stream: &StreamName) -> Option<PersonId> {
    let person = stream.id().parse().ok();
    if person.is_none() {
        tracing::warn!(%workspace, %stream, "the stream of an erased person has no person's id");
    }
    person.map(|person| PersonId { workspace, person })
}
