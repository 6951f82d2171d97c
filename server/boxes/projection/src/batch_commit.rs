//! One step of a lane: consecutive events, folded and committed in one transaction of the read model. It
//! works the same for a live lane and for one that builds a generation; the lane announces the result.

use std::sync::Arc;

use domain::wire::hops::HopOutcome;
use tracing::Instrument as _;

use super::{
    Context,
    fold::{Batch, FoldContext, PoisonEvent, REFUSED},
    fold_result::FoldResult,
    handler::EventHandler,
    history::events_before,
    lane_controls::LaneDials,
    lane_hops::{EventSpans, after_document_error, is_parked},
    shared_changes,
};
use broker::{PartitionId, PublishedEvent};
use documents::{
    Checkpoint, DocumentStoreError, FoldFault, LaneId, ParkedState, Scope, SharedChanges, UpdateOutcome,
};

/// Folds and commits a lane's next events, less those that fail.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchCommit<'a> {
    pub(super) context: &'a Context,
    pub(super) handler: &'a dyn EventHandler,
    pub(super) lane: LaneId,
    /// Events to pass as dead letters.
    pub(super) poison: &'a [PoisonEvent],
    /// Whether to record what each event did.
    pub(super) track_changes: bool,
    /// What the transaction hands over to other servers.
    pub(super) sharing: Share,
}

/// What a transaction hands over to the servers that do not own its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// Nothing: there is no other server, or none needs it.
    Nothing,
    /// That the checkpoint has moved.
    Checkpoint,
    /// What each event did.
    Changes,
}

/// The checkpoint after events of a lane that follow `from`. They follow one another without a gap, unless
/// the lane does not detect gaps.
pub(super) fn position_after(from: u64, events: &[Arc<PublishedEvent>]) -> u64 {
    events.last().map_or(from, |last| last.position)
}

impl BatchCommit<'_> {
    /// Applies as many of `events` as can be applied, and makes their hops; see
    /// [`apply_most`](Self::apply_most).
    pub(super) async fn write(
        &self,
        from: u64,
        events: &[Arc<PublishedEvent>],
    ) -> Result<(UpdateOutcome, FoldResult, usize), DocumentStoreError> {
        let partition = PartitionId {
            workspace: self.lane.scope.workspace,
            partition: self.lane.partition,
        };
        // The effect of a consumer is not in its documents.
        let spans = match self.handler.documents() {
            Some(_) => EventSpans::of_write(self.handler, partition, events),
            None => EventSpans::none(partition),
        };
        let span = spans
            .first()
            .unwrap_or_else(|| tracing::debug_span!("Read Model Database"));
        let applied = self.apply_most(from, events).instrument(span).await;
        match &applied {
            Ok((UpdateOutcome::Committed, folded, applied)) => {
                let to = position_after(from, &events[..*applied]);
                spans.end(|event| match event.position {
                    position if position > to => None,
                    position if is_parked(&folded.parked, position) => Some(HopOutcome::Parked),
                    _ => Some(HopOutcome::Done),
                });
            }
            // Another owner was faster.
            Ok(_) => spans.end(|_| None),
            Err(error) => spans.end(|event| after_document_error(event, error)),
        }
        applied
    }

    /// Applies as many of `events` as can be applied; the first of them follows `from`. An event that fails
    /// does not hold back those before it. Returns how many were applied. A fault names the first event, and
    /// nothing was changed.
    async fn apply_most(
        &self,
        from: u64,
        events: &[Arc<PublishedEvent>],
    ) -> Result<(UpdateOutcome, FoldResult, usize), DocumentStoreError> {
        let mut events = events;
        loop {
            match self.apply(from, events).await {
                Ok((updated, folded)) => return Ok((updated, folded, events.len())),
                Err(DocumentStoreError::Fault(fault)) => {
                    events = events_before(fault.position, events).ok_or(DocumentStoreError::Fault(fault))?;
                }
                Err(DocumentStoreError::Refused(error)) => match events {
                    [only] => {
                        tracing::warn!(
                            projection.view = self.handler.name(), workspace = %self.lane.scope.workspace,
                            event.id = %only.event_id, error,
                            "the read model refuses the documents of an event"
                        );
                        return Err(FoldFault {
                            position: only.position,
                            reason: REFUSED.to_owned(),
                        }
                        .into());
                    }
                    [] => return Err(DocumentStoreError::Refused(error)),
                    // One of many is refused: the first half is tried, and the caller comes again with the
                    // rest.
                    _ => events = &events[..events.len() / 2],
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// Applies `events`; the first of them follows `from`. A fault names the event that cannot be applied,
    /// and nothing was changed.
    async fn apply(
        &self,
        from: u64,
        events: &[Arc<PublishedEvent>],
    ) -> Result<(UpdateOutcome, FoldResult), DocumentStoreError> {
        let batch = Batch::new(self.handler.documents(), events);
        let dials = self.dials();
        let mut folded = FoldResult::default();
        let mut fold = |loaded| {
            folded = batch.fold(self.fold_context(dials.as_deref()), loaded)?;
            let shared = match self.sharing {
                Share::Nothing => None,
                Share::Checkpoint => Some(SharedChanges { from, content: None }),
                Share::Changes => Some(SharedChanges {
                    from,
                    content: shared_changes::encode(&folded.changes),
                }),
            };
            Ok(folded.effect(shared))
        };
        let to = Checkpoint {
            position: position_after(from, events),
            hash: events.last().map(|event| event.hash.clone()),
        };
        let updated = self
            .context
            .documents
            .update(&self.lane, from, &to, &batch.keys(self.poison), &mut fold)
            .await?;
        if updated == UpdateOutcome::Committed {
            self.count(&folded);
        }
        Ok((updated, folded))
    }

    /// Folds events again that were applied before, with the checkpoint where it is. What cannot be applied
    /// once more, or waits behind a dead letter, is left out: it has had its effect, or will have it.
    pub(super) async fn write_again(
        &self,
        checkpoint: &Checkpoint,
        events: &[Arc<PublishedEvent>],
    ) -> Result<(UpdateOutcome, FoldResult), DocumentStoreError> {
        let mut left_out = self.poison.to_vec();
        loop {
            let step = BatchCommit {
                poison: &left_out,
                ..*self
            };
            match step.apply_again(checkpoint, events).await {
                Err(DocumentStoreError::Fault(FoldFault { position, reason }))
                    if left_out.iter().all(|event| event.position != position) =>
                {
                    left_out.push(PoisonEvent {
                        position,
                        reason,
                        attempts: 1,
                    });
                }
                applied => return applied,
            }
        }
    }

    async fn apply_again(
        &self,
        checkpoint: &Checkpoint,
        events: &[Arc<PublishedEvent>],
    ) -> Result<(UpdateOutcome, FoldResult), DocumentStoreError> {
        let batch = Batch::new(self.handler.documents(), events);
        let dials = self.dials();
        let mut folded = FoldResult::default();
        let mut fold = |loaded| {
            folded = batch.fold(self.fold_context(dials.as_deref()), loaded)?;
            folded.parked.clear();
            Ok(folded.effect(None))
        };
        let (keys, from) = (batch.keys(self.poison), checkpoint.position);
        let documents = &self.context.documents;
        let updated = documents
            .update(&self.lane, from, checkpoint, &keys, &mut fold)
            .await?;
        Ok((updated, folded))
    }

    /// The dials of the view's lanes, which hold for each generation of it.
    pub(super) fn dials(&self) -> Option<Arc<LaneDials>> {
        let Scope { workspace, view, .. } = self.lane.scope;
        self.context.progress.of(workspace, view)?.controls().dials()
    }

    pub(super) fn fold_context<'b>(&'b self, dials: Option<&'b LaneDials>) -> FoldContext<'b> {
        FoldContext {
            scope: &self.lane.scope,
            now: self.context.clock.now(),
            poison: self.poison,
            track_changes: self.track_changes,
            poisoned_type: dials.and_then(|dials| dials.poison.as_deref()),
        }
    }

    fn count(&self, folded: &FoldResult) {
        let view = self.handler.name();
        for event in &folded.parked {
            if let ParkedState::Dead { reason, attempts } = &event.state {
                metrics::counter!("foldline_dead_letters_total", "view" => view).increment(1);
                tracing::error!(
                    projection.view = view, workspace = %self.lane.scope.workspace, stream = %event.stream,
                    event.id = %event.event_id, event.kind = event.event_type, attempts, reason,
                    "an event is parked as a dead letter; its stream waits behind it"
                );
            }
        }
    }
}
