//! The answers of commands, with their events or in rows of their own, and that an id is used once.

use std::sync::Arc;

use domain::{id::WorkspaceId, token::ConsistencyToken};
use futures::future::join_all;

use super::{
    super::{Append, AppendAnswer, AppendError, DigestKey, EventStore, Expected},
    TestDatabase, append, checked_partition, event, id, one, open_workspace, part,
};

/// Another command with the same id.
fn other(sent: &Append, stream: &str, events: bool) -> Append {
    let events = if events { vec![event(1)] } else { Vec::new() };
    let mut other = append(sent.workspace, vec![part(stream, Expected::Any, events)]);
    other.metadata.command_id = sent.metadata.command_id;
    other.body_digest = [8; 32];
    other
}

/// One of each kind: events in one stream, in several, and none.
fn of_each_kind(workspace: WorkspaceId) -> [Append; 4] {
    let several = |second| {
        let first = part("order-2", Expected::Any, vec![event(3)]);
        append(workspace, vec![first, part("order-3", Expected::Any, second)])
    };
    [
        append(
            workspace,
            vec![part("order-1", Expected::Any, vec![event(1), event(2)])],
        ),
        several(vec![event(4), event(5)]),
        several(Vec::new()),
        append(workspace, vec![part("order-1", Expected::Any, Vec::new())]),
    ]
}

pub(crate) async fn only_a_command_without_events_has_a_row<B: TestDatabase>(database: B) {
    let store = database.open().await;
    let workspace = open_workspace(&*store, 4).await;
    let sent = of_each_kind(workspace);
    let mut answers = Vec::new();
    for append in &sent {
        answers.push(store.append(append.clone()).await.unwrap());
    }
    assert_eq!(database.number("select count(*) from answers").await, 1);
    assert_eq!(database.number("select count(*) from commands").await, 4);
    store.close().await;

    let store = database.open().await;
    for (append, answer) in sent.iter().zip(&answers) {
        assert_eq!(store.append(append.clone()).await.unwrap(), *answer);
        let id = append.metadata.command_id;
        let recorded = store.recorded_command(workspace, id).await.unwrap().unwrap();
        assert_eq!(
            (&recorded.answer, recorded.body_digest),
            (answer, append.body_digest)
        );
        for events in [true, false] {
            let refused = store.append(other(append, "order-4", events)).await;
            assert!(
                matches!(refused, Err(AppendError::CommandReused(used)) if used == id),
                "{refused:?}"
            );
        }
    }
    assert_eq!(database.number("select count(*) from events").await, 6);
}

pub(crate) async fn a_command_whose_row_is_older_than_its_events_columns_is_answered<B: TestDatabase>(
    database: B,
) {
    let store = database.open().await;
    let workspace = open_workspace(&*store, 1).await;
    let sent = one(workspace, "order-1", Expected::Any);
    let answer = store.append(sent.clone()).await.unwrap();
    store.close().await;
    database.run(B::UNLOCK).await.unwrap();
    for statement in B::MOVE_COMMANDS_TO_ROWS {
        database.run(statement).await.unwrap();
    }

    let store = database.open().await;
    // alone, so that it is only the write that finds the row
    for events in [true, false] {
        let refused = store.append(other(&sent, "order-2", events)).await;
        assert!(
            matches!(refused, Err(AppendError::CommandReused(_))),
            "{refused:?}"
        );
    }
    let repeated = other(&sent, "order-2", true);
    let (again, refused, good) = tokio::join!(
        store.append(sent.clone()),
        store.append(repeated),
        store.append(one(workspace, "order-3", Expected::Any)),
    );
    assert_eq!(again.unwrap(), answer);
    assert!(
        matches!(refused, Err(AppendError::CommandReused(_))),
        "{refused:?}"
    );
    good.unwrap();
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 2);
    assert_eq!(store.commands(workspace, None, 10).await.unwrap().len(), 2);
}

/// Appends commands of each kind, and notes of all of them that their digests have no key, as the migration
/// does that follows such a version.
async fn appended_without_a_key<B: TestDatabase>(database: &B) -> (Vec<Append>, Vec<AppendAnswer>) {
    let store = database.open().await;
    let workspace = open_workspace(&*store, 3).await;
    let sent = Vec::from(of_each_kind(workspace));
    let mut answers = Vec::new();
    for append in &sent {
        answers.push(store.append(append.clone()).await.unwrap());
    }
    store.close().await;
    for statement in [
        "insert into unkeyed_digests (partition_no, keyed_to, head) select no, 0, null from partitions",
        "update answers set keyed = false",
    ] {
        database.run(statement).await.unwrap();
    }
    (sent, answers)
}

/// Given commands whose digests have no key, when a store is opened, also again and again, then each digest
/// is keyed once, and a repetition of each command gets the first answer.
pub(crate) async fn digests_without_a_key_get_one_and_their_commands_are_still_recognised<B: TestDatabase>(
    database: B,
) {
    let (sent, answers) = appended_without_a_key(&database).await;
    let key = DigestKey::new([3; 32]);
    for _ in 0..2 {
        let store = database.open().await;
        store.key_digests(&key).await.unwrap();
        store.key_digests(&key).await.unwrap();
        for (append, answer) in sent.iter().zip(&answers) {
            let id = append.metadata.command_id;
            let recorded = store.recorded_command(append.workspace, id).await.unwrap();
            assert_eq!(recorded.unwrap().body_digest, key.keyed(&append.body_digest));
            let repeated = Append {
                body_digest: key.keyed(&append.body_digest),
                ..append.clone()
            };
            assert_eq!(store.append(repeated).await.unwrap(), *answer);
            let refused = store.append(other(append, "order-4", true)).await;
            assert!(
                matches!(refused, Err(AppendError::CommandReused(used)) if used == id),
                "{refused:?}"
            );
        }
        store.close().await;
        // as after an interruption before the last notes were deleted
        let done = "insert into unkeyed_digests (partition_no, keyed_to, head)
            select no, head, head from partitions";
        database.run(done).await.unwrap();
    }
}

pub(crate) async fn nothing_but_a_digest_without_a_key_can_be_changed<B: TestDatabase>(database: B) {
    appended_without_a_key(&database).await;
    let heads = "update unkeyed_digests
        set head = (select p.head from partitions p where p.no = unkeyed_digests.partition_no)";
    database.run(heads).await.unwrap();
    let refused = async |statement: &'static str| {
        let error = database.run(statement).await.unwrap_err().to_string();
        assert!(error.contains("events are immutable"), "{statement}: {error}");
    };
    for statement in [
        "update events set payload = '{}' where body_digest is not null",
        "update events set body_digest = hash, payload = '{}' where body_digest is not null",
        "update events set body_digest = hash where body_digest is null",
        "update events set body_digest = null where body_digest is not null",
    ] {
        refused(statement).await;
    }
    let keyed = "update events set body_digest = hash where body_digest is not null";
    database.run(keyed).await.unwrap();
    let store = database.open().await;
    store.key_digests(&DigestKey::new([3; 32])).await.unwrap();
    store.close().await;
    refused(keyed).await;
}

pub(crate) async fn an_id_of_a_command_without_events_is_not_used_again(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 4).await;
    for (first, second) in [(true, false), (false, true), (false, false)] {
        let sent = other(&one(workspace, "order-1", Expected::Any), "order-1", first);
        let mut repeated = other(&sent, "order-2", second);
        repeated.body_digest = [9; 32];
        let (accepted, refused) = tokio::join!(store.append(sent.clone()), store.append(repeated.clone()));
        assert!(
            matches!(refused, Err(AppendError::CommandReused(_))),
            "{refused:?}"
        );
        let refused = store.append(repeated).await;
        assert!(
            matches!(refused, Err(AppendError::CommandReused(_))),
            "{refused:?}"
        );
        assert_eq!(store.append(sent).await.unwrap(), accepted.unwrap());
    }
}

pub(crate) async fn commands_are_listed_by_id_from_events_and_rows(store: Arc<dyn EventStore>) {
    let (workspace, elsewhere) = (open_workspace(&*store, 3).await, open_workspace(&*store, 1).await);
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.extend(of_each_kind(workspace));
        store
            .append(one(elsewhere, "order-1", Expected::Any))
            .await
            .unwrap();
    }
    sent[7].metadata.command_id = uuid::Uuid::nil();
    let answers = join_all(sent.iter().map(|append| store.append(append.clone()))).await;
    let mut expected: Vec<_> = sent
        .iter()
        .zip(answers)
        .map(|(append, answer)| (append.metadata.command_id, answer.unwrap().token))
        .collect();
    expected.sort_unstable_by_key(|(id, _)| *id);
    for limit in [1, 7, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.commands(workspace, after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.command_id);
            found.extend(
                page.iter()
                    .map(|command| (command.command_id, command.token().unwrap())),
            );
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
    assert!(
        expected
            .iter()
            .all(|(_, token)| *token != ConsistencyToken::default())
    );
    assert_eq!(store.commands(elsewhere, None, 100).await.unwrap().len(), 5);
    assert!(
        store
            .commands(WorkspaceId(id()), None, 100)
            .await
            .unwrap()
            .is_empty()
    );
}
