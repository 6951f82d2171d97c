//! One truth for the clock of a workspace, on every server; what is due first happens first, and no clock
//! goes back.

use std::{
    path::Path,
    sync::{Mutex, OnceLock, atomic::AtomicBool},
};

use clock::{Clock, SystemClock};
use documents::sqlite::SqliteDocumentStore;
use uuid::Uuid;

use super::*;

const SHOP: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
const HOUR_MS: u64 = 3_600_000;
const HOUR: i64 = 3_600_000;

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
    /// Lets the clock that is shown grow old.
    fn age(&self) {
        for shown in self.shown.write().unwrap().values_mut() {
            shown.read_at = shown.read_at.checked_sub(MAX_AGE).unwrap();
        }
    }

    fn shown_ms(&self) -> i64 {
        let shown = self.shown.read().unwrap();
        shown.get(&SHOP).map_or(0, |shown| shown.clock.ahead_ms)
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
    assert_eq!(here.ahead_ms(SHOP).await.unwrap(), HOUR);
    changed.await;
    there.put_forward(SHOP, HOUR_MS).await.unwrap();
    let read = here.refresh(SHOP).await.unwrap();
    assert_eq!(read.ahead_ms, 2 * HOUR, "also at once");
    // Both put it forward, each from what the other has stored.
    here.put_forward(SHOP, 1).await.unwrap();
    assert_eq!(there.put_forward(SHOP, 1).await.unwrap(), 2 * HOUR + 2);
}

#[tokio::test]
async fn an_offset_is_not_read_again_before_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let clocks = clocks(&store);
    clocks.put_forward(SHOP, HOUR_MS).await.unwrap();
    clocks.shown.write().unwrap().get_mut(&SHOP).unwrap().read_at = Instant::now() + MAX_AGE;
    store.close().await;
    assert_eq!(clocks.ahead_ms(SHOP).await.unwrap(), HOUR);
    clocks.age();
    clocks.age();
    assert!(clocks.ahead_ms(SHOP).await.is_err());
    clocks.age();
    clocks.age();
    clocks.prepare(SHOP).await.unwrap();
    let unknown = WorkspaceId(Uuid::from_u128(2));
    assert!(clocks.prepare(unknown).await.is_err(), "its time is not known");
    clocks.opened(unknown);
    clocks.prepare(unknown).await.unwrap();
}

/// Notes what the clock shows while the timers expire, and until when they do.
#[derive(Debug, Default)]
struct Witness {
    clocks: OnceLock<Weak<Clocks>>,
    expired: Mutex<Vec<(i64, bool)>>,
    fails: AtomicBool,
}

#[async_trait]
impl Timers for Witness {
    async fn expire_due(&self, workspace: WorkspaceId, now: Timestamp) -> Result<(), DocumentStoreError> {
        assert_eq!(workspace, SHOP);
        if self.fails.load(Ordering::Relaxed) {
            return Err(DocumentStoreError::Unavailable("for now".to_owned()));
        }
        let clocks = self.clocks.get().unwrap().upgrade().unwrap();
        let is_ahead = now.as_micros() > SystemClock.now().as_micros();
        assert!(
            clocks.logged(SHOP) >= Some(now),
            "what the timers cause is not recorded as earlier"
        );
        self.expired.lock().unwrap().push((clocks.shown_ms(), is_ahead));
        Ok(())
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
    assert_eq!(here.ahead_ms(SHOP).await.unwrap(), HOUR);
    there.put_forward(SHOP, HOUR_MS).await.unwrap();
    for _ in 0..2 {
        assert_eq!(here.refresh(SHOP).await.unwrap().ahead_ms, 2 * HOUR);
    }
    assert_eq!(*witness.expired.lock().unwrap(), [(0, true), (HOUR, true)]);
}

#[tokio::test]
async fn a_clock_does_not_show_a_time_by_which_due_timers_cannot_expire() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let clocks = Arc::new(clocks(&store));
    let witness = Arc::new(Witness::default());
    witness.clocks.set(Arc::downgrade(&clocks)).unwrap();
    let timers: Arc<dyn Timers> = witness.clone();
    clocks.expire_first(Arc::downgrade(&timers));
    clocks.refresh(SHOP).await.unwrap();
    witness.fails.store(true, Ordering::Relaxed);
    assert!(clocks.put_forward(SHOP, HOUR_MS).await.is_err());
    assert_eq!(clocks.shown_ms(), 0);
    witness.fails.store(false, Ordering::Relaxed);
    assert_eq!(
        clocks.refresh(SHOP).await.unwrap().ahead_ms,
        HOUR,
        "it was stored"
    );
    assert_eq!(*witness.expired.lock().unwrap(), [(0, true)]);
}

/// A machine's clock that is set.
#[derive(Debug, Default)]
struct SetClock(Mutex<Timestamp>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[tokio::test]
async fn a_clock_goes_on_where_the_machines_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let machine = Arc::new(SetClock::default());
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

/// The machine's clock, set to so many seconds, and the clocks of two servers on it.
async fn two_servers(folder: &Path) -> (Arc<SetClock>, Clocks, Clocks) {
    let machine = Arc::new(SetClock::default());
    let store = store(folder).await;
    let server = || Clocks::new(Arc::clone(&machine) as SharedClock, Arc::clone(&store));
    let (here, there) = (server(), server());
    (machine, here, there)
}

impl SetClock {
    fn set(&self, seconds: i64) {
        *self.0.lock().unwrap() = at(seconds);
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

#[tokio::test]
async fn a_frozen_clock_stands_is_stepped_and_goes_on_from_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, here, there) = two_servers(folder.path()).await;
    machine.set(10_000);
    here.freeze(SHOP, true, 1).await.unwrap();
    machine.set(11_000);
    for clocks in [&here, &there] {
        let read = clocks.refresh(SHOP).await.unwrap();
        assert_eq!(
            (read.now, read.ahead_ms, read.is_frozen),
            (at(10_000), -1_000_000, true)
        );
        assert_eq!(clocks.frozen(), [SHOP]);
    }
    there.put_forward(SHOP, HOUR_MS).await.unwrap();
    assert_eq!(here.refresh(SHOP).await.unwrap().now, at(13_600));
    here.put_forward_to(SHOP, at(13_000)).await.unwrap();
    assert_eq!(here.now(SHOP).await.unwrap(), at(13_600), "it never goes back");
    here.put_forward_to(SHOP, at(14_000)).await.unwrap();
    machine.set(12_000);
    there.freeze(SHOP, false, 2).await.unwrap();
    machine.set(12_005);
    for clocks in [&here, &there] {
        let read = clocks.refresh(SHOP).await.unwrap();
        assert_eq!(
            (read.now, read.ahead_ms, read.is_frozen),
            (at(14_005), 2_000_000, false)
        );
        assert_eq!(clocks.frozen(), []);
    }
    // A server that is late with the dials of before.
    here.freeze(SHOP, true, 1).await.unwrap();
    assert!(!there.refresh(SHOP).await.unwrap().is_frozen);
}

#[tokio::test]
async fn a_server_that_has_shown_more_before_it_knew_of_a_frozen_clock_does_not_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, here, there) = two_servers(folder.path()).await;
    machine.set(10_000);
    assert_eq!(there.now(SHOP).await.unwrap(), at(10_000));
    here.freeze(SHOP, true, 1).await.unwrap();
    machine.set(10_001);
    assert_eq!(there.logged(SHOP), Some(at(10_001)));
    machine.set(10_009);
    there.refresh(SHOP).await.unwrap();
    assert_eq!(there.logged(SHOP), Some(at(10_001)));
    here.freeze(SHOP, false, 2).await.unwrap();
    there.refresh(SHOP).await.unwrap();
    assert_eq!(there.logged(SHOP), Some(at(10_001)));
    machine.set(10_011);
    assert_eq!(there.logged(SHOP), Some(at(10_002)));
}

#[tokio::test]
async fn a_workspace_is_opened_with_its_clock_in_the_past_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, here, there) = two_servers(folder.path()).await;
    machine.set(100_000);
    here.open_at(SHOP, at(7_000)).await.unwrap();
    assert_eq!(there.now(SHOP).await.unwrap(), at(7_000));
    here.open_at(SHOP, at(8_000)).await.unwrap();
    machine.set(100_010);
    assert_eq!(here.now(SHOP).await.unwrap(), at(7_010));
    assert_eq!(here.put_forward(SHOP, HOUR_MS).await.unwrap(), -93_000_000 + HOUR);
    assert_eq!(here.now(SHOP).await.unwrap(), at(10_610));
    let before = WorkspaceId(Uuid::from_u128(3));
    assert_eq!(here.now(before).await.unwrap(), at(100_010), "another workspace");
}

#[tokio::test]
async fn the_log_has_the_time_of_a_workspace_whose_clock_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Arc::new(SetClock::default());
    machine.set(100_000);
    let log = LogClock::new(Arc::clone(&machine) as SharedClock);
    assert_eq!(log.now_in(SHOP), at(100_000));
    let clocks = Arc::new(Clocks::new(log.clone(), store(folder.path()).await));
    log.follow(&clocks);
    clocks.open_at(SHOP, at(7_000)).await.unwrap();
    assert_eq!((log.now_in(SHOP), log.now()), (at(7_000), at(100_000)));
    clocks.end(SHOP);
    assert_eq!(log.now_in(SHOP), at(100_000));
    clocks.prepare(SHOP).await.unwrap();
    assert_eq!(log.now_in(SHOP), at(7_000));
}

#[test]
fn a_clock_that_an_earlier_version_has_stored_is_read() {
    let old: StoredClock = serde_json::from_str(r#"{"ahead_ms":3600000}"#).unwrap();
    assert!(old.is_newer_than(StoredClock::default()));
    assert_eq!(old.at(at(1)), at(3_601));
}
