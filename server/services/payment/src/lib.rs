//! The Payment Service of the second diagram: the port to a payment provider.
//!
//! A provider takes an idempotency key with every request, and always gives the same answer to the same key.
//! If it has no answer yet, the request is repeated. The domain decides what an answer means for an order.

pub mod test_mode;
#[cfg(test)]
mod tests;

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    aggregate::payment::{ProviderAnswer, ProviderRequest},
    id::{StreamName, WorkspaceId},
};

/// How long one request waits for the provider's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the test mode waits for its books. Shorter, so that books that do not answer are not taken for a
/// provider that does not.
const BOOKS_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A provider that charges and refunds payments.
#[async_trait]
pub trait PaymentProvider: Send + Sync + Debug {
    /// Sends a request. It is carried out once for a key, also when it is sent several times.
    async fn ask(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
    ) -> Result<ProviderAnswer, ProviderError>;
}

/// A provider that can be told to decline a charge, as a test mode can.
#[async_trait]
pub trait DecliningProvider: PaymentProvider {
    /// Sends a request as [`ask`](PaymentProvider::ask) does, and has a charge declined, also one that its
    /// method would allow. A key that has an answer keeps it, and the decline is the answer of its key for
    /// ever.
    async fn decline(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
    ) -> Result<ProviderAnswer, ProviderError>;
}

/// Why a provider gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The request may have been carried out, or may be later: only a repetition finds out.
    #[error("the payment provider has not answered yet; send it again with the same Idempotency-Key")]
    NotYet,
    /// The provider did not get the request, or has failed.
    #[error("the payment provider is not available: {0}")]
    Unavailable(String),
    /// The storage of this server does not answer, so nothing is known of the request. That is no fault of
    /// the provider, and no deadline of the payment starts.
    #[error("the payment cannot be requested now: {0}")]
    Interrupted(String),
    /// The key was used for another request.
    #[error("the payment provider was asked for something else for this payment before")]
    KeyReused,
}

/// Sends a request with a key that follows from the payment's stream, and waits for a bounded time.
pub async fn ask(
    provider: &Arc<dyn PaymentProvider>,
    workspace: WorkspaceId,
    payment: &StreamName,
    request: &ProviderRequest,
) -> Result<ProviderAnswer, ProviderError> {
    let (what, key) = match request {
        ProviderRequest::Charge { .. } => ("charge", format!("charge/{}", payment.id())),
        ProviderRequest::Refund { .. } => ("refund", format!("refund/{}", payment.id())),
    };
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, provider.ask(workspace, &key, request)).await;
    let answer = answer.unwrap_or(Err(ProviderError::NotYet));
    let outcome = match &answer {
        Ok(ProviderAnswer::Refused { .. }) => "refused",
        Ok(_) => "done",
        Err(_) => "unanswered",
    };
    metrics::counter!("foldline_payment_requests_total", "request" => what, "outcome" => outcome)
        .increment(1);
    answer
}
