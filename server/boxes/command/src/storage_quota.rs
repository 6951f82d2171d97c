//! The quota of the documents that a sandbox stores, and of their bytes.
//!
//! Events have a quota that the append itself checks. One event may become several documents, and a document
//! may be much longer than its event, so these are counted as well. To measure is to read an entry of every
//! document, so it is done rarely: between two measurements each append adds an upper bound of what it can
//! become, and only where that would exceed the quota is it measured again, once a second at most. So a
//! sandbox never exceeds its quota by what its members send, and close to the quota a command may be refused
//! a moment too early.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{
    event::{DomainEvent, Metadata, RecordedEvent},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    view,
};
use event_store::NewEvent;
use moka::future::Cache;
use tokio::sync::Mutex;

use super::{
    failure::{CommandFailure, StorageUnit},
    stored_documents::{StorageUsage, StoredDocuments},
};

/// The least time between two measurements of a workspace.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// The age at which a measurement is renewed: other servers append as well.
const LONGEST_INTERVAL: Duration = Duration::from_mins(5);

/// Workspaces of which a measurement is kept at most.
const WORKSPACES: u64 = 10_000;

/// How long the measurement of a workspace without commands is kept, also of one that was purged.
const IDLE: Duration = Duration::from_hours(1);

/// The bytes of a document beside the payload of its event, at most: names of fields, ids and times.
const DOCUMENT_BYTES: u64 = 512;

/// What is stored of a command without an event: the answer to its repetition.
const ANSWER: Growth = Growth {
    documents: 1,
    bytes: DOCUMENT_BYTES,
};

/// The quota of a sandbox; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StorageLimits {
    /// The most documents.
    pub documents: Option<u64>,
    /// The most bytes of documents.
    pub bytes: Option<u64>,
}

/// What an append can become at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Growth {
    documents: u64,
    bytes: u64,
}

impl Growth {
    /// One document of this many bytes that no event makes.
    pub(super) const fn document(bytes: u64) -> Self {
        Self { documents: 1, bytes }
    }

    fn add(&mut self, other: Self) {
        self.documents = self.documents.saturating_add(other.documents);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// The documents of all views that these events of a stream affect, and one for the processes that follow
    /// them; as many bytes for each as an event has, and more.
    pub(super) fn of(
        workspace: WorkspaceId,
        stream: &StreamName,
        metadata: &Metadata,
        now: Timestamp,
        events: &[(&DomainEvent, &NewEvent)],
    ) -> Self {
        let mut growth = Self::default();
        for (event, new) in events {
            let typed = RecordedEvent {
                workspace,
                partition: 0,
                position: 1,
                stream: stream.clone(),
                version: 1,
                event_id: new.event_id,
                event_type: event.event_type().name.to_owned(),
                schema_version: new.schema_version,
                payload: (*event).clone(),
                metadata: metadata.clone(),
                recorded_at: now,
                hash: String::new(),
            };
            let keys: usize = view::all().iter().map(|view| view.keys(&typed).len()).sum();
            let documents = keys as u64 + 1;
            let payload = new.payload.get().len() as u64;
            growth.add(Self {
                documents,
                bytes: documents.saturating_mul(payload.saturating_add(DOCUMENT_BYTES)),
            });
        }
        growth
    }
}

/// What is known of one workspace.
#[derive(Debug, Default)]
struct Usage {
    measured: StorageUsage,
    measured_at: Option<Instant>,
    /// Appended since then.
    since: Growth,
    /// Answers of commands without events, which no measurement counts.
    answers: Growth,
}

impl Usage {
    /// What is stored after this growth.
    fn after(&self, growth: Growth) -> Growth {
        let mut all = Growth {
            documents: self.measured.documents,
            bytes: self.measured.bytes,
        };
        for more in [self.since, self.answers, growth] {
            all.add(more);
        }
        all
    }

    fn is_older_than(&self, age: Duration) -> bool {
        self.measured_at.is_none_or(|at| at.elapsed() >= age)
    }
}

/// Counts what sandboxes store, and refuses commands of a full one.
#[derive(Debug)]
pub(super) struct StorageQuota {
    stored: Arc<dyn StoredDocuments>,
    most: StorageLimits,
    /// The lock of a workspace is held while it is measured: its commands wait, and it is measured once.
    usages: Cache<WorkspaceId, Arc<Mutex<Usage>>>,
}

impl StorageQuota {
    pub(super) fn new(stored: Arc<dyn StoredDocuments>, most: StorageLimits) -> Self {
        Self {
            stored,
            most,
            usages: Cache::builder()
                .max_capacity(WORKSPACES)
                .time_to_idle(IDLE)
                .build(),
        }
    }

    /// Counts an append that is about to be made, or refuses it. One that `is_always_stored` is counted only.
    pub(super) async fn reserve(
        &self,
        workspace: WorkspaceId,
        growth: Growth,
        is_always_stored: bool,
    ) -> Result<(), CommandFailure> {
        let usage = self.usages.get_with(workspace, async { Arc::default() }).await;
        let mut usage = usage.lock().await;
        let added = if growth == Growth::default() {
            ANSWER
        } else {
            growth
        };
        if !is_always_stored {
            let renewed_after = match self.exceeded(&usage, added) {
                Some(_) => LEAST_INTERVAL,
                None => LONGEST_INTERVAL,
            };
            if usage.is_older_than(renewed_after) {
                self.measure(workspace, &mut usage).await;
            }
            if let Some(full) = self.exceeded(&usage, added) {
                return Err(full);
            }
        }
        if growth == Growth::default() {
            usage.answers.add(added);
        } else {
            usage.since.add(added);
        }
        Ok(())
    }

    /// The refusal of a growth that would exceed the quota.
    fn exceeded(&self, usage: &Usage, growth: Growth) -> Option<CommandFailure> {
        let (now, after) = (usage.after(Growth::default()), usage.after(growth));
        let documents = (
            StorageUnit::Documents,
            now.documents,
            after.documents,
            self.most.documents,
        );
        let bytes = (StorageUnit::Bytes, now.bytes, after.bytes, self.most.bytes);
        [documents, bytes]
            .into_iter()
            .find_map(|(unit, stored, after, most)| {
                let most = most.filter(|most| after > *most)?;
                Some(CommandFailure::StorageFull { unit, stored, most })
            })
    }

    /// Measures a workspace. Where that fails, what is known of it stays: commands need no read model.
    async fn measure(&self, workspace: WorkspaceId, usage: &mut Usage) {
        usage.measured_at = Some(Instant::now());
        match self.stored.usage(workspace).await {
            Ok(measured) => {
                usage.measured = measured;
                if measured.is_current {
                    usage.since = Growth::default();
                }
            }
            Err(error) => tracing::warn!(%error, "what a workspace has stored could not be measured"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::atomic::{AtomicU64, Ordering},
    };

    use async_trait::async_trait;
    use event_store::StoreError;
    use uuid::Uuid;

    use super::*;

    /// Stored documents that a test sets; it counts how often they are measured.
    #[derive(Debug, Default)]
    struct Stored {
        documents: AtomicU64,
        measured: AtomicU64,
        is_behind: bool,
        fails: bool,
    }

    #[async_trait]
    impl StoredDocuments for Stored {
        async fn notifications(
            &self,
            _: WorkspaceId,
            _: Uuid,
            _: &[Uuid],
        ) -> Result<BTreeSet<Uuid>, StoreError> {
            Ok(BTreeSet::new())
        }

        async fn usage(&self, _: WorkspaceId) -> Result<StorageUsage, StoreError> {
            self.measured.fetch_add(1, Ordering::Relaxed);
            if self.fails {
                return Err(StoreError::Unavailable("it is away".to_owned()));
            }
            let documents = self.documents.load(Ordering::Relaxed);
            Ok(StorageUsage {
                documents,
                bytes: 100 * documents,
                is_current: !self.is_behind,
            })
        }
    }

    impl Stored {
        /// Of views that never catch up: a measurement forgets nothing that was counted, whenever it comes.
        fn behind() -> Arc<Self> {
            Arc::new(Self {
                is_behind: true,
                ..Self::default()
            })
        }
    }

    const HERE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const THERE: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

    fn quota(stored: &Arc<Stored>, documents: u64, bytes: u64) -> StorageQuota {
        let limit = |most: u64| Some(most).filter(|most| *most > 0);
        let most = StorageLimits {
            documents: limit(documents),
            bytes: limit(bytes),
        };
        StorageQuota::new(Arc::clone(stored) as _, most)
    }

    fn grown(documents: u64, bytes: u64) -> Growth {
        Growth { documents, bytes }
    }

    #[tokio::test]
    async fn a_sandbox_grows_up_to_its_documents_and_another_has_its_own_count() {
        let stored = Stored::behind();
        let quota = quota(&stored, 10, 0);
        for _ in 0..3 {
            quota.reserve(HERE, grown(3, 1), false).await.unwrap();
        }
        let refused = quota.reserve(HERE, grown(3, 1), false).await.unwrap_err();
        assert!(refused.is_refusal());
        let said = refused.to_string();
        assert!(said.contains("10 documents") && said.contains("has 9"), "{said}");
        quota.reserve(HERE, grown(1, 1), false).await.unwrap();
        quota.reserve(THERE, grown(10, 1), false).await.unwrap();
    }

    #[tokio::test]
    async fn a_sandbox_grows_up_to_its_bytes() {
        let stored = Stored::behind();
        let quota = quota(&stored, 0, 1_000);
        quota.reserve(HERE, grown(1, 900), false).await.unwrap();
        let refused = quota.reserve(HERE, grown(1, 101), false).await.unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("1000 bytes of documents"), "{said}");
    }

    #[tokio::test]
    async fn what_was_stored_before_counts_and_is_measured_once() {
        let stored = Stored::behind();
        stored.documents.store(8, Ordering::Relaxed);
        let quota = quota(&stored, 10, 0);
        quota.reserve(HERE, grown(2, 0), false).await.unwrap();
        for _ in 0..100 {
            quota.reserve(HERE, grown(1, 0), false).await.unwrap_err();
        }
        // A refusal is measured again after a second at the earliest, however many commands are sent.
        let measured = stored.measured.load(Ordering::Relaxed);
        assert!(measured < 50, "measured {measured} times");
    }

    #[tokio::test]
    async fn commands_of_the_shop_itself_are_counted_and_never_refused() {
        let stored = Stored::behind();
        let quota = quota(&stored, 10, 0);
        quota.reserve(HERE, grown(1, 0), false).await.unwrap();
        quota.reserve(HERE, grown(20, 0), true).await.unwrap();
        quota.reserve(HERE, grown(1, 0), false).await.unwrap_err();
    }

    #[tokio::test]
    async fn an_answer_without_an_event_counts_as_a_document() {
        let stored = Arc::new(Stored::default());
        let quota = quota(&stored, 10, 0);
        for _ in 0..10 {
            quota.reserve(HERE, Growth::default(), false).await.unwrap();
        }
        quota.reserve(HERE, Growth::default(), false).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_measurement_of_views_that_are_behind_does_not_undo_what_was_counted() {
        let stored = Stored::behind();
        let quota = quota(&stored, 10, 0);
        quota.reserve(HERE, grown(9, 0), true).await.unwrap();
        quota.reserve(HERE, grown(2, 0), false).await.unwrap_err();
        assert_eq!(stored.measured.load(Ordering::Relaxed), 1);
        let current = Arc::new(Stored::default());
        let quota = self::quota(&current, 10, 0);
        quota.reserve(HERE, grown(9, 0), true).await.unwrap();
        quota.reserve(HERE, grown(2, 0), false).await.unwrap();
    }

    #[tokio::test]
    async fn a_store_that_is_away_refuses_no_command() {
        let stored = Arc::new(Stored {
            fails: true,
            ..Stored::default()
        });
        let quota = quota(&stored, 10, 0);
        quota.reserve(HERE, grown(9, 0), false).await.unwrap();
        quota.reserve(HERE, grown(2, 0), false).await.unwrap_err();
    }
}
