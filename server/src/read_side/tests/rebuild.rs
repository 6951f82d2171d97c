//! Rebuilds: the old generation answers queries and folds until the new one is switched in, complete.

use std::sync::Arc;

use documents::Scope;
use domain::{token::ConsistencyToken, view};

use super::{assert_views_equal_their_folds, faulty::faulty_inventory};
use projection::rebuild::RebuildError;
use query::live::{LiveItem, Subscribe};

use crate::read_side::testing::{Shop, educator, received, reserved};

const VIEW: &str = "inventory";

async fn rebuilt(shop: &Shop, view: &str) {
    let rebuilds = &shop.read.projections.rebuilds;
    rebuilds.rebuild(shop.workspace, view).await.unwrap();
    rebuilds.finished(shop.workspace, view).await;
}

async fn fill(shop: &Shop, appends: usize) {
    for n in 0..appends {
        let events = vec![received(1); 100];
        shop.append(&format!("inventory-mug-{}", n % 7), &events).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_under_load_ends_with_the_fold_and_readers_never_go_back() {
    let shop = Arc::new(Shop::open(3).await);
    fill(&shop, 12).await;
    shop.settle().await;
    let writers = (0..3).map(|writer| {
        let shop = shop.clone();
        tokio::spawn(async move {
            for _ in 0..40 {
                shop.append(&format!("inventory-mug-{writer}"), &[received(2), reserved(1)])
                    .await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let reader = {
        let shop = shop.clone();
        tokio::spawn(async move {
            let reader = educator();
            // The writers run already, so the head may be ahead of what a reader has seen.
            let (mut seen, mut on_hand, mut generation) = (ConsistencyToken::default(), 0, 1);
            while generation == 1 {
                let document = shop
                    .read
                    .query
                    .document(shop.workspace, &reader, VIEW, "mug-0", None);
                let read = document.await.unwrap();
                assert!(read.as_of.covers(&seen), "{} after {seen}", read.as_of);
                assert!(read.generation >= generation);
                let document: serde_json::Value = serde_json::from_str(read.data.get()).unwrap();
                assert!(
                    document["on_hand"].as_u64().unwrap() >= on_hand,
                    "{document} after {on_hand}"
                );
                on_hand = document["on_hand"].as_u64().unwrap();
                (seen, generation) = (read.as_of, read.generation);
                tokio::task::yield_now().await;
            }
        })
    };
    let begun = shop
        .read
        .projections
        .rebuilds
        .rebuild(shop.workspace, VIEW)
        .await
        .unwrap();
    assert_eq!(begun.generation, 2);
    assert!(
        begun.events_done <= begun.events_total && begun.events_total >= 1_200,
        "{begun:?}"
    );
    shop.read
        .projections
        .rebuilds
        .finished(shop.workspace, VIEW)
        .await;
    reader.await.unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_views_equal_their_folds(&shop).await;
    assert_eq!(shop.findings().await, Vec::<String>::new());
    let status = shop.read.projections.status(shop.workspace).await.unwrap();
    let generations: Vec<_> = status
        .iter()
        .map(|it| (it.view.as_str(), it.generation))
        .collect();
    let expected: Vec<_> = view::all()
        .iter()
        .map(|view| (view.name(), if view.name() == VIEW { 2 } else { 1 }))
        .collect();
    assert_eq!(generations, expected);
    assert!(
        status.iter().all(|it| it.rebuild.is_none() && it.behind == 0),
        "{status:?}"
    );
    // The old generation is removed in the background.
    while !shop.read.read_model().leftovers().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_a_snapshot_of_the_new_generation_and_then_its_changes() {
    let shop = Shop::open(1).await;
    shop.append("inventory-mug-1", &[received(3)]).await;
    shop.settle().await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    let to = |generation, resume| Subscribe {
        id: 1,
        view: VIEW.into(),
        key: Some("mug-1".into()),
        resume,
        generation,
        ..Subscribe::default()
    };
    session.subscribe(to(None, None)).await;
    let mut next = async || loop {
        match session.next().await {
            LiveItem::Frame(bytes) => {
                let frame: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                if frame["op"] != "caught_up" && frame["op"] != "behind" {
                    return frame;
                }
            }
            LiveItem::Closed => panic!("closed"),
        }
    };
    assert_eq!(next().await["generation"], 1);
    rebuilt(&shop, VIEW).await;
    let again = next().await;
    assert_eq!(
        (&again["op"], &again["generation"]),
        (&"snapshot".into(), &2.into())
    );
    assert_eq!(again["data"]["on_hand"], 3);
    shop.append("inventory-mug-1", &[received(4)]).await;
    let change = next().await;
    assert_eq!(
        (&change["op"], &change["data"]["on_hand"]),
        (&"change".into(), &7.into())
    );
    // A token of the old generation proves nothing in the new one.
    let mut back = shop.read.query.live(shop.workspace, educator());
    back.subscribe(to(Some(1), Some("0:2".parse().unwrap()))).await;
    let LiveItem::Frame(bytes) = back.next().await else {
        panic!("closed")
    };
    assert!(bytes.starts_with(b"{\"op\":\"snapshot\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_joins_the_rebuild_and_a_cancelled_one_leaves_no_trace() {
    let shop = Shop::open(1).await;
    fill(&shop, 15).await;
    shop.settle().await;
    let progress = shop.read.progress.of(shop.workspace, VIEW).unwrap();
    let rebuilds = &shop.read.projections.rebuilds;
    let not_running = rebuilds.cancel(shop.workspace, VIEW).await;
    assert!(matches!(not_running, Err(RebuildError::NotRunning(view)) if view == VIEW));
    assert!(matches!(
        rebuilds.rebuild(shop.workspace, "nonsense").await,
        Err(RebuildError::UnknownView(_))
    ));
    // While the lanes are locked, no generation can be switched in.
    let turn = progress.turn().await;
    let first = rebuilds.rebuild(shop.workspace, VIEW).await.unwrap();
    let second = rebuilds.rebuild(shop.workspace, VIEW).await.unwrap();
    assert_eq!((first.generation, second.generation), (2, 2));
    rebuilds.cancel(shop.workspace, VIEW).await.unwrap();
    drop(turn);
    assert_eq!(rebuilds.progress(shop.workspace, VIEW), None);
    assert_eq!(progress.generation(), 1);
    assert_views_equal_their_folds(&shop).await;
    // Its number is not used again.
    rebuilt(&shop, VIEW).await;
    assert_eq!(progress.generation(), 3);
    assert_views_equal_their_folds(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_continues_after_a_restart() {
    let shop = Shop::open(1).await;
    fill(&shop, 15).await;
    shop.settle().await;
    let progress = shop.read.progress.of(shop.workspace, VIEW).unwrap();
    let turn = progress.turn().await;
    shop.read
        .projections
        .rebuilds
        .rebuild(shop.workspace, VIEW)
        .await
        .unwrap();
    let scope = Scope {
        workspace: shop.workspace,
        view: VIEW,
        generation: 2,
    };
    while shop.read.read_model().folded(&scope).await.unwrap().position(0) == 0 {
        tokio::task::yield_now().await;
    }
    let shop = shop.restart().await;
    drop(turn);
    shop.read
        .projections
        .rebuilds
        .finished(shop.workspace, VIEW)
        .await;
    let progress = shop.read.progress.of(shop.workspace, VIEW).unwrap();
    assert_eq!(progress.generation(), 2);
    assert_views_equal_their_folds(&shop).await;
    let shop = shop.restart().await;
    assert_eq!(
        shop.read.progress.of(shop.workspace, VIEW).unwrap().generation(),
        2
    );
    shop.append("inventory-mug-1", &[received(4)]).await;
    assert_views_equal_their_folds(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_added_later_folds_all_history() {
    let shop = Shop::open_with(2, &view::all()[..1]).await;
    fill(&shop, 3).await;
    shop.settle().await;
    let shop = shop.restart_with(view::all()).await;
    assert_views_equal_their_folds(&shop).await;
    assert_eq!(shop.findings().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_has_dead_letters_of_its_own() {
    let (faulty, views) = faulty_inventory();
    let shop = Shop::open_with(1, views).await;
    faulty.break_at("inventory-bad", 1);
    shop.append("inventory-bad", &[received(1)]).await;
    shop.append("inventory-good", &[received(1)]).await;
    shop.settle().await;
    let letters = async || {
        let letters = shop
            .read
            .projections
            .dead_letters
            .list(shop.workspace, None, None, 9)
            .await
            .unwrap();
        letters
            .into_iter()
            .map(|letter| letter.generation)
            .collect::<Vec<_>>()
    };
    assert_eq!(letters().await, [1]);
    rebuilt(&shop, VIEW).await;
    assert_eq!(letters().await, [2], "the new generation cannot apply it either");
    faulty.mend("inventory-bad", 1);
    rebuilt(&shop, VIEW).await;
    assert_eq!(letters().await, Vec::<u64>::new());
    assert_eq!(shop.findings().await, Vec::<String>::new());
}
