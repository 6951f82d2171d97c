//! The links in emails by which people set a new password, or confirm their address.
//!
//! **A new password.** The token of a link is a keyed hash of the command that requested it. So the email
//! service can make it from the event, as often as it has to, and neither the log nor a table has it: the
//! store has its SHA-256. A link is good once and for [`RESET_VALID_FOR`], and only while the account has the
//! email that it was sent to. That the answer to a request tells nothing about accounts is the caller's part.
//!
//! Anyone can open workspaces and register the email of another person in them, before or after its owner
//! does. Such accounts delay the owner's link only if more have the email than one request is about, and then
//! until one of the next requests, which go on with the next accounts: no number of them keeps the owner's
//! turn from coming. Half of a request is for accounts whose email is confirmed. Where a mail server sends
//! the links, a stranger cannot confirm one, so those that are confirmed get theirs with every request.
//!
//! **An address.** The token names the person and a time, and is authenticated with the same key together
//! with the email. So nothing is stored, and a link to a former address confirms nothing.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

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
const RESET_ACCOUNTS: usize = 64;

/// Of how many emails it is known whose turn is next, and for how long after a request.
const MOST_TURNS: u64 = 10_000;
const TURNS_KEPT_FOR: Duration = Duration::from_hours(24);

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

/// The accounts of an email that the last request for a new password was about: the last one of those whose
/// email is confirmed, and of the others.
#[derive(Debug, Default)]
struct LastReset {
    confirmed: Option<PersonId>,
    other: Option<PersonId>,
}

/// Whose turn is next where an email has more accounts than one request is about. In memory: after a restart
/// the turns begin anew.
#[derive(Debug)]
pub(super) struct ResetTurns(moka::sync::Cache<[u8; 32], Arc<Mutex<LastReset>>>);

impl ResetTurns {
    pub(super) fn new() -> Self {
        Self(
            moka::sync::Cache::builder()
                .max_capacity(MOST_TURNS)
                .time_to_idle(TURNS_KEPT_FOR)
                .build(),
        )
    }

    /// The accounts that this request is about: half of them confirmed ones and half others, and more of
    /// either where the other ones leave room.
    fn take(&self, login: [u8; 32], confirmed: Vec<PersonId>, others: Vec<PersonId>) -> Vec<PersonId> {
        let last = self.0.get_with(login, Arc::default);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let room = RESET_ACCOUNTS - others.len().min(RESET_ACCOUNTS / 2);
        let mut taken = next(confirmed, room, &mut last.confirmed);
        let room = RESET_ACCOUNTS - taken.len();
        taken.append(&mut next(others, room, &mut last.other));
        taken
    }
}

/// The next people after the last one, at most `count`; after the end it begins again.
fn next(mut people: Vec<PersonId>, count: usize, last: &mut Option<PersonId>) -> Vec<PersonId> {
    let order = |of: &PersonId| (of.workspace, of.person);
    people.sort_unstable_by_key(order);
    if people.len() > count {
        let start = last.map_or(0, |last| people.partition_point(|of| order(of) <= order(&last)));
        people.rotate_left(start);
        people.truncate(count);
    }
    *last = people.last().copied();
    people
}

impl People {
    /// The accounts that a request for a new password is about: those with this email, in the workspace if
    /// one is named. Of very many, each has its turn: accounts that strangers made with the email of another
    /// person do not keep that person out.
    ///
    /// An email has one account in a workspace, so what is looked at is bounded by the workspaces there are.
    pub async fn accounts_to_reset(
        &self,
        email: &str,
        workspace: Option<WorkspaceId>,
    ) -> Result<Vec<PersonId>, LookUpError> {
        let holders = match workspace {
            Some(workspace) => self.holders_in(workspace, email).await?,
            None => self.holders(email, usize::MAX).await?,
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
        Ok(self
            .reset_turns
            .take(self.email_hasher.login(email)?, confirmed, others))
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const LOGIN: [u8; 32] = [1; 32];

    fn people(ids: std::ops::Range<u128>) -> Vec<PersonId> {
        let person = |n| PersonId {
            workspace: WorkspaceId(Uuid::from_u128(n)),
            person: Uuid::from_u128(n),
        };
        ids.map(person).collect()
    }

    #[test]
    fn up_to_sixty_four_accounts_of_an_email_get_a_link_with_each_request() {
        let turns = ResetTurns::new();
        for (confirmed, others) in [(0..64, 0..0), (0..0, 0..64), (0..32, 32..64), (0..63, 63..64)] {
            for _ in 0..3 {
                let taken = turns.take(LOGIN, people(confirmed.clone()), people(others.clone()));
                assert_eq!(taken, people(0..64));
            }
        }
    }

    #[test]
    fn no_number_of_others_takes_a_link_from_the_few_that_are_confirmed() {
        let turns = ResetTurns::new();
        // The owner's account, older or younger than those of strangers.
        for owner in [0, 500, 1_000] {
            let others = [people(0..owner), people(owner + 1..1_001)].concat();
            for _ in 0..3 {
                let taken = turns.take(LOGIN, people(owner..owner + 1), others.clone());
                assert_eq!(taken[..1], people(owner..owner + 1));
                assert_eq!(taken.len(), 64);
            }
        }
    }

    #[test]
    fn where_there_are_more_each_has_its_turn_and_no_one_has_two_before() {
        for split in [0, 1, 40, 150, 299, 300] {
            let turns = ResetTurns::new();
            let mut reached = HashSet::new();
            for _ in 0..10 {
                let taken = turns.take(LOGIN, people(0..split), people(split..300));
                assert_eq!(taken.len(), 64);
                assert_eq!(taken.iter().collect::<HashSet<_>>().len(), 64);
                reached.extend(taken);
            }
            assert_eq!(reached.len(), 300, "{split}");
        }
    }
}
