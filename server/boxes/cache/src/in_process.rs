//! The cache inside the process, bounded by bytes.
//!
//! The stamp of a topic is part of the key of its answers. Stamps are in a fixed table, indexed by the
//! topic's hash. Two topics may share one: then an invalidation of either costs the other a miss, but never a
//! wrong answer.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use metrics::Counter;
use moka::future::Cache as Moka;

use super::{Cache, CacheEntry, CacheKey, Choose, EncodedAnswer, Load, Topic};
use documents::DocumentStoreError;

/// The capacity, in bytes.
const CAPACITY: u64 = 64 * 1024 * 1024;

/// An answer that was not requested for this long is dropped; so are invalidated ones.
const IDLE_LIMIT: Duration = Duration::from_mins(2);

/// The number of stamps: a power of two.
const STAMPS: usize = 1 << 15;

/// Caches answers in this process.
pub struct InProcessCache {
    answers: Moka<(CacheKey, u64), Arc<CacheEntry>>,
    stamps: Box<[AtomicU64]>,
    hasher: std::hash::RandomState,
    /// Looked up once, at the first lookup: by then the server has installed its recorder of metrics.
    hits: OnceLock<Counter>,
    misses: OnceLock<Counter>,
}

impl InProcessCache {
    /// An empty cache.
    pub fn new() -> Self {
        let weigh =
            |_: &(CacheKey, u64), entry: &Arc<CacheEntry>| u32::try_from(entry.bytes()).unwrap_or(u32::MAX);
        Self {
            answers: Moka::builder()
                .max_capacity(CAPACITY)
                .weigher(weigh)
                .time_to_idle(IDLE_LIMIT)
                .build(),
            stamps: (0..STAMPS).map(|_| AtomicU64::new(0)).collect(),
            hasher: std::hash::RandomState::new(),
            hits: OnceLock::new(),
            misses: OnceLock::new(),
        }
    }

    fn count(&self, is_hit: bool) {
        let counter = if is_hit {
            let hits = || metrics::counter!("foldline_cache_lookups_total", "outcome" => "hit");
            self.hits.get_or_init(hits)
        } else {
            let misses = || metrics::counter!("foldline_cache_lookups_total", "outcome" => "miss");
            self.misses.get_or_init(misses)
        };
        counter.increment(1);
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
    async fn get(&self, key: CacheKey, load: Load<'_>) -> Result<Arc<CacheEntry>, Arc<DocumentStoreError>> {
        // Read before the load begins: after a later invalidation this answer cannot be found.
        let stamp = self.stamp(&key.topic).load(Ordering::Acquire);
        let loaded = AtomicBool::new(false);
        let entry = self
            .answers
            .try_get_with((key, stamp), async {
                loaded.store(true, Ordering::Relaxed);
                load.await.map(|answer| Arc::new(CacheEntry::new(answer)))
            })
            .await;
        self.count(!loaded.load(Ordering::Relaxed));
        entry
    }

    async fn sent(&self, key: CacheKey, choose: Choose<'_>) -> Option<Arc<EncodedAnswer>> {
        let stamp = self.stamp(&key.topic).load(Ordering::Acquire);
        let entry = self.answers.get(&(key, stamp)).await?;
        let encoded = choose(&entry)?;
        self.count(true);
        Some(encoded)
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

#[cfg(test)]
mod tests {
    use domain::{id::WorkspaceId, token::ConsistencyToken};
    use uuid::Uuid;

    use super::*;
    use crate::{CachedAnswer, Form, VisibleRows};

    fn key(document: &str) -> CacheKey {
        CacheKey {
            topic: Topic::Document {
                workspace: WorkspaceId(Uuid::nil()),
                view: "products",
                key: document.to_owned(),
            },
            page: None,
        }
    }

    fn form() -> Form {
        Form {
            visible: VisibleRows::of(std::iter::empty()).unwrap(),
            backwards: false,
        }
    }

    async fn load(cache: &InProcessCache, document: &str) -> Arc<CacheEntry> {
        let answer = CachedAnswer {
            rows: Vec::new(),
            more: false,
            as_of: ConsistencyToken::at(0, 1),
            generation: 1,
        };
        cache
            .get(key(document), Box::pin(async { Ok(answer) }))
            .await
            .unwrap()
    }

    async fn sent(cache: &InProcessCache, document: &str) -> Option<Arc<EncodedAnswer>> {
        let choose = |entry: &CacheEntry| entry.sent(form(), 1);
        cache.sent(key(document), &choose).await
    }

    #[tokio::test]
    async fn what_was_sent_is_found_until_its_topic_is_invalidated() {
        let cache = InProcessCache::new();
        let answer = Arc::new(EncodedAnswer::new(b"{\"data\":1", b"}"));
        assert!(sent(&cache, "mug-1").await.is_none());
        load(&cache, "mug-1").await.keep(form(), 1, &answer);
        assert!(Arc::ptr_eq(&sent(&cache, "mug-1").await.unwrap(), &answer));
        assert!(sent(&cache, "mug-2").await.is_none());
        cache.invalidate(&[key("mug-1").topic]).await;
        assert!(sent(&cache, "mug-1").await.is_none());
        load(&cache, "mug-1").await.keep(form(), 1, &answer);
        assert!(sent(&cache, "mug-1").await.is_some());
        cache.clear().await;
        assert!(sent(&cache, "mug-1").await.is_none());
    }

    #[tokio::test]
    async fn the_reserve_for_encoded_answers_is_counted() {
        let cache = InProcessCache::new();
        let entry = load(&cache, "mug-1").await;
        cache.answers.run_pending_tasks().await;
        assert_eq!(cache.answers.weighted_size(), entry.bytes() as u64);
    }
}
