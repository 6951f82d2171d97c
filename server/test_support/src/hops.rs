//! A sink for the hops of one workspace.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{id::WorkspaceId, wire::hops::Hop};
use telemetry::hops::{HopSink, Watch, install_for_tests, watch};
use tokio::sync::Notify;

/// The hops of a watched workspace.
#[derive(Debug, Default)]
pub struct RecordedHops {
    hops: Mutex<Vec<Hop>>,
    more: Notify,
}

impl HopSink for RecordedHops {
    fn record(&self, hop: Hop) {
        self.hops().push(hop);
        self.more.notify_one();
    }
}

impl RecordedHops {
    /// Watches a workspace.
    pub fn of(workspace: WorkspaceId) -> (Arc<Self>, Watch) {
        install_for_tests();
        let hops = Arc::<Self>::default();
        let watch = watch(workspace, hops.clone());
        (hops, watch)
    }

    /// The hops since the last call, at least so many, in the order in which they began. A worker of the
    /// database may hold the span of a hop a little longer than the work lasts.
    pub async fn take(&self, count: usize) -> Vec<Hop> {
        let enough = async {
            while self.hops().len() < count {
                self.more.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), enough)
            .await
            .expect("hops are missing");
        let mut hops = std::mem::take(&mut *self.hops());
        hops.sort_by_key(|hop| hop.started_at);
        hops
    }

    fn hops(&self) -> MutexGuard<'_, Vec<Hop>> {
        self.hops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
