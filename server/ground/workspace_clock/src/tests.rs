//! One truth for the clock of a workspace, on every server, and what is due first happens first.

use std::{
    path::Path,
    sync::{Mutex, OnceLock},
};

use clock::{Clock as _, SystemClock};
use documents::sqlite::SqliteDocumentStore;
use uuid::Uuid;

use super::*;

const SHOP: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
const HOUR_MS: u64 = 3_600_000;

async fn store(folder: &Path) -> Arc<dyn DocumentStore> {
    Arc::new(
        SqliteDocumentStore::open(&folder.join("processes.db"))
            .await
            .unwrap(),
    )
}

fn clocks(store: &Arc<dyn DocumentStore>) -> Clocks {
    Clocks::new(Arc::new(SystemClock), Arc::clone(store))
}

impl Clocks {
    /// Lets the offset that is shown grow old.
    fn age(&self) {
        for shown in self.shown.write().unwrap().values_mut() {
            shown.read_at = shown.read_at.checked_sub(MAX_AGE).unwrap();
        }
    }

    fn shown_ms(&self) -> u64 {
        let shown = self.shown.read().unwrap();
        shown.get(&SHOP).map_or(0, |shown| shown.ahead_ms)
    }
}

#[tokio::test]
async fn a_clock_that_another_server_has_put_forward_is_shown_here() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let (here, there) = (clocks(&store), clocks(&store));
    assert_eq!(here.ahead_ms(SHOP).await.unwrap(), 0);
    there.put_forward(SHOP, HOUR_MS).await.unwrap();
    let changed = here.changed();
    here.age();
    assert_eq!(here.ahead_ms(SHOP).await.unwrap(), HOUR_MS);
    changed.await;
    there.put_forward(SHOP, HOUR_MS).await.unwrap();
    assert_eq!(here.refresh(SHOP).await.unwrap(), 2 * HOUR_MS, "also at once");
    // Both put it forward, each from what the other has stored.
    here.put_forward(SHOP, 1).await.unwrap();
    assert_eq!(there.put_forward(SHOP, 1).await.unwrap(), 2 * HOUR_MS + 2);
}

#[tokio::test]
async fn an_offset_is_not_read_again_before_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let clocks = clocks(&store);
    clocks.put_forward(SHOP, HOUR_MS).await.unwrap();
    clocks.shown.write().unwrap().get_mut(&SHOP).unwrap().read_at = Instant::now() + MAX_AGE;
    store.close().await;
    assert_eq!(clocks.ahead_ms(SHOP).await.unwrap(), HOUR_MS);
    clocks.age();
    clocks.age();
    assert!(clocks.ahead_ms(SHOP).await.is_err());
}

/// Notes what the clock shows while the timers expire, and until when they do.
#[derive(Debug, Default)]
struct Witness {
    clocks: OnceLock<Weak<Clocks>>,
    expired: Mutex<Vec<(u64, bool)>>,
}

#[async_trait]
impl Timers for Witness {
    async fn expire_due(&self, workspace: WorkspaceId, now: Timestamp) {
        assert_eq!(workspace, SHOP);
        let clocks = self.clocks.get().unwrap().upgrade().unwrap();
        let is_ahead = now.as_micros() > SystemClock.now().as_micros();
        self.expired.lock().unwrap().push((clocks.shown_ms(), is_ahead));
    }
}

#[tokio::test]
async fn timers_expire_before_a_clock_shows_that_they_are_due() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let (here, there) = (Arc::new(clocks(&store)), clocks(&store));
    let witness = Arc::new(Witness::default());
    witness.clocks.set(Arc::downgrade(&here)).unwrap();
    let timers: Arc<dyn Timers> = witness.clone();
    here.expire_first(Arc::downgrade(&timers));
    here.put_forward(SHOP, HOUR_MS).await.unwrap();
    assert_eq!(here.ahead_ms(SHOP).await.unwrap(), HOUR_MS);
    there.put_forward(SHOP, HOUR_MS).await.unwrap();
    for _ in 0..2 {
        assert_eq!(here.refresh(SHOP).await.unwrap(), 2 * HOUR_MS);
    }
    assert_eq!(*witness.expired.lock().unwrap(), [(0, true), (HOUR_MS, true)]);
}

/// A machine's clock that is set.
#[derive(Debug, Default)]
struct SetClock(Mutex<Timestamp>);

impl clock::Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[tokio::test]
async fn a_clock_goes_on_where_the_machines_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let machine = Arc::new(SetClock::default());
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    let clocks = Clocks::new(Arc::clone(&machine) as SharedClock, Arc::clone(&store));
    *machine.0.lock().unwrap() = at(7_200);
    clocks.put_forward(SHOP, HOUR_MS).await.unwrap();
    let mut before = clocks.now(SHOP).await.unwrap();
    assert_eq!(before, at(10_800));
    *machine.0.lock().unwrap() = at(3_600);
    for _ in 0..3 {
        let now = clocks.now(SHOP).await.unwrap();
        assert!(now >= before && now < at(10_800 + 600), "{now}");
        before = now;
    }
    *machine.0.lock().unwrap() = at(9_000);
    assert_eq!(clocks.now(SHOP).await.unwrap(), at(12_600));
}
