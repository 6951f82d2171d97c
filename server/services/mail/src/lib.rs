//! Notification: tells users by mail about their orders.
//!
//! If the email of an account is changed, the old address gets one mail, even if its owner has stopped mails:
//! only there can they notice a change that they did not make.
//!
//! A consumer. Mails go to a mail server ([`smtp`]), or into a folder ([`mailbox`]) if there is none; each
//! once, however often its event is delivered, and in the language of its recipient (`texts/`). Guests have
//! no address and get none. Events older than a day cause no mails, so that enabling mails for an old or
//! imported shop does not write to all its users.
//!
//! Tests over the whole pipeline: `server/src/consumers/tests/mail.rs`.

mod addresses;
mod claims;
mod content;
pub mod mailbox;
mod settings;
pub mod smtp;
mod smtp_url;
mod texts;

use std::{fmt::Debug, num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use domain::{
    aggregate::inbox::InboxEvent,
    event::{DomainEvent, TypedEvent},
    id::WorkspaceId,
    view::notifications::notice,
};
use governor::{DefaultKeyedRateLimiter, Quota};
use uuid::Uuid;

pub use addresses::{Address, Addresses, StreamAddresses};
use claims::{Claim, Claims};
use content::{Envelope, Topic};
use mailbox::Mailbox;
pub use settings::MailSettings;
use smtp::Smtp;
pub use smtp_url::{SmtpSecurity, SmtpServer, SmtpUrl, SmtpUrlError};
pub use texts::{UnsubscribePage, unsubscribe_page};

use clock::SharedClock;
use consumer::{CheckpointStorage, Consumer, EffectError, EventHandler, Work};
use documents::{DocumentStore, FoldFault};

/// The name of its lanes and of its records.
pub const NAME: &str = "notification";

/// The age from which an event causes no mail: a day.
const MAX_AGE_MS: u64 = 24 * 60 * 60 * 1_000;

/// Domains without mailboxes (RFC 2606), which samples use.
const SAMPLE_DOMAINS: [&str; 3] = ["example.com", "example.net", "example.org"];

/// Makes the links that stop mails.
#[async_trait]
pub trait Links: Send + Sync + Debug {
    /// The link of a user, once the public address of the server is known: a mail that is rendered again must
    /// be the same. `None`: no link can be made.
    async fn unsubscribe(&self, workspace: WorkspaceId, user: Uuid) -> Option<String>;
}

/// Where mails go.
#[derive(Debug)]
pub enum Transport {
    /// Into a folder.
    Mailbox(Mailbox),
    /// To a mail server.
    Smtp(Smtp),
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
    /// The most mails to one address in an hour, because a stranger may register any address; `None` is no
    /// limit.
    pub per_hour: Option<NonZeroU32>,
    /// The machine's clock.
    pub clock: SharedClock,
}

/// Writes mails about events.
#[derive(Debug)]
pub struct Notification {
    dependencies: Dependencies,
    claims: Claims,
    per_address: Option<DefaultKeyedRateLimiter<String>>,
}

impl Notification {
    /// A consumer with these dependencies.
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            claims: Claims::new(
                dependencies.process_store.clone(),
                NAME,
                dependencies.clock.clone(),
            ),
            per_address: dependencies
                .per_hour
                .map(|count| DefaultKeyedRateLimiter::keyed(Quota::per_hour(count))),
            dependencies,
        }
    }

    /// Counts an email to an address, and returns whether it exceeds the hourly limit.
    fn exceeds_hourly_limit(&self, email: &String) -> bool {
        let limiter = self.per_address.as_ref();
        limiter.is_some_and(|limiter| limiter.check_key(email).is_err())
    }

    async fn handle(&self, event: &TypedEvent) -> Result<(), EffectError> {
        let workspace = event.workspace;
        if let DomainEvent::Inbox(change) = &event.payload {
            let stopped = match change {
                InboxEvent::MailsStopped(_) => true,
                InboxEvent::MailsResumed(_) => false,
                InboxEvent::NotificationsRead(_) => return Ok(()),
            };
            return Ok(self.claims.prefer(workspace, event.stream.id(), stopped).await?);
        }
        if event.stream.category() == "user" {
            return self.handle_user(event).await;
        }
        match notice(event) {
            Some(notice) => self.notify(notice.user, Topic::Order, event).await,
            None => Ok(()),
        }
    }

    async fn handle_user(&self, event: &TypedEvent) -> Result<(), EffectError> {
        let Ok(user) = event.stream.id().parse() else {
            return Ok(());
        };
        match event.event_type.as_str() {
            "EmailChanged" => self.tell_old_address(user, event).await,
            "UserRegistered" => self.notify(user, Topic::Welcome, event).await,
            "UserErased" => Ok(self.dependencies.mailbox.erase(event.workspace, user).await?),
            _ => Ok(()),
        }
    }

    /// Writes to a user, unless the event is too old, they have stopped mails, or they have no address.
    async fn notify(&self, user: Uuid, topic: Topic, event: &TypedEvent) -> Result<(), EffectError> {
        let workspace = event.workspace;
        if self.is_too_old(event).await? {
            return {
                skipped("old");
                Ok(())
            };
        }
        if self.claims.has_stopped(workspace, user).await? {
            return {
                skipped("stopped");
                Ok(())
            };
        }
        let Some(address) = self.dependencies.addresses.of(workspace, user).await? else {
            return {
                skipped("no_address");
                Ok(())
            };
        };
        let link = self.dependencies.links.unsubscribe(workspace, user).await;
        self.write(user, topic, &address, link.as_deref(), event).await
    }

    /// Writes to a user's former address, without a link that stops mails: mails now go to another address.
    async fn tell_old_address(&self, user: Uuid, event: &TypedEvent) -> Result<(), EffectError> {
        if self.is_too_old(event).await? {
            return {
                skipped("old");
                Ok(())
            };
        }
        let addresses = &self.dependencies.addresses;
        if let Some(address) = addresses.before(event.workspace, user, event.version).await? {
            self.write(user, Topic::EmailChanged, &address, None, event).await
        } else {
            skipped("no_address");
            Ok(())
        }
    }

    /// Whether an event is too old for a mail, and no mail about it was begun.
    async fn is_too_old(&self, event: &TypedEvent) -> Result<bool, EffectError> {
        let age_ms = self.dependencies.clock.now().millis_since(event.recorded_at);
        let has_begun = self.claims.has_begun(event.workspace, event.event_id);
        Ok(age_ms > MAX_AGE_MS && !has_begun.await?)
    }

    async fn write(
        &self,
        user: Uuid,
        topic: Topic,
        address: &Address,
        link: Option<&str>,
        event: &TypedEvent,
    ) -> Result<(), EffectError> {
        let (workspace, id) = (event.workspace, event.event_id);
        let Some(content) = topic.content(event, address.language) else {
            return Ok(());
        };
        let envelope = Envelope {
            from: &self.dependencies.from,
            to: address,
            unsubscribe: link,
            event,
        };
        let mail = content.render(&envelope).map_err(|error| FoldFault {
            position: event.position,
            reason: error.to_string(),
        })?;
        match &self.dependencies.transport {
            Transport::Mailbox(mailbox) => mailbox.put(workspace, id, user, mail.formatted()).await?,
            Transport::Smtp(smtp) => {
                if is_sample(address) {
                    return {
                        skipped("sample");
                        Ok(())
                    };
                }
                match self
                    .claims
                    .claim(workspace, id, self.dependencies.single_server)
                    .await?
                {
                    Claim::Sent => return Ok(()),
                    Claim::Elsewhere => {
                        return Err(EffectError::Unavailable(
                            "another server is sending it".to_owned(),
                        ));
                    }
                    Claim::Fresh if self.exceeds_hourly_limit(&address.email) => {
                        tracing::warn!(
                            %workspace, "an address has got too many mails in an hour; this one is not sent"
                        );
                        self.claims.sent(workspace, id).await?;
                        return {
                            skipped("too_many");
                            Ok(())
                        };
                    }
                    Claim::Fresh | Claim::Retry => {}
                }
                smtp.send(event.position, mail).await?;
                self.claims.sent(workspace, id).await?;
                if let Some(limiter) = &self.per_address {
                    limiter.retain_recent();
                }
            }
        }
        metrics::counter!("foldline_mails_total", "outcome" => "sent").increment(1);
        Ok(())
    }
}

/// Counts a mail that is not written.
fn skipped(why: &'static str) {
    metrics::counter!("foldline_mails_total", "outcome" => why).increment(1);
}

fn is_sample(address: &Address) -> bool {
    let domain = address.email.rsplit('@').next().unwrap_or_default();
    SAMPLE_DOMAINS.contains(&domain) || [".example", ".invalid"].iter().any(|end| domain.ends_with(end))
}

#[async_trait]
impl EventHandler for Notification {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn perform(&self, work: &Work) -> Result<(), EffectError> {
        for event in &work.events {
            if let Ok(typed) = &event.decoded {
                self.handle(typed).await?;
            }
        }
        Ok(())
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
}
