//! Money: integer minor units with an ISO 4217 code. Never a floating-point number.

use serde::{Deserialize, Serialize};

/// An amount in minor units (cents) of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Money {
    /// Minor units: 1250 is 12.50 in a currency with two decimals.
    pub amount: i64,
    /// ISO 4217, three upper-case letters.
    pub currency: String,
}

impl Money {
    /// An amount of minor units.
    pub fn new(amount: i64, currency: &str) -> Self {
        Self {
            amount,
            currency: currency.to_owned(),
        }
    }

    /// Whether the code has the shape of ISO 4217.
    pub fn has_currency(&self) -> bool {
        self.currency.len() == 3 && self.currency.bytes().all(|b| b.is_ascii_uppercase())
    }

    /// This amount, `quantity` times; `None` where that does not fit into 64 bits.
    pub fn times(&self, quantity: u32) -> Option<Self> {
        let amount = self.amount.checked_mul(i64::from(quantity))?;
        Some(Self {
            amount,
            currency: self.currency.clone(),
        })
    }

    /// The sum of two amounts; `None` where the currencies differ or it does not fit.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        let same = self.currency == other.currency;
        let amount = self.amount.checked_add(other.amount).filter(|_| same)?;
        Some(Self {
            amount,
            currency: self.currency.clone(),
        })
    }
}
