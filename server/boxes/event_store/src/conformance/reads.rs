//! Reads of the log, and heads, workspaces, snapshots, event types and closing.

use std::sync::Arc;

use domain::{
    event::DomainEvent, id::WorkspaceId, timestamp::Timestamp, token::ConsistencyToken, wire::Template,
};
use futures::future::join_all;
use serde_json::value::RawValue;

use super::{
    super::{
        AppendError, Direction, EventFilter, EventStore, Expected, Snapshot, TypeCompatibility, Workspace,
    },
    TestDatabase, append, checked_partition, event, id, name, one, open_workspace, part, whole_stream,
};

pub(crate) async fn a_stream_is_read_forwards_backwards_and_in_pages(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 2).await;
    store
        .append(one(workspace, "order-2", Expected::Any))
        .await
        .unwrap();
    let events = (1..=10).map(event).collect();
    store
        .append(append(
            workspace,
            vec![part("order-1", Expected::NoStream, events)],
        ))
        .await
        .unwrap();
    let read = async |from, direction, limit| {
        let events = store
            .read_stream(workspace, &name("order-1"), from, direction, limit)
            .await
            .unwrap();
        events.iter().map(|event| event.version).collect::<Vec<_>>()
    };
    assert_eq!(read(1, Direction::Forwards, 3).await, [1, 2, 3]);
    assert_eq!(read(4, Direction::Forwards, 100).await, [4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(read(11, Direction::Forwards, 100).await, [0; 0]);
    assert_eq!(read(u64::MAX, Direction::Backwards, 3).await, [10, 9, 8]);
    assert_eq!(read(7, Direction::Backwards, 2).await, [7, 6]);
    assert_eq!(read(0, Direction::Backwards, 2).await, [0; 0]);
    assert_eq!(read(0, Direction::Forwards, 0).await, [0; 0]);
    assert!(whole_stream(&*store, workspace, "order-3").await.is_empty());
}

pub(crate) async fn a_partition_is_read_behind_a_position(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    let events = (1..=10).map(event).collect();
    store
        .append(append(
            workspace,
            vec![part("order-1", Expected::NoStream, events)],
        ))
        .await
        .unwrap();
    let read = async |partition, after, limit| {
        let events = store
            .read_partition(workspace, partition, after, limit)
            .await
            .unwrap();
        events.iter().map(|event| event.position).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 0, 4).await, [1, 2, 3, 4]);
    assert_eq!(read(0, 8, 4).await, [9, 10]);
    assert_eq!(read(0, 10, 4).await, [0; 0]);
    assert_eq!(read(0, u64::MAX, 4).await, [0; 0]);
    assert_eq!(read(1, 0, 4).await, [0; 0]);
}

pub(crate) async fn the_log_is_filtered_and_paged_by_token(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 3).await;
    let mut correlation = None;
    for n in 0..30 {
        let stream = format!("{}-{n}", if n % 3 == 0 { "inventory" } else { "order" });
        let mut sent = one(workspace, &stream, Expected::Any);
        if n % 2 == 0 {
            sent.streams[0].events[0].event_type = "StockShipped".to_owned();
        }
        if n % 10 == 0 {
            sent.metadata.correlation_id = *correlation.get_or_insert(sent.metadata.correlation_id);
        }
        store.append(sent).await.unwrap();
    }
    let head = store.head(workspace).await.unwrap();
    let all = async |filter: EventFilter, limit| {
        let (mut found, mut token) = (Vec::new(), ConsistencyToken::default());
        loop {
            let (events, next) = store
                .read_events(workspace, &filter, &token, limit)
                .await
                .unwrap();
            assert!(next.covers(&token), "a page never goes back");
            let done = events.is_empty();
            found.extend(events);
            token = next;
            if done {
                assert!(token.covers(&head), "an empty page has seen everything");
                return found;
            }
        }
    };
    for limit in [1, 4, 100] {
        let everything = all(EventFilter::default(), limit).await;
        assert_eq!(everything.len(), 30);
        for partition in 0..3 {
            let positions: Vec<_> = everything
                .iter()
                .filter(|event| event.partition == partition)
                .collect();
            assert!(
                positions
                    .windows(2)
                    .all(|pair| pair[0].position < pair[1].position)
            );
        }
        let shipped = EventFilter {
            event_type: Some("StockShipped".to_owned()),
            ..EventFilter::default()
        };
        assert_eq!(all(shipped.clone(), limit).await.len(), 15);
        let category = EventFilter {
            category: Some("inventory".to_owned()),
            ..EventFilter::default()
        };
        assert_eq!(all(category, limit).await.len(), 10);
        let both = EventFilter {
            category: Some("inventory".to_owned()),
            ..shipped.clone()
        };
        assert_eq!(all(both, limit).await.len(), 5);
        let correlated = EventFilter {
            correlation_id: correlation,
            ..EventFilter::default()
        };
        assert_eq!(all(correlated, limit).await.len(), 3);
        let nothing = EventFilter {
            event_type: Some("Nothing".to_owned()),
            ..EventFilter::default()
        };
        assert!(all(nothing, limit).await.is_empty());
    }
}

pub(crate) async fn streams_are_listed_by_prefix_in_pages(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 4).await;
    for stream in ["order-1", "order-2", "order-3", "orders-1", "product-1"] {
        store
            .append(one(workspace, stream, Expected::NoStream))
            .await
            .unwrap();
    }
    store
        .append(one(workspace, "order-2", Expected::Exact(1)))
        .await
        .unwrap();
    let page = async |prefix, after, limit| {
        let page = store.streams(workspace, prefix, after, limit).await.unwrap();
        (
            page.data.into_iter().map(|info| info.stream).collect::<Vec<_>>(),
            page.next,
        )
    };
    assert_eq!(
        page("order-", None, 2).await,
        (vec!["order-1".into(), "order-2".into()], Some("order-2".into()))
    );
    assert_eq!(
        page("order-", Some("order-2"), 2).await,
        (vec!["order-3".into()], None)
    );
    assert_eq!(page("", None, 100).await.0.len(), 5);
    assert_eq!(page("x", None, 100).await, (Vec::new(), None));
    let info = &store.streams(workspace, "order-2", None, 1).await.unwrap().data[0];
    assert_eq!((info.version, info.partition), (2, name("order-2").partition(4)));
}

pub(crate) async fn heads_are_where_the_last_events_are(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 4).await;
    let empty = open_workspace(&*store, 2).await;
    for n in 0..20 {
        store
            .append(one(workspace, &format!("order-{n}"), Expected::Any))
            .await
            .unwrap();
    }
    let head = store.head(workspace).await.unwrap();
    for partition in 0..4 {
        let events = store.read_partition(workspace, partition, 0, 100).await.unwrap();
        assert_eq!(head.position(partition), events.len() as u64);
    }
    assert_eq!(store.head(empty).await.unwrap().behind(&head), 20);
    let heads = store.heads().await.unwrap();
    assert!(heads.iter().all(|(id, _, head)| *head > 0 && *id != empty));
    let ours: u64 = heads
        .iter()
        .filter(|(id, ..)| *id == workspace)
        .map(|(_, _, head)| head)
        .sum();
    assert_eq!(ours, 20);
}

pub(crate) async fn the_hash_chain_holds_over_concurrent_appends(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    let streams: Vec<_> = (0..100).map(|n| format!("order-{}", n % 9)).collect();
    let appends = streams
        .iter()
        .map(|stream| store.append(one(workspace, stream, Expected::Any)));
    join_all(appends)
        .await
        .into_iter()
        .for_each(|result| assert!(result.is_ok()));
    let mut events = checked_partition(&*store, workspace, 0).await;
    // a payload that was changed later does not match its hash
    let previous = events[49].hash.clone();
    events[50].payload = RawValue::from_string("{\"quantity\":1000000}".to_owned()).unwrap();
    assert_ne!(events[50].chain_hash(&previous), events[50].hash);
}

pub(crate) async fn workspaces_do_not_see_each_other(store: Arc<dyn EventStore>) {
    let (one_id, other_id) = (open_workspace(&*store, 1).await, open_workspace(&*store, 1).await);
    store
        .append(one(one_id, "order-1", Expected::NoStream))
        .await
        .unwrap();
    store
        .append(one(one_id, "order-1", Expected::Exact(1)))
        .await
        .unwrap();
    store
        .append(one(other_id, "order-1", Expected::NoStream))
        .await
        .unwrap();
    assert_eq!(checked_partition(&*store, one_id, 0).await.len(), 2);
    assert_eq!(checked_partition(&*store, other_id, 0).await.len(), 1);
    assert_eq!(whole_stream(&*store, other_id, "order-1").await.len(), 1);
    let token = ConsistencyToken::default();
    let (events, _) = store
        .read_events(other_id, &EventFilter::default(), &token, 10)
        .await
        .unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(store.streams(other_id, "", None, 10).await.unwrap().data.len(), 1);
}

pub(crate) async fn workspaces_are_found_and_join_codes_are_unique(store: Arc<dyn EventStore>) {
    let workspace = |code: &str, micros| Workspace {
        id: WorkspaceId(id()),
        name: "Accounting 2".to_owned(),
        template: Template::Shop,
        shards: 16,
        join_code: code.to_owned(),
        created_at: Timestamp::from_micros(micros),
    };
    let (first, second) = (workspace("apple-42", 1), workspace("pear-7", 2));
    assert!(store.create_workspace(&first).await.unwrap());
    assert!(store.create_workspace(&second).await.unwrap());
    assert!(!store.create_workspace(&workspace("apple-42", 3)).await.unwrap());
    assert_eq!(store.workspace(first.id).await.unwrap().as_ref(), Some(&first));
    assert_eq!(
        store.workspace_by_code("pear-7").await.unwrap().as_ref(),
        Some(&second)
    );
    assert_eq!(store.workspace_by_code("plum-1").await.unwrap(), None);
    let all = store.workspaces(None, 100).await.unwrap();
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!(all.len(), 2);
    assert_eq!(store.workspaces(Some(all[0].id), 100).await.unwrap(), all[1..]);
    assert_eq!(store.workspaces(None, 1).await.unwrap(), all[..1]);
}

pub(crate) async fn the_newest_snapshot_is_kept(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    let snapshot = |version: u64, schema_version| Snapshot {
        version,
        schema_version,
        state: RawValue::from_string(format!("{{\"at\":{version}}}")).unwrap(),
    };
    let stream = name("order-1");
    store
        .save_snapshot(workspace, &stream, &snapshot(1, 1))
        .await
        .unwrap();
    assert!(
        store.snapshot(workspace, &stream).await.unwrap().is_none(),
        "there is no such stream"
    );
    store
        .append(one(workspace, "order-1", Expected::Any))
        .await
        .unwrap();
    for (version, schema_version, kept) in [(5, 1, 5), (4, 1, 5), (9, 1, 9), (8, 2, 8)] {
        store
            .save_snapshot(workspace, &stream, &snapshot(version, schema_version))
            .await
            .unwrap();
        let found = store.snapshot(workspace, &stream).await.unwrap().unwrap();
        assert_eq!(
            (found.version, found.state.get()),
            (kept, format!("{{\"at\":{kept}}}").as_str())
        );
    }
}

pub(crate) async fn a_tail_begins_at_the_snapshot_of_its_schema(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    let stream = name("order-1");
    for _ in 0..5 {
        store
            .append(one(workspace, "order-1", Expected::Any))
            .await
            .unwrap();
    }
    let tail = async |schema_version, limit| -> Vec<u64> {
        let events = store.read_tail(workspace, &stream, schema_version, limit).await;
        events.unwrap().iter().map(|event| event.version).collect()
    };
    assert_eq!(tail(1, 100).await, [1, 2, 3, 4, 5], "there is no snapshot");
    let snapshot = Snapshot {
        version: 3,
        schema_version: 1,
        state: RawValue::from_string("{}".to_owned()).unwrap(),
    };
    store.save_snapshot(workspace, &stream, &snapshot).await.unwrap();
    assert_eq!(tail(1, 100).await, [3, 4, 5], "the snapshot's own event is there");
    assert_eq!(tail(1, 2).await, [3, 4]);
    assert_eq!(
        tail(2, 100).await,
        [1, 2, 3, 4, 5],
        "the snapshot is of another schema"
    );
    let unknown = store.read_tail(workspace, &name("order-2"), 1, 100).await;
    assert!(unknown.unwrap().is_empty());
}

pub(crate) async fn event_types_that_the_program_cannot_read_are_named(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    assert_eq!(
        store.register_types().await.unwrap(),
        TypeCompatibility::default()
    );
    let mut sent = one(workspace, "order-1", Expected::Any);
    sent.streams[0].events[0].event_type = "OrderTeleported".to_owned();
    store.append(sent).await.unwrap();
    let mut sent = one(workspace, "order-1", Expected::Any);
    sent.streams[0].events[0].schema_version = 99;
    store.append(sent).await.unwrap();
    // an older version has an upcaster
    let mut sent = one(workspace, "order-1", Expected::Any);
    sent.streams[0].events[0].event_type = "StockReservationFailed".to_owned();
    store.append(sent).await.unwrap();
    assert_eq!(
        store.register_types().await.unwrap().unreadable,
        [
            "OrderTeleported version 1: event type OrderTeleported is unknown",
            "StockReceived version 99: event type StockReceived has schema version 99; 1 is the newest known"
        ]
    );
}

pub(crate) async fn schemas_are_kept_once_and_a_change_is_named<B: TestDatabase>(database: B) {
    let store = database.open().await;
    assert_eq!(store.schemas().await.unwrap(), []);
    store.register_types().await.unwrap();
    let kept = store.schemas().await.unwrap();
    assert_eq!(kept, DomainEvent::schemas());
    store.close().await;
    // another description has the same meaning
    database
        .run(
            "update event_types set schema = \
             replace(schema, '\"description\":\"The number of units.\"', '\"description\":\"?\"')",
        )
        .await
        .unwrap();
    let store = database.open().await;
    assert_ne!(
        store.schemas().await.unwrap(),
        kept,
        "the description was changed"
    );
    assert_eq!(
        store.register_types().await.unwrap(),
        TypeCompatibility::default()
    );
    // a missing schema is stored
    database
        .run("update event_types set schema = null where name = 'OrderCreated'")
        .await
        .unwrap();
    assert_eq!(
        store.register_types().await.unwrap(),
        TypeCompatibility::default()
    );
    assert_eq!(store.schemas().await.unwrap().len(), kept.len());
    database
        .run(
            "update event_types set schema = replace(schema, '\"quantity\"', '\"amount\"') \
             where name = 'StockShipped'",
        )
        .await
        .unwrap();
    assert_eq!(
        store.register_types().await.unwrap(),
        TypeCompatibility {
            unreadable: Vec::new(),
            changed: vec!["StockShipped version 1".to_owned()]
        }
    );
}

pub(crate) async fn a_closed_store_refuses_and_has_kept_everything(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    store.ping().await.unwrap();
    let appending = join_all((0..50).map(|_| store.append(one(workspace, "order-1", Expected::Any))));
    let (results, ()) = tokio::join!(appending, store.close());
    for result in results {
        // either stored or refused
        if let Err(error) = result {
            assert!(matches!(error, AppendError::Store(_)), "{error:?}");
        }
    }
    let refused = store.append(one(workspace, "order-1", Expected::Any)).await;
    assert!(matches!(refused, Err(AppendError::Store(_))), "{refused:?}");
    assert!(store.ping().await.is_err());
}

/// Rare, frequent and missing types over many blocks of positions, in pages of every size.
pub(crate) async fn events_of_a_type_are_found_in_every_block<B: TestDatabase>(database: B) {
    const EVENTS: u64 = 3_000;
    let mut store = database.open().await;
    let workspace = open_workspace(&*store, 2).await;
    let of_type = |number: u64| match number {
        1 | 700 | 701 | 2_900 => ("OrderCreated", 1),
        _ if number.is_multiple_of(100) => ("StockShipped", 2),
        _ if number.is_multiple_of(7) => ("StockShipped", 1),
        _ => ("StockReceived", 1),
    };
    for first in (1..=EVENTS).step_by(150) {
        let events = (first..first + 150).map(|number| {
            let mut event = event(number);
            let (event_type, schema_version) = of_type(number);
            (event.event_type, event.schema_version) = (event_type.to_owned(), schema_version);
            event
        });
        let stream = if first % 4 == 1 { "order-1" } else { "stock-2" };
        let sent = append(workspace, vec![part(stream, Expected::Any, events.collect())]);
        store.append(sent).await.unwrap();
        if first == 751 {
            // in the middle of a block
            store.close().await;
            store = database.open().await;
        }
    }
    let everything = EventFilter::default();
    let start = ConsistencyToken::default();
    let (log, _) = store
        .read_events(workspace, &everything, &start, 10_000)
        .await
        .unwrap();
    for (event_type, category) in [
        ("OrderCreated", None),
        ("StockShipped", None),
        ("StockShipped", Some("stock")),
        ("StockReceived", Some("order")),
        ("OrderRejected", None),
    ] {
        let expected: Vec<_> = log
            .iter()
            .filter(|event| event.event_type == event_type)
            .filter(|event| category.is_none_or(|category| event.stream.as_str().starts_with(category)))
            .map(|event| event.event_id)
            .collect();
        let filter = EventFilter {
            event_type: Some(event_type.to_owned()),
            category: category.map(str::to_owned),
            ..EventFilter::default()
        };
        for limit in [3, 100, 5_000] {
            let (mut found, mut token) = (Vec::new(), ConsistencyToken::default());
            loop {
                let (page, next) = store
                    .read_events(workspace, &filter, &token, limit)
                    .await
                    .unwrap();
                found.extend(page.iter().map(|event| event.event_id));
                token = next;
                if page.len() < limit as usize {
                    break;
                }
            }
            assert_eq!(found, expected, "{event_type} {category:?} by {limit}");
            assert!(token.covers(&store.head(workspace).await.unwrap()));
        }
    }
}
