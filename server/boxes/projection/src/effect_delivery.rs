//! Delivers events to a handler without documents: those of a lane's next step, and parked ones that are
//! released. Events that the lane parks are held back from the handler as well; a lane that builds a
//! generation delivers none.

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc};

use broker::{Events, PartitionId, PublishedEvent};
use documents::{DeadLetterKey, DocumentStoreError, FoldFault, LaneId};
use domain::wire::hops::HopOutcome;
use futures::FutureExt as _;
use tracing::{Instrument as _, Span};

use super::{
    Context,
    effect::{EffectError, Work},
    fold::{POISONED, PoisonEvent, REFUSED, panic_message},
    handler::EventHandler,
    lane_error::LaneError,
    lane_hops::{EventSpans, after_error},
};

/// Dead letters that are read at a time.
const PAGE: u32 = 200;

/// Delivers a lane's next events, except those that are poison or held back, unless a dial poisons one of
/// them. The caller holds the lock of the handler's lanes, so that no event is released meanwhile.
pub(super) async fn deliver(
    context: &Context,
    handler: &dyn EventHandler,
    lane: &LaneId,
    from: u64,
    events: &[Arc<PublishedEvent>],
    poison: &[PoisonEvent],
) -> Result<(), LaneError> {
    let work = Work {
        partition: partition_of(lane),
        passed: Some((from, from + events.len() as u64)),
        events: due_events(context, lane, events, poison).await?,
    };
    let spans = EventSpans::of_write(handler, work.partition, &work.events);
    let span = spans.first().unwrap_or_else(Span::none);
    let poisoned = poisoned_type(context, lane);
    let performed = perform(handler, &work, poisoned.as_deref());
    let performed = performed.instrument(span).await.map_err(LaneError::from);
    spans.end(|event| match (&event.decoded, &performed) {
        (Ok(typed), _) if !handler.writes(typed) => None,
        (_, Ok(())) => Some(HopOutcome::Done),
        (_, Err(error)) => after_error(event, error),
    });
    performed
}

/// The events that are neither poison nor held back.
async fn due_events(
    context: &Context,
    lane: &LaneId,
    events: &[Arc<PublishedEvent>],
    poison: &[PoisonEvent],
) -> Result<Events, DocumentStoreError> {
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
    Ok(due)
}

/// Delivers parked events, up to the first that is poison.
pub(super) async fn release(
    context: &Context,
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
    perform(handler, &work, poisoned_type(context, lane).as_deref()).await
}

/// The type of events that a dial poisons for the lanes of a handler.
fn poisoned_type(context: &Context, lane: &LaneId) -> Option<String> {
    let progress = context.progress.of(lane.scope.workspace, lane.scope.view)?;
    progress.controls().dials()?.poison.clone()
}

fn partition_of(lane: &LaneId) -> PartitionId {
    PartitionId {
        workspace: lane.scope.workspace,
        partition: lane.partition,
    }
}

/// An event that cannot be decoded, that a dial poisons, or at which the handler panics, is at fault. What is
/// known to be at fault has no effect.
async fn perform(handler: &dyn EventHandler, work: &Work, poisoned: Option<&str>) -> Result<(), EffectError> {
    for event in &work.events {
        let reason = match &event.decoded {
            _ if poisoned == Some(event.event_type.as_str()) => POISONED.to_owned(),
            Err(error) => error.to_string(),
            Ok(_) => continue,
        };
        let position = event.position;
        return Err(FoldFault { position, reason }.into());
    }
    match perform_catching_panics(handler, work).await {
        // The events are tried one by one to find the one at fault; the handler recognises those that it has
        // performed already.
        Err(_) | Ok(Err(EffectError::Refused(_))) if work.events.len() > 1 => one_by_one(handler, work).await,
        done => attribute_fault(work, done),
    }
}

/// The outcome of work in which at most one event can be at fault.
fn attribute_fault(work: &Work, done: Result<Result<(), EffectError>, String>) -> Result<(), EffectError> {
    match done {
        Ok(Err(EffectError::Refused(error))) => {
            tracing::warn!(error, "a database refuses a value of an event");
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
        attribute_fault(&single, perform_catching_panics(handler, &single).await)?;
    }
    let rest = Work {
        partition: work.partition,
        passed: from.zip(work.passed.map(|(_, to)| to)),
        events: Events::new(),
    };
    attribute_fault(&rest, perform_catching_panics(handler, &rest).await)
}

/// The handler's result, or the message of its panic.
async fn perform_catching_panics(
    handler: &dyn EventHandler,
    work: &Work,
) -> Result<Result<(), EffectError>, String> {
    AssertUnwindSafe(handler.perform(work))
        .catch_unwind()
        .await
        .map_err(|panic| panic_message(&*panic).to_owned())
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

/// The streams that are held back on a lane. Mostly there are none, and one count shows that.
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
        after = Some(last.key());
        let of_lane = letters.iter().filter(|letter| letter.partition == lane.partition);
        held.extend(of_lane.map(|letter| letter.event.stream.to_string()));
    }
}
