//! Parked events: held back, released, counted.

use domain::timestamp::Timestamp;
use uuid::Uuid;

use super::{
    super::{DocumentStore, FoldInput, FoldOutput, LaneId, ParkedEvent, ParkedState, UpdateOutcome},
    TestDatabase, VIEW, lane, number, workspace, write,
};
use clock::{Clock as _, SystemClock};

fn parked(position: u64, stream: &str, state: ParkedState, correlation_id: Uuid) -> ParkedEvent {
    ParkedEvent {
        position,
        id: SystemClock.new_id(),
        stream: stream.parse().unwrap(),
        version: position,
        event_id: SystemClock.new_id(),
        event_type: "OrderCreated".to_owned(),
        correlation_id,
        state,
        parked_at: Timestamp::from_micros(1_700_000_000_000_000),
    }
}

fn dead() -> ParkedState {
    ParkedState::Dead {
        reason: "it does not fit".to_owned(),
        attempts: 3,
    }
}

/// Advances a lane over events that it parks.
async fn park(model: &dyn DocumentStore, lane: &LaneId, from: u64, events: Vec<ParkedEvent>) {
    let to = events.last().map_or(from + 1, |event| event.position);
    let mut effect = |_: FoldInput| {
        Ok(FoldOutput {
            parked: events.clone(),
            ..FoldOutput::default()
        })
    };
    let updated = model
        .update(lane, from, &to.into(), &[], &mut effect)
        .await
        .unwrap();
    assert_eq!(updated, UpdateOutcome::Committed);
}

pub(crate) async fn what_is_parked_is_held_released_and_counted<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let lane = lane(workspace(), 1, 0);
    let workspace = lane.scope.workspace;
    let correlation = SystemClock.new_id();
    let events = vec![
        parked(1, "order-1", dead(), correlation),
        parked(2, "order-1", ParkedState::Waiting, correlation),
        parked(3, "order-2", dead(), SystemClock.new_id()),
    ];
    park(&*model, &lane, 0, events.clone()).await;
    assert_eq!(
        model.held_events(&lane, &events[0].stream).await.unwrap(),
        events[..2]
    );
    for (after, limit, expected) in [(0, 9, &events[..2]), (0, 1, &events[..1]), (1, 9, &events[1..2])] {
        let page = model.parked_events(&lane, &events[0].stream, after, limit).await;
        assert_eq!(page.unwrap(), expected, "after {after}");
    }
    let mut held = Vec::new();
    let mut record = |loaded: FoldInput| {
        held = loaded.held_streams;
        Ok(FoldOutput::default())
    };
    model
        .update(&lane, 3, &4_u64.into(), &[], &mut record)
        .await
        .unwrap();
    held.sort_unstable();
    assert_eq!(held, ["order-1", "order-2"]);
    let counts = model.parked_counts(Some(workspace), None).await.unwrap();
    assert_eq!(
        (
            counts.len(),
            counts[0].view.as_str(),
            counts[0].dead,
            counts[0].waiting
        ),
        (1, VIEW, 2, 1)
    );
    let counts = model.parked_counts(None, Some(correlation)).await.unwrap();
    assert_eq!((counts[0].dead, counts[0].waiting), (1, 1));
    let letter = model.dead_letter(workspace, events[0].id).await.unwrap().unwrap();
    assert_eq!((letter.waiting, &letter.event), (1, &events[0]));
    assert!(
        model
            .dead_letter(workspace, events[1].id)
            .await
            .unwrap()
            .is_none(),
        "it only waits"
    );
    let passed = model.contents(workspace, VIEW).await.unwrap().value.passed;
    assert_eq!(passed.len(), 3);

    // now the first is folded, and the second has another fault
    let mut again = |loaded: FoldInput| {
        assert!(loaded.held_streams.is_empty());
        Ok(FoldOutput {
            writes: vec![write("a", 1, vec![])],
            parked: vec![parked(2, "order-1", dead(), correlation)],
            ..FoldOutput::default()
        })
    };
    let stream = &events[0].stream;
    let keys = ["a".to_owned()];
    assert!(
        !model
            .release(&lane, stream, &[1], &keys, &mut again)
            .await
            .unwrap(),
        "others are held"
    );
    assert!(
        model
            .document(workspace, VIEW, "a")
            .await
            .unwrap()
            .value
            .is_none()
    );
    assert!(
        model
            .release(&lane, stream, &[1, 2], &keys, &mut again)
            .await
            .unwrap()
    );
    let read = model.document(workspace, VIEW, "a").await.unwrap();
    assert_eq!(number(&read.value.unwrap()), 1);
    assert_eq!(model.held_events(&lane, stream).await.unwrap().len(), 1);
    let checkpoints = model.checkpoints().await.unwrap();
    assert_eq!((checkpoints[0].position, checkpoints[0].released_at), (4, 4));
}

pub(crate) async fn what_is_discarded_holds_back_nothing<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let lane = lane(workspace(), 1, 0);
    let workspace = lane.scope.workspace;
    let letter = parked(2, "order-1", dead(), SystemClock.new_id());
    park(&*model, &lane, 0, vec![letter.clone()]).await;
    let discarded = ParkedEvent {
        state: ParkedState::Discarded {
            reason: "it does not fit".to_owned(),
            attempts: 3,
        },
        ..letter.clone()
    };
    let mut discard = |_: FoldInput| {
        Ok(FoldOutput {
            parked: vec![discarded.clone()],
            ..FoldOutput::default()
        })
    };
    assert!(
        model
            .release(&lane, &letter.stream, &[2], &[], &mut discard)
            .await
            .unwrap()
    );
    assert!(model.held_events(&lane, &letter.stream).await.unwrap().is_empty());
    let record = model.parked_events(&lane, &letter.stream, 1, 1).await.unwrap();
    assert_eq!(record, std::slice::from_ref(&discarded));
    assert!(
        model
            .parked_counts(Some(workspace), None)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(model.dead_letter(workspace, letter.id).await.unwrap().is_none());
    let passed = model.contents(workspace, VIEW).await.unwrap().value.passed;
    assert_eq!(passed, [(0, 2)], "the record of it stays");
}

pub(crate) async fn dead_letters_are_paged_in_their_order<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    for partition in [1, 0] {
        let events = (1..=3)
            .map(|position| {
                parked(
                    position,
                    &format!("order-{position}"),
                    dead(),
                    SystemClock.new_id(),
                )
            })
            .collect();
        park(&*model, &lane(workspace, 1, partition), 0, events).await;
    }
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = model
            .dead_letters(workspace, Some(VIEW), after.as_ref(), 2)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key());
        keys.extend(
            page.iter()
                .map(|letter| (letter.partition, letter.event.position)),
        );
    }
    assert_eq!(keys, [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]);
    assert!(
        model
            .dead_letters(workspace, Some("products"), None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        model.dead_letters(workspace, None, None, 10).await.unwrap().len(),
        6
    );
}
