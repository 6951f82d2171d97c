//! The consumer: decides for each event who gets a mail about it, and writes it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use domain::{
    aggregate::inbox::InboxEvent,
    event::{DomainEvent, TypedEvent},
    id::WorkspaceId,
    view::notifications::notice,
    wire::hops::Arrow,
};
use uuid::Uuid;

use super::{
    Dependencies, NAME, Transport,
    addresses::Address,
    claims::Claims,
    content::{Envelope, Topic, mail_id},
    delivery::{MailDelivery, Recipient},
    mailbox::Mail,
    preferences::Preferences,
    records::Records,
    sender::{Sender, skipped, written},
};
use consumer::{CheckpointStorage, Consumer, EffectError, EventHandler, LaneArrows, Work};
use documents::FoldFault;

/// The most events of which it is known that a mail was written about them: those of a delivery.
const MAX_WRITTEN_ABOUT: usize = 1_024;

/// The age from which an event causes no mail: a day.
const MAX_AGE_MS: u64 = 24 * 60 * 60 * 1_000;

/// The age from which a link to set a new password is not sent any more: it would be of no use.
const MAX_RESET_AGE_MS: u64 = 30 * 60 * 1_000;

/// A mail to an address, before it is written.
struct Draft<'a> {
    user: Uuid,
    topic: Topic,
    address: &'a Address,
    /// The link that stops mails.
    unsubscribe: Option<&'a str>,
    /// The link that the mail is for.
    link: Option<String>,
}

/// Writes mails about events.
#[derive(Debug)]
pub struct Notification {
    dependencies: Dependencies,
    sender: Sender,
    /// The events that a mail was written about last.
    written_about: Mutex<VecDeque<Uuid>>,
    preferences: Preferences,
}

impl Notification {
    /// A consumer with these dependencies.
    pub fn new(dependencies: Dependencies) -> Self {
        let records = Records::new(dependencies.process_store.clone());
        let claims = Claims::new(
            records.clone(),
            dependencies.clock.clone(),
            dependencies.single_server,
        );
        Self {
            sender: Sender::new(claims, dependencies.per_hour),
            written_about: Mutex::default(),
            preferences: Preferences::new(records),
            dependencies,
        }
    }

    async fn handle(&self, event: &TypedEvent, delivery: &mut MailDelivery) -> Result<(), EffectError> {
        let workspace = event.workspace;
        if let DomainEvent::Inbox(change) = &event.payload {
            let stopped = match change {
                InboxEvent::MailsStopped(_) => true,
                InboxEvent::MailsResumed(_) => false,
                InboxEvent::NotificationsRead(_) => return Ok(()),
            };
            let user = event.stream.id();
            if let Ok(user) = user.parse() {
                delivery.look_up_again(user);
            }
            return Ok(self.preferences.prefer(workspace, user, stopped).await?);
        }
        if event.stream.category() == "user" {
            return self.handle_user(event, delivery).await;
        }
        match notice(event) {
            Some(notice) => self.notify(notice.user, Topic::Order, event, delivery).await,
            None => Ok(()),
        }
    }

    async fn handle_user(&self, event: &TypedEvent, delivery: &mut MailDelivery) -> Result<(), EffectError> {
        let Ok(user) = event.stream.id().parse() else {
            return Ok(());
        };
        delivery.look_up_again(user);
        match event.event_type.as_str() {
            "EmailChanged" => {
                self.tell_old_address(user, event, delivery).await?;
                self.tell_owner(user, Topic::ConfirmEmail, event, delivery).await
            }
            "EmailConfirmationRequested" => self.tell_owner(user, Topic::ConfirmEmail, event, delivery).await,
            "PasswordResetRequested" => self.tell_owner(user, Topic::PasswordReset, event, delivery).await,
            "PasswordChanged" => {
                self.tell_owner(user, Topic::PasswordChanged, event, delivery)
                    .await
            }
            "UserRegistered" => self.notify(user, Topic::Welcome, event, delivery).await,
            "UserErased" => {
                delivery.erase(user);
                Ok(self.dependencies.mailbox.erase(event.workspace, user).await?)
            }
            _ => Ok(()),
        }
    }

    /// Writes to a user, unless the event is of a template or too old, they have stopped mails, or they have
    /// no address.
    async fn notify(
        &self,
        user: Uuid,
        topic: Topic,
        event: &TypedEvent,
        delivery: &mut MailDelivery,
    ) -> Result<(), EffectError> {
        if event.is_of_template() {
            skipped("template");
            return Ok(());
        }
        if self.is_too_old(event, MAX_AGE_MS).await? {
            skipped("old");
            return Ok(());
        }
        let recipient = if let Some(known) = delivery.recipient(user) {
            known
        } else {
            let found = Arc::new(self.look_up(user, event).await?);
            // A mail server may take long, so a mail to it is written with what is known then.
            if matches!(self.dependencies.transport, Transport::Mailbox(_)) {
                delivery.keep(user, found.clone());
            }
            found
        };
        match &*recipient {
            Recipient::Stopped => skipped("stopped"),
            Recipient::WithoutAddress => skipped("no_address"),
            Recipient::Reachable { address, unsubscribe } => {
                let draft = Draft {
                    user,
                    topic,
                    address,
                    unsubscribe: unsubscribe.as_deref(),
                    link: self.link(user, topic, address, event).await,
                };
                self.write(draft, event, delivery).await?;
            }
        }
        Ok(())
    }

    async fn look_up(&self, user: Uuid, event: &TypedEvent) -> Result<Recipient, EffectError> {
        let workspace = event.workspace;
        if self.preferences.has_stopped(workspace, user).await? {
            return Ok(Recipient::Stopped);
        }
        let address = self.dependencies.addresses.of(workspace, user).await;
        let Some(address) = address.map_err(|error| error.at(event.position))? else {
            return Ok(Recipient::WithoutAddress);
        };
        let unsubscribe = self.dependencies.links.unsubscribe(workspace, user).await;
        Ok(Recipient::Reachable { address, unsubscribe })
    }

    /// Writes to a user about their account, also if they have stopped mails, and without a link that stops
    /// them: these are no news of the shop.
    async fn tell_owner(
        &self,
        user: Uuid,
        topic: Topic,
        event: &TypedEvent,
        delivery: &mut MailDelivery,
    ) -> Result<(), EffectError> {
        let max_age_ms = match topic {
            Topic::PasswordReset => MAX_RESET_AGE_MS,
            _ => MAX_AGE_MS,
        };
        if event.is_of_template() {
            skipped("template");
            return Ok(());
        }
        if self.is_too_old(event, max_age_ms).await? {
            skipped("old");
            return Ok(());
        }
        let address = self.dependencies.addresses.of(event.workspace, user).await;
        let Some(address) = address.map_err(|error| error.at(event.position))? else {
            skipped("no_address");
            return Ok(());
        };
        let draft = Draft {
            user,
            topic,
            address: &address,
            unsubscribe: None,
            link: self.link(user, topic, &address, event).await,
        };
        self.write(draft, event, delivery).await
    }

    /// The link that a mail is for.
    async fn link(&self, user: Uuid, topic: Topic, address: &Address, event: &TypedEvent) -> Option<String> {
        let (links, workspace) = (&self.dependencies.links, event.workspace);
        match topic {
            Topic::Welcome | Topic::ConfirmEmail => {
                let since = event.made_at();
                links.confirm_email(workspace, user, &address.email, since).await
            }
            Topic::PasswordReset => {
                let request = event.metadata.command_id;
                links.reset_password(workspace, user, request).await
            }
            Topic::Order | Topic::EmailChanged | Topic::PasswordChanged => None,
        }
    }

    /// Writes to a user's former address, without a link that stops mails: mails now go to another address.
    async fn tell_old_address(
        &self,
        user: Uuid,
        event: &TypedEvent,
        delivery: &mut MailDelivery,
    ) -> Result<(), EffectError> {
        if self.is_too_old(event, MAX_AGE_MS).await? {
            skipped("old");
            return Ok(());
        }
        let addresses = &self.dependencies.addresses;
        let address = addresses.before(event.workspace, user, event.version).await;
        if let Some(address) = address.map_err(|error| error.at(event.position))? {
            let draft = Draft {
                user,
                topic: Topic::EmailChanged,
                address: &address,
                unsubscribe: None,
                link: None,
            };
            self.write(draft, event, delivery).await
        } else {
            skipped("no_address");
            Ok(())
        }
    }

    /// Whether an event is too old for a mail, and no mail about it was begun.
    async fn is_too_old(&self, event: &TypedEvent, max_age_ms: u64) -> Result<bool, EffectError> {
        let age_ms = self.dependencies.clock.now().millis_since(event.made_at());
        let has_begun = self.sender.has_begun(event.workspace, event.event_id);
        Ok(age_ms > max_age_ms && !has_begun.await?)
    }

    /// Writes a mail: into the delivery for the folder, or to the mail server.
    async fn write(
        &self,
        draft: Draft<'_>,
        event: &TypedEvent,
        delivery: &mut MailDelivery,
    ) -> Result<(), EffectError> {
        let Draft {
            user,
            topic,
            address,
            unsubscribe,
            link,
        } = draft;
        let Some(content) = topic.content(event, address, link) else {
            return Ok(());
        };
        let id = mail_id(topic, event);
        let envelope = Envelope {
            from: &self.dependencies.from,
            to: address,
            unsubscribe,
            event,
            id,
        };
        let mail = content.render(&envelope).map_err(|error| FoldFault {
            position: event.position,
            reason: error.to_string(),
        })?;
        match &self.dependencies.transport {
            Transport::Mailbox(_) => delivery.add(Mail {
                event: id,
                user,
                bytes: mail.formatted(),
            }),
            Transport::Smtp(server) => {
                let mail = (id, mail, topic.kind());
                self.sender.send(&**server, mail, address, event).await?;
            }
        }
        let mut written_about = self.written_about.lock().unwrap_or_else(PoisonError::into_inner);
        if written_about.len() == MAX_WRITTEN_ABOUT {
            written_about.pop_front();
        }
        written_about.push_back(event.event_id);
        Ok(())
    }

    /// Stores the mails of a delivery, if they go into the folder.
    async fn store(&self, workspace: WorkspaceId, mails: Vec<Mail>) -> Result<(), EffectError> {
        if let Transport::Mailbox(mailbox) = &self.dependencies.transport {
            let count = mails.len() as u64;
            mailbox.put(workspace, mails).await?;
            written(count);
        }
        Ok(())
    }
}

#[async_trait]
impl EventHandler for Notification {
    fn name(&self) -> &'static str {
        NAME
    }

    fn arrows(&self) -> LaneArrows {
        LaneArrows {
            delivery: &[Arrow::NotificationConsumer],
            history: &[],
            write: &[Arrow::EmailPush],
        }
    }

    fn writes(&self, event: &TypedEvent) -> bool {
        let written_about = self.written_about.lock().unwrap_or_else(PoisonError::into_inner);
        written_about.contains(&event.event_id)
    }

    async fn perform(&self, work: &Work) -> Result<(), EffectError> {
        let mut delivery = MailDelivery::default();
        let mut handled = Ok(());
        for event in &work.events {
            if let Ok(typed) = &event.decoded {
                handled = self.handle(typed, &mut delivery).await;
            }
            if handled.is_err() {
                break;
            }
        }
        // A failure does not hold up the mails before it.
        let stored = self.store(work.partition.workspace, delivery.into_mails()).await;
        handled.and(stored)
    }
}

#[async_trait]
impl Consumer for Notification {
    fn checkpoint_storage(&self) -> CheckpointStorage {
        CheckpointStorage::ProcessStore
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, EffectError> {
        Ok(self.dependencies.mailbox.workspaces().await?)
    }

    async fn forget(&self, workspace: WorkspaceId) -> Result<(), EffectError> {
        Ok(self.dependencies.mailbox.forget(workspace).await?)
    }

    fn interrupt(&self) {
        self.sender.interrupt();
    }
}
