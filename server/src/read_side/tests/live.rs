//! Live subscriptions over real databases: a snapshot, then every change after it, none missed and none
//! twice.

use std::collections::BTreeMap;

use domain::{
    access::Actor,
    token::ConsistencyToken,
    wire::{Row, ServerFrame, SnapshotData},
};
use serde_json::{Value, json};

use projection::lane_controls::LaneDials;
use query::live::{CAPACITY, LiveItem, LiveSession, MAX_SUBSCRIPTIONS, Subscribe};

use crate::read_side::testing::{
    Shop, append, cancelled, confirmed, created, customer, educator, listed, price, received, reserved,
    retired,
};

type Frame = ServerFrame<Value>;

/// The next frame, without those that report a slow lane: they depend on the machine.
async fn next(session: &mut LiveSession) -> Frame {
    loop {
        let frame = match session.next().await {
            LiveItem::Frame(bytes) => serde_json::from_slice(&bytes).unwrap(),
            LiveItem::Closed => panic!("the session was closed"),
        };
        if !matches!(frame, Frame::Behind { .. }) {
            return frame;
        }
    }
}

fn to_document(id: u64, view: &str, key: &str) -> Subscribe {
    Subscribe {
        id,
        view: view.into(),
        key: Some(key.into()),
        ..Subscribe::default()
    }
}

fn to_listing(id: u64, view: &str, listing: &str, group: &str) -> Subscribe {
    Subscribe {
        id,
        view: view.into(),
        listing: Some(listing.into()),
        group: Some(group.into()),
        limit: Some(200),
        ..Subscribe::default()
    }
}

/// A client's state after the frames of one subscription.
#[derive(Debug, Default)]
struct Client {
    rows: BTreeMap<String, (String, Value)>,
    as_of: ConsistencyToken,
    generation: u64,
    snapshots: usize,
    changes: Vec<u64>,
}

impl Client {
    fn see(&mut self, frame: Frame) {
        match frame {
            Frame::Snapshot {
                as_of,
                generation,
                data,
                ..
            } => {
                assert!(as_of.covers(&self.as_of), "{as_of} after {}", self.as_of);
                (self.as_of, self.generation) = (as_of, generation);
                self.snapshots += 1;
                let SnapshotData::Rows(rows) = data else {
                    panic!("the subscription is of a listing")
                };
                let row = |Row { key, sort, data }: Row| (key, (sort, data));
                self.rows = rows.into_iter().map(row).collect();
            }
            Frame::Change {
                as_of,
                key,
                data,
                sort,
                event,
                ..
            } => {
                assert!(
                    as_of.covers(&self.as_of) && as_of != self.as_of,
                    "{as_of} after {}",
                    self.as_of
                );
                self.as_of = as_of;
                self.changes.push(event.position);
                match data {
                    Some(data) => drop(self.rows.insert(key, (sort.unwrap(), data))),
                    None => assert!(
                        self.rows.remove(&key).is_some(),
                        "{key} left without having been there"
                    ),
                }
            }
            Frame::CaughtUp { as_of, .. } => {
                assert!(as_of.covers(&self.as_of), "{as_of} after {}", self.as_of);
                self.as_of = as_of;
            }
            other => panic!("{other:?}"),
        }
    }

    async fn read_until(&mut self, session: &mut LiveSession, token: &ConsistencyToken) {
        while !self.as_of.covers(token) {
            let frame = next(session).await;
            self.see(frame);
        }
    }

    fn resume(&self, request: Subscribe) -> Subscribe {
        Subscribe {
            resume: Some(self.as_of.clone()),
            generation: Some(self.generation),
            ..request
        }
    }
}

/// The rows that a query returns.
async fn queried(shop: &Shop, actor: &Actor, request: &Subscribe) -> BTreeMap<String, (String, Value)> {
    let request = query::ListingRequest {
        view: request.view.clone(),
        listing: request.listing.clone(),
        group: request.group.clone(),
        limit: request.limit,
        ..query::ListingRequest::default()
    };
    let page = shop
        .read
        .query
        .listing(shop.workspace, actor, request, None)
        .await
        .unwrap();
    let row = |row: Row<Box<serde_json::value::RawValue>>| {
        (row.key, (row.sort, serde_json::from_str(row.data.get()).unwrap()))
    };
    page.data.into_iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_gets_a_snapshot_and_then_each_change() {
    let shop = Shop::open(1).await;
    shop.append("inventory-mug-1", &[received(3)]).await;
    shop.settle().await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    session.subscribe(to_document(7, "inventory", "mug-1")).await;
    let Frame::Snapshot {
        id: 7,
        as_of,
        generation: 1,
        behind: 0,
        data,
        ..
    } = next(&mut session).await
    else {
        panic!()
    };
    assert_eq!(as_of.to_string(), "0:1");
    let SnapshotData::Document(document) = data else {
        panic!("{data:?}")
    };
    assert_eq!(document["on_hand"], 3);
    assert!(matches!(next(&mut session).await, Frame::CaughtUp { id: 7, .. }));
    shop.append("inventory-mug-1", &[received(1), reserved(2)]).await;
    for (position, available) in [(2, 4), (3, 2)] {
        let frame = next(&mut session).await;
        let text = format!("{frame:?}");
        let Frame::Change {
            id: 7,
            as_of,
            key,
            data: Some(data),
            event,
            ..
        } = frame
        else {
            panic!("{text}")
        };
        assert_eq!(
            (as_of.position(0), event.position, key.as_str()),
            (position, position, "mug-1")
        );
        assert_eq!(data["available"], available);
    }
}

/// The next change.
async fn next_change(session: &mut LiveSession) -> LiveItem {
    loop {
        let item = session.next().await;
        if text(&item).starts_with(br#"{"op":"change""#) {
            return item;
        }
    }
}

fn text(item: &LiveItem) -> &[u8] {
    match item {
        LiveItem::Frame(bytes) => bytes,
        LiveItem::Closed => panic!("the session was closed"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_one_text_for_all_clients_with_the_same_id() {
    let shop = Shop::open(1).await;
    let mut sessions = Vec::new();
    for id in [1, 1, 2, 1] {
        let mut session = shop.read.query.live(shop.workspace, educator());
        session.subscribe(to_document(id, "inventory", "mug-1")).await;
        assert!(matches!(next(&mut session).await, Frame::Snapshot { .. }));
        sessions.push(session);
    }
    shop.append("inventory-mug-1", &[received(3)]).await;
    let mut changes = Vec::new();
    for session in &mut sessions {
        changes.push(next_change(session).await);
    }
    let texts: Vec<&[u8]> = changes.iter().map(text).collect();
    for same in [texts[1], texts[3]] {
        assert_eq!(same.as_ptr(), texts[0].as_ptr());
    }
    assert_ne!(texts[2], texts[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_changes_are_read_without_a_wait() {
    let shop = Shop::open(1).await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    session.subscribe(to_document(1, "inventory", "mug-1")).await;
    assert!(matches!(next(&mut session).await, Frame::Snapshot { .. }));
    shop.append("inventory-mug-1", &[received(1), received(1), received(1)])
        .await;
    shop.settle().await;
    let mut positions = Vec::new();
    while let Some(bytes) = session.next_ready() {
        if let Frame::Change { event, .. } = serde_json::from_slice(&bytes).unwrap() {
            positions.push(event.position);
        }
    }
    assert_eq!(positions, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_behind_says_whether_it_is_paused() {
    let shop = Shop::open(1).await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    session.subscribe(to_document(1, "inventory", "mug-1")).await;
    assert!(matches!(next(&mut session).await, Frame::Snapshot { .. }));
    let projections = &shop.read.projections;
    let paused = LaneDials {
        paused: true,
        ..LaneDials::default()
    };
    assert!(projections.bend(shop.workspace, "inventory", Some(paused)));
    shop.append("inventory-mug-1", &[received(1)]).await;
    loop {
        let item = session.next().await;
        if let Frame::Behind { behind, paused, .. } = serde_json::from_slice(text(&item)).unwrap() {
            assert_eq!((behind, paused), (1, true));
            break;
        }
    }
    assert!(projections.bend(shop.workspace, "inventory", None));
    assert!(matches!(next_change(&mut session).await, LiveItem::Frame(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_does_not_exist_yet_can_be_followed() {
    let shop = Shop::open(1).await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    session.subscribe(to_document(1, "orders", "1")).await;
    let frame = next(&mut session).await;
    assert!(
        matches!(
            &frame,
            Frame::Snapshot {
                data: SnapshotData::Document(Value::Null),
                ..
            }
        ),
        "{frame:?}"
    );
    shop.append("order-1", &[created(&customer(1))]).await;
    loop {
        if let Frame::Change { data, .. } = next(&mut session).await {
            assert_eq!(data.unwrap()["status"], "created");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_enters_moves_within_and_leaves_a_listing() {
    let shop = Shop::open(1).await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    session
        .subscribe(to_listing(1, "orders", "by_status", "created"))
        .await;
    session
        .subscribe(to_listing(2, "orders", "by_status", "confirmed"))
        .await;
    session
        .subscribe(to_listing(3, "inventory", "low_stock", ""))
        .await;
    shop.append("order-1", &[created(&customer(1)), confirmed(), cancelled()])
        .await;
    shop.append("inventory-mug-1", &[received(5), reserved(1), received(9)])
        .await;
    let mut seen: BTreeMap<u64, Vec<(Value, Option<String>)>> = BTreeMap::new();
    while seen.values().map(Vec::len).sum::<usize>() < 7 {
        if let Frame::Change { id, data, sort, .. } = next(&mut session).await {
            let shown = data.map_or(Value::Null, |data| json!([data["status"], data["available"]]));
            seen.entry(id).or_default().push((shown, sort));
        }
    }
    let statuses = |id: u64| {
        seen[&id]
            .iter()
            .map(|(shown, _)| shown.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(statuses(1), [json!(["created", null]), Value::Null]);
    assert_eq!(statuses(2), [json!(["confirmed", null]), Value::Null]);
    let low_stock: Vec<_> = seen[&3]
        .iter()
        .map(|(shown, sort)| (shown.clone(), sort.as_deref()))
        .collect();
    assert_eq!(
        low_stock,
        [
            (json!([null, 5]), Some("0000000005")),
            (json!([null, 4]), Some("0000000004")),
            (Value::Null, None)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reconnects_gets_only_what_it_missed() {
    let shop = Shop::open(2).await;
    shop.append("product-mug-1", &[listed("mug-1", "Mug")]).await;
    shop.settle().await;
    let request = to_listing(1, "products", "all", "");
    let mut client = Client::default();
    let mut session = shop.read.query.live(shop.workspace, educator());
    session.subscribe(request.clone()).await;
    client.read_until(&mut session, &shop.head().await).await;
    drop(session);
    shop.append("product-mug-1", &[price(1), price(2)]).await;
    shop.append("product-mug-2", &[listed("mug-2", "Cup")]).await;
    shop.append("inventory-mug-1", &[received(3)]).await;
    shop.settle().await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    session.subscribe(client.resume(request.clone())).await;
    client.read_until(&mut session, &shop.head().await).await;
    assert_eq!((client.snapshots, client.changes.len()), (1, 4));
    assert_eq!(client.rows, queried(&shop, &educator(), &request).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_past_is_unknown_gets_a_snapshot() {
    let shop = Shop::open(1).await;
    shop.append("product-mug-1", &[listed("mug-1", "Mug"), price(1)])
        .await;
    shop.settle().await;
    for resume in [ConsistencyToken::at(0, 1), ConsistencyToken::at(0, 3)] {
        let mut session = shop.read.query.live(shop.workspace, educator());
        let request = to_listing(1, "products", "all", "");
        session
            .subscribe(Subscribe {
                resume: Some(resume),
                generation: Some(1),
                ..request
            })
            .await;
        assert!(matches!(next(&mut session).await, Frame::Snapshot { .. }));
    }
    let mut session = shop.read.query.live(shop.workspace, educator());
    let request = to_listing(1, "products", "all", "");
    let resume = Some(ConsistencyToken::at(0, 2));
    session
        .subscribe(Subscribe {
            resume,
            generation: Some(1),
            ..request
        })
        .await;
    assert!(matches!(next(&mut session).await, Frame::CaughtUp { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_gets_a_snapshot_instead_of_its_changes() {
    let shop = Shop::open(1).await;
    let request = to_listing(1, "inventory", "all", "");
    let mut session = shop.read.query.live(shop.workspace, educator());
    session.subscribe(request.clone()).await;
    let mut client = Client::default();
    client.see(next(&mut session).await);
    for _ in 0..=CAPACITY / 50 {
        shop.append("inventory-mug-1", &vec![received(1); 50]).await;
    }
    shop.settle().await;
    client.read_until(&mut session, &shop.head().await).await;
    assert_eq!(client.snapshots, 2);
    assert!(client.changes.len() < CAPACITY);
    assert_eq!(client.rows, queried(&shop, &educator(), &request).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_hears_of_progress_that_does_not_concern_its_documents() {
    let shop = Shop::open(1).await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    session.subscribe(to_document(1, "orders", "1")).await;
    shop.append("inventory-mug-1", &[received(1)]).await;
    loop {
        match next(&mut session).await {
            Frame::CaughtUp { as_of, .. } if as_of.position(0) == 1 => return,
            Frame::Change { .. } => panic!("no event changes the order"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_hears_of_their_own_documents_only() {
    let shop = Shop::open(1).await;
    let (ada, bob) = (customer(1), customer(2));
    let mut session = shop.read.query.live(shop.workspace, ada.clone());
    session.subscribe(to_document(1, "orders", "of-bob")).await;
    session
        .subscribe(to_listing(2, "orders", "by_customer", &ada.id.to_string()))
        .await;
    session
        .subscribe(to_listing(3, "orders", "by_customer", &bob.id.to_string()))
        .await;
    shop.append("order-of-bob", &[created(&bob)]).await;
    shop.append("order-of-ada", &[created(&ada)]).await;
    let mut refused = false;
    loop {
        match next(&mut session).await {
            Frame::Error { id, problem } => {
                assert_eq!((id, problem.status), (Some(3), 403));
                refused = true;
            }
            Frame::Change { id, key, .. } => {
                assert_eq!((id, key.as_str(), refused), (2, "of-ada", true));
                return;
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_another_workspace_are_never_seen() {
    let shop = Shop::open(1).await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    session.subscribe(to_document(1, "inventory", "mug-1")).await;
    let other = shop.another_workspace().await;
    append(&*shop.store, other, "inventory-mug-1", &[received(9)]).await;
    let progress = shop.read.progress.of(other, "inventory").unwrap();
    progress.reaches(&ConsistencyToken::at(0, 1)).await;
    shop.append("inventory-mug-1", &[received(1)]).await;
    loop {
        if let Frame::Change { data, .. } = next(&mut session).await {
            assert_eq!(data.unwrap()["on_hand"], 1);
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_a_limited_number_of_subscriptions() {
    let shop = Shop::open(1).await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    for id in 0..=MAX_SUBSCRIPTIONS as u64 {
        session.subscribe(to_document(id, "inventory", "mug-1")).await;
    }
    loop {
        if let Frame::Error { id, problem } = next(&mut session).await {
            assert_eq!((id, problem.status), (Some(MAX_SUBSCRIPTIONS as u64), 429));
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_the_server_stops() {
    let shop = Shop::open(1).await;
    let mut session = shop.read.query.live(shop.workspace, educator());
    let stopped = tokio::spawn(async move { while session.next().await != LiveItem::Closed {} });
    shop.read.shutdown().await;
    stopped.await.unwrap();
}

/// Random commits on several partitions, and rebuilds, while clients subscribe, disconnect and reconnect at
/// random.
#[tokio::test(flavor = "multi_thread")]
async fn after_any_disconnections_a_client_has_the_rows_of_a_query() {
    let shop = std::sync::Arc::new(Shop::open(3).await);
    let writer = tokio::spawn({
        let shop = shop.clone();
        async move {
            for n in 0..300_u32 {
                let sku = rand::random_range(0..6);
                let stream = format!("product-mug-{sku}");
                let change = match n % 7 {
                    0..=2 => listed(
                        &format!("mug-{sku}"),
                        &format!("Mug {}", rand::random_range(0..9)),
                    ),
                    3 => retired(),
                    _ => price(i64::from(n) + 1),
                };
                shop.append(&stream, &[change]).await;
                shop.append(&format!("inventory-mug-{sku}"), &[received(2), reserved(1)])
                    .await;
            }
        }
    });
    let rebuilder = tokio::spawn({
        let shop = shop.clone();
        async move {
            let rebuilds = &shop.read.projections.rebuilds;
            for _ in 0..5 {
                rebuilds.rebuild(shop.workspace, "products").await.unwrap();
                rebuilds.finished(shop.workspace, "products").await;
            }
        }
    });
    let request = to_listing(1, "products", "all", "");
    let clients = (0..6).map(|_| {
        let (shop, request) = (shop.clone(), request.clone());
        tokio::spawn(async move {
            let mut client = Client::default();
            while shop
                .head()
                .await
                .iter()
                .map(|(_, position)| position)
                .sum::<u64>()
                < 900
            {
                let mut session = shop.read.query.live(shop.workspace, educator());
                let subscribe = if client.snapshots > 0 {
                    client.resume(request.clone())
                } else {
                    request.clone()
                };
                session.subscribe(subscribe).await;
                for _ in 0..rand::random_range(1..60) {
                    let frame = next(&mut session).await;
                    client.see(frame);
                    if client.as_of.iter().map(|(_, position)| position).sum::<u64>() == 900 {
                        break;
                    }
                }
            }
            let mut session = shop.read.query.live(shop.workspace, educator());
            session.subscribe(client.resume(request.clone())).await;
            client.read_until(&mut session, &shop.head().await).await;
            client
        })
    });
    let clients = futures::future::join_all(clients).await;
    writer.await.unwrap();
    rebuilder.await.unwrap();
    shop.settle().await;
    let expected = queried(&shop, &educator(), &request).await;
    for client in clients {
        let client = client.unwrap();
        assert_eq!(client.rows, expected);
    }
}
