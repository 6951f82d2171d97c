//! Checkpoints with the hash of their history, and beginning again where it is another one.

use domain::token::ConsistencyToken;

use super::{
    super::{Checkpoint, FoldInput, FoldOutput, UpdateOutcome},
    TestDatabase, VIEW, entry, fold, lane, number, scope, workspace, write,
};

pub(crate) async fn a_checkpoint_keeps_the_hash_of_its_history<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let lane = lane(workspace(), 1, 0);
    let mut nothing = |_: FoldInput| Ok(FoldOutput::default());
    for (from, hash) in [(0, Some("ab".repeat(32))), (1, Some("cd".repeat(32))), (2, None)] {
        let to = Checkpoint {
            position: from + 1,
            hash: hash.clone(),
        };
        let updated = model.update(&lane, from, &to, &[], &mut nothing).await.unwrap();
        assert_eq!(updated, UpdateOutcome::Committed);
        let checkpoints = model.checkpoints().await.unwrap();
        assert_eq!((checkpoints[0].position, &checkpoints[0].hash), (from + 1, &hash));
    }
}

pub(crate) async fn a_view_begins_again_with_an_empty_generation<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let (workspace, other) = (workspace(), workspace());
    for of in [workspace, other] {
        let written = vec![write("a", 1, vec![entry("anna", "1")])];
        fold(&*model, &lane(of, 1, 0), 0, 9, written).await;
    }
    model.begin_build(workspace, VIEW).await.unwrap();
    fold(&*model, &lane(workspace, 2, 0), 0, 9, Vec::new()).await;
    assert_eq!(model.restart(workspace, VIEW).await.unwrap(), 3);
    let seen = model.document(workspace, VIEW, "a").await.unwrap();
    assert!(seen.value.is_none());
    assert_eq!((seen.generation, seen.as_of), (3, ConsistencyToken::default()));
    assert!(model.builds().await.unwrap().is_empty());
    let retired = fold(&*model, &lane(workspace, 1, 0), 9, 10, Vec::new()).await;
    assert_eq!(retired, UpdateOutcome::Retired { live: 3 });
    fold(&*model, &lane(workspace, 3, 0), 0, 2, vec![write("a", 7, vec![])]).await;
    let seen = model.document(workspace, VIEW, "a").await.unwrap();
    assert_eq!(number(&seen.value.unwrap()), 7);
    let mut leftovers = model.leftovers().await.unwrap();
    leftovers.sort_by_key(|leftover| leftover.generation);
    let generations: Vec<_> = leftovers.iter().map(|leftover| leftover.generation).collect();
    assert_eq!(generations, [1, 2]);
    let elsewhere = model.document(other, VIEW, "a").await.unwrap();
    assert!(elsewhere.value.is_some(), "another workspace stays as it is");
}

pub(crate) async fn lanes_begin_again_with_their_documents_or_without<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    let lanes = [lane(workspace, 1, 0), lane(workspace, 1, 1)];
    let written = vec![write("a", 1, vec![entry("anna", "1")])];
    fold(&*model, &lanes[0], 0, 4, written).await;
    fold(&*model, &lanes[1], 0, 5, Vec::new()).await;

    model.reset(&scope(workspace, 1), false).await.unwrap();
    for lane in &lanes {
        assert_eq!(model.checkpoint(lane).await.unwrap(), 0);
    }
    let kept = model.document(workspace, VIEW, "a").await.unwrap();
    assert!(kept.value.is_some() && kept.as_of == ConsistencyToken::default());

    fold(&*model, &lanes[1], 0, 2, Vec::new()).await;
    model.reset(&scope(workspace, 1), true).await.unwrap();
    assert_eq!(model.checkpoint(&lanes[1]).await.unwrap(), 0);
    let gone = model.contents(workspace, VIEW).await.unwrap().value;
    assert!(gone.documents.is_empty());
    let again = fold(
        &*model,
        &lanes[0],
        0,
        1,
        vec![write("a", 2, vec![entry("anna", "1")])],
    )
    .await;
    assert_eq!(again, UpdateOutcome::Committed);
}

pub(crate) async fn a_generation_whose_checkpoints_are_lost_is_left_over<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    assert!(!model.has_rows(&scope(workspace, 1)).await.unwrap());
    let written = vec![write("a", 1, vec![entry("anna", "1")])];
    fold(&*model, &lane(workspace, 1, 0), 0, 4, written).await;
    database.run("delete from checkpoints").await;
    assert!(model.has_rows(&scope(workspace, 1)).await.unwrap());

    assert_eq!(model.restart(workspace, VIEW).await.unwrap(), 2);
    assert!(!model.has_rows(&scope(workspace, 2)).await.unwrap());
    let leftovers = model.leftovers().await.unwrap();
    let [leftover] = leftovers.as_slice() else {
        panic!("{leftovers:?}");
    };
    assert_eq!(leftover.generation, 1);
    while model.remove(leftover, 10).await.unwrap() {}
    assert!(!model.has_rows(&scope(workspace, 1)).await.unwrap());
    assert!(model.leftovers().await.unwrap().is_empty());
}
