//! Presence: whether a workspace exists, and the record of its activity.
//!
//! It is checked with every request and periodically by every socket, so it costs one look-up in memory. The
//! event store is read again after a few seconds, because another server may have purged the workspace. The
//! activity is written at most once in an [interval](Presence::activity_interval).
//!
//! A workspace that was reset has ended too, and another one has its place: the people of the old one are led
//! there.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use clock::SharedClock;
use domain::{id::WorkspaceId, timestamp::Timestamp};
use event_store::{EventStore, StoreError};
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

/// How long a cached presence is used.
const CACHE_TTL: Duration = Duration::from_secs(5);

/// The longest interval between two writes of a workspace's activity.
const MAX_ACTIVITY_INTERVAL: Duration = Duration::from_hours(1);

/// How long the people of a workspace that was reset may take to follow with a session of an account: for
/// that time its sessions are kept. It is as long as an access token of a session is valid.
const FOLLOWING_TIME: Duration = Duration::from_mins(15);

/// The most resets that one look-up of a successor follows, one after the other.
const MOST_MOVES: usize = 64;

/// How many intervals the allowed idle time has, at least.
const INTERVALS_PER_IDLE_TIME: u32 = 16;

/// The cached presence of one workspace.
#[derive(Debug, Default)]
struct CachedPresence {
    ended: CancellationToken,
    /// In microseconds since 1970: when the cached presence expires.
    valid_until: AtomicI64,
    /// The last activity that was written.
    noted: Mutex<Option<Timestamp>>,
    /// Of a workspace that has ended, once it was looked up: the one that has its place; `None`: there is
    /// none.
    successor: OnceCell<Option<WorkspaceId>>,
}

/// Checks the presence of workspaces, and records their activity.
#[derive(Debug)]
pub struct Presence {
    store: Arc<dyn EventStore>,
    clock: SharedClock,
    idle: Option<Duration>,
    cache: RwLock<HashMap<WorkspaceId, Arc<CachedPresence>>>,
}

impl Presence {
    /// The presence of a store's workspaces, which expire after `idle` without activity.
    pub fn new(store: Arc<dyn EventStore>, clock: SharedClock, idle: Option<Duration>) -> Self {
        Self {
            store,
            clock,
            idle,
            cache: RwLock::default(),
        }
    }

    /// The interval in which activity is written once: the stored time may lag by this interval.
    pub fn activity_interval(&self) -> Duration {
        self.idle.map_or(MAX_ACTIVITY_INTERVAL, |idle| {
            MAX_ACTIVITY_INTERVAL.min(idle / INTERVALS_PER_IDLE_TIME)
        })
    }

    /// When a workspace expires without activity after now; `None`: never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.idle.map(|idle| shifted(self.clock.now(), idle, 1))
    }

    /// Workspaces without activity since this time have expired; never early, and up to an interval late.
    pub fn expired_since(&self) -> Option<Timestamp> {
        self.idle
            .map(|idle| shifted(self.clock.now(), idle + self.activity_interval(), -1))
    }

    /// Records activity in a workspace, and returns whether it exists. If the store does not answer, the
    /// caller is not refused: the request itself will fail.
    pub async fn is_there(&self, workspace: WorkspaceId) -> bool {
        let cached = self.cached(workspace);
        if cached.ended.is_cancelled() {
            return false;
        }
        let now = self.clock.now();
        if now.as_micros() < cached.valid_until.load(Ordering::Acquire) {
            return true;
        }
        // one task reads the store; the others wait for its result
        let mut noted = cached.noted.lock().await;
        if cached.ended.is_cancelled() || now.as_micros() < cached.valid_until.load(Ordering::Acquire) {
            return !cached.ended.is_cancelled();
        }
        match self.read(workspace, &mut noted, now).await {
            Ok(true) => {}
            Ok(false) => cached.ended.cancel(),
            Err(error) => {
                tracing::warn!(%workspace, %error, "the existence of a workspace could not be looked up");
            }
        }
        let until = shifted(now, CACHE_TTL, 1);
        cached.valid_until.store(until.as_micros(), Ordering::Release);
        !cached.ended.is_cancelled()
    }

    /// A token that is cancelled when the workspace ends, for long-lived connections.
    pub fn end_token(&self, workspace: WorkspaceId) -> CancellationToken {
        self.cached(workspace).ended.clone()
    }

    /// The workspace that has the place of one that has ended; `None`: it was purged and not reset, or so was
    /// the one that had its place. Where the store does not answer, there is none for now.
    pub async fn moved_to(&self, workspace: WorkspaceId) -> Option<WorkspaceId> {
        let mut from = workspace;
        for _ in 0..MOST_MOVES {
            let successor = self.successor(from).await?;
            if self.is_there(successor).await {
                return Some(successor);
            }
            from = successor;
        }
        None
    }

    async fn successor(&self, workspace: WorkspaceId) -> Option<WorkspaceId> {
        let cached = self.cached(workspace);
        let look_up = || async {
            let found = self.store.successor(workspace).await?;
            Ok::<_, StoreError>(found.map(|successor| successor.workspace))
        };
        match cached.successor.get_or_try_init(look_up).await {
            Ok(successor) => *successor,
            Err(error) => {
                tracing::warn!(%workspace, %error, "the successor of a workspace could not be looked up");
                None
            }
        }
    }

    /// Whether people of a workspace that was reset may still follow with a session of an account.
    pub async fn is_being_left(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let successor = self.store.successor(workspace).await?;
        let now = self.clock.now();
        Ok(successor.is_some_and(|successor| now < shifted(successor.moved_at, FOLLOWING_TIME, 1)))
    }

    /// Notes which workspace has the place of another one, before that [ends](Self::end).
    pub fn note_move(&self, workspace: WorkspaceId, successor: WorkspaceId) {
        // Set before: by a look-up, which has found the same.
        let _ = self.cached(workspace).successor.set(Some(successor));
    }

    /// Marks a workspace as ended; only this stays cached.
    pub fn end(&self, workspace: WorkspaceId) {
        self.cached(workspace).ended.cancel();
    }

    async fn read(
        &self,
        workspace: WorkspaceId,
        noted: &mut Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let is_fresh = |noted: Timestamp| now < shifted(noted, self.activity_interval(), 1);
        if noted.is_some_and(is_fresh) {
            return Ok(self.store.workspace(workspace).await?.is_some());
        }
        let is_there = self.store.note_activity(workspace, now).await?;
        *noted = Some(now);
        Ok(is_there)
    }

    fn cached(&self, workspace: WorkspaceId) -> Arc<CachedPresence> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = cache.get(&workspace) {
            return cached.clone();
        }
        drop(cache);
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.entry(workspace).or_default().clone()
    }
}

fn shifted(at: Timestamp, by: Duration, sign: i64) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_add(sign.saturating_mul(micros)))
}

#[cfg(test)]
mod tests {
    use domain::wire::Template;

    use super::*;
    use clock::Clock;
    use event_store::{SqliteEventStore, Workspace};

    /// A clock that only a test advances.
    #[derive(Debug)]
    struct ManualClock(AtomicI64);

    impl ManualClock {
        fn pass(&self, time: Duration) {
            let micros = i64::try_from(time.as_micros()).unwrap();
            self.0.fetch_add(micros, Ordering::Relaxed);
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::Relaxed))
        }
    }

    const IDLE: Duration = Duration::from_hours(24 * 7);

    async fn started() -> (tempfile::TempDir, Arc<ManualClock>, Presence, WorkspaceId) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock(AtomicI64::new(1_795_000_000_000_000)));
        let store = SqliteEventStore::open(&folder.path().join("events.db"), clock.clone(), None)
            .await
            .unwrap();
        let workspace = Workspace {
            id: WorkspaceId(clock.new_id()),
            name: "A class".to_owned(),
            template: Template::Empty,
            shards: 1,
            join_code: "ABCDEFG".to_owned(),
            created_at: clock.now(),
        };
        assert!(
            event_store::EventStore::create_workspace(&store, &workspace)
                .await
                .unwrap()
        );
        let presence = Presence::new(Arc::new(store), clock.clone(), Some(IDLE));
        (folder, clock, presence, workspace.id)
    }

    #[tokio::test]
    async fn activity_is_written_once_in_an_interval() {
        let (_folder, clock, presence, workspace) = started().await;
        assert_eq!(presence.activity_interval(), MAX_ACTIVITY_INTERVAL);
        // after the first check, further checks write nothing until the interval is over
        assert!(presence.is_there(workspace).await);
        let noted = clock.now();
        for _ in 0..5 {
            clock.pass(MAX_ACTIVITY_INTERVAL / 6);
            assert!(presence.is_there(workspace).await);
        }
        let since = Timestamp::from_micros(noted.as_micros() + 1);
        assert_eq!(presence.store.idle_since(since, 9).await.unwrap(), [workspace]);
        clock.pass(MAX_ACTIVITY_INTERVAL / 6);
        assert!(presence.is_there(workspace).await);
        assert!(presence.store.idle_since(since, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_workspace_never_expires_early() {
        let (_folder, clock, presence, workspace) = started().await;
        assert!(presence.is_there(workspace).await);
        // the last activity, which is not written
        clock.pass(MAX_ACTIVITY_INTERVAL / 2);
        assert!(presence.is_there(workspace).await);
        let promised = presence.expires_at().unwrap();
        clock.pass(IDLE);
        assert_eq!(clock.now(), promised);
        let since = presence.expired_since().unwrap();
        assert!(presence.store.idle_since(since, 9).await.unwrap().is_empty());
        clock.pass(MAX_ACTIVITY_INTERVAL);
        let since = presence.expired_since().unwrap();
        assert_eq!(presence.store.idle_since(since, 9).await.unwrap(), [workspace]);
        assert!(presence.store.begin_purge(workspace, Some(since)).await.unwrap());
    }

    #[tokio::test]
    async fn the_people_of_a_reset_workspace_are_led_to_the_newest_one() {
        let (_folder, clock, presence, first) = started().await;
        let mut old = presence.store.workspace(first).await.unwrap().unwrap();
        assert_eq!(presence.moved_to(WorkspaceId(clock.new_id())).await, None);
        for code in ["ABCDEFH", "ABCDEFJ"] {
            let new = Workspace {
                id: WorkspaceId(clock.new_id()),
                join_code: code.to_owned(),
                ..old.clone()
            };
            assert!(
                event_store::EventStore::create_workspace(&*presence.store, &new)
                    .await
                    .unwrap()
            );
            assert!(presence.store.replace(&old, new.id).await.unwrap());
            presence.note_move(old.id, new.id);
            presence.end(old.id);
            assert_eq!(presence.moved_to(first).await, Some(new.id));
            assert!(presence.is_being_left(old.id).await.unwrap());
            old = Workspace {
                join_code: old.join_code,
                ..new
            };
        }
        assert!(presence.is_there(old.id).await);
        assert_eq!(old.join_code, "ABCDEFG", "people join by the same code");
        clock.pass(FOLLOWING_TIME);
        assert!(!presence.is_being_left(first).await.unwrap());
    }

    #[tokio::test]
    async fn a_purge_by_another_server_is_noticed() {
        let (_folder, clock, presence, workspace) = started().await;
        assert!(presence.is_there(workspace).await);
        let ended = presence.end_token(workspace);
        assert!(presence.store.begin_purge(workspace, None).await.unwrap());
        clock.pass(CACHE_TTL);
        assert!(!presence.is_there(workspace).await);
        assert!(ended.is_cancelled());
        // and a workspace that this server has never had
        assert!(!presence.is_there(WorkspaceId(clock.new_id())).await);
    }
}
