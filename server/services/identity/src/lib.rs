//! The data of people that must not be in the log: the keys of their personal data, and their credentials and
//! sessions.
//!
//! | module | what it does |
//! |---|---|
//! | [`seals`] | seals personal data before it is stored, and opens it where it is shown |
//! | [`email_hasher`] | keyed hashes that replace emails |
//! | [`passwords`] | Argon2id |
//! | `sign_in` | sign-in, and the accounts that have an email |
//! | [`sessions`] | the tokens that renew a session |
//! | [`account_links`] | the links in emails that set a password or confirm an address |
//! | [`session_status`] | whether a token is still valid, from its person's account and sessions |
//! | [`store`], `sql`, `sqlite`, `postgres` | rows in SQLite or PostgreSQL, apart from the events |
//!
//! The command service writes the data that accompanies a user's commands ([`People::registering`] and its
//! siblings); the query API and the email service open texts through [`Seals`]. The log alone defines an
//! account.

pub mod account_links;
pub mod email_hasher;
pub mod passwords;
mod postgres;
pub mod seals;
pub mod session_status;
pub mod sessions;
mod sign_in;
mod sql;
mod sqlite;
pub mod store;

use std::{path::Path, sync::Arc, time::Duration};

use domain::{
    access::Role,
    aggregate::user::{Password, PasswordFault, User, UserEvent, UserState},
    decider::Decider as _,
    event::{DomainEvent, EventPayload as _, personal::ERASED},
    id::{StreamName, WorkspaceId},
    language::Language,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use account_links::ResetTurns;
use clock::SharedClock;
use database::url::StoreUrl;
use email_hasher::EmailHasher;
use event_store::{DigestKey, Direction, EventStore, StoreError};
use passwords::{HashCost, Passwords};
pub use postgres::PostgresPeople;
pub use seals::Seals;
use session_status::{PresentedToken, SessionStatusCache};
pub use sign_in::MatchingAccounts;
pub use sqlite::SqlitePeople;
use store::StoredKey;
pub use store::{PasswordChange, PeopleError, PeopleStore, PersonId};
use telemetry::security::{SecurityEvent, SecurityRecord};

/// How old the note of an erasure must be before a server treats the erasure as never appended.
const ERASURE_TIMEOUT: Duration = Duration::from_mins(10);

/// The interval between searches for unfinished erasures and expired tokens.
const MAINTENANCE_INTERVAL: Duration = Duration::from_mins(1);

/// Events of a user that are read at a time.
const PAGE: u32 = 100;

/// The people service: keys, credentials and sessions of the people in all workspaces.
#[derive(Debug)]
pub struct People {
    /// Seals and opens personal texts.
    pub seals: Seals,
    store: Arc<dyn PeopleStore>,
    events: Arc<dyn EventStore>,
    email_hasher: EmailHasher,
    digest_key: DigestKey,
    passwords: Passwords,
    statuses: SessionStatusCache,
    reset_turns: ResetTurns,
    clock: SharedClock,
}

/// Why a person cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// The people store failed.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// The event store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The account of a person, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAccount {
    /// Its person.
    pub of: PersonId,
    /// The person's display name.
    pub display_name: String,
    /// The person's role in the workspace.
    pub role: Role,
    /// The language of the account.
    pub language: Language,
    /// The command that registered the person; the password is stored under it.
    command: Uuid,
}

/// A record of the security log about a person.
fn about(event: SecurityEvent, of: PersonId) -> SecurityRecord {
    SecurityRecord::new(event).person(of.workspace.0, of.person)
}

/// Opens the people store at a URL.
pub async fn open_store(url: &StoreUrl) -> Result<Arc<dyn PeopleStore>, PeopleError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqlitePeople::open(url.file()).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresPeople::open(url.expose(), url.connections()).await?),
    })
}

impl People {
    /// A people service on a store, with the email key in a folder.
    pub fn new(
        store: Arc<dyn PeopleStore>,
        events: Arc<dyn EventStore>,
        keys_folder: &Path,
        hash_cost: HashCost,
        clock: SharedClock,
    ) -> Result<Self, PeopleError> {
        let email_hasher = EmailHasher::open(keys_folder)?;
        Ok(Self {
            seals: Seals::new(Arc::clone(&store)),
            statuses: SessionStatusCache::new(store.is_shared()),
            store,
            events,
            digest_key: email_hasher.digest_key()?,
            email_hasher,
            passwords: Passwords::new(hash_cost),
            reset_turns: ResetTurns::new(),
            clock,
        })
    }

    /// The people store.
    pub fn store(&self) -> &Arc<dyn PeopleStore> {
        &self.store
    }

    /// The key of the digests of commands.
    pub const fn digest_key(&self) -> &DigestKey {
        &self.digest_key
    }

    /// The stream of an email's reservation; the email may be sealed. `None`: its key is destroyed or absent,
    /// so the stream cannot be found.
    pub async fn reservation(
        &self,
        workspace: WorkspaceId,
        email: &str,
    ) -> Result<Option<StreamName>, PeopleError> {
        let email = self.seals.opened(workspace, email).await?;
        email
            .map(|email| self.email_hasher.stream(workspace, &email))
            .transpose()
    }

    /// The streams of reservations that earlier versions may have made of the same mailbox; no new
    /// reservation goes to them. Empty if the email's key is destroyed or absent.
    pub async fn former_reservations(
        &self,
        workspace: WorkspaceId,
        email: &str,
    ) -> Result<Vec<StreamName>, PeopleError> {
        let Some(email) = self.seals.opened(workspace, email).await? else {
            return Ok(Vec::new());
        };
        let normal = self.email_hasher.stream(workspace, &email)?;
        let mut streams = self.email_hasher.streams(workspace, &email)?;
        streams.retain(|stream| *stream != normal);
        Ok(streams)
    }

    /// Before a registration is appended: hashes its password and stores it under the command, with the
    /// session of the token by which a person registers themselves. Both are valid only if the log has the
    /// registration.
    pub async fn registering(
        &self,
        of: PersonId,
        command: Uuid,
        email: &str,
        password: Option<&Password>,
        own: Option<&PresentedToken>,
    ) -> Result<(), PeopleError> {
        let Some(password) = password else { return Ok(()) };
        let hash = self.hash_for(email, password).await?;
        self.store.keep_credentials(of, command, &hash).await?;
        if let Some(token) = own {
            // A program has no cookies: it never gets a refresh token.
            let given = (!token.is_browser).then(|| self.clock.now());
            self.store
                .keep_registering(of, command, token.session, token.until, given)
                .await?;
        }
        self.changing_email(of, email).await
    }

    /// After a registration: tokens of the person without a session are refused from here on. `login` is the
    /// email, if the person may sign in.
    pub async fn registered(&self, of: PersonId, login: Option<&str>) {
        // Once more: a look-up between the first time and the append has removed it as one of no account.
        if let Some(email) = login
            && let Err(error) = self.changing_email(of, email).await
        {
            tracing::warn!(%error, "the login of a new account may have been removed");
        }
        if let Err(error) = self.forget_refused_credentials(of).await {
            tracing::warn!(%error, "the credentials of refused registrations were not deleted");
        }
        self.sessions_changed(of).await;
        if login.is_some() {
            about(SecurityEvent::Registered, of).write();
        }
    }

    /// Deletes what refused registrations of a registered person have left.
    async fn forget_refused_credentials(&self, of: PersonId) -> Result<(), LookUpError> {
        if let Some(account) = self.account(of).await? {
            self.store.forget_other_credentials(of, account.command).await?;
        }
        Ok(())
    }

    /// Whether a password is that of a person's account; `None`: the person has no account.
    pub async fn is_password_of(
        &self,
        of: PersonId,
        password: &Password,
    ) -> Result<Option<bool>, LookUpError> {
        let Some(account) = self.account(of).await? else {
            return Ok(None);
        };
        let hash = self.store.credentials(of, account.command).await?;
        let is_right = self.passwords.verify(password, hash.as_deref()).await?;
        if !is_right {
            about(SecurityEvent::PasswordRefused, of).write();
        }
        Ok(Some(is_right))
    }

    /// Why a person cannot have a new password; `None`: they can. The person's own email and name are among
    /// the first guesses.
    pub(crate) async fn password_fault(
        &self,
        of: PersonId,
        password: &Password,
    ) -> Result<Option<PasswordFault>, LookUpError> {
        let (state, _) = self.user(of).await?;
        let mut personal = Vec::new();
        for text in state
            .account
            .iter()
            .flat_map(|account| [&account.email, &account.display_name])
        {
            personal.extend(self.seals.opened(of.workspace, text).await?);
        }
        let personal: Vec<&str> = personal.iter().map(String::as_str).collect();
        Ok(password.fault(&personal))
    }

    /// After a refused registration: removes its credentials, if no other attempt can have the id of its
    /// command: they would be that attempt's too, which may be stored. `login` is the email, if they were
    /// written.
    pub async fn not_registered(&self, of: PersonId, own_command: Option<Uuid>, login: Option<&str>) {
        if let Some(command) = own_command
            && let Err(error) = self.store.forget_credentials(of, command).await
        {
            tracing::warn!(%error, "the invalid credentials of a refused registration were not deleted");
        }
        if let Some(email) = login {
            self.release_login(of, email).await;
        }
    }

    /// Before a new email is appended: stores its login.
    pub async fn changing_email(&self, of: PersonId, email: &str) -> Result<(), PeopleError> {
        self.store.keep_login(&self.email_hasher.login(email)?, of).await
    }

    /// After a change of the email: removes the logins by other emails, and gives the password's hash the
    /// salt of the new one. If a crash prevents that, the next sign-in that names the workspace does it.
    pub async fn email_changed(&self, of: PersonId, email: &str, password: Option<&Password>) {
        let changed = async {
            if !self.holds(of, email).await? {
                return Ok(());
            }
            self.changing_email(of, email).await?;
            self.store
                .forget_other_logins(&self.email_hasher.login(email)?, of)
                .await?;
            if let (Some(account), Some(password)) = (self.account(of).await?, password)
                && let Some(hash) = self.store.credentials(of, account.command).await?
                && self.passwords.verify(password, Some(&hash)).await?
            {
                self.salt_with(email, &account, password, &hash).await;
            }
            Ok::<_, LookUpError>(())
        };
        if let Err(error) = changed.await {
            tracing::warn!(%error, "the credentials of an account do not follow its new email yet");
        }
        about(SecurityEvent::EmailChanged, of).write();
    }

    /// Before an erasure is appended: notes it, so that the next start completes it before the first request.
    /// The note of an erasure that was refused goes after a while, since it may be that of another attempt.
    pub async fn erasing(&self, of: PersonId) -> Result<(), PeopleError> {
        self.store.note_erasure(of, self.clock.now()).await
    }

    /// The effect of a stored erasure: destroys the person's key and credentials. Called again, it does what
    /// is left.
    pub async fn erased(&self, of: PersonId) -> Result<(), PeopleError> {
        self.seals.forget(of).await;
        let erased = self.store.erase(of, self.clock.now()).await;
        // another task may have cached the key in between
        self.seals.forget(of).await;
        if !matches!(erased, Ok(false)) {
            // also after a failure: the log has the erasure, and with it no session of the person is valid
            self.sessions_changed(of).await;
        }
        if erased? {
            metrics::counter!("foldline_people_erased_total").increment(1);
            about(SecurityEvent::PersonErased, of).write();
        }
        Ok(())
    }

    /// Whether the key of a person was destroyed, as the store has it.
    pub async fn is_key_destroyed(&self, of: PersonId) -> Result<bool, PeopleError> {
        Ok(matches!(self.store.key(of).await?, Some(StoredKey::Destroyed)))
    }

    /// The account of a person; `None`: there is none, or it was erased.
    pub async fn account(&self, of: PersonId) -> Result<Option<UserAccount>, LookUpError> {
        let (state, command) = self.user(of).await?;
        let (Some(account), Some(command), false) = (state.account, command, state.erased) else {
            return Ok(None);
        };
        let display_name = self.seals.opened(of.workspace, &account.display_name).await?;
        Ok(Some(UserAccount {
            of,
            display_name: display_name.unwrap_or_else(|| ERASED.to_owned()),
            role: account.role,
            language: account.language,
            command,
        }))
    }

    /// Whether a person was erased.
    async fn is_erased(&self, of: PersonId) -> Result<bool, LookUpError> {
        Ok(self.user(of).await?.0.erased)
    }

    /// A user's state, and the command id of the first event.
    async fn user(&self, of: PersonId) -> Result<(UserState, Option<Uuid>), LookUpError> {
        let (state, command, _) = self.user_at_version(of).await?;
        Ok((state, command))
    }

    /// The same with the version of the user's stream.
    async fn user_at_version(&self, of: PersonId) -> Result<(UserState, Option<Uuid>, u64), LookUpError> {
        let stream = StreamName::new(User::CATEGORY, of.person)
            .map_err(|error| PeopleError::Corrupt(error.to_string()))?;
        let (mut state, mut command, mut version) = (UserState::default(), None, 0);
        loop {
            let page = self
                .events
                .read_stream(of.workspace, &stream, version + 1, Direction::Forwards, PAGE)
                .await?;
            for event in &page {
                let decoded = DomainEvent::decode(&event.event_type, event.schema_version, &event.payload)
                    .map_err(|error| StoreError::Corrupt(error.to_string()))?;
                if let Some(change) = UserEvent::from_domain(&decoded) {
                    state = User::evolve(state, change);
                }
                command.get_or_insert(event.metadata.command_id);
                version = event.version;
            }
            if page.len() < PAGE as usize {
                return Ok((state, command, version));
            }
        }
    }

    /// Completes erasures that a crash has interrupted, and deletes expired tokens.
    pub async fn maintain(&self) -> Result<(), LookUpError> {
        let now = self.clock.now();
        for (of, noted_at) in self.store.erasures().await? {
            let age = Duration::from_millis(now.millis_since(noted_at));
            if self.is_erased(of).await? {
                self.erased(of).await?;
            } else if age > ERASURE_TIMEOUT && self.events.workspace(of.workspace).await?.is_some() {
                self.store.forget_erasure(of).await?;
            }
        }
        self.store.forget_ended(now).await?;
        Ok(())
    }

    /// Runs the maintenance, and receives the session changes of other servers, until it is stopped.
    pub async fn run(self: Arc<Self>, stopping: CancellationToken) {
        let listening = stopping.run_until_cancelled(self.receive_changes());
        tokio::join!(self.maintain_periodically(&stopping), listening);
    }

    async fn maintain_periodically(&self, stopping: &CancellationToken) {
        loop {
            let pause = tokio::time::sleep(MAINTENANCE_INTERVAL);
            if stopping.run_until_cancelled(pause).await.is_none() {
                return;
            }
            if let Err(error) = self.maintain().await {
                tracing::warn!(%error, "erasures and expired tokens could not be maintained");
            }
        }
    }

    /// Removes a workspace that has ended from memory.
    pub fn end(&self, workspace: WorkspaceId) {
        self.seals.end(workspace);
        self.statuses.end(workspace);
    }
}
