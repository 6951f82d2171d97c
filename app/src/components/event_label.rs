//! The labels of event types, for customers.

use crate::{language::language, translations::i18n::td_string};

/// The label of an event type; `None` for one that customers do not see.
pub(crate) fn event_label(event: &str) -> Option<&'static str> {
    let locale = language();
    Some(match event {
        "OrderCreated" => td_string!(locale, event.order_created),
        "OrderConfirmed" => td_string!(locale, event.order_confirmed),
        "OrderRejected" => td_string!(locale, event.order_rejected),
        "OrderCancelled" => td_string!(locale, event.order_cancelled),
        "OrderShipped" => td_string!(locale, event.order_shipped),
        "OrderDelivered" => td_string!(locale, event.order_delivered),
        "StockReserved" => td_string!(locale, event.stock_reserved),
        "StockReservationFailed" => td_string!(locale, event.stock_reservation_failed),
        "StockReleased" => td_string!(locale, event.stock_released),
        "StockShipped" => td_string!(locale, event.stock_shipped),
        "PaymentProcessed" => td_string!(locale, event.payment_processed),
        "PaymentFailed" => td_string!(locale, event.payment_failed),
        "PaymentRefunded" => td_string!(locale, event.payment_refunded),
        _ => return None,
    })
}
