//! Whether a token is let in: whether its person has an account by now, and whether its session has ended.
//!
//! As long as a guest has no account, each of their tokens is good. Once there is one, a token is good as part of a session
//! that has not ended: one that a sign-in has begun, or that of the very token that registered its person, which goes on
//! under its own id.
//!
//! What was found out is remembered, so that a request costs no query. A change is told to the sockets of this server and,
//! where servers share a database, to the other ones; a server that does not hear of it believes what it knows for
//! [`SHARED_STANDINGS_LIVE`]. A refusal is only ever given on what has just been read.

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

/// How long what is known of a token is believed without another look, where other servers may end its session.
pub const SHARED_STANDINGS_LIVE: Duration = Duration::from_secs(2);

/// Tokens that stay in memory.
const TOKENS: u64 = 50_000;

/// How many changes a socket may be behind before it looks whether one of them was about it.
const CHANGES: usize = 64;

/// How long after a connection that listens was lost the next one is tried.
const DEAF: Duration = Duration::from_secs(1);

/// A token, as far as it matters for its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    /// The session: of the sign-in that the token was made for, or else the token's own id.
    pub session: Uuid,
    /// Whether it was made for a sign-in.
    pub is_sign_in: bool,
    /// Whether a browser sent it in its cookie: the session that it becomes where it registers its person can be renewed.
    pub is_browser: bool,
    /// When the token ends.
    pub until: Timestamp,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its person has no account.
    Guest,
    /// Its session has not ended.
    Session,
    /// Its session has ended, or its person has an account and it has none.
    Over,
}

/// Whose sessions are not any more what they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Of a person.
    Of(PersonId),
    /// It is not known whose: nothing could be heard for a while.
    Unheard,
}

/// What is remembered of a token; that it is refused is not.
#[derive(Debug, Clone, Copy)]
enum Known {
    Guest,
    Session { until: Timestamp },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Standings {
    known: Cache<(PersonId, Uuid), Known>,
    /// How many changes there were: what was read before one is not remembered behind it.
    count: AtomicU64,
    changes: broadcast::Sender<Change>,
}

impl Standings {
    pub(super) fn new(is_shared: bool) -> Self {
        let mut known = Cache::builder()
            .max_capacity(TOKENS)
            .support_invalidation_closures();
        if is_shared {
            known = known.time_to_live(SHARED_STANDINGS_LIVE);
        }
        Self {
            known: known.build(),
            count: AtomicU64::new(0),
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Remembers what was read when there had been so many changes.
    async fn remember(&self, key: (PersonId, Uuid), known: Known, count: u64) {
        if self.count() == count {
            self.known.insert(key, known).await;
        }
        // One that came in between has invalidated what was not there yet.
        if self.count() != count {
            self.known.invalidate(&key).await;
        }
    }

    fn change(&self, change: Change) {
        self.count.fetch_add(1, Ordering::SeqCst);
        match change {
            Change::Of(person) => self.forget(move |of| of == person),
            Change::Unheard => self.known.invalidate_all(),
        }
        // Where no socket is open, none listens.
        let _ = self.changes.send(change);
    }

    pub(super) fn end(&self, workspace: WorkspaceId) {
        self.forget(move |of| of.workspace == workspace);
    }

    fn forget(&self, is_about: impl Fn(PersonId) -> bool + Send + Sync + 'static) {
        // The closure is refused only by a cache that was built without support for it.
        if let Err(error) = self.known.invalidate_entries_if(move |(of, _), _| is_about(*of)) {
            tracing::error!(%error, "what is known of tokens stays until it is pushed out");
            self.known.invalidate_all();
        }
    }
}

impl People {
    /// What a token of a person is good for.
    pub async fn standing(&self, of: PersonId, token: &Presented) -> Result<Standing, LookUpError> {
        let now = self.clock.now();
        let key = (of, token.session);
        match self.standings.known.get(&key).await {
            Some(Known::Guest) if !token.is_sign_in => return Ok(Standing::Guest),
            Some(Known::Session { until }) if until > now => return Ok(Standing::Session),
            _ => {}
        }
        let count = self.standings.count();
        // In this order: the session of a token that registers is kept before there is an account.
        if !token.is_sign_in && !self.has_account(of).await? {
            self.standings.remember(key, Known::Guest, count).await;
            return Ok(Standing::Guest);
        }
        let Some(until) = self.store.open_until(token.session, now).await? else {
            return Ok(Standing::Over);
        };
        self.standings
            .remember(key, Known::Session { until }, count)
            .await;
        Ok(Standing::Session)
    }

    /// Every change of a person's sessions from here on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.standings.changes.subscribe()
    }

    /// A person's sessions have changed: what was known of them is forgotten, and every server is told.
    pub(super) async fn sessions_changed(&self, of: PersonId) {
        self.standings.change(Change::Of(of));
        if let Err(error) = self.store.tell(of).await {
            tracing::warn!(%error, "other servers were not told that a session has ended; they look for themselves soon");
        }
    }

    /// Whether a person has, or had, an account: their stream begins with it.
    async fn has_account(&self, of: PersonId) -> Result<bool, LookUpError> {
        let stream = StreamName::new(User::CATEGORY, of.person)
            .map_err(|error| PeopleError::Corrupt(error.to_string()))?;
        let first = self
            .events
            .read_stream(of.workspace, &stream, 1, Direction::Forwards, 1)
            .await?;
        Ok(!first.is_empty())
    }

    /// Hears what other servers change, for ever.
    pub(super) async fn hear_others(&self) {
        let (heard, mut changes) = mpsc::channel(CHANGES);
        let hear = async {
            loop {
                if let Err(error) = self.store.hear(&heard).await {
                    tracing::warn!(%error, "it cannot be heard which sessions end at other servers");
                }
                tokio::time::sleep(DEAF).await;
            }
        };
        let apply = async {
            while let Some(change) = changes.recv().await {
                if let Change::Of(person) = change {
                    // They may have been erased.
                    self.seals.forget(person).await;
                }
                self.standings.change(change);
            }
        };
        tokio::join!(hear, apply);
    }
}
