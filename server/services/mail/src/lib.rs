//! Notification: tells people by mail what became of their orders.
//!
//! Where the email of an account is changed, the old address is told, once, also where no other mails are wanted: it is the
//! one place where a change that its owner did not make is noticed.
//!
//! An effect consumer. Mails go to a mail server ([`smtp`]), or into a folder ([`mailbox`]) where there is none; each once,
//! whatever is delivered. Guests have no address and get none. Nobody gets one about what happened before yesterday: whoever
//! switches mails on for a shop that is years old, or brings one in from elsewhere, does not write to everybody about it.

mod addresses;
mod claims;
mod letter;
pub mod mailbox;
mod settings;
pub mod smtp;
mod smtp_url;

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
use letter::{Envelope, Letter, letter, moved, welcome};
use mailbox::Mailbox;
pub use settings::MailSettings;
use smtp::Smtp;
pub use smtp_url::{SmtpSecurity, SmtpServer, SmtpUrl, SmtpUrlError};

use clock::SharedClock;
use consumer::{CheckpointStorage, Consumer, EffectError, EventHandler, Work};
use documents::{DocumentStore, FoldFault};

/// The name of its lanes, and of its notes.
pub const NAME: &str = "notification";

/// What happened longer ago than this is nothing to write to anybody about: a day.
const TOO_OLD_MS: u64 = 24 * 60 * 60 * 1_000;

/// Domains that nobody gets mails at (RFC 2606): samples use them.
const SAMPLES: [&str; 3] = ["example.com", "example.net", "example.org"];

/// Makes the links by which people get no more mails.
#[async_trait]
pub trait Links: Send + Sync + Debug {
    /// The link of a person, as soon as it is known where people reach us: a mail that is written again must be the same. `None`:
    /// none can be made.
    async fn unsubscribe(&self, workspace: WorkspaceId, user: Uuid) -> Option<String>;
}

/// Where mails go.
#[derive(Debug)]
pub enum Post {
    /// Into a folder.
    Mailbox(Mailbox),
    /// To a mail server.
    Smtp(Smtp),
}

/// What it needs of the other boxes.
#[derive(Debug)]
pub struct Dependencies {
    /// Where mails go.
    pub post: Post,
    /// The folder of mails; emptied of whoever is erased, also where mails go to a server by now.
    pub mailbox: Mailbox,
    /// Who writes.
    pub from: lettre::message::Mailbox,
    /// Where to write to.
    pub addresses: Arc<dyn Addresses>,
    /// How to get no more.
    pub links: Arc<dyn Links>,
    /// Beside what process managers remember.
    pub processes: Arc<dyn DocumentStore>,
    /// No other server writes to these processes.
    pub alone: bool,
    /// Mails that one address gets in an hour: a stranger may register any address; `None` is no limit.
    pub per_hour: Option<NonZeroU32>,
    /// The machine's clock.
    pub clock: SharedClock,
}

/// See the module.
#[derive(Debug)]
pub struct Notification {
    parts: Dependencies,
    claims: Claims,
    per_address: Option<DefaultKeyedRateLimiter<String>>,
}

impl Notification {
    /// With these parts.
    pub fn new(parts: Dependencies) -> Self {
        Self {
            claims: Claims::new(parts.processes.clone(), NAME, parts.clock.clone()),
            per_address: parts
                .per_hour
                .map(|count| DefaultKeyedRateLimiter::keyed(Quota::per_hour(count))),
            parts,
        }
    }

    /// Counts a mail to an address, and says whether it is one too many.
    fn gets_too_many(&self, email: &String) -> bool {
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
        match notice(event).zip(letter(event)) {
            Some((notice, letter)) => self.tell(notice.user, &letter, event).await,
            None => Ok(()),
        }
    }

    async fn handle_user(&self, event: &TypedEvent) -> Result<(), EffectError> {
        let Ok(user) = event.stream.id().parse() else {
            return Ok(());
        };
        match event.event_type.as_str() {
            "EmailChanged" => self.tell_old_address(user, event).await,
            "UserRegistered" => self.tell(user, &welcome(), event).await,
            "UserErased" => Ok(self.parts.mailbox.erase(event.workspace, user).await?),
            _ => Ok(()),
        }
    }

    /// Writes to somebody, unless there is a reason not to.
    async fn tell(&self, user: Uuid, letter: &Letter, event: &TypedEvent) -> Result<(), EffectError> {
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
        let Some(address) = self.parts.addresses.of(workspace, user).await? else {
            return {
                skipped("no_address");
                Ok(())
            };
        };
        let link = self.parts.links.unsubscribe(workspace, user).await;
        self.write(user, letter, &address, link.as_deref(), event).await
    }

    /// Writes to the address that a person had before. It has no link by which mails end: they are another address's by now.
    async fn tell_old_address(&self, user: Uuid, event: &TypedEvent) -> Result<(), EffectError> {
        if self.is_too_old(event).await? {
            return {
                skipped("old");
                Ok(())
            };
        }
        let addresses = &self.parts.addresses;
        if let Some(address) = addresses.before(event.workspace, user, event.version).await? {
            self.write(user, &moved(), &address, None, event).await
        } else {
            skipped("no_address");
            Ok(())
        }
    }

    /// Whether an event is too old for a mail, and no mail about it was begun.
    async fn is_too_old(&self, event: &TypedEvent) -> Result<bool, EffectError> {
        let age_ms = self.parts.clock.now().millis_since(event.recorded_at);
        let has_begun = self.claims.has_begun(event.workspace, event.event_id);
        Ok(age_ms > TOO_OLD_MS && !has_begun.await?)
    }

    async fn write(
        &self,
        user: Uuid,
        letter: &Letter,
        address: &Address,
        link: Option<&str>,
        event: &TypedEvent,
    ) -> Result<(), EffectError> {
        let (workspace, id) = (event.workspace, event.event_id);
        let envelope = Envelope {
            from: &self.parts.from,
            to: address,
            unsubscribe: link,
            event,
        };
        let mail = letter.written(&envelope).map_err(|error| FoldFault {
            position: event.position,
            reason: error.to_string(),
        })?;
        match &self.parts.post {
            Post::Mailbox(mailbox) => mailbox.put(workspace, id, user, mail.formatted()).await?,
            Post::Smtp(smtp) => {
                if is_sample(address) {
                    return {
                        skipped("sample");
                        Ok(())
                    };
                }
                match self.claims.claim(workspace, id, self.parts.alone).await? {
                    Claim::Sent => return Ok(()),
                    Claim::Elsewhere => {
                        return Err(EffectError::Unavailable(
                            "another server is sending it".to_owned(),
                        ));
                    }
                    Claim::First if self.gets_too_many(&address.email) => {
                        tracing::warn!(%workspace, "an address has got too many mails in an hour; this one is not sent");
                        self.claims.sent(workspace, id).await?;
                        return {
                            skipped("too_many");
                            Ok(())
                        };
                    }
                    Claim::First | Claim::Again => {}
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

/// Notes a mail that is not written.
fn skipped(why: &'static str) {
    metrics::counter!("foldline_mails_total", "outcome" => why).increment(1);
}

fn is_sample(address: &Address) -> bool {
    let domain = address.email.rsplit('@').next().unwrap_or_default();
    SAMPLES.contains(&domain) || [".example", ".invalid"].iter().any(|end| domain.ends_with(end))
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
        CheckpointStorage::Processes
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, EffectError> {
        Ok(self.parts.mailbox.workspaces().await?)
    }

    async fn forget(&self, workspace: WorkspaceId) -> Result<(), EffectError> {
        Ok(self.parts.mailbox.forget(workspace).await?)
    }
}
