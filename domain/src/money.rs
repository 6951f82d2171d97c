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

    /// This amount times `quantity`; `None` if it exceeds 64 bits.
    pub fn times(&self, quantity: u32) -> Option<Self> {
        let amount = self.amount.checked_mul(i64::from(quantity))?;
        Some(Self {
            amount,
            currency: self.currency.clone(),
        })
    }

    /// The sum of two amounts; `None` if the currencies differ or it exceeds 64 bits.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        let same = self.currency == other.currency;
        let amount = self.amount.checked_add(other.amount).filter(|_| same)?;
        Some(Self {
            amount,
            currency: self.currency.clone(),
        })
    }
}

/// Sums by currency, sorted by code, so that they do not depend on the order in which amounts were added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sums(Vec<Money>);

impl Sums {
    /// Adds an amount; an amount without a currency is ignored. Sums saturate at 64 bits.
    pub fn add(&mut self, amount: &Money) {
        if amount.currency.is_empty() {
            return;
        }
        match self.0.binary_search_by(|sum| sum.currency.cmp(&amount.currency)) {
            Ok(index) => {
                if let Some(sum) = self.0.get_mut(index) {
                    sum.amount = sum.amount.saturating_add(amount.amount);
                }
            }
            Err(index) => self.0.insert(index, amount.clone()),
        }
    }

    /// The sums, one for each currency.
    pub fn as_slice(&self) -> &[Money] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_currency_do_not_depend_on_the_order() {
        let amounts = [
            Money::new(5, "USD"),
            Money::new(3, "EUR"),
            Money::new(0, ""),
            Money::new(4, "EUR"),
        ];
        let (mut there, mut back) = (Sums::default(), Sums::default());
        for amount in &amounts {
            there.add(amount);
        }
        for amount in amounts.iter().rev() {
            back.add(amount);
        }
        assert_eq!(there.as_slice(), [Money::new(7, "EUR"), Money::new(5, "USD")]);
        assert_eq!(there, back);
    }
}
