//! Notification: tells users by mail about their orders.
//!
//! Mails about the account itself are sent even to owners who have stopped mails. If the email is changed,
//! the old address gets one: only there can its owner notice a change that they did not make. The new
//! address, and that of a new account, gets a link that confirms it; an owner who has forgotten the password
//! gets a link to set another, and a changed password is reported. The tokens of these links are made when a
//! mail is written, and are in no event and no record.
//!
//! A consumer. Mails go to a mail server ([`smtp`]), or into a folder ([`mailbox`]) if there is none; each
//! once, however often its event is delivered, and in the language of its recipient (`texts/`). Guests have
//! no address and get none. Events older than a day cause no mails, so that enabling mails for an old or
//! imported shop does not write to all its users; nor do those of a template, whose customers are invented.
//!
//! Tests over the whole pipeline: `server/src/consumers/tests/mail.rs`.

mod addresses;
mod claims;
mod content;
mod delivery;
mod hourly_limit;
pub mod mailbox;
mod notification;
mod preferences;
mod records;
mod sender;
mod settings;
pub mod smtp;
mod smtp_url;
#[cfg(test)]
mod tests;
mod texts;

use std::{fmt::Debug, io, num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};
pub use lettre::Message;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use addresses::{Address, AddressError, Addresses, StreamAddresses};
use mailbox::{Mail, Mailbox};
pub use notification::Notification;
pub use settings::MailSettings;
use smtp::SendError;
pub use smtp_url::{SmtpSecurity, SmtpServer, SmtpUrl, SmtpUrlError};
pub use texts::{UnsubscribePage, unsubscribe_page};

use clock::SharedClock;
use documents::DocumentStore;

/// The name of its lanes and of its records.
pub const NAME: &str = "notification";

/// Makes the links in mails, once the public address of the server is known. A mail that is rendered again
/// must be the same, so the same question has the same answer. `None`: no link can be made.
#[async_trait]
pub trait Links: Send + Sync + Debug {
    /// The link that stops mails to a user.
    async fn unsubscribe(&self, workspace: WorkspaceId, user: Uuid) -> Option<String>;

    /// The link by which a user confirms an address. `requested_at`: when the address became theirs, or the
    /// link was requested.
    async fn confirm_email(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        email: &str,
        requested_at: Timestamp,
    ) -> Option<String>;

    /// The link by which a user sets a new password, as the command `request` has requested it.
    async fn reset_password(&self, workspace: WorkspaceId, user: Uuid, request: Uuid) -> Option<String>;
}

/// A mail server.
#[async_trait]
pub trait MailServer: Send + Sync + Debug {
    /// Sends a mail of a workspace. When this returns, the mail server has accepted it. `stopping` interrupts
    /// it.
    async fn send(
        &self,
        workspace: WorkspaceId,
        mail: Message,
        stopping: &CancellationToken,
    ) -> Result<(), SendError>;
}

/// A folder of mails, in place of a mail server.
#[async_trait]
pub trait MailFolder: Send + Sync + Debug {
    /// Whether it has a mail.
    async fn has(&self, workspace: WorkspaceId, mail: &Mail) -> io::Result<bool>;

    /// Stores mails; existing ones stay as they are. When this returns, all of them are durable.
    async fn put(&self, workspace: WorkspaceId, mails: Vec<Mail>) -> io::Result<()>;
}

/// Where mails go.
#[derive(Debug)]
pub enum Transport {
    /// Into a folder.
    Mailbox(Arc<dyn MailFolder>),
    /// To a mail server.
    Smtp(Arc<dyn MailServer>),
}

/// The boxes and settings that it needs.
#[derive(Debug)]
pub struct Dependencies {
    /// Where mails go.
    pub transport: Transport,
    /// The folder of mails. Mails of erased users are deleted from it even if new mails go to a server.
    pub mailbox: Mailbox,
    /// The sender.
    pub from: lettre::message::Mailbox,
    /// Finds the users' addresses.
    pub addresses: Arc<dyn Addresses>,
    /// Makes the links that stop mails.
    pub links: Arc<dyn Links>,
    /// The process store, which also holds the records of emails.
    pub process_store: Arc<dyn DocumentStore>,
    /// Whether this server alone writes to that store.
    pub single_server: bool,
    /// The most mails of a workspace to one address in an hour, because a stranger may register any address;
    /// `None` is no limit. News, links that confirm, links to set a password, and warnings have as many each.
    /// An address that is not confirmed gets a third.
    pub per_hour: Option<NonZeroU32>,
    /// The machine's clock.
    pub clock: SharedClock,
}
