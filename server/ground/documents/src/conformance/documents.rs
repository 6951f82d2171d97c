//! Documents, listings and checkpoints.

use std::sync::Arc;

use domain::{token::ConsistencyToken, wire::Order};
use futures::future::join_all;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    super::{
        DocumentStore, DocumentStoreError, DocumentUsage, DocumentWrite, FoldFault, FoldInput, FoldOutput,
        PageRequest, SeekKey, UpdateOutcome,
    },
    TestDatabase, VIEW, entry, fold, lane, number, scope, workspace, write,
};
use clock::{Clock as _, SystemClock};

pub(crate) async fn an_update_changes_documents_listings_and_checkpoint_together<B: TestDatabase>(
    database: B,
) {
    let model = database.open().await.unwrap();
    let (workspace, elsewhere) = (workspace(), workspace());
    let nothing = model.document(workspace, VIEW, "a").await.unwrap();
    assert!(nothing.value.is_none());
    assert_eq!(
        (nothing.as_of, nothing.generation),
        (ConsistencyToken::default(), 1)
    );

    let owner = SystemClock.new_id();
    let written = DocumentWrite {
        owner: Some(owner),
        ..write("a", 1, vec![entry("anna", "1")])
    };
    let lanes = [lane(workspace, 1, 0), lane(workspace, 1, 3)];
    assert_eq!(
        fold(&*model, &lanes[0], 0, 4, vec![written]).await,
        UpdateOutcome::Committed
    );
    assert_eq!(
        fold(&*model, &lanes[1], 0, 2, vec![write("b", 2, vec![])]).await,
        UpdateOutcome::Committed
    );
    assert_eq!(
        fold(&*model, &lanes[0], 4, 9, Vec::new()).await,
        UpdateOutcome::Committed
    );

    let read = model.document(workspace, VIEW, "a").await.unwrap();
    assert_eq!(read.as_of, "0:9,3:2".parse().unwrap());
    let document = read.value.unwrap();
    assert_eq!(
        (document.key.as_str(), document.data.get(), document.owner),
        ("a", "{\"number\":1}", Some(owner))
    );
    assert_eq!(model.checkpoint(&lanes[0]).await.unwrap(), 9);
    assert_eq!(model.checkpoint(&lane(workspace, 1, 1)).await.unwrap(), 0);
    let mut checkpoints = model.checkpoints().await.unwrap();
    checkpoints.sort_by_key(|checkpoint| checkpoint.partition);
    assert_eq!(
        checkpoints
            .iter()
            .map(|c| (
                c.workspace,
                c.view.as_str(),
                c.generation,
                c.partition,
                c.position
            ))
            .collect::<Vec<_>>(),
        [(workspace, VIEW, 1, 0, 9), (workspace, VIEW, 1, 3, 2)]
    );
    assert!(
        model
            .document(elsewhere, VIEW, "a")
            .await
            .unwrap()
            .value
            .is_none()
    );
    assert!(
        model
            .document(workspace, "products", "a")
            .await
            .unwrap()
            .value
            .is_none()
    );
    model.ping().await.unwrap();
    model.close().await;
    assert!(model.ping().await.is_err());
}

pub(crate) async fn a_checkpoint_that_was_moved_refuses_and_changes_nothing<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let lane = lane(workspace(), 1, 0);
    fold(&*model, &lane, 0, 5, vec![write("a", 1, vec![])]).await;
    for from in [0, 4, 6] {
        let refused = fold(&*model, &lane, from, 7, vec![write("a", 2, vec![])]).await;
        assert_eq!(refused, UpdateOutcome::CheckpointMoved { checkpoint: 5 });
    }
    let read = model.document(lane.scope.workspace, VIEW, "a").await.unwrap();
    assert_eq!(number(&read.value.unwrap()), 1);
}

pub(crate) async fn a_fold_that_fails_changes_nothing<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let lane = lane(workspace(), 1, 0);
    let mut fault = |_: FoldInput| {
        Err(FoldFault {
            position: 1,
            reason: "it does not fit".to_owned(),
        })
    };
    let failed = model
        .update(&lane, 0, &1_u64.into(), &["a".to_owned()], &mut fault)
        .await;
    assert!(matches!(failed, Err(DocumentStoreError::Fault(_))), "{failed:?}");
    assert_eq!(model.checkpoint(&lane).await.unwrap(), 0);
    // and the lane continues
    assert_eq!(
        fold(&*model, &lane, 0, 1, vec![write("a", 1, vec![])]).await,
        UpdateOutcome::Committed
    );
}

pub(crate) async fn lanes_that_share_a_document_lose_no_update<B: TestDatabase>(database: B) {
    const LANES: u32 = 8;
    const ROUNDS: u64 = 12;
    let model = database.open().await.unwrap();
    let workspace = workspace();
    // the document does not exist yet when all of them begin
    let lanes = (0..LANES).map(|partition| {
        let model = Arc::clone(&model);
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let mut add_one = |loaded: FoldInput| {
                    let before = loaded.documents.first().map_or(0, number);
                    Ok(FoldOutput {
                        writes: vec![write("shared", before + 1, vec![])],
                        ..FoldOutput::default()
                    })
                };
                let updated = model
                    .update(
                        &lane(workspace, 1, partition),
                        round,
                        &(round + 1_u64).into(),
                        &["shared".to_owned()],
                        &mut add_one,
                    )
                    .await
                    .unwrap();
                assert_eq!(updated, UpdateOutcome::Committed);
            }
        })
    });
    for lane in join_all(lanes).await {
        lane.unwrap();
    }
    let read = model.document(workspace, VIEW, "shared").await.unwrap();
    assert_eq!(number(&read.value.unwrap()), u64::from(LANES) * ROUNDS);
}

pub(crate) async fn an_amendment_changes_documents_and_no_checkpoint<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let lane = lane(workspace(), 1, 0);
    fold(&*model, &lane, 0, 1, vec![write("a", 1, vec![])]).await;
    let amendments = (0..8).map(|_| {
        let model = Arc::clone(&model);
        tokio::spawn(async move {
            let mut add_one = |loaded: FoldInput| {
                Ok(FoldOutput {
                    writes: vec![write("a", number(&loaded.documents[0]) + 1, vec![])],
                    ..FoldOutput::default()
                })
            };
            model
                .amend(&lane.scope, &["a".to_owned()], &mut add_one)
                .await
                .unwrap();
        })
    });
    for amendment in join_all(amendments).await {
        amendment.unwrap();
    }
    let read = model.document(lane.scope.workspace, VIEW, "a").await.unwrap();
    assert_eq!(
        (number(&read.value.unwrap()), read.as_of),
        (9, ConsistencyToken::at(0, 1))
    );
}

pub(crate) async fn the_workspaces_of_a_listing_are_those_with_an_entry<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let listed = async || {
        let mut workspaces = model.workspaces_listed(VIEW, "by_customer").await.unwrap();
        workspaces.sort();
        workspaces
    };
    assert!(listed().await.is_empty());
    let (one, two, without) = (workspace(), workspace(), workspace());
    for (workspace, entries) in [
        (one, vec![entry("anna", "1"), entry("otto", "1")]),
        (two, vec![entry("anna", "1")]),
        (without, vec![]),
    ] {
        fold(
            &*model,
            &lane(workspace, 1, 0),
            0,
            1,
            vec![write("a", 1, entries)],
        )
        .await;
    }
    let mut both = vec![one, two];
    both.sort();
    assert_eq!(listed().await, both);
    for (view, listing) in [(VIEW, "all"), ("sales", "by_customer")] {
        assert!(model.workspaces_listed(view, listing).await.unwrap().is_empty());
    }
    let left = DocumentWrite {
        removed_entries: vec![entry("anna", "1"), entry("otto", "1")],
        ..write("a", 2, vec![])
    };
    fold(&*model, &lane(one, 1, 0), 1, 2, vec![left]).await;
    assert_eq!(listed().await, [two]);
    while model.purge(two, 10).await.unwrap() {}
    assert!(listed().await.is_empty());
}

async fn keys(
    model: &dyn DocumentStore,
    workspace: domain::id::WorkspaceId,
    order: Order,
    limit: u32,
) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), None::<SeekKey>);
    loop {
        let request = PageRequest {
            listing: "by_customer",
            group: "anna",
            order,
            limit,
            after: after.as_ref(),
        };
        let page = model.page(workspace, VIEW, &request).await.unwrap();
        assert_eq!(page.as_of, ConsistencyToken::at(0, 1));
        assert!(page.value.len() <= limit as usize);
        let Some(last) = page.value.last() else {
            return keys;
        };
        after = Some(SeekKey {
            sort: last.sort.clone(),
            key: last.document.key.clone(),
        });
        keys.extend(page.value.into_iter().map(|row| row.document.key));
    }
}

pub(crate) async fn a_listing_is_read_in_the_order_of_its_bytes_both_ways<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    // a natural-language order would differ: capitals, accents, a hyphen, and equal sort keys
    let sorts = ["", "B", "a", "a", "a-b", "ab", "z", "É"];
    let mut writes: Vec<_> = sorts
        .iter()
        .enumerate()
        .map(|(n, sort)| write(&format!("key-{n}"), n as u64, vec![entry("anna", sort)]))
        .collect();
    writes.reverse();
    writes.push(write("of-berta", 99, vec![entry("berta", "a")]));
    fold(&*model, &lane(workspace, 1, 0), 0, 1, writes).await;
    let mut expected: Vec<_> = (0..sorts.len()).map(|n| format!("key-{n}")).collect();
    for limit in [1, 3, 100] {
        assert_eq!(keys(&*model, workspace, Order::Asc, limit).await, expected);
    }
    expected.reverse();
    for limit in [1, 3, 100] {
        assert_eq!(keys(&*model, workspace, Order::Desc, limit).await, expected);
    }
}

pub(crate) async fn a_document_leaves_and_enters_listings_and_goes<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let lane = lane(workspace(), 1, 0);
    let workspace = lane.scope.workspace;
    let listed = async |group| {
        let request = PageRequest {
            listing: "by_customer",
            group,
            order: Order::Asc,
            limit: 10,
            after: None,
        };
        let page = model.page(workspace, VIEW, &request).await.unwrap();
        page.value
            .into_iter()
            .map(|row| (row.document.key, row.sort))
            .collect::<Vec<_>>()
    };
    let at = |key: &str, sort: &str| (key.to_owned(), sort.to_owned());
    let added_entries = vec![entry("anna", "1"), entry("", "1")];
    fold(
        &*model,
        &lane,
        0,
        1,
        vec![write("a", 1, added_entries), write("b", 1, vec![entry("", "0")])],
    )
    .await;
    assert_eq!(listed("anna").await, [at("a", "1")]);
    assert_eq!(listed("").await, [at("b", "0"), at("a", "1")]);

    let moved = DocumentWrite {
        removed_entries: vec![entry("anna", "1")],
        ..write("a", 2, vec![entry("berta", "7")])
    };
    fold(&*model, &lane, 1, 2, vec![moved]).await;
    assert_eq!(
        (listed("anna").await, listed("berta").await),
        (vec![], vec![at("a", "7")])
    );

    let deleted = DocumentWrite {
        data: None,
        removed_entries: vec![entry("berta", "7"), entry("", "1")],
        ..write("a", 0, vec![])
    };
    // one that was never written may be deleted too
    let unwritten = DocumentWrite {
        data: None,
        ..write("never", 0, vec![])
    };
    fold(&*model, &lane, 2, 3, vec![deleted, unwritten]).await;
    assert_eq!(
        (listed("berta").await, listed("").await),
        (vec![], vec![at("b", "0")])
    );
    assert!(
        model
            .document(workspace, VIEW, "a")
            .await
            .unwrap()
            .value
            .is_none()
    );
}

pub(crate) async fn documents_are_read_by_a_list_of_keys<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let (workspace, elsewhere) = (workspace(), workspace());
    let written = vec![
        write("a", 1, vec![]),
        write("b", 2, vec![]),
        write("c", 3, vec![]),
    ];
    fold(&*model, &lane(workspace, 1, 0), 0, 3, written).await;
    let keys = ["c", "no-such", "a"].map(str::to_owned);
    let mut found = model.documents(workspace, VIEW, &keys).await.unwrap();
    found.sort_by(|one, other| one.key.cmp(&other.key));
    let found: Vec<_> = found
        .iter()
        .map(|document| (document.key.as_str(), number(document)))
        .collect();
    assert_eq!(found, [("a", 1), ("c", 3)]);
    assert!(model.documents(workspace, VIEW, &[]).await.unwrap().is_empty());
    assert!(model.documents(elsewhere, VIEW, &keys).await.unwrap().is_empty());

    // a rebuild that is not live yet is not read
    model.begin_build(workspace, VIEW).await.unwrap();
    fold(&*model, &lane(workspace, 2, 0), 0, 3, vec![write("a", 9, vec![])]).await;
    let read = model.documents(workspace, VIEW, &keys[2..]).await.unwrap();
    assert_eq!(number(&read[0]), 1);
    model.switch(&scope(workspace, 2)).await.unwrap();
    let read = model.documents(workspace, VIEW, &keys).await.unwrap();
    assert_eq!(read.iter().map(number).collect::<Vec<_>>(), [9]);
}

pub(crate) async fn the_usage_counts_the_live_documents_of_one_workspace<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let (workspace, elsewhere) = (workspace(), workspace());
    assert_eq!(model.usage(workspace).await.unwrap(), DocumentUsage::default());
    let text = "{\"text\":\"gr\u{fc}n\"}";
    let written = DocumentWrite {
        data: Some(RawValue::from_string(text.to_owned()).unwrap().into()),
        ..write("a", 1, vec![])
    };
    let written = vec![written, write("b", 2, vec![entry("anna", "1")])];
    fold(&*model, &lane(workspace, 1, 0), 0, 2, written).await;
    let expected = DocumentUsage {
        documents: 2,
        bytes: (text.len() + "{\"number\":2}".len()) as u64,
    };
    assert_eq!(model.usage(workspace).await.unwrap(), expected);
    assert_eq!(model.usage(elsewhere).await.unwrap(), DocumentUsage::default());

    // a rebuild counts in place of the generation before it, and not beside it
    model.begin_build(workspace, VIEW).await.unwrap();
    fold(&*model, &lane(workspace, 2, 0), 0, 2, vec![write("a", 7, vec![])]).await;
    assert_eq!(model.usage(workspace).await.unwrap(), expected);
    model.switch(&scope(workspace, 2)).await.unwrap();
    assert_eq!(model.usage(workspace).await.unwrap().documents, 1);
}

pub(crate) async fn the_contents_of_a_view_are_of_one_snapshot<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    let owner = Uuid::from_u128(7);
    let with_owner = DocumentWrite {
        owner: Some(owner),
        ..write("b", 2, vec![entry("berta", "2"), entry("anna", "1")])
    };
    fold(
        &*model,
        &lane(workspace, 1, 1),
        0,
        3,
        vec![with_owner, write("a", 1, vec![])],
    )
    .await;
    let contents = model.contents(workspace, VIEW).await.unwrap();
    assert_eq!(
        (contents.as_of, contents.generation),
        (ConsistencyToken::at(1, 3), 1)
    );
    let documents = contents.value.documents;
    assert_eq!(
        documents
            .iter()
            .map(|listed| listed.document.key.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(documents[1].document.owner, Some(owner));
    let place = |group: &str, sort: &str| ("by_customer".to_owned(), group.to_owned(), sort.to_owned());
    assert_eq!(documents[1].places, [place("anna", "1"), place("berta", "2")]);
    assert!(contents.value.passed.is_empty());
}

pub(crate) async fn what_was_folded_is_there_after_a_restart<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let lane = lane(workspace(), 1, 0);
    fold(
        &*model,
        &lane,
        0,
        5,
        vec![write("a", 1, vec![entry("anna", "1")])],
    )
    .await;
    model.close().await;
    let model = database.open().await.unwrap();
    assert_eq!(model.checkpoint(&lane).await.unwrap(), 5);
    let read = model.document(lane.scope.workspace, VIEW, "a").await.unwrap();
    assert_eq!(number(&read.value.unwrap()), 1);
    assert_eq!(
        fold(&*model, &lane, 5, 6, Vec::new()).await,
        UpdateOutcome::Committed
    );
}

pub(crate) async fn a_newer_schema_is_refused_with_a_sentence<B: TestDatabase>(database: B) {
    database.open().await.unwrap().close().await;
    database
        .run(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             select 9000, 'from the future', true, checksum, 0 from _sqlx_migrations limit 1",
        )
        .await;
    let error = database.open().await.unwrap_err().to_string();
    assert!(
        error.contains("schema 9000, from a newer version of this program"),
        "{error}"
    );
}
