//! A template whose commands are decided. A workspace adds only what must be its own: ids, and the sealed
//! data of its customers.
//!
//! All events are of one transaction and have one time, so their ids give their order.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{
    access::Role,
    event::{ActorRef, DomainEvent, EventType, Metadata, personal},
    id::{StreamName, WorkspaceId},
    language::Language,
    policy::{Policy as _, command_id, fulfilment::Fulfilment},
    wire::CommandRequest,
};
use serde_json::value::RawValue;
use uuid::Uuid;

use clock::Clock;
use event_store::{Append, Expected, NewEvent, StoreError, StreamAppend};
use identity::{People, PeopleError};

use crate::{failure::CommandFailure, intent::digest};

/// The 12 bits behind the version of a UUIDv7, as a counter (RFC 9562, 6.2).
const COUNTER: u128 = 0xfff;

/// The bits behind the counter.
const COUNTER_SHIFT: u32 = 64;

/// The prepared templates of a process.
#[derive(Debug, Default)]
pub(crate) struct PreparedTemplates(Mutex<HashMap<Language, Arc<PreparedTemplate>>>);

impl PreparedTemplates {
    /// The template `shop` in a language.
    pub(crate) fn shop(&self, language: Language) -> Result<Arc<PreparedTemplate>, CommandFailure> {
        let mut shops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shop) = shops.get(&language) {
            return Ok(Arc::clone(shop));
        }
        let shop = Arc::new(super::prepare_shop(language)?);
        shops.insert(language, Arc::clone(&shop));
        Ok(shop)
    }
}

/// The decided commands of a template, in order.
#[derive(Debug)]
pub(crate) struct PreparedTemplate {
    pub(super) commands: Vec<PreparedCommand>,
    /// The number of intentions.
    pub(super) intentions: usize,
    /// The number of events.
    pub(super) event_count: usize,
    /// The people whose data the events hold.
    pub(super) people: Vec<Uuid>,
}

/// A decided command.
#[derive(Debug)]
pub(super) struct PreparedCommand {
    pub(super) origin: Origin,
    /// The number of the intention that it belongs to; each has a correlation id.
    pub(super) intention: usize,
    pub(super) streams: Vec<PreparedStream>,
}

/// Who sends a command.
#[derive(Debug)]
pub(super) enum Origin {
    /// The template.
    Template { body_digest: [u8; 32] },
    /// The fulfilment policy. The id of its command follows from the event that caused it, so that the
    /// process manager gets its answer.
    Fulfilment {
        /// The index of that event.
        cause: usize,
        step: Cow<'static, str>,
        request: Box<CommandRequest>,
    },
}

/// The events of a command in one stream.
#[derive(Debug)]
pub(super) struct PreparedStream {
    pub(super) name: PreparedName,
    pub(super) expected: Expected,
    /// The index of its first event among those of the template.
    pub(super) first_event: usize,
    pub(super) events: Vec<PreparedEvent>,
}

/// The name of a stream.
#[derive(Debug)]
pub(super) enum PreparedName {
    /// The same in every workspace.
    Fixed(StreamName),
    /// That of this email's reservation, which is another in every workspace.
    Reservation(String),
}

/// A decided event.
#[derive(Debug)]
pub(super) struct PreparedEvent {
    event_type: EventType,
    payload: PreparedPayload,
}

#[derive(Debug)]
enum PreparedPayload {
    /// The same bytes in every workspace.
    Shared(Box<RawValue>),
    /// It has a person's data, which is sealed under a key of the workspace.
    Personal(Box<DomainEvent>),
}

impl PreparedEvent {
    pub(super) fn new(event: &DomainEvent, is_personal: bool) -> Result<Self, StoreError> {
        Ok(Self {
            event_type: event.event_type(),
            payload: if is_personal {
                PreparedPayload::Personal(Box::new(event.clone()))
            } else {
                PreparedPayload::Shared(encode(event)?)
            },
        })
    }

    /// Its payload in a workspace.
    async fn payload(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        people: &People,
    ) -> Result<Box<RawValue>, CommandFailure> {
        let event = match &self.payload {
            PreparedPayload::Shared(payload) => return Ok(payload.clone()),
            PreparedPayload::Personal(event) => event,
        };
        let mut event = (**event).clone();
        if let Some(personal) = personal::of(&mut event, stream) {
            people
                .seals
                .seal(workspace, personal.person, personal.fields)
                .await?;
        }
        Ok(encode(&event)?)
    }
}

impl PreparedStream {
    /// Its part of an append in a workspace, with the ids of the template's events there.
    async fn in_workspace(
        &self,
        workspace: WorkspaceId,
        people: &People,
        event_ids: &[Uuid],
    ) -> Result<StreamAppend, CommandFailure> {
        let stream = match &self.name {
            PreparedName::Fixed(name) => name.clone(),
            PreparedName::Reservation(email) => {
                let reserved = people.reservation(workspace, email).await?;
                reserved.ok_or_else(|| PeopleError::Corrupt("an email is sealed".to_owned()))?
            }
        };
        let mut events = Vec::with_capacity(self.events.len());
        for (event, event_id) in self.events.iter().zip(&event_ids[self.first_event..]) {
            events.push(NewEvent {
                event_id: *event_id,
                event_type: event.event_type.name.to_owned(),
                schema_version: event.event_type.schema_version,
                payload: event.payload(workspace, &stream, people).await?,
            });
        }
        Ok(StreamAppend {
            stream,
            expected: self.expected,
            events,
        })
    }
}

impl PreparedTemplate {
    /// The appends that fill a new workspace. They belong together.
    pub(crate) async fn appends(
        &self,
        workspace: WorkspaceId,
        people: &People,
        clock: &dyn Clock,
    ) -> Result<Vec<Append>, CommandFailure> {
        people.seals.make_keys(workspace, &self.people).await?;
        let event_ids = event_ids(clock.new_id(), self.event_count);
        let correlation_ids: Vec<Uuid> = (0..self.intentions).map(|_| clock.new_id()).collect();
        let mut appends = Vec::with_capacity(self.commands.len());
        for command in &self.commands {
            let mut streams = Vec::with_capacity(command.streams.len());
            for stream in &command.streams {
                streams.push(stream.in_workspace(workspace, people, &event_ids).await?);
            }
            let correlation_id = correlation_ids[command.intention];
            let (command_id, causation_id, body_digest) = match &command.origin {
                Origin::Template { body_digest } => (clock.new_id(), None, *body_digest),
                Origin::Fulfilment { cause, step, request } => {
                    let cause = event_ids[*cause];
                    let request = CommandRequest {
                        correlation_id: Some(correlation_id),
                        ..(**request).clone()
                    };
                    let command_id = command_id(Fulfilment::NAME, cause, "", step);
                    (command_id, Some(cause), digest(&request))
                }
            };
            appends.push(Append {
                workspace,
                body_digest: people.digest_key().keyed(&body_digest),
                streams,
                // A template is never too large for its sandbox.
                max_events: None,
                metadata: Metadata {
                    correlation_id,
                    causation_id,
                    command_id,
                    actor: ActorRef {
                        id: workspace.0,
                        role: Role::System,
                    },
                    traceparent: None,
                },
            });
        }
        Ok(appends)
    }
}

/// Ids of a workspace's events, each greater than the one before: `first`, with a counter.
pub(super) fn event_ids(first: Uuid, count: usize) -> Vec<Uuid> {
    let first = first.as_u128() & !(COUNTER << COUNTER_SHIFT);
    let ids = (0..=COUNTER).map(|n| Uuid::from_u128(first | (n << COUNTER_SHIFT)));
    ids.take(count).collect()
}

fn encode(event: &DomainEvent) -> Result<Box<RawValue>, StoreError> {
    event
        .encode()
        .map_err(|error| StoreError::Corrupt(error.to_string()))
}
