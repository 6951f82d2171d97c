//! Signing in, and the renewal of sessions.
//!
//! The access token of a person with an account is short-lived. A refresh token renews it; it is used once
//! and followed by the next one of its family. A refresh token that is used again after its grace period was
//! stolen, and the family ends. Within the grace period it comes from another tab of the same browser, which
//! sent its request before it had the new token.
//!
//! Sign-in does not reveal whether an email has an account: a wrong password and an email without an account
//! have the same answer, in the same time.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    aggregate::{
        email::{EmailEvent, EmailReserved},
        user::Password,
    },
    event::{DomainEvent, EventPayload as _},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{LookUpError, People, PeopleError, PersonId, UserAccount, seals::random, store::StoredToken};
use event_store::{Direction, StoreError};

/// The lifetime of an access token of a person with an account, in seconds.
pub const ACCESS_SECONDS: u64 = 15 * 60;
/// How long a session lasts without a renewal.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// How long a used refresh token is accepted again, from another tab.
pub const REUSE_GRACE: Duration = Duration::from_secs(30);

/// The most workspaces in which an email is looked up: each costs a password hash.
const MOST_WORKSPACES: u32 = 4;

/// The session of a sign-in or a renewal, with its next refresh token.
#[derive(Debug, Clone)]
pub struct RenewableSession {
    /// The account.
    pub account: UserAccount,
    /// The id of the session, which all tokens of the sign-in share.
    pub family: Uuid,
    /// Renews the session.
    pub refresh_token: RefreshToken,
}

/// The text of a refresh token; never printed.
#[derive(Clone)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// The text, for a cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

/// Why a person is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No account has this email and this password.
    #[error("no account has this email and this password")]
    WrongCredentials,
    /// Several workspaces have such an account.
    #[error("several workspaces have an account with this email and password; name the workspace")]
    SeveralWorkspaces,
    /// The token is not valid, or not any more.
    #[error("this session has ended; sign in again")]
    SessionEnded,
    /// The account cannot be looked up now.
    #[error(transparent)]
    LookUp(#[from] LookUpError),
}

impl From<PeopleError> for SignInError {
    fn from(error: PeopleError) -> Self {
        Self::LookUp(error.into())
    }
}

impl People {
    /// The keyed hash of an email in a sign-in.
    pub fn login(&self, email: &str) -> Result<[u8; 32], PeopleError> {
        self.email_hasher.login(email)
    }

    /// Signs in; without a workspace, in the only one that has a matching account.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &Password,
        workspace: Option<WorkspaceId>,
    ) -> Result<RenewableSession, SignInError> {
        let candidates = match workspace {
            Some(workspace) => self.holders_in(workspace, email).await?,
            None => self.holders(email).await?,
        };
        let mut matching: Vec<UserAccount> = Vec::new();
        let mut tried = false;
        for of in candidates {
            let Some(account) = self.account(of).await? else {
                continue;
            };
            let hash = self.store.credentials(of, account.command).await?;
            tried = true;
            // Of two accounts for one mailbox, the first is the one whose email is spelled as it is typed.
            let is_elsewhere = |other: &UserAccount| other.of.workspace != of.workspace;
            if self.passwords.verify(password, hash.as_deref()).await? && matching.iter().all(is_elsewhere) {
                matching.push(account);
            }
        }
        if !tried {
            self.passwords.verify(password, None).await?;
        }
        match (matching.pop(), matching.is_empty()) {
            (None, _) => Err(SignInError::WrongCredentials),
            (Some(account), true) => Ok(self.begin(account).await?),
            (Some(_), false) => Err(SignInError::SeveralWorkspaces),
        }
    }

    /// Changes the password, and ends every session except the caller's; the caller has to know the current
    /// password.
    pub async fn change_password(
        &self,
        of: PersonId,
        current: &Password,
        new: &Password,
        session: Uuid,
    ) -> Result<(), SignInError> {
        let Some(account) = self.account(of).await? else {
            return Err(SignInError::WrongCredentials);
        };
        let hash = self.store.credentials(of, account.command).await?;
        if !self.passwords.verify(current, hash.as_deref()).await? {
            return Err(SignInError::WrongCredentials);
        }
        let hash = self.passwords.hash(new).await?;
        let replaced = self
            .store
            .replace_credentials(of, account.command, &hash, Some(session));
        // `false`: the person was erased in between
        replaced
            .await?
            .then_some(())
            .ok_or(SignInError::WrongCredentials)?;
        self.sessions_changed(of).await;
        Ok(())
    }

    async fn begin(&self, account: UserAccount) -> Result<RenewableSession, PeopleError> {
        let signed_in = Self::new_session(account, self.clock.new_id())?;
        self.store.keep_token(&self.stored(&signed_in)).await?;
        Ok(signed_in)
    }

    /// Issues the first refresh token for the session of the token that registered a person. `None`: it was
    /// issued before, since that token gets only one; or a program has registered with it.
    pub async fn renew_registered(
        &self,
        of: PersonId,
        session: Uuid,
    ) -> Result<Option<RenewableSession>, SignInError> {
        let account = self.account(of).await?.ok_or(SignInError::SessionEnded)?;
        let command = account.command;
        let signed_in = Self::new_session(account, session)?;
        let kept = self
            .store
            .keep_first(command, &self.stored(&signed_in), self.clock.now())
            .await?;
        Ok(kept.then_some(signed_in))
    }

    /// Renews a session: marks the token as used, and issues the next one of its family.
    pub async fn renew(&self, token: &str) -> Result<RenewableSession, SignInError> {
        let hash = digest(token);
        let now = self.clock.now();
        let stored = self.store.token(&hash).await?;
        let stored = stored
            .filter(|token| token.expires_at > now)
            .ok_or(SignInError::SessionEnded)?;
        if !self.store.use_token(&hash, now).await? {
            // used before, or by a concurrent request
            let used_at = match self.store.token(&hash).await? {
                Some(token) => token.used_at,
                None => return Err(SignInError::SessionEnded),
            };
            let is_other_tab =
                used_at.is_some_and(|used_at| now.millis_since(used_at) <= millis(REUSE_GRACE));
            if !is_other_tab {
                self.end_session(stored.of, stored.family).await?;
                metrics::counter!("foldline_refresh_tokens_reused_total").increment(1);
                tracing::warn!(
                    workspace = %stored.of.workspace, "a refresh token was used twice; its session ends"
                );
                return Err(SignInError::SessionEnded);
            }
        }
        let Some(account) = self.account(stored.of).await? else {
            self.end_session(stored.of, stored.family).await?;
            return Err(SignInError::SessionEnded);
        };
        self.next(account, stored.family).await
    }

    /// Ends the session of a refresh token; an invalid token has none.
    pub async fn sign_out(&self, token: &str) -> Result<(), PeopleError> {
        if let Some(stored) = self.store.token(&digest(token)).await? {
            self.end_session(stored.of, stored.family).await?;
        }
        Ok(())
    }

    /// Ends a session of a person; no effect if it has ended.
    pub async fn end_session(&self, of: PersonId, session: Uuid) -> Result<(), PeopleError> {
        if self.store.end_family(session).await? {
            self.sessions_changed(of).await;
        }
        Ok(())
    }

    /// Issues the next token of a session, unless it has ended in between.
    async fn next(&self, account: UserAccount, family: Uuid) -> Result<RenewableSession, SignInError> {
        let signed_in = Self::new_session(account, family)?;
        let kept = self.store.keep_next(&self.stored(&signed_in)).await?;
        kept.then_some(signed_in).ok_or(SignInError::SessionEnded)
    }

    fn new_session(account: UserAccount, family: Uuid) -> Result<RenewableSession, PeopleError> {
        Ok(RenewableSession {
            account,
            family,
            refresh_token: RefreshToken(URL_SAFE_NO_PAD.encode(random::<32>()?)),
        })
    }

    fn stored(&self, signed_in: &RenewableSession) -> StoredToken {
        StoredToken {
            hash: digest(signed_in.refresh_token.expose()),
            family: signed_in.family,
            of: signed_in.account.of,
            expires_at: later(self.clock.now(), SESSION_LIFETIME),
            used_at: None,
        }
    }

    /// The people who have reserved an email in a workspace, first the one who spelled it as it is typed.
    /// There are several only if an earlier version took two spellings of a mailbox for two addresses; that
    /// is reported.
    async fn holders_in(&self, workspace: WorkspaceId, email: &str) -> Result<Vec<PersonId>, LookUpError> {
        let mut holders: Vec<PersonId> = Vec::new();
        for stream in self.email_hasher.streams(workspace, email)? {
            let holder = self.holder(workspace, &stream).await?;
            holders.extend(holder.filter(|holder| !holders.contains(holder)));
        }
        if holders.len() > 1 {
            let people: Vec<_> = holders.iter().map(|of| of.person).collect();
            tracing::warn!(%workspace, ?people, "several accounts have the same mailbox");
        }
        Ok(holders)
    }

    /// The person who holds a reservation.
    async fn holder(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
    ) -> Result<Option<PersonId>, LookUpError> {
        let last = self
            .events
            .read_stream(workspace, stream, u64::MAX, Direction::Backwards, 1)
            .await?;
        let Some(event) = last.first() else {
            return Ok(None);
        };
        let decoded = DomainEvent::decode(&event.event_type, event.schema_version, &event.payload)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(match EmailEvent::from_domain(&decoded) {
            Some(EmailEvent::EmailReserved(EmailReserved { user })) => Some(PersonId {
                workspace,
                person: *user,
            }),
            _ => None,
        })
    }

    /// The people who have reserved an email, in any workspace.
    async fn holders(&self, email: &str) -> Result<Vec<PersonId>, LookUpError> {
        let mut holders: Vec<PersonId> = Vec::new();
        for login in self.email_hasher.logins(email)? {
            for candidate in self.store.logins(&login, MOST_WORKSPACES).await? {
                if holders.contains(&candidate) {
                    continue;
                }
                if self
                    .holders_in(candidate.workspace, email)
                    .await?
                    .contains(&candidate)
                {
                    holders.push(candidate);
                }
            }
        }
        Ok(holders)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_add(micros))
}
