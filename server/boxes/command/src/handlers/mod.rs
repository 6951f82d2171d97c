//! Handlers of commands that need more than a decision on their own stream and an append to it.
//!
//! Each handler loads the state that its decision needs, explicitly and before the decision, and writes the
//! data outside the log before and after the append. Every other command is carried out by the repository's
//! [`execute`](super::repository::Repository::execute).
//!
//! | command | what it needs |
//! |---|---|
//! | `PlaceOrder` | the products of the order's lines, from their own streams |
//! | `ShipOrder` | the reserved stock and the payment of the order, from their own streams |
//! | `ReserveStock`, `ReleaseStock`, `ShipStock` | for a person: whether an order has the reservation's id |
//! | `MakePrediction` | the question, from its own stream |
//! | `ReadNotifications` | the notifications that its sender has |
//! | `ProcessPayment`, `RefundPayment` | the payment provider's answer |
//! | `RegisterUser` | the email's reservation; the password's hash and a session, stored before the append |
//! | `ChangeEmail` | the password; the reservations of two emails; the new login, stored before the append |
//! | `ChangeDisplayName` | the keys that seal the name |
//! | `EraseUser` | the password; the email's reservation; the person's key, whose end is the event's effect |

pub(super) mod change_display_name;
pub(super) mod change_email;
mod email_reservation;
pub(super) mod erase_user;
pub(super) mod make_prediction;
pub(super) mod payment_authorization;
pub(super) mod place_order;
pub(super) mod read_notifications;
pub(super) mod register_user;
pub(super) mod reserved_stock;
pub(super) mod ship_order;
mod user_account;
