//! The pages of lessons: they show the steps of a run that its learner has come to, as they were recorded, to
//! those who may read it, and nothing of a step before its time.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Person, TestApp};

const PAGE: &str = "/lab/lessons/happy_path";

/// The beginning of what the second step reveals.
const REVEALED: &str = "One event was added to the stream of the order";

/// A page, for a person.
async fn page(app: &TestApp, person: &Person, path: &str) -> (StatusCode, String) {
    let cookie = format!("foldline_session={}", person.token);
    let response = app.get(path).header("cookie", cookie).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// The page of the lesson as a person has it.
async fn lesson(app: &TestApp, person: &Person) -> String {
    let (status, html) = page(app, person, PAGE).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    html
}

/// Begins a run; its id.
async fn begin(app: &TestApp, person: &Person) -> String {
    let request = app.request(Method::POST, "/api/v1/lab/lessons/happy_path/runs");
    let response = request.bearer_auth(&person.token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let run: Value = response.json().await.unwrap();
    run["id"].as_str().unwrap().to_owned()
}

/// Does a phase of a step of a run.
async fn step(app: &TestApp, person: &Person, run: &str, n: u8, phase: Value) {
    let request = app.post(&format!("/api/v1/lab/runs/{run}/steps/{n}"), &phase);
    let response = request.bearer_auth(&person.token).send().await.unwrap();
    let status = response.status();
    assert_eq!(
        status,
        StatusCode::OK,
        "{phase}: {}",
        response.text().await.unwrap()
    );
}

/// Whether a page has the section of a step.
fn has_step(html: &str, name: &str) -> bool {
    html.split("<section").any(|section| {
        let tag = section.split('>').next().unwrap_or_default();
        tag.contains("lesson__step") && tag.contains(&format!("id=\"{name}\""))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lesson_shows_the_steps_that_its_learner_has_come_to_as_the_run_recorded_them() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let ada = app.student(&educator.join_code).await;
    let before = lesson(&app, &ada).await;
    assert!(
        before.contains("data-phase=\"start\"") && !has_step(&before, "shop"),
        "{before}"
    );

    let run = begin(&app, &ada).await;
    let begun = lesson(&app, &ada).await;
    assert!(has_step(&begun, "shop") && !has_step(&begun, "place"), "{begun}");
    step(&app, &ada, &run, 1, json!({"reveal": {}})).await;
    let asked = lesson(&app, &ada).await;
    assert!(
        has_step(&asked, "place") && !has_step(&asked, "follow"),
        "{asked}"
    );
    assert!(asked.contains("data-phase=\"predict\""), "{asked}");

    step(&app, &ada, &run, 2, json!({"predict": {"choice": 1}})).await;
    step(&app, &ada, &run, 2, json!({"act": {}})).await;
    let acted = lesson(&app, &ada).await;
    assert!(acted.contains("data-chosen"), "the prediction is locked: {acted}");
    assert!(!acted.contains("data-phase=\"predict\""), "{acted}");
    for early in [
        "data-answer",
        "data-right",
        "data-result",
        "data-evidence",
        REVEALED,
    ] {
        assert!(
            !acted.contains(early),
            "{early} is shown before the reveal: {acted}"
        );
    }

    step(&app, &ada, &run, 2, json!({"reveal": {}})).await;
    let revealed = lesson(&app, &ada).await;
    for shown in [
        "data-answer=\"2\"",
        "data-result=\"wrong\"",
        "data-evidence=\"event\"",
        "OrderCreated",
        "href=\"/lab/glossary#domain_event\"",
        REVEALED,
    ] {
        assert!(revealed.contains(shown), "{shown} is missing: {revealed}");
    }
    assert!(has_step(&revealed, "follow"), "{revealed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_of_another_person_is_read_by_an_educator_alone() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let (ada, eve) = (
        app.student(&educator.join_code).await,
        app.student(&educator.join_code).await,
    );
    let run = begin(&app, &ada).await;
    let path = format!("{PAGE}?run={run}");
    let (status, html) = page(&app, &educator, &path).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    assert!(
        has_step(&html, "shop") && html.contains("the run of another person"),
        "{html}"
    );
    assert!(!html.contains("data-phase"), "{html}");
    let (status, html) = page(&app, &eve, &path).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{html}");
    let stranger = app.educator().await;
    let (status, html) = page(&app, &stranger, &path).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{html}");
    for unknown in [
        format!("{PAGE}?run=no-id"),
        format!("/lab/lessons/deadline?run={run}"),
        "/lab/lessons/no_such_lesson".to_owned(),
    ] {
        let (status, _) = page(&app, &ada, &unknown).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{unknown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_says_how_far_a_person_is_with_each_lesson() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let ada = app.student(&educator.join_code).await;
    let state = |html: &str| {
        let (_, card) = html.split_once("data-lesson=\"happy_path\"").unwrap();
        let (_, state) = card.split_once("data-state=\"").unwrap();
        state.split('"').next().unwrap().to_owned()
    };
    let (status, list) = page(&app, &ada, "/lab/lessons").await;
    assert_eq!((status, state(&list).as_str()), (StatusCode::OK, "new"));
    let run = begin(&app, &ada).await;
    step(&app, &ada, &run, 1, json!({"reveal": {}})).await;
    let (_, list) = page(&app, &ada, "/lab/lessons").await;
    assert_eq!(state(&list), "begun");
    assert!(list.contains("step 2 of 5"), "{list}");
    let (_, of_the_educator) = page(&app, &educator, "/lab/lessons").await;
    assert_eq!(state(&of_the_educator), "new");
}
