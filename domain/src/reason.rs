//! The reasons that the shop itself gives for a rejection or a refund, in the English words in which events
//! store them. The interface and emails recognise them, and word them in the reader's language. Every other
//! reason was typed by a person, and is shown as it is.

use std::fmt;

/// A reason that the shop gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason<'a> {
    /// Nothing of a product is available.
    SoldOut {
        /// Its name.
        product: &'a str,
    },
    /// Less of a product is available than was ordered.
    TooFew {
        /// Its name.
        product: &'a str,
        /// The available quantity.
        available: u32,
        /// The ordered quantity.
        requested: u32,
    },
    /// A reservation needs more than is available.
    NotAvailable {
        /// The needed quantity.
        requested: u32,
        /// The available quantity.
        available: u32,
    },
    /// A rule refuses the reservation.
    CannotBeReserved {
        /// The rule's sentence, for developers.
        because: &'a str,
    },
    /// A rule refuses the charge.
    CannotBeCharged {
        /// The rule's sentence, for developers.
        because: &'a str,
    },
    /// The order's reservations were released or shipped before it was confirmed.
    StockTaken,
    /// The payment provider has not answered before the deadline.
    PaymentLate,
    /// The payment was refused.
    NotPaid,
    /// The payment was refunded before the order was confirmed.
    PaymentRefunded,
    /// The order of a refunded payment was rejected.
    OrderRejected,
    /// The order of a refunded payment was cancelled.
    OrderCancelled,
    /// The payment was answered after its order was rejected or cancelled.
    PaymentTooLate,
    /// The card was declined.
    CardDeclined,
    /// The card has not enough money.
    InsufficientFunds,
    /// The payment provider does not know the method.
    UnknownMethod,
}

/// The reasons without a value, as they are stored.
const FIXED: [(Reason<'static>, &str); 10] = [
    (Reason::StockTaken, "its reserved stock was released or shipped"),
    (Reason::PaymentLate, "the payment was not answered in time"),
    (Reason::NotPaid, "the order was not paid"),
    (Reason::PaymentRefunded, "the payment was refunded"),
    (Reason::OrderRejected, "the order was rejected"),
    (Reason::OrderCancelled, "the order was cancelled"),
    (
        Reason::PaymentTooLate,
        "the order was rejected or cancelled before the payment was answered",
    ),
    (Reason::CardDeclined, "the card was declined"),
    (Reason::InsufficientFunds, "there is not enough money on the card"),
    (Reason::UnknownMethod, "this method of payment is not known"),
];

const NOT_RESERVED: &str = "it cannot be reserved: ";
const NOT_CHARGED: &str = "it cannot be charged: ";
const SOLD_OUT: &str = " is sold out";

impl<'a> Reason<'a> {
    /// The reason that an event stores as `text`; `None` if the text is not the shop's.
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some((reason, _)) = FIXED.iter().find(|(_, stored)| *stored == text) {
            return Some(*reason);
        }
        if let Some(because) = text.strip_prefix(NOT_RESERVED) {
            return Some(Self::CannotBeReserved { because });
        }
        if let Some(because) = text.strip_prefix(NOT_CHARGED) {
            return Some(Self::CannotBeCharged { because });
        }
        if let Some(product) = text.strip_suffix(SOLD_OUT) {
            return Some(Self::SoldOut { product });
        }
        if let Some(quantities) = text.strip_suffix(" available") {
            let (requested, available) = quantities.split_once(" wanted, ")?;
            return Some(Self::NotAvailable {
                requested: requested.parse().ok()?,
                available: available.parse().ok()?,
            });
        }
        let (product, quantities) = text.strip_suffix(" wanted")?.rsplit_once(": only ")?;
        let (available, requested) = quantities.split_once(" left, ")?;
        Some(Self::TooFew {
            product,
            available: available.parse().ok()?,
            requested: requested.parse().ok()?,
        })
    }
}

impl fmt::Display for Reason<'_> {
    /// Writes the stored words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SoldOut { product } => write!(f, "{product}{SOLD_OUT}"),
            Self::TooFew {
                product,
                available,
                requested,
            } => write!(f, "{product}: only {available} left, {requested} wanted"),
            Self::NotAvailable { requested, available } => {
                write!(f, "{requested} wanted, {available} available")
            }
            Self::CannotBeReserved { because } => write!(f, "{NOT_RESERVED}{because}"),
            Self::CannotBeCharged { because } => write!(f, "{NOT_CHARGED}{because}"),
            fixed => {
                let stored = FIXED.iter().find(|(reason, _)| reason == fixed);
                f.write_str(stored.map_or("", |(_, stored)| stored))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_reason_is_recognised() {
        let with_values = [
            Reason::SoldOut { product: "Mug" },
            Reason::TooFew {
                product: "Mug: only 1 left, small",
                available: 2,
                requested: 3,
            },
            Reason::NotAvailable {
                requested: 1,
                available: 0,
            },
            Reason::CannotBeReserved { because: "no" },
            Reason::CannotBeCharged { because: "no" },
        ];
        for reason in FIXED.iter().map(|(reason, _)| *reason).chain(with_values) {
            let stored = reason.to_string();
            assert_eq!(Reason::parse(&stored), Some(reason), "{stored}");
        }
    }

    #[test]
    fn the_words_of_stored_reasons_stay_as_they_are() {
        let too_few = Reason::TooFew {
            product: "Mug",
            available: 2,
            requested: 3,
        };
        for (reason, stored) in [
            (too_few, "Mug: only 2 left, 3 wanted"),
            (Reason::SoldOut { product: "Mug" }, "Mug is sold out"),
            (
                Reason::CannotBeReserved { because: "no" },
                "it cannot be reserved: no",
            ),
            (
                Reason::CannotBeCharged { because: "no" },
                "it cannot be charged: no",
            ),
            (Reason::PaymentLate, "the payment was not answered in time"),
        ] {
            assert_eq!(reason.to_string(), stored);
        }
    }

    #[test]
    fn a_typed_reason_is_not_the_shops() {
        for typed in [
            "",
            "changed my mind",
            "only 2 left, 3 wanted",
            "x: only a left, b wanted",
        ] {
            assert_eq!(Reason::parse(typed), None, "{typed}");
        }
    }
}
