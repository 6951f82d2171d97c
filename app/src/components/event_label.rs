//! The labels of event types, for customers.

use crate::{language::language, text};

/// The label of an event type; `None` for one that customers do not see.
pub(crate) fn event_label(event: &str) -> Option<&'static str> {
    let language = language();
    Some(match event {
        "OrderCreated" => text::event::order_created(language),
        "OrderConfirmed" => text::event::order_confirmed(language),
        "OrderRejected" => text::event::order_rejected(language),
        "OrderCancelled" => text::event::order_cancelled(language),
        "OrderShipped" => text::event::order_shipped(language),
        "OrderDelivered" => text::event::order_delivered(language),
        "OrderRefunded" => text::event::order_refunded(language),
        "StockReserved" => text::event::stock_reserved(language),
        "StockReservationFailed" => text::event::stock_reservation_failed(language),
        "StockReleased" => text::event::stock_released(language),
        "StockShipped" => text::event::stock_shipped(language),
        "PaymentProcessed" => text::event::payment_processed(language),
        "PaymentFailed" => text::event::payment_failed(language),
        "PaymentRefunded" => text::event::payment_refunded(language),
        _ => return None,
    })
}
