//! Sends mails to the mail server: each once, as far as SMTP allows it, and not too many to one address.

use std::num::NonZeroU32;

use documents::{DocumentStoreError, FoldFault};
use domain::{aggregate::user::is_example_address, event::TypedEvent, id::WorkspaceId};
use lettre::Message;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    MailServer,
    addresses::Address,
    claims::{Claim, Claims, Failed, RENEWAL},
    hourly_limit::{HourlyLimit, MailKind},
    smtp::SendError,
};
use consumer::EffectError;

/// Sends mails that this server has claimed.
#[derive(Debug)]
pub(super) struct Sender {
    claims: Claims,
    hourly_limit: Option<HourlyLimit>,
    /// Interrupts the conversations with the mail server.
    stopping: CancellationToken,
}

impl Sender {
    /// `per_hour`: the most mails of a workspace to one address in an hour; `None` is no limit.
    pub(super) fn new(claims: Claims, per_hour: Option<NonZeroU32>) -> Self {
        Self {
            claims,
            hourly_limit: per_hour.map(HourlyLimit::new),
            stopping: CancellationToken::new(),
        }
    }

    /// Whether a server has ever begun to send the mail about an event.
    pub(super) async fn has_begun(
        &self,
        workspace: WorkspaceId,
        event: Uuid,
    ) -> Result<bool, DocumentStoreError> {
        self.claims.has_begun(workspace, event).await
    }

    /// Interrupts what waits for the mail server, and sends nothing more.
    pub(super) fn interrupt(&self) {
        self.stopping.cancel();
    }

    /// Sends the mail `id` about an event to the mail server, unless it was sent.
    pub(super) async fn send(
        &self,
        server: &dyn MailServer,
        (id, mail, kind): (Uuid, Message, MailKind),
        address: &Address,
        event: &TypedEvent,
    ) -> Result<(), EffectError> {
        if is_example_address(&address.email) {
            tracing::info!(workspace = %event.workspace, "an email to an example address is not sent");
            skipped("sample");
            return Ok(());
        }
        let workspace = event.workspace;
        let wait = |reason: &str| Err(EffectError::Unavailable(reason.to_owned()));
        if self.stopping.is_cancelled() {
            return wait("this server stops");
        }
        match self.claims.claim(workspace, id).await? {
            Claim::Sent => return Ok(()),
            Claim::Elsewhere => return wait("another server is sending the mail"),
            Claim::Paused => return wait("the mail server may have the mail; it is sent again later"),
            Claim::Fresh if self.exceeds_hourly_limit(workspace, kind, address) => {
                tracing::warn!(
                    %workspace, ?kind, "an address has got too many mails in an hour; this one is not sent"
                );
                self.claims.sent(workspace, id).await?;
                skipped("too_many");
                return Ok(());
            }
            Claim::Fresh | Claim::Retry => {}
        }
        self.send_claimed(server, (id, mail), event).await?;
        if let Some(limit) = &self.hourly_limit {
            limit.forget_idle();
        }
        written(1);
        Ok(())
    }

    /// Counts an email to an address, and returns whether it exceeds the hourly limit.
    fn exceeds_hourly_limit(&self, workspace: WorkspaceId, kind: MailKind, address: &Address) -> bool {
        self.hourly_limit.as_ref().is_some_and(|limit| {
            if address.confirmed {
                limit.is_exceeded(workspace, kind, &address.email)
            } else {
                limit.is_exceeded_unconfirmed(workspace, kind, &address.email)
            }
        })
    }

    /// Sends a mail that this server has claimed, renews the claim meanwhile, and records the outcome.
    async fn send_claimed(
        &self,
        server: &dyn MailServer,
        (id, mail): (Uuid, Message),
        event: &TypedEvent,
    ) -> Result<(), EffectError> {
        let workspace = event.workspace;
        let ended = CancellationToken::new();
        let sending = async {
            let sent = server.send(workspace, mail, &self.stopping).await;
            ended.cancel();
            sent
        };
        let renewing = self.renew_until(&ended, workspace, id);
        let (sent, ()) = tokio::join!(sending, renewing);
        let Err(error) = sent else {
            return Ok(self.claims.sent(workspace, id).await?);
        };
        let failed = if matches!(error, SendError::Unknown(_)) {
            Failed::Unknown
        } else {
            Failed::NotAccepted
        };
        if let Err(error) = self.claims.end(workspace, id, failed).await {
            tracing::warn!(%error, "the claim of a mail that was not sent could not be ended");
        }
        Err(match error {
            SendError::Refused(reason) => EffectError::Event(FoldFault {
                position: event.position,
                reason,
            }),
            SendError::NotAccepted(reason) | SendError::Unknown(reason) => EffectError::Unavailable(reason),
        })
    }

    async fn renew_until(&self, ended: &CancellationToken, workspace: WorkspaceId, mail: Uuid) {
        loop {
            let pause = tokio::time::sleep(RENEWAL);
            if ended.run_until_cancelled(pause).await.is_none() {
                return;
            }
            if let Err(error) = self.claims.renew(workspace, mail).await {
                tracing::warn!(%error, "the claim of a mail could not be renewed");
            }
        }
    }
}

/// Counts mails that are sent or stored.
pub(super) fn written(count: u64) {
    metrics::counter!("foldline_mails_total", "outcome" => "sent").increment(count);
}

/// Counts a mail that is not written.
pub(super) fn skipped(why: &'static str) {
    metrics::counter!("foldline_mails_total", "outcome" => why).increment(1);
}
