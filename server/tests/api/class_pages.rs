//! The pages of the class, and the words of the questions that they show.

use clock::{Clock as _, SystemClock};
use domain::{
    access::Role,
    lesson::{LESSONS, LessonOutline, QuestionOutline, StepOutline},
};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Person, TestApp, fields, person, problem};

const WORDS: &str = "/api/v1/lab/class/words";

/// Asks the class, and waits until the view has the question.
async fn ask(app: &TestApp, educator: &Person, data: &Value) -> Uuid {
    let question = SystemClock.new_id();
    let command = json!({"type": "AskQuestion", "stream": format!("question-{question}"), "data": data});
    let token = app.command(educator, &command).await["token"].clone();
    let folded = format!(
        "/api/v1/views/predictions/{question}?after={}",
        token.as_str().unwrap()
    );
    let folded = app
        .get(&folded)
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap();
    folded.error_for_status().unwrap();
    question
}

/// Puts a question before the class.
async fn show(app: &TestApp, educator: &Person, question: Uuid) {
    let request = app.request(Method::PUT, "/api/v1/lab/class");
    let request = request.bearer_auth(&educator.token).header("if-match", "*");
    let response = request.json(&json!({"question": question})).send().await.unwrap();
    response.error_for_status().unwrap();
}

async fn get(app: &TestApp, person: &Person, path: &str) -> Response {
    app.get(path).bearer_auth(&person.token).send().await.unwrap()
}

/// Reads the class: so it begins when an educator does, and another person is seen.
async fn begin(app: &TestApp, person: &Person) {
    let response = get(app, person, "/api/v1/lab/class").await;
    response.error_for_status().unwrap();
}

async fn words(app: &TestApp, person: &Person, question: Uuid, language: &str) -> Value {
    let path = format!("{WORDS}?question={question}&lang={language}");
    let response = get(app, person, &path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.unwrap()
}

async fn page_of(app: &TestApp, person: &Person, path: &str) -> (StatusCode, String) {
    let cookie = format!("foldline_session={}", person.token);
    let response = app.get(path).header("cookie", cookie).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// The first step of a lesson that asks for one of some answers.
fn asking_step() -> (&'static LessonOutline, &'static StepOutline, u8) {
    let steps = LESSONS
        .iter()
        .flat_map(|lesson| lesson.steps.iter().map(move |step| (lesson, step)));
    let mut asking = steps.filter_map(|(lesson, step)| match step.question {
        Some(QuestionOutline::Choices(choices)) => Some((lesson, step, choices)),
        Some(QuestionOutline::Number) | None => None,
    });
    asking.next().unwrap()
}

fn own_question() -> Value {
    json!({"text": "How many of the two get the last lamp?", "choices": 2, "labels": ["Only one", "Both"]})
}

#[tokio::test]
async fn a_question_has_the_educators_words_or_those_of_its_lesson_in_the_readers_language() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let own = ask(&app, &educator, &own_question()).await;
    let (lesson, step, choices) = asking_step();
    let of_lesson = json!({"lesson": lesson.name, "step": step.name, "choices": choices});
    let of_lesson = ask(&app, &educator, &of_lesson).await;
    for role in [Role::Customer, Role::Student, Role::Educator] {
        let person = app.with_role(&educator, role);
        for language in ["en", "de"] {
            let words = words(&app, &person, own, language).await;
            assert_eq!(words["question"], "How many of the two get the last lamp?");
            assert_eq!(words["answers"], json!(["Only one", "Both"]));
        }
        let english = words(&app, &person, of_lesson, "en").await;
        let german = words(&app, &person, of_lesson, "de").await;
        assert_ne!(english["question"], german["question"]);
        let answers = english["answers"].as_array().unwrap();
        assert_eq!(answers.len(), usize::from(choices));
        assert!(answers.iter().all(|answer| answer != ""), "{english}");
    }
}

#[tokio::test]
async fn a_question_that_is_missing_or_of_another_workspace_has_no_words() {
    let app = TestApp::start().await;
    let (educator, other) = (app.educator().await, app.educator().await);
    let question = ask(&app, &educator, &own_question()).await;
    for (path, field) in [
        (WORDS.to_owned(), "question"),
        (format!("{WORDS}?question=lamp"), "question"),
        (format!("{WORDS}?question={question}&lang=xx"), "lang"),
    ] {
        let refused = problem(get(&app, &educator, &path).await).await;
        assert_eq!(refused.status, 400, "{path}");
        assert_eq!(fields(&refused), [field], "{path}");
    }
    for (person, question) in [(&educator, SystemClock.new_id()), (&other, question)] {
        let missing = problem(get(&app, person, &format!("{WORDS}?question={question}")).await).await;
        assert_eq!(missing.status, 404);
    }
}

#[tokio::test]
async fn the_page_of_the_class_has_its_question_without_a_script_and_waits_without_one() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let student = app.student(&educator.join_code).await;
    let (status, waiting) = page_of(&app, &student, "/class").await;
    assert_eq!(status, StatusCode::OK);
    assert!(waiting.contains("There is no question now"), "{waiting}");
    let question = ask(&app, &educator, &own_question()).await;
    show(&app, &educator, question).await;
    let (_, asked) = page_of(&app, &student, "/class").await;
    for words in ["How many of the two get the last lamp?", "Only one", "Both"] {
        assert!(asked.contains(words), "{words}: {asked}");
    }
    let (_, elsewhere) = page_of(&app, &app.educator().await, "/class").await;
    assert!(elsewhere.contains("There is no question now"), "{elsewhere}");
}

#[tokio::test]
async fn an_educator_gets_the_code_as_a_qr_code_and_a_presenters_view_without_names() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let join = json!({"code": educator.join_code, "display_name": "Eulalia"});
    let student = person(app.post("/api/v1/workspaces/join", &join).send().await.unwrap()).await;
    let question = ask(&app, &educator, &own_question()).await;
    show(&app, &educator, question).await;
    begin(&app, &educator).await;
    let mut live = app.live(&student).await;
    live.send(&json!({"op": "subscribe", "id": 7, "lab": "class"}))
        .await;
    live.next_of("class").await;
    let address = format!("/join/{}", educator.join_code);
    for path in ["/lab/class", "/lab/class/code"] {
        let (status, html) = page_of(&app, &educator, path).await;
        assert_eq!(status, StatusCode::OK, "{html}");
        assert!(html.contains("class=\"qr\""), "{path}: {html}");
        assert!(html.contains(&address), "{path}: {html}");
    }
    let (_, class) = page_of(&app, &educator, "/lab/class").await;
    assert!(class.contains("Eulalia"), "{class}");
    let (status, presented) = page_of(&app, &educator, "/lab/class/present").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        presented.contains("How many of the two get the last lamp?"),
        "{presented}"
    );
    assert!(!presented.contains("Eulalia"), "{presented}");
    for path in ["/lab/class", "/lab/class/code", "/lab/class/present"] {
        let (status, html) = page_of(&app, &student, path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(html.contains("href=\"/class\""), "{path}: {html}");
        assert!(!html.contains("class=\"qr\""), "{path}: {html}");
    }
}

#[tokio::test]
async fn a_person_who_was_handed_a_dial_gets_its_control_and_no_other() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let student = app.student(&educator.join_code).await;
    let controls = async || {
        let (status, html) = page_of(&app, &student, "/lab/dials").await;
        assert_eq!(status, StatusCode::OK, "{html}");
        html.matches("class=\"dial__set").count()
    };
    assert_eq!(controls().await, 0);
    begin(&app, &educator).await;
    // A person is seen by the class once they look at it.
    begin(&app, &student).await;
    let session = get(&app, &student, "/api/v1/session").await;
    let session: Value = session.json().await.unwrap();
    let path = "/api/v1/lab/class/dials/broker.delay_ms";
    let request = app.request(Method::PUT, path).bearer_auth(&educator.token);
    let handed = request
        .json(&json!({"person": session["actor_id"]}))
        .send()
        .await
        .unwrap();
    assert_eq!(
        handed.status(),
        StatusCode::OK,
        "{}",
        handed.text().await.unwrap()
    );
    assert_eq!(controls().await, 1);
    let (_, phone) = page_of(&app, &student, "/class").await;
    assert!(phone.contains("href=\"/lab/dials#broker.delay_ms\""), "{phone}");
}
