//! The cache inside the process, bounded by bytes.
//!
//! The stamp of a topic is part of the key of its answers. Stamps are in a fixed table, indexed by the
//! topic's hash. Two topics may share one: then an invalidation of either costs the other a miss, but never a
//! wrong answer.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use moka::future::Cache as Moka;

use super::{Cache, CacheKey, CachedAnswer, Load, Topic};
use documents::DocumentStoreError;

/// The capacity, in bytes.
const CAPACITY: u64 = 64 * 1024 * 1024;

/// An answer that was not requested for this long is dropped; so are invalidated ones.
const IDLE_LIMIT: Duration = Duration::from_mins(2);

/// The number of stamps: a power of two.
const STAMPS: usize = 1 << 15;

/// The bytes of an entry besides its documents.
const OVERHEAD: usize = 256;

/// Caches answers in this process.
pub struct InProcessCache {
    answers: Moka<(CacheKey, u64), Arc<CachedAnswer>>,
    stamps: Box<[AtomicU64]>,
    hasher: std::hash::RandomState,
}

impl InProcessCache {
    /// An empty cache.
    pub fn new() -> Self {
        let weigh = |_: &(CacheKey, u64), answer: &Arc<CachedAnswer>| {
            let bytes: usize = answer
                .rows
                .iter()
                .map(|row| row.data.get().len() + OVERHEAD)
                .sum();
            u32::try_from(bytes + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self {
            answers: Moka::builder()
                .max_capacity(CAPACITY)
                .weigher(weigh)
                .time_to_idle(IDLE_LIMIT)
                .build(),
            stamps: (0..STAMPS).map(|_| AtomicU64::new(0)).collect(),
            hasher: std::hash::RandomState::new(),
        }
    }

    fn stamp(&self, topic: &Topic) -> &AtomicU64 {
        let hash = self.hasher.hash_one(topic);
        // Masked to the length of the table, so it fits a usize of any width.
        let index = usize::try_from(hash & (STAMPS as u64 - 1)).unwrap_or(0);
        &self.stamps[index]
    }
}

impl Default for InProcessCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InProcessCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessCache")
            .field("entries", &self.answers.entry_count())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Cache for InProcessCache {
    async fn get(&self, key: CacheKey, load: Load<'_>) -> Result<Arc<CachedAnswer>, Arc<DocumentStoreError>> {
        // Read before the load begins: after a later invalidation this answer cannot be found.
        let stamp = self.stamp(&key.topic).load(Ordering::Acquire);
        let loaded = AtomicBool::new(false);
        let answer = self
            .answers
            .try_get_with((key, stamp), async {
                loaded.store(true, Ordering::Relaxed);
                load.await.map(Arc::new)
            })
            .await;
        let outcome = if loaded.load(Ordering::Relaxed) {
            "miss"
        } else {
            "hit"
        };
        metrics::counter!("foldline_cache_lookups_total", "outcome" => outcome).increment(1);
        answer
    }

    async fn invalidate(&self, topics: &[Topic]) {
        for topic in topics {
            self.stamp(topic).fetch_add(1, Ordering::AcqRel);
        }
    }

    async fn clear(&self) {
        for stamp in &self.stamps {
            stamp.fetch_add(1, Ordering::AcqRel);
        }
        self.answers.invalidate_all();
    }
}
