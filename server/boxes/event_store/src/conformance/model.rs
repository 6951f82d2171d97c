//! Random concurrent appends, compared with a small model.

use std::{collections::HashMap, sync::Arc};

use domain::{id::WorkspaceId, token::ConsistencyToken};
use futures::future::join_all;
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use uuid::Uuid;

use super::{
    super::{Append, AppendAnswer, AppendError, Direction, EventFilter, EventStore, Expected},
    append, checked_partition, event, id, name, open_workspace, part,
};

/// How many random histories.
const HISTORIES: usize = 40;

/// An append that often collides with others.
#[derive(Debug, Clone)]
struct Step {
    parts: Vec<(u8, Expected, u8)>,
    /// One of few ids and of fewer bodies, so that some are repeated and some do not match.
    command: u8,
    body: u8,
    unknown_workspace: bool,
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let expected = prop_oneof![
        3 => Just(Expected::Any),
        1 => Just(Expected::NoStream),
        1 => Just(Expected::StreamExists),
        3 => (0_u64..6).prop_map(Expected::Exact),
    ];
    let parts = prop::collection::vec((0_u8..5, expected, 0_u8..4), 1..4).prop_map(|mut parts| {
        parts.sort_by_key(|(stream, ..)| *stream);
        parts.dedup_by_key(|(stream, ..)| *stream);
        parts
    });
    let step = (parts, 0_u8..60, 0_u8..12, 0_u8..20).prop_map(|(parts, command, body, unknown)| Step {
        parts,
        command,
        body: body / 11,
        unknown_workspace: unknown == 0,
    });
    prop::collection::vec(prop::collection::vec(step, 1..24), 1..6)
}

/// A model of the store: streams of event ids, and the answers so far.
#[derive(Default)]
struct Model {
    streams: HashMap<String, Vec<Uuid>>,
    answers: HashMap<Uuid, ([u8; 32], AppendAnswer)>,
    events: usize,
}

impl Model {
    /// Checks that the store's answer is the one that this append must get after the previous ones.
    fn step(&mut self, sent: &Append, result: &Result<AppendAnswer, AppendError>) {
        if let Some((digest, answer)) = self.answers.get(&sent.metadata.command_id) {
            if *digest == sent.body_digest {
                assert_eq!(
                    result.as_ref().unwrap(),
                    answer,
                    "a repetition is answered as the first time"
                );
            } else {
                assert!(matches!(result, Err(AppendError::CommandReused(_))), "{result:?}");
            }
            return;
        }
        for part in &sent.streams {
            let version = self.streams.get(part.stream.as_str()).map_or(0, Vec::len) as u64;
            if !part.expected.is_met_by(version) {
                let conflict = matches!(result, Err(AppendError::Conflict { stream, current })
                    if *stream == part.stream && *current == version);
                assert!(
                    conflict,
                    "{:?} at {version} was answered {result:?}",
                    part.expected
                );
                return;
            }
        }
        let answer = result.as_ref().unwrap();
        for (part, appended) in sent.streams.iter().zip(&answer.streams) {
            let stream = self.streams.entry(part.stream.to_string()).or_default();
            stream.extend(part.events.iter().map(|event| event.event_id));
            self.events += part.events.len();
            assert_eq!(appended.version, stream.len() as u64);
            assert!(
                appended
                    .events
                    .iter()
                    .map(|event| event.event_id)
                    .eq(part.events.iter().map(|e| e.event_id))
            );
        }
        self.answers
            .insert(sent.metadata.command_id, (sent.body_digest, answer.clone()));
    }
}

/// Appends that are sent at once are validated in the order of sending, independently of their groups.
pub(crate) async fn concurrent_appends_behave_like_the_model(store: Arc<dyn EventStore>) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..HISTORIES {
        let history = steps().new_tree(&mut runner).unwrap().current();
        history_behaves_like_the_model(&*store, &history).await;
    }
}

async fn history_behaves_like_the_model(store: &dyn EventStore, history: &[Vec<Step>]) {
    let workspace = open_workspace(store, 3).await;
    let commands: Vec<Uuid> = (0..60).map(|_| id()).collect();
    let mut model = Model::default();
    for batch in history {
        let appends: Vec<_> = batch
            .iter()
            .map(|step| to_append(workspace, step, &commands))
            .collect();
        let results = join_all(appends.iter().map(|append| store.append(append.clone()))).await;
        for (append, result) in appends.iter().zip(&results) {
            if append.workspace == workspace {
                model.step(append, result);
            } else {
                assert!(
                    matches!(result, Err(AppendError::UnknownWorkspace(_))),
                    "{result:?}"
                );
            }
        }
    }
    for (stream, ids) in &model.streams {
        let events = store
            .read_stream(workspace, &name(stream), 1, Direction::Forwards, 1000)
            .await
            .unwrap();
        assert!(
            events.iter().map(|event| &event.event_id).eq(ids),
            "{stream} holds what was accepted"
        );
    }
    let mut total = 0;
    for partition in 0..3 {
        total += checked_partition(store, workspace, partition).await.len();
    }
    assert_eq!(total, model.events);
    let token = ConsistencyToken::default();
    let (events, token) = store
        .read_events(workspace, &EventFilter::default(), &token, 10_000)
        .await
        .unwrap();
    assert_eq!(
        (events.len(), token),
        (total, store.head(workspace).await.unwrap())
    );
}

fn to_append(workspace: WorkspaceId, step: &Step, commands: &[Uuid]) -> Append {
    let streams = step.parts.iter().map(|(stream, expected, events)| {
        part(
            &format!("order-{stream}"),
            *expected,
            (0..*events).map(|n| event(u64::from(n))).collect(),
        )
    });
    let mut append = append(workspace, streams.collect());
    append.metadata.command_id = commands[usize::from(step.command)];
    append.body_digest = [step.body; 32];
    if step.unknown_workspace {
        append.workspace = WorkspaceId(id());
    }
    append
}
