//! Generations: build, switch, cancellation and removal.

use domain::token::ConsistencyToken;

use super::{
    super::{SwitchOutcome, UpdateOutcome},
    TestDatabase, VIEW, entry, fold, lane, number, scope, workspace, write,
};

pub(crate) async fn a_generation_is_built_beside_the_live_one_and_switched_in<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    assert_eq!(model.live_generation(workspace, VIEW).await.unwrap(), 1);
    fold(
        &*model,
        &lane(workspace, 1, 0),
        0,
        3,
        vec![write("a", 1, vec![entry("anna", "1")])],
    )
    .await;
    let built = model.begin_build(workspace, VIEW).await.unwrap();
    assert_eq!(built, 2);
    assert_eq!(
        model.begin_build(workspace, VIEW).await.unwrap(),
        2,
        "it is being built already"
    );
    let builds = model.builds().await.unwrap();
    assert_eq!(
        (builds.len(), builds[0].workspace, builds[0].generation),
        (1, workspace, 2)
    );

    fold(&*model, &lane(workspace, 2, 0), 0, 3, vec![write("a", 2, vec![])]).await;
    let seen = model.document(workspace, VIEW, "a").await.unwrap();
    assert_eq!(
        (seen.generation, number(&seen.value.unwrap())),
        (1, 1),
        "readers see the live one"
    );
    assert_eq!(
        model.folded(&scope(workspace, 2)).await.unwrap(),
        ConsistencyToken::at(0, 3)
    );
    assert_eq!(
        model.switch(&scope(workspace, 2)).await.unwrap(),
        SwitchOutcome::Done(ConsistencyToken::at(0, 3))
    );
    let seen = model.document(workspace, VIEW, "a").await.unwrap();
    assert_eq!((seen.generation, number(&seen.value.unwrap())), (2, 2));
    assert_eq!(model.live_generation(workspace, VIEW).await.unwrap(), 2);
    assert!(model.builds().await.unwrap().is_empty());
    let retired = fold(&*model, &lane(workspace, 1, 0), 3, 4, Vec::new()).await;
    assert_eq!(retired, UpdateOutcome::Retired { live: 2 });
    assert_eq!(
        model.checkpoints().await.unwrap().len(),
        1,
        "of the live generation alone"
    );
}

pub(crate) async fn readers_never_go_back_and_a_build_can_be_given_up<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    fold(&*model, &lane(workspace, 1, 0), 0, 3, Vec::new()).await;
    fold(&*model, &lane(workspace, 1, 1), 0, 1, Vec::new()).await;
    assert_eq!(
        model.switch(&scope(workspace, 2)).await.unwrap(),
        SwitchOutcome::NotBuilding
    );
    model.begin_build(workspace, VIEW).await.unwrap();
    fold(&*model, &lane(workspace, 2, 0), 0, 9, Vec::new()).await;
    assert_eq!(
        model.switch(&scope(workspace, 2)).await.unwrap(),
        SwitchOutcome::Behind
    );
    assert!(model.cancel_build(&scope(workspace, 2)).await.unwrap());
    assert!(!model.cancel_build(&scope(workspace, 2)).await.unwrap());
    assert_eq!(
        model.switch(&scope(workspace, 2)).await.unwrap(),
        SwitchOutcome::NotBuilding
    );
    let retired = fold(&*model, &lane(workspace, 2, 0), 9, 10, Vec::new()).await;
    assert_eq!(retired, UpdateOutcome::Retired { live: 1 });
    assert_eq!(
        model.begin_build(workspace, VIEW).await.unwrap(),
        3,
        "no number is used twice"
    );
}

pub(crate) async fn a_generation_replaces_one_that_is_known_to_be_ahead_of_the_log<B: TestDatabase>(
    database: B,
) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    let building = scope(workspace, 2);
    fold(&*model, &lane(workspace, 1, 0), 0, 4, Vec::new()).await;
    model.begin_build(workspace, VIEW).await.unwrap();
    fold(&*model, &lane(workspace, 2, 0), 0, 3, Vec::new()).await;
    assert_eq!(model.switch(&building).await.unwrap(), SwitchOutcome::Behind);
    // It was read, and has moved since.
    let earlier = ConsistencyToken::at(0, 3);
    let refused = model.switch_from(&building, &earlier).await.unwrap();
    assert_eq!(refused, SwitchOutcome::Behind);
    let live = ConsistencyToken::at(0, 4);
    let switched = model.switch_from(&building, &live).await.unwrap();
    assert_eq!(switched, SwitchOutcome::Done(ConsistencyToken::at(0, 3)));
    assert_eq!(model.live_generation(workspace, VIEW).await.unwrap(), 2);
    let again = model.switch_from(&building, &live).await.unwrap();
    assert_eq!(again, SwitchOutcome::NotBuilding);
}

pub(crate) async fn what_is_left_of_a_generation_is_removed_piece_by_piece<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    let documents = |number| {
        (0..5)
            .map(|n| write(&format!("key-{n}"), number, vec![entry("anna", "1")]))
            .collect::<Vec<_>>()
    };
    fold(&*model, &lane(workspace, 1, 0), 0, 5, documents(1)).await;
    model.begin_build(workspace, VIEW).await.unwrap();
    fold(&*model, &lane(workspace, 2, 0), 0, 5, documents(2)).await;
    assert!(model.leftovers().await.unwrap().is_empty());
    model.switch(&scope(workspace, 2)).await.unwrap();
    let leftovers = model.leftovers().await.unwrap();
    assert_eq!((leftovers.len(), leftovers[0].generation), (1, 1));
    let mut batches = 0;
    while model.remove(&leftovers[0], 2).await.unwrap() {
        batches += 1;
    }
    assert_eq!(batches, 3, "five documents, two at a time");
    assert!(model.leftovers().await.unwrap().is_empty());
    let everything = model.contents(workspace, VIEW).await.unwrap().value;
    assert!(
        everything
            .documents
            .iter()
            .all(|listed| number(&listed.document) == 2 && !listed.places.is_empty())
    );
    assert_eq!(everything.documents.len(), 5);
    let live = super::super::StoredGeneration {
        generation: 2,
        ..leftovers[0].clone()
    };
    assert!(model.remove(&live, 2).await.is_err(), "the live one stays");
}
