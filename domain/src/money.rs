//! Money: integer minor units with an ISO 4217 code. Never a floating-point number.

use serde::{Deserialize, Serialize};

/// The number of digits of a currency's minor unit (ISO 4217, list one). The list has none for precious
/// metals, funds and test codes: their amounts are whole. A code that is not in the list has two, as most do.
pub fn minor_digits(currency: &str) -> u8 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XAG" | "XAU" | "XBA" | "XBB" | "XBC" | "XBD" | "XDR" | "XOF" | "XPD"
        | "XPF" | "XPT" | "XSU" | "XTS" | "XUA" | "XXX" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

/// The codes of ISO 4217 (list one) of money that is in use: without funds, precious metals, baskets, test
/// codes and withdrawn currencies. In the order of the alphabet, by which they are found.
const CURRENCIES: [&str; 155] = [
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BHD", "BIF", "BMD",
    "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLP", "CNY", "COP", "CRC",
    "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL",
    "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR",
    "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP",
    "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK",
    "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR",
    "PLN", "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE",
    "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD",
    "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VED", "VES", "VND", "VUV", "WST", "XAF", "XCD", "XCG", "XOF",
    "XPF", "YER", "ZAR", "ZMW", "ZWG",
];

/// An amount in minor units (cents) of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Money {
    /// Minor units: 1250 is 12.50 in a currency with two decimals; [`minor_digits`] has their number.
    pub amount: i64,
    /// ISO 4217, three upper-case letters; of a new price, one of money in use.
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

    /// Whether the code has the shape of ISO 4217, as that of every stored amount: earlier versions asked for
    /// no more.
    pub fn has_currency(&self) -> bool {
        self.currency.len() == 3 && self.currency.bytes().all(|b| b.is_ascii_uppercase())
    }

    /// Whether the code is one of money that is in use, by ISO 4217: what a new price has.
    pub fn has_current_currency(&self) -> bool {
        CURRENCIES.binary_search(&self.currency.as_str()).is_ok()
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
    fn a_currency_has_the_minor_digits_of_iso_4217() {
        for (digits, currencies) in [
            (0, ["JPY", "XOF", "RWF", "XPF", "UYI", "XAU"]),
            (2, ["EUR", "USD", "MGA", "MRU", "HUF", "TWD"]),
            (3, ["KWD", "TND", "BHD", "IQD", "JOD", "OMR"]),
        ] {
            for currency in currencies {
                assert_eq!(minor_digits(currency), digits, "{currency}");
            }
        }
        assert_eq!((minor_digits("CLF"), minor_digits("UYW")), (4, 4));
    }

    #[test]
    fn a_current_currency_is_money_that_is_in_use() {
        assert!(CURRENCIES.is_sorted());
        for currency in [
            "EUR", "USD", "JPY", "KWD", "XOF", "XAF", "XPF", "XCD", "XCG", "ZWG", "SLE", "VES",
        ] {
            assert!(Money::new(1, currency).has_current_currency(), "{currency}");
        }
        // not ISO 4217; test codes, metals, baskets and funds; withdrawn; not upper case
        for currency in [
            "BTC", "ABC", "XXX", "XTS", "XAU", "XAG", "XDR", "XUA", "XSU", "XBA", "CHE", "CHW", "CLF", "COU",
            "MXV", "USN", "UYI", "UYW", "BOV", "ZWL", "HRK", "BGN", "SLL", "ANG", "CUC", "DEM", "eur", "",
            "EURO",
        ] {
            let amount = Money::new(1, currency);
            assert!(!amount.has_current_currency(), "{currency}");
        }
        assert!(
            Money::new(1, "ZWL").has_currency(),
            "an old amount stays readable"
        );
    }

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
