//! A bent cache over the cache of this process: which answers it loads, in paused time.

use std::sync::atomic::{AtomicU64, Ordering};

use cache::{CachedAnswer, Form, VisibleRows, in_process::InProcessCache};
use domain::{token::ConsistencyToken, wire::Dials};
use tokio::time::advance;
use uuid::Uuid;

use super::*;

const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
const OTHER: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

/// A cache, and a read model whose answers are numbered in the order in which they are read.
struct Fixture {
    board: Arc<DialBoard>,
    cache: BentCache,
    version: u64,
    reads: AtomicU64,
}

impl Fixture {
    fn new() -> Self {
        let board = Arc::new(DialBoard::default());
        Self {
            cache: BentCache::new(Arc::new(InProcessCache::new()), Arc::clone(&board)),
            board,
            version: 0,
            reads: AtomicU64::new(0),
        }
    }

    fn bend(&mut self, cache: CacheDials) {
        self.version += 1;
        let dials = Dials {
            cache,
            ..Dials::default()
        };
        assert!(self.board.show(CLASS, self.version, dials));
    }

    fn reset(&mut self) {
        self.bend(CacheDials::default());
    }

    async fn entry(&self, workspace: WorkspaceId, document: &str) -> Arc<CacheEntry> {
        let load = async {
            let read = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
            Ok(CachedAnswer {
                rows: Vec::new(),
                more: false,
                as_of: ConsistencyToken::at(0, read),
                generation: 1,
            })
        };
        let entry = self.cache.get(key(workspace, document), Box::pin(load));
        entry.await.unwrap()
    }

    /// The number of the answer that a query gets.
    async fn get(&self, workspace: WorkspaceId) -> u64 {
        self.entry(workspace, "mug-1").await.as_of.position(0)
    }

    /// The bytes that were kept with an answer.
    async fn sent(&self, workspace: WorkspaceId) -> Option<Arc<EncodedAnswer>> {
        let choose = |entry: &CacheEntry| entry.sent(form(), 1);
        self.cache.sent(key(workspace, "mug-1"), &choose).await
    }

    /// Keeps bytes with the answer that a query gets.
    async fn keep(&self, workspace: WorkspaceId) {
        let answer = Arc::new(EncodedAnswer::new(b"{\"data\":1", b"}"));
        let entry = self.entry(workspace, "mug-1").await;
        entry.keep(form(), 1, &answer);
    }

    /// A commit has changed the document in both workspaces.
    async fn invalidate(&self) {
        let topics = [CLASS, OTHER].map(|workspace| key(workspace, "mug-1").topic);
        self.cache.invalidate(&topics).await;
    }
}

fn key(workspace: WorkspaceId, document: &str) -> CacheKey {
    CacheKey {
        topic: Topic::Document {
            workspace,
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

fn time_to_live_of(millis: u32) -> CacheDials {
    CacheDials {
        ttl_ms: Some(millis),
        ..CacheDials::default()
    }
}

fn skipping() -> CacheDials {
    CacheDials {
        skip_invalidation: true,
        ..CacheDials::default()
    }
}

#[tokio::test]
async fn a_cache_that_is_off_loads_each_answer_and_keeps_none() {
    let mut fixture = Fixture::new();
    assert_eq!((fixture.get(CLASS).await, fixture.get(OTHER).await), (1, 2));
    assert_eq!((fixture.get(CLASS).await, fixture.get(OTHER).await), (1, 2));
    fixture.bend(CacheDials {
        off: true,
        ..CacheDials::default()
    });
    assert!(!fixture.cache.keeps(CLASS) && fixture.cache.keeps(OTHER));
    fixture.keep(CLASS).await;
    assert!(fixture.sent(CLASS).await.is_none());
    assert_eq!((fixture.get(CLASS).await, fixture.get(CLASS).await), (4, 5));
    fixture.keep(OTHER).await;
    assert!(fixture.sent(OTHER).await.is_some());
    assert_eq!(fixture.get(OTHER).await, 2);
    // What was kept before has been invalidated as ever.
    fixture.invalidate().await;
    fixture.reset();
    assert!(fixture.cache.keeps(CLASS));
    assert_eq!((fixture.get(CLASS).await, fixture.get(CLASS).await), (6, 6));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_used_until_its_time_to_live_has_passed() {
    let mut fixture = Fixture::new();
    assert_eq!((fixture.get(CLASS).await, fixture.get(OTHER).await), (1, 2));
    fixture.bend(time_to_live_of(1_000));
    // When it was read is not known.
    assert_eq!((fixture.get(CLASS).await, fixture.get(OTHER).await), (3, 2));
    fixture.keep(CLASS).await;
    advance(Duration::from_millis(999)).await;
    assert_eq!(fixture.get(CLASS).await, 3);
    assert!(fixture.sent(CLASS).await.is_some());
    advance(Duration::from_millis(1)).await;
    assert!(fixture.sent(CLASS).await.is_none());
    assert_eq!((fixture.get(CLASS).await, fixture.get(CLASS).await), (4, 4));
    assert_eq!(fixture.get(OTHER).await, 2);
    // A commit invalidates it before.
    fixture.invalidate().await;
    assert_eq!((fixture.get(CLASS).await, fixture.get(CLASS).await), (5, 5));
    fixture.reset();
    advance(Duration::from_mins(1)).await;
    assert_eq!(fixture.get(CLASS).await, 5);
    fixture.bend(time_to_live_of(0));
    assert_eq!((fixture.get(CLASS).await, fixture.get(CLASS).await), (6, 7));
}

#[tokio::test]
async fn answers_that_no_commit_invalidates_grow_stale_and_none_is_left_once_the_dial_is_at_rest() {
    let mut fixture = Fixture::new();
    assert_eq!((fixture.get(CLASS).await, fixture.get(OTHER).await), (1, 2));
    fixture.bend(skipping());
    assert_eq!(fixture.get(CLASS).await, 3);
    fixture.keep(CLASS).await;
    fixture.invalidate().await;
    fixture.cache.clear().await;
    assert_eq!(fixture.get(CLASS).await, 3);
    assert!(fixture.sent(CLASS).await.is_some());
    assert_eq!(fixture.get(OTHER).await, 4);
    // Another dial leaves them as they are.
    fixture.version += 1;
    let dials = Dials {
        cache: skipping(),
        seed: 7,
        ..Dials::default()
    };
    fixture.board.show(CLASS, fixture.version, dials);
    assert_eq!(fixture.get(CLASS).await, 3);
    fixture.reset();
    assert_eq!((fixture.get(CLASS).await, fixture.get(CLASS).await), (5, 5));
    fixture.invalidate().await;
    assert_eq!(fixture.get(CLASS).await, 6);
    // Nor does a later turn of the dial find what was stale before.
    fixture.bend(skipping());
    assert_eq!(fixture.get(CLASS).await, 7);
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_has_a_time_to_live_too() {
    let mut fixture = Fixture::new();
    fixture.bend(CacheDials {
        ttl_ms: Some(1_000),
        ..skipping()
    });
    assert_eq!(fixture.get(CLASS).await, 1);
    fixture.keep(CLASS).await;
    advance(Duration::from_millis(999)).await;
    fixture.invalidate().await;
    assert_eq!(fixture.get(CLASS).await, 1);
    assert!(fixture.sent(CLASS).await.is_some());
    advance(Duration::from_millis(1)).await;
    assert!(fixture.sent(CLASS).await.is_none());
    assert_eq!((fixture.get(CLASS).await, fixture.get(CLASS).await), (2, 2));
}

#[tokio::test]
async fn what_is_known_of_timed_answers_is_bounded() {
    let mut fixture = Fixture::new();
    fixture.bend(time_to_live_of(60_000));
    for n in 0..=MOST_TIMED {
        fixture.entry(CLASS, &n.to_string()).await;
    }
    let noted = fixture.cache.read_at().len();
    assert!((1..=MOST_TIMED).contains(&noted), "{noted}");
}

#[tokio::test]
async fn a_read_that_fails_is_no_answer_however_the_cache_is_bent() {
    let mut fixture = Fixture::new();
    let off = CacheDials {
        off: true,
        ..CacheDials::default()
    };
    for dials in [off, skipping(), time_to_live_of(60_000)] {
        fixture.bend(dials);
        let gone = DocumentStoreError::Unavailable("it is gone".to_owned());
        let load = async { Err::<CachedAnswer, _>(gone) };
        let failed = fixture.cache.get(key(CLASS, "mug-1"), Box::pin(load)).await;
        assert!(failed.is_err(), "{dials:?}");
        let read = fixture.reads.load(Ordering::Relaxed);
        assert_eq!(fixture.get(CLASS).await, read + 1, "{dials:?}");
    }
}
