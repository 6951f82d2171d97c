//! Loads aggregates: a snapshot and a short tail, or a state that is still in memory and only its tail.
//!
//! A cached state can be old: another process may write to the store. So nothing here promises the newest state; the
//! append's version check does, and a refusal needs a state that was asked for with [`Freshness::Read`].

use std::{any::Any, sync::Arc, time::Duration, time::Instant};

use domain::{
    decider::Decider,
    event::{DomainEvent, EventPayload, StoredEvent},
    id::{StreamName, WorkspaceId},
};
use event_store::{Direction, EventStore, Snapshot, StoreError};
use moka::future::Cache;

/// A snapshot is saved when so many events have come since the last.
const SNAPSHOT_EVERY: u64 = 50;

/// Events that are read at a time: every tail behind a snapshot, where snapshots have kept up.
const PAGE: u32 = 500;

/// How many states stay in memory.
const CACHED_STATES: u64 = 50_000;

/// How long a state of another aggregate than the one being decided on may be used unread. The append does not check
/// its version, so this bounds how old a price can be when another process has changed it.
const FOREIGN_MAX_AGE: Duration = Duration::from_millis(250);

/// How new a state must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// As in memory, if it is there.
    Cached,
    /// Read from the store now.
    Read,
}

/// A state and the version that it has folded.
#[derive(Debug)]
pub(super) struct Loaded<S> {
    pub(super) version: u64,
    pub(super) state: S,
    /// The version of the last snapshot that is known of.
    snapshot_version: u64,
    /// When the store was last asked.
    read_at: Instant,
}

type Key = (WorkspaceId, StreamName);

/// An aggregate whose events are in the registry of all events, so that they can be stored.
pub(super) trait Aggregate: Decider<Event: EventPayload> {}

impl<D: Decider<Event: EventPayload>> Aggregate for D {}

/// The aggregates of every workspace.
#[derive(Debug)]
pub(super) struct Aggregates {
    store: Arc<dyn EventStore>,
    /// One cache for all kinds of aggregates, so that one bound holds for all. A stream's category, and so its name,
    /// says which `Loaded<State>` lies behind it.
    states: Cache<Key, Arc<dyn Any + Send + Sync>>,
}

impl Aggregates {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            states: Cache::builder()
                .max_capacity(CACHED_STATES)
                .support_invalidation_closures()
                .build(),
        }
    }

    /// A workspace is there no more.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        let is_of_it = move |(of, _): &Key, _: &Arc<dyn Any + Send + Sync>| *of == workspace;
        // The closure is refused only by a cache that was built without support for it.
        if let Err(error) = self.states.invalidate_entries_if(is_of_it) {
            tracing::error!(%error, "states of a purged workspace stay until they are pushed out");
        }
    }

    /// The aggregate that a command is for.
    pub(super) async fn load<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        freshness: Freshness,
    ) -> Result<Arc<Loaded<D::State>>, StoreError> {
        match self.cached::<D>(workspace, stream).await {
            Some(loaded) if freshness == Freshness::Cached => Ok(loaded),
            known => self.read::<D>(workspace, stream, known).await,
        }
    }

    /// An aggregate that a decision about another one looks at.
    pub(super) async fn load_foreign<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        freshness: Freshness,
    ) -> Result<Arc<Loaded<D::State>>, StoreError> {
        match self.cached::<D>(workspace, stream).await {
            Some(loaded) if freshness == Freshness::Cached && loaded.read_at.elapsed() < FOREIGN_MAX_AGE => {
                Ok(loaded)
            }
            known => self.read::<D>(workspace, stream, known).await,
        }
    }

    /// Notes that `events` were appended to `loaded`.
    pub(super) async fn advance<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        loaded: &Loaded<D::State>,
        events: &[&D::Event],
    ) {
        let next = Loaded {
            version: loaded.version + events.len() as u64,
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
    ) -> Option<Arc<Loaded<D::State>>> {
        let state = self.states.get(&(workspace, stream.clone())).await?;
        state.downcast().ok()
    }

    /// Reads what the store has behind `known`.
    async fn read<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        known: Option<Arc<Loaded<D::State>>>,
    ) -> Result<Arc<Loaded<D::State>>, StoreError> {
        let read_at = Instant::now();
        let mut loaded = match known {
            Some(known) => Loaded {
                version: known.version,
                state: known.state.clone(),
                snapshot_version: known.snapshot_version,
                read_at,
            },
            None => Loaded {
                version: 0,
                state: D::State::default(),
                snapshot_version: 0,
                read_at,
            },
        };
        let mut events = if loaded.version == 0 {
            self.first_look::<D>(workspace, stream, &mut loaded).await?
        } else {
            self.page(workspace, stream, loaded.version).await?
        };
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

    /// Events behind a version.
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

    /// The events to begin with, and, where they are not the stream's first ones, the state before them. The snapshot comes
    /// after the events, and so may be newer than they are, but not older: nothing is missing between them. One that cannot
    /// be read is no snapshot: the events are all still there.
    async fn first_look<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        loaded: &mut Loaded<D::State>,
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
        mut loaded: Loaded<D::State>,
    ) -> Arc<Loaded<D::State>> {
        if loaded.version >= loaded.snapshot_version + SNAPSHOT_EVERY {
            loaded.snapshot_version = loaded.version;
            self.save_snapshot::<D>(workspace, stream, &loaded);
        }
        let loaded = Arc::new(loaded);
        // Two that read the same stream may come here in either order. The older one must not stay; if it does by a
        // hair, the version check finds out.
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

    /// Beside the command, which does not wait for it: a snapshot that is not saved is only a longer tail.
    fn save_snapshot<D: Aggregate>(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        loaded: &Loaded<D::State>,
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

/// The event as the aggregate knows it.
fn typed<D: Aggregate>(event: &StoredEvent) -> Result<D::Event, StoreError> {
    let at = || format!("event {} of stream {}", event.version, event.stream);
    let domain_event = DomainEvent::decode(&event.event_type, event.schema_version, &event.payload)
        .map_err(|error| StoreError::Corrupt(format!("{}: {error}", at())))?;
    D::Event::from_domain(&domain_event)
        .cloned()
        .ok_or_else(|| StoreError::Corrupt(format!("{}: {} does not belong there", at(), event.event_type)))
}
