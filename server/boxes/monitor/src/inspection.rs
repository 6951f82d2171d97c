//! What a running server shows of its log and its projections: streams, events, proof that the views follow
//! from them, dead letters, and rebuilds.
//!
//! The gateway checks rights and bounds how much is done at a time: every call here names the workspace of
//! its caller.

use std::sync::Arc;

use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    token::ConsistencyToken,
    wire::{
        CheckpointsAnswer, EventPage, EventSchema, HandledAnswer, HandledBy, HandlerStatus, Page,
        ProjectionStatus, RebuildProgress, RetriedDeadLetters, StoredEventAnswer, StreamInfo, VerifyReport,
    },
};
use uuid::Uuid;

use super::{
    checkpoint::{CheckpointError, CheckpointKeeper, shown},
    cloud_event::ExportPart,
    export::Export,
    log_search::{LogQuery, LogSearch, give_back, rest_of, take_newest},
    verify::{VerifyError, verify_running},
};
use documents::{DeadLetter, DeadLetterKey, DocumentStore, DocumentStoreError, ParkedEvent};
use event_store::{Direction, EventStore, StoreError, Workspace};
use projection::{
    Projections,
    dead_letters::{DeadLetterError, ReleaseOutcome, Remedy},
    rebuild::RebuildError,
};

/// The most bytes of the payloads of a page. It has one event at least, and ends early: an event may have
/// some hundred thousand bytes, and a page of 200 is held in memory as a whole.
const MAX_PAGE_BYTES: usize = 1 << 20;

/// Events that are read at a time for a page.
const READ_AT_ONCE: u32 = 50;

/// How often a page reads events that it then leaves out for what the event store does not select by.
const MOST_READS: usize = 100;

/// Collects the events of a page, which is bounded by their number and their bytes.
struct LogPage {
    data: Vec<StoredEvent>,
    bytes: usize,
    limit: u32,
}

impl LogPage {
    fn new(limit: u32) -> Self {
        Self {
            data: Vec::new(),
            bytes: 0,
            limit,
        }
    }

    /// The number of events for which there is room.
    fn wanted(&self) -> u32 {
        let has = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        self.limit.saturating_sub(has)
    }

    /// Adds events; returns those for which there is no room.
    fn add(&mut self, events: Vec<StoredEvent>) -> Vec<StoredEvent> {
        let mut events = events.into_iter();
        while let Some(event) = events.as_slice().first() {
            let bytes = self.bytes.saturating_add(event.payload.get().len());
            if self.wanted() == 0 || (!self.data.is_empty() && bytes > MAX_PAGE_BYTES) {
                break;
            }
            self.bytes = bytes;
            self.data.extend(events.next());
        }
        events.collect()
    }
}

/// An event, as a person or a program names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventName {
    /// By its id.
    Id(Uuid),
    /// By its partition and position.
    Place(u32, u64),
}

/// Why it is not known what has handled an event.
#[derive(Debug, thiserror::Error)]
pub enum HandledError {
    /// The event could not be read.
    #[error(transparent)]
    Events(#[from] StoreError),
    /// The parked events could not be read.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
}

/// Inspects the log and the projections of a running server.
#[derive(Debug)]
pub struct Inspection {
    events: Arc<dyn EventStore>,
    read_model: Arc<dyn DocumentStore>,
    projections: Arc<Projections>,
    /// The lanes of process managers and consumers.
    others: Vec<Arc<Projections>>,
    checkpoints: Arc<CheckpointKeeper>,
}

impl Inspection {
    /// An inspection of these boxes; `projections` are the lanes of views, `others` those of process managers
    /// and consumers.
    pub fn new(
        events: Arc<dyn EventStore>,
        read_model: Arc<dyn DocumentStore>,
        projections: Arc<Projections>,
        others: Vec<Arc<Projections>>,
        checkpoints: Arc<CheckpointKeeper>,
    ) -> Self {
        Self {
            events,
            read_model,
            projections,
            others,
            checkpoints,
        }
    }

    /// The lanes of all event handlers.
    fn lanes(&self) -> impl Iterator<Item = &Arc<Projections>> {
        std::iter::once(&self.projections).chain(&self.others)
    }

    /// A page of the streams whose names begin with a prefix.
    pub async fn streams(
        &self,
        workspace: WorkspaceId,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<StreamInfo>, StoreError> {
        self.events.streams(workspace, prefix, cursor, limit).await
    }

    /// A page of the events of a stream; `None`: there is no such stream.
    pub async fn stream(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        from: u64,
        direction: Direction,
        limit: u32,
    ) -> Result<Option<EventPage>, StoreError> {
        let mut page = LogPage::new(limit);
        let mut next = Some(from);
        while let Some(from) = next.take() {
            // One more than asked for tells whether there is a next page.
            let wanted = page.wanted().saturating_add(1).min(READ_AT_ONCE);
            let events = self
                .events
                .read_stream(workspace, stream, from, direction, wanted)
                .await?;
            let is_last = events.len() < wanted as usize;
            let version = events.last().map(|event| event.version);
            if let Some(event) = page.add(events).first() {
                let next = Some(event.version.to_string());
                return Ok(Some(EventPage {
                    data: page.data,
                    next,
                }));
            }
            next = version.filter(|_| !is_last).and_then(|version| match direction {
                Direction::Forwards => version.checked_add(1),
                Direction::Backwards => version.checked_sub(1).filter(|version| *version > 0),
            });
        }
        if page.data.is_empty() {
            let first = self
                .events
                .read_stream(workspace, stream, 1, Direction::Forwards, 1);
            if first.await?.is_empty() {
                return Ok(None);
            }
        }
        let data = page.data;
        Ok(Some(EventPage { data, next: None }))
    }

    /// A page of the events of a workspace after a token. Where a query has more than the event store selects
    /// by, a bounded number of events is read for a page, which then may have few or none, and a `next`.
    pub async fn events(
        &self,
        workspace: WorkspaceId,
        query: &LogQuery,
        after: &ConsistencyToken,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let mut page = LogPage::new(limit);
        let mut token = self.search(workspace).beginning(query, after).await?;
        let is_filtered_here = query.is_filtered_here();
        for read in 1.. {
            let wanted = if is_filtered_here {
                READ_AT_ONCE
            } else {
                page.wanted().min(READ_AT_ONCE)
            };
            let (mut events, covered) = self
                .events
                .read_events(workspace, &query.filter, &token, wanted)
                .await?;
            let is_last = events.len() < wanted as usize;
            let places: Vec<_> = events
                .iter()
                .map(|event| (event.partition, event.position))
                .collect();
            events.retain(|event| query.passes_here(event));
            let left = page.add(events);
            let first_left = left.first().map(|event| (event.partition, event.position));
            if first_left.is_some() {
                // Only what is in the page is behind its token.
                let behind = places.into_iter().take_while(|place| Some(*place) != first_left);
                for (partition, position) in behind {
                    token.advance(partition, position);
                }
            } else {
                token = covered;
            }
            let has_more = first_left.is_some() || !is_last;
            if !has_more || first_left.is_some() || page.wanted() == 0 || read >= MOST_READS {
                let next = has_more.then(|| token.to_string());
                return Ok(EventPage {
                    data: page.data,
                    next,
                });
            }
        }
        Ok(EventPage {
            data: page.data,
            next: None,
        })
    }

    /// A page of the newest events of a workspace up to a token, newest first; `next` is the token up to
    /// which the next page is. A page has few events or none, and a `next`, where those that match are rare.
    pub async fn newest_events(
        &self,
        workspace: WorkspaceId,
        query: &LogQuery,
        to: Option<&ConsistencyToken>,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let mut found = self.search(workspace).newest(query, to, limit).await?;
        let mut page = LogPage::new(limit);
        while page.wanted() > 0 {
            let Some(event) = take_newest(&mut found) else {
                break;
            };
            if let Some(left) = page.add(vec![event]).pop() {
                give_back(&mut found, left);
                break;
            }
        }
        Ok(EventPage {
            data: page.data,
            next: rest_of(&found).map(|token| token.to_string()),
        })
    }

    /// The event with this id.
    pub async fn event(&self, workspace: WorkspaceId, id: Uuid) -> Result<Option<StoredEvent>, StoreError> {
        self.search(workspace).event(id).await
    }

    /// The event with this id, what led to it, what it led to, and what each handler has done with it.
    pub async fn event_with_relatives(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
    ) -> Result<Option<StoredEventAnswer>, HandledError> {
        let search = self.search(workspace);
        let Some(event) = search.event(id).await? else {
            return Ok(None);
        };
        let (causes, effects, more) = search.relatives(&event).await?;
        let handlers = self.handled_by(workspace, &event).await?;
        Ok(Some(StoredEventAnswer {
            event,
            causes,
            effects,
            more,
            handlers,
        }))
    }

    fn search(&self, workspace: WorkspaceId) -> LogSearch<'_> {
        LogSearch {
            store: &*self.events,
            workspace,
        }
    }

    /// Every schema in the event store, by type and version.
    pub async fn schemas(&self) -> Result<Vec<EventSchema>, StoreError> {
        self.events.schemas().await
    }

    /// Computes every hash of a workspace and folds every view of it again. That reads a whole log: the
    /// caller bounds how many are verified at a time.
    pub async fn verify(&self, workspace: &Workspace) -> Result<VerifyReport, VerifyError> {
        let mut report =
            verify_running(&*self.events, &*self.read_model, &self.projections, workspace).await?;
        report.differences = self.differences(workspace.id).await;
        Ok(report)
    }

    /// The kept checkpoints that the log does not contain.
    async fn differences(&self, workspace: WorkspaceId) -> Vec<String> {
        self.checkpoints.differences(workspace).await.unwrap_or_else(|error| {
            // It may name files of the server.
            tracing::error!(%workspace, %error, "the kept checkpoints could not be compared with the log");
            vec!["the kept checkpoints could not be compared with the log".to_owned()]
        })
    }

    /// The heads of a workspace, signed now; or, with a limit, the newest signed checkpoints that are kept.
    pub async fn checkpoints(
        &self,
        workspace: WorkspaceId,
        kept: Option<usize>,
    ) -> Result<CheckpointsAnswer, CheckpointError> {
        let notes = match kept {
            None => self.checkpoints.fresh(workspace).await?,
            Some(limit) => self.checkpoints.kept(workspace, limit).await?,
        };
        Ok(CheckpointsAnswer {
            verifier: self.checkpoints.verifier().to_string(),
            data: notes.iter().map(shown).collect(),
            differences: self.differences(workspace).await,
        })
    }

    /// Begins to export a workspace.
    pub async fn export(&self, workspace: Workspace) -> Result<Export, StoreError> {
        Export::begin(Arc::clone(&self.events), workspace, ExportPart::WHOLE).await
    }

    /// The status of every projection of a workspace.
    pub async fn projections(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Vec<ProjectionStatus>, DocumentStoreError> {
        self.projections.status(workspace).await
    }

    /// The status of every event handler of a workspace: views, process managers, consumers.
    pub async fn handlers(&self, workspace: WorkspaceId) -> Result<Vec<HandlerStatus>, DocumentStoreError> {
        let mut handlers = Vec::new();
        for lanes in self.lanes() {
            handlers.extend(lanes.handlers(workspace).await?);
        }
        Ok(handlers)
    }

    /// What every event handler has done with an event.
    pub async fn handled_by(
        &self,
        workspace: WorkspaceId,
        event: &StoredEvent,
    ) -> Result<Vec<HandledBy>, DocumentStoreError> {
        let mut handled = Vec::new();
        for lanes in self.lanes() {
            handled.extend(lanes.handled(workspace, event).await?);
        }
        Ok(handled)
    }

    /// What every event handler has done with the event of this name; `None`: the log has no such event.
    pub async fn handled(
        &self,
        workspace: WorkspaceId,
        name: EventName,
    ) -> Result<Option<HandledAnswer>, HandledError> {
        let event = match name {
            EventName::Id(id) => {
                let search = LogSearch {
                    store: &*self.events,
                    workspace,
                };
                search.event(id).await?
            }
            EventName::Place(partition, position) => {
                let before = position.saturating_sub(1);
                let events = self
                    .events
                    .read_partition(workspace, partition, before, 1)
                    .await?;
                events.into_iter().find(|event| event.position == position)
            }
        };
        let Some(event) = event else { return Ok(None) };
        let data = self.handled_by(workspace, &event).await?;
        Ok(Some(HandledAnswer {
            event_id: event.event_id,
            event_type: event.event_type,
            stream: event.stream.to_string(),
            version: event.version,
            partition: event.partition,
            position: event.position,
            data,
        }))
    }

    /// Rebuilds a view from the whole log, beside the live one.
    pub async fn rebuild(&self, workspace: WorkspaceId, view: &str) -> Result<RebuildProgress, RebuildError> {
        self.projections.rebuilds.rebuild(workspace, view).await
    }

    /// Cancels the rebuild of a view.
    pub async fn cancel_rebuild(&self, workspace: WorkspaceId, view: &str) -> Result<(), RebuildError> {
        self.projections.rebuilds.cancel(workspace, view).await
    }

    /// A page of the dead letters of views, policies and consumers, and whether there are more after it.
    pub async fn dead_letters(
        &self,
        workspace: WorkspaceId,
        view: Option<&str>,
        after: Option<&DeadLetterKey>,
        limit: u32,
    ) -> Result<(Vec<DeadLetter>, bool), DocumentStoreError> {
        let mut letters = Vec::new();
        for lanes in self.lanes() {
            let of = &lanes.dead_letters;
            letters.extend(of.list(workspace, view, after, limit.saturating_add(1)).await?);
        }
        letters.sort_by_key(DeadLetter::key);
        // Handlers that share a store have each listed all of its dead letters.
        letters.dedup_by_key(|letter| letter.event.id);
        let has_more = letters.len() > limit as usize;
        letters.truncate(limit as usize);
        Ok((letters, has_more))
    }

    /// Retries or discards a dead letter.
    pub async fn remedy(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
        remedy: Remedy,
    ) -> Result<ReleaseOutcome, DeadLetterError> {
        for lanes in self.lanes() {
            match lanes.dead_letters.remedy(workspace, id, remedy).await {
                Err(DeadLetterError::Unknown) => {}
                released => return released,
            }
        }
        Err(DeadLetterError::Unknown)
    }

    /// The events that wait behind a dead letter after a position, and whether there are more after them;
    /// `None`: there is no such dead letter.
    pub async fn waiting(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Option<(Vec<ParkedEvent>, bool)>, DocumentStoreError> {
        for lanes in self.lanes() {
            let of = &lanes.dead_letters;
            let waiting = of.waiting(workspace, id, after, limit.saturating_add(1)).await?;
            if let Some(mut waiting) = waiting {
                let has_more = waiting.len() > limit as usize;
                waiting.truncate(limit as usize);
                return Ok(Some((waiting, has_more)));
            }
        }
        Ok(None)
    }

    /// Retries a page of the dead letters, one after the other, and returns the key of the last if there are
    /// more after it. What another person settles meanwhile is left out.
    pub async fn retry_all(
        &self,
        workspace: WorkspaceId,
        view: Option<&str>,
        after: Option<&DeadLetterKey>,
        limit: u32,
    ) -> Result<(RetriedDeadLetters, Option<DeadLetterKey>), DeadLetterError> {
        let (letters, has_more) = self.dead_letters(workspace, view, after, limit).await?;
        let last = letters.last().filter(|_| has_more).map(DeadLetter::key);
        let mut answer = RetriedDeadLetters::default();
        for letter in letters {
            match self.remedy(workspace, letter.event.id, Remedy::Retry).await {
                Ok(ReleaseOutcome { applied, dead_letter }) => {
                    answer.retried += 1;
                    answer.applied = answer.applied.saturating_add(applied);
                    answer.left += u64::from(dead_letter.is_some());
                }
                Err(DeadLetterError::Unknown) => {}
                Err(DeadLetterError::Effect(reason)) => {
                    let consumer = letter.view.as_str();
                    tracing::warn!(consumer, %workspace, error = reason, "a dead letter stays for now");
                    answer.retried += 1;
                    answer.left += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((answer, last))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::RawValue};

    use super::*;

    fn event(position: u64, bytes: usize) -> StoredEvent {
        let id = Uuid::from_u128(7);
        let event = json!({
            "workspace": id, "partition": 0, "position": position, "stream": "product-mug",
            "version": position, "event_id": id, "type": "ProductRetired", "schema_version": 1, "payload": {},
            "metadata": {"correlation_id": id, "command_id": id, "actor": {"id": id, "role": "staff"}},
            "recorded_at": "2026-11-29T06:00:00Z", "hash": "",
        });
        let event: StoredEvent = serde_json::from_str(&event.to_string()).unwrap();
        StoredEvent {
            payload: RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).unwrap(),
            ..event
        }
    }

    fn positions(events: &[StoredEvent]) -> Vec<u64> {
        events.iter().map(|event| event.position).collect()
    }

    #[test]
    fn a_page_ends_at_its_number_of_events() {
        let mut page = LogPage::new(2);
        let left = page.add((1..=3).map(|position| event(position, 10)).collect());
        assert_eq!((positions(&page.data), positions(&left)), (vec![1, 2], vec![3]));
        assert_eq!(page.wanted(), 0);
    }

    #[test]
    fn a_page_ends_early_at_its_bytes_and_has_one_event_at_least() {
        let half = MAX_PAGE_BYTES / 2;
        let mut page = LogPage::new(200);
        let left = page.add((1..=4).map(|position| event(position, half)).collect());
        assert_eq!(
            (positions(&page.data), positions(&left)),
            (vec![1], vec![2, 3, 4])
        );
        let mut page = LogPage::new(200);
        let left = page.add(vec![event(1, 3 * MAX_PAGE_BYTES), event(2, 1)]);
        assert_eq!((positions(&page.data), positions(&left)), (vec![1], vec![2]));
    }
}
