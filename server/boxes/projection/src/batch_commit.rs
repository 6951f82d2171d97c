//! One step of a lane: consecutive events, folded and committed in one transaction of the read model. Which lane it is,
//! live or of a generation that is being built, makes no difference here; what is told about it is left to the lane.

use std::sync::Arc;

use super::{
    Context,
    fold::{Batch, FoldContext, PoisonEvent, REFUSED},
    folded::Folded,
    handler::EventHandler,
    history::before,
};
use broker::PublishedEvent;
use documents::{DocumentStoreError, FoldFault, LaneId, ParkedState, Updated};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchCommit<'a> {
    pub(super) context: &'a Context,
    pub(super) handler: &'a dyn EventHandler,
    pub(super) lane: LaneId,
    /// Events to be passed.
    pub(super) poison: &'a [PoisonEvent],
    /// What each event did is wanted.
    pub(super) closely: bool,
}

impl BatchCommit<'_> {
    /// Applies as many of `events` as can be applied, the first of them next to `from`: an event that fails does not hold back
    /// those before it. How many; a fault names the first event, and nothing was changed then.
    pub(super) async fn apply_most(
        &self,
        from: u64,
        events: &[Arc<PublishedEvent>],
    ) -> Result<(Updated, Folded, usize), DocumentStoreError> {
        let mut events = events;
        loop {
            match self.apply(from, events).await {
                Ok((updated, folded)) => return Ok((updated, folded, events.len())),
                Err(DocumentStoreError::Fault(fault)) => {
                    events = before(fault.position, events).ok_or(DocumentStoreError::Fault(fault))?;
                }
                Err(DocumentStoreError::Refused(error)) => match events {
                    [only] => {
                        tracing::warn!(
                            projection.view = self.handler.name(), workspace = %self.lane.scope.workspace,
                            event.id = %only.event_id, error, "the read model refuses what becomes of an event"
                        );
                        return Err(FoldFault {
                            position: only.position,
                            reason: REFUSED.to_owned(),
                        }
                        .into());
                    }
                    [] => return Err(DocumentStoreError::Refused(error)),
                    // One of many: the half before it goes through, and the caller comes again with the rest.
                    _ => events = &events[..events.len() / 2],
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// Applies `events`, the first of them next to `from`. A fault names the event that stands in the way; nothing was
    /// changed then.
    async fn apply(
        &self,
        from: u64,
        events: &[Arc<PublishedEvent>],
    ) -> Result<(Updated, Folded), DocumentStoreError> {
        let batch = Batch::new(self.handler.documents(), events);
        let mut folded = Folded::default();
        let mut fold = |loaded| {
            folded = batch.fold(self.folding(), loaded)?;
            Ok(folded.effect())
        };
        let to = from + events.len() as u64;
        let updated = self
            .context
            .documents
            .update(&self.lane, from, to, &batch.keys(self.poison), &mut fold)
            .await?;
        if updated == Updated::Committed {
            self.count(&folded);
        }
        Ok((updated, folded))
    }

    pub(super) fn folding(&self) -> FoldContext<'_> {
        FoldContext {
            scope: &self.lane.scope,
            now: self.context.clock.now(),
            poison: self.poison,
            closely: self.closely,
        }
    }

    fn count(&self, folded: &Folded) {
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
