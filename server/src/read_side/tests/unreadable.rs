//! An event that this program cannot read: its partition stops there, and nothing else does.

use std::time::Duration;

use domain::view;
use query::{QueryError, settled::SettleRequest};

use super::monitor::tamper;
use crate::read_side::testing::{Shop, append, received};

const VIEW: &str = "inventory";

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_with_an_unreadable_event_stops_alone_also_at_a_start() {
    // Without views nothing is folded before the restart.
    let shop = Shop::open_with(1, &[]).await;
    let other = shop.another_workspace().await;
    shop.append("inventory-mug-1", &[received(1), received(2), received(3)])
        .await;
    append(&*shop.store, other, "inventory-mug-1", &[received(4)]).await;
    let change = "drop trigger events_are_never_updated;
        update events set actor_role = 'janitor' where version = 2";
    tamper(&shop, "events.db", change).await;
    let shop = shop.restart_with(view::all()).await;
    let progress = |of| shop.read.progress.of(of, VIEW).unwrap();
    progress(other).reaches(&"0:1".parse().unwrap()).await;
    progress(shop.workspace).reaches(&"0:1".parse().unwrap()).await;
    let inventory = loop {
        let status = shop.read.projections.status(shop.workspace).await.unwrap();
        let inventory = status.into_iter().find(|status| status.view == VIEW).unwrap();
        if !inventory.failing.is_empty() && shop.read.unready_reasons().await.is_empty() {
            break inventory;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((inventory.as_of.position(0), inventory.behind), (1, 2));
    let failing = &inventory.failing[0];
    assert_eq!((failing.partition, failing.stopped), (0, true), "{failing:?}");
    let reason = "the event at position 2 is unreadable";
    assert!(failing.reason.contains(reason), "{failing:?}");
    let request = SettleRequest {
        timeout: Duration::ZERO,
        ..SettleRequest::default()
    };
    match shop.read.settlement.settled(shop.workspace, &request).await {
        Err(QueryError::NotSettled { waiting_for }) => {
            let of_view = waiting_for.iter().find(|what| what.starts_with(VIEW)).unwrap();
            assert!(
                of_view.starts_with("inventory 0:1 of 0:3 (stopped: "),
                "{of_view}"
            );
            assert!(of_view.contains(reason), "{of_view}");
        }
        other => panic!("{other:?}"),
    }
    // The others go on.
    append(&*shop.store, other, "inventory-mug-1", &[received(5)]).await;
    progress(other).reaches(&"0:2".parse().unwrap()).await;
}
