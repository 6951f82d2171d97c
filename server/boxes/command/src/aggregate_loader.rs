//! The aggregate loader: loads the state of an aggregate from a snapshot, or from its cache, and folds the
//! events after it.
//!
//! A cached state can be out of date: another server may write to the store. So nothing here promises the
//! newest state. The append's version check does, and a refusal needs a state that was loaded with
//! [`Freshness::Read`].

use std::{any::Any, sync::Arc, time::Duration, time::Instant};

use domain::{
    decider::Decider,
    event::{DomainEvent, EventPayload, StoredEvent},
    id::{StreamName, WorkspaceId},
};
use event_store::{Direction, EventStore, Snapshot, StoreError, StreamAppendAnswer};
use moka::future::Cache;

/// The number of events after the last snapshot at which a new one is saved.
const SNAPSHOT_EVERY: u64 = 50;

/// Events that are read at a time: the whole tail after a snapshot, if snapshots are up to date.
const PAGE: u32 = 500;

/// The most cached states.
const CACHED_STATES: u64 = 50_000;

/// How long a cached state of an aggregate other than the command's own may be used. The append does not
/// check its version, so this bounds the age of a price that another server has changed.
const FOREIGN_MAX_AGE: Duration = Duration::from_millis(250);

/// How new a state must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// The cached state, if there is one.
    Cached,
    /// The state after reading from the store.
    Read,
}

/// The state of an aggregate, and the stream's version that it has folded.
#[derive(Debug)]
pub(super) struct LoadedAggregate<S> {
    pub(super) version: u64,
    pub(super) state: S,
    /// The version of the last snapshot that was read or saved.
    snapshot_version: u64,
    /// When the store was last read.
    read_at: Instant,
}

type Key = (WorkspaceId, StreamName);

/// An aggregate with events from the registry of all events, so that they can be stored.
pub(super) trait Aggregate: Decider<Event: EventPayload> {}

impl<D: Decider<Event: EventPayload>> Aggregate for D {}

/// Loads the aggregates of every workspace, and caches their states.
#[derive(Debug)]
pub(super) struct AggregateLoader {
    store: Arc<dyn EventStore>,
    /// One cache for all kinds of aggregates, so that one bound holds for all. The category in a stream's
    /// name determines the type of its `LoadedAggregate<State>`.
    states: Cache<Key, Arc<dyn Any + Send + Sync>>,
}

impl AggregateLoader {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            states: Cache::builder()
                .max_capacity(CACHED_STATES)
                .support_invalidation_closures()
                .build(),
        }
    }

    /// Removes the cached states of a workspace that has ended.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        let is_of_it = move |(of, _): &Key, _: &Arc<dyn Any + Send + Sync>| *of == workspace;
        // Only a cache that was built without support for closures refuses one.
        if let Err(error) = self.states.invalidate_entries_if(is_of_it) {
            tracing::error!(%error, "states of a purged workspace stay in memory until they are evicted");
        }
    }

    /// The aggregate that a command is for.
    pub(super) async fn load<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        freshness: Freshness,
    ) -> Result<Arc<LoadedAggregate<D::State>>, StoreError> {
        match self.cached::<D>(workspace, stream).await {
            Some(loaded) if freshness == Freshness::Cached => Ok(loaded),
            cached => self.read::<D>(workspace, stream, cached).await,
        }
    }

    /// An aggregate that a decision about another one reads.
    pub(super) async fn load_foreign<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        freshness: Freshness,
    ) -> Result<Arc<LoadedAggregate<D::State>>, StoreError> {
        match self.cached::<D>(workspace, stream).await {
            Some(loaded) if freshness == Freshness::Cached && loaded.read_at.elapsed() < FOREIGN_MAX_AGE => {
                Ok(loaded)
            }
            cached => self.read::<D>(workspace, stream, cached).await,
        }
    }

    /// Caches the state after `events` were appended to `loaded`. Where others were appended in between, the
    /// state is not known, and is read the next time.
    pub(super) async fn advance<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        appended: &StreamAppendAnswer,
        loaded: &LoadedAggregate<D::State>,
        events: &[&D::Event],
    ) {
        let (stream, version) = (&appended.stream, loaded.version + events.len() as u64);
        if appended.version != version {
            self.states.invalidate(&(workspace, stream.clone())).await;
            return;
        }
        let next = LoadedAggregate {
            version,
            state: events
                .iter()
                .fold(loaded.state.clone(), |state, event| D::evolve(state, event)),
            snapshot_version: loaded.snapshot_version,
            read_at: Instant::now(),
        };
        self.keep::<D>(workspace, stream, next).await;
    }

    async fn cached<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
    ) -> Option<Arc<LoadedAggregate<D::State>>> {
        let state = self.states.get(&(workspace, stream.clone())).await?;
        state.downcast().ok()
    }

    /// Reads the events after `cached` from the store.
    async fn read<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        cached: Option<Arc<LoadedAggregate<D::State>>>,
    ) -> Result<Arc<LoadedAggregate<D::State>>, StoreError> {
        let read_at = Instant::now();
        let mut loaded = match cached {
            Some(cached) => LoadedAggregate {
                version: cached.version,
                state: cached.state.clone(),
                snapshot_version: cached.snapshot_version,
                read_at,
            },
            None => LoadedAggregate {
                version: 0,
                state: D::State::default(),
                snapshot_version: 0,
                read_at,
            },
        };
        let mut events = Vec::new();
        if loaded.version > 0 {
            // With the newest event that was folded: a log that was restored from a backup may not have it.
            events = self.page(workspace, stream, loaded.version - 1).await?;
            if events.first().map(|event| event.version) != Some(loaded.version) {
                tracing::warn!(
                    %stream, loaded.version,
                    "a cached state is ahead of its stream, and is loaded again"
                );
                loaded.version = 0;
                loaded.state = D::State::default();
                loaded.snapshot_version = 0;
                self.states.invalidate(&(workspace, stream.clone())).await;
            }
        }
        if loaded.version == 0 {
            events = self
                .load_snapshot_and_tail::<D>(workspace, stream, &mut loaded)
                .await?;
        }
        loop {
            let is_last = events.len() < PAGE as usize;
            for event in &events {
                if event.version > loaded.version {
                    loaded.state = D::evolve(loaded.state, &typed::<D>(event)?);
                    loaded.version = event.version;
                }
            }
            if is_last {
                break;
            }
            events = self.page(workspace, stream, loaded.version).await?;
        }
        Ok(self.keep::<D>(workspace, stream, loaded).await)
    }

    /// A page of events after a version.
    async fn page(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        version: u64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.store
            .read_stream(workspace, stream, version + 1, Direction::Forwards, PAGE)
            .await
    }

    /// Returns the first page of events to fold; if they do not begin at version 1, sets `loaded` to the
    /// snapshot before them. The snapshot is read after the events, so it may be newer than they are, but
    /// never older: no event is missing between them. If it cannot be read, the events are folded from the
    /// first one on.
    async fn load_snapshot_and_tail<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        loaded: &mut LoadedAggregate<D::State>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let tail = self
            .store
            .read_tail(workspace, stream, D::SNAPSHOT_VERSION, PAGE)
            .await?;
        if tail.first().is_none_or(|first| first.version == 1) {
            return Ok(tail);
        }
        if let Some(snapshot) = self.store.snapshot(workspace, stream).await?
            && snapshot.schema_version == D::SNAPSHOT_VERSION
            && let Ok(state) = serde_json::from_str(snapshot.state.get())
        {
            loaded.state = state;
            loaded.version = snapshot.version;
            loaded.snapshot_version = snapshot.version;
            return Ok(tail);
        }
        self.page(workspace, stream, 0).await
    }

    async fn keep<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        mut loaded: LoadedAggregate<D::State>,
    ) -> Arc<LoadedAggregate<D::State>> {
        if loaded.version >= loaded.snapshot_version + SNAPSHOT_EVERY {
            loaded.snapshot_version = loaded.version;
            self.save_snapshot::<D>(workspace, stream, &loaded);
        }
        let loaded = Arc::new(loaded);
        // Two readers of one stream may come here in either order, and the older state must not stay. If it
        // does, the version check of the append finds out.
        let newer = self
            .cached::<D>(workspace, stream)
            .await
            .filter(|cached| cached.version > loaded.version);
        if newer.is_none() {
            let state: Arc<dyn Any + Send + Sync> = loaded.clone();
            self.states.insert((workspace, stream.clone()), state).await;
        }
        loaded
    }

    /// Saves a snapshot in the background: without it, only the tail is longer.
    fn save_snapshot<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        loaded: &LoadedAggregate<D::State>,
    ) {
        let Ok(state) = serde_json::value::to_raw_value(&loaded.state) else {
            return;
        };
        let snapshot = Snapshot {
            version: loaded.version,
            schema_version: D::SNAPSHOT_VERSION,
            state,
        };
        let (store, stream) = (Arc::clone(&self.store), stream.clone());
        tokio::spawn(async move {
            if let Err(error) = store.save_snapshot(workspace, &stream, &snapshot).await {
                tracing::warn!(%stream, snapshot.version, %error, "a snapshot was not saved");
            }
        });
    }
}

/// The event as a type of the aggregate.
fn typed<D: Aggregate>(event: &StoredEvent) -> Result<D::Event, StoreError> {
    let at = || format!("event {} of stream {}", event.version, event.stream);
    let domain_event = DomainEvent::decode(&event.event_type, event.schema_version, &event.payload)
        .map_err(|error| StoreError::Corrupt(format!("{}: {error}", at())))?;
    D::Event::from_domain(&domain_event)
        .cloned()
        .ok_or_else(|| StoreError::Corrupt(format!("{}: {} does not belong there", at(), event.event_type)))
}
