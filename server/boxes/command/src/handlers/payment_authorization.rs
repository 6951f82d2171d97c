//! `ProcessPayment`, `RefundPayment`: the payment provider is asked first, and the decision sees its answer.
//!
//! It is asked outside of the stream's turn, so that a provider that takes its time holds up no other command. A request
//! carries the same key for the same payment, so a decision that has to be taken again asks for nothing new.

use std::sync::Arc;

use domain::{
    aggregate::payment::{NOT_ASKED, Payment, PaymentCommand, ProviderAnswer, ProviderRequest},
    wire::CommandAnswer,
};
use event_store::Appended;
use payment::{NoAnswer, PaymentProvider};

use crate::{aggregates::Freshness, failure::CommandFailure, intent::Intent, repository::Repository};

/// How often other commands may change the payment while the provider is being asked.
const MAX_ATTEMPTS: u32 = 8;

/// Asks the provider for what the payment's state calls for, and decides on its answer.
pub(crate) async fn handle(
    repository: &Repository,
    provider: Option<&Arc<dyn PaymentProvider>>,
    intent: &Intent,
    command: PaymentCommand,
) -> Result<CommandAnswer, CommandFailure> {
    let appended = ask_and_decide(repository, provider, intent, &command).await;
    repository.answer(intent, appended).await
}

async fn ask_and_decide(
    repository: &Repository,
    provider: Option<&Arc<dyn PaymentProvider>>,
    intent: &Intent,
    command: &PaymentCommand,
) -> Result<Appended, CommandFailure> {
    let mut version = 0;
    for _ in 0..MAX_ATTEMPTS {
        let loaded = repository
            .aggregates
            .load::<Payment>(intent.workspace, &intent.stream, Freshness::Read)
            .await?;
        version = loaded.version;
        if !intent.expected.is_met_by(version) {
            break;
        }
        let answer = match loaded.state.provider_request(command, &intent.stream) {
            None => None,
            Some(request) => Some(ask(provider, intent, &request).await?),
        };
        let decided = repository
            .decide_and_append::<Payment>(intent, command.clone(), answer)
            .await;
        match decided {
            // The payment is another one than it was when the provider was asked.
            Err(CommandFailure::Rejected(rejection)) if rejection.rule == NOT_ASKED => {}
            decided => return decided,
        }
    }
    Err(CommandFailure::Conflict {
        stream: intent.stream.clone(),
        current: version,
    })
}

async fn ask(
    provider: Option<&Arc<dyn PaymentProvider>>,
    intent: &Intent,
    request: &ProviderRequest,
) -> Result<ProviderAnswer, NoAnswer> {
    let provider = provider.ok_or_else(|| NoAnswer::Unavailable("this server has none".to_owned()))?;
    payment::ask(provider, intent.workspace, &intent.stream, request).await
}
