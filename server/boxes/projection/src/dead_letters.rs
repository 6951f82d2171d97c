//! Dead letters: events that a projection could not apply, with the events of their streams that wait behind
//! them, retried or discarded. The refused commands of process managers are listed among them: see
//! [`refused_commands`].
//!
//! A retry replays the dead letter and everything of its stream that waits behind it, in order and in one
//! transaction: either all of it has its effect, or the first event that fails is the new dead letter.
//! Documents change without the view's token moving, so subscribers get a snapshot.

use std::sync::Arc;

use domain::{id::WorkspaceId, view::own, wire::DeadLetterOutcome};
use uuid::Uuid;

use super::{
    Changes, Commit, Context,
    batch_commit::{BatchCommit, Share},
    dead_letter_gauge,
    effect::EffectError,
    effect_delivery,
    fold::{Batch, PoisonEvent, REFUSED},
    fold_result::FoldResult,
    handler::EventHandler,
    lane_hops::note_release,
    refused_commands,
};
use broker::{Events, ServerMessage, decode};
use documents::{
    DeadLetter, DeadLetterKey, DocumentStoreError, FoldFault, LaneId, ParkedEvent, ParkedState, Scope,
};
use event_store::{Direction, StoreError};

/// How many events of a stream are read at a time.
const PAGE: u32 = 500;

/// What an educator does about a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The event is tried again, then those that wait behind it.
    Retry,
    /// The event is discarded for this view; those that wait behind it are applied without it.
    Discard,
}

/// The result of a retry or a discard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseOutcome {
    /// How many events were applied.
    pub applied: u64,
    /// The dead letter that holds the stream back now, if any.
    pub dead_letter: Option<DeadLetter>,
}

impl From<ReleaseOutcome> for DeadLetterOutcome {
    fn from(released: ReleaseOutcome) -> Self {
        let ReleaseOutcome { applied, dead_letter } = released;
        Self {
            applied,
            dead_letter: dead_letter.map(Into::into),
        }
    }
}

/// Why a retry or a discard failed.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// There is no such dead letter, or no longer.
    #[error("there is no dead letter of this id")]
    Unknown,
    /// The read model failed.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
    /// A consumer could not perform the events.
    #[error("the consumer failed: {0}")]
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
    /// The dead letters that the lanes of this context park.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The dead letters of a workspace, of one view or of all, in the order of their partitions and
    /// positions.
    pub async fn list(
        &self,
        workspace: WorkspaceId,
        view: Option<&str>,
        after: Option<&DeadLetterKey>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, DocumentStoreError> {
        let documents = &self.context.documents;
        let progress = &self.context.progress;
        let view = view.map(|view| match progress.lane_name(workspace, view) {
            Some(lane) => lane,
            // No handler has the empty name, and people do not know that of a slot.
            None if own::slot(view).is_some() => "",
            None => view,
        });
        let mut letters = documents.dead_letters(workspace, view, after, limit).await?;
        let commands = refused_commands::list(&self.context, workspace, view).await?;
        if !commands.is_empty() {
            let is_after = |letter: &DeadLetter| after.is_none_or(|after| letter.key() > *after);
            letters.extend(commands.into_iter().filter(is_after));
            letters.sort_by_key(DeadLetter::key);
            letters.truncate(limit as usize);
        }
        Ok(letters
            .into_iter()
            .map(|letter| self.named(workspace, letter))
            .collect())
    }

    /// A dead letter with the name that people know its view by.
    fn named(&self, workspace: WorkspaceId, mut letter: DeadLetter) -> DeadLetter {
        let name = self
            .context
            .progress
            .name_in(workspace, &letter.view)
            .into_owned();
        letter.view = name;
        letter
    }

    /// The events that wait behind a dead letter after a position, in order, at most `limit`; none wait
    /// behind a command. `None`: there is no such dead letter here.
    pub async fn waiting(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Option<Vec<ParkedEvent>>, DocumentStoreError> {
        let documents = &self.context.documents;
        let Some(letter) = documents.dead_letter(workspace, id).await? else {
            let commands = refused_commands::list(&self.context, workspace, None).await?;
            let is_command = commands.iter().any(|command| command.event.id == id);
            return Ok(is_command.then(Vec::new));
        };
        let Some(handler) = self.context.progress.handler(&letter.view) else {
            return Ok(None);
        };
        let lane = LaneId {
            scope: Scope {
                workspace,
                view: handler.name(),
                generation: letter.generation,
            },
            partition: letter.partition,
        };
        let after = after.max(letter.event.position);
        let parked = documents
            .parked_events(&lane, &letter.event.stream, after, limit)
            .await?;
        let waiting = parked
            .into_iter()
            .filter(|event| event.state == ParkedState::Waiting);
        Ok(Some(waiting.collect()))
    }

    /// Retries or discards a dead letter. Repeated afterwards, the call finds no dead letter.
    pub async fn remedy(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
        remedy: Remedy,
    ) -> Result<ReleaseOutcome, DeadLetterError> {
        let documents = &self.context.documents;
        let Some(letter) = documents.dead_letter(workspace, id).await? else {
            return refused_commands::remedy(&self.context, workspace, id, remedy).await;
        };
        // A view that this program does not have cannot be folded.
        let progress = self.context.progress.of(workspace, &letter.view);
        let (handler, progress) = self
            .context
            .progress
            .handler(&letter.view)
            .zip(progress)
            .ok_or(DeadLetterError::Unknown)?;
        // Holds the lock of the view's lanes: no event of this stream is parked meanwhile.
        let _turn = progress.turn().await;
        let lane = LaneId {
            scope: Scope {
                workspace,
                view: handler.name(),
                generation: letter.generation,
            },
            partition: letter.partition,
        };
        // A lane of a generation that is being built, or another server, may park more of the stream
        // meanwhile; then the parked events are read again.
        loop {
            let held = documents.held_events(&lane, &letter.event.stream).await?;
            if held.first().is_none_or(|first| first.id != id) {
                return Err(DeadLetterError::Unknown);
            }
            let Some(folded) = self.release(&**handler, &lane, &held, remedy).await? else {
                continue;
            };
            note_release(&**handler, &lane, &held, &folded);
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
                held = dead_letter.is_some(), "a dead letter was retried or discarded"
            );
            let dead_letter = dead_letter.map(|letter| self.named(workspace, letter));
            return Ok(ReleaseOutcome { applied, dead_letter });
        }
    }

    /// Releases the stream in one transaction. `None`: its parked events have changed since they were read.
    async fn release(
        &self,
        handler: &dyn EventHandler,
        lane: &LaneId,
        held: &[ParkedEvent],
        remedy: Remedy,
    ) -> Result<Option<FoldResult>, DeadLetterError> {
        let Some((first, waiting)) = held.split_first() else {
            return Ok(None);
        };
        let believed: Vec<u64> = held.iter().map(|event| event.position).collect();
        let (discarded, replayed) = match remedy {
            Remedy::Retry => (None, held),
            Remedy::Discard => (Some(discarded_event(first)), waiting),
        };
        let events = self.events(lane.scope.workspace, replayed).await?;
        let batch = Batch::new(handler.documents(), &events);
        let mut poison = Vec::new();
        loop {
            if handler.documents().is_none() {
                let released = effect_delivery::release(&self.context, handler, lane, &events, &poison);
                match released.await {
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
                track_changes: false,
                sharing: Share::Nothing,
            };
            let dials = step.dials();
            let mut folded = FoldResult::default();
            let mut fold = |loaded| {
                folded = batch.fold(step.fold_context(dials.as_deref()), loaded)?;
                folded.parked.extend(discarded.clone());
                Ok(folded.effect(None))
            };
            let released = self
                .context
                .documents
                .release(lane, &first.stream, &believed, &batch.keys(&poison), &mut fold)
                .await;
            match released {
                Ok(true) => return Ok(Some(folded)),
                Ok(false) => return Ok(None),
                // From here on the stream waits behind this event. There are finitely many events.
                Err(DocumentStoreError::Fault(fault)) => poison.push(poison_event(fault, held)),
                // One of the applied events is to blame. The last of them is passed next, so the search goes
                // backwards.
                Err(DocumentStoreError::Refused(error)) => {
                    let first_poison = poison.iter().map(|it| it.position).min();
                    let mut applied = held.iter().filter(|event| {
                        first_poison.is_none_or(|poison| event.position < poison)
                            && (discarded.is_none() || event.position != first.position)
                    });
                    let Some(last) = applied.next_back() else {
                        return Err(DocumentStoreError::Refused(error).into());
                    };
                    tracing::warn!(error, "the read model refuses the documents of a parked event");
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

    /// Reads the parked events from the log. A stream that is held back is held back without a gap.
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

    /// In this order: invalidates the cache, notes the release, notifies the followers, tells other servers.
    async fn publish(&self, lane: &LaneId, folded: &FoldResult, live: u64) {
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
            let handler = lane.scope.view.to_owned();
            let changed = ServerMessage::Changed { workspace, handler };
            context.broker.tell(&changed).await;
        }
        context.progress.wake_waiting(workspace);
    }
}

fn discarded_event(event: &ParkedEvent) -> ParkedEvent {
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
