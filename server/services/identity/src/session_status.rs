//! The status of a token's session: whether its person has an account, and whether the session has ended.
//!
//! While a guest has no account, every token of theirs is valid. With an account, a token is valid as part of
//! a session that has not ended: one that began with a sign-in, or that of the token that registered the
//! person, under the token's own id.
//!
//! The status is cached, so that a request costs no query. A change is broadcast to the sockets of this
//! server and, where servers share a database, to the other servers; a server that misses it uses its cache
//! for [`SHARED_STATUS_TTL`] at most. A refusal always relies on a status that was just read.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use domain::{
    aggregate::user::User,
    decider::Decider as _,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};
use moka::future::Cache;
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use super::{LookUpError, People, PeopleError, PersonId};
use event_store::Direction;

/// The event that ends an account.
const USER_ERASED: &str = "UserErased";

/// How long a cached status is used where other servers may end the session.
pub const SHARED_STATUS_TTL: Duration = Duration::from_secs(2);

/// How long a caller may use an acceptance again without asking, while [`People::changes`] stays the same.
pub const ACCEPTANCE_TTL: Duration = Duration::from_millis(100);

/// The most cached tokens.
const TOKENS: u64 = 50_000;

/// How many changes a socket may lag behind before it has to read its status again.
const CHANGE_CAPACITY: usize = 64;

/// How long after a lost connection that listens the next one is tried.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// The fields of a request's token that its session status depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedToken {
    /// The session of the sign-in that issued the token, or else the token's own id.
    pub session: Uuid,
    /// Whether a sign-in issued it.
    pub is_sign_in: bool,
    /// Whether a browser sent it in its cookie: then the session that it becomes with a registration can be
    /// renewed.
    pub is_browser: bool,
    /// When the token expires.
    pub until: Timestamp,
}

/// The status of a token's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// Its person has no account.
    Guest,
    /// Its session has not ended.
    Active,
    /// Its session has ended, or its person has an account and the token has no session.
    Ended,
}

/// A change of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionChange {
    /// Sessions of this person have begun or ended.
    Of(PersonId),
    /// Any sessions may have changed: notifications may have been missed.
    Unknown,
}

/// The status of a person's account in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AccountStatus {
    Absent,
    Open,
    Erased,
}

/// The cached status of a token; a refusal is not cached.
#[derive(Debug, Clone, Copy)]
enum CachedStatus {
    Guest,
    Active { until: Timestamp },
}

/// The cache of session statuses, and the channel of their changes.
#[derive(Debug)]
pub(super) struct SessionStatusCache {
    cache: Cache<(PersonId, Uuid), CachedStatus>,
    /// The number of changes so far: a status that was read before a change is not cached after it.
    count: AtomicU64,
    changes: broadcast::Sender<SessionChange>,
}

impl SessionStatusCache {
    pub(super) fn new(is_shared: bool) -> Self {
        let mut cache = Cache::builder()
            .max_capacity(TOKENS)
            .support_invalidation_closures();
        if is_shared {
            // Both together: the caller's acceptance may begin when the cached status ends.
            cache = cache.time_to_live(SHARED_STATUS_TTL.saturating_sub(ACCEPTANCE_TTL));
        }
        Self {
            cache: cache.build(),
            count: AtomicU64::new(0),
            changes: broadcast::Sender::new(CHANGE_CAPACITY),
        }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Caches a status that was read after `count` changes.
    async fn insert(&self, key: (PersonId, Uuid), status: CachedStatus, count: u64) {
        if self.count() == count {
            self.cache.insert(key, status).await;
        }
        // A change in between has invalidated the key before it was inserted.
        if self.count() != count {
            self.cache.invalidate(&key).await;
        }
    }

    fn change(&self, change: SessionChange) {
        self.count.fetch_add(1, Ordering::SeqCst);
        match change {
            SessionChange::Of(person) => self.invalidate(move |of| of == person),
            SessionChange::Unknown => self.cache.invalidate_all(),
        }
        // Once more: a status that was read between the first count and the invalidation may be an old one.
        self.count.fetch_add(1, Ordering::SeqCst);
        // It fails if no socket is open.
        let _ = self.changes.send(change);
    }

    pub(super) fn end(&self, workspace: WorkspaceId) {
        self.invalidate(move |of| of.workspace == workspace);
    }

    fn invalidate(&self, is_about: impl Fn(PersonId) -> bool + Send + Sync + 'static) {
        // Only a cache that was built without support for closures refuses one.
        if let Err(error) = self.cache.invalidate_entries_if(move |(of, _), _| is_about(*of)) {
            tracing::error!(%error, "all cached session statuses are invalidated instead of some");
            self.cache.invalidate_all();
        }
    }
}

impl People {
    /// The status of the session of a person's token.
    pub async fn session_status(
        &self,
        of: PersonId,
        token: &PresentedToken,
    ) -> Result<SessionStatus, LookUpError> {
        let now = self.clock.now();
        let key = (of, token.session);
        match self.statuses.cache.get(&key).await {
            Some(CachedStatus::Guest) if !token.is_sign_in => return Ok(SessionStatus::Guest),
            Some(CachedStatus::Active { until }) if until > now => return Ok(SessionStatus::Active),
            _ => {}
        }
        let count = self.statuses.count();
        // In this order: the session of a token that registers is stored before the account exists.
        match self.account_status(of).await? {
            AccountStatus::Absent if !token.is_sign_in => {
                self.statuses.insert(key, CachedStatus::Guest, count).await;
                return Ok(SessionStatus::Guest);
            }
            // The log decides: the sessions may not be deleted yet.
            AccountStatus::Erased => return Ok(SessionStatus::Ended),
            AccountStatus::Absent | AccountStatus::Open => {}
        }
        let Some(until) = self.store.open_until(token.session, now).await? else {
            return Ok(SessionStatus::Ended);
        };
        self.statuses
            .insert(key, CachedStatus::Active { until }, count)
            .await;
        Ok(SessionStatus::Active)
    }

    /// The number of changes of sessions so far; an erasure is one as well. A token that was accepted is
    /// still accepted while this stays the same, for [`ACCEPTANCE_TTL`], if the number was read before the
    /// token was looked up.
    pub fn changes(&self) -> u64 {
        self.statuses.count()
    }

    /// Subscribes to the changes of sessions.
    pub fn session_changes(&self) -> broadcast::Receiver<SessionChange> {
        self.statuses.changes.subscribe()
    }

    /// After a change of a person's sessions: invalidates their cached statuses, and notifies every server.
    pub(super) async fn sessions_changed(&self, of: PersonId) {
        self.statuses.change(SessionChange::Of(of));
        if let Err(error) = self.store.notify(of).await {
            tracing::warn!(%error, "other servers were not notified of a session's change");
        }
    }

    /// The status of a person's account: its registration begins their stream, and an erasure ends it.
    async fn account_status(&self, of: PersonId) -> Result<AccountStatus, LookUpError> {
        let stream = StreamName::new(User::CATEGORY, of.person)
            .map_err(|error| PeopleError::Corrupt(error.to_string()))?;
        let newest = self
            .events
            .read_stream(of.workspace, &stream, u64::MAX, Direction::Backwards, 1)
            .await?;
        Ok(match newest.first() {
            None => AccountStatus::Absent,
            Some(event) if event.event_type == USER_ERASED => AccountStatus::Erased,
            Some(_) => AccountStatus::Open,
        })
    }

    /// Receives the session changes of other servers, without an end.
    pub(super) async fn receive_changes(&self) {
        let (sender, mut changes) = mpsc::channel(CHANGE_CAPACITY);
        let listen = async {
            loop {
                if let Err(error) = self.store.listen(&sender).await {
                    tracing::warn!(%error, "the session changes of other servers cannot be received");
                }
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        };
        let apply = async {
            while let Some(change) = changes.recv().await {
                if let SessionChange::Of(person) = change {
                    // The person may have been erased.
                    self.seals.forget(person).await;
                }
                self.statuses.change(change);
            }
        };
        tokio::join!(listen, apply);
    }
}
