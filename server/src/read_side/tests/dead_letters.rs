//! Dead letters: one stream waits, the others go on, and nothing is lost or applied twice.

use serde_json::Value;

use super::faulty::{FaultyInventory, faulty_inventory};
use documents::{DeadLetter, ParkedState};
use projection::{
    dead_letters::{DeadLetterError, Remedy},
    retry::EVENT_ATTEMPTS,
};
use query::live::{LiveItem, LiveSession, Subscribe};

use crate::read_side::testing::{Shop, educator, received};

const BAD: &str = "inventory-bad";

async fn broken_shop() -> (&'static FaultyInventory, Shop) {
    let (view, views) = faulty_inventory();
    (view, Shop::open_with(1, views).await)
}

async fn letters(shop: &Shop) -> Vec<DeadLetter> {
    let letters = shop
        .read
        .projections
        .dead_letters
        .list(shop.workspace, None, None, 100);
    letters.await.unwrap()
}

async fn on_hand(shop: &Shop, sku: &str) -> Value {
    shop.document("inventory", sku).await["on_hand"].clone()
}

async fn remedy(shop: &Shop, letter: &DeadLetter, remedy: Remedy) -> (u64, Option<DeadLetter>) {
    let released = shop
        .read
        .projections
        .dead_letters
        .remedy(shop.workspace, letter.event.id, remedy);
    let released = released.await.unwrap();
    (released.applied, released.dead_letter)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_holds_back_its_own_stream_only() {
    let (view, shop) = broken_shop().await;
    view.break_at(BAD, 2);
    shop.append(BAD, &[received(1), received(2), received(4)]).await;
    shop.append("inventory-good", &[received(7)]).await;
    shop.append(BAD, &[received(8)]).await;
    shop.settle().await;
    assert!(view.panics() >= EVENT_ATTEMPTS, "{}", view.panics());
    assert_eq!(
        (on_hand(&shop, "bad").await, on_hand(&shop, "good").await),
        (1.into(), 7.into())
    );
    let parked = letters(&shop).await;
    assert_eq!(parked.len(), 1, "{parked:?}");
    let DeadLetter { event, waiting, .. } = &parked[0];
    assert_eq!((event.version, event.position, *waiting), (2, 2, 2));
    assert!(
        matches!(
            &event.state,
            ParkedState::Dead { reason, attempts: EVENT_ATTEMPTS } if reason.contains("broken at")
        ),
        "{event:?}"
    );
    // A dead letter does not make the server unready.
    assert_eq!(shop.read.unready_reasons().await, Vec::<String>::new());
    assert_eq!(shop.findings().await.len(), 1, "{:?}", shop.findings().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_survives_a_restart_and_a_retry_replays_what_waited_in_order() {
    let (view, shop) = broken_shop().await;
    view.break_at(BAD, 2);
    shop.append(BAD, &[received(1), received(2)]).await;
    shop.settle().await;
    let shop = shop.restart().await;
    shop.append(BAD, &[received(4)]).await;
    shop.settle().await;
    let letter = letters(&shop).await.remove(0);
    assert_eq!((on_hand(&shop, "bad").await, letter.waiting), (1.into(), 1));
    view.mend(BAD, 2);
    assert_eq!(remedy(&shop, &letter, Remedy::Retry).await, (2, None));
    assert_eq!(on_hand(&shop, "bad").await, 7);
    assert_eq!(
        (letters(&shop).await, shop.findings().await),
        (Vec::new(), Vec::new())
    );
    let again = shop
        .read
        .projections
        .dead_letters
        .remedy(shop.workspace, letter.event.id, Remedy::Retry);
    assert!(matches!(again.await, Err(DeadLetterError::Unknown)));
    shop.append(BAD, &[received(8)]).await;
    shop.settle().await;
    assert_eq!(on_hand(&shop, "bad").await, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_fails_again_goes_as_far_as_it_can() {
    let (view, shop) = broken_shop().await;
    view.break_at(BAD, 1);
    view.break_at(BAD, 3);
    shop.append(BAD, &[received(1), received(2), received(4), received(8)])
        .await;
    shop.settle().await;
    let letter = letters(&shop).await.remove(0);
    let (applied, still) = remedy(&shop, &letter, Remedy::Retry).await;
    let still = still.unwrap();
    assert_eq!((applied, still.event.id, still.waiting), (0, letter.event.id, 3));
    assert!(
        matches!(&still.event.state, ParkedState::Dead { attempts, .. } if *attempts == EVENT_ATTEMPTS + 1)
    );
    view.mend(BAD, 1);
    let (applied, next) = remedy(&shop, &letter, Remedy::Retry).await;
    let next = next.unwrap();
    assert_eq!((applied, next.event.version, next.waiting), (2, 3, 1));
    assert_eq!(on_hand(&shop, "bad").await, 3);
    view.mend(BAD, 3);
    assert_eq!(remedy(&shop, &next, Remedy::Retry).await, (2, None));
    assert_eq!(
        (on_hand(&shop, "bad").await, shop.findings().await),
        (15.into(), Vec::new())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_event_is_left_out_until_the_view_is_rebuilt() {
    let (view, shop) = broken_shop().await;
    view.break_at(BAD, 1);
    shop.append(BAD, &[received(1), received(2)]).await;
    shop.settle().await;
    let letter = letters(&shop).await.remove(0);
    assert_eq!(remedy(&shop, &letter, Remedy::Discard).await, (1, None));
    assert_eq!(
        (on_hand(&shop, "bad").await, letters(&shop).await),
        (2.into(), Vec::new())
    );
    shop.append(BAD, &[received(4)]).await;
    shop.settle().await;
    assert_eq!(on_hand(&shop, "bad").await, 6);
    assert_eq!(
        shop.findings().await.len(),
        1,
        "the verification reports the discarded event"
    );
    view.mend(BAD, 1);
    shop.read
        .projections
        .rebuilds
        .rebuild(shop.workspace, "inventory")
        .await
        .unwrap();
    shop.read
        .projections
        .rebuilds
        .finished(shop.workspace, "inventory")
        .await;
    assert_eq!(
        (on_hand(&shop, "bad").await, shop.findings().await),
        (7.into(), Vec::new())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_fault_is_no_dead_letter() {
    let (view, shop) = broken_shop().await;
    view.break_at(BAD, 2);
    view.heal_after(EVENT_ATTEMPTS - 1);
    shop.append(BAD, &[received(1), received(2), received(4)]).await;
    shop.settle().await;
    assert_eq!(
        (on_hand(&shop, "bad").await, letters(&shop).await),
        (7.into(), Vec::new())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspace_has_no_such_dead_letter() {
    let (view, shop) = broken_shop().await;
    view.break_at(BAD, 1);
    shop.append(BAD, &[received(1)]).await;
    shop.settle().await;
    let letter = letters(&shop).await.remove(0);
    let other = shop.another_workspace().await;
    let dead_letters = &shop.read.projections.dead_letters;
    assert_eq!(
        dead_letters.list(other, None, None, 100).await.unwrap(),
        Vec::new()
    );
    let refused = dead_letters.remedy(other, letter.event.id, Remedy::Discard).await;
    assert!(matches!(refused, Err(DeadLetterError::Unknown)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_pages_are_consecutive() {
    let (view, shop) = broken_shop().await;
    for n in 0..5 {
        view.break_at(&format!("inventory-bad-{n}"), 1);
        shop.append(&format!("inventory-bad-{n}"), &[received(1)]).await;
    }
    shop.settle().await;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let dead_letters = &shop.read.projections.dead_letters;
        let page = dead_letters
            .list(shop.workspace, Some("inventory"), after.as_ref(), 2)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key());
        seen.extend(page.iter().map(|letter| letter.event.position));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

async fn frame(session: &mut LiveSession) -> Value {
    match session.next().await {
        LiveItem::Frame(bytes) => serde_json::from_slice(&bytes).unwrap(),
        LiveItem::Closed => panic!("closed"),
    }
}

async fn snapshot(session: &mut LiveSession) -> Value {
    loop {
        let frame = frame(session).await;
        if frame["op"] == "snapshot" {
            return frame;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_sees_a_retry_though_the_token_stays_also_after_a_reconnection() {
    let (view, shop) = broken_shop().await;
    view.break_at(BAD, 2);
    shop.append(BAD, &[received(1), received(2)]).await;
    shop.settle().await;
    let to = |resume| Subscribe {
        id: 1,
        view: "inventory".into(),
        key: Some("bad".into()),
        resume,
        generation: Some(1),
        ..Subscribe::default()
    };
    let mut following = shop.read.query.live(shop.workspace, educator());
    following.subscribe(to(None)).await;
    assert_eq!(snapshot(&mut following).await["data"]["on_hand"], 1);
    view.mend(BAD, 2);
    remedy(&shop, &letters(&shop).await[0], Remedy::Retry).await;
    let update = snapshot(&mut following).await;
    assert_eq!(
        (&update["data"]["on_hand"], &update["as_of"]),
        (&3.into(), &"0:2".into())
    );
    // A client that saw 0:2 before the retry cannot be told from one that saw it after: both get a snapshot.
    let mut back = shop.read.query.live(shop.workspace, educator());
    back.subscribe(to(Some("0:2".parse().unwrap()))).await;
    assert_eq!(snapshot(&mut back).await["data"]["on_hand"], 3);
    drop((following, back));
    let shop = shop.restart().await;
    let mut back = shop.read.query.live(shop.workspace, educator());
    back.subscribe(to(Some("0:2".parse().unwrap()))).await;
    assert_eq!(snapshot(&mut back).await["data"]["on_hand"], 3);
    // A later token proves again that nothing was missed.
    shop.append(BAD, &[received(4)]).await;
    let mut update = frame(&mut back).await;
    while update["op"] != "change" {
        update = frame(&mut back).await;
    }
    let mut later = shop.read.query.live(shop.workspace, educator());
    later.subscribe(to(Some("0:3".parse().unwrap()))).await;
    assert_eq!(frame(&mut later).await["op"], "caught_up");
}
