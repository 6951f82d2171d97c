//! The requests to the payment provider, and its answers.

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// A request to the payment provider. The stream's name is its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderRequest {
    /// Charge the payer.
    Charge {
        /// The amount.
        amount: Money,
        /// The payment method.
        method: String,
    },
    /// Refund a charge.
    Refund {
        /// The provider's id of the charge.
        charge: String,
        /// The amount.
        amount: Money,
    },
}

/// The answer of the payment provider; the same request always has the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderAnswer {
    /// The charge was made.
    Charged {
        /// The provider's id of the charge.
        charge: String,
    },
    /// The charge was refunded.
    Refunded,
    /// The request was declined, without an effect.
    Refused {
        /// The provider's reason.
        reason: String,
    },
}
