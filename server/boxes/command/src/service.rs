//! The command service: where commands come in, from the gateway and from process managers.

use std::sync::Arc;

use domain::{
    access::Actor,
    aggregate::{
        Command,
        email::Email,
        inbox::Inbox,
        inventory::Inventory,
        order::{Order, OrderCommand, ProductCatalogue},
        product::Product,
        user::UserCommand,
    },
    id::WorkspaceId,
    wire::{CommandAnswer, CommandRequest},
};
use tracing::Instrument as _;

use super::{
    failure::CommandFailure,
    handlers::{
        change_display_name, change_email, erase_user, payment_authorization, place_order, register_user,
    },
    intent::Intent,
    repository::Repository,
};
use clock::SharedClock;
use event_store::EventStore;
use identity::{People, standing::Presented};
use payment::PaymentProvider;

/// Accepts commands.
#[derive(Debug)]
pub struct CommandService {
    repository: Repository,
    /// Moves money; without one, no payment is charged.
    payments: Option<Arc<dyn PaymentProvider>>,
}

impl CommandService {
    /// A command service on a store. It keeps the states of busy aggregates in memory.
    pub fn new(store: Arc<dyn EventStore>, clock: SharedClock) -> Self {
        Self {
            repository: Repository::new(store, clock),
            payments: None,
        }
    }

    /// Refuses appends of clients to a sandbox that has so many events. What process managers do is let through: it follows
    /// from what people did, and half of it would be worse than a little too much.
    #[must_use]
    pub fn with_quota(mut self, max_events: Option<u64>) -> Self {
        self.repository.max_events = max_events;
        self
    }

    /// Seals what is personal, and keeps what a user's commands want kept outside the log; without it, events are stored as
    /// they were decided, and no user is registered.
    #[must_use]
    pub fn with_people(mut self, people: Arc<People>) -> Self {
        self.repository.people = Some(people);
        self
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
        self.repository.end(workspace);
    }

    /// Carries out what a client asked for over the interface. With an `idempotency_key` (1 to 200 visible ASCII
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
            self.repository.clock.as_ref(),
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
        let (repository, intent) = (&self.repository, &intent);
        if let Some(answer) = repository.earlier_answer(intent).await? {
            return Ok(answer);
        }
        match intent.command.clone() {
            Command::Email(command) => repository.execute::<Email>(intent, command, ()).await,
            Command::Inbox(command) => repository.execute::<Inbox>(intent, command, ()).await,
            Command::Inventory(command) => repository.execute::<Inventory>(intent, command, ()).await,
            Command::Product(command) => repository.execute::<Product>(intent, command, ()).await,
            Command::Order(OrderCommand::PlaceOrder(order)) => {
                place_order::handle(repository, intent, order).await
            }
            Command::Order(command) => {
                let no_products = ProductCatalogue::default();
                repository.execute::<Order>(intent, command, no_products).await
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
            Command::User(UserCommand::EraseUser(erase)) => {
                erase_user::handle(repository, intent, erase).await
            }
        }
    }
}
