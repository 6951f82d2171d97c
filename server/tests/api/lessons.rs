//! `GET /lab/lessons`, `POST /lab/lessons/{name}/runs`, `/lab/runs` and their steps. Every lesson is walked
//! from its first step to its last, as a learner does: everything that it claims has to come true.

use domain::{
    access::Role,
    lesson::{self, LESSONS, QuestionOutline, StepOutline},
};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use teaching::{lesson::Question, lessons, runs::MOST_LIVE_RUNS};

use crate::{
    app::{Person, TestApp, fields, problem},
    dead_letters::get,
};

const RUNS: &str = "/api/v1/lab/runs";

/// A lesson with a few quick steps.
const LESSON: &str = "projection_lag";

/// A test of each lesson by its name, and the list of these names.
macro_rules! each_lesson {
    ($($name:ident,)+) => {
        /// The lessons that are walked.
        const WALKED: &[&str] = &[$(stringify!($name)),+];

        mod comes_true_from_its_first_step_to_its_last {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::walk(stringify!($name)).await;
                }
            )+
        }
    };
}

each_lesson! {
    happy_path,
    projection_lag,
    read_your_writes,
    last_item,
    last_item_unchecked,
    duplicate_delivery,
    duplicates_counted,
    out_of_order,
    crashed_worker,
    poison_event,
    idempotency_key,
    payment_fails,
    payment_times_out,
    deadline,
    rebuild,
    own_view,
    old_version,
    cache_stampede,
    burst,
    tampering,
}

#[test]
fn every_lesson_is_walked() {
    let outlined: Vec<_> = LESSONS.iter().map(|lesson| lesson.name).collect();
    assert_eq!(WALKED, outlined, "a lesson has its line in `each_lesson!`");
}

async fn post(app: &TestApp, person: &Person, path: &str, body: &Value) -> Response {
    let request = app.post(path, body).bearer_auth(&person.token);
    request.send().await.unwrap()
}

async fn start(app: &TestApp, person: &Person, lesson: &str) -> Value {
    let path = format!("/api/v1/lab/lessons/{lesson}/runs");
    let response = app.request(Method::POST, &path).bearer_auth(&person.token);
    let response = response.send().await.unwrap();
    let status = response.status();
    let run: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{run}");
    run
}

fn path_of(run: &Value) -> String {
    format!("{RUNS}/{}", run["id"].as_str().unwrap())
}

/// Sends a phase of a step, counted from 1.
async fn try_step(app: &TestApp, person: &Person, run: &Value, n: usize, phase: &Value) -> Response {
    post(app, person, &format!("{}/steps/{n}", path_of(run)), phase).await
}

/// The same, which has to be accepted; the step.
async fn step(app: &TestApp, person: &Person, run: &Value, n: usize, phase: &Value) -> Value {
    let response = try_step(app, person, run, n, phase).await;
    let status = response.status();
    let step: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{phase} of step {n}: {step}");
    assert_eq!(step["n"], json!(n));
    step
}

fn act() -> Value {
    json!({"act": {}})
}

fn reveal() -> Value {
    json!({"reveal": {}})
}

fn choose(choice: u8) -> Value {
    json!({"predict": {"choice": choice}})
}

/// Nothing of a step tells the right answer yet.
fn tells_nothing(step: &Value) {
    for absent in ["answer", "right"] {
        assert!(step.get(absent).is_none(), "{step}");
    }
    for empty in ["expectations", "evidence"] {
        assert_eq!(step[empty], json!([]), "{step}");
    }
}

/// Every expectation of a step holds, and what has acted has evidence.
fn comes_true(lesson: &str, outline: &StepOutline, step: &Value) {
    assert_eq!(step["revealed"], true, "{lesson}: {step}");
    for expectation in step["expectations"].as_array().unwrap() {
        assert_eq!(expectation["holds"], true, "{lesson} {}: {step:#}", outline.name);
    }
    assert_eq!(step.get("answer").is_some(), outline.question.is_some(), "{step}");
    if outline.acts {
        assert_eq!(step["acted"], true, "{lesson}: {step}");
        assert!(
            !step["evidence"].as_array().unwrap().is_empty(),
            "{lesson}: {step}"
        );
    }
}

/// A prediction that is not right, where the right answer is known before the run.
fn wrong(question: Option<Question>) -> Value {
    match question {
        Some(Question::Choice { right: 1 }) => json!({"choice": 2}),
        Some(Question::Number { .. }) => json!({"number": -1_000_000}),
        _ => json!({"choice": 1}),
    }
}

/// Walks a run with these predictions, one a step; what is revealed of each step.
async fn walked(app: &TestApp, person: &Person, lesson: &str, predictions: &[Value]) -> Vec<Value> {
    let outline = lesson::find(lesson).unwrap();
    let run = start(app, person, lesson).await;
    let mut revealed = Vec::new();
    for ((n, outline), prediction) in (1..).zip(outline.steps).zip(predictions) {
        if outline.question.is_some() {
            let predicted = step(app, person, &run, n, &json!({"predict": prediction})).await;
            assert_eq!(&predicted["predicted"], prediction);
            tells_nothing(&predicted);
        }
        if outline.acts {
            let acted = step(app, person, &run, n, &act()).await;
            assert_eq!(acted["acted"], true, "{lesson} {}: {acted:#}", outline.name);
            if outline.question.is_some() {
                tells_nothing(&acted);
            }
        }
        let shown = step(app, person, &run, n, &reveal()).await;
        comes_true(lesson, outline, &shown);
        revealed.push(shown);
    }
    let done = get(app, person, &path_of(&run)).await;
    assert_eq!(done["step"], json!(outline.steps.len() + 1), "{done}");
    assert_eq!(done["steps"], json!(revealed), "it is kept as it was shown");
    revealed
}

async fn walk(lesson: &str) {
    // Some lessons look at the arrows that queries cross.
    telemetry::hops::install_for_tests();
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let student = app.student(&educator.join_code).await;
    let questions = lessons::find(lesson)
        .unwrap()
        .steps
        .iter()
        .map(|step| step.question);
    let questions: Vec<_> = questions.collect();

    let predictions: Vec<_> = questions.iter().map(|question| wrong(*question)).collect();
    let first = walked(&app, &student, lesson, &predictions).await;
    for (question, step) in questions.iter().zip(&first) {
        if matches!(question, Some(Question::Choice { .. } | Question::Number { .. })) {
            assert_eq!(step["right"], false, "{step}");
        }
    }

    let answers: Vec<_> = first.iter().map(|step| step["answer"].clone()).collect();
    let second = walked(&app, &student, lesson, &answers).await;
    for ((question, step), before) in questions.iter().zip(&second).zip(&first) {
        if matches!(question, Some(Question::Choice { .. })) {
            assert_eq!(step["answer"], before["answer"], "{step}");
        }
        if question.is_some() && step["answer"] == before["answer"] {
            assert_eq!(step["right"], true, "{step}");
        }
    }
    let runs = get(&app, &student, RUNS).await;
    let asked = questions.iter().flatten().count();
    for run in runs["data"].as_array().unwrap() {
        assert_eq!((&run["lesson"], &run["done"]), (&json!(lesson), &json!(true)));
        assert_eq!(run["answered"], json!(asked), "{run}");
    }
    app.stop().await;
}

#[tokio::test]
async fn the_lessons_are_listed_in_order_with_what_they_ask_and_without_what_is_right() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let answer = get(&app, &educator, "/api/v1/lab/lessons").await;
    let listed = answer["data"].as_array().unwrap();
    assert_eq!(listed.len(), LESSONS.len());
    assert!(!answer.to_string().contains("right"), "{answer}");
    for (info, outline) in listed.iter().zip(LESSONS) {
        assert_eq!(info["name"], outline.name);
        assert_eq!(info["number"], json!(outline.number));
        assert_eq!(info["path"], outline.path.as_str());
        for (step, outline) in info["steps"].as_array().unwrap().iter().zip(outline.steps) {
            let question = match outline.question {
                None => Value::Null,
                Some(QuestionOutline::Choices(choices)) => json!({"choices": choices}),
                Some(QuestionOutline::Number) => json!({"number": true}),
            };
            assert_eq!(
                (&step["name"], &step["question"]),
                (&json!(outline.name), &question)
            );
        }
    }
    let response = app
        .request(Method::POST, "/api/v1/lab/lessons/no_such_lesson/runs")
        .bearer_auth(&educator.token);
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phase_comes_in_its_turn_once_and_is_answered_again_as_it_was() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let run = start(&app, &educator, LESSON).await;
    assert_eq!((&run["step"], &run["ended"]), (&json!(1), &json!(false)));
    assert_ne!(run["workspace"], json!(educator.workspace.to_string()));

    for (n, phase, due) in [
        (1, act(), "`predict` of step 1"),
        (1, reveal(), "`predict` of step 1"),
        (2, choose(1), "`predict` of step 1"),
    ] {
        let response = try_step(&app, &educator, &run, n, &phase).await;
        assert_eq!(response.status(), StatusCode::CONFLICT, "{phase}");
        let problem = problem(response).await;
        assert_eq!(problem.kind, "/problems/out-of-turn");
        assert!(problem.detail.contains(due), "{}", problem.detail);
    }
    let predicted = step(&app, &educator, &run, 1, &choose(1)).await;
    let another = step(&app, &educator, &run, 1, &choose(2)).await;
    assert_eq!(another, predicted, "the first prediction stands");
    let acted = step(&app, &educator, &run, 1, &act()).await;
    assert_eq!(step(&app, &educator, &run, 1, &act()).await, acted);
    let revealed = step(&app, &educator, &run, 1, &reveal()).await;
    assert_eq!(revealed["right"], false);
    for phase in [choose(3), act(), reveal()] {
        assert_eq!(step(&app, &educator, &run, 1, &phase).await, revealed, "{phase}");
    }

    for (n, phase, status) in [
        (2, json!({"predict": {"choice": 0}}), 400),
        (2, json!({"predict": {"choice": 4}}), 400),
        (2, json!({"predict": {"number": 1}}), 400),
        (2, json!({"predict": {"choice": 1}, "act": {}}), 400),
        (2, json!({"predict": {}}), 400),
        (2, json!({"act": {"again": true}}), 400),
        (2, json!({"answer": {}}), 400),
        (2, json!({}), 400),
        (0, act(), 404),
        (99, act(), 404),
        (256, act(), 404),
    ] {
        let response = try_step(&app, &educator, &run, n, &phase).await;
        assert_eq!(response.status().as_u16(), status, "{phase} of {n}");
    }
    let refused = try_step(&app, &educator, &run, 2, &json!({"predict": {"choice": 4}})).await;
    assert_eq!(fields(&problem(refused).await), ["predict"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_after_a_restart_as_it_was() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let run = start(&app, &educator, LESSON).await;
    step(&app, &educator, &run, 1, &choose(2)).await;
    step(&app, &educator, &run, 1, &act()).await;
    let before = get(&app, &educator, &path_of(&run)).await;

    let app = app.restart().await;
    assert_eq!(get(&app, &educator, &path_of(&run)).await, before);
    let revealed = step(&app, &educator, &run, 1, &reveal()).await;
    assert_eq!(revealed["right"], true, "{revealed}");
    // what the first step remembers is known to the second, and its dial still holds
    step(&app, &educator, &run, 2, &choose(2)).await;
    step(&app, &educator, &run, 2, &act()).await;
    let revealed = step(&app, &educator, &run, 2, &reveal()).await;
    assert_eq!(revealed["right"], true, "{revealed:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_its_persons_and_an_educator_looks_at_it() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let (ada, grace) = (
        app.student(&educator.join_code).await,
        app.student(&educator.join_code).await,
    );
    let run = start(&app, &ada, LESSON).await;
    let elsewhere = app.educator().await;
    for stranger in [&grace, &elsewhere] {
        for method in [Method::GET, Method::DELETE] {
            let request = app.request(method, &path_of(&run)).bearer_auth(&stranger.token);
            assert_eq!(request.send().await.unwrap().status(), StatusCode::NOT_FOUND);
        }
        let response = try_step(&app, stranger, &run, 1, &choose(1)).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(get(&app, stranger, RUNS).await["data"], json!([]));
    }
    for role in [Role::Customer, Role::Staff] {
        let other = app.with_role(&educator, role);
        let response = try_step(&app, &other, &run, 1, &choose(1)).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(get(&app, &educator, &path_of(&run)).await["id"], run["id"]);
    let response = try_step(&app, &educator, &run, 1, &choose(1)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let all = get(&app, &educator, &format!("{RUNS}?of=workspace")).await;
    assert_eq!(all["data"][0]["id"], run["id"]);
    let of_others = app.get(&format!("{RUNS}?of=workspace")).bearer_auth(&ada.token);
    assert_eq!(of_others.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

/// Whether a workspace can be joined by its code.
async fn can_be_joined(app: &TestApp, run: &Value) -> bool {
    let body = json!({"code": run["join_code"], "display_name": "Ada"});
    let joined = app.post("/api/v1/workspaces/join", &body).send().await.unwrap();
    joined.status() == StatusCode::OK
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_of_many_runs_ends_with_its_sandbox_and_a_deleted_one_too() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let mut runs = Vec::new();
    for _ in 0..=MOST_LIVE_RUNS {
        runs.push(start(&app, &educator, LESSON).await);
    }
    assert!(!can_be_joined(&app, &runs[0]).await);
    let ended = get(&app, &educator, &path_of(&runs[0])).await;
    assert_eq!(ended["ended"], true, "it can be looked at");
    let response = try_step(&app, &educator, &runs[0], 1, &choose(1)).await;
    assert_eq!(response.status(), StatusCode::GONE);
    assert_eq!(problem(response).await.kind, "/problems/run-ended");

    let path = path_of(&runs[1]);
    assert!(can_be_joined(&app, &runs[1]).await);
    let deleted = app.request(Method::DELETE, &path).bearer_auth(&educator.token);
    assert_eq!(deleted.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert!(!can_be_joined(&app, &runs[1]).await);
    let again = app.request(Method::DELETE, &path).bearer_auth(&educator.token);
    assert_eq!(again.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_sandbox_was_purged_says_so_and_the_class_takes_its_sandboxes_with_it() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let run = start(&app, &educator, LESSON).await;
    let sandbox: domain::id::WorkspaceId = run["workspace"].as_str().unwrap().parse().unwrap();
    // the educator of the sandbox, as the server's own key signs it
    let of_sandbox = Person {
        workspace: sandbox,
        ..educator.clone()
    };
    let of_sandbox = app.with_role(&of_sandbox, Role::Educator);
    let purge = format!("/api/v1/workspace?confirm={sandbox}");
    let purged = app.request(Method::DELETE, &purge).bearer_auth(&of_sandbox.token);
    assert_eq!(purged.send().await.unwrap().status(), StatusCode::ACCEPTED);
    step(&app, &educator, &run, 1, &choose(1)).await;
    let response = try_step(&app, &educator, &run, 1, &act()).await;
    assert_eq!(response.status(), StatusCode::GONE);
    assert_eq!(get(&app, &educator, &path_of(&run)).await["ended"], true);

    let run = start(&app, &educator, LESSON).await;
    assert!(can_be_joined(&app, &run).await);
    let purge = format!("/api/v1/workspace?confirm={}", educator.workspace);
    let purged = app.request(Method::DELETE, &purge).bearer_auth(&educator.token);
    assert_eq!(purged.send().await.unwrap().status(), StatusCode::ACCEPTED);
    assert!(!can_be_joined(&app, &run).await);
    app.swept().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starting_lessons_is_limited_as_opening_workspaces_is_and_their_steps_use_none_of_it() {
    let app = TestApp::start_with(&["--requests-per-minute", "400"]).await;
    let educator = app.educator().await;
    let run = start(&app, &educator, LESSON).await;
    // more calls than a person may send in a minute would be counted against the learner
    step(&app, &educator, &run, 1, &choose(2)).await;
    step(&app, &educator, &run, 1, &act()).await;
    let path = format!("/api/v1/lab/lessons/{LESSON}/runs");
    let mut refused = None;
    for _ in 0..20 {
        let request = app.request(Method::POST, &path).bearer_auth(&educator.token);
        let response = request.send().await.unwrap();
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(response);
            break;
        }
        assert_eq!(response.status(), StatusCode::CREATED);
    }
    assert_eq!(problem(refused.unwrap()).await.kind, "/problems/rate-limited");
}
