//! The command service: the entry point for commands of the gateway and of process managers.

use std::sync::Arc;

use domain::{
    access::Actor,
    aggregate::{
        Command,
        email::Email,
        inbox::Inbox,
        order::{Order, OrderCommand, OrderEvidence},
        product::Product,
        question::Question,
        user::{User, UserCommand},
    },
    decider::Decider as _,
    id::{StreamName, WorkspaceId},
    language::Language,
    timestamp::Timestamp,
    wire::{
        CommandAnswer, CommandRequest,
        hops::{Arrow, HopOutcome},
    },
};
use telemetry::{hop_span, hops::HopSpan as _};
use tracing::{Instrument as _, Level};
use uuid::Uuid;

use super::{
    aggregate_loader::Freshness,
    append_port::AppendPort,
    command_hops::CommandHop,
    failure::CommandFailure,
    guests::Guests,
    handlers::{
        change_display_name, change_email, erase_user, make_prediction, payment_authorization, place_order,
        read_notifications, register_user, reserved_stock, ship_order,
    },
    intent::Intent,
    repository::Repository,
    storage_quota::{Growth, StorageLimits, StorageQuota},
    stored_documents::StoredDocuments,
    template::PreparedTemplate,
};
use clock::SharedClock;
use event_store::{EventStore, StoreError};
use identity::{People, session_status::PresentedToken};
use payment::PaymentProvider;
use workspace_clock::Clocks;

/// Carries out commands: authorises each, decides it and appends its events.
#[derive(Debug)]
pub struct CommandService {
    repository: Repository,
    /// The payment provider; without one, no payment is charged.
    payments: Option<Arc<dyn PaymentProvider>>,
    /// The guests of sandboxes, some of whom have done nothing yet.
    pub(super) guests: Guests,
}

/// The data of a request that a registration uses, in addition to the actor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sender {
    /// The token, which becomes a session if the command registers its person.
    pub token: Option<PresentedToken>,
    /// The language of a person who is registered without one.
    pub language: Language,
}

impl CommandService {
    /// A command service on a store. It caches the states of aggregates.
    pub fn new(store: Arc<dyn EventStore>, clock: SharedClock) -> Self {
        Self {
            repository: Repository::new(store, clock),
            payments: None,
            guests: Guests::default(),
        }
    }

    /// Records events by the clocks of their workspaces, which the store's clock has to know.
    #[must_use]
    pub fn with_clocks(mut self, clocks: Arc<Clocks>) -> Self {
        self.repository.clocks = Some(clocks);
        self
    }

    /// Begins the clock of a new workspace: at a time, or now.
    pub(super) async fn begin_clock(
        &self,
        workspace: WorkspaceId,
        at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        match (&self.repository.clocks, at) {
            (Some(clocks), None) => clocks.opened(workspace),
            (Some(clocks), Some(at)) => {
                let begun = clocks.open_at(workspace, at).await;
                begun.map_err(|error| StoreError::Unavailable(format!("the workspace's clock: {error}")))?;
            }
            (None, None) => {}
            (None, Some(_)) => {
                let reason = "this command service has no clocks of workspaces";
                return Err(StoreError::Unavailable(reason.to_owned()));
            }
        }
        Ok(())
    }

    /// Begins the clock of a new workspace whose log has events up to a time, which the clock is not behind.
    pub(super) async fn begin_clock_after(
        &self,
        workspace: WorkspaceId,
        newest: Timestamp,
    ) -> Result<(), StoreError> {
        if newest <= self.repository.clock.now() {
            return self.begin_clock(workspace, None).await;
        }
        let Some(clocks) = &self.repository.clocks else {
            let reason = "this command service has no clocks of workspaces";
            return Err(StoreError::Unavailable(reason.to_owned()));
        };
        let set = clocks.put_forward_to(workspace, newest).await;
        set.map_err(|error| StoreError::Unavailable(format!("the workspace's clock: {error}")))?;
        Ok(())
    }

    /// The most events of a sandbox; `None`: any number.
    pub(super) const fn max_events(&self) -> Option<u64> {
        self.repository.max_events
    }

    /// Appends through this port.
    #[must_use]
    pub fn with_port(mut self, port: Arc<dyn AppendPort>) -> Self {
        self.repository.port = port;
        self
    }

    /// Refuses appends of clients to a sandbox that has this number of events. Commands of process managers
    /// are accepted: an unfinished process would be worse than a few more events.
    #[must_use]
    pub fn with_quota(mut self, max_events: Option<u64>) -> Self {
        self.repository.max_events = max_events;
        self
    }

    /// Knows the notifications of people, and refuses commands of clients in a sandbox that has this many
    /// documents, or bytes of them.
    #[must_use]
    pub fn with_documents(mut self, documents: Arc<dyn StoredDocuments>, most: StorageLimits) -> Self {
        self.repository.storage =
            (most != StorageLimits::default()).then(|| StorageQuota::new(Arc::clone(&documents), most));
        self.repository.documents = Some(documents);
        self
    }

    /// Seals personal data, and stores the credentials of users outside the log; without it, events are
    /// stored as they were decided, and no user can be registered.
    #[must_use]
    pub fn with_people(mut self, people: Arc<People>) -> Self {
        self.repository.people = Some(people);
        self
    }

    /// Charges and refunds payments through this provider.
    #[must_use]
    pub fn with_payments(self, provider: Arc<dyn PaymentProvider>) -> Self {
        Self {
            payments: Some(provider),
            ..self
        }
    }

    /// Stores the events of a template in a new workspace, in one transaction.
    pub(super) async fn fill(
        &self,
        workspace: WorkspaceId,
        template: &PreparedTemplate,
    ) -> Result<(), CommandFailure> {
        let repository = &self.repository;
        let people = repository.people()?;
        let appends = template.appends(workspace, people, &*repository.clock).await?;
        repository
            .store
            .append_all(appends)
            .instrument(tracing::info_span!("Event Store"))
            .await?;
        Ok(())
    }

    /// Counts a document of this many bytes that is about to be stored for a workspace without an event, or
    /// refuses it: it takes room of the sandbox like the documents of commands.
    pub async fn reserve_document(&self, workspace: WorkspaceId, bytes: u64) -> Result<(), CommandFailure> {
        match &self.repository.storage {
            Some(storage) => storage.reserve(workspace, Growth::document(bytes), false).await,
            None => Ok(()),
        }
    }

    /// The people of a workspace that is reset keep their places in the one that takes its place.
    pub fn moved(&self, old: WorkspaceId, new: WorkspaceId) {
        self.guests.move_to(old, new);
    }

    /// Removes a workspace that has ended from memory.
    pub fn end(&self, workspace: WorkspaceId) {
        self.repository.end(workspace);
        self.guests.end(workspace);
    }

    /// Carries out a client's request. With an `idempotency_key` (1 to 200 visible ASCII characters, separate
    /// for each actor) a repetition gets the first answer again.
    pub async fn handle(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        request: &CommandRequest,
        idempotency_key: Option<&str>,
        traceparent: Option<&str>,
    ) -> Result<CommandAnswer, CommandFailure> {
        let sender = Sender::default();
        self.handle_from(sender, workspace, actor, request, idempotency_key, traceparent)
            .await
    }

    /// The same for a request of this sender.
    pub async fn handle_from(
        &self,
        sender: Sender,
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
            self.repository.clock.as_ref(),
        );
        match intent {
            Ok(intent) => {
                let Sender { token, language } = sender;
                let intent = Intent {
                    token,
                    language,
                    ..intent
                };
                self.carry_out_over(Some(Arrow::RestJsonCommand), intent).await
            }
            Err(failure) => {
                hop_span!(Level::INFO, "Command Service")
                    .outcome(HopOutcome::Refused)
                    .hop(workspace, Arrow::RestJsonCommand);
                let outcome = failure.outcome();
                metrics::counter!("foldline_commands_total", "command" => "unread", "outcome" => outcome)
                    .increment(1);
                Err(failure)
            }
        }
    }

    /// Whether a person has unsubscribed from emails, by the newest events: a command to unsubscribe would
    /// change nothing, and only its answer would be stored. `false` where there is no such workspace.
    pub async fn has_stopped_mails(
        &self,
        workspace: WorkspaceId,
        person: Uuid,
    ) -> Result<bool, CommandFailure> {
        let stream = StreamName::new(Inbox::CATEGORY, person)
            .map_err(|error| CommandFailure::malformed("stream", error.to_string()))?;
        let loader = &self.repository.loader;
        let inbox = loader.load::<Inbox>(workspace, &stream, Freshness::Read).await?;
        Ok(inbox.state.mails_stopped)
    }

    /// Carries out an intent; [`handle`](Self::handle) makes one of a request, and process managers make
    /// their own.
    pub async fn carry_out(&self, intent: Intent) -> Result<CommandAnswer, CommandFailure> {
        self.carry_out_over(None, intent).await
    }

    /// Carries out an intent that has come over this arrow.
    async fn carry_out_over(
        &self,
        arrow: Option<Arrow>,
        intent: Intent,
    ) -> Result<CommandAnswer, CommandFailure> {
        let name = intent.command_type;
        let (workspace, actor) = (intent.workspace, intent.actor.id);
        let span = hop_span!(
            Level::INFO,
            "Command Service",
            command = name,
            stream = %intent.stream
        );
        let hop = arrow.and_then(|arrow| CommandHop::of(arrow, &intent));
        let result = self.answer(intent).instrument(span.clone()).await;
        if let Some(hop) = hop {
            hop.answered(&span, result.as_ref());
        }
        let outcome = result
            .as_ref()
            .map_or_else(CommandFailure::outcome, |_| "accepted");
        if result.is_ok() {
            self.guests.act(workspace, actor);
        }
        metrics::counter!("foldline_commands_total", "command" => name, "outcome" => outcome).increment(1);
        result
    }

    async fn answer(&self, intent: Intent) -> Result<CommandAnswer, CommandFailure> {
        if !intent.actor.may_command(&intent.command) {
            return Err(CommandFailure::Forbidden {
                command: intent.command_type,
            });
        }
        let repository = &self.repository;
        let intent = &repository.identified(intent);
        if let Some(answer) = repository.earlier_answer(intent).await? {
            return Ok(answer);
        }
        match intent.command.clone() {
            Command::Email(command) => repository.execute::<Email>(intent, command, ()).await,
            Command::Inbox(command) => read_notifications::handle(repository, intent, command).await,
            Command::Inventory(command) => reserved_stock::handle(repository, intent, command).await,
            Command::Prediction(command) => make_prediction::handle(repository, intent, command).await,
            Command::Product(command) => repository.execute::<Product>(intent, command, ()).await,
            Command::Question(command) => repository.execute::<Question>(intent, command, ()).await,
            Command::Order(OrderCommand::PlaceOrder(order)) => {
                place_order::handle(repository, intent, order).await
            }
            Command::Order(OrderCommand::ShipOrder(ship)) => {
                ship_order::handle(repository, intent, ship).await
            }
            Command::Order(command) => {
                let nothing = OrderEvidence::default();
                repository.execute::<Order>(intent, command, nothing).await
            }
            Command::Payment(command) => {
                payment_authorization::handle(repository, self.payments.as_ref(), intent, command).await
            }
            Command::User(UserCommand::RegisterUser(register)) => {
                register_user::handle(repository, intent, register).await
            }
            Command::User(UserCommand::ChangeDisplayName(change)) => {
                change_display_name::handle(repository, intent, change).await
            }
            Command::User(UserCommand::ChangeEmail(change)) => {
                change_email::handle(repository, intent, change).await
            }
            Command::User(
                command @ (UserCommand::ChangeLanguage(_)
                | UserCommand::RequestPasswordReset(_)
                | UserCommand::RecordPasswordChange(_)
                | UserCommand::RequestEmailConfirmation(_)
                | UserCommand::ConfirmEmail(_)),
            ) => repository.execute::<User>(intent, command, ()).await,
            Command::User(UserCommand::EraseUser(erase)) => {
                erase_user::handle(repository, intent, erase).await
            }
        }
    }
}
