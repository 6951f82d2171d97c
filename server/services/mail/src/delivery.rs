//! What the mails of one delivery of events share: the folder gets all of them together, and each of their
//! recipients is looked up once.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::{addresses::Address, mailbox::Mail};

/// What is known of a recipient.
pub(super) enum Recipient {
    /// Gets mails.
    Reachable {
        /// Where.
        address: Address,
        /// The link that stops them.
        unsubscribe: Option<String>,
    },
    /// Has stopped mails.
    Stopped,
    /// Has no address.
    WithoutAddress,
}

/// The recipients and the mails of one delivery.
#[derive(Default)]
pub(super) struct MailDelivery {
    recipients: HashMap<Uuid, Arc<Recipient>>,
    mails: Vec<Mail>,
}

impl MailDelivery {
    /// A recipient, if they were looked up.
    pub(super) fn recipient(&self, user: Uuid) -> Option<Arc<Recipient>> {
        self.recipients.get(&user).cloned()
    }

    /// Keeps a recipient for the next mails.
    pub(super) fn keep(&mut self, user: Uuid, recipient: Arc<Recipient>) {
        self.recipients.insert(user, recipient);
    }

    /// A user has changed: the next mail looks them up again.
    pub(super) fn look_up_again(&mut self, user: Uuid) {
        self.recipients.remove(&user);
    }

    /// Adds a mail for the folder.
    pub(super) fn add(&mut self, mail: Mail) {
        self.mails.push(mail);
    }

    /// Drops the mails to an erased user.
    pub(super) fn erase(&mut self, user: Uuid) {
        self.mails.retain(|mail| mail.user != user);
    }

    /// The mails for the folder.
    pub(super) fn into_mails(self) -> Vec<Mail> {
        self.mails
    }
}
