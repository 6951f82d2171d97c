//! The reason of a rejection, a cancellation or a refund, in the language of the page.

use domain::reason::Reason;

use crate::{language::language, text};

/// A stored reason for a reader: one of the shop in the page's language, one that a person typed as it is.
pub(crate) fn reason_text(stored: &str) -> String {
    let language = language();
    let fixed = match Reason::parse(stored) {
        None => return stored.to_owned(),
        Some(Reason::SoldOut { product }) => return text::reason::sold_out(language, product),
        Some(Reason::TooFew {
            product,
            available,
            requested,
        }) => return text::reason::too_few(language, product, available, requested),
        Some(Reason::NotAvailable { requested, available }) => {
            return text::reason::not_available(language, requested, available);
        }
        Some(Reason::CannotBeReserved { .. }) => text::reason::cannot_be_reserved(language),
        Some(Reason::CannotBeCharged { .. }) => text::reason::cannot_be_charged(language),
        Some(Reason::StockTaken) => text::reason::stock_taken(language),
        Some(Reason::PaymentLate) => text::reason::payment_late(language),
        Some(Reason::NotPaid) => text::reason::not_paid(language),
        Some(Reason::PaymentRefunded) => text::reason::payment_refunded(language),
        Some(Reason::OrderRejected) => text::reason::order_rejected(language),
        Some(Reason::OrderCancelled) => text::reason::order_cancelled(language),
        Some(Reason::PaymentTooLate) => text::reason::payment_too_late(language),
        Some(Reason::CardDeclined) => text::reason::card_declined(language),
        Some(Reason::InsufficientFunds) => text::reason::insufficient_funds(language),
        Some(Reason::UnknownMethod) => text::reason::unknown_method(language),
    };
    fixed.to_owned()
}
