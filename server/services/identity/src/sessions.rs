//! Sessions of people with an account, and their renewal.
//!
//! The access token of a person with an account is short-lived. A refresh token renews it; it is used once
//! and followed by the next one of its family. If it comes again within a short grace period, another tab of
//! the same browser has sent it before it had the next one, and gets that same one: a token has one
//! successor, so that a family never has two branches. Once the successor was used or the grace is over, a
//! use of the old token is a theft, and the family ends.
//!
//! Only the hash of a token is stored. So that every server can give the successor again, it is stored as
//! well, sealed under the text of the token before it: who can open it already has that one.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    aggregate::user::{Password, PasswordFault},
    timestamp::Timestamp,
};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use telemetry::security::SecurityEvent;
use uuid::Uuid;

use super::{
    LookUpError, People, PeopleError, PersonId, UserAccount, about,
    seals::random,
    store::{NewPassword, PasswordChange, StoredToken},
};

/// The lifetime of an access token of a person with an account, in seconds.
pub const ACCESS_SECONDS: u64 = 15 * 60;
/// How long a session lasts without a renewal.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// How long a used refresh token gives its successor again, to another tab.
pub const REUSE_GRACE: Duration = Duration::from_secs(30);

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
    /// The token is not valid, or not any more.
    #[error("this session has ended; sign in again")]
    SessionEnded,
    /// The new password is too easy to guess.
    #[error("{0}")]
    Weak(PasswordFault),
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
    /// Changes the password, and ends every session except the caller's, and every link to set a password.
    /// The caller has to know the current password, and appends the event of the change.
    pub async fn change_password(
        &self,
        of: PersonId,
        current: &Password,
        new: &Password,
        session: Uuid,
    ) -> Result<PasswordChange, SignInError> {
        let Some(account) = self.account(of).await? else {
            return Err(SignInError::WrongCredentials);
        };
        let hash = self.store.credentials(of, account.command).await?;
        if !self.passwords.verify(current, hash.as_deref()).await? {
            about(SecurityEvent::PasswordRefused, of).write();
            return Err(SignInError::WrongCredentials);
        }
        if let Some(fault) = self.password_fault(of, new).await? {
            return Err(SignInError::Weak(fault));
        }
        let Some(hash) = self.hash_for_account(of, new).await? else {
            return Err(SignInError::WrongCredentials);
        };
        let password = NewPassword {
            of,
            command: account.command,
            hash: &hash,
            kept: Some(session),
            reset: None,
            change: self.clock.new_id(),
        };
        let changed = self.store.change_password(&password, self.clock.now());
        // `false`: the person was erased in between
        changed
            .await?
            .then_some(())
            .ok_or(SignInError::WrongCredentials)?;
        self.sessions_changed(of).await;
        about(SecurityEvent::PasswordChanged, of).write();
        Ok(PasswordChange {
            of,
            command: password.change,
            by_link: false,
        })
    }

    pub(super) async fn begin(&self, account: UserAccount) -> Result<RenewableSession, PeopleError> {
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

    /// Renews a session: marks the token as used, and issues the next one of its family, the same for every
    /// tab that sends the token within the grace period.
    pub async fn renew(&self, token: &str) -> Result<RenewableSession, SignInError> {
        let hash = digest(token);
        let now = self.clock.now();
        let stored = self.store.token(&hash).await?;
        let stored = stored
            .filter(|token| token.expires_at > now)
            .ok_or(SignInError::SessionEnded)?;
        let Some(account) = self.account(stored.of).await? else {
            self.end_session(stored.of, stored.family).await?;
            return Err(SignInError::SessionEnded);
        };
        let secret = random::<32>()?;
        let next = RenewableSession::new(account, stored.family, &secret);
        let (sealed, successor) = (under(token, &secret)?, self.stored(&next));
        let rotated = self.store.rotate_token(&hash, &sealed, &successor, now);
        if rotated.await? {
            return Ok(next);
        }
        // Used before, or by a concurrent request.
        let used = self.store.token(&hash).await?;
        let used = used.ok_or(SignInError::SessionEnded)?;
        self.renew_again(token, &used, next, now).await
    }

    /// The session of a token that was used before: for another tab the same one that its first use got. A
    /// reuse ends the session.
    async fn renew_again(
        &self,
        token: &str,
        used: &StoredToken,
        unused: RenewableSession,
        now: Timestamp,
    ) -> Result<RenewableSession, SignInError> {
        let is_in_grace = used
            .used_at
            .is_some_and(|used_at| now.millis_since(used_at) <= millis(REUSE_GRACE));
        if is_in_grace {
            // A server of an earlier version has used it, and its successor is not known here.
            let Some(sealed) = &used.successor else {
                return Err(SignInError::SessionEnded);
            };
            let sealed = <[u8; 32]>::try_from(sealed.as_slice())
                .map_err(|_| PeopleError::Corrupt("the successor of a refresh token".to_owned()))?;
            let same = RenewableSession::new(unused.account, used.family, &under(token, &sealed)?);
            let successor = self.store.token(&digest(same.refresh_token.expose())).await?;
            match successor {
                Some(successor) if successor.used_at.is_none() => return Ok(same),
                // The session has ended in between.
                None => return Err(SignInError::SessionEnded),
                Some(_) => {}
            }
        }
        self.end_session(used.of, used.family).await?;
        metrics::counter!("foldline_refresh_tokens_reused_total").increment(1);
        about(SecurityEvent::RefreshTokenReused, used.of).write();
        Err(SignInError::SessionEnded)
    }

    /// Ends the session of a refresh token; the person whose session it was. `None`: a token that is made
    /// up, or that has expired, has none.
    pub async fn sign_out(&self, token: &str) -> Result<Option<PersonId>, PeopleError> {
        let stored = self.store.token(&digest(token)).await?;
        let Some(stored) = stored.filter(|stored| stored.expires_at > self.clock.now()) else {
            return Ok(None);
        };
        let has_ended = self.end_session(stored.of, stored.family).await?;
        Ok(has_ended.then_some(stored.of))
    }

    /// Ends a session of a person, and tells whether it did: it may have ended before.
    pub async fn end_session(&self, of: PersonId, session: Uuid) -> Result<bool, PeopleError> {
        let has_ended = self.store.end_family(session).await?;
        if has_ended {
            self.sessions_changed(of).await;
        }
        Ok(has_ended)
    }

    fn new_session(account: UserAccount, family: Uuid) -> Result<RenewableSession, PeopleError> {
        Ok(RenewableSession::new(account, family, &random::<32>()?))
    }

    fn stored(&self, signed_in: &RenewableSession) -> StoredToken {
        StoredToken {
            hash: digest(signed_in.refresh_token.expose()),
            family: signed_in.family,
            of: signed_in.account.of,
            expires_at: later(self.clock.now(), SESSION_LIFETIME),
            used_at: None,
            successor: None,
        }
    }
}

impl RenewableSession {
    /// The session with the refresh token of a secret.
    fn new(account: UserAccount, family: Uuid, secret: &[u8; 32]) -> Self {
        Self {
            account,
            family,
            refresh_token: RefreshToken(URL_SAFE_NO_PAD.encode(secret)),
        }
    }
}

/// Seals the secret of a token's one successor under the token's text, or opens it: a one-time pad, since a
/// token has one successor, and its text is as random.
fn under(token: &str, secret: &[u8; 32]) -> Result<[u8; 32], PeopleError> {
    let mut pad = Hmac::<Sha256>::new_from_slice(token.as_bytes())
        .map_err(|error| PeopleError::Corrupt(error.to_string()))?;
    pad.update(b"foldline: the successor of a refresh token");
    let pad: [u8; 32] = pad.finalize().into_bytes().into();
    let mut sealed = *secret;
    for (byte, of_pad) in sealed.iter_mut().zip(pad) {
        *byte ^= of_pad;
    }
    Ok(sealed)
}

pub(super) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_opened_with_the_token_that_it_follows_and_with_no_other() {
        let secret = [7; 32];
        let sealed = under("the token", &secret).unwrap();
        assert_ne!(sealed, secret);
        assert_eq!(under("the token", &sealed).unwrap(), secret);
        assert_ne!(under("another token", &sealed).unwrap(), secret);
    }
}
