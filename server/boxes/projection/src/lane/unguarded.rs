//! A lane from which a guarantee is taken away: it does not compare what is delivered with its checkpoint.
//!
//! Without the detection of duplicates, an event that is delivered again is folded again, and the documents
//! are wrong. Without the detection of gaps, the checkpoint jumps over events that are missing, and they are
//! lost to the view. The checkpoint never goes back, the log is not touched, and a rebuild, which reads the
//! log from the first event on, makes the view right again.

use std::sync::Arc;

use domain::wire::hops::HopOutcome;
use tracing::Instrument as _;

use super::Lane;
use crate::{
    Changes, Commit,
    batch_commit::{BatchCommit, Share},
    fold::PoisonEvent,
    fold_result::FoldResult,
    lane_controls::LaneDials,
    lane_error::LaneError,
    lane_hops::{EventSpans, after_document_error},
    progress::HandlerProgress,
};
use broker::{PartitionId, PublishedEvent, ServerMessage, read_next};
use documents::{Checkpoint, DocumentStoreError, LaneId, Scope, UpdateOutcome};

impl Lane {
    /// Handles the next events of a delivery, in the order in which they came. Returns whether all are
    /// handled. An event that this attempt or an earlier one has handled is not handled again.
    pub(super) async fn apply_unguarded(
        &self,
        dials: &LaneDials,
        delivered: &[Arc<PublishedEvent>],
        poison: &[PoisonEvent],
    ) -> Result<bool, LaneError> {
        let handled = self.work().handled;
        let rest = delivered.get(handled..).unwrap_or_default();
        let Some(first) = rest.first() else {
            return Ok(true);
        };
        let checkpoint = self.checkpoint();
        let applied_by = |checkpoint: u64| {
            let applied = rest.iter().take_while(|event| event.position <= checkpoint);
            &rest[..applied.count()]
        };
        // An older event after a newer one is handled by itself: it may be a repetition.
        let ascending = rest
            .windows(2)
            .take_while(|pair| pair[0].position < pair[1].position);
        let ascending = ascending.count() + 1;
        if first.position <= checkpoint {
            // What a new view has read of the log by itself is still being delivered.
            let read = self.history().min(checkpoint);
            let is_read = first.position <= read;
            let old = applied_by(if is_read { read } else { checkpoint });
            if dials.detects_duplicates || is_read {
                self.note_handled(old, HopOutcome::Duplicate);
            } else {
                let count = self.fold_again(old, poison).await?;
                self.note_handled(&old[..count], HopOutcome::Done);
            }
            return Ok(false);
        }
        if first.position > checkpoint + 1 && dials.detects_gaps {
            self.read_history(checkpoint, poison).await?;
        } else {
            let consecutive = rest
                .iter()
                .zip(first.position..)
                .take_while(|(event, next)| event.position == *next);
            self.commit(checkpoint, &rest[..consecutive.count()], poison)
                .await?;
        }
        let applied = applied_by(self.checkpoint());
        self.note_handled(&applied[..applied.len().min(ascending)], HopOutcome::Done);
        Ok(false)
    }

    /// Up to where the lane has read the log by itself when its view was new.
    fn history(&self) -> u64 {
        let PartitionId { workspace, partition } = self.partition;
        let progress = self.context.progress.of(workspace, self.handler.name());
        progress.map_or(0, |progress| progress.history(partition))
    }

    fn note_handled(&self, events: &[Arc<PublishedEvent>], outcome: HopOutcome) {
        let mut work = self.work();
        work.handled += events.len();
        for event in events {
            // One that was parked is noted already.
            work.outcomes.entry(event.position).or_insert(outcome);
        }
    }

    /// Folds events again that were applied before. Returns how many are handled with that.
    async fn fold_again(
        &self,
        events: &[Arc<PublishedEvent>],
        poison: &[PoisonEvent],
    ) -> Result<usize, LaneError> {
        let context = &*self.context;
        let PartitionId { workspace, partition } = self.partition;
        let Some(progress) = context.progress.of(workspace, self.handler.name()) else {
            return Ok(events.len());
        };
        let allowed = self.allowed(progress.controls().dials().as_deref())?;
        let events = &events[..events.len().min(allowed)];
        let _turn = progress.turn().await;
        if progress.controls().is_paused() {
            return Err(LaneError::Paused);
        }
        let position = progress.folded().position(partition);
        let has_ended = context.progress.has_ended(workspace) || progress.is_over();
        if has_ended || events.iter().any(|event| event.position > position) {
            // The view has begun again meanwhile; the caller looks again.
            return Ok(0);
        }
        progress.controls().fail_if_requested()?;
        let scope = Scope {
            workspace,
            view: self.handler.name(),
            generation: progress.generation(),
        };
        let step = BatchCommit {
            context,
            handler: &*self.handler,
            lane: LaneId { scope, partition },
            poison,
            track_changes: false,
            sharing: Share::Nothing,
        };
        let checkpoint = self.checkpoint_at(position, events).await?;
        let spans = EventSpans::of_write(&*self.handler, self.partition, events);
        let span = spans
            .first()
            .unwrap_or_else(|| tracing::debug_span!("Read Model Database"));
        match step.write_again(&checkpoint, events).instrument(span).await {
            Ok((UpdateOutcome::Committed, folded)) => {
                spans.end(|_| Some(HopOutcome::Done));
                self.measure(events);
                self.publish_again(&progress, scope, position, &folded).await;
            }
            // Another owner was faster, or another generation is live: the repetition comes to nothing.
            Ok(_) => spans.end(|_| None),
            Err(DocumentStoreError::Refused(error)) => {
                spans.end(|_| None);
                tracing::warn!(
                    projection.view = scope.view, partition = %self.partition, error,
                    "the read model refuses the documents of repeated events"
                );
            }
            Err(error) => {
                spans.end(|event| after_document_error(event, &error));
                return Err(error.into());
            }
        }
        self.use_allowance();
        Ok(events.len())
    }

    /// The lane's checkpoint at this position, with the hash that the log has there.
    async fn checkpoint_at(
        &self,
        position: u64,
        events: &[Arc<PublishedEvent>],
    ) -> Result<Checkpoint, LaneError> {
        if let Some(delivered) = events.iter().find(|event| event.position == position) {
            let hash = Some(delivered.hash.clone());
            return Ok(Checkpoint { position, hash });
        }
        let before = position.saturating_sub(1);
        let read = read_next(&*self.context.store, self.partition, before, 1).await?;
        let stored = read.into_iter().find(|event| event.position == position);
        let hash = stored.map(|event| event.hash);
        Ok(Checkpoint { position, hash })
    }

    /// In this order: invalidates the cache, notes that documents have changed without the token moving,
    /// notifies the followers, tells other servers.
    async fn publish_again(
        &self,
        progress: &HandlerProgress,
        scope: Scope,
        position: u64,
        folded: &FoldResult,
    ) {
        if folded.topics.is_empty() {
            return;
        }
        let context = &*self.context;
        let PartitionId { workspace, partition } = self.partition;
        context.cache.invalidate(&folded.topics).await;
        progress.note_release(partition, position);
        context.followers.committed(Commit {
            scope,
            partition,
            to: position,
            changes: Changes::Everything,
        });
        if context.ownership.has_others() {
            let handler = scope.view.to_owned();
            let changed = ServerMessage::Changed { workspace, handler };
            context.broker.tell(&changed).await;
        }
    }
}
