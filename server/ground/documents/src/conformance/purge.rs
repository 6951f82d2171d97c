//! Purging: deletes all rows of one workspace, and none of another.

use domain::id::WorkspaceId;

use super::{
    super::{DocumentStore, FoldInput, FoldOutput, ParkedEvent, ParkedState},
    TestDatabase, VIEW, entry, fold, lane, scope, workspace, write,
};
use clock::{Clock as _, SystemClock};

/// Documents, listings, checkpoints, a dead letter, and a generation that is being built.
async fn filled(model: &dyn DocumentStore) -> WorkspaceId {
    let workspace = workspace();
    for partition in 0..3 {
        let writes = (0..10)
            .map(|n| {
                let key = format!("{partition}-{n}");
                write(&key, n, vec![entry("anna", &key), entry("otto", &key)])
            })
            .collect();
        fold(model, &lane(workspace, 1, partition), 0, 5, writes).await;
    }
    let mut park = |_: FoldInput| {
        Ok(FoldOutput {
            parked: vec![ParkedEvent {
                position: 6,
                id: SystemClock.new_id(),
                stream: "order-1".parse().unwrap(),
                version: 6,
                event_id: SystemClock.new_id(),
                event_type: "OrderCreated".to_owned(),
                correlation_id: SystemClock.new_id(),
                state: ParkedState::Dead {
                    reason: "it does not fit".to_owned(),
                    attempts: 5,
                },
                parked_at: SystemClock.now(),
            }],
            ..FoldOutput::default()
        })
    };
    model
        .update(&lane(workspace, 1, 0), 5, &6_u64.into(), &[], &mut park)
        .await
        .unwrap();
    model.begin_build(workspace, VIEW).await.unwrap();
    fold(
        model,
        &lane(workspace, 2, 0),
        0,
        3,
        vec![write("a", 1, vec![entry("anna", "1")])],
    )
    .await;
    workspace
}

async fn holds_everything(model: &dyn DocumentStore, workspace: WorkspaceId) {
    let contents = model.contents(workspace, VIEW).await.unwrap();
    assert_eq!(contents.value.documents.len(), 30);
    assert!(
        contents
            .value
            .documents
            .iter()
            .all(|document| document.places.len() == 2)
    );
    let checkpoints = model.checkpoints().await.unwrap();
    let of_this = checkpoints.iter().filter(|it| it.workspace == workspace);
    assert_eq!(of_this.count(), 3);
    assert_eq!(
        model.dead_letters(workspace, None, None, 10).await.unwrap().len(),
        1
    );
    assert!(
        model
            .builds()
            .await
            .unwrap()
            .iter()
            .any(|it| it.workspace == workspace)
    );
}

pub(crate) async fn a_purge_takes_everything_of_one_workspace_and_nothing_of_another<B: TestDatabase>(
    database: B,
) {
    let model = database.open().await.unwrap();
    let (stays, goes) = (filled(&*model).await, filled(&*model).await);
    let mut workspaces = vec![stays, goes];
    workspaces.sort();
    assert_eq!(model.workspaces().await.unwrap(), workspaces);
    let mut batches = 0;
    while model.purge(goes, 7).await.unwrap() {
        batches += 1;
        holds_everything(&*model, stays).await;
    }
    assert!(batches > 3, "{batches} batches");
    assert_eq!(model.workspaces().await.unwrap(), [stays]);
    holds_everything(&*model, stays).await;
    let left = model.contents(goes, VIEW).await.unwrap();
    assert!(left.value.documents.is_empty() && left.value.passed.is_empty());
    assert_eq!(left.generation, 1, "as for an unknown workspace");
    assert_eq!(model.folded(&scope(goes, 2)).await.unwrap().iter().count(), 0);
    assert!(model.dead_letters(goes, None, None, 10).await.unwrap().is_empty());
    assert!(!model.purge(goes, 7).await.unwrap(), "there is nothing left");
}
