//! Where handlers are, and what they have done with an event: handled, not reached, parked or discarded.

use domain::{
    event::StoredEvent,
    wire::{HandlerKind, Handling},
};
use test_support::received;
use uuid::Uuid;

use super::lane;
use crate::{
    Projections, dead_letters::Remedy, fold::PoisonEvent, lane_controls::LaneDials, retry::EVENT_ATTEMPTS,
    testing::LaneFixture,
};

const VIEW: &str = "inventory";

/// What the view of the stock has done with an event, and why it could not apply it.
async fn handling(
    projections: &Projections,
    fixture: &LaneFixture,
    event: &StoredEvent,
) -> (Handling, Option<String>) {
    let handled = projections.handled(fixture.workspace, event).await.unwrap();
    let of_view = handled.into_iter().find(|handled| handled.name == VIEW).unwrap();
    assert_eq!(of_view.kind, HandlerKind::View);
    (of_view.handling, of_view.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_known_what_a_handler_has_done_with_each_event_of_a_stream() {
    let fixture = LaneFixture::new(1).await;
    for quantity in [1, 2, 4] {
        fixture.append("inventory-mug-1", &[received(quantity)]).await;
    }
    let published = fixture.published().await;
    let poison = PoisonEvent {
        position: 2,
        reason: "it does not fit".to_owned(),
        attempts: EVENT_ATTEMPTS,
    };
    lane(&fixture, &fixture.context)
        .apply(&published, &[poison])
        .await
        .unwrap();
    let progress = fixture.context.progress.of(fixture.workspace, VIEW).unwrap();
    progress.controls().bend(Some(LaneDials {
        paused: true,
        ..LaneDials::default()
    }));
    fixture.append("inventory-mug-1", &[received(8)]).await;
    let projections = Projections::start(fixture.context.clone()).await.unwrap();
    let events = fixture.context.store.read_partition(fixture.workspace, 0, 0, 9);
    let events = events.await.unwrap();

    let handlers = projections.handlers(fixture.workspace).await.unwrap();
    let stock = handlers
        .iter()
        .find(|handler| handler.status.view == VIEW)
        .unwrap();
    assert_eq!((stock.kind, stock.status.behind), (HandlerKind::View, 1));
    assert_eq!((stock.status.dead_letters, stock.status.waiting), (1, 1));
    assert!(stock.behind_ms.is_some() && stock.status.paused);
    let reason = Some("it does not fit".to_owned());
    for (event, expected) in events.iter().zip([
        (Handling::Handled, None),
        (Handling::DeadLetter, reason.clone()),
        (Handling::Waiting, None),
        (Handling::Behind, None),
    ]) {
        let found = handling(&projections, &fixture, event).await;
        assert_eq!(found, expected, "position {}", event.position);
    }

    let letters = &projections.dead_letters;
    let listed = letters
        .list(fixture.workspace, Some(VIEW), None, 9)
        .await
        .unwrap();
    let id = listed[0].event.id;
    let waiting = letters
        .waiting(fixture.workspace, id, 0, 9)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(waiting.iter().map(|event| event.version).collect::<Vec<_>>(), [3]);
    let after = letters.waiting(fixture.workspace, id, 3, 9).await.unwrap();
    assert_eq!(after, Some(Vec::new()));
    let unknown = letters.waiting(fixture.workspace, Uuid::from_u128(7), 0, 9).await;
    assert_eq!(unknown.unwrap(), None);

    letters
        .remedy(fixture.workspace, id, Remedy::Discard)
        .await
        .unwrap();
    assert_eq!(
        handling(&projections, &fixture, &events[1]).await,
        (Handling::Discarded, reason)
    );
    assert_eq!(
        handling(&projections, &fixture, &events[2]).await,
        (Handling::Handled, None)
    );
    progress.controls().bend(None);
    projections.stop().await;
}
