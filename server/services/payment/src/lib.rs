//! Document 2's Payment Service: the port to whoever really moves money.
//!
//! A provider takes an idempotency key with every request and gives the same answer to it for ever, whoever asks again and
//! whenever. It may also give none yet: then the request is repeated. What an answer means to an order is the domain's.

pub mod test_mode;
#[cfg(test)]
mod tests;

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    aggregate::payment::{ProviderAnswer, ProviderRequest},
    id::{StreamName, WorkspaceId},
};

/// How long a provider is listened to at a time. Nobody waits for it in between.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whoever moves money.
#[async_trait]
pub trait PaymentProvider: Send + Sync + Debug {
    /// Asks for something, which happens once for a key, however often it is asked for.
    async fn ask(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
    ) -> Result<ProviderAnswer, NoAnswer>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It may have been done and may be done still: only the same request again finds out.
    #[error("the payment provider has not answered yet; send it again with the same Idempotency-Key")]
    NotYet,
    /// It was not heard.
    #[error("the payment provider is not available: {0}")]
    Unavailable(String),
    /// Another request is under way for the same payment.
    #[error("the payment provider was asked for something else for this payment before")]
    KeyReused,
}

/// The one way to ask: with a key that follows from the payment's stream, and for a bounded time.
pub async fn ask(
    provider: &Arc<dyn PaymentProvider>,
    workspace: WorkspaceId,
    payment: &StreamName,
    request: &ProviderRequest,
) -> Result<ProviderAnswer, NoAnswer> {
    let (what, key) = match request {
        ProviderRequest::Charge { .. } => ("charge", format!("charge/{}", payment.id())),
        ProviderRequest::Refund { .. } => ("refund", format!("refund/{}", payment.id())),
    };
    let answer = tokio::time::timeout(PATIENCE, provider.ask(workspace, &key, request)).await;
    let answer = answer.unwrap_or(Err(NoAnswer::NotYet));
    let outcome = match &answer {
        Ok(ProviderAnswer::Refused { .. }) => "refused",
        Ok(_) => "done",
        Err(_) => "unanswered",
    };
    metrics::counter!("foldline_payment_requests_total", "request" => what, "outcome" => outcome)
        .increment(1);
    answer
}
