//! The data of people that must not be in the log: the keys of their personal data, and their credentials and
//! sessions.
//!
//! | module | what it does |
//! |---|---|
//! | [`seals`] | seals personal data before it is stored, and opens it where it is shown |
//! | [`email_hasher`] | keyed hashes that replace emails |
//! | [`passwords`] | Argon2id |
//! | [`sessions`] | sign-in, and the tokens that renew a session |
//! | [`session_status`] | whether a token is still valid, from its person's account and sessions |
//! | [`store`], `sql`, `sqlite`, `postgres` | rows in SQLite or PostgreSQL, apart from the events |
//!
//! The command service writes the data that accompanies a user's commands ([`People::registering`] and its
//! siblings); the query API and the email service open texts through [`Seals`]. The log alone defines an
//! account.

pub mod email_hasher;
pub mod passwords;
mod postgres;
pub mod seals;
pub mod session_status;
pub mod sessions;
mod sql;
mod sqlite;
pub mod store;

use std::{path::Path, sync::Arc, time::Duration};

use domain::{
    access::Role,
    aggregate::user::{Password, User, UserEvent, UserState},
    decider::Decider as _,
    event::{DomainEvent, EventPayload as _, personal::ERASED},
    id::{StreamName, WorkspaceId},
    language::Language,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use clock::SharedClock;
use database::url::StoreUrl;
use email_hasher::EmailHasher;
use event_store::{Direction, EventStore, StoreError};
use passwords::{HashCost, Passwords};
pub use postgres::PostgresPeople;
pub use seals::Seals;
use session_status::{PresentedToken, SessionStatusCache};
pub use sqlite::SqlitePeople;
pub use store::{PeopleError, PeopleStore, PersonId};

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
    passwords: Passwords,
    statuses: SessionStatusCache,
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
        Ok(Self {
            seals: Seals::new(Arc::clone(&store)),
            statuses: SessionStatusCache::new(store.is_shared()),
            store,
            events,
            email_hasher: EmailHasher::open(keys_folder)?,
            passwords: Passwords::new(hash_cost),
            clock,
        })
    }

    /// The people store.
    pub fn store(&self) -> &Arc<dyn PeopleStore> {
        &self.store
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
        let hash = self.passwords.hash(password).await?;
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

    /// After a registration: tokens of the person without a session are refused from here on.
    pub async fn registered(&self, of: PersonId) {
        self.sessions_changed(of).await;
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
        Ok(Some(self.passwords.verify(password, hash.as_deref()).await?))
    }

    /// After a refused registration: removes its credentials.
    pub async fn not_registered(&self, of: PersonId, command: Uuid) {
        if let Err(error) = self.store.forget_credentials(of, command).await {
            tracing::warn!(%error, "the invalid credentials of a refused registration were not deleted");
        }
    }

    /// Before a new email is appended: stores its login.
    pub async fn changing_email(&self, of: PersonId, email: &str) -> Result<(), PeopleError> {
        self.store.keep_login(&self.email_hasher.login(email)?, of).await
    }

    /// Before an erasure is appended: notes it, so that it is completed also after a crash.
    pub async fn erasing(&self, of: PersonId) -> Result<(), PeopleError> {
        self.store.note_erasure(of, self.clock.now()).await
    }

    /// After a refused erasure: removes its note.
    pub async fn not_erased(&self, of: PersonId) {
        if let Err(error) = self.store.forget_erasure(of).await {
            tracing::warn!(%error, "the note of a refused erasure was not deleted");
        }
    }

    /// After an erasure: destroys the person's key and credentials.
    pub async fn erased(&self, of: PersonId) -> Result<(), PeopleError> {
        self.seals.forget(of).await;
        self.store.erase(of, self.clock.now()).await?;
        // another task may have cached the key in between
        self.seals.forget(of).await;
        self.sessions_changed(of).await;
        metrics::counter!("foldline_people_erased_total").increment(1);
        tracing::info!(workspace = %of.workspace, "a person was erased");
        Ok(())
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
                return Ok((state, command));
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
