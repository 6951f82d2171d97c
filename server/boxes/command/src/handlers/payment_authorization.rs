//! `ProcessPayment`, `RefundPayment`: the payment provider is asked first, and the decision gets its answer.
//!
//! It is asked without the stream's lock, so that a slow provider delays no other command. The requests of a
//! payment have the same key, so a decision that is made again asks for nothing new.

use std::sync::Arc;

use domain::{
    aggregate::payment::{NOT_ASKED, Payment, PaymentCommand, ProviderAnswer, ProviderRequest},
    wire::CommandAnswer,
};
use event_store::AppendAnswer;
use payment::{PaymentProvider, ProviderError};

use crate::{aggregate_loader::Freshness, failure::CommandFailure, intent::Intent, repository::Repository};

/// How often other commands may change the payment while the provider is asked.
const MAX_ATTEMPTS: u32 = 8;

/// Sends the provider the request that follows from the payment's state, and decides on its answer.
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
) -> Result<AppendAnswer, CommandFailure> {
    let mut version = 0;
    for _ in 0..MAX_ATTEMPTS {
        let loaded = repository
            .loader
            .load::<Payment>(intent.workspace, &intent.stream, Freshness::Read)
            .await?;
        version = loaded.version;
        if !repository.is_expected(intent, version) {
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
            // The payment has changed since the provider was asked.
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
) -> Result<ProviderAnswer, ProviderError> {
    let provider = provider.ok_or_else(|| ProviderError::Unavailable("this server has none".to_owned()))?;
    payment::ask(provider, intent.workspace, &intent.stream, request).await
}
