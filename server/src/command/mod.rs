//! Box 3, Command Service: validates intent and creates domain commands.
//!
//! A command goes one way: parse → authorise → (repeated? the first answer again) → load the aggregate → `decide` →
//! append with the version that was decided on → where somebody was faster and the caller did not name a version, load
//! and decide again.
//!
//! What is personal in an event is sealed before it is appended, and what follows for the streams of emails is appended with
//! it: see [`along`].
//!
//! Commands on one stream take turns, so that a busy stream costs a commit a command and not a storm of conflicts. That
//! is a courtesy: what keeps two writers apart is the version check of the append, and no other.

mod aggregates;
mod along;
mod asking;
mod failure;
mod intent;
mod template;
#[cfg(test)]
mod tests;
mod workspaces;

use std::{collections::BTreeMap, hash::BuildHasher, hash::RandomState, sync::Arc, time::Duration};

use clock::SharedClock;
use domain::{
    access::{Actor, Role},
    aggregate::{
        Command,
        email::Email,
        inbox::Inbox,
        inventory::Inventory,
        order::Order,
        payment::{Payment, ProviderAnswer},
        product::Product,
        user::User,
    },
    decider::{Context, Decider},
    event::{DomainEvent, EventPayload, Metadata, personal},
    id::{StreamName, WorkspaceId},
    wire::{CommandAnswer, CommandRequest},
};
use event_store::{Append, AppendError, Appended, EventStore, Expected, NewEvent, StoreError, StreamAppend};
use identity::{People, standing::Presented};
use payment::PaymentProvider;
use tokio::sync::{Mutex, MutexGuard};
use tracing::Instrument as _;

use aggregates::{Aggregates, Freshness, Loaded};
use along::Along;
pub use failure::CommandFailure;
pub use intent::Intent;
pub use workspaces::{Admission, AdmissionError, Workspaces};
pub(crate) use workspaces::{MAX_SHARDS, MAX_WORKSPACE_NAME, new_join_code};

/// How often a command is decided before its caller hears of a conflict. Many, because another process that writes to
/// the same stream without a pause wins more often than not: it knows the newest state, and we have to read it first.
const MAX_ATTEMPTS: u32 = 64;

/// The first attempts follow at once; pausing only leaves the stream to whoever has just won.
const HASTY_ATTEMPTS: u32 = 4;

/// Streams share this many turns; two that share one wait for each other now and then, and nothing worse.
const TURNS: usize = 1024;

/// Accepts commands.
#[derive(Debug)]
pub struct CommandService {
    store: Arc<dyn EventStore>,
    clock: SharedClock,
    /// The most events of a sandbox.
    max_events: Option<u64>,
    /// Whoever moves money; without one, nobody is charged.
    payments: Option<Arc<dyn PaymentProvider>>,
    aggregates: Aggregates,
    /// Seals what is personal; without it, events are stored as they were decided, and nobody registers.
    people: Option<Arc<People>>,
    turns: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl CommandService {
    /// A command service on a store. It keeps the states of busy aggregates in memory.
    pub fn new(store: Arc<dyn EventStore>, clock: SharedClock) -> Self {
        Self {
            aggregates: Aggregates::new(Arc::clone(&store)),
            store,
            clock,
            max_events: None,
            people: None,
            payments: None,
            turns: std::iter::repeat_with(Mutex::default).take(TURNS).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Lets nobody append to a sandbox that has so many events. What process managers do is let through: it follows from
    /// what people did, and half of it would be worse than a little too much.
    #[must_use]
    pub fn with_quota(self, max_events: Option<u64>) -> Self {
        Self { max_events, ..self }
    }

    /// Seals what is personal, and keeps what a user's commands want kept outside the log.
    #[must_use]
    pub fn with_people(self, people: Arc<People>) -> Self {
        Self {
            people: Some(people),
            ..self
        }
    }

    /// Has payments processed and refunded by this provider.
    #[must_use]
    pub fn with_payments(self, provider: Arc<dyn PaymentProvider>) -> Self {
        Self {
            payments: Some(provider),
            ..self
        }
    }

    /// A workspace is there no more: nothing of it stays in memory.
    pub fn end(&self, workspace: WorkspaceId) {
        self.aggregates.end(workspace);
    }

    /// Carries out what somebody asked for over the interface. With an `idempotency_key` (1 to 200 visible ASCII
    /// characters, each actor's own) a repetition gets the first answer again.
    pub async fn handle(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        request: &CommandRequest,
        idempotency_key: Option<&str>,
        traceparent: Option<&str>,
    ) -> Result<CommandAnswer, CommandFailure> {
        self.handle_by(None, workspace, actor, request, idempotency_key, traceparent)
            .await
    }

    /// The same for what came by a token: it goes on as a session where it registers its person.
    pub async fn handle_by(
        &self,
        token: Option<Presented>,
        workspace: WorkspaceId,
        actor: &Actor,
        request: &CommandRequest,
        idempotency_key: Option<&str>,
        traceparent: Option<&str>,
    ) -> Result<CommandAnswer, CommandFailure> {
        let intent = Intent::from_request(
            workspace,
            actor,
            request,
            idempotency_key,
            traceparent,
            self.clock.as_ref(),
        );
        match intent {
            Ok(intent) => self.carry_out(Intent { token, ..intent }).await,
            Err(failure) => {
                metrics::counter!("foldline_commands_total", "command" => "unread", "outcome" => failure.outcome())
                    .increment(1);
                Err(failure)
            }
        }
    }

    /// Carries out an intent: what [`handle`](Self::handle) makes of a request, and process managers make themselves.
    pub async fn carry_out(&self, intent: Intent) -> Result<CommandAnswer, CommandFailure> {
        let name = intent.command_type;
        let span = tracing::info_span!("Command Service", command = name, stream = %intent.stream);
        let result = self.answer(intent).instrument(span).await;
        let outcome = result
            .as_ref()
            .map_or_else(CommandFailure::outcome, |_| "accepted");
        metrics::counter!("foldline_commands_total", "command" => name, "outcome" => outcome).increment(1);
        result
    }

    async fn answer(&self, intent: Intent) -> Result<CommandAnswer, CommandFailure> {
        if !intent.actor.may_command(&intent.command) {
            return Err(CommandFailure::Forbidden {
                command: intent.command_type,
            });
        }
        if let Some(answer) = self.earlier_answer(&intent).await? {
            return Ok(answer);
        }
        self.must_know_password(&intent).await?;
        let appended = match intent.command.clone() {
            Command::Email(command) => self.decide_and_append::<Email>(&intent, command).await,
            Command::Inbox(command) => self.decide_and_append::<Inbox>(&intent, command).await,
            Command::Inventory(command) => self.decide_and_append::<Inventory>(&intent, command).await,
            Command::Order(command) => self.decide_and_append::<Order>(&intent, command).await,
            Command::Payment(command) => self.ask_and_decide::<Payment>(&intent, command).await,
            Command::Product(command) => self.decide_and_append::<Product>(&intent, command).await,
            Command::User(command) => self.decide_and_append::<User>(&intent, command).await,
        };
        let answer = match appended {
            Ok(appended) => Ok(command_answer(&intent, appended)),
            // What stands in the way may be this command's own effect: the same submit, at the same time, was faster.
            Err(refusal @ (CommandFailure::Rejected(_) | CommandFailure::Conflict { .. })) => {
                self.earlier_answer(&intent).await?.ok_or(refusal)
            }
            Err(failure) => Err(failure),
        };
        self.people_after(&intent, &answer).await;
        answer
    }

    /// What the same command was answered before; none where it was not, or cannot have been.
    async fn earlier_answer(&self, intent: &Intent) -> Result<Option<CommandAnswer>, CommandFailure> {
        if !intent.may_be_repeated {
            return Ok(None);
        }
        let recorded = self
            .store
            .recorded_command(intent.workspace, intent.command_id)
            .await?;
        match recorded {
            Some(recorded) if recorded.body_digest != intent.body_digest => Err(CommandFailure::KeyReused),
            recorded => Ok(recorded.map(|recorded| command_answer(intent, recorded.answer))),
        }
    }

    async fn decide_and_append<D: Decider>(
        &self,
        intent: &Intent,
        command: D::Command,
    ) -> Result<Appended, CommandFailure> {
        self.decide_with::<D>(intent, command, None).await
    }

    /// The same, where a decision may need the payment provider's word.
    async fn decide_with<D: Decider>(
        &self,
        intent: &Intent,
        command: D::Command,
        provider: Option<ProviderAnswer>,
    ) -> Result<Appended, CommandFailure> {
        let _turn = self.turn(intent.workspace, &intent.stream).await;
        // A refusal is only ever given on what has just been read: the first attempt may see a cached state, and where
        // that leads to a refusal, the next one looks again.
        let mut freshness = Freshness::Cached;
        let mut conflict = None;
        let mut are_people_ready = false;
        for attempt in 0..MAX_ATTEMPTS {
            let loaded = self
                .aggregates
                .load::<D>(intent.workspace, &intent.stream, freshness)
                .await?;
            if !intent.expected.is_met_by(loaded.version) {
                if freshness == Freshness::Read {
                    return Err(CommandFailure::Conflict {
                        stream: intent.stream.clone(),
                        current: loaded.version,
                    });
                }
                freshness = Freshness::Read;
                continue;
            }
            let context = Context {
                provider: provider.clone(),
                ..self.context::<D>(intent, &command, freshness).await?
            };
            let decided = tracing::info_span!("Aggregate / Domain Logic", version = loaded.version)
                .in_scope(|| D::decide(&loaded.state, command.clone(), &context));
            let decided = match decided {
                Ok(events) => self
                    .along::<D>(intent, &loaded.state, &events, &context, freshness)
                    .await?
                    .map(|along| (events, along)),
                Err(rejection) => Err(rejection),
            };
            let (events, along) = match decided {
                Ok(decided) => decided,
                Err(rejection) if freshness == Freshness::Read => return Err(rejection.into()),
                Err(_) => {
                    freshness = Freshness::Read;
                    continue;
                }
            };
            if !are_people_ready && !events.is_empty() {
                self.people_before(intent).await?;
                are_people_ready = true;
            }
            match self.append::<D>(intent, &loaded, events, &along).await? {
                Ok(appended) => return Ok(appended),
                // Whoever named a version wants to hear of it; a retry could only fail again.
                Err((stream, current))
                    if stream == intent.stream
                        && matches!(intent.expected, Expected::Exact(_) | Expected::NoStream) =>
                {
                    return Err(CommandFailure::Conflict { stream, current });
                }
                Err((_, current)) => {
                    conflict = Some(current);
                    freshness = Freshness::Read;
                    metrics::counter!("foldline_command_retries_total").increment(1);
                    if attempt >= HASTY_ATTEMPTS {
                        tokio::time::sleep(jitter()).await;
                    }
                }
            }
        }
        let current = conflict.unwrap_or_default();
        Err(CommandFailure::Conflict {
            stream: intent.stream.clone(),
            current,
        })
    }

    /// `Err` with the stream and its current version where somebody was faster.
    async fn append<D: Decider>(
        &self,
        intent: &Intent,
        loaded: &Loaded<D::State>,
        events: Vec<D::Event>,
        along: &[Along],
    ) -> Result<Result<Appended, (StreamName, u64)>, CommandFailure> {
        let mut events: Vec<DomainEvent> = events.into_iter().map(EventPayload::into_domain).collect();
        self.seal(intent, &mut events).await?;
        let new_events = events
            .iter()
            .map(|event| self.new_event(event))
            .collect::<Result<Vec<_>, _>>()?;
        let first_id = new_events.first().map(|event| event.event_id);
        let mut streams = vec![StreamAppend {
            stream: intent.stream.clone(),
            // Always the version that was decided on, also where the caller named none: a decision holds for the state it
            // was made on.
            expected: Expected::Exact(loaded.version),
            events: new_events,
        }];
        for further in along {
            streams.push(further.append(|event| self.new_event(event))?);
        }
        let append = Append {
            workspace: intent.workspace,
            body_digest: intent.body_digest,
            streams,
            max_events: self.max_events.filter(|_| !is_always_stored(intent)),
            metadata: Metadata {
                correlation_id: intent.correlation_id,
                causation_id: intent.causation_id,
                command_id: intent.command_id,
                actor: intent.actor.reference(),
                traceparent: telemetry::current_traceparent().or_else(|| intent.traceparent.clone()),
            },
        };
        match self
            .store
            .append(append)
            .instrument(tracing::info_span!("Event Store"))
            .await
        {
            Ok(appended) => {
                // The answer to a repetition that overtook us is the first one's: its events are not ours.
                let ours = appended.streams.first().and_then(|stream| stream.events.first());
                if ours.map(|event| event.event_id) == first_id {
                    // As they are stored: a state is kept and saved with its personal texts sealed.
                    let events: Vec<_> = events.iter().filter_map(D::Event::from_domain).collect();
                    self.aggregates
                        .advance::<D>(intent.workspace, &intent.stream, loaded, &events)
                        .await;
                    for further in along {
                        further.advance(&self.aggregates, intent.workspace).await;
                    }
                }
                Ok(Ok(appended))
            }
            Err(AppendError::Conflict { stream, current }) => Ok(Err((stream, current))),
            Err(AppendError::CommandReused(_)) => Err(CommandFailure::KeyReused),
            Err(AppendError::UnknownWorkspace(id)) => Err(CommandFailure::UnknownWorkspace(id)),
            Err(AppendError::Full { stored, most }) => Err(CommandFailure::Full { stored, most }),
            Err(AppendError::Store(error)) => Err(error.into()),
        }
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

    /// Seals what is personal in events of the intent's stream.
    async fn seal(&self, intent: &Intent, events: &mut [DomainEvent]) -> Result<(), CommandFailure> {
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

    async fn context<D: Decider>(
        &self,
        intent: &Intent,
        command: &D::Command,
        freshness: Freshness,
    ) -> Result<Context, CommandFailure> {
        let mut products = BTreeMap::new();
        for sku in D::products(command) {
            // What cannot be a stream's name cannot be a product.
            let Ok(stream) = StreamName::new(Product::CATEGORY, &sku) else {
                continue;
            };
            let loaded = self
                .aggregates
                .load_foreign::<Product>(intent.workspace, &stream, freshness)
                .await?;
            if loaded.version > 0 {
                products.insert(sku, loaded.state.clone());
            }
        }
        Ok(Context {
            stream: intent.stream.clone(),
            now: self.clock.now(),
            actor: intent.actor.clone(),
            products,
            provider: None,
        })
    }

    async fn turn(&self, workspace: WorkspaceId, stream: &StreamName) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one((workspace, stream));
        let index = usize::try_from(hash % self.turns.len() as u64).unwrap_or(0);
        self.turns[index].lock().await
    }
}

/// Whether a full sandbox takes it too: what the shop itself has to do, and what is somebody's right, to be erased and to be
/// left in peace.
fn is_always_stored(intent: &Intent) -> bool {
    intent.actor.role == Role::System || matches!(intent.command_type, "EraseUser" | "StopMails")
}

/// Up to 4 milliseconds: whoever collided several times should not collide again.
fn jitter() -> Duration {
    Duration::from_micros(rand::random_range(0..4_000))
}

fn command_answer(intent: &Intent, appended: Appended) -> CommandAnswer {
    let version = appended.streams.first().map_or(0, |stream| stream.version);
    CommandAnswer {
        command_id: intent.command_id,
        correlation_id: appended.correlation_id,
        stream: intent.stream.to_string(),
        version,
        events: appended
            .streams
            .into_iter()
            .flat_map(|stream| stream.events)
            .collect(),
        token: appended.token,
    }
}
