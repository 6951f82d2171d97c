//! What a payment asks the payment provider for, and what the provider answers.

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// A request to the payment provider. The stream's name makes it one request, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderRequest {
    /// To charge.
    Charge {
        /// How much.
        amount: Money,
        /// How.
        method: String,
    },
    /// To give a charge back.
    Refund {
        /// The provider's name for the charge.
        charge: String,
        /// How much.
        amount: Money,
    },
}

/// The answer of the payment provider, which stays the same for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderAnswer {
    /// It has charged.
    Charged {
        /// Its name for the charge.
        charge: String,
    },
    /// It has given the charge back.
    Refunded,
    /// It does not do it, and nothing has changed.
    Refused {
        /// Why not.
        reason: String,
    },
}
