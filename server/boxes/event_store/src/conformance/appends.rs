//! Appends: order, expected versions, atomicity, idempotency.

use std::sync::Arc;

use futures::future::join_all;

use super::{
    super::{AppendError, Direction, EventStore, Expected},
    append, checked_partition, event, id, name, one, open_workspace, part, whole_stream,
};
use domain::token::ConsistencyToken;

pub(crate) async fn an_append_is_read_back_as_it_was_written(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    let mut sent = append(
        workspace,
        vec![part("order-1", Expected::NoStream, vec![event(3), event(4)])],
    );
    sent.metadata.causation_id = Some(id());
    sent.metadata.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let answer = store.append(sent.clone()).await.unwrap();
    assert_eq!(answer.correlation_id, sent.metadata.correlation_id);
    assert_eq!(answer.token, ConsistencyToken::at(0, 2));
    assert_eq!(
        (answer.streams[0].version, answer.streams[0].events.len()),
        (2, 2)
    );

    let read = whole_stream(&*store, workspace, "order-1").await;
    assert_eq!(read.len(), 2);
    for (n, (read, sent_event)) in read.iter().zip(&sent.streams[0].events).enumerate() {
        let at = n as u64 + 1;
        assert_eq!(
            (read.workspace, read.partition, read.position, read.version),
            (workspace, 0, at, at)
        );
        assert_eq!(read.event_id, sent_event.event_id);
        assert_eq!(
            (read.event_type.as_str(), read.schema_version),
            ("StockReceived", 1)
        );
        assert_eq!(read.payload.get(), sent_event.payload.get());
        assert_eq!(read.metadata, sent.metadata);
        assert_eq!(answer.streams[0].events[n].event_id, read.event_id);
    }
    checked_partition(&*store, workspace, 0).await;
}

pub(crate) async fn positions_are_dense_in_each_partition_under_concurrency(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 4).await;
    let tasks = (0..16).map(|task| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..20 {
                let stream = format!("order-{}", (task * 7 + n) % 23);
                store
                    .append(one(workspace, &stream, Expected::Any))
                    .await
                    .unwrap();
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let mut total = 0;
    for partition in 0..4 {
        let events = checked_partition(&*store, workspace, partition).await;
        assert!(events.iter().all(|event| event.stream.partition(4) == partition));
        total += events.len();
    }
    assert_eq!(total, 320);
}

pub(crate) async fn an_expected_version_is_met_or_nothing_happens(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    let refused = async |expected, current| match store.append(one(workspace, "order-1", expected)).await {
        Err(AppendError::Conflict {
            stream,
            current: found,
        }) => {
            assert_eq!((stream, found), (name("order-1"), current), "{expected:?}");
        }
        other => panic!("{expected:?} at {current} was answered {other:?}"),
    };
    refused(Expected::StreamExists, 0).await;
    refused(Expected::Exact(1), 0).await;
    store
        .append(one(workspace, "order-1", Expected::NoStream))
        .await
        .unwrap();
    refused(Expected::NoStream, 1).await;
    refused(Expected::Exact(0), 1).await;
    refused(Expected::Exact(2), 1).await;
    store
        .append(one(workspace, "order-1", Expected::Exact(1)))
        .await
        .unwrap();
    store
        .append(one(workspace, "order-1", Expected::StreamExists))
        .await
        .unwrap();
    store
        .append(one(workspace, "order-1", Expected::Any))
        .await
        .unwrap();
    store
        .append(one(workspace, "order-2", Expected::Exact(0)))
        .await
        .unwrap();
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 5);
}

pub(crate) async fn of_64_appends_that_expect_one_version_one_wins(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    for round in 0..3 {
        let appends = (0..64).map(|_| store.append(one(workspace, "order-1", Expected::Exact(round))));
        let results = join_all(appends).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        for result in results.into_iter().filter_map(Result::err) {
            assert!(
                matches!(result, AppendError::Conflict { current, .. } if current == round + 1),
                "{result:?}"
            );
        }
    }
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 3);
}

pub(crate) async fn of_64_appends_that_expect_nothing_all_are_accepted(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    let appends = (0..64).map(|_| store.append(one(workspace, "order-1", Expected::Any)));
    let mut versions: Vec<_> = join_all(appends)
        .await
        .into_iter()
        .map(|result| result.unwrap().streams[0].version)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=64).collect::<Vec<_>>());
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 64);
}

pub(crate) async fn an_append_to_several_streams_is_stored_whole_or_not_at_all(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 8).await;
    store
        .append(one(workspace, "email-a", Expected::NoStream))
        .await
        .unwrap();
    let both = |email: &str, user: &str| {
        append(
            workspace,
            vec![
                part(user, Expected::NoStream, vec![event(1), event(2)]),
                part(email, Expected::NoStream, vec![event(3)]),
            ],
        )
    };
    let conflict = store.append(both("email-a", "user-1")).await;
    assert!(
        matches!(conflict, Err(AppendError::Conflict { stream, current: 1 }) if stream == name("email-a"))
    );
    assert!(whole_stream(&*store, workspace, "user-1").await.is_empty());

    let answer = store.append(both("email-b", "user-1")).await.unwrap();
    assert_eq!(
        answer
            .streams
            .iter()
            .map(|stream| stream.version)
            .collect::<Vec<_>>(),
        [2, 1]
    );
    assert!(store.head(workspace).await.unwrap().covers(&answer.token));
    assert_eq!(whole_stream(&*store, workspace, "user-1").await.len(), 2);
    assert_eq!(whole_stream(&*store, workspace, "email-b").await.len(), 1);
    for partition in 0..8 {
        checked_partition(&*store, workspace, partition).await;
    }
}

pub(crate) async fn several_appends_of_one_caller_are_stored_all_or_none(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 4).await;
    let all = |last: Expected| {
        vec![
            one(workspace, "order-1", Expected::NoStream),
            one(workspace, "order-1", Expected::Exact(1)),
            one(workspace, "order-2", Expected::NoStream),
            one(workspace, "order-1", last),
        ]
    };
    let refused = store.append_all(all(Expected::Exact(1))).await;
    let Err(AppendError::Conflict { stream, current: 2 }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(stream, name("order-1"));
    for stream in ["order-1", "order-2"] {
        assert!(
            whole_stream(&*store, workspace, stream).await.is_empty(),
            "{stream}"
        );
    }
    // what was refused has left nothing in the cache either
    let appends = all(Expected::Exact(2));
    let answers = store.append_all(appends.clone()).await.unwrap();
    let versions: Vec<_> = answers.iter().map(|answer| answer.streams[0].version).collect();
    assert_eq!(versions, [1, 2, 1, 3]);
    assert_eq!(store.append_all(appends).await.unwrap(), answers, "a repetition");
    store
        .append(one(workspace, "order-2", Expected::Exact(1)))
        .await
        .unwrap();
    for partition in 0..4 {
        checked_partition(&*store, workspace, partition).await;
    }
    assert_eq!(store.append_all(Vec::new()).await.unwrap(), []);
}

pub(crate) async fn an_append_without_events_still_checks_versions(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    let empty = |expected| append(workspace, vec![part("order-1", expected, Vec::new())]);
    let answer = store.append(empty(Expected::NoStream)).await.unwrap();
    assert_eq!(
        (answer.streams[0].version, answer.streams[0].events.len()),
        (0, 0)
    );
    store
        .append(one(workspace, "order-1", Expected::NoStream))
        .await
        .unwrap();
    assert!(matches!(
        store.append(empty(Expected::NoStream)).await,
        Err(AppendError::Conflict { current: 1, .. })
    ));
    let answer = store.append(empty(Expected::Exact(1))).await.unwrap();
    // the token covers the state that the append relied on
    assert_eq!(
        (answer.streams[0].version, answer.token),
        (1, ConsistencyToken::at(0, 1))
    );
}

pub(crate) async fn a_repeated_command_is_answered_as_the_first_time(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 4).await;
    let mut sent = append(
        workspace,
        vec![
            part("order-1", Expected::NoStream, vec![event(1), event(2)]),
            part("order-2", Expected::Any, vec![event(3)]),
            part("order-3", Expected::Any, Vec::new()),
        ],
    );
    let first = store.append(sent.clone()).await.unwrap();
    store
        .append(one(workspace, "order-1", Expected::Exact(2)))
        .await
        .unwrap();
    // the repetition has new event ids, and expects a version that has passed
    for event in sent.streams.iter_mut().flat_map(|stream| &mut stream.events) {
        event.event_id = id();
    }
    sent.metadata.correlation_id = id();
    assert_eq!(store.append(sent.clone()).await.unwrap(), first);
    let recorded = store
        .recorded_command(workspace, sent.metadata.command_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((recorded.answer, recorded.body_digest), (first, sent.body_digest));
    assert_eq!(whole_stream(&*store, workspace, "order-1").await.len(), 3);
    assert!(store.recorded_command(workspace, id()).await.unwrap().is_none());
}

pub(crate) async fn a_command_repeated_concurrently_is_stored_once(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    let command_id = id();
    let appends = (0..32).map(|_| {
        let mut append = one(workspace, "order-1", Expected::Any);
        append.metadata.command_id = command_id;
        store.append(append)
    });
    let answers: Vec<_> = join_all(appends).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 1);
}

/// The group of the repetition advances the stream first, to a version that the repetition does not expect.
pub(crate) async fn a_repetition_is_answered_also_behind_others_of_its_stream(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    for round in 0..8 {
        // without events, the version that it expects is current until the others advance it
        let nothing = part("order-1", Expected::Exact(round * 8), Vec::new());
        let sent = append(workspace, vec![nothing]);
        let first = store.append(sent.clone()).await.unwrap();
        let others = (0..8).map(|_| store.append(one(workspace, "order-1", Expected::Any)));
        let (others, again) = tokio::join!(join_all(others), store.append(sent));
        assert!(others.into_iter().all(|answer| answer.is_ok()));
        assert_eq!(again.unwrap(), first);
    }
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 64);
}

pub(crate) async fn a_command_id_with_another_body_is_refused(store: Arc<dyn EventStore>) {
    let workspace = open_workspace(&*store, 1).await;
    let sent = one(workspace, "order-1", Expected::Any);
    let mut other = one(workspace, "order-2", Expected::Any);
    other.metadata.command_id = sent.metadata.command_id;
    other.body_digest = [8; 32];
    let (first, second) = tokio::join!(store.append(sent.clone()), store.append(other.clone()));
    let refused = [first, second]
        .into_iter()
        .filter_map(Result::err)
        .collect::<Vec<_>>();
    assert!(
        matches!(refused.as_slice(), [AppendError::CommandReused(used)] if *used == sent.metadata.command_id)
    );
    assert_eq!(checked_partition(&*store, workspace, 0).await.len(), 1);
    // the same id in another workspace is another command
    let elsewhere = open_workspace(&*store, 1).await;
    other.workspace = elsewhere;
    store.append(other).await.unwrap();
}

pub(crate) async fn an_unknown_workspace_is_named(store: Arc<dyn EventStore>) {
    let existing = open_workspace(&*store, 1).await;
    let unknown = domain::id::WorkspaceId(id());
    let (refused, accepted) = tokio::join!(
        store.append(one(unknown, "order-1", Expected::Any)),
        store.append(one(existing, "order-1", Expected::Any)),
    );
    assert!(matches!(refused, Err(AppendError::UnknownWorkspace(named)) if named == unknown));
    accepted.unwrap();
    assert!(store.workspace(unknown).await.unwrap().is_none());
    let events = store
        .read_stream(unknown, &name("order-1"), 1, Direction::Forwards, 10)
        .await
        .unwrap();
    assert!(events.is_empty());
}
