//! An email in the mailbox folder, as the app shows it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{language::Language, timestamp::Timestamp};

/// An email; `GET /api/v1/mailbox` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MailboxMessage {
    /// The event that it reports.
    pub id: Uuid,
    /// The recipient's user id.
    pub user: Uuid,
    /// The recipient's address, as in `Ada <ada@example.com>`.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// The language of its texts; its direction follows from it.
    pub language: Language,
    /// The time of the event.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Its text part.
    pub text: String,
    /// Its HTML part.
    pub html: String,
}
