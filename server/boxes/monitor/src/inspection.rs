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
        CheckpointsAnswer, EventPage, EventSchema, Page, ProjectionStatus, RebuildProgress, StreamInfo,
        VerifyReport,
    },
};
use uuid::Uuid;

use super::{
    checkpoint::{CheckpointError, CheckpointKeeper, shown},
    cloud_event::ExportPart,
    export::Export,
    verify::{VerifyError, verify_running},
};
use documents::{DeadLetter, DeadLetterKey, DocumentStore, DocumentStoreError};
use event_store::{Direction, EventFilter, EventStore, StoreError, Workspace};
use projection::{
    Projections,
    dead_letters::{DeadLetterError, DeadLetters, ReleaseOutcome, Remedy},
    rebuild::RebuildError,
};

/// The most bytes of the payloads of a page. It has one event at least, and ends early: an event may have
/// some hundred thousand bytes, and a page of 200 is held in memory as a whole.
const MAX_PAGE_BYTES: usize = 1 << 20;

/// Events that are read at a time for a page.
const READ_AT_ONCE: u32 = 50;

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

/// Inspects the log and the projections of a running server.
#[derive(Debug)]
pub struct Inspection {
    events: Arc<dyn EventStore>,
    read_model: Arc<dyn DocumentStore>,
    projections: Arc<Projections>,
    dead_letters: Vec<DeadLetters>,
    checkpoints: Arc<CheckpointKeeper>,
}

impl Inspection {
    /// An inspection of these boxes; `dead_letters` are those of all event handlers.
    pub fn new(
        events: Arc<dyn EventStore>,
        read_model: Arc<dyn DocumentStore>,
        projections: Arc<Projections>,
        dead_letters: Vec<DeadLetters>,
        checkpoints: Arc<CheckpointKeeper>,
    ) -> Self {
        Self {
            events,
            read_model,
            projections,
            dead_letters,
            checkpoints,
        }
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

    /// A page of the events of a workspace after a token.
    pub async fn events(
        &self,
        workspace: WorkspaceId,
        filter: &EventFilter,
        after: &ConsistencyToken,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let mut page = LogPage::new(limit);
        let mut token = after.clone();
        loop {
            let wanted = page.wanted().min(READ_AT_ONCE);
            let (events, covered) = self.events.read_events(workspace, filter, &token, wanted).await?;
            let is_last = events.len() < wanted as usize;
            let positions: Vec<_> = events
                .iter()
                .map(|event| (event.partition, event.position))
                .collect();
            let left = page.add(events).len();
            if left > 0 {
                // Only what is in the page is behind its token.
                let kept = positions.len().saturating_sub(left);
                for (partition, position) in positions.into_iter().take(kept) {
                    token.advance(partition, position);
                }
            } else {
                token = covered;
            }
            if left > 0 || (page.wanted() == 0 && !is_last) {
                let next = Some(token.to_string());
                return Ok(EventPage {
                    data: page.data,
                    next,
                });
            }
            if is_last {
                let data = page.data;
                return Ok(EventPage { data, next: None });
            }
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
        for of in &self.dead_letters {
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
        for of in &self.dead_letters {
            match of.remedy(workspace, id, remedy).await {
                Err(DeadLetterError::Unknown) => {}
                released => return released,
            }
        }
        Err(DeadLetterError::Unknown)
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
