//! What is stored of a run, on a real store, with an API that answers as a test tells it to.

use std::{
    path::Path,
    sync::atomic::{AtomicU16, Ordering},
};

use async_trait::async_trait;
use clock::{Clock as _, SystemClock};
use documents::sqlite::SqliteDocumentStore;
use domain::wire::{LessonAnswer, NoDetails};

use super::*;
use crate::api::{Answer, Call};

const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
const ACT: StepPhase = StepPhase::Act(NoDetails {});

/// Opens sandboxes, and answers everything else with a status.
#[derive(Debug)]
struct ToldApi {
    status: AtomicU16,
    purged: Mutex<Vec<String>>,
}

#[async_trait]
impl Api for ToldApi {
    async fn call(&self, call: Call) -> Answer {
        let status = self.status.load(Ordering::Relaxed);
        let sandbox = SystemClock.new_id();
        let (status, body) = match (call.method, call.path.as_str()) {
            (Method::Post, "/api/v1/workspaces") => {
                let body = json!({
                    "workspace": sandbox, "join_code": "ABCDEF", "token": "t", "expires_in": 60,
                });
                (200, body)
            }
            (Method::Get, "/api/v1/session") if status != 410 => {
                let body = json!({
                    "workspace": sandbox, "workspace_name": "Lesson", "join_code": "ABCDEF",
                    "actor_id": sandbox, "display_name": "Educator", "role": "educator",
                });
                (200, body)
            }
            (Method::Delete, path) if path.starts_with("/api/v1/workspace?confirm=") => {
                let mut purged = self.purged.lock().unwrap();
                purged.push(path.to_owned());
                (202, json!({}))
            }
            _ => (status, json!({})),
        };
        Answer {
            status,
            headers: Vec::new(),
            body: serde_json::to_vec(&body).unwrap(),
        }
    }
}

async fn store(folder: &Path) -> Arc<dyn DocumentStore> {
    let file = folder.join("processes.db");
    Arc::new(SqliteDocumentStore::open(&file).await.unwrap())
}

fn told(status: u16) -> Arc<ToldApi> {
    Arc::new(ToldApi {
        status: AtomicU16::new(status),
        purged: Mutex::default(),
    })
}

fn lessons(api: &Arc<ToldApi>, store: &Arc<dyn DocumentStore>) -> Arc<Lessons> {
    let api = Arc::clone(api) as Arc<dyn Api>;
    Lessons::new(api, Arc::clone(store), Arc::new(SystemClock))
}

fn learner(n: u128, role: Role) -> Learner {
    Learner {
        workspace: CLASS,
        actor: Actor {
            id: Uuid::from_u128(n),
            role,
            name: "Ada".to_owned(),
        },
    }
}

async fn started(lessons: &Lessons, learner: &Learner) -> LessonRun {
    lessons
        .start(learner, "read_your_writes", Language::En)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_act_that_fails_says_why_and_may_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (api, store) = (told(503), store(folder.path()).await);
    let (lessons, ada) = (lessons(&api, &store), learner(2, Role::Student));
    let run = started(&lessons, &ada).await;
    let predict = StepPhase::Predict(LessonAnswer::Choice(2));
    lessons.step(&ada, run.id, 1, predict).await.unwrap();
    for _ in 0..2 {
        let step = lessons.step(&ada, run.id, 1, ACT).await.unwrap();
        assert!(!step.acted, "{step:?}");
        assert!(step.failure.unwrap().contains("503"));
    }
    let stored = lessons.read(&ada, run.id).await.unwrap();
    assert!(stored.steps[0].failure.is_some() && !stored.ended);
    assert_eq!(stored.steps[0].predicted, Some(LessonAnswer::Choice(2)));

    api.status.store(410, Ordering::Relaxed);
    let refused = lessons.step(&ada, run.id, 1, ACT).await;
    assert!(matches!(refused, Err(LessonError::Ended)), "{refused:?}");
    assert!(lessons.read(&ada, run.id).await.unwrap().ended);
}

#[tokio::test]
async fn the_oldest_run_of_a_person_ends_for_another_and_the_oldest_of_all_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (api, store) = (told(200), store(folder.path()).await);
    let lessons = lessons(&api, &store);
    let (ada, grace) = (learner(2, Role::Student), learner(3, Role::Student));
    let of_grace = started(&lessons, &grace).await;
    let mut runs = Vec::new();
    for _ in 0..=MOST_RUNS {
        runs.push(started(&lessons, &ada).await);
    }
    let listed = lessons.list(&ada).await.unwrap();
    assert_eq!(listed.len(), MOST_RUNS);
    assert_eq!(listed.iter().filter(|run| !run.ended).count(), MOST_LIVE_RUNS);
    let newest = runs.iter().rev().take(MOST_LIVE_RUNS).map(|run| run.id);
    for id in newest {
        assert!(!lessons.read(&ada, id).await.unwrap().ended);
    }
    let forgotten = lessons.read(&ada, runs[0].id).await;
    assert!(matches!(forgotten, Err(LessonError::UnknownRun)));
    let purged = api.purged.lock().unwrap().clone();
    assert_eq!(purged.len(), runs.len() - MOST_LIVE_RUNS, "each sandbox once");
    assert!(purged[0].ends_with(&runs[0].workspace.to_string()));
    assert!(!lessons.read(&grace, of_grace.id).await.unwrap().ended);
    assert_eq!(lessons.list_all(CLASS).await.unwrap().len(), MOST_RUNS + 1);
}

#[tokio::test]
async fn the_sandboxes_of_a_workspace_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (api, store) = (told(200), store(folder.path()).await);
    let lessons = lessons(&api, &store);
    let runs = [
        started(&lessons, &learner(2, Role::Student)).await,
        started(&lessons, &learner(3, Role::Educator)).await,
    ];
    lessons.end_workspace(CLASS).await;
    let mut purged = api.purged.lock().unwrap().clone();
    let mut expected = runs.map(|run| format!("/api/v1/workspace?confirm={}", run.workspace));
    purged.sort();
    expected.sort();
    assert_eq!(purged, expected);
}

#[tokio::test]
async fn a_run_belongs_to_its_person_and_educators_look_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let (api, store) = (told(200), store(folder.path()).await);
    let lessons = lessons(&api, &store);
    let (ada, grace) = (learner(2, Role::Student), learner(3, Role::Student));
    let educator = learner(4, Role::Educator);
    let elsewhere = Learner {
        workspace: WorkspaceId(Uuid::from_u128(9)),
        ..educator.clone()
    };
    let run = started(&lessons, &ada).await;
    let predict = StepPhase::Predict(LessonAnswer::Choice(2));
    for stranger in [&grace, &elsewhere] {
        let read = lessons.read(stranger, run.id).await;
        assert!(matches!(read, Err(LessonError::UnknownRun)), "{read:?}");
        let step = lessons.step(stranger, run.id, 1, predict).await;
        assert!(matches!(step, Err(LessonError::UnknownRun)), "{step:?}");
        let ended = lessons.end(stranger, run.id).await;
        assert!(matches!(ended, Err(LessonError::UnknownRun)), "{ended:?}");
    }
    assert_eq!(
        lessons.read(&educator, run.id).await.unwrap().person,
        ada.actor.id
    );
    let step = lessons.step(&educator, run.id, 1, predict).await;
    assert!(matches!(step, Err(LessonError::Foreign)), "{step:?}");
    lessons.end(&educator, run.id).await.unwrap();
    assert!(lessons.list(&ada).await.unwrap().is_empty());
    assert_eq!(api.purged.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn two_requests_at_once_are_carried_out_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (api, store) = (told(503), store(folder.path()).await);
    let (lessons, ada) = (lessons(&api, &store), learner(2, Role::Student));
    let run = started(&lessons, &ada).await;
    let [one, two] = [1, 2].map(|choice| StepPhase::Predict(LessonAnswer::Choice(choice)));
    let (one, two) = tokio::join!(
        lessons.step(&ada, run.id, 1, one),
        lessons.step(&ada, run.id, 1, two)
    );
    // the second is answered with what the first has predicted
    assert_eq!(one.unwrap().predicted, two.unwrap().predicted);
}
