//! Reads the listings of processes. The one of processes with work is read whole, at the start and when
//! another server may have left some. At the start all of it is begun; later, what another server does not do
//! is taken over.

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
    takeover::{LEASE, Observed},
    work_set::{Known, Snapshot, Unlisted, policy_of},
};

/// How many processes are read at a time.
const PAGE: u32 = 64;

impl Runner {
    /// Begins the work of every process that is listed as having some; only of those whose commands another
    /// server has left, if it may do them. It starts again after a failure, and goes on while the workspace
    /// exists.
    pub(super) async fn advance_listed(
        self: &Arc<Self>,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        why: Unlisted,
    ) {
        while !self.progress.has_ended(scope.workspace) {
            match self.start_listed(scope, policy, why).await {
                Ok(()) => break,
                Err(error) => report_failure(scope.view, scope.workspace, &error),
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
        // Another server may have done the work that a client here waits for.
        self.progress.wake_waiting(scope.workspace);
    }

    async fn start_listed(
        self: &Arc<Self>,
        scope: &Scope,
        policy: &'static dyn AnyPolicy,
        why: Unlisted,
    ) -> Result<(), DocumentStoreError> {
        let (mut after, mut seen, now) = (None, Observed::new(), Instant::now());
        loop {
            let as_of = self.queues.recorded();
            let page = self.page(scope, WORK, after.as_ref()).await?;
            let Some(last) = page.last() else { break };
            after = Some(seek_key(last));
            for row in page {
                // Not more than can be sent soon, so that the others are not all in memory.
                drop(self.permits.acquire().await);
                let key: Arc<str> = Arc::from(row.document.key);
                match parsed(&row.document.data) {
                    // Scheduling a timer twice does no harm.
                    Ok(process) if why == Unlisted::Unknown || process.pending.is_empty() => {
                        let known = Known::of(Snapshot::Current { process, as_of });
                        self.start(scope, policy, key, known);
                    }
                    Ok(process) => {
                        let id = policy_of(scope);
                        let abandoned = self.others.abandoned(id, &process, &mut seen, now);
                        if !abandoned.is_empty()
                            && let Some(process) = self.take_over(scope, &key, &abandoned).await?
                        {
                            let known = Known::of(Snapshot::Current { process, as_of });
                            self.start(scope, policy, key, known);
                        }
                    }
                    Err(error) => {
                        report_failure(scope.view, scope.workspace, &error);
                        self.work.retry(scope, key, Instant::now() + MAX_BACKOFF);
                    }
                }
            }
        }
        if !seen.is_empty() {
            self.work.list_at(policy_of(scope), now + LEASE);
        }
        self.others.saw(policy_of(scope), seen);
        Ok(())
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
