//! Dead letters: events that a projection could not apply, with what waits behind them, tried again or given up.
//!
//! A retry replays the dead letter and everything of its stream that waits behind it, in order and in one transaction: either
//! all of it has its effect, or the event that stands in the way now is the dead letter. Readers see documents change
//! though the view's token does not move, so those who follow get a snapshot.

use std::sync::Arc;

use domain::{id::WorkspaceId, wire::DeadLetterOutcome};
use uuid::Uuid;

use super::{
    Changes, Commit, Context,
    batch_commit::BatchCommit,
    dead_letter_gauge,
    effect::EffectError,
    effect_delivery,
    fold::{Batch, PoisonEvent, REFUSED},
    folded::Folded,
    handler::EventHandler,
};
use broker::{Events, decode};
use documents::{
    DeadLetter, DeadLetterKey, DocumentStoreError, FoldFault, LaneId, ParkedEvent, ParkedState, Scope,
};
use event_store::{Direction, StoreError};

/// How many events of a stream are read at a time.
const PAGE: u32 = 500;

/// What is done about a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// It is tried again, and then what waits behind it.
    Retry,
    /// It is given up for this view; what waits behind it is applied without it.
    Discard,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// How many events were applied.
    pub applied: u64,
    /// The dead letter that holds the stream back now, where one does.
    pub dead_letter: Option<DeadLetter>,
}

impl From<Released> for DeadLetterOutcome {
    fn from(released: Released) -> Self {
        let Released { applied, dead_letter } = released;
        Self {
            applied,
            dead_letter: dead_letter.map(Into::into),
        }
    }
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// There is no such dead letter (any more).
    #[error("there is no dead letter of this id")]
    Unknown,
    /// The read model did not do it.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
    /// An effect consumer could not do what it does.
    #[error("it could not be done: {0}")]
    Effect(String),
    /// The parked events could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The dead letters of all views.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    context: Arc<Context>,
}

impl DeadLetters {
    /// Those that the lanes of this context park.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The dead letters of a workspace, of one view or of all, in the order of their places.
    pub async fn list(
        &self,
        workspace: WorkspaceId,
        view: Option<&str>,
        after: Option<&DeadLetterKey>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, DocumentStoreError> {
        self.context
            .documents
            .dead_letters(workspace, view, after, limit)
            .await
    }

    /// Does something about a dead letter. Once it is done, the same call again finds nothing.
    pub async fn remedy(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
        remedy: Remedy,
    ) -> Result<Released, DeadLetterError> {
        let documents = &self.context.documents;
        let letter = documents.dead_letter(workspace, id).await?;
        let letter = letter.ok_or(DeadLetterError::Unknown)?;
        // A view that this program does not have cannot be folded.
        let progress = self.context.progress.of(workspace, &letter.view);
        let (handler, progress) = self
            .context
            .progress
            .handler(&letter.view)
            .zip(progress)
            .ok_or(DeadLetterError::Unknown)?;
        // In the turn of the view's lanes: nothing of this stream is parked meanwhile.
        let _turn = progress.turn().await;
        let lane = LaneId {
            scope: Scope {
                workspace,
                view: handler.name(),
                generation: letter.generation,
            },
            partition: letter.partition,
        };
        // A lane of a generation that is being built, or another process, may park more of the stream: then look again.
        loop {
            let held = documents.held(&lane, &letter.event.stream).await?;
            if held.first().is_none_or(|first| first.id != id) {
                return Err(DeadLetterError::Unknown);
            }
            let Some(folded) = self.release(&**handler, &lane, &held, remedy).await? else {
                continue;
            };
            let passed = folded
                .parked
                .iter()
                .filter(|event| event.id != id || remedy == Remedy::Retry);
            let applied = (held.len() - passed.count()) as u64 - u64::from(remedy == Remedy::Discard);
            self.publish(&lane, &folded, progress.generation()).await;
            let now = folded
                .parked
                .iter()
                .find(|event| matches!(event.state, ParkedState::Dead { .. }));
            let dead_letter = match now {
                Some(event) => documents.dead_letter(workspace, event.id).await?,
                None => None,
            };
            tracing::info!(
                projection.view = handler.name(), %workspace, stream = %letter.event.stream, ?remedy, applied,
                held = dead_letter.is_some(), "a dead letter was dealt with"
            );
            return Ok(Released { applied, dead_letter });
        }
    }

    /// One transaction; `None`: the held events are not those any more.
    async fn release(
        &self,
        handler: &dyn EventHandler,
        lane: &LaneId,
        held: &[ParkedEvent],
        remedy: Remedy,
    ) -> Result<Option<Folded>, DeadLetterError> {
        let Some((first, behind)) = held.split_first() else {
            return Ok(None);
        };
        let believed: Vec<u64> = held.iter().map(|event| event.position).collect();
        let (discarded, replayed) = match remedy {
            Remedy::Retry => (None, held),
            Remedy::Discard => (Some(given_up(first)), behind),
        };
        let events = self.events(lane.scope.workspace, replayed).await?;
        let batch = Batch::new(handler.documents(), &events);
        let mut poison = Vec::new();
        loop {
            if handler.documents().is_none() {
                match effect_delivery::release(handler, lane, &events, &poison).await {
                    Ok(()) => {}
                    Err(EffectError::Event(fault)) => {
                        poison.push(poison_event(fault, held));
                        continue;
                    }
                    Err(EffectError::Unavailable(reason) | EffectError::Refused(reason)) => {
                        return Err(DeadLetterError::Effect(reason));
                    }
                }
            }
            let step = BatchCommit {
                context: &self.context,
                handler,
                lane: *lane,
                poison: &poison,
                closely: false,
            };
            let mut folded = Folded::default();
            let mut fold = |loaded| {
                folded = batch.fold(step.folding(), loaded)?;
                folded.parked.extend(discarded.clone());
                Ok(folded.effect())
            };
            let released = self
                .context
                .documents
                .release(lane, &first.stream, &believed, &batch.keys(&poison), &mut fold)
                .await;
            match released {
                Ok(true) => return Ok(Some(folded)),
                Ok(false) => return Ok(None),
                // The stream waits behind this one from here on. There are finitely many events.
                Err(DocumentStoreError::Fault(fault)) => poison.push(poison_event(fault, held)),
                // One of those that were applied, and the last of them is passed next: so it is found from behind.
                Err(DocumentStoreError::Refused(error)) => {
                    let first_poison = poison.iter().map(|it| it.position).min();
                    let mut applied = held.iter().filter(|event| {
                        first_poison.is_none_or(|poison| event.position < poison)
                            && (discarded.is_none() || event.position != first.position)
                    });
                    let Some(last) = applied.next_back() else {
                        return Err(DocumentStoreError::Refused(error).into());
                    };
                    tracing::warn!(error, "the read model refuses what becomes of a parked event");
                    let fault = FoldFault {
                        position: last.position,
                        reason: REFUSED.to_owned(),
                    };
                    poison = vec![poison_event(fault, held)];
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The events themselves; a stream that is held back is held back without a gap.
    async fn events(&self, workspace: WorkspaceId, parked: &[ParkedEvent]) -> Result<Events, StoreError> {
        let mut events = Events::with_capacity(parked.len());
        while let Some(next) = parked.get(events.len()) {
            let page = self
                .context
                .store
                .read_stream(workspace, &next.stream, next.version, Direction::Forwards, PAGE)
                .await?;
            let wanted = parked.len() - events.len();
            events.extend(decode(&page).into_iter().take(wanted));
            let last = events
                .len()
                .checked_sub(1)
                .and_then(|last| Some((&events[last], parked.get(last)?)));
            if page.is_empty() || last.is_none_or(|(event, parked)| event.event_id != parked.event_id) {
                return Err(StoreError::Corrupt(format!(
                    "parked events of {} are not in the log",
                    next.stream
                )));
            }
        }
        Ok(events)
    }

    /// In this order: invalidate the cache, tell the followers, note it.
    async fn publish(&self, lane: &LaneId, folded: &Folded, live: u64) {
        let context = &self.context;
        let workspace = lane.scope.workspace;
        dead_letter_gauge::report(context).await;
        let Some(progress) = context.progress.of(workspace, lane.scope.view) else {
            return;
        };
        if lane.scope.generation == live {
            context.cache.invalidate(&folded.topics).await;
            let to = progress.folded().position(lane.partition);
            progress.note_release(lane.partition, to);
            context.followers.committed(Commit {
                scope: lane.scope,
                partition: lane.partition,
                to,
                changes: Changes::Everything,
            });
        }
        context.progress.released();
    }
}

fn given_up(event: &ParkedEvent) -> ParkedEvent {
    let (reason, attempts) = match &event.state {
        ParkedState::Dead { reason, attempts } | ParkedState::Discarded { reason, attempts } => {
            (reason.clone(), *attempts)
        }
        ParkedState::Waiting => (String::new(), 0),
    };
    ParkedEvent {
        state: ParkedState::Discarded { reason, attempts },
        ..event.clone()
    }
}

fn poison_event(fault: FoldFault, held: &[ParkedEvent]) -> PoisonEvent {
    let failed = held.iter().find(|event| event.position == fault.position);
    PoisonEvent {
        attempts: failed.map_or(1, |event| attempts_of(event) + 1),
        position: fault.position,
        reason: fault.reason,
    }
}

fn attempts_of(event: &ParkedEvent) -> u32 {
    match &event.state {
        ParkedState::Dead { attempts, .. } => *attempts,
        ParkedState::Waiting | ParkedState::Discarded { .. } => 0,
    }
}
