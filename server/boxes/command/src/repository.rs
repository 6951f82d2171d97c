//! The repository of aggregates: loads the aggregate of a command, and appends the decided events. It
//! executes most commands as a whole; handlers call its steps.
//!
//! Personal data in an event is sealed before it is appended.

use std::sync::Arc;

use domain::{
    access::Role,
    aggregate::email::Email,
    decider::{Context, Decider},
    event::{DomainEvent, EventPayload as _, Metadata, personal},
    id::{StreamName, WorkspaceId},
    rejection::Rejection,
    wire::CommandAnswer,
};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    aggregate_loader::{Aggregate, AggregateLoader, Freshness, LoadedAggregate},
    append_port::{AppendPort, Isolation, StorePort},
    command_hops::{AppendSpans, Validation},
    failure::CommandFailure,
    intent::Intent,
    retry::{AttemptError, Attempts},
    storage_quota::{Growth, StorageQuota},
    stored_documents::StoredDocuments,
    stream_locks::StreamLocks,
};
use clock::SharedClock;
use event_store::{
    Append, AppendAnswer, AppendError, EventStore, Expected, NewEvent, StoreError, StreamAppend,
};
use identity::{People, PeopleError};
use workspace_clock::Clocks;

/// Loads aggregates from an event store, and appends their events.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) store: Arc<dyn EventStore>,
    /// Appends to the store.
    pub(super) port: Arc<dyn AppendPort>,
    pub(super) clock: SharedClock,
    /// The clocks of workspaces; without them, events have the time of the machine's clock.
    pub(super) clocks: Option<Arc<Clocks>>,
    /// The most events of a sandbox.
    pub(super) max_events: Option<u64>,
    /// The stored documents of workspaces; without them, no notification is known.
    pub(super) documents: Option<Arc<dyn StoredDocuments>>,
    /// The quota of documents of a sandbox.
    pub(super) storage: Option<StorageQuota>,
    /// Seals personal data, and has the key of digests; without it, events are stored as they were decided.
    pub(super) people: Option<Arc<People>>,
    pub(super) loader: AggregateLoader,
    stream_locks: StreamLocks,
}

/// The decided events of a command's own stream.
#[derive(Debug)]
pub(super) struct Decision<E> {
    /// The events.
    pub(super) events: Vec<E>,
    /// How the aggregate came to them.
    pub(super) validation: Validation,
}

/// A decision on a stream other than the command's own, appended with it.
#[derive(Debug)]
pub(super) struct StreamDecision<D: Decider> {
    /// The stream.
    pub(super) stream: StreamName,
    /// The state that it was decided on.
    pub(super) loaded: Arc<LoadedAggregate<D::State>>,
    /// The decided events.
    pub(super) events: Vec<D::Event>,
}

impl Repository {
    pub(super) fn new(store: Arc<dyn EventStore>, clock: SharedClock) -> Self {
        Self {
            loader: AggregateLoader::new(Arc::clone(&store)),
            port: Arc::new(StorePort(Arc::clone(&store))),
            store,
            clock,
            clocks: None,
            max_events: None,
            documents: None,
            storage: None,
            people: None,
            stream_locks: StreamLocks::new(),
        }
    }

    /// Carries out a command with a decision that needs only its own stream and `evidence`: every command
    /// without its own handler.
    pub(super) async fn execute<D: Aggregate>(
        &self,
        intent: &Intent,
        command: D::Command,
        evidence: D::Evidence,
    ) -> Result<CommandAnswer, CommandFailure> {
        let appended = self.decide_and_append::<D>(intent, command, evidence).await;
        self.answer(intent, appended).await
    }

    /// Loads, decides and appends; repeated if another append came first.
    pub(super) async fn decide_and_append<D: Aggregate>(
        &self,
        intent: &Intent,
        command: D::Command,
        evidence: D::Evidence,
    ) -> Result<AppendAnswer, CommandFailure> {
        let mut attempts = self.attempts(intent).await;
        loop {
            let (command, evidence) = (command.clone(), evidence.clone());
            let attempt = self
                .attempt::<D>(intent, command, evidence, attempts.freshness())
                .await;
            if let Some(outcome) = attempts.after(attempt).await {
                return outcome;
            }
        }
    }

    async fn attempt<D: Aggregate>(
        &self,
        intent: &Intent,
        command: D::Command,
        evidence: D::Evidence,
        freshness: Freshness,
    ) -> Result<AppendAnswer, AttemptError> {
        let loaded = self.load::<D>(intent, freshness).await?;
        let context = self.context(intent, evidence);
        let decision = decide::<D>(intent, &loaded, freshness, command, &context)?;
        self.append::<D>(intent, &loaded, decision, &[]).await
    }

    /// Begins the attempts of an intent; where the commands of its stream wait for each other, under the lock
    /// of the stream.
    pub(super) async fn attempts<'a>(&'a self, intent: &'a Intent) -> Attempts<'a> {
        let isolation = self.isolation(intent);
        let stream_lock = match isolation {
            Isolation::Queue => Some(self.stream_locks.lock(intent.workspace, &intent.stream).await),
            Isolation::VersionCheck | Isolation::Nothing => None,
        };
        // Only the version check finds that a cached state is out of date.
        let freshness = match isolation {
            Isolation::Queue | Isolation::VersionCheck => Freshness::Cached,
            Isolation::Nothing => Freshness::Read,
        };
        Attempts::new(intent, stream_lock, freshness)
    }

    fn isolation(&self, intent: &Intent) -> Isolation {
        self.port.isolation(intent.workspace, &intent.stream)
    }

    /// Whether the intent's stream may be at this version.
    pub(super) fn is_expected(&self, intent: &Intent, version: u64) -> bool {
        intent.expected.is_met_by(version) || self.isolation(intent) == Isolation::Nothing
    }

    /// The intent under the id that names it, which may be a new one.
    pub(super) fn identified(&self, intent: Intent) -> Intent {
        match self.port.new_id(&intent) {
            None => intent,
            Some(command_id) => Intent {
                command_id,
                may_be_repeated: false,
                ..intent
            },
        }
    }

    /// The aggregate of the intent's stream, at a version that the caller expects.
    pub(super) async fn load<D: Aggregate>(
        &self,
        intent: &Intent,
        freshness: Freshness,
    ) -> Result<Arc<LoadedAggregate<D::State>>, AttemptError> {
        let loaded = self
            .loader
            .load::<D>(intent.workspace, &intent.stream, freshness)
            .await?;
        if self.is_expected(intent, loaded.version) {
            Ok(loaded)
        } else {
            Err(AttemptError::VersionMismatch {
                current: loaded.version,
            })
        }
    }

    /// The people service; an error if this command service has none.
    pub(super) fn people(&self) -> Result<&People, PeopleError> {
        let no_people =
            || PeopleError::Unavailable("this command service stores no data of people".to_owned());
        self.people.as_deref().ok_or_else(no_people)
    }

    /// The context of a decision, besides its own stream.
    pub(super) fn context<Evidence>(&self, intent: &Intent, evidence: Evidence) -> Context<Evidence> {
        Context {
            stream: intent.stream.clone(),
            now: self.clock.now(),
            actor: intent.actor.clone(),
            evidence,
        }
    }

    /// Appends the decided events to the intent's stream and to those of emails: all or nothing.
    pub(super) async fn append<D: Aggregate>(
        &self,
        intent: &Intent,
        loaded: &LoadedAggregate<D::State>,
        decision: Decision<D::Event>,
        reservations: &[StreamDecision<Email>],
    ) -> Result<AppendAnswer, AttemptError> {
        let Decision { events, validation } = decision;
        let mut events: Vec<DomainEvent> = events.into_iter().map(D::Event::into_domain).collect();
        self.seal(intent, &mut events).await?;
        let own = self.stream_append(&intent.stream, loaded.version, &events)?;
        self.reserve(intent, &own, &events).await?;
        self.read_clock(intent.workspace).await?;
        let first_id = own.events.first().map(|event| event.event_id);
        let mut streams = vec![own];
        for reservation in reservations {
            let events: Vec<_> = reservation
                .events
                .iter()
                .map(|event| event.clone().into_domain())
                .collect();
            streams.push(self.stream_append(&reservation.stream, reservation.loaded.version, &events)?);
        }
        let spans = AppendSpans::begin(intent, &streams);
        let span = spans
            .first()
            .unwrap_or_else(|| tracing::info_span!("Event Store"));
        let appended = self
            .port
            .append(self.append_request(intent, streams))
            .instrument(span)
            .await;
        // If a repetition of this command was faster, the answer and its events are that one's.
        let is_ours = appended
            .as_ref()
            .is_ok_and(|answer| first_event(answer) == first_id);
        spans.end(intent, validation, &appended, is_ours);
        let appended = appended.map_err(attempt_error)?;
        if is_ours {
            // As they are stored: a state is cached and saved with its personal texts sealed.
            let events: Vec<_> = events.iter().filter_map(D::Event::from_domain).collect();
            let mut streams = appended.streams.iter();
            if let Some(own) = streams.next() {
                self.loader
                    .advance::<D>(intent.workspace, own, loaded, &events)
                    .await;
            }
            for (StreamDecision { loaded, events, .. }, stream) in reservations.iter().zip(streams) {
                let events: Vec<_> = events.iter().collect();
                self.loader
                    .advance::<Email>(intent.workspace, stream, loaded, &events)
                    .await;
            }
        }
        Ok(appended)
    }

    /// Has the clock of a workspace read, by which the event store records the events of an append: they
    /// never have the machine's time in a workspace with another one.
    pub(super) async fn read_clock(&self, workspace: WorkspaceId) -> Result<(), StoreError> {
        let Some(clocks) = &self.clocks else { return Ok(()) };
        let read = clocks.prepare(workspace).await;
        read.map_err(|error| StoreError::Unavailable(format!("the workspace's clock: {error}")))
    }

    /// Counts what the events of the command's own stream can become, or refuses them. Those of the streams
    /// of emails are in no view.
    async fn reserve(
        &self,
        intent: &Intent,
        own: &StreamAppend,
        events: &[DomainEvent],
    ) -> Result<(), AttemptError> {
        let Some(storage) = &self.storage else {
            return Ok(());
        };
        let events: Vec<_> = events.iter().zip(&own.events).collect();
        let now = self.clock.now();
        let growth = Growth::of(intent.workspace, &intent.stream, &metadata(intent), now, &events);
        // What a person has a right to is a change: one that changes nothing leaves an answer to store, as
        // often as it is sent.
        let changes_something = !events.is_empty() || intent.actor.role == Role::System;
        storage
            .reserve(
                intent.workspace,
                growth,
                changes_something && is_always_stored(intent),
            )
            .await
            .map_err(AttemptError::Failed)
    }

    /// The digest of an intent as it is stored: with a key, which the people service has.
    pub(super) fn stored_digest(&self, intent: &Intent) -> [u8; 32] {
        self.people.as_deref().map_or(intent.body_digest, |people| {
            people.digest_key().keyed(&intent.body_digest)
        })
    }

    fn append_request(&self, intent: &Intent, streams: Vec<StreamAppend>) -> Append {
        Append {
            workspace: intent.workspace,
            body_digest: self.stored_digest(intent),
            streams,
            max_events: self.max_events.filter(|_| !is_always_stored(intent)),
            metadata: metadata(intent),
        }
    }

    /// One stream's part of an append. It always expects the version that was decided on, also if the caller
    /// named none: a decision is valid only for the state that it was made on.
    fn stream_append(
        &self,
        stream: &StreamName,
        decided_on: u64,
        events: &[DomainEvent],
    ) -> Result<StreamAppend, StoreError> {
        Ok(StreamAppend {
            stream: stream.clone(),
            expected: Expected::Exact(decided_on),
            events: events
                .iter()
                .map(|event| self.new_event(event))
                .collect::<Result<_, _>>()?,
        })
    }

    fn new_event(&self, event: &DomainEvent) -> Result<NewEvent, StoreError> {
        let event_type = event.event_type();
        Ok(NewEvent {
            event_id: self.clock.new_id(),
            event_type: event_type.name.to_owned(),
            schema_version: event_type.schema_version,
            payload: event
                .encode()
                .map_err(|error| StoreError::Corrupt(error.to_string()))?,
        })
    }

    /// Seals the personal data in events of the intent's stream.
    async fn seal(&self, intent: &Intent, events: &mut [DomainEvent]) -> Result<(), AttemptError> {
        let Some(people) = &self.people else { return Ok(()) };
        for event in events {
            if let Some(personal) = personal::of(event, &intent.stream) {
                people
                    .seals
                    .seal(intent.workspace, personal.person, personal.fields)
                    .await?;
            }
        }
        Ok(())
    }

    /// Removes a workspace that has ended from memory.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        self.loader.end(workspace);
    }
}

/// Lets the aggregate decide on a state that is this new.
pub(super) fn decide<D: Decider>(
    intent: &Intent,
    loaded: &LoadedAggregate<D::State>,
    freshness: Freshness,
    command: D::Command,
    context: &Context<D::Evidence>,
) -> Result<Decision<D::Event>, Rejection> {
    let mut validation = Validation::begin(intent, loaded.version);
    let decided = validation
        .span()
        .in_scope(|| D::decide(&loaded.state, command, context));
    match decided {
        Ok(events) => {
            validation.decided();
            Ok(Decision { events, validation })
        }
        Err(rejection) => {
            validation.refused(intent, freshness);
            Err(rejection)
        }
    }
}

/// The id of the first event of an append.
fn first_event(appended: &AppendAnswer) -> Option<Uuid> {
    let first = appended.streams.first()?.events.first()?;
    Some(first.event_id)
}

/// The metadata of the events of a command.
fn metadata(intent: &Intent) -> Metadata {
    Metadata {
        correlation_id: intent.correlation_id,
        causation_id: intent.causation_id,
        command_id: intent.command_id,
        actor: intent.actor.reference(),
        traceparent: telemetry::current_traceparent().or_else(|| intent.traceparent.clone()),
    }
}

fn attempt_error(error: AppendError) -> AttemptError {
    match error {
        AppendError::Conflict { stream, current } => AttemptError::Conflict { stream, current },
        error => AttemptError::Failed(error.into()),
    }
}

/// Whether a full sandbox accepts it too: commands of the shop itself, and those that a person has a right
/// to, an erasure and the end of emails.
fn is_always_stored(intent: &Intent) -> bool {
    intent.actor.role == Role::System || matches!(intent.command_type, "EraseUser" | "StopMails")
}
