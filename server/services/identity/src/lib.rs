//! What is known of people and must not be in the log: keys that open what is personal in it, and how they sign in.
//!
//! | module | what it does |
//! |---|---|
//! | [`seals`] | seals what is personal before it is stored, opens it where it is shown |
//! | [`addresses`] | what stands for an email where the email must not be |
//! | [`passwords`] | Argon2id |
//! | [`sessions`] | sign-in, and tokens that renew a session |
//! | [`standing`] | whether a token is let in: an account has sessions, and they end |
//! | [`store`], `sql` | rows in SQLite or PostgreSQL, apart from the events |
//!
//! The command service asks for what goes along with a user's commands ([`People::registering`] and its siblings), the query
//! API and whoever sends mails ask [`Seals`] to open texts. What an account is, is the log's to say.

pub mod addresses;
pub mod passwords;
pub mod seals;
pub mod sessions;
mod sql;
pub mod standing;
pub mod store;

use std::{path::Path, sync::Arc, time::Duration};

use domain::{
    access::Role,
    aggregate::user::{Password, User, UserEvent, UserState},
    decider::Decider as _,
    event::{DomainEvent, EventPayload as _, personal::ERASED},
    id::{StreamName, WorkspaceId},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use addresses::Addresses;
use clock::SharedClock;
use database::url::StoreUrl;
use event_store::{Direction, EventStore, StoreError};
use passwords::{HashCost, Passwords};
pub use seals::Seals;
pub use sql::{PostgresPeople, SqlitePeople};
use standing::{Presented, Standings};
pub use store::{PeopleError, PeopleStore, PersonId};

/// How long an erasure may be on its way before a server that finds it believes that it was never appended.
const ON_ITS_WAY: Duration = Duration::from_mins(10);

/// How often unfinished erasures and ended tokens are looked for.
const LOOK_AFTER: Duration = Duration::from_mins(1);

/// Events of a user that are read at a time.
const PAGE: u32 = 100;

/// See the module.
#[derive(Debug)]
pub struct People {
    /// Seals and opens.
    pub seals: Seals,
    store: Arc<dyn PeopleStore>,
    events: Arc<dyn EventStore>,
    addresses: Addresses,
    passwords: Passwords,
    standings: Standings,
    clock: SharedClock,
}

/// Why somebody cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// What is kept of people.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// The event store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account as the log has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Whose.
    pub of: PersonId,
    /// What they go by.
    pub display_name: String,
    /// What they are in the workspace.
    pub role: Role,
    /// The command that registered them, under which their password is kept.
    command: Uuid,
}

/// Opens what is kept of people at a URL.
pub async fn open_store(url: &StoreUrl) -> Result<Arc<dyn PeopleStore>, PeopleError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(SqlitePeople::open(url.file()).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresPeople::open(url.expose()).await?),
    })
}

impl People {
    /// With the rows of a store, and the key of a folder.
    pub fn new(
        store: Arc<dyn PeopleStore>,
        events: Arc<dyn EventStore>,
        keys_folder: &Path,
        hash_cost: HashCost,
        clock: SharedClock,
    ) -> Result<Self, PeopleError> {
        Ok(Self {
            seals: Seals::new(Arc::clone(&store)),
            standings: Standings::new(store.is_shared()),
            store,
            events,
            addresses: Addresses::open(keys_folder)?,
            passwords: Passwords::new(hash_cost),
            clock,
        })
    }

    /// The rows.
    pub fn store(&self) -> &Arc<dyn PeopleStore> {
        &self.store
    }

    /// The stream of an email's reservation; the email may be sealed. `None`: its key is gone, or was never here, and so
    /// nobody can tell which stream it was.
    pub async fn reservation(
        &self,
        workspace: WorkspaceId,
        email: &str,
    ) -> Result<Option<StreamName>, PeopleError> {
        let email = self.seals.opened(workspace, email).await?;
        email
            .map(|email| self.addresses.stream(workspace, &email))
            .transpose()
    }

    /// Before a registration is appended: its password is hashed and kept under its command, and so is the session of the
    /// token by which a person registers themself. Whether they count, the log says.
    pub async fn registering(
        &self,
        of: PersonId,
        command: Uuid,
        email: &str,
        password: Option<&Password>,
        own: Option<&Presented>,
    ) -> Result<(), PeopleError> {
        let Some(password) = password else { return Ok(()) };
        let hash = self.passwords.hash(password).await?;
        self.store.keep_credentials(of, command, &hash).await?;
        if let Some(token) = own {
            // A program has no cookies: what would renew its session is never given.
            let given = (!token.is_browser).then(|| self.clock.now());
            self.store
                .keep_registering(of, command, token.session, token.until, given)
                .await?;
        }
        self.changing_email(of, email).await
    }

    /// A registration is stored: from here on tokens of the person without a session are refused.
    pub async fn registered(&self, of: PersonId) {
        self.sessions_changed(of).await;
    }

    /// Whether a password is the one of a person's account; `None`: they have no account.
    pub async fn is_password_of(
        &self,
        of: PersonId,
        password: &Password,
    ) -> Result<Option<bool>, LookUpError> {
        let Some(account) = self.account(of).await? else {
            return Ok(None);
        };
        let hash = self.store.credentials(of, account.command).await?;
        Ok(Some(self.passwords.fits(password, hash.as_deref()).await?))
    }

    /// A registration was refused.
    pub async fn not_registered(&self, of: PersonId, command: Uuid) {
        if let Err(error) = self.store.forget_credentials(of, command).await {
            tracing::warn!(%error, "what was kept for a refused registration stays; it opens nothing");
        }
    }

    /// Before another email is appended: it can be signed in with.
    pub async fn changing_email(&self, of: PersonId, email: &str) -> Result<(), PeopleError> {
        self.store.keep_login(&self.addresses.login(email)?, of).await
    }

    /// Before an erasure is appended: it is noted, so that it is finished whatever happens in between.
    pub async fn erasing(&self, of: PersonId) -> Result<(), PeopleError> {
        self.store.note_erasure(of, self.clock.now()).await
    }

    /// An erasure was refused.
    pub async fn not_erased(&self, of: PersonId) {
        if let Err(error) = self.store.forget_erasure(of).await {
            tracing::warn!(%error, "the note of a refused erasure stays; nothing follows from it");
        }
    }

    /// An erasure is stored: the person's key and everything by which they sign in is destroyed.
    pub async fn erased(&self, of: PersonId) -> Result<(), PeopleError> {
        self.seals.forget(of).await;
        self.store.erase(of, self.clock.now()).await?;
        // somebody may have looked it up in between
        self.seals.forget(of).await;
        self.sessions_changed(of).await;
        metrics::counter!("foldline_people_erased_total").increment(1);
        tracing::info!(workspace = %of.workspace, "a person was erased");
        Ok(())
    }

    /// The account of a person; none where there is none, or none any more.
    pub async fn account(&self, of: PersonId) -> Result<Option<Registered>, LookUpError> {
        let (state, command) = self.user(of).await?;
        let (Some(account), Some(command), false) = (state.account, command, state.erased) else {
            return Ok(None);
        };
        let display_name = self.seals.opened(of.workspace, &account.display_name).await?;
        Ok(Some(Registered {
            of,
            display_name: display_name.unwrap_or_else(|| ERASED.to_owned()),
            role: account.role,
            command,
        }))
    }

    /// Whether a person was erased.
    async fn is_erased(&self, of: PersonId) -> Result<bool, LookUpError> {
        Ok(self.user(of).await?.0.erased)
    }

    /// A user's state, and the command of their first event.
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

    /// Finishes erasures that a crash has interrupted, and forgets what has ended.
    pub async fn look_after(&self) -> Result<(), LookUpError> {
        let now = self.clock.now();
        for (of, noted_at) in self.store.erasures().await? {
            let age = Duration::from_millis(now.millis_since(noted_at));
            if self.is_erased(of).await? {
                self.erased(of).await?;
            } else if age > ON_ITS_WAY && self.events.workspace(of.workspace).await?.is_some() {
                self.store.forget_erasure(of).await?;
            }
        }
        self.store.forget_ended(now).await?;
        Ok(())
    }

    /// Looks after people, and hears what other servers do to their sessions, until it is stopped.
    pub async fn run(self: Arc<Self>, stopping: CancellationToken) {
        let hearing = stopping.run_until_cancelled(self.hear_others());
        tokio::join!(self.look_after_always(&stopping), hearing);
    }

    async fn look_after_always(&self, stopping: &CancellationToken) {
        loop {
            let pause = tokio::time::sleep(LOOK_AFTER);
            if stopping.run_until_cancelled(pause).await.is_none() {
                return;
            }
            if let Err(error) = self.look_after().await {
                tracing::warn!(%error, "erasures that may be unfinished could not be looked after");
            }
        }
    }

    /// A workspace is there no more: nothing of it stays in memory.
    pub fn end(&self, workspace: WorkspaceId) {
        self.seals.end(workspace);
        self.standings.end(workspace);
    }
}
