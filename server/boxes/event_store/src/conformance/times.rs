//! The times of events: in the order of positions, whatever clocks say.

use std::sync::{Arc, OnceLock};

use clock::Clock;
use domain::{event::StoredEvent, id::WorkspaceId, timestamp::Timestamp};

use super::{super::Expected, TestDatabase, append, event, one, open_workspace, part};

/// A clock that stands still at these microseconds.
#[derive(Debug)]
pub(crate) struct StoppedClock(pub(crate) i64);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0)
    }
}

/// An hour in microseconds.
pub(crate) const HOUR: i64 = 3_600_000_000;

/// Some moment, in microseconds.
pub(crate) const NOW: i64 = 1_796_000_000_000_000;

/// Fails unless each event was recorded after the one before it.
pub(crate) fn assert_in_order(events: &[StoredEvent]) {
    let times: Vec<_> = events.iter().map(|event| event.recorded_at).collect();
    assert!(times.is_sorted_by(|before, after| before < after), "{times:?}");
}

pub(crate) async fn times_are_in_the_order_of_positions_though_the_clock_is_put_back<B: TestDatabase>(
    database: B,
) {
    let place = database.place();
    let ahead = Arc::new(StoppedClock(NOW + HOUR));
    let store = B::open_with(&place, ahead, None).await.unwrap();
    let (workspace, other) = (open_workspace(&*store, 1).await, open_workspace(&*store, 1).await);
    let three = vec![event(1), event(2), event(3)];
    store
        .append(append(workspace, vec![part("order-1", Expected::Any, three)]))
        .await
        .unwrap();
    store.close().await;

    let store = B::open_with(&place, Arc::new(StoppedClock(NOW)), None)
        .await
        .unwrap();
    for _ in 0..3 {
        store
            .append(one(workspace, "order-2", Expected::Any))
            .await
            .unwrap();
    }
    let appends = ["order-3", "order-4"].map(|stream| one(workspace, stream, Expected::Any));
    store.append_all(appends.into()).await.unwrap();
    store.append(one(other, "order-1", Expected::Any)).await.unwrap();
    let events = store.read_partition(workspace, 0, 0, 10).await.unwrap();
    assert_eq!(events.len(), 8);
    assert_eq!(events[0].recorded_at, Timestamp::from_micros(NOW + HOUR));
    assert_in_order(&events);
    let elsewhere = store.read_partition(other, 0, 0, 10).await.unwrap();
    assert_eq!(
        elsewhere[0].recorded_at,
        Timestamp::from_micros(NOW),
        "a partition by itself"
    );
}

/// A clock by which one workspace is an hour ahead, and another one an hour behind.
#[derive(Debug, Default)]
struct ClockOfWorkspaces {
    ahead: OnceLock<WorkspaceId>,
    behind: OnceLock<WorkspaceId>,
}

impl Clock for ClockOfWorkspaces {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(NOW)
    }

    fn now_in(&self, workspace: WorkspaceId) -> Timestamp {
        let is = |other: &OnceLock<WorkspaceId>| other.get() == Some(&workspace);
        let offset = i64::from(is(&self.ahead)) - i64::from(is(&self.behind));
        Timestamp::from_micros(NOW + offset * HOUR)
    }
}

pub(crate) async fn events_have_the_time_of_their_workspace_also_in_one_group<B: TestDatabase>(database: B) {
    let clock = Arc::new(ClockOfWorkspaces::default());
    let store = B::open_with(&database.place(), clock.clone(), None)
        .await
        .unwrap();
    let mut workspaces = Vec::new();
    for _ in 0..3 {
        workspaces.push(open_workspace(&*store, 1).await);
    }
    clock.ahead.set(workspaces[0]).unwrap();
    clock.behind.set(workspaces[1]).unwrap();
    let appends = workspaces.iter().map(|workspace| {
        let two = vec![event(1), event(2)];
        append(*workspace, vec![part("order-1", Expected::Any, two)])
    });
    store.append_all(appends.collect()).await.unwrap();
    for (workspace, offset) in workspaces.iter().zip([HOUR, -HOUR, 0]) {
        let events = store.read_partition(*workspace, 0, 0, 10).await.unwrap();
        let times = events.iter().map(|event| event.recorded_at.as_micros());
        assert_eq!(times.collect::<Vec<_>>(), [NOW + offset, NOW + offset + 1]);
    }
}
