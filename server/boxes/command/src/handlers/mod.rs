//! Handlers: commands that need more than to be decided on their own stream and appended to it.
//!
//! Each loads what its decision has to see, explicitly and before the decision, and does what has to be done outside of the
//! log before and after the append. One file a handler; every other command takes the repository's
//! [`execute`](super::repository::Repository::execute).
//!
//! | command | what it needs |
//! |---|---|
//! | `PlaceOrder` | the products that the order's lines name, from their own streams |
//! | `ProcessPayment`, `RefundPayment` | the payment provider's answer |
//! | `RegisterUser` | the email's reservation; a password's hash and a session, kept before the append |
//! | `ChangeEmail` | the password; the reservations of two emails; an email to sign in with, kept before the append |
//! | `ChangeDisplayName` | the keys that seal the name |
//! | `EraseUser` | the password; the email's reservation; the person's key, destroyed after the append |

pub(super) mod change_display_name;
pub(super) mod change_email;
mod email_reservation;
pub(super) mod erase_user;
pub(super) mod payment_authorization;
pub(super) mod place_order;
pub(super) mod register_user;
mod user_account;
