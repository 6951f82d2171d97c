//! The hops of commands: what came of each, also of those that are refused, repeated or decided again.

use std::sync::Arc;

use domain::wire::hops::{Arrow, Hop, HopOutcome};
use serde_json::json;
use telemetry::hops::Watch;
use test_support::RecordedHops;

use super::{Shop, place_order, read, receive, with};
use clock::{Clock as _, SystemClock};

fn watched(shop: &Shop) -> (Arc<RecordedHops>, Watch) {
    RecordedHops::of(shop.workspace)
}

fn ways(hops: &[Hop]) -> Vec<(Arrow, HopOutcome)> {
    hops.iter().map(|hop| (hop.arrow, hop.outcome)).collect()
}

#[tokio::test]
async fn an_accepted_command_goes_to_the_aggregate_and_its_event_to_the_store() {
    let shop = Shop::open().await;
    shop.list_mug().await;
    let (hops, _watch) = watched(&shop);
    let correlation = SystemClock.new_id();
    let request = with(place_order("1", "mug-01"), "correlation_id", json!(correlation));
    let answer = shop.send(&shop.customer, request, None).await.unwrap();
    let hops = hops.take(3).await;
    assert_eq!(
        ways(&hops),
        [
            (Arrow::RestJsonCommand, HopOutcome::Done),
            (Arrow::ValidateCommand, HopOutcome::Done),
            (Arrow::AppendEvents, HopOutcome::Done),
        ]
    );
    let event = &answer.events[0];
    for hop in hops {
        assert_eq!(hop.event_id, Some(event.event_id), "{hop:?}");
        assert_eq!(hop.event_type.as_deref(), Some("OrderCreated"), "{hop:?}");
        assert_eq!(hop.stream.as_deref(), Some("order-1"), "{hop:?}");
        assert_eq!(hop.correlation_id, Some(correlation), "{hop:?}");
        assert_eq!(
            (hop.partition, hop.position),
            (Some(event.partition), Some(event.position)),
            "{hop:?}"
        );
        assert_eq!(hop.lane, None, "{hop:?}");
    }
}

#[tokio::test]
async fn a_command_that_a_rule_refuses_reaches_no_store_and_has_no_event() {
    let shop = Shop::open().await;
    let (hops, _watch) = watched(&shop);
    shop.by_staff(json!({"type": "ShipOrder", "stream": "order-9", "data": {}}))
        .await
        .unwrap_err();
    let hops = hops.take(3).await;
    // What a cached state refuses is decided again on the stored one.
    assert_eq!(
        ways(&hops),
        [
            (Arrow::RestJsonCommand, HopOutcome::Refused),
            (Arrow::ValidateCommand, HopOutcome::Retried),
            (Arrow::ValidateCommand, HopOutcome::Refused),
        ]
    );
    for hop in hops {
        assert_eq!((hop.event_id, hop.position), (None, None), "{hop:?}");
        assert_eq!(hop.event_type.as_deref(), Some("ShipOrder"), "{hop:?}");
        assert_eq!(hop.stream.as_deref(), Some("order-9"), "{hop:?}");
        assert!(hop.correlation_id.is_some(), "{hop:?}");
    }
}

#[tokio::test]
async fn a_command_that_cannot_be_read_or_is_not_allowed_is_not_validated() {
    let shop = Shop::open().await;
    let (hops, _watch) = watched(&shop);
    let refused = [(Arrow::RestJsonCommand, HopOutcome::Refused)];
    shop.by_staff(json!({"type": "ReceiveStock", "stream": "inventory-mug-01", "data": {}}))
        .await
        .unwrap_err();
    assert_eq!(ways(&hops.take(1).await), refused);
    shop.send(&shop.customer, receive("mug-01", 1), None)
        .await
        .unwrap_err();
    assert_eq!(ways(&hops.take(1).await), refused);
}

#[tokio::test]
async fn a_repeated_command_is_a_duplicate_and_names_the_event_of_the_first() {
    let shop = Shop::open().await;
    let first = shop
        .send(&shop.staff, receive("mug-01", 1), Some("key-1"))
        .await
        .unwrap();
    let (hops, _watch) = watched(&shop);
    shop.send(&shop.staff, receive("mug-01", 1), Some("key-1"))
        .await
        .unwrap();
    let hops = hops.take(1).await;
    assert_eq!(ways(&hops), [(Arrow::RestJsonCommand, HopOutcome::Duplicate)]);
    assert_eq!(hops[0].event_id, Some(first.events[0].event_id));
}

#[tokio::test]
async fn a_version_that_a_caller_names_in_vain_refuses_the_command() {
    let shop = Shop::open().await;
    shop.by_staff(receive("mug-01", 1)).await.unwrap();
    let (hops, _watch) = watched(&shop);
    shop.by_staff(with(receive("mug-01", 1), "expected_version", json!(7)))
        .await
        .unwrap_err();
    let hops = hops.take(1).await;
    assert_eq!(ways(&hops), [(Arrow::RestJsonCommand, HopOutcome::Refused)]);
}

#[tokio::test]
async fn a_decision_on_an_old_state_is_made_again_after_a_conflict() {
    let shop = Shop::open().await;
    shop.by_staff(receive("mug-01", 1)).await.unwrap();
    // The other service's append is not in this one's cache.
    let other = shop.second_service();
    let request = read(receive("mug-01", 2));
    other
        .handle(shop.workspace, &shop.staff, &request, None, None)
        .await
        .unwrap();
    let (hops, _watch) = watched(&shop);
    let answer = shop.by_staff(receive("mug-01", 3)).await.unwrap();
    let hops = hops.take(5).await;
    assert_eq!(
        ways(&hops),
        [
            (Arrow::RestJsonCommand, HopOutcome::Done),
            (Arrow::ValidateCommand, HopOutcome::Done),
            (Arrow::AppendEvents, HopOutcome::Retried),
            (Arrow::ValidateCommand, HopOutcome::Done),
            (Arrow::AppendEvents, HopOutcome::Done),
        ]
    );
    assert_eq!((hops[1].event_id, hops[2].event_id), (None, None));
    let event = Some(answer.events[0].event_id);
    assert_eq!((hops[3].event_id, hops[4].event_id), (event, event));
}

#[tokio::test]
async fn appends_that_are_committed_together_are_a_hop_each() {
    let shop = Shop::open().await;
    let (hops, _watch) = watched(&shop);
    let requests = (0..20).map(|n| shop.by_staff(receive(&format!("mug-{n}"), 1)));
    let answers = futures::future::join_all(requests).await;
    let mut appended: Vec<_> = answers
        .into_iter()
        .map(|answer| Some(answer.unwrap().events[0].event_id))
        .collect();
    let mut crossed: Vec<_> = hops
        .take(60)
        .await
        .iter()
        .filter(|hop| hop.arrow == Arrow::AppendEvents)
        .map(|hop| hop.event_id)
        .collect();
    appended.sort();
    crossed.sort();
    assert_eq!(crossed, appended);
}
