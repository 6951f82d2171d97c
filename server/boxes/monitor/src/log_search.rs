//! Searches in the log for people: newest events first, by type, time and version; one event by its id; and
//! what led to an event and what it led to.
//!
//! A search reads a bounded number of events at a time, and says from where the next one goes on. Within a
//! partition the times of events never go back, so an instant is found by halving.

use std::collections::VecDeque;

use domain::{
    access::Role,
    event::{StoredEvent, time_of_id},
    id::WorkspaceId,
    timestamp::Timestamp,
    token::ConsistencyToken,
};
use event_store::{EventFilter, EventStore, StoreError};
use uuid::Uuid;

/// Events that are read at a time, going backwards.
const WINDOW: u32 = 500;

/// How often a search reads a partition for one page.
const MOST_READS: usize = 20;

/// How many events around the time of an id are searched for it: ids are made before events have their
/// positions.
const AROUND: u64 = 1_000;

/// How many events around that time are read first.
const NEAR: u64 = 50;

/// How many events of an intention are read for causes and effects.
const MOST_RELATIVES: u32 = 500;

/// How many causes are followed, one after the other.
const MOST_CAUSES: usize = 100;

/// Which events of a workspace a person looks for. A member that is `None` does not restrict them.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Their type, correlation and category.
    pub filter: EventFilter,
    /// Only what people did: no effects of other events, and nothing of the workspace's template.
    pub people: bool,
    /// Their version in the stream.
    pub version: Option<u64>,
    /// They were recorded at this time or later.
    pub since: Option<Timestamp>,
    /// They were recorded at this time or earlier.
    pub until: Option<Timestamp>,
}

impl LogQuery {
    /// Whether an event is one of them.
    pub fn matches(&self, event: &StoredEvent) -> bool {
        let EventFilter {
            event_type,
            correlation_id,
            category,
        } = &self.filter;
        let of_filter = event_type.as_ref().is_none_or(|name| *name == event.event_type)
            && correlation_id.is_none_or(|id| id == event.metadata.correlation_id)
            && category
                .as_deref()
                .is_none_or(|name| name == event.stream.category());
        of_filter && self.passes_here(event)
    }

    /// Whether an event passes what the event store does not select by.
    pub(crate) fn passes_here(&self, event: &StoredEvent) -> bool {
        (!self.people || is_of_person(event))
            && self.version.is_none_or(|version| version == event.version)
            && self.since.is_none_or(|since| since <= event.recorded_at)
            && self.until.is_none_or(|until| event.recorded_at <= until)
    }

    /// Whether the event store selects by less than this.
    pub(crate) fn is_filtered_here(&self) -> bool {
        self.people || self.version.is_some() || self.since.is_some() || self.until.is_some()
    }

    /// Whether the event store has an index that leads to these events.
    fn is_indexed(&self) -> bool {
        self.filter.event_type.is_some() || self.filter.correlation_id.is_some()
    }
}

/// Whether a person brought an event about: no other event did, and not the template of the workspace.
fn is_of_person(event: &StoredEvent) -> bool {
    let metadata = &event.metadata;
    metadata.causation_id.is_none() && metadata.actor.role != Role::System && !event.is_of_template()
}

/// A search in the log of one workspace.
pub(crate) struct LogSearch<'a> {
    pub(crate) store: &'a dyn EventStore,
    pub(crate) workspace: WorkspaceId,
}

/// The newest events of one partition that were found, newest first.
pub(crate) struct FoundEvents {
    pub(crate) partition: u32,
    pub(crate) events: VecDeque<StoredEvent>,
    /// The position up to which the partition is not searched yet.
    pub(crate) unsearched: u64,
    /// The position up to which it need not be searched.
    floor: u64,
}

impl FoundEvents {
    /// The position up to which the next page searches.
    fn next(&self) -> u64 {
        self.events
            .front()
            .map_or(self.unsearched, |event| event.position)
    }
}

/// The newest event of the partitions, which is taken off them.
pub(crate) fn take_newest(found: &mut [FoundEvents]) -> Option<StoredEvent> {
    let newest = found
        .iter_mut()
        .filter(|of_partition| !of_partition.events.is_empty())
        .max_by_key(|of_partition| of_partition.events.front().map(|event| event.recorded_at))?;
    newest.events.pop_front()
}

/// Gives an event back that was taken off the partitions last.
pub(crate) fn give_back(found: &mut [FoundEvents], event: StoredEvent) {
    let mut partitions = found.iter_mut();
    if let Some(of_partition) = partitions.find(|of_partition| of_partition.partition == event.partition) {
        of_partition.events.push_front(event);
    }
}

/// Where the next page goes on; `None`: nothing is left.
pub(crate) fn rest_of(found: &[FoundEvents]) -> Option<ConsistencyToken> {
    let has_more = found
        .iter()
        .any(|of_partition| of_partition.next() > of_partition.floor);
    has_more.then(|| {
        let positions = found
            .iter()
            .map(|of_partition| (of_partition.partition, of_partition.next()));
        positions.collect()
    })
}

impl LogSearch<'_> {
    /// The newest events of each partition, up to a token or to the head, at most `wanted` of each.
    pub(crate) async fn newest(
        &self,
        query: &LogQuery,
        to: Option<&ConsistencyToken>,
        wanted: u32,
    ) -> Result<Vec<FoundEvents>, StoreError> {
        let head = self.store.head(self.workspace).await?;
        let mut found = Vec::new();
        for (partition, end) in head.iter() {
            let end = to.map_or(end, |to| to.position(partition).min(end));
            found.push(
                self.newest_of_partition(query, &head, (partition, end), wanted)
                    .await?,
            );
        }
        Ok(found)
    }

    async fn newest_of_partition(
        &self,
        query: &LogQuery,
        head: &ConsistencyToken,
        (partition, end): (u32, u64),
        wanted: u32,
    ) -> Result<FoundEvents, StoreError> {
        let floor = match query.since {
            Some(since) => {
                self.count_before(partition, end, &|event| event.recorded_at < since)
                    .await?
            }
            None => 0,
        };
        let mut to = match query.until {
            Some(until) => {
                self.count_before(partition, end, &|event| event.recorded_at <= until)
                    .await?
            }
            None => end,
        };
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let (mut events, mut window) = (VecDeque::new(), u64::from(WINDOW));
        for _ in 0..MOST_READS {
            if to <= floor || events.len() >= wanted {
                break;
            }
            let after = to.saturating_sub(window).max(floor);
            let read = self.window(query, head, (partition, after)).await?;
            let is_full = u64::try_from(read.len()).is_ok_and(|read| read >= u64::from(WINDOW));
            let ends_before = read.last().is_some_and(|event| event.position < to);
            if is_full && ends_before && window > u64::from(WINDOW) {
                // It has more than were read: the newest ones are in a smaller window.
                window = (window / 8).max(u64::from(WINDOW));
                continue;
            }
            let is_in = |event: &StoredEvent| event.position <= to && query.matches(event);
            let before = events.len();
            events.extend(read.into_iter().filter(is_in).rev());
            if query.is_indexed() && events.len() == before {
                window = window.saturating_mul(4);
            }
            to = after;
        }
        let is_cut = events.len() > wanted;
        events.truncate(wanted);
        let last = events
            .back()
            .map(|event: &StoredEvent| event.position.saturating_sub(1));
        Ok(FoundEvents {
            partition,
            unsearched: last.filter(|_| is_cut).unwrap_or(to),
            events,
            floor,
        })
    }

    /// Events of one partition after a position, oldest first; those of the type or the correlation if the
    /// query has one.
    async fn window(
        &self,
        query: &LogQuery,
        head: &ConsistencyToken,
        (partition, after): (u32, u64),
    ) -> Result<Vec<StoredEvent>, StoreError> {
        if !query.is_indexed() {
            let read = self
                .store
                .read_partition(self.workspace, partition, after, WINDOW);
            return read.await;
        }
        // The other partitions end at their heads.
        let of_others = |(other, head)| (other, if other == partition { after } else { head });
        let from: ConsistencyToken = head.iter().map(of_others).collect();
        let read = self
            .store
            .read_events(self.workspace, &query.filter, &from, WINDOW);
        let (mut events, _) = read.await?;
        // They may have got new events since.
        events.retain(|event| event.partition == partition);
        Ok(events)
    }

    /// The number of events at the beginning of a partition, of its first `end` events, that are before an
    /// instant.
    async fn count_before(
        &self,
        partition: u32,
        end: u64,
        is_before: &(dyn Fn(&StoredEvent) -> bool + Sync),
    ) -> Result<u64, StoreError> {
        let (mut low, mut high) = (0, end);
        while low < high {
            let middle = low + (high - low) / 2;
            let read = self.store.read_partition(self.workspace, partition, middle, 1);
            if read.await?.first().is_some_and(is_before) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Where reading forwards begins: after the token, and not before the time of the query.
    pub(crate) async fn beginning(
        &self,
        query: &LogQuery,
        after: &ConsistencyToken,
    ) -> Result<ConsistencyToken, StoreError> {
        let mut token = after.clone();
        if let Some(since) = query.since {
            for (partition, end) in self.store.head(self.workspace).await?.iter() {
                let is_before = |event: &StoredEvent| event.recorded_at < since;
                token.advance(partition, self.count_before(partition, end, &is_before).await?);
            }
        }
        Ok(token)
    }

    /// The event with this id. The time in the id leads to its place; an event whose id was made long before
    /// or after its neighbours' is found in a log of a few hundred events only.
    pub(crate) async fn event(&self, id: Uuid) -> Result<Option<StoredEvent>, StoreError> {
        let head = self.store.head(self.workspace).await?;
        let mut places = Vec::new();
        for (partition, end) in head.iter() {
            let place = match time_of_id(id) {
                Some(at) => {
                    self.count_before(partition, end, &|event| event.made_at() < at)
                        .await?
                }
                None => end,
            };
            places.push((partition, place));
        }
        for distance in [NEAR, AROUND] {
            for (partition, place) in &places {
                let found = self.event_around(id, (*partition, *place), distance).await?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    async fn event_around(
        &self,
        id: Uuid,
        (partition, place): (u32, u64),
        distance: u64,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let mut after = place.saturating_sub(distance);
        let end = place.saturating_add(distance);
        while after < end {
            let limit = u32::try_from(end - after).map_or(WINDOW, |left| left.min(WINDOW));
            let read = self.store.read_partition(self.workspace, partition, after, limit);
            let events = read.await?;
            let Some(last) = events.last().map(|event| event.position) else {
                break;
            };
            if let Some(event) = events.into_iter().find(|event| event.event_id == id) {
                return Ok(Some(event));
            }
            after = last;
        }
        Ok(None)
    }

    /// The events of the intention of an event, by time, and whether there are more.
    async fn intention(&self, correlation: Uuid) -> Result<(Vec<StoredEvent>, bool), StoreError> {
        let filter = EventFilter {
            correlation_id: Some(correlation),
            ..EventFilter::default()
        };
        let (from, limit) = (ConsistencyToken::default(), MOST_RELATIVES);
        let read = self.store.read_events(self.workspace, &filter, &from, limit);
        let (mut events, _) = read.await?;
        let is_full = u32::try_from(events.len()).is_ok_and(|read| read >= limit);
        events.sort_by_key(|event| (event.recorded_at, event.partition, event.position));
        Ok((events, is_full))
    }

    /// The events that led to an event, the first cause first; those that it led to; and whether there may be
    /// more of these.
    pub(crate) async fn relatives(
        &self,
        event: &StoredEvent,
    ) -> Result<(Vec<StoredEvent>, Vec<StoredEvent>, bool), StoreError> {
        let (events, more) = self.intention(event.metadata.correlation_id).await?;
        let mut causes: Vec<StoredEvent> = Vec::new();
        let mut cause = event.metadata.causation_id;
        while let Some(id) = cause.filter(|_| causes.len() < MOST_CAUSES) {
            // A cause may be an event of another intention.
            let known = events.iter().find(|event| event.event_id == id).cloned();
            let known = match known {
                Some(known) => Some(known),
                None => self.event(id).await?,
            };
            let is_new = |known: &StoredEvent| {
                known.event_id != event.event_id
                    && causes.iter().all(|cause| cause.event_id != known.event_id)
            };
            let Some(known) = known.filter(is_new) else { break };
            cause = known.metadata.causation_id;
            causes.push(known);
        }
        causes.reverse();
        Ok((causes, effects_of(event.event_id, events), more))
    }
}

/// The events that an event led to, directly or by others, each after its cause.
fn effects_of(event: Uuid, mut left: Vec<StoredEvent>) -> Vec<StoredEvent> {
    let mut effects: Vec<StoredEvent> = Vec::new();
    left.retain(|candidate| candidate.event_id != event);
    // Two servers may have recorded an effect with an earlier time than its cause.
    loop {
        let is_effect = |candidate: &StoredEvent| {
            candidate
                .metadata
                .causation_id
                .is_some_and(|cause| cause == event || effects.iter().any(|effect| effect.event_id == cause))
        };
        let Some(at) = left.iter().position(is_effect) else {
            return effects;
        };
        effects.push(left.remove(at));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clock::SystemClock;
    use domain::event::DomainEvent;
    use event_store::SqliteEventStore;
    use tempfile::TempDir;
    use test_support::{append, created, customer, listed, open_workspace, received};

    use super::*;

    struct Log {
        store: SqliteEventStore,
        workspace: WorkspaceId,
        _folder: TempDir,
    }

    impl Log {
        /// Two partitions with the stock of four products, an order and a product.
        async fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("events.db");
            let store = SqliteEventStore::open(&file, Arc::new(SystemClock), None)
                .await
                .unwrap();
            let workspace = open_workspace(&store, 2).await;
            let log = Self {
                store,
                workspace,
                _folder: folder,
            };
            log.append("product-mug-1", &[listed("mug-1", "Mug")]).await;
            for _ in 0..5 {
                for sku in 1..=4 {
                    log.append(&format!("inventory-mug-{sku}"), &[received(3)]).await;
                }
            }
            log.append("order-1", &[created(&customer(1))]).await;
            log
        }

        async fn append(&self, stream: &str, events: &[DomainEvent]) {
            append(&self.store, self.workspace, stream, events).await;
        }

        fn search(&self) -> LogSearch<'_> {
            LogSearch {
                store: &self.store,
                workspace: self.workspace,
            }
        }

        /// Every event, the oldest first within its partition.
        async fn all(&self) -> Vec<StoredEvent> {
            let mut all = Vec::new();
            for partition in 0..2 {
                let read = self.store.read_partition(self.workspace, partition, 0, 1_000);
                all.extend(read.await.unwrap());
            }
            all
        }

        /// Every page of a query, newest first, with so many events each.
        async fn pages(&self, query: &LogQuery, limit: u32) -> Vec<Vec<StoredEvent>> {
            let (mut pages, mut to) = (Vec::new(), None);
            loop {
                let mut found = self.search().newest(query, to.as_ref(), limit).await.unwrap();
                let newest = std::iter::from_fn(|| take_newest(&mut found));
                pages.push(newest.take(limit as usize).collect());
                to = rest_of(&found);
                if to.is_none() {
                    return pages;
                }
            }
        }

        async fn places(&self, query: &LogQuery, limit: u32) -> Vec<(u32, u64)> {
            let pages = self.pages(query, limit).await;
            let mut places: Vec<_> = pages.into_iter().flatten().map(|event| place(&event)).collect();
            places.sort_unstable();
            places
        }
    }

    fn place(event: &StoredEvent) -> (u32, u64) {
        (event.partition, event.position)
    }

    fn of_type(name: &str) -> LogQuery {
        LogQuery {
            filter: EventFilter {
                event_type: Some(name.to_owned()),
                ..EventFilter::default()
            },
            ..LogQuery::default()
        }
    }

    #[tokio::test]
    async fn the_newest_events_come_first_and_every_event_is_on_one_page() {
        let log = Log::open().await;
        let all = log.all().await;
        let expected: Vec<_> = all.iter().map(place).collect();
        for limit in [1, 3, 7, 200] {
            let pages = log.pages(&LogQuery::default(), limit).await;
            assert!(pages.iter().all(|page| page.len() <= limit as usize));
            let read: Vec<StoredEvent> = pages.into_iter().flatten().collect();
            assert!(
                read.windows(2)
                    .all(|pair| pair[1].recorded_at <= pair[0].recorded_at),
                "{limit}"
            );
            let mut places: Vec<_> = read.iter().map(place).collect();
            places.sort_unstable();
            assert_eq!(places, expected, "{limit}");
        }
    }

    #[tokio::test]
    async fn a_search_finds_types_categories_and_versions_wherever_they_are() {
        let log = Log::open().await;
        let all = log.all().await;
        let of_stock = LogQuery {
            filter: EventFilter {
                category: Some("inventory".to_owned()),
                ..EventFilter::default()
            },
            version: Some(4),
            ..LogQuery::default()
        };
        for (query, count) in [
            (of_type("ProductListed"), 1),
            (of_type("StockReceived"), 20),
            (of_stock, 4),
        ] {
            let expected: Vec<_> = all
                .iter()
                .filter(|event| query.matches(event))
                .map(place)
                .collect();
            assert_eq!(expected.len(), count);
            for limit in [2, 100] {
                assert_eq!(log.places(&query, limit).await, expected, "{query:?} by {limit}");
            }
        }
        assert!(log.places(&of_type("OrderShipped"), 5).await.is_empty());
    }

    #[tokio::test]
    async fn times_bound_a_search_on_both_sides() {
        let log = Log::open().await;
        let all = log.all().await;
        let mut times: Vec<_> = all.iter().map(|event| event.recorded_at).collect();
        times.sort_unstable();
        for (first, last) in [(0, 21), (5, 9), (7, 7), (21, 21)] {
            let query = LogQuery {
                since: Some(times[first]),
                until: Some(times[last]),
                ..LogQuery::default()
            };
            let expected: Vec<_> = all
                .iter()
                .filter(|event| query.matches(event))
                .map(place)
                .collect();
            assert!(!expected.is_empty());
            assert_eq!(log.places(&query, 4).await, expected, "{first} to {last}");
        }
        let later = LogQuery {
            since: Some(Timestamp::from_micros(times[21].as_micros() + 1)),
            ..LogQuery::default()
        };
        assert!(log.places(&later, 4).await.is_empty());
    }

    #[tokio::test]
    async fn an_event_is_found_by_its_id_and_an_unknown_id_is_not() {
        let log = Log::open().await;
        for event in log.all().await {
            let found = log.search().event(event.event_id).await.unwrap().unwrap();
            assert_eq!(place(&found), place(&event));
        }
        for unknown in [Uuid::nil(), Uuid::from_u128(7)] {
            assert!(log.search().event(unknown).await.unwrap().is_none());
        }
    }

    #[test]
    fn effects_follow_their_causes_also_where_their_times_do_not() {
        let event = |id: u128, cause: Option<u128>| {
            let event = serde_json::json!({
                "workspace": Uuid::nil(), "partition": 0, "position": id, "stream": "order-1", "version": id,
                "event_id": Uuid::from_u128(id), "type": "OrderCreated", "schema_version": 1, "payload": {},
                "metadata": {
                    "correlation_id": Uuid::nil(), "command_id": Uuid::nil(),
                    "causation_id": cause.map(Uuid::from_u128),
                    "actor": {"id": Uuid::nil(), "role": "system"},
                },
                "recorded_at": "2026-11-29T06:00:00Z", "hash": "",
            });
            serde_json::from_str::<StoredEvent>(&event.to_string()).unwrap()
        };
        let events = vec![
            event(5, Some(3)),
            event(1, None),
            event(3, Some(2)),
            event(2, Some(1)),
            event(4, Some(9)),
            // a ring, which no server makes
            event(6, Some(6)),
        ];
        let ids = |events: Vec<StoredEvent>| {
            let ids = events.into_iter().map(|event| event.event_id.as_u128());
            ids.collect::<Vec<_>>()
        };
        assert_eq!(ids(effects_of(Uuid::from_u128(1), events.clone())), [2, 3, 5]);
        assert_eq!(ids(effects_of(Uuid::from_u128(5), events)), [0_u128; 0]);
    }
}
