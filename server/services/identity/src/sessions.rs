//! Signing in, and staying signed in.
//!
//! An access token of somebody with an account is short; what renews it is a refresh token, which is used once and followed
//! by the next one of its family. One that comes again after its time of grace was stolen from somebody, and the family
//! ends. Within the grace it is another tab of the same browser, which has sent its requests before the new token came.
//!
//! Whether an email belongs to somebody is told to nobody: a wrong password and an email without an account are one answer,
//! and take as long.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    aggregate::{
        email::{EmailEvent, EmailReserved},
        user::Password,
    },
    event::{DomainEvent, EventPayload as _},
    id::WorkspaceId,
    timestamp::Timestamp,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{LookUpError, People, PeopleError, PersonId, Registered, seals::random, store::StoredToken};
use event_store::{Direction, StoreError};

/// How long an access token of somebody with an account is good, in seconds.
pub const ACCESS_SECONDS: u64 = 15 * 60;
/// How long somebody stays signed in who does not come back.
pub const SIGNED_IN: Duration = Duration::from_hours(30 * 24);
/// How long a used token is still taken for another tab's.
pub const GRACE: Duration = Duration::from_secs(30);

/// In how many workspaces an email is looked for: each costs a password's hash.
const MOST_WORKSPACES: u32 = 4;

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub who: Registered,
    /// What all tokens of this sign-in share.
    pub family: Uuid,
    /// What renews the session.
    pub refresh_token: RefreshToken,
}

/// The text of a refresh token; printed nowhere.
#[derive(Clone)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// For a cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No account has this email and this password.
    #[error("no account has this email and this password")]
    Wrong,
    /// Several workspaces have such an account.
    #[error("several workspaces have an account with this email and password; name the workspace")]
    SeveralWorkspaces,
    /// The token is not, or no longer, good.
    #[error("this session has ended; sign in again")]
    Over,
    /// It cannot be found out now.
    #[error(transparent)]
    LookUp(#[from] LookUpError),
}

impl From<PeopleError> for SignInError {
    fn from(error: PeopleError) -> Self {
        Self::LookUp(error.into())
    }
}

impl People {
    /// What stands for an email that somebody tries to sign in with.
    pub fn login(&self, email: &str) -> Result<[u8; 32], PeopleError> {
        self.addresses.login(email)
    }

    /// Signs in; without a workspace, where the only account is that fits.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &Password,
        workspace: Option<WorkspaceId>,
    ) -> Result<SignedIn, SignInError> {
        let candidates = match workspace {
            Some(workspace) => self.holder(workspace, email).await?.into_iter().collect(),
            None => self.holders(email).await?,
        };
        let mut fitting = Vec::new();
        let mut tried = false;
        for of in candidates {
            let Some(account) = self.account(of).await? else {
                continue;
            };
            let hash = self.store.credentials(of, account.command).await?;
            tried = true;
            if self.passwords.fits(password, hash.as_deref()).await? {
                fitting.push(account);
            }
        }
        if !tried {
            self.passwords.fits(password, None).await?;
        }
        match (fitting.pop(), fitting.is_empty()) {
            (None, _) => Err(SignInError::Wrong),
            (Some(account), true) => Ok(self.begin(account).await?),
            (Some(_), false) => Err(SignInError::SeveralWorkspaces),
        }
    }

    /// Takes another password, and ends every session but the one in which this is asked; whoever asks knows the one that is
    /// to be replaced.
    pub async fn change_password(
        &self,
        of: PersonId,
        current: &Password,
        new: &Password,
        session: Uuid,
    ) -> Result<(), SignInError> {
        let Some(account) = self.account(of).await? else {
            return Err(SignInError::Wrong);
        };
        let hash = self.store.credentials(of, account.command).await?;
        if !self.passwords.fits(current, hash.as_deref()).await? {
            return Err(SignInError::Wrong);
        }
        let hash = self.passwords.hash(new).await?;
        let replaced = self
            .store
            .replace_credentials(of, account.command, &hash, Some(session));
        // gone in between: the person was erased
        replaced.await?.then_some(()).ok_or(SignInError::Wrong)?;
        self.sessions_changed(of).await;
        Ok(())
    }

    async fn begin(&self, who: Registered) -> Result<SignedIn, PeopleError> {
        let signed_in = Self::made(who, self.clock.new_id())?;
        self.store.keep_token(&self.stored(&signed_in)).await?;
        Ok(signed_in)
    }

    /// Lets the session of the token that registered a person be renewed, as a browser does. `None`: it was let before, as the
    /// token that registers is worth one token that renews and no second; or a program has registered by it.
    pub async fn go_on(&self, of: PersonId, session: Uuid) -> Result<Option<SignedIn>, SignInError> {
        let who = self.account(of).await?.ok_or(SignInError::Over)?;
        let command = who.command;
        let signed_in = Self::made(who, session)?;
        let kept = self
            .store
            .keep_first(command, &self.stored(&signed_in), self.clock.now())
            .await?;
        Ok(kept.then_some(signed_in))
    }

    /// Renews a session: the token is used, and the next one of its family takes its place.
    pub async fn renew(&self, token: &str) -> Result<SignedIn, SignInError> {
        let hash = digest(token);
        let now = self.clock.now();
        let stored = self.store.token(&hash).await?;
        let stored = stored
            .filter(|token| token.expires_at > now)
            .ok_or(SignInError::Over)?;
        if !self.store.use_token(&hash, now).await? {
            // used before, or by somebody else at this moment
            let used_at = match self.store.token(&hash).await? {
                Some(token) => token.used_at,
                None => return Err(SignInError::Over),
            };
            let is_other_tab = used_at.is_some_and(|used_at| now.millis_since(used_at) <= millis(GRACE));
            if !is_other_tab {
                self.end_session(stored.of, stored.family).await?;
                metrics::counter!("foldline_refresh_tokens_reused_total").increment(1);
                tracing::warn!(workspace = %stored.of.workspace, "a refresh token came twice; its session is ended");
                return Err(SignInError::Over);
            }
        }
        let Some(who) = self.account(stored.of).await? else {
            self.end_session(stored.of, stored.family).await?;
            return Err(SignInError::Over);
        };
        self.next(who, stored.family).await
    }

    /// Signs out wherever this token's sign-in is used; a token that is not good has nothing to end.
    pub async fn sign_out(&self, token: &str) -> Result<(), PeopleError> {
        if let Some(stored) = self.store.token(&digest(token)).await? {
            self.end_session(stored.of, stored.family).await?;
        }
        Ok(())
    }

    /// Signs a person out of one session; one that has ended has ended.
    pub async fn end_session(&self, of: PersonId, session: Uuid) -> Result<(), PeopleError> {
        if self.store.end_family(session).await? {
            self.sessions_changed(of).await;
        }
        Ok(())
    }

    /// A session goes on, unless it has ended in between.
    async fn next(&self, who: Registered, family: Uuid) -> Result<SignedIn, SignInError> {
        let signed_in = Self::made(who, family)?;
        let kept = self.store.keep_next(&self.stored(&signed_in)).await?;
        kept.then_some(signed_in).ok_or(SignInError::Over)
    }

    fn made(who: Registered, family: Uuid) -> Result<SignedIn, PeopleError> {
        Ok(SignedIn {
            who,
            family,
            refresh_token: RefreshToken(URL_SAFE_NO_PAD.encode(random::<32>()?)),
        })
    }

    fn stored(&self, signed_in: &SignedIn) -> StoredToken {
        StoredToken {
            hash: digest(signed_in.refresh_token.expose()),
            family: signed_in.family,
            of: signed_in.who.of,
            expires_at: later(self.clock.now(), SIGNED_IN),
            used_at: None,
        }
    }

    /// Who holds an email in a workspace.
    async fn holder(&self, workspace: WorkspaceId, email: &str) -> Result<Option<PersonId>, LookUpError> {
        let stream = self.addresses.stream(workspace, email)?;
        let last = self
            .events
            .read_stream(workspace, &stream, u64::MAX, Direction::Backwards, 1)
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

    /// Who holds an email, in any workspace.
    async fn holders(&self, email: &str) -> Result<Vec<PersonId>, LookUpError> {
        let mut holders = Vec::new();
        let login = self.addresses.login(email)?;
        for candidate in self.store.logins(&login, MOST_WORKSPACES).await? {
            if self.holder(candidate.workspace, email).await? == Some(candidate) {
                holders.push(candidate);
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
