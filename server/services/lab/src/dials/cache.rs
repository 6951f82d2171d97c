//! The dials of the cache: a cache that is off, whose answers are used for a limited time, or whose answers
//! are not invalidated.
//!
//! The inner cache is invalidated as ever, also of a workspace that skips this: its answers are then kept
//! apart, and grow stale there. So the inner cache never has a stale answer, and a dial that is put to rest
//! leaves none behind. Other workspaces meet the inner cache alone.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use cache::{Cache, CacheEntry, CacheKey, Choose, EncodedAnswer, Load, Topic};
use documents::DocumentStoreError;
use domain::{id::WorkspaceId, wire::CacheDials};
use moka::future::Cache as Moka;
use tokio::time::Instant;

use super::board::{Bent, DialBoard};

/// The capacity for answers that may be stale, in bytes, for all workspaces together.
const CAPACITY: u64 = 16 * 1024 * 1024;

/// An answer that was not requested for this long is dropped.
const IDLE_LIMIT: Duration = Duration::from_mins(2);

/// The most answers with a time to live of which it is known when they were read; of others it has passed.
const MOST_TIMED: usize = 10_000;

/// An answer that is kept apart, and when it was read.
#[derive(Clone)]
struct StaleAnswer {
    entry: Arc<CacheEntry>,
    read_at: Instant,
}

/// A cache that the dials bend.
pub struct BentCache {
    inner: Arc<dyn Cache>,
    board: Arc<DialBoard>,
    /// The answers of workspaces that skip invalidation, with the version of the dials since which they do.
    apart: Moka<(CacheKey, u64), StaleAnswer>,
    /// When answers of the inner cache were read, of workspaces where they have a time to live.
    read_at: Mutex<HashMap<CacheKey, Instant>>,
}

impl BentCache {
    /// Wraps a cache.
    pub fn new(inner: Arc<dyn Cache>, board: Arc<DialBoard>) -> Self {
        let weigh = |_: &(CacheKey, u64), answer: &StaleAnswer| {
            u32::try_from(answer.entry.bytes()).unwrap_or(u32::MAX)
        };
        Self {
            inner,
            board,
            apart: Moka::builder()
                .max_capacity(CAPACITY)
                .weigher(weigh)
                .time_to_idle(IDLE_LIMIT)
                .build(),
            read_at: Mutex::default(),
        }
    }

    /// The dials of a workspace, if they bend the cache.
    fn bent(&self, topic: &Topic) -> Option<Arc<Bent>> {
        let bent = self.board.of(workspace_of(topic))?;
        (bent.dials.cache != CacheDials::default()).then_some(bent)
    }

    fn read_at(&self) -> MutexGuard<'_, HashMap<CacheKey, Instant>> {
        // Each change is one step: a panic leaves it usable.
        self.read_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an answer is read now.
    fn note_read(&self, key: &CacheKey) {
        let mut read_at = self.read_at();
        if read_at.len() >= MOST_TIMED && !read_at.contains_key(key) {
            read_at.clear();
        }
        read_at.insert(key.clone(), Instant::now());
    }

    /// Whether an answer of the inner cache has reached its time to live. Without a note of when it was read,
    /// it has.
    fn has_expired(&self, key: &CacheKey, time_to_live: Duration) -> bool {
        let read_at = self.read_at().get(key).copied();
        read_at.is_none_or(|read_at| read_at.elapsed() >= time_to_live)
    }

    /// An answer that is kept apart, unless it has reached its time to live.
    async fn kept_apart(&self, key: &(CacheKey, u64), dials: &CacheDials) -> Option<StaleAnswer> {
        let answer = self.apart.get(key).await?;
        let time_to_live = time_to_live(dials);
        let is_used = time_to_live.is_none_or(|limit| answer.read_at.elapsed() < limit);
        is_used.then_some(answer)
    }

    /// An answer that no commit invalidates.
    async fn get_apart(
        &self,
        key: (CacheKey, u64),
        dials: &CacheDials,
        load: Load<'_>,
    ) -> Result<Arc<CacheEntry>, Arc<DocumentStoreError>> {
        if let Some(answer) = self.kept_apart(&key, dials).await {
            return Ok(answer.entry);
        }
        self.apart.invalidate(&key).await;
        let read = async move {
            let read_at = Instant::now();
            let loaded = load.await;
            loaded.map(|answer| StaleAnswer {
                entry: Arc::new(CacheEntry::new(answer)),
                read_at,
            })
        };
        let answer = self.apart.try_get_with(key, read).await;
        answer.map(|answer| answer.entry)
    }

    /// An answer of the inner cache, or a new one if its time to live has passed.
    async fn get_timed(
        &self,
        key: CacheKey,
        time_to_live: Duration,
        load: Load<'_>,
    ) -> Result<Arc<CacheEntry>, Arc<DocumentStoreError>> {
        if self.has_expired(&key, time_to_live) {
            self.inner.invalidate(std::slice::from_ref(&key.topic)).await;
        }
        let of_load = key.clone();
        let read = async move {
            self.note_read(&of_load);
            load.await
        };
        self.inner.get(key, Box::pin(read)).await
    }
}

impl fmt::Debug for BentCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BentCache")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Cache for BentCache {
    async fn get(&self, key: CacheKey, load: Load<'_>) -> Result<Arc<CacheEntry>, Arc<DocumentStoreError>> {
        let Some(bent) = self.bent(&key.topic) else {
            return self.inner.get(key, load).await;
        };
        let dials = &bent.dials.cache;
        if dials.off {
            let loaded = load.await;
            return loaded
                .map(|answer| Arc::new(CacheEntry::new(answer)))
                .map_err(Arc::new);
        }
        if dials.skip_invalidation {
            return self.get_apart((key, bent.cache_since), dials, load).await;
        }
        match time_to_live(dials) {
            Some(time_to_live) => self.get_timed(key, time_to_live, load).await,
            None => self.inner.get(key, load).await,
        }
    }

    async fn sent(&self, key: CacheKey, choose: Choose<'_>) -> Option<Arc<EncodedAnswer>> {
        let Some(bent) = self.bent(&key.topic) else {
            return self.inner.sent(key, choose).await;
        };
        let dials = &bent.dials.cache;
        if dials.off {
            return None;
        }
        if dials.skip_invalidation {
            let answer = self.kept_apart(&(key, bent.cache_since), dials).await?;
            return choose(&answer.entry);
        }
        if time_to_live(dials).is_some_and(|limit| self.has_expired(&key, limit)) {
            return None;
        }
        self.inner.sent(key, choose).await
    }

    async fn invalidate(&self, topics: &[Topic]) {
        self.inner.invalidate(topics).await;
    }

    async fn clear(&self) {
        self.inner.clear().await;
    }

    fn keeps(&self, workspace: WorkspaceId) -> bool {
        let is_off = self.board.of(workspace).is_some_and(|bent| bent.dials.cache.off);
        !is_off && self.inner.keeps(workspace)
    }
}

fn workspace_of(topic: &Topic) -> WorkspaceId {
    match topic {
        Topic::Document { workspace, .. } | Topic::Group { workspace, .. } => *workspace,
    }
}

fn time_to_live(dials: &CacheDials) -> Option<Duration> {
    dials.ttl_ms.map(|limit| Duration::from_millis(u64::from(limit)))
}

#[cfg(test)]
mod tests;
