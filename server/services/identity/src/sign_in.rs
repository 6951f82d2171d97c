//! Signing in, and the accounts that have an email.
//!
//! A sign-in reveals nothing about accounts: a wrong password and an email without an account have the same
//! answer, after the same number of hashes. In a named workspace that is one. Without a workspace it is one
//! as well, because a hash is salted with its email and so finds all accounts with this email and password:
//! accounts of other people with the same email, in however many workspaces, cost nothing and hide nothing.
//! Of several accounts with the same password it is the one that was used last.
//!
//! A hash from before that has a salt of its own, and has to be tried by itself. While a store has any, each
//! sign-in without a workspace tries [`OWN_SALTS`] of them, or hashes as often for nothing. A sign-in gives
//! such an account a hash with the email's salt, and so does one after a crash between a new email and its
//! hash.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use domain::{
    aggregate::{
        email::{EmailEvent, EmailReserved},
        user::Password,
    },
    event::{DomainEvent, EventPayload as _},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};

use super::{
    LookUpError, People, PeopleError, PersonId, UserAccount,
    passwords::has_salt,
    sessions::{RenewableSession, SignInError, digest},
};
use event_store::{Direction, StoreError};

/// The most accounts with the same email and password that are looked at. A person who does not know the
/// password cannot add one.
const SAME_HASH: u32 = 64;

/// How many hashes with salts of their own a sign-in without a workspace tries, while there are any.
const OWN_SALTS: usize = 4;

/// How many accounts of one mailbox a sign-in in a workspace tries. There is more than one only if an earlier
/// version took two spellings for two addresses.
const SPELLINGS: usize = 2;

/// Logins that are read at a time.
const PAGE: u32 = 32;

/// The accounts of an email that have a password, in all workspaces.
#[derive(Debug)]
pub struct MatchingAccounts {
    /// The accounts, one of each workspace.
    pub accounts: Vec<UserAccount>,
    /// A digest of the password's hash: the same password with the same email has the same one.
    pub password_digest: [u8; 32],
}

impl People {
    /// The keyed hash of an email in a sign-in.
    pub fn login(&self, email: &str) -> Result<[u8; 32], PeopleError> {
        self.email_hasher.login(email)
    }

    /// How many passwords were hashed until now, for the tests of what a request costs.
    pub fn password_hashes(&self) -> u64 {
        self.passwords.made()
    }

    /// The hash of a password with the salt of its account's email, as it is stored.
    pub(super) async fn hash_for(&self, email: &str, password: &Password) -> Result<String, PeopleError> {
        let salt = self.email_hasher.salt(email)?;
        self.passwords.hash(password, salt).await
    }

    /// The same with the present email of a person; `None`: the person has no account, or was erased.
    pub(super) async fn hash_for_account(
        &self,
        of: PersonId,
        password: &Password,
    ) -> Result<Option<String>, LookUpError> {
        let (state, _) = self.user(of).await?;
        let Some(account) = state.account.filter(|_| !state.erased) else {
            return Ok(None);
        };
        let Some(email) = self.seals.opened(of.workspace, &account.email).await? else {
            return Ok(None);
        };
        Ok(Some(self.hash_for(&email, password).await?))
    }

    /// Signs in to the account of a workspace.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &Password,
        workspace: WorkspaceId,
    ) -> Result<RenewableSession, SignInError> {
        let matching = self.matching_in(workspace, email, password).await?;
        self.begin_last_used(matching).await
    }

    /// Begins a session of that of these accounts which was used last. Their password was verified.
    ///
    /// That there are several is not told: the caller may have made one of them with the email of another
    /// person, to learn whether the two have the same password.
    pub async fn begin_last_used(&self, accounts: Vec<UserAccount>) -> Result<RenewableSession, SignInError> {
        let are_several = accounts.len() > 1;
        let mut chosen: Option<((Option<Timestamp>, WorkspaceId), UserAccount)> = None;
        for account in accounts {
            let used = if are_several {
                self.store.newest_session(account.of).await?
            } else {
                None
            };
            // Of those without a session, the one of the youngest workspace.
            let order = (used, account.of.workspace);
            if chosen.as_ref().is_none_or(|(other, _)| *other < order) {
                chosen = Some((order, account));
            }
        }
        let (_, account) = chosen.ok_or(SignInError::WrongCredentials)?;
        Ok(self.begin(account).await?)
    }

    /// The account in a workspace with this email and password. Of two accounts for one mailbox, it is the
    /// one whose email is spelled as it is typed.
    async fn matching_in(
        &self,
        workspace: WorkspaceId,
        email: &str,
        password: &Password,
    ) -> Result<Vec<UserAccount>, LookUpError> {
        let mut holders = self.holders_in(workspace, email).await?;
        holders.truncate(SPELLINGS);
        let tries = self.email_hasher.streams(workspace, email)?.len().min(SPELLINGS);
        let mut matching = self.try_each(&holders, tries, email, password).await?;
        matching.truncate(1);
        Ok(matching)
    }

    /// The accounts with this email and password in all workspaces, one of each workspace.
    pub async fn matching_accounts(
        &self,
        email: &str,
        password: &Password,
    ) -> Result<MatchingAccounts, LookUpError> {
        let hash = self.hash_for(email, password).await?;
        let mut matching: Vec<UserAccount> = Vec::new();
        for (of, command) in self.store.people_with_hash(&hash, SAME_HASH).await? {
            if self.holds(of, email).await?
                && let Some(account) = self.account(of).await?
                && account.command == command
            {
                add(&mut matching, account);
            }
        }
        if self.store.has_own_salts().await? {
            let candidates = self.holders_with_own_salts(email).await?;
            for account in self.try_each(&candidates, OWN_SALTS, email, password).await? {
                add(&mut matching, account);
            }
        }
        Ok(MatchingAccounts {
            accounts: matching,
            password_digest: digest(&hash),
        })
    }

    /// The accounts of those of these people whose password this is. It makes `tries` hashes at least, so
    /// that the time does not tell how many people there are.
    async fn try_each(
        &self,
        people: &[PersonId],
        tries: usize,
        email: &str,
        password: &Password,
    ) -> Result<Vec<UserAccount>, LookUpError> {
        let mut matching = Vec::new();
        for of in people {
            let account = self.account(*of).await?;
            let hash = match &account {
                Some(account) => self.store.credentials(*of, account.command).await?,
                None => None,
            };
            if self.passwords.verify(password, hash.as_deref()).await?
                && let (Some(account), Some(hash)) = (account, hash)
            {
                self.salt_with(email, &account, password, &hash).await;
                matching.push(account);
            }
        }
        for _ in people.len()..tries {
            self.passwords.verify(password, None).await?;
        }
        Ok(matching)
    }

    /// Gives an account whose password was just verified a hash with the salt of its email, unless it has
    /// one.
    pub(super) async fn salt_with(
        &self,
        email: &str,
        account: &UserAccount,
        password: &Password,
        stored: &str,
    ) {
        let replaced = async {
            let salt = self.email_hasher.salt(email)?;
            if has_salt(stored, salt) {
                return Ok(());
            }
            let hash = self.passwords.hash(password, salt).await?;
            // `false`: the password was changed meanwhile
            self.store
                .replace_salt(account.of, account.command, stored, &hash)
                .await?;
            Ok::<_, PeopleError>(())
        };
        if let Err(error) = replaced.await {
            tracing::warn!(%error, "a password's hash could not be stored with the salt of its email");
        }
    }

    /// After a refused registration or change of the email: deletes the login of a person by an email, unless
    /// the person holds the email.
    pub async fn release_login(&self, of: PersonId, email: &str) {
        let released = async {
            if !self.holds(of, email).await? {
                let login = self.email_hasher.login(email)?;
                self.store.forget_login(&login, of).await?;
            }
            Ok::<_, LookUpError>(())
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, "the login of an email that is not its person's was not deleted");
        }
    }

    /// The people who have reserved an email, in any workspace. What was released, or was never reserved,
    /// does not count towards `limit`, and is deleted.
    pub async fn holders(&self, email: &str, limit: usize) -> Result<Vec<PersonId>, LookUpError> {
        self.held_logins(email, limit, false).await
    }

    /// Those of them whose hashes have salts of their own.
    async fn holders_with_own_salts(&self, email: &str) -> Result<Vec<PersonId>, LookUpError> {
        self.held_logins(email, OWN_SALTS, true).await
    }

    async fn held_logins(
        &self,
        email: &str,
        limit: usize,
        with_own_salts: bool,
    ) -> Result<Vec<PersonId>, LookUpError> {
        let mut holders: Vec<PersonId> = Vec::new();
        let mut found: HashSet<PersonId> = HashSet::new();
        for login in self.email_hasher.logins(email)? {
            let mut after = None;
            loop {
                let page = if with_own_salts {
                    self.store.logins_with_own_salts(&login, after, PAGE).await?
                } else {
                    self.store.logins(&login, after, PAGE).await?
                };
                for of in &page {
                    if holders.len() == limit {
                        return Ok(holders);
                    }
                    if !self.holds(*of, email).await? {
                        self.store.forget_login(&login, *of).await?;
                    } else if found.insert(*of) {
                        holders.push(*of);
                    }
                }
                after = page.last().copied();
                if page.len() < PAGE as usize {
                    break;
                }
            }
        }
        Ok(holders)
    }

    /// Whether a person holds an email, in a workspace that exists.
    pub(super) async fn holds(&self, of: PersonId, email: &str) -> Result<bool, LookUpError> {
        Ok(self.events.workspace(of.workspace).await?.is_some()
            && self.holders_in(of.workspace, email).await?.contains(&of))
    }

    /// The people who have reserved an email in a workspace, first the one who spelled it as it is typed.
    /// There are several only if an earlier version took two spellings of a mailbox for two addresses; that
    /// is reported.
    pub(super) async fn holders_in(
        &self,
        workspace: WorkspaceId,
        email: &str,
    ) -> Result<Vec<PersonId>, LookUpError> {
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
}

/// Adds an account, unless there is one of the same workspace: of two accounts for one mailbox, the first is
/// the one whose email is spelled as it is typed.
fn add(accounts: &mut Vec<UserAccount>, account: UserAccount) {
    if accounts
        .iter()
        .all(|other| other.of.workspace != account.of.workspace)
    {
        accounts.push(account);
    }
}
