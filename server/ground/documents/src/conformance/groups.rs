//! Updates of several lanes at the same time, which one transaction may carry out.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use domain::{id::WorkspaceId, token::ConsistencyToken};
use futures::future::join_all;

use super::{
    super::{
        DocumentStore, DocumentStoreError, DocumentWrite, FoldFault, FoldInput, FoldOutput, LaneId, Scope,
        UpdateOutcome,
    },
    TestDatabase, VIEW, entry, fold, lane, number, workspace, write,
};

/// More views than a group has requests.
const VIEWS: [&str; 24] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u",
    "v", "w", "x",
];

/// The document that lanes count in.
const COUNTED: &str = "counted";

fn lane_of(workspace: WorkspaceId, view: &'static str, partition: u32) -> LaneId {
    LaneId {
        scope: Scope {
            workspace,
            view,
            generation: 1,
        },
        partition,
    }
}

/// Adds one to the counted document, and moves its entry in a listing.
fn add_one(loaded: &FoldInput) -> FoldOutput {
    let before = loaded.documents.first().map_or(0, number);
    let place = |number: u64| entry("", &number.to_string());
    let counted = write(COUNTED, before + 1, vec![place(before + 1)]);
    FoldOutput {
        writes: vec![DocumentWrite {
            removed_entries: (before > 0).then(|| place(before)).into_iter().collect(),
            ..counted
        }],
        ..FoldOutput::default()
    }
}

/// Advances a lane by one event that counts.
async fn count(
    model: &dyn DocumentStore,
    lane: LaneId,
    from: u64,
) -> Result<UpdateOutcome, DocumentStoreError> {
    let mut effect = |loaded: FoldInput| Ok(add_one(&loaded));
    model
        .update(
            &lane,
            from,
            &(from + 1).into(),
            &[COUNTED.to_owned()],
            &mut effect,
        )
        .await
}

/// Advances a lane by one event with this effect.
async fn update(
    model: &dyn DocumentStore,
    lane: LaneId,
    from: u64,
    effect: Result<Vec<DocumentWrite>, FoldFault>,
) -> Result<UpdateOutcome, DocumentStoreError> {
    let mut effect = |_: FoldInput| {
        Ok(FoldOutput {
            writes: effect.clone()?,
            ..FoldOutput::default()
        })
    };
    model
        .update(&lane, from, &(from + 1).into(), &[], &mut effect)
        .await
}

async fn counted(model: &dyn DocumentStore, workspace: WorkspaceId, view: &str) -> u64 {
    let read = model.document(workspace, view, COUNTED).await.unwrap();
    read.value.as_ref().map_or(0, number)
}

fn all_committed(updates: Vec<Result<UpdateOutcome, DocumentStoreError>>) {
    for updated in updates {
        assert_eq!(updated.unwrap(), UpdateOutcome::Committed);
    }
}

pub(crate) async fn lanes_that_wait_together_are_each_committed_once<B: TestDatabase>(database: B) {
    const ROUNDS: u64 = 5;
    let model = database.open().await.unwrap();
    let workspaces = [workspace(), workspace()];
    let lanes = || {
        workspaces
            .iter()
            .flat_map(|workspace| VIEWS.iter().map(move |view| lane_of(*workspace, view, 2)))
    };
    for round in 0..ROUNDS {
        all_committed(join_all(lanes().map(|lane| count(&*model, lane, round))).await);
    }
    for lane in lanes() {
        let Scope { workspace, view, .. } = lane.scope;
        let contents = model.contents(workspace, view).await.unwrap();
        assert_eq!(contents.as_of, ConsistencyToken::at(2, ROUNDS));
        let documents = contents.value.documents;
        assert_eq!((documents.len(), number(&documents[0].document)), (1, ROUNDS));
        assert_eq!(
            documents[0].places,
            [("by_customer".to_owned(), String::new(), ROUNDS.to_string())]
        );
    }
}

pub(crate) async fn a_failure_is_of_the_lane_that_caused_it<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let model = &*model;
    let workspace = workspace();
    let [a, b, faulty, refused, corrupt, moved, amended, ..] = VIEWS.map(|view| lane_of(workspace, view, 0));
    let mut retired = lane_of(workspace, "retired", 0);
    retired.scope.generation = 9;
    let fault = FoldFault {
        position: 1,
        reason: "it does not fit".to_owned(),
    };
    let listed_twice = write("a", 1, vec![entry("anna", "1"), entry("anna", "1")]);
    let never_listed = DocumentWrite {
        removed_entries: vec![entry("anna", "1")],
        ..write("a", 1, Vec::new())
    };
    let mut amendment = |loaded: FoldInput| Ok(add_one(&loaded));
    let keys = [COUNTED.to_owned()];
    let (first, faulted, refusal, corruption, overtaken, retirement, changed, last) = futures::join!(
        count(model, a, 0),
        update(model, faulty, 0, Err(fault.clone())),
        update(model, refused, 0, Ok(vec![listed_twice])),
        update(model, corrupt, 0, Ok(vec![never_listed])),
        update(model, moved, 7, Ok(vec![write("a", 1, Vec::new())])),
        update(model, retired, 0, Ok(vec![write("a", 1, Vec::new())])),
        model.amend(&amended.scope, &keys, &mut amendment),
        count(model, b, 0),
    );
    all_committed(vec![first, last]);
    changed.unwrap();
    assert!(
        matches!(&faulted, Err(DocumentStoreError::Fault(found)) if *found == fault),
        "{faulted:?}"
    );
    assert!(
        matches!(refusal, Err(DocumentStoreError::Refused(_))),
        "{refusal:?}"
    );
    assert!(
        matches!(corruption, Err(DocumentStoreError::Corrupt(_))),
        "{corruption:?}"
    );
    assert_eq!(
        overtaken.unwrap(),
        UpdateOutcome::CheckpointMoved { checkpoint: 0 }
    );
    assert_eq!(retirement.unwrap(), UpdateOutcome::Retired { live: 1 });
    for (lane, number) in [(a, 1), (b, 1), (amended, 1), (faulty, 0), (corrupt, 0)] {
        assert_eq!(
            counted(model, workspace, lane.scope.view).await,
            number,
            "{lane:?}"
        );
    }
    // nothing of those that failed is stored, and they go on
    for lane in [faulty, refused, corrupt, moved, retired] {
        let view = lane.scope.view;
        assert_eq!(model.checkpoint(&lane).await.unwrap(), 0, "{view}");
        let contents = model.contents(workspace, view).await.unwrap();
        assert!(contents.value.documents.is_empty(), "{view}");
    }
    let others = [faulty, refused, corrupt, moved];
    all_committed(join_all(others.map(|lane| count(model, lane, 0))).await);
}

/// Begins an update and gives it up: after its fold, or as soon as it waits.
async fn give_up(model: &dyn DocumentStore, lane: LaneId, after_fold: bool) {
    let is_folded = AtomicBool::new(false);
    let mut effect = |_: FoldInput| {
        is_folded.store(true, Ordering::Relaxed);
        Ok(FoldOutput {
            writes: vec![write("given-up", 1, vec![entry("anna", "1")])],
            ..FoldOutput::default()
        })
    };
    let to = 1_u64.into();
    let mut update = model.update(&lane, 0, &to, &[], &mut effect);
    poll_fn(|context| {
        let polled = update.as_mut().poll(context);
        if polled.is_ready() || !after_fold || is_folded.load(Ordering::Relaxed) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

pub(crate) async fn a_caller_that_goes_away_takes_no_other_with_it<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let model = &*model;
    let (view, others) = (VIEWS[0], &VIEWS[1..6]);
    // the caller that leads the group, and one that follows; each before and after its fold
    for (leads, after_fold) in [(true, false), (true, true), (false, false), (false, true)] {
        let workspace = workspace();
        let gone = lane_of(workspace, view, 0);
        let goes = give_up(model, gone, after_fold);
        let stay = join_all(
            others
                .iter()
                .map(|view| count(model, lane_of(workspace, view, 0), 0)),
        );
        let stayed = if leads {
            futures::join!(goes, stay).1
        } else {
            futures::join!(stay, goes).0
        };
        all_committed(stayed);
        // it is done when another update of its view is
        all_committed(vec![count(model, lane_of(workspace, view, 1), 0).await]);
        let checkpoint = model.checkpoint(&gone).await.unwrap();
        let written = model.document(workspace, view, "given-up").await.unwrap();
        assert_eq!(
            written.value.is_some(),
            checkpoint == 1,
            "{leads} {after_fold}: {checkpoint}"
        );
        let again = update(model, gone, 0, Ok(Vec::new())).await.unwrap();
        let expected = if checkpoint == 0 {
            UpdateOutcome::Committed
        } else {
            UpdateOutcome::CheckpointMoved { checkpoint }
        };
        assert_eq!(again, expected);
    }
}

pub(crate) async fn lanes_of_one_view_in_several_groups_lose_no_update<B: TestDatabase>(database: B) {
    const ROUNDS: u64 = 4;
    const PARTITIONS: u32 = 3;
    let model = database.open().await.unwrap();
    let workspace = workspace();
    let views = &VIEWS[..4];
    for round in 0..ROUNDS {
        let lanes = (0..PARTITIONS)
            .flat_map(|partition| views.iter().map(move |view| lane_of(workspace, view, partition)));
        all_committed(join_all(lanes.map(|lane| count(&*model, lane, round))).await);
    }
    for view in views {
        assert_eq!(
            counted(&*model, workspace, view).await,
            ROUNDS * u64::from(PARTITIONS)
        );
    }
}

pub(crate) async fn a_batch_of_any_size_is_written<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    for size in [1, 64, 65, 700] {
        let lane = lane(workspace(), 1, 0);
        let workspace = lane.scope.workspace;
        let key = |n: usize| format!("key-{n:03}");
        let written = (0..size).map(|n| write(&key(n), 1, vec![entry("anna", &key(n))]));
        fold(&*model, &lane, 0, 1, written.collect()).await;

        let keys: Vec<String> = (0..size).map(key).collect();
        let mut next = |loaded: FoldInput| {
            assert_eq!(loaded.documents.len(), size);
            let changed = loaded.documents.iter().map(|document| {
                let key = document.key.as_str();
                DocumentWrite {
                    removed_entries: vec![entry("anna", key)],
                    ..write(key, number(document) + 1, vec![entry("berta", key)])
                }
            });
            Ok(FoldOutput {
                writes: changed.collect(),
                ..FoldOutput::default()
            })
        };
        let updated = model
            .update(&lane, 1, &2_u64.into(), &keys, &mut next)
            .await
            .unwrap();
        assert_eq!(updated, UpdateOutcome::Committed);
        let documents = model.contents(workspace, VIEW).await.unwrap().value.documents;
        assert_eq!(documents.len(), size);
        for listed in documents {
            assert_eq!(number(&listed.document), 2);
            let place = ("by_customer".to_owned(), "berta".to_owned(), listed.document.key);
            assert_eq!(listed.places, [place]);
        }

        let deleted = (0..size).map(|n| DocumentWrite {
            data: None,
            removed_entries: vec![entry("berta", &key(n))],
            ..write(&key(n), 0, Vec::new())
        });
        fold(&*model, &lane, 2, 3, deleted.collect()).await;
        let contents = model.contents(workspace, VIEW).await.unwrap();
        assert!(contents.value.documents.is_empty());
        assert_eq!(contents.as_of, ConsistencyToken::at(0, 3));
    }
}

/// Two servers write the same views, whose lanes ask in opposite orders.
pub(crate) async fn two_servers_write_the_same_views(servers: &[Arc<dyn DocumentStore>; 2]) {
    const ROUNDS: u64 = 6;
    let workspace = workspace();
    let [one, other] = servers;
    for round in 0..ROUNDS {
        let forwards = VIEWS.iter().map(|view| lane_of(workspace, view, 0));
        let backwards = VIEWS.iter().rev().map(|view| lane_of(workspace, view, 1));
        let (forwards, backwards) = futures::join!(
            join_all(forwards.map(|lane| count(&**one, lane, round))),
            join_all(backwards.map(|lane| count(&**other, lane, round))),
        );
        all_committed(forwards);
        all_committed(backwards);
    }
    for view in VIEWS {
        assert_eq!(counted(&**one, workspace, view).await, 2 * ROUNDS);
    }
}
