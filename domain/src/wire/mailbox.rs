//! A mail that lies in the mailbox folder, as the app shows it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// A mail; `GET /api/v1/mailbox` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MailboxMessage {
    /// The event that it tells of.
    pub id: Uuid,
    /// Whose it is.
    pub user: Uuid,
    /// Whom it was written to, as in `Ada <ada@example.com>`.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// When what it tells of happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Its text part.
    pub text: String,
    /// Its HTML part.
    pub html: String,
}
