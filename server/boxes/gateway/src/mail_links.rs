//! The links in emails: to stop them, to confirm an address, to set a new password.
//!
//! A link leads to a page with a form, and following it changes nothing, because email programs follow links
//! to preview them. Its token is in the query, so that the page works without a script. No other site learns
//! it: every answer has the referrer policy `same-origin`, pages are never kept by a cache, and requests are
//! logged without their query.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};
use identity::{
    People, PersonId,
    account_links::{CONFIRMATION_VALID_FOR, LinkToken},
};
use mail::Links;
use uuid::Uuid;

use super::unsubscribe::UnsubscribeLinks;

/// The page that confirms an address.
pub(super) const CONFIRM_EMAIL: &str = "/confirm-email";
/// The page that sets a new password.
pub(super) const RESET_PASSWORD: &str = "/reset-password";

/// Makes the links in emails.
#[derive(Debug)]
pub struct MailLinks {
    unsubscribe: Arc<UnsubscribeLinks>,
    people: Arc<People>,
}

impl MailLinks {
    /// Links to the same server as those that stop emails.
    pub fn new(unsubscribe: Arc<UnsubscribeLinks>, people: Arc<People>) -> Self {
        Self { unsubscribe, people }
    }

    async fn to(&self, page: &str, token: Result<LinkToken, identity::PeopleError>) -> Option<String> {
        let token = token.inspect_err(|error| {
            tracing::error!(%error, "a link for an email cannot be made");
        });
        self.unsubscribe.to_page(page, token.ok()?.expose()).await
    }
}

#[async_trait]
impl Links for MailLinks {
    async fn unsubscribe(&self, workspace: WorkspaceId, user: Uuid) -> Option<String> {
        self.unsubscribe.link(workspace, user).await
    }

    async fn confirm_email(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        email: &str,
        requested_at: Timestamp,
    ) -> Option<String> {
        let of = PersonId {
            workspace,
            person: user,
        };
        let valid_for = i64::try_from(CONFIRMATION_VALID_FOR.as_micros()).unwrap_or(i64::MAX);
        let until = Timestamp::from_micros(requested_at.as_micros().saturating_add(valid_for));
        let token = self.people.confirmation_token(of, email, until);
        self.to(CONFIRM_EMAIL, token).await
    }

    async fn reset_password(&self, workspace: WorkspaceId, user: Uuid, request: Uuid) -> Option<String> {
        let of = PersonId {
            workspace,
            person: user,
        };
        self.to(RESET_PASSWORD, self.people.reset_token(of, request))
            .await
    }
}
