//! The lifecycle of a workspace: its limits, admissions, idleness, and a purge that is complete or does not
//! happen.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    sync::Arc,
};

use domain::{id::WorkspaceId, timestamp::Timestamp, token::ConsistencyToken};
use futures::future::join_all;
use serde_json::value::RawValue;

use super::{
    super::{
        AdmissionOutcome, Append, AppendError, ContentError, Direction, EventFilter, EventStore, Expected,
        PurgeProgress, Snapshot, Workspace, WorkspaceContent,
    },
    TestDatabase, append, checked_partition, event, id, name, one, open_workspace, part, whole_stream,
};
use clock::{Clock as _, SystemClock};

fn limited(append: Append, most: u64) -> Append {
    Append {
        max_events: Some(most),
        ..append
    }
}

pub(crate) async fn a_full_workspace_takes_no_more_and_repeats_its_answers(store: Arc<dyn EventStore>) {
    const MOST: u64 = 20;
    let workspace = open_workspace(&*store, 3).await;
    let appends: Vec<_> = (0..64)
        .map(|n| limited(one(workspace, &format!("order-{n}"), Expected::Any), MOST))
        .collect();
    let results = join_all(appends.iter().map(|append| store.append(append.clone()))).await;
    let mut accepted = 0;
    for (append, result) in appends.iter().zip(results) {
        match result {
            Ok(answer) => {
                accepted += 1;
                // a repetition gets its answer, also when the workspace is full
                assert_eq!(store.append(append.clone()).await.unwrap(), answer);
            }
            Err(AppendError::Full { stored, most }) => assert_eq!((stored, most), (MOST, MOST)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(accepted, MOST);
    let head = store.head(workspace).await.unwrap();
    assert_eq!(ConsistencyToken::default().behind(&head), MOST);
    // another workspace has its own count, and an append without a limit is accepted
    let elsewhere = open_workspace(&*store, 1).await;
    store
        .append(limited(one(elsewhere, "order-1", Expected::Any), 1))
        .await
        .unwrap();
    store
        .append(one(workspace, "order-x", Expected::Any))
        .await
        .unwrap();
}

pub(crate) async fn what_does_not_fit_is_refused_whole(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 4).await;
    let three = |stream: &str| {
        append(
            workspace,
            vec![
                part(stream, Expected::NoStream, vec![event(1), event(2)]),
                part(&format!("{stream}-b"), Expected::NoStream, vec![event(3)]),
            ],
        )
    };
    store.append(limited(three("order-1"), 5)).await.unwrap();
    let refused = store.append(limited(three("order-2"), 5)).await;
    assert!(
        matches!(refused, Err(AppendError::Full { stored: 3, most: 5 })),
        "{refused:?}"
    );
    for stream in ["order-2", "order-2-b"] {
        assert!(whole_stream(&*store, workspace, stream).await.is_empty());
    }
    let two = append(
        workspace,
        vec![part("order-3", Expected::NoStream, vec![event(1), event(2)])],
    );
    store.append(limited(two, 5)).await.unwrap();
    // an append without events takes no space
    let nothing = append(workspace, vec![part("order-3", Expected::Exact(2), Vec::new())]);
    store.append(limited(nothing, 5)).await.unwrap();
}

pub(crate) async fn people_are_admitted_until_a_workspace_is_full(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    // the person who opened the workspace counts as one
    let admissions = join_all((0..8).map(|_| store.admit(workspace, Some(5)))).await;
    let count = |wanted| {
        admissions
            .iter()
            .filter(|outcome| *outcome.as_ref().unwrap() == wanted)
            .count()
    };
    assert_eq!(
        (count(AdmissionOutcome::Yes), count(AdmissionOutcome::Full)),
        (4, 4)
    );
    assert_eq!(store.admit(workspace, None).await.unwrap(), AdmissionOutcome::Yes);
    // six by now; a place that is released is taken again, and the first person keeps theirs
    assert!(store.release(workspace, 2).await.unwrap());
    assert_eq!(
        store.admit(workspace, Some(5)).await.unwrap(),
        AdmissionOutcome::Yes
    );
    assert_eq!(
        store.admit(workspace, Some(5)).await.unwrap(),
        AdmissionOutcome::Full
    );
    assert!(!store.release(workspace, 5).await.unwrap());
    assert!(!store.release(WorkspaceId(id()), 1).await.unwrap());
    assert_eq!(
        store.admit(WorkspaceId(id()), Some(5)).await.unwrap(),
        AdmissionOutcome::Unknown
    );
}

fn after(hours: i64) -> Timestamp {
    Timestamp::from_micros(SystemClock.now().as_micros() + hours * 3_600_000_000)
}

pub(crate) async fn a_workspace_without_activity_is_idle(store: Arc<dyn EventStore>) {
    let (used, left) = (open_workspace(&*store, 1).await, open_workspace(&*store, 1).await);
    assert!(store.idle_since(after(-1), 10).await.unwrap().is_empty());
    assert!(store.note_activity(used, after(9)).await.unwrap());
    assert!(
        store.note_activity(used, after(2)).await.unwrap(),
        "an earlier time changes nothing"
    );
    assert!(!store.note_activity(WorkspaceId(id()), after(9)).await.unwrap());
    assert_eq!(store.idle_since(after(8), 10).await.unwrap(), [left]);
    assert_eq!(store.idle_since(after(10), 1).await.unwrap().len(), 1);
    assert!(!store.begin_purge(used, Some(after(8))).await.unwrap());
    assert!(store.begin_purge(left, Some(after(8))).await.unwrap());
    assert!(store.idle_since(after(8), 10).await.unwrap().is_empty());
    assert!(!store.note_activity(left, after(9)).await.unwrap());
}

/// A workspace with rows in every table.
async fn full_workspace(store: &dyn EventStore) -> (WorkspaceId, Append) {
    let workspace = open_workspace(store, 3).await;
    for n in 0..40 {
        let stream = format!("order-{}", n % 7);
        store
            .append(one(workspace, &stream, Expected::Any))
            .await
            .unwrap();
        // its answer has a row of its own
        let nothing = append(workspace, vec![part(&stream, Expected::StreamExists, Vec::new())]);
        store.append(nothing).await.unwrap();
    }
    let last = one(workspace, "order-1", Expected::Any);
    store.append(last.clone()).await.unwrap();
    let snapshot = Snapshot {
        version: 2,
        schema_version: 1,
        state: RawValue::from_string("{}".to_owned()).unwrap(),
    };
    store
        .save_snapshot(workspace, &name("order-1"), &snapshot)
        .await
        .unwrap();
    (workspace, last)
}

/// Asserts that no query finds the workspace, and that appends to it are refused.
async fn is_unknown(store: &dyn EventStore, workspace: WorkspaceId, last: &Append) {
    assert!(store.workspace(workspace).await.unwrap().is_none());
    let listed = store.workspaces(None, 1_000).await.unwrap();
    assert!(listed.iter().all(|listed| listed.id != workspace));
    for again in [last.clone(), one(workspace, "order-new", Expected::Any)] {
        let refused = store.append(again).await;
        assert!(
            matches!(refused, Err(AppendError::UnknownWorkspace(named)) if named == workspace),
            "{refused:?}"
        );
    }
    let stream = name("order-1");
    let read = store
        .read_stream(workspace, &stream, 1, Direction::Forwards, 10)
        .await
        .unwrap();
    assert!(read.is_empty());
    for partition in 0..3 {
        let read = store.read_partition(workspace, partition, 0, 10).await.unwrap();
        assert!(read.is_empty());
    }
    let filter = EventFilter::default();
    let (read, _) = store
        .read_events(workspace, &filter, &ConsistencyToken::default(), 10)
        .await
        .unwrap();
    assert!(read.is_empty());
    assert!(
        store
            .streams(workspace, "", None, 10)
            .await
            .unwrap()
            .data
            .is_empty()
    );
    assert_eq!(store.head(workspace).await.unwrap(), ConsistencyToken::default());
    let heads = store.heads().await.unwrap();
    assert!(heads.iter().all(|(of, ..)| *of != workspace));
    assert!(store.snapshot(workspace, &stream).await.unwrap().is_none());
    let command = last.metadata.command_id;
    assert!(
        store
            .recorded_command(workspace, command)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        store.admit(workspace, None).await.unwrap(),
        AdmissionOutcome::Unknown
    );
}

/// The number of rows in each table with data of workspaces.
async fn rows<B: TestDatabase>(database: &B) -> [i64; 6] {
    [
        database.number("select count(*) from workspaces").await,
        database.number("select count(*) from partitions").await,
        database.number("select count(*) from streams").await,
        database.number("select count(*) from events").await,
        database.number("select count(*) from commands").await,
        database.number("select count(*) from snapshots").await,
    ]
}

pub(crate) async fn a_purge_takes_everything_of_one_workspace_and_nothing_of_another<B: TestDatabase>(
    database: B,
) {
    let store = database.open().await;
    let (stays, _) = full_workspace(&*store).await;
    let before = rows(&database).await;
    let (goes, last) = full_workspace(&*store).await;
    assert_eq!(
        store.purge(goes, 10).await.unwrap(),
        PurgeProgress::Complete,
        "it is not marked"
    );
    assert_eq!(store.head(goes).await.unwrap().iter().count(), 3);
    assert!(!store.was_purged(goes).await.unwrap());

    assert!(store.begin_purge(goes, None).await.unwrap());
    assert!(store.was_purged(goes).await.unwrap(), "from the mark on");
    assert!(
        !store.begin_purge(goes, None).await.unwrap(),
        "it is unknown by now"
    );
    is_unknown(&*store, goes, &last).await;
    assert_eq!(store.purging().await.unwrap(), [goes]);
    let mut batches = 0;
    while store.purge(goes, 10).await.unwrap() == PurgeProgress::Batch {
        batches += 1;
        // other appends come between two batches
        let elsewhere = limited(one(stays, "order-1", Expected::Any), 1_000);
        store.append(elsewhere).await.unwrap();
        is_unknown(&*store, goes, &last).await;
    }
    assert!(batches > 8, "{batches} batches");
    assert_eq!(store.purging().await.unwrap(), []);
    is_unknown(&*store, goes, &last).await;
    // the store keeps a record of the purged workspace, and has none of others
    assert!(store.was_purged(goes).await.unwrap());
    for other in [stays, WorkspaceId(id())] {
        assert!(!store.was_purged(other).await.unwrap());
    }

    let after = rows(&database).await;
    let more = [0, 0, 0, batches, batches, 0];
    let expected: Vec<_> = before.iter().zip(more).map(|(rows, more)| rows + more).collect();
    assert_eq!(after.to_vec(), expected);
    let mut events = 0;
    for partition in 0..3 {
        events += checked_partition(&*store, stays, partition).await.len();
    }
    assert_eq!(i64::try_from(events).unwrap(), after[3]);
    assert!(store.snapshot(stays, &name("order-1")).await.unwrap().is_some());
}

/// Statements that a client with a connection to the database may try.
const IN_PART: [&str; 8] = [
    "delete from events",
    "delete from events where version = 2",
    "delete from events where version > 1000 or version = 1",
    "delete from partitions",
    "delete from workspaces where purging_since is null",
    "update partitions set workspace_no = (select max(no) from workspaces) where partition = 0",
    "update workspaces set no = no + 1000 where no = (select min(no) from workspaces)",
    "update workspaces set purging_since = null where purging_since is not null",
];

pub(crate) async fn nothing_is_deleted_in_part<B: TestDatabase>(database: B) {
    let store = database.open().await;
    let (stays, _) = full_workspace(&*store).await;
    let (goes, last) = full_workspace(&*store).await;
    let refused = |error: sqlx::Error| {
        let error = error.to_string();
        let said = [
            "immutable",
            "stays so",
            "keeps its",
            "as a whole",
            "its whole workspace",
            "to DEFAULT",
        ];
        assert!(said.iter().any(|said| error.contains(said)), "{error}");
    };
    let before = rows(&database).await;
    // no workspace is marked yet, and the last statement concerns marked ones
    for statement in &IN_PART[..7] {
        refused(database.run(statement).await.unwrap_err());
    }
    assert!(store.begin_purge(goes, None).await.unwrap());
    for statement in IN_PART {
        refused(database.run(statement).await.unwrap_err());
    }
    assert_eq!(
        rows(&database).await,
        before,
        "a statement that was refused deletes nothing"
    );
    is_unknown(&*store, goes, &last).await;
    while store.purge(goes, 1_000).await.unwrap() == PurgeProgress::Batch {}
    for statement in &IN_PART[..5] {
        refused(database.run(statement).await.unwrap_err());
    }
    for partition in 0..3 {
        assert!(!checked_partition(&*store, stays, partition).await.is_empty());
    }
}

const PLACE: &str = "FOLDLINE_TEST_PURGE_PLACE";
const WORKSPACE: &str = "FOLDLINE_TEST_PURGE_WORKSPACE";

/// Purges a workspace in batches and reports each, in a process that was started for it.
pub(crate) async fn purge_until_killed<B: TestDatabase>() {
    let (Ok(place), Ok(workspace)) = (std::env::var(PLACE), std::env::var(WORKSPACE)) else {
        return;
    };
    let workspace: WorkspaceId = workspace.parse().unwrap();
    let store = B::open_at(&place, None).await.unwrap();
    store.begin_purge(workspace, None).await.unwrap();
    std::io::stdout().write_all(b"\nbatch\n").unwrap();
    while store.purge(workspace, 3).await.unwrap() == PurgeProgress::Batch {
        std::io::stdout().write_all(b"\nbatch\n").unwrap();
    }
}

pub(crate) async fn a_purge_that_is_killed_goes_on<B: TestDatabase>(database: &B, module: &str) {
    let store = database.open().await;
    let (stays, _) = full_workspace(&*store).await;
    let before = rows(database).await;
    let (goes, last) = full_workspace(&*store).await;
    store.close().await;
    for until in [1, 2, 7, 12] {
        let (module, place) = (module.to_owned(), database.place());
        tokio::task::spawn_blocking(move || kill_after(&module, &place, goes, until))
            .await
            .unwrap();
        let store = database.open().await;
        // no query finds it, and its rows are still there
        is_unknown(&*store, goes, &last).await;
        assert_eq!(store.purging().await.unwrap(), [goes]);
        for partition in 0..3 {
            checked_partition(&*store, stays, partition).await;
        }
        store.close().await;
    }
    let store = database.open().await;
    while store.purge(goes, 1_000).await.unwrap() == PurgeProgress::Batch {}
    assert_eq!(store.purging().await.unwrap(), []);
    assert_eq!(rows(database).await, before);
    store
        .append(one(stays, "order-1", Expected::StreamExists))
        .await
        .unwrap();
}

/// Runs the process until it has deleted `until` batches, and kills it.
fn kill_after(module: &str, place: &str, workspace: WorkspaceId, until: usize) {
    let name = format!("{}::the_purge_that_is_killed", module.split_once("::").unwrap().1);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name.as_str(), "--exact", "--nocapture"])
        .env(PLACE, place)
        .env(WORKSPACE, workspace.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let batches = lines.map_while(Result::ok).filter(|line| line == "batch");
    assert_eq!(batches.take(until).count(), until, "the process ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
}

pub(crate) async fn a_workspace_is_replaced_under_its_join_code_or_nothing_happens(
    store: Arc<dyn EventStore>,
) {
    let mut replaced = Vec::new();
    let first = open_workspace(&*store, 2).await;
    let (mut old, mut people) = (store.workspace(first).await.unwrap().unwrap(), 1);
    let code = old.join_code.clone();
    for _ in 0..3 {
        assert_eq!(store.admit(old.id, None).await.unwrap(), AdmissionOutcome::Yes);
        people += 1;
        store
            .append(one(old.id, "order-1", Expected::NoStream))
            .await
            .unwrap();
        let new = open_workspace(&*store, 1).await;
        // by a caller who has not heard of a replacement
        let stale = Workspace {
            join_code: "another".to_owned(),
            ..old.clone()
        };
        assert!(!store.replace(&stale, new).await.unwrap());
        assert!(!store.replace(&old, WorkspaceId(id())).await.unwrap());
        assert_eq!(store.successor(old.id).await.unwrap(), None);
        assert_eq!(store.workspace(old.id).await.unwrap(), Some(old.clone()));

        assert!(store.replace(&old, new).await.unwrap());
        assert!(!store.replace(&old, new).await.unwrap(), "once");
        assert_eq!(store.workspace(old.id).await.unwrap(), None);
        let refused = store.append(one(old.id, "order-1", Expected::Any)).await;
        assert!(
            matches!(refused, Err(AppendError::UnknownWorkspace(_))),
            "{refused:?}"
        );
        assert!(store.purging().await.unwrap().contains(&old.id));
        assert!(store.was_purged(old.id).await.unwrap());
        replaced.push(old.id);
        old = store.workspace_by_code(&code).await.unwrap().unwrap();
        assert_eq!(old.id, new);
        // as many people as before fit in, and no more
        assert_eq!(
            store.admit(new, Some(people)).await.unwrap(),
            AdmissionOutcome::Full,
            "{people} people"
        );
        // Each leads to the newest one.
        for earlier in &replaced {
            let successor = store.successor(*earlier).await.unwrap().unwrap();
            assert_eq!(successor.workspace, new);
        }
    }
    store
        .append(one(old.id, "order-1", Expected::NoStream))
        .await
        .unwrap();
    // What was replaced is deleted like what was purged.
    for earlier in &replaced {
        while store.purge(*earlier, 1_000).await.unwrap() == PurgeProgress::Batch {}
        assert!(
            store.successor(*earlier).await.unwrap().is_some(),
            "its people may still come"
        );
    }
    assert_eq!(store.purging().await.unwrap(), []);
}

pub(crate) async fn a_workspace_begins_with_the_content_of_another_and_goes_on_by_itself(
    store: Arc<dyn EventStore>,
) {
    let source = open_workspace(&*store, 3).await;
    let source = store.workspace(source).await.unwrap().unwrap();
    let mut last = None;
    for n in 0..40 {
        let command = one(source.id, &format!("order-{}", n % 7), Expected::Any);
        store.append(command.clone()).await.unwrap();
        last = Some(command);
    }
    let content = WorkspaceContent::read(&*store, &source, 1 << 20).await.unwrap();
    assert_eq!((content.event_count(), content.shards), (40, 3));
    let small = WorkspaceContent::read(&*store, &source, 1_000).await;
    assert!(matches!(small, Err(ContentError::TooLarge(1_000))), "{small:?}");

    let copy = Workspace {
        id: WorkspaceId(id()),
        join_code: id().to_string(),
        ..source.clone()
    };
    let taken = Workspace {
        join_code: source.join_code.clone(),
        ..copy.clone()
    };
    let of_copy = content.in_workspace(copy.id);
    assert!(!store.import_workspace(&taken, of_copy.clone()).await.unwrap());
    assert_eq!(store.workspace(copy.id).await.unwrap(), None);
    // What belongs to another workspace is refused, and nothing of it is stored.
    assert!(store.import_workspace(&copy, content.clone()).await.is_err());
    assert_eq!(store.workspace(copy.id).await.unwrap(), None);
    assert!(store.import_workspace(&copy, of_copy).await.unwrap());
    for partition in 0..3 {
        let theirs = checked_partition(&*store, source.id, partition).await;
        let ours = checked_partition(&*store, copy.id, partition).await;
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(
                (ours.event_id, ours.recorded_at, ours.payload.get()),
                (theirs.event_id, theirs.recorded_at, theirs.payload.get())
            );
            assert_ne!(ours.hash, theirs.hash, "it covers the workspace");
        }
    }
    // A command of the source is known in the copy, and gets its answer again.
    let repeated = Append {
        workspace: copy.id,
        ..last.unwrap()
    };
    store.append(repeated).await.unwrap();
    assert_eq!(
        store.head(copy.id).await.unwrap(),
        store.head(source.id).await.unwrap()
    );
    // Both go on, in streams that there are and in new ones.
    for workspace in [copy.id, source.id, copy.id] {
        for stream in ["order-1".to_owned(), format!("order-{}", id())] {
            store
                .append(one(workspace, &stream, Expected::Any))
                .await
                .unwrap();
        }
    }
    for partition in 0..3 {
        checked_partition(&*store, source.id, partition).await;
        checked_partition(&*store, copy.id, partition).await;
    }
}
