//! Presence: is this workspace there, and that somebody is in it.
//!
//! Asked with every request and now and then by every socket, so it costs a look at a table in memory. The event store is
//! asked again after a few seconds, because another server may have purged the workspace, and is told at most once in a
//! [grain](Presence::grain) that somebody was there.

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
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How long what was read is believed.
const BELIEVED: Duration = Duration::from_secs(5);

/// The longest time between two notes that somebody was there.
const LONGEST_GRAIN: Duration = Duration::from_hours(1);

/// How many grains a workspace can be idle for, at least.
const GRAINS: u32 = 16;

/// What is known of one workspace.
#[derive(Debug, Default)]
struct Known {
    gone: CancellationToken,
    /// In microseconds since 1970: until when what is known is believed.
    believed_until: AtomicI64,
    /// When it was last noted that somebody was there.
    noted: Mutex<Option<Timestamp>>,
}

/// See the module.
#[derive(Debug)]
pub struct Presence {
    store: Arc<dyn EventStore>,
    clock: SharedClock,
    idle: Option<Duration>,
    known: RwLock<HashMap<WorkspaceId, Arc<Known>>>,
}

impl Presence {
    /// Of the workspaces of a store, which expire when nobody was in them for `idle`.
    pub fn new(store: Arc<dyn EventStore>, clock: SharedClock, idle: Option<Duration>) -> Self {
        Self {
            store,
            clock,
            idle,
            known: RwLock::default(),
        }
    }

    /// How much older than the truth the stored time of the last activity may be.
    pub fn grain(&self) -> Duration {
        self.idle
            .map_or(LONGEST_GRAIN, |idle| LONGEST_GRAIN.min(idle / GRAINS))
    }

    /// When a workspace expires if nobody comes after now; `None`: never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.idle.map(|idle| moved(self.clock.now(), idle, 1))
    }

    /// Workspaces with no activity since then have expired: never early, and up to a grain late.
    pub fn expired_since(&self) -> Option<Timestamp> {
        self.idle
            .map(|idle| moved(self.clock.now(), idle + self.grain(), -1))
    }

    /// Whether the workspace is there, said by somebody who is in it. A store that does not answer is not a reason to turn
    /// anybody away: whatever they ask for will say so.
    pub async fn is_there(&self, workspace: WorkspaceId) -> bool {
        let known = self.known(workspace);
        if known.gone.is_cancelled() {
            return false;
        }
        let now = self.clock.now();
        if now.as_micros() < known.believed_until.load(Ordering::Acquire) {
            return true;
        }
        // one at a time looks; the others wait for what it finds
        let mut noted = known.noted.lock().await;
        if known.gone.is_cancelled() || now.as_micros() < known.believed_until.load(Ordering::Acquire) {
            return !known.gone.is_cancelled();
        }
        match self.look(workspace, &mut noted, now).await {
            Ok(true) => {}
            Ok(false) => known.gone.cancel(),
            Err(error) => {
                tracing::warn!(%workspace, %error, "it is not known whether a workspace is there");
            }
        }
        let until = moved(now, BELIEVED, 1);
        known.believed_until.store(until.as_micros(), Ordering::Release);
        !known.gone.is_cancelled()
    }

    /// Cancelled when the workspace is gone: for whoever stays.
    pub fn gone(&self, workspace: WorkspaceId) -> CancellationToken {
        self.known(workspace).gone.clone()
    }

    /// The workspace is gone. That, and no more, stays known.
    pub fn end(&self, workspace: WorkspaceId) {
        self.known(workspace).gone.cancel();
    }

    async fn look(
        &self,
        workspace: WorkspaceId,
        noted: &mut Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let is_fresh = |noted: Timestamp| now < moved(noted, self.grain(), 1);
        if noted.is_some_and(is_fresh) {
            return Ok(self.store.workspace(workspace).await?.is_some());
        }
        let is_there = self.store.note_activity(workspace, now).await?;
        *noted = Some(now);
        Ok(is_there)
    }

    fn known(&self, workspace: WorkspaceId) -> Arc<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&workspace) {
            return known.clone();
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(workspace).or_default().clone()
    }
}

fn moved(at: Timestamp, by: Duration, sign: i64) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_add(sign.saturating_mul(micros)))
}

#[cfg(test)]
mod tests {
    use domain::wire::Template;

    use super::*;
    use clock::Clock;
    use event_store::{SqliteEventStore, Workspace};

    /// Stands still until a test moves it.
    #[derive(Debug)]
    struct HandClock(AtomicI64);

    impl HandClock {
        fn pass(&self, time: Duration) {
            let micros = i64::try_from(time.as_micros()).unwrap();
            self.0.fetch_add(micros, Ordering::Relaxed);
        }
    }

    impl Clock for HandClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::Relaxed))
        }
    }

    const IDLE: Duration = Duration::from_hours(24 * 7);

    async fn started() -> (tempfile::TempDir, Arc<HandClock>, Presence, WorkspaceId) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(HandClock(AtomicI64::new(1_795_000_000_000_000)));
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
    async fn that_somebody_was_there_is_written_down_once_in_a_grain() {
        let (_folder, clock, presence, workspace) = started().await;
        assert_eq!(presence.grain(), LONGEST_GRAIN);
        // from the first look on, nothing is written until the grain is over, however often somebody asks
        assert!(presence.is_there(workspace).await);
        let noted = clock.now();
        for _ in 0..5 {
            clock.pass(LONGEST_GRAIN / 6);
            assert!(presence.is_there(workspace).await);
        }
        let behind = Timestamp::from_micros(noted.as_micros() + 1);
        assert_eq!(presence.store.idle_since(behind, 9).await.unwrap(), [workspace]);
        clock.pass(LONGEST_GRAIN / 6);
        assert!(presence.is_there(workspace).await);
        assert!(presence.store.idle_since(behind, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn nobody_is_thrown_out_early() {
        let (_folder, clock, presence, workspace) = started().await;
        assert!(presence.is_there(workspace).await);
        // unwritten: the last who was there before it was empty
        clock.pass(LONGEST_GRAIN / 2);
        assert!(presence.is_there(workspace).await);
        let promised = presence.expires_at().unwrap();
        clock.pass(IDLE);
        assert_eq!(clock.now(), promised);
        let since = presence.expired_since().unwrap();
        assert!(presence.store.idle_since(since, 9).await.unwrap().is_empty());
        clock.pass(LONGEST_GRAIN);
        let since = presence.expired_since().unwrap();
        assert_eq!(presence.store.idle_since(since, 9).await.unwrap(), [workspace]);
        assert!(presence.store.begin_purge(workspace, Some(since)).await.unwrap());
    }

    #[tokio::test]
    async fn what_another_server_has_purged_is_noticed() {
        let (_folder, clock, presence, workspace) = started().await;
        assert!(presence.is_there(workspace).await);
        let gone = presence.gone(workspace);
        assert!(presence.store.begin_purge(workspace, None).await.unwrap());
        clock.pass(BELIEVED);
        assert!(!presence.is_there(workspace).await);
        assert!(gone.is_cancelled());
        // and one that this server never heard of
        assert!(!presence.is_there(WorkspaceId(clock.new_id())).await);
    }
}
