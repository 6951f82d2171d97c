//! Checks the log of a workspace: positions and versions have no gap, every stream is in the partition of
//! its hash, and every event's hash follows from its content and its predecessor's hash.

use std::collections::{HashMap, HashSet};

use domain::{event::StoredEvent, id::StreamName};
use event_store::{ChainHead, EventStore, StoreError, Workspace};

/// Events that are read at a time.
const PAGE: u32 = 500;

/// Checks one partition event by event; the caller passes each event once, in order.
#[derive(Debug)]
pub struct ChainCheck {
    shards: u32,
    partition: u32,
    link: ChainHead,
    versions: HashMap<StreamName, u64>,
    /// Events seen so far.
    pub events: u64,
    /// The first broken link of each partition.
    pub findings: Vec<String>,
    broken: bool,
    /// The head that the partition had before it was read.
    head: Option<ChainHead>,
    /// The events that cannot be read and whose streams are not known. The versions of these lack them.
    unread: u64,
    /// Whether the last event could be read, so that its hash is known.
    is_hash_known: bool,
}

impl ChainCheck {
    /// Starts before the first event of a partition.
    pub fn new(shards: u32, partition: u32) -> Self {
        Self {
            shards,
            partition,
            link: ChainHead::default(),
            versions: HashMap::new(),
            events: 0,
            findings: Vec::new(),
            broken: false,
            head: None,
            unread: 0,
            is_hash_known: true,
        }
    }

    /// Compares the events with this head as well, which the partition had before they were read.
    #[must_use]
    pub fn up_to(self, head: ChainHead) -> Self {
        Self {
            head: Some(head),
            ..self
        }
    }

    /// The newest event that was checked.
    pub const fn newest(&self) -> &ChainHead {
        &self.link
    }

    /// What is wrong with the stored heads of the partition, `now` being the one after the last event was
    /// read: events are missing at the end, or the head is of other events.
    pub fn head_faults(&self, now: Option<&ChainHead>) -> Vec<String> {
        let (partition, last) = (self.partition, self.link.position);
        let Some(now) = now else {
            return vec![format!("partition {partition}: it has no head")];
        };
        let mut faults = Vec::new();
        if let Some(before) = &self.head
            && before.position > last
        {
            let head = before.position;
            faults.push(format!(
                "partition {partition}: its head is at position {head}, and its last event at {last}"
            ));
        }
        if now.position < last {
            let head = now.position;
            faults.push(format!(
                "partition {partition}: its last event is at position {last}, and its head at {head}"
            ));
        }
        faults
    }

    /// Checks the next event of the partition.
    pub fn check(&mut self, event: &StoredEvent) {
        self.events += 1;
        let version = self.version_before(event);
        if !self.broken
            && let Some(finding) = self.fault(event, version)
        {
            let Self { partition, .. } = self;
            let StoredEvent {
                position,
                event_id,
                event_type,
                stream,
                ..
            } = event;
            self.findings.push(format!(
                "partition {partition}, position {position}: {event_type} {event_id} on {stream}: {finding}"
            ));
            // Every later hash depends on this one: one finding is enough.
            self.broken = true;
        }
        self.link.advance(event);
        self.is_hash_known = true;
        if let Some(head) = &self.head
            && *head != self.link
            && head.position == self.link.position
        {
            let (partition, position) = (self.partition, head.position);
            self.findings.push(format!(
                "partition {partition}: the hash of its head is not that of its event at position {position}"
            ));
        }
        self.versions.insert(event.stream.clone(), event.version);
    }

    /// Passes an event that cannot be read. Those behind it are checked, except for what depends on it.
    pub fn pass(&mut self, position: u64, reason: &StoreError) {
        self.events += 1;
        self.unread += 1;
        self.is_hash_known = false;
        self.link.position = position;
        self.findings.push(format!(
            "partition {}, position {position}: the event cannot be read: {reason}",
            self.partition
        ));
    }

    /// The version of an event's stream before it. Events that cannot be read may have been of this stream.
    fn version_before(&mut self, event: &StoredEvent) -> u64 {
        let known = self.versions.get(&event.stream).copied().unwrap_or(0);
        let missing = event.version.saturating_sub(known.saturating_add(1));
        if missing > self.unread {
            return known;
        }
        self.unread -= missing;
        known + missing
    }

    fn fault(&self, event: &StoredEvent, version: u64) -> Option<String> {
        if self.is_hash_known {
            return self.link.fault(event, (self.partition, self.shards), version);
        }
        let expected = self.link.position.saturating_add(1);
        (event.position != expected).then(|| format!("position {expected} was expected"))
    }

    /// How many streams' versions are in memory.
    pub(super) fn streams_in_memory(&self) -> usize {
        self.versions.len()
    }

    /// Removes the versions from memory. The caller keeps them, and recalls each before the next event of its
    /// stream is checked.
    pub(super) fn take_versions(&mut self) -> impl Iterator<Item = (StreamName, u64)> {
        self.versions.drain()
    }

    /// The streams of these events whose versions are not in memory, each once.
    pub(super) fn unknown_streams<'a>(
        &self,
        events: impl Iterator<Item = &'a StoredEvent>,
    ) -> HashSet<&'a StreamName> {
        let streams = events.map(|event| &event.stream);
        streams
            .filter(|stream| !self.versions.contains_key(*stream))
            .collect()
    }

    /// Brings the version of a stream back into memory.
    pub(super) fn recall(&mut self, stream: StreamName, version: u64) {
        self.versions.insert(stream, version);
    }
}

/// Reads a partition from its first event on, and passes each page to `visit`.
pub async fn replay(
    store: &dyn EventStore,
    workspace: &Workspace,
    partition: u32,
    mut visit: impl FnMut(&[StoredEvent]),
) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let page = store.read_partition(workspace.id, partition, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.position;
        visit(&page);
    }
}
