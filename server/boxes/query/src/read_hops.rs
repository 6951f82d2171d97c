//! The hops of a query: to the cache, and to the read model for what the cache does not have.

use std::sync::{Arc, Mutex, PoisonError};

use cache::{Cache, CacheEntry, CacheKey, CachedAnswer};
use documents::DocumentStoreError;
use domain::{
    id::WorkspaceId,
    wire::hops::{Arrow, HopOutcome},
};
use telemetry::{
    hop_span,
    hops::{self, HopSpan as _},
};
use tracing::{Instrument as _, Level, Span};

/// Looks an answer up in the cache, which loads what it does not have. Where the workspace is watched, the
/// look-up is a hop, and on a miss the read and the answer's way into the cache are two more. Past a cache
/// that keeps no answers of the workspace, the read is the only one.
pub(super) async fn look_up(
    cache: &dyn Cache,
    workspace: WorkspaceId,
    view: &str,
    key: CacheKey,
    load: impl Future<Output = Result<CachedAnswer, DocumentStoreError>> + Send,
) -> Result<Arc<CacheEntry>, Arc<DocumentStoreError>> {
    if !hops::is_watched(workspace) {
        return cache.get(key, Box::pin(load)).await;
    }
    let is_kept = cache.keeps(workspace);
    let span_of = |arrow: Arrow| is_kept.then(|| cache_span(workspace, view, arrow));
    // The hop that is under way: of the look-up, and after the read that of the answer into the cache.
    let current = Mutex::new(span_of(Arrow::CacheLookup));
    let exchange = |next: Option<Span>| {
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, next)
    };
    let load = async {
        drop(exchange(None));
        let span = hop_span!(Level::DEBUG, "Read Model Database");
        span.lane(view);
        let read = load.instrument(span.clone()).await;
        if read.is_err() {
            span.outcome(HopOutcome::Refused);
        }
        span.hop(workspace, Arrow::QueryProjection);
        drop(span);
        if read.is_ok() {
            exchange(span_of(Arrow::CacheSet));
        }
        read
    };
    let answer = cache.get(key, Box::pin(load)).await;
    drop(exchange(None));
    answer
}

fn cache_span(workspace: WorkspaceId, view: &str, arrow: Arrow) -> Span {
    let span = hop_span!(Level::DEBUG, "Cache");
    span.lane(view).hop(workspace, arrow);
    span
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use async_trait::async_trait;
    use cache::{Choose, EncodedAnswer, Load, Topic, in_process::InProcessCache};
    use domain::{token::ConsistencyToken, wire::Hop};
    use telemetry::hops::{HopSink, install_for_tests, watch};
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, Default)]
    struct Hops(Mutex<Vec<Hop>>);

    impl Hops {
        fn arrows(&self) -> Vec<(Arrow, HopOutcome)> {
            let mut hops = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
            assert!(hops.iter().all(|hop| hop.lane.as_deref() == Some("orders")));
            assert!(hops.iter().all(|hop| hop.event_id.is_none()));
            hops.sort_by_key(|hop| hop.started_at);
            hops.iter().map(|hop| (hop.arrow, hop.outcome)).collect()
        }
    }

    impl HopSink for Hops {
        fn record(&self, hop: Hop) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(hop);
        }
    }

    fn workspace(number: u128) -> WorkspaceId {
        install_for_tests();
        WorkspaceId(Uuid::from_u128(number))
    }

    fn key(workspace: WorkspaceId) -> CacheKey {
        CacheKey {
            topic: Topic::Document {
                workspace,
                view: "orders",
                key: "1".to_owned(),
            },
            page: None,
        }
    }

    fn answer() -> Ready<Result<CachedAnswer, DocumentStoreError>> {
        ready(Ok(CachedAnswer {
            rows: Vec::new(),
            more: false,
            as_of: ConsistencyToken::at(0, 1),
            generation: 1,
        }))
    }

    #[tokio::test]
    async fn a_miss_reads_the_read_model_and_fills_the_cache_and_a_hit_does_neither() {
        let (cache, watched) = (InProcessCache::new(), workspace(21));
        let hops = Arc::<Hops>::default();
        let _watch = watch(watched, hops.clone());
        look_up(&cache, watched, "orders", key(watched), answer())
            .await
            .unwrap();
        let done = |arrow| (arrow, HopOutcome::Done);
        assert_eq!(
            hops.arrows(),
            [
                done(Arrow::CacheLookup),
                done(Arrow::QueryProjection),
                done(Arrow::CacheSet)
            ]
        );
        look_up(&cache, watched, "orders", key(watched), answer())
            .await
            .unwrap();
        assert_eq!(hops.arrows(), [done(Arrow::CacheLookup)]);
    }

    /// A cache that keeps nothing.
    #[derive(Debug)]
    struct NoCache;

    #[async_trait]
    impl Cache for NoCache {
        async fn get(&self, _: CacheKey, load: Load<'_>) -> Result<Arc<CacheEntry>, Arc<DocumentStoreError>> {
            let loaded = load.await;
            loaded
                .map(|answer| Arc::new(CacheEntry::new(answer)))
                .map_err(Arc::new)
        }

        async fn sent(&self, _: CacheKey, _: Choose<'_>) -> Option<Arc<EncodedAnswer>> {
            None
        }

        async fn invalidate(&self, _: &[Topic]) {}

        async fn clear(&self) {}

        fn keeps(&self, _: WorkspaceId) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn past_a_cache_that_keeps_nothing_a_query_only_reads() {
        let watched = workspace(25);
        let hops = Arc::<Hops>::default();
        let _watch = watch(watched, hops.clone());
        for _ in 0..2 {
            look_up(&NoCache, watched, "orders", key(watched), answer())
                .await
                .unwrap();
            assert_eq!(hops.arrows(), [(Arrow::QueryProjection, HopOutcome::Done)]);
        }
    }

    #[tokio::test]
    async fn a_read_that_fails_fills_no_cache() {
        let (cache, watched) = (InProcessCache::new(), workspace(22));
        let hops = Arc::<Hops>::default();
        let _watch = watch(watched, hops.clone());
        let failing = async { Err(DocumentStoreError::Unavailable("it is gone".to_owned())) };
        assert!(
            look_up(&cache, watched, "orders", key(watched), failing)
                .await
                .is_err()
        );
        assert_eq!(
            hops.arrows(),
            [
                (Arrow::CacheLookup, HopOutcome::Done),
                (Arrow::QueryProjection, HopOutcome::Refused)
            ]
        );
    }

    #[tokio::test]
    async fn an_answer_of_a_workspace_that_is_not_watched_is_the_same_and_makes_no_hop() {
        let (cache, watched, other) = (InProcessCache::new(), workspace(23), workspace(24));
        let hops = Arc::<Hops>::default();
        let _watch = watch(watched, hops.clone());
        let found = look_up(&cache, other, "orders", key(other), answer())
            .await
            .unwrap();
        assert_eq!(found.generation, 1);
        assert_eq!(hops.arrows(), []);
    }
}
