//! What a lane does about events besides folding them: nothing for a view, everything for an effect consumer.
//!
//! An effect comes before the transaction that moves the lane's checkpoint over its events, so a crash in between has it
//! come again: at least once, in order. Who must not do it twice keeps an [`ProcessedPositions`] with its effect. What the lane parks is
//! held back from the effect as well; a lane that builds a generation has no effect at all.

use std::{
    collections::{BTreeSet, HashSet},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures::FutureExt as _;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    fold::{PoisonEvent, REFUSED, message_of},
    handler::EventHandler,
    lane::LaneError,
};
use broker::{Events, PartitionId, PublishedEvent};
use documents::{DeadLetterPlace, FoldFault, LaneId, ReadModelError};
use event_store::StoreError;

/// Dead letters that are read at a time.
const PAGE: u32 = 200;

/// Events of one partition that something is to be done about.
#[derive(Debug, Clone)]
pub struct Work {
    /// The partition.
    pub partition: PartitionId,
    /// The position behind which the lane stands, and where it will stand; absent where parked events are tried again.
    pub passed: Option<(u64, u64)>,
    /// The events, in order, every one of them readable; without those that are parked.
    pub events: Events,
}

/// Why nothing was done, or not all.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// It may be possible later: tried again for ever, slowly.
    #[error("{0}")]
    Unavailable(String),
    /// A database refuses what becomes of one of the events, and will refuse it again: that event's fault, once it is
    /// known which it is.
    #[error("{0}")]
    Refused(String),
    /// It is this event's fault: after some attempts it is a dead letter.
    #[error(transparent)]
    Event(#[from] FoldFault),
}

/// What of a partition had its effect. Written together with the effect, it makes "at least once" exactly once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessedPositions {
    /// Up to here everything had its effect, but for `missing`.
    pub checkpoint: u64,
    /// What was parked, and may come later.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub missing: BTreeSet<u64>,
}

impl ProcessedPositions {
    /// Whether an event at this position has not had its effect.
    pub fn wants(&self, position: u64) -> bool {
        position > self.checkpoint || self.missing.contains(&position)
    }

    /// Notes that all of the work is done. `true`: this must be written down though nothing came of the events, because
    /// some were not among them.
    pub fn note(&mut self, work: &Work) -> bool {
        for event in &work.events {
            self.missing.remove(&event.position);
        }
        let Some((from, to)) = work.passed else {
            return true;
        };
        let given: HashSet<u64> = work.events.iter().map(|event| event.position).collect();
        let before = self.missing.len();
        self.missing
            .extend((from.max(self.checkpoint) + 1..=to).filter(|position| !given.contains(position)));
        self.checkpoint = self.checkpoint.max(to);
        self.missing.len() > before
    }
}

impl From<std::io::Error> for EffectError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<ReadModelError> for EffectError {
    fn from(error: ReadModelError) -> Self {
        if matches!(error, ReadModelError::Refused(_)) {
            return Self::Refused(error.to_string());
        }
        Self::Unavailable(error.to_string())
    }
}

impl From<StoreError> for EffectError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Refused(_)) {
            return Self::Refused(error.to_string());
        }
        Self::Unavailable(error.to_string())
    }
}

impl From<EffectError> for LaneError {
    fn from(error: EffectError) -> Self {
        match error {
            EffectError::Unavailable(reason) | EffectError::Refused(reason) => Self::Effect(reason),
            EffectError::Event(fault) => Self::ReadModel(ReadModelError::Fault(fault)),
        }
    }
}

/// Has the effect of a lane's next events come, but of those that are poison or held back. Called in the turn of the
/// lane's view, so that nothing is released meanwhile.
pub(super) async fn pass(
    context: &Context,
    handler: &dyn EventHandler,
    lane: &LaneId,
    from: u64,
    events: &[Arc<PublishedEvent>],
    poison: &[PoisonEvent],
) -> Result<(), LaneError> {
    let mut held = held_streams(context, lane).await?;
    let mut due = Events::with_capacity(events.len());
    for event in events {
        let is_poison = poison.iter().any(|it| it.position == event.position);
        if is_poison || held.contains(event.stream.as_str()) {
            held.insert(event.stream.to_string());
        } else {
            due.push(event.clone());
        }
    }
    let work = Work {
        partition: partition_of(lane),
        passed: Some((from, from + events.len() as u64)),
        events: due,
    };
    Ok(perform(handler, work).await?)
}

/// Has the effect of parked events come, up to the first that is poison.
pub(super) async fn release(
    handler: &dyn EventHandler,
    lane: &LaneId,
    events: &Events,
    poison: &[PoisonEvent],
) -> Result<(), EffectError> {
    let is_poison = |position| poison.iter().any(|it| it.position == position);
    let due = events.iter().take_while(|event| !is_poison(event.position));
    let work = Work {
        partition: partition_of(lane),
        passed: None,
        events: due.cloned().collect(),
    };
    if work.events.is_empty() {
        return Ok(());
    }
    perform(handler, work).await
}

fn partition_of(lane: &LaneId) -> PartitionId {
    PartitionId {
        workspace: lane.scope.workspace,
        partition: lane.partition,
    }
}

/// An event that cannot be read, or at which the effect panics, is that event's fault.
async fn perform(handler: &dyn EventHandler, work: Work) -> Result<(), EffectError> {
    for event in &work.events {
        if let Err(error) = &event.decoded {
            return Err(FoldFault {
                position: event.position,
                reason: error.to_string(),
            }
            .into());
        }
    }
    match guarded(handler, &work).await {
        // Which of them it was is found out one by one; what they did before is theirs to know.
        Err(_) | Ok(Err(EffectError::Refused(_))) if work.events.len() > 1 => {
            one_by_one(handler, &work).await
        }
        done => blamed(&work, done),
    }
}

/// What came of the work, where at most one event can be to blame.
fn blamed(work: &Work, done: Result<Result<(), EffectError>, String>) -> Result<(), EffectError> {
    match done {
        Ok(Err(EffectError::Refused(error))) => {
            tracing::warn!(error, "a database refuses what becomes of an event");
            Err(fault_of(work, REFUSED.to_owned()))
        }
        Ok(done) => done,
        Err(panic) => Err(fault_of(work, format!("the consumer panicked: {panic}"))),
    }
}

async fn one_by_one(handler: &dyn EventHandler, work: &Work) -> Result<(), EffectError> {
    let mut from = work.passed.map(|(from, _)| from);
    for event in &work.events {
        let single = Work {
            partition: work.partition,
            passed: from.map(|from| (from, event.position)),
            events: vec![event.clone()],
        };
        from = from.map(|_| event.position);
        blamed(&single, guarded(handler, &single).await)?;
    }
    let rest = Work {
        partition: work.partition,
        passed: from.zip(work.passed.map(|(_, to)| to)),
        events: Events::new(),
    };
    blamed(&rest, guarded(handler, &rest).await)
}

/// What it did, or what its panic said.
async fn guarded(handler: &dyn EventHandler, work: &Work) -> Result<Result<(), EffectError>, String> {
    AssertUnwindSafe(handler.perform(work))
        .catch_unwind()
        .await
        .map_err(|panic| message_of(&*panic).to_owned())
}

fn fault_of(work: &Work, reason: String) -> EffectError {
    match work.events.first() {
        Some(event) => EffectError::Event(FoldFault {
            position: event.position,
            reason,
        }),
        None => EffectError::Unavailable(reason),
    }
}

/// The streams that are held back on a lane; none, as a rule, and then one count says so.
async fn held_streams(context: &Context, lane: &LaneId) -> Result<HashSet<String>, ReadModelError> {
    let (workspace, view) = (lane.scope.workspace, lane.scope.view);
    let counts = context.read_model.parked_counts(Some(workspace), None).await?;
    let mut held = HashSet::new();
    if !counts.iter().any(|count| count.view == view && count.dead > 0) {
        return Ok(held);
    }
    let mut after: Option<DeadLetterPlace> = None;
    loop {
        let letters = context
            .read_model
            .dead_letters(workspace, Some(view), after.as_ref(), PAGE)
            .await?;
        let Some(last) = letters.last() else {
            return Ok(held);
        };
        after = Some(last.place());
        let of_lane = letters.iter().filter(|letter| letter.partition == lane.partition);
        held.extend(of_lane.map(|letter| letter.event.stream.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use domain::id::WorkspaceId;
    use uuid::Uuid;

    use super::*;

    fn work(passed: Option<(u64, u64)>) -> Work {
        Work {
            partition: PartitionId {
                workspace: WorkspaceId(Uuid::nil()),
                partition: 0,
            },
            passed,
            events: Events::new(),
        }
    }

    #[test]
    fn what_was_not_given_is_wanted_later_and_nothing_else_twice() {
        let mut inbox = ProcessedPositions::default();
        // Nothing of 1 to 3 was given: all of it was parked.
        assert!(inbox.note(&work(Some((0, 3)))));
        assert!(inbox.wants(2) && inbox.wants(4));
        // The same again, as after a crash, and what came since.
        inbox.missing.remove(&1);
        assert!(inbox.note(&work(Some((0, 4)))));
        assert_eq!(inbox.missing, BTreeSet::from([2, 3, 4]));
        assert!(!inbox.wants(1));
    }
}
