//! The links in emails by which people set a new password, or confirm their address.
//!
//! **A new password.** The token of a link is a keyed hash of the command that requested it. So the email
//! service can make it from the event, as often as it has to, and neither the log nor a table has it: the
//! store has its SHA-256. A link is good once and for [`RESET_VALID_FOR`], and only while the account has the
//! email that it was sent to. That the answer to a request tells nothing about accounts is the caller's part.
//!
//! **An address.** The token names the person and a time, and is authenticated with the same key together
//! with the email. So nothing is stored, and a link to a former address confirms nothing.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    aggregate::user::{Account, Password, PasswordFault},
    id::WorkspaceId,
    timestamp::Timestamp,
};
use telemetry::security::{SecurityEvent, SecurityRecord};
use uuid::Uuid;

use super::{
    LookUpError, People, PeopleError, PersonId, about,
    sessions::{digest, later},
    store::{NewPassword, PasswordChange, StoredReset},
};

/// How long a link sets a new password.
pub const RESET_VALID_FOR: Duration = Duration::from_mins(30);

/// How long after the event that it is about a link confirms an address.
pub const CONFIRMATION_VALID_FOR: Duration = Duration::from_hours(7 * 24);

/// The most accounts of an email that one request for a new password is about.
const RESET_ACCOUNTS: usize = 4;

/// The most accounts of an email among which those are chosen.
const LOOKED_AT: usize = 64;

/// The parts of a token that confirms an address: workspace, person, time and authentication code.
const CONFIRMATION_BYTES: usize = 16 + 16 + 8 + 32;

/// The longest text of a token.
const MAX_TOKEN: usize = 128;

/// The token of a link in an email; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkToken(String);

impl LinkToken {
    fn new(bytes: &[u8]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The text, for a link.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkToken(…)")
    }
}

/// Why a link has no effect.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It was never one, or it is not valid any more.
    #[error("this link was used already, or it is not valid any more")]
    Invalid,
    /// The new password is too easy to guess. The link stays as it is.
    #[error("{0}")]
    Weak(PasswordFault),
    /// The account cannot be looked up now.
    #[error(transparent)]
    LookUp(#[from] LookUpError),
}

impl From<PeopleError> for LinkError {
    fn from(error: PeopleError) -> Self {
        Self::LookUp(error.into())
    }
}

/// An address that a person has confirmed, if their stream still has this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmailConfirmation {
    /// The person.
    pub of: PersonId,
    /// The version of the person's stream.
    pub version: u64,
}

impl People {
    /// The accounts that a request for a new password is about: those with this email, in the workspace if
    /// one is named. Of many, those first whose email is confirmed: accounts that strangers made with the
    /// email of another person do not keep that person out.
    pub async fn accounts_to_reset(
        &self,
        email: &str,
        workspace: Option<WorkspaceId>,
    ) -> Result<Vec<PersonId>, LookUpError> {
        let holders = match workspace {
            Some(workspace) => self.holders_in(workspace, email).await?,
            None => self.holders(email, LOOKED_AT).await?,
        };
        let (mut confirmed, mut others) = (Vec::new(), Vec::new());
        for of in holders {
            let (state, _) = self.user(of).await?;
            match state.account {
                Some(Account {
                    email_confirmed: true,
                    ..
                }) => confirmed.push(of),
                Some(_) => others.push(of),
                None => {}
            }
        }
        confirmed.append(&mut others);
        confirmed.truncate(RESET_ACCOUNTS);
        Ok(confirmed)
    }

    /// Before the request for a new password is appended under the id `request`: stores the hash of its link.
    /// `false`: the account has no password here, and there is no link.
    pub async fn requesting_reset(
        &self,
        of: PersonId,
        email: &str,
        request: Uuid,
    ) -> Result<bool, LookUpError> {
        let Some(account) = self.account(of).await? else {
            return Ok(false);
        };
        if self.store.credentials(of, account.command).await?.is_none() {
            return Ok(false);
        }
        let token = self.reset_token(of, request)?;
        let reset = StoredReset {
            hash: digest(token.expose()),
            of,
            login: self.email_hasher.login(email)?,
            expires_at: later(self.clock.now(), RESET_VALID_FOR),
        };
        self.store.keep_reset(&reset).await?;
        about(SecurityEvent::PasswordResetRequested, of).write();
        Ok(true)
    }

    /// The token of the link to set a new password that a command has requested.
    pub fn reset_token(&self, of: PersonId, request: Uuid) -> Result<LinkToken, PeopleError> {
        Ok(LinkToken::new(&self.email_hasher.reset_token(of, request)?))
    }

    /// Sets a new password by a link, which is used with it, and ends every session of the person. The caller
    /// appends the event of the change, under the id `change`.
    pub async fn reset_password(
        &self,
        token: &str,
        new: &Password,
        change: Uuid,
    ) -> Result<PasswordChange, LinkError> {
        let reset = self.set_by_link(token, new, change).await;
        note_invalid(SecurityEvent::PasswordResetRefused, &reset);
        reset
    }

    async fn set_by_link(
        &self,
        token: &str,
        new: &Password,
        change: Uuid,
    ) -> Result<PasswordChange, LinkError> {
        if token.len() > MAX_TOKEN {
            return Err(LinkError::Invalid);
        }
        let hash = digest(token);
        let now = self.clock.now();
        let stored = self.store.reset(&hash).await?;
        let stored = stored
            .filter(|reset| reset.expires_at > now)
            .ok_or(LinkError::Invalid)?;
        let of = stored.of;
        let (state, command) = self.user(of).await?;
        let (Some(account), Some(command)) = (state.account, command) else {
            return Err(LinkError::Invalid);
        };
        let email = self.seals.opened(of.workspace, &account.email).await?;
        let email = email.ok_or(LinkError::Invalid)?;
        if self.email_hasher.login(&email)? != stored.login {
            return Err(LinkError::Invalid);
        }
        let name = self.seals.opened(of.workspace, &account.display_name).await?;
        if let Some(fault) = new.fault(&[&email, &name.unwrap_or_default()]) {
            return Err(LinkError::Weak(fault));
        }
        let new = self.hash_for(&email, new).await?;
        let password = NewPassword {
            of,
            command,
            hash: &new,
            kept: None,
            reset: Some(hash),
            change,
        };
        // `false`: another request was faster, or the person was erased in between
        if !self.store.change_password(&password, self.clock.now()).await? {
            return Err(LinkError::Invalid);
        }
        self.sessions_changed(of).await;
        metrics::counter!("foldline_passwords_reset_total").increment(1);
        about(SecurityEvent::PasswordReset, of).write();
        Ok(PasswordChange {
            of,
            command: change,
            by_link: true,
        })
    }

    /// Changed passwords whose events are not appended yet, at most `limit`.
    pub async fn unrecorded_password_changes(&self, limit: u32) -> Result<Vec<PasswordChange>, PeopleError> {
        self.store.password_changes(limit).await
    }

    /// After the event of a changed password: removes its note.
    pub async fn password_change_recorded(&self, change: &PasswordChange) {
        if let Err(error) = self.store.forget_password_change(change).await {
            tracing::warn!(%error, "the note of a changed password was not deleted; its event is sent again");
        }
    }

    /// The token of a link that confirms the address of a person until a time.
    pub fn confirmation_token(
        &self,
        of: PersonId,
        email: &str,
        until: Timestamp,
    ) -> Result<LinkToken, PeopleError> {
        let until_bytes = until.as_micros().to_be_bytes();
        let code = self.email_hasher.confirmation(of, until, email)?;
        let token = [
            &of.workspace.0.as_bytes()[..],
            &of.person.as_bytes()[..],
            &until_bytes,
            &code,
        ]
        .concat();
        Ok(LinkToken::new(&token))
    }

    /// The address that a link confirms. The caller appends the event.
    pub async fn read_confirmation(&self, token: &str) -> Result<EmailConfirmation, LinkError> {
        let confirmation = self.address_of_link(token).await;
        note_invalid(SecurityEvent::EmailConfirmationRefused, &confirmation);
        if let Ok(confirmation) = &confirmation {
            about(SecurityEvent::EmailConfirmed, confirmation.of).write();
        }
        confirmation
    }

    async fn address_of_link(&self, token: &str) -> Result<EmailConfirmation, LinkError> {
        let (of, until, code) = confirmation_parts(token).ok_or(LinkError::Invalid)?;
        let workspace = self.events.workspace(of.workspace).await;
        if until <= self.clock.now() || workspace.map_err(LookUpError::from)?.is_none() {
            return Err(LinkError::Invalid);
        }
        let (state, _, version) = self.user_at_version(of).await?;
        let account = state.account.ok_or(LinkError::Invalid)?;
        let email = self.seals.opened(of.workspace, &account.email).await?;
        let email = email.ok_or(LinkError::Invalid)?;
        if !self.email_hasher.is_confirmation(&code, of, until, &email)? {
            return Err(LinkError::Invalid);
        }
        Ok(EmailConfirmation { of, version })
    }
}

/// Notes in the security log that a link was not accepted.
fn note_invalid<T>(event: SecurityEvent, followed: &Result<T, LinkError>) {
    if matches!(followed, Err(LinkError::Invalid)) {
        SecurityRecord::new(event).because("invalid_link").write();
    }
}

/// The person, the time and the authentication code of a token that confirms an address.
fn confirmation_parts(token: &str) -> Option<(PersonId, Timestamp, [u8; 32])> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    if bytes.len() != CONFIRMATION_BYTES {
        return None;
    }
    let (workspace, rest) = bytes.split_first_chunk::<16>()?;
    let (person, rest) = rest.split_first_chunk::<16>()?;
    let (until, rest) = rest.split_first_chunk::<8>()?;
    let code: [u8; 32] = rest.try_into().ok()?;
    let of = PersonId {
        workspace: WorkspaceId(Uuid::from_bytes(*workspace)),
        person: Uuid::from_bytes(*person),
    };
    Some((of, Timestamp::from_micros(i64::from_be_bytes(*until)), code))
}
