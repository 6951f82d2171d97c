//! What the verifier and the lanes' check of their history read: chain heads, hashes at positions, snapshots
//! and blocks of types.

use std::{collections::BTreeSet, sync::Arc};

use domain::event::GENESIS_HASH;
use serde_json::value::RawValue;

use super::{
    super::{ChainHead, EventStore, Expected, Snapshot, StoreError, TYPE_BLOCK_BITS},
    TestDatabase, append, event, name, one, open_workspace, part,
};

pub(crate) async fn the_chain_is_known_at_its_heads_and_at_each_position(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 2).await;
    for _ in 0..3 {
        store
            .append(one(workspace, "order-1", Expected::Any))
            .await
            .unwrap();
    }
    let partition = name("order-1").partition(2);
    let events = store.read_partition(workspace, partition, 0, 10).await.unwrap();
    let heads = store.chain_heads(Some(workspace)).await.unwrap();
    let newest = ChainHead {
        position: 3,
        hash: events[2].hash.clone(),
    };
    for (of, at, head) in &heads {
        assert_eq!(*of, workspace);
        let expected = if *at == partition {
            newest.clone()
        } else {
            ChainHead::default()
        };
        assert_eq!(*head, expected);
    }
    assert_eq!(heads.len(), 2);
    let all = store.chain_heads(None).await.unwrap();
    assert!(heads.iter().all(|head| all.contains(head)));

    let hash_at = async |position| store.hash_at(workspace, partition, position).await.unwrap();
    assert_eq!(hash_at(0).await.as_deref(), Some(GENESIS_HASH));
    assert_eq!(hash_at(2).await.as_ref(), Some(&events[1].hash));
    assert_eq!(hash_at(4).await, None);
}

pub(crate) async fn a_snapshot_ahead_of_its_stream_is_listed_and_not_used(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    for (stream, version) in [("order-1", 2), ("order-2", 99), ("order-3", 1)] {
        let two = vec![event(1), event(2)];
        store
            .append(append(workspace, vec![part(stream, Expected::NoStream, two)]))
            .await
            .unwrap();
        let snapshot = Snapshot {
            version,
            schema_version: 1,
            state: RawValue::from_string("{}".to_owned()).unwrap(),
        };
        store
            .save_snapshot(workspace, &name(stream), &snapshot)
            .await
            .unwrap();
    }
    let first = async |stream| {
        let tail = store.read_tail(workspace, &name(stream), 1, 10).await;
        tail.unwrap()[0].version
    };
    assert_eq!((first("order-1").await, first("order-2").await), (2, 1));

    let (mut listed, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.snapshots(workspace, after.as_deref(), 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.stream.clone());
        listed.extend(
            page.into_iter()
                .map(|(of, kept)| (of.stream, of.version, kept.version)),
        );
    }
    let expected = [("order-1", 2, 2), ("order-2", 2, 99), ("order-3", 2, 1)];
    assert_eq!(
        listed,
        expected.map(|(stream, of, kept)| (stream.to_owned(), of, kept))
    );
}

pub(crate) async fn blocks_of_types_are_listed_by_range(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    for _ in 0..3 {
        let many = (0..50).map(event).collect();
        store
            .append(append(workspace, vec![part("order-1", Expected::Any, many)]))
            .await
            .unwrap();
    }
    let events = store.read_partition(workspace, 0, 0, 1_000).await.unwrap();
    let expected: BTreeSet<u64> = events
        .iter()
        .map(|event| event.position >> TYPE_BLOCK_BITS)
        .collect();
    let listed = store.type_blocks(workspace, 0, (0, u64::MAX)).await.unwrap();
    assert!(
        listed
            .iter()
            .all(|entry| (entry.event_type.as_str(), entry.schema_version) == ("StockReceived", 1))
    );
    let blocks: BTreeSet<u64> = listed.iter().map(|entry| entry.block).collect();
    assert_eq!((listed.len(), blocks), (expected.len(), expected));
    let one = store.type_blocks(workspace, 0, (1, 1)).await.unwrap();
    assert_eq!(one.len(), 1);
}

pub(crate) async fn a_row_that_cannot_be_read_hides_no_other<B: TestDatabase>(database: B) {
    let store = database.open().await;
    let workspace = open_workspace(&*store, 1).await;
    let other = open_workspace(&*store, 1).await;
    for _ in 0..4 {
        store
            .append(one(workspace, "order-1", Expected::Any))
            .await
            .unwrap();
    }
    for stream in ["order-1", "order-2"] {
        store.append(one(workspace, stream, Expected::Any)).await.unwrap();
        let snapshot = Snapshot {
            version: 1,
            schema_version: 1,
            state: RawValue::from_string("{}".to_owned()).unwrap(),
        };
        store
            .save_snapshot(workspace, &name(stream), &snapshot)
            .await
            .unwrap();
    }
    database.run(B::UNLOCK).await.unwrap();
    for damage in [
        "update events set actor_role = 'wizard' where version = 2",
        "update events set payload = ' ' || payload where version = 3",
        "update events set answer = '{' where version = 4",
        "update snapshots set state = '{' where stream_no = (select no from streams where name = 'order-1')",
        "update workspaces set template = 'castle' where no = (select max(no) from workspaces)",
    ] {
        database.run(damage).await.unwrap();
    }

    for limit in [1, 3, 100] {
        let (mut read, mut after) = (Vec::new(), 0);
        loop {
            let page = store.audit_partition(workspace, 0, after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position;
            read.extend(
                page.into_iter()
                    .map(|it| (it.position, it.event.is_ok(), it.is_padded)),
            );
        }
        let expected: Vec<_> = (1..=6).map(|at| (at, at != 2, at == 3)).collect();
        assert_eq!(read, expected);
    }
    let page = store.audit_partition(workspace, 0, 1, 1).await.unwrap();
    let error = page[0].event.as_ref().unwrap_err().to_string();
    let expected = format!("the actor of event 2 of partition 0 of workspace {workspace}");
    assert!(error.contains(&expected), "{error}");

    let commands = store.audit_commands(workspace, None, 100).await.unwrap();
    let damaged = commands.iter().filter(|(_, command)| command.is_err()).count();
    assert_eq!((commands.len(), damaged), (6, 1));
    let snapshots = store.audit_snapshots(workspace, None, 100).await.unwrap();
    let readable: Vec<_> = snapshots
        .iter()
        .map(|(stream, snapshot)| (stream.as_str(), snapshot.is_ok()))
        .collect();
    assert_eq!(readable, [("order-1", false), ("order-2", true)]);
    let workspaces = store.audit_workspaces(None, 100).await.unwrap();
    let readable = |id| workspaces.iter().find(|(of, _)| *of == id).unwrap().1.is_ok();
    assert_eq!((readable(workspace), readable(other)), (true, false));
    let error = store.workspaces(None, 100).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(reason) if reason.contains(&other.to_string())));
}
