//! How events come to a handler without documents: those of a lane's next step, and parked ones that are released. What the
//! lane parks is held back from the effect as well; a lane that builds a generation has no effect at all.

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc};

use broker::{Events, PartitionId, PublishedEvent};
use documents::{DeadLetterKey, DocumentStoreError, FoldFault, LaneId};
use futures::FutureExt as _;

use super::{
    Context,
    effect::{EffectError, Work},
    fold::{PoisonEvent, REFUSED, message_of},
    handler::EventHandler,
    lane_error::LaneError,
};

/// Dead letters that are read at a time.
const PAGE: u32 = 200;

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
async fn held_streams(context: &Context, lane: &LaneId) -> Result<HashSet<String>, DocumentStoreError> {
    let (workspace, view) = (lane.scope.workspace, lane.scope.view);
    let counts = context.documents.parked_counts(Some(workspace), None).await?;
    let mut held = HashSet::new();
    if !counts.iter().any(|count| count.view == view && count.dead > 0) {
        return Ok(held);
    }
    let mut after: Option<DeadLetterKey> = None;
    loop {
        let letters = context
            .documents
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
