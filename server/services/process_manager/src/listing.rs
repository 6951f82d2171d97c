//! Reads the listings of processes. The one of processes with work is read whole, at the start and when
//! another server may have left some.

use std::sync::Arc;

use documents::{DocumentStoreError, PageRequest, Scope, SeekKey, StoredRow};
use domain::{
    policy::{AnyPolicy, WORK},
    wire::Order,
};
use tokio::time::Instant;

use super::{
    command_queue::MAX_BACKOFF,
    process::parsed,
    runner::{RETRY_DELAY, Runner, report_failure},
    work_set::{Known, Snapshot},
};

/// How many processes are read at a time.
const PAGE: u32 = 64;

impl Runner {
    /// Begins the work of every process that is listed as having some. It starts again after a failure, and
    /// goes on while the workspace exists.
    pub(super) async fn advance_listed(self: &Arc<Self>, scope: &Scope, policy: &'static dyn AnyPolicy) {
        while !self.progress.has_ended(scope.workspace) {
            match self.start_listed(scope, policy).await {
                Ok(()) => break,
                Err(error) => report_failure(scope.view, scope.workspace, &error),
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
        // Another server may have done the work that a client here waits for.
        self.progress.wake_waiting();
    }

    async fn start_listed(
        self: &Arc<Self>,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
    ) -> Result<(), DocumentStoreError> {
        let mut after = None;
        loop {
            let as_of = self.queues.recorded();
            let page = self.page(scope, WORK, after.as_ref()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(seek_key(last));
            for row in page {
                // Not more than can be sent soon, so that the others are not all in memory.
                drop(self.permits.acquire().await);
                let key = Arc::from(row.document.key);
                match parsed(&row.document.data) {
                    Ok(process) => {
                        let known = Known::of(Snapshot::Current { process, as_of });
                        self.start(scope, policy, key, known);
                    }
                    Err(error) => {
                        report_failure(scope.view, scope.workspace, &error);
                        self.work.retry(scope, key, Instant::now() + MAX_BACKOFF);
                    }
                }
            }
        }
    }

    /// A page of a listing.
    pub(super) async fn page(
        &self,
        scope: &Scope,
        listing: &str,
        after: Option<&SeekKey>,
    ) -> Result<Vec<StoredRow>, DocumentStoreError> {
        let request = PageRequest {
            listing,
            group: "",
            order: Order::Asc,
            limit: PAGE,
            after,
        };
        let read = self
            .process_store
            .page(scope.workspace, scope.view, &request)
            .await?;
        Ok(read.value)
    }
}

pub(super) fn seek_key(row: &StoredRow) -> SeekKey {
    SeekKey {
        sort: row.sort.clone(),
        key: row.document.key.clone(),
    }
}
