//! The class: questions that everyone answers, the tally, who is there, dials that are handed out, and the
//! results as a file.

use std::collections::BTreeSet;

use clock::{Clock as _, SystemClock};
use domain::{
    access::Role, aggregate::prediction::prediction_stream, view::predictions::QuestionDocument,
    wire::ClassAnswer,
};
use futures::future::join_all;
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use serde_json::{Value, json};
use test_postgres::Database;
use uuid::Uuid;

use crate::{
    app::{Live, Person, TestApp, fields, list_product, person, place_order, problem},
    dead_letters::{get, receive},
    dials::{self, DIALS},
    servers::two,
};

const CLASS: &str = "/api/v1/lab/class";

/// The students of a large class.
const STUDENTS: usize = 40;

/// Those who lose their connection while they answer.
const DROPPED: usize = 5;

async fn joined(app: &TestApp, educator: &Person, name: &str) -> (Person, Uuid) {
    let body = json!({"code": educator.join_code, "display_name": name});
    let student = person(app.post("/api/v1/workspaces/join", &body).send().await.unwrap()).await;
    let id = id_of(app, &student).await;
    (student, id)
}

async fn id_of(app: &TestApp, person: &Person) -> Uuid {
    let session = get(app, person, "/api/v1/session").await;
    session["actor_id"].as_str().unwrap().parse().unwrap()
}

async fn class_of(app: &TestApp, person: &Person) -> ClassAnswer {
    serde_json::from_value(get(app, person, CLASS).await).unwrap()
}

async fn put(app: &TestApp, person: &Person, if_match: Option<&str>, body: &Value) -> Response {
    let mut request = app.request(Method::PUT, CLASS).bearer_auth(&person.token);
    if let Some(version) = if_match {
        request = request.header("if-match", version);
    }
    request.json(body).send().await.unwrap()
}

/// Shows the class something, at any version.
async fn show(app: &TestApp, educator: &Person, body: &Value) -> ClassAnswer {
    let response = put(app, educator, Some("*"), body).await;
    let status = response.status();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    serde_json::from_value(answer).unwrap()
}

async fn hand(app: &TestApp, educator: &Person, dial: &str, to: Uuid) -> Response {
    let path = format!("{CLASS}/dials/{dial}");
    let request = app.request(Method::PUT, &path).bearer_auth(&educator.token);
    request.json(&json!({"person": to})).send().await.unwrap()
}

async fn take_back(app: &TestApp, educator: &Person, dial: &str) -> Response {
    let path = format!("{CLASS}/dials/{dial}");
    let request = app.request(Method::DELETE, &path).bearer_auth(&educator.token);
    request.send().await.unwrap()
}

async fn turn(app: &TestApp, person: &Person, patch: &Value) -> Response {
    let request = app.request(Method::PATCH, DIALS).bearer_auth(&person.token);
    request.json(patch).send().await.unwrap()
}

/// Asks the class a question.
async fn ask(app: &TestApp, educator: &Person, data: &Value) -> Uuid {
    let question = SystemClock.new_id();
    let stream = format!("question-{question}");
    let command = json!({"type": "AskQuestion", "stream": stream, "data": data});
    app.command(educator, &command).await;
    question
}

async fn reveal(app: &TestApp, educator: &Person, question: Uuid, right: i64) -> Value {
    let stream = format!("question-{question}");
    let command = json!({"type": "RevealAnswer", "stream": stream, "data": {"right": right}});
    app.command(educator, &command).await
}

fn prediction(question: Uuid, person: Uuid, choice: usize) -> Value {
    let stream = prediction_stream(question, person).unwrap();
    json!({"type": "MakePrediction", "stream": stream, "data": {"question": question, "choice": choice}})
}

async fn send(app: &TestApp, person: &Person, command: &Value) -> Response {
    let request = app.post("/api/v1/commands", command);
    request.bearer_auth(&person.token).send().await.unwrap()
}

/// The tally of a question, once everything is folded.
async fn tally(app: &TestApp, person: &Person, question: Uuid) -> QuestionDocument {
    app.settled(person).await;
    let path = format!("/api/v1/views/predictions/{question}");
    let mut answer = get(app, person, &path).await;
    serde_json::from_value(answer["data"].take()).unwrap()
}

/// A socket that follows the class, and its first frame.
async fn follow(app: &TestApp, person: &Person) -> (Live, ClassAnswer) {
    let mut live = app.live(person).await;
    live.send(&json!({"op": "subscribe", "id": 7, "lab": "class"}))
        .await;
    let first = live.next_of("class").await;
    (live, parsed(&first))
}

fn parsed(frame: &Value) -> ClassAnswer {
    assert_eq!(frame["id"], 7);
    serde_json::from_value(frame["data"].clone()).unwrap()
}

/// The next frame of the class that is as it is wanted.
async fn told(live: &mut Live, wanted: impl Fn(&ClassAnswer) -> bool) -> ClassAnswer {
    let is_it = |frame: &Value| frame["op"] == "class" && wanted(&parsed(frame));
    parsed(&live.next_where("class", is_it).await)
}

/// Sends an answer over a socket; the status of the refusal, or 200.
async fn answer(live: &mut Live, command: &Value, key: &str) -> u64 {
    let frame = json!({"op": "command", "id": 9, "command": command, "idempotency_key": key});
    live.send(&frame).await;
    let result = live.next_of("result").await;
    result["problem"]["status"].as_u64().unwrap_or(200)
}

/// A student with a socket.
struct Student {
    person: Person,
    id: Uuid,
    live: Live,
}

async fn students(app: &TestApp, educator: &Person, count: usize) -> Vec<Student> {
    let arrivals = (0..count).map(|n| async move {
        let (person, id) = joined(app, educator, &format!("Student {n}")).await;
        let (mut live, _) = follow(app, &person).await;
        live.send(&json!({"op": "subscribe", "id": 8, "lab": "dials"}))
            .await;
        live.next_of("dials").await;
        Student { person, id, live }
    });
    join_all(arrivals).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_students_answer_at_once_and_everyone_counts_once_also_who_comes_back() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (mut desk, first) = follow(&app, &educator).await;
    assert!(first.roster.is_some() && first.question.is_none());
    let mut students = students(&app, &educator, STUDENTS).await;
    let everyone = |class: &ClassAnswer| usize::try_from(class.present) == Ok(STUDENTS + 1);
    let class = told(&mut desk, everyone).await;
    assert!(class.presenting);

    // The question arrives at each of them, and so do dials.
    let data = json!({"lesson": "last_item", "step": "race", "choices": 2});
    let question = ask(&app, &educator, &data).await;
    show(&app, &educator, &json!({"question": question})).await;
    dials::set(&app, &educator, &json!({"broker": {"delay_ms": 1}})).await;
    let asked = |class: &ClassAnswer| class.question == Some(question);
    join_all(students.iter_mut().map(|student| async move {
        let class = told(&mut student.live, asked).await;
        assert!(class.roster.is_none(), "for educators alone");
        let is_bent = |frame: &Value| frame["op"] == "dials" && frame["data"]["bent"] != json!([]);
        student.live.next_where("dials", is_bent).await;
    }))
    .await;

    // All answer at once. Some lose the connection before they know, and send the same again.
    let answers = students.into_iter().enumerate().map(|(n, mut student)| {
        let app = &app;
        async move {
            let command = prediction(question, student.id, n % 2 + 1);
            let key = format!("answer-{n}");
            if n < DROPPED {
                let frame = json!({"op": "command", "id": 9, "command": command, "idempotency_key": key});
                student.live.send(&frame).await;
                drop(student.live);
                let (live, class) = follow(app, &student.person).await;
                assert_eq!(class.question, Some(question), "nothing is lost");
                student.live = live;
            }
            assert_eq!(answer(&mut student.live, &command, &key).await, 200);
            student
        }
    });
    let students = join_all(answers).await;
    let counted = tally(&app, &educator, question).await;
    let half = u32::try_from(STUDENTS / 2).unwrap();
    assert_eq!(
        (counted.counts.as_slice(), counted.answers),
        (&[half, half][..], 2 * half)
    );

    reveal(&app, &educator, question, 2).await;
    let revealed = tally(&app, &students[0].person, question).await.revealed.unwrap();
    assert_eq!((revealed.right, revealed.right_count), (2, half));
    let class = class_of(&app, &educator).await;
    let names: BTreeSet<String> = class.roster.unwrap().into_iter().map(|row| row.name).collect();
    assert!(
        (0..STUDENTS).all(|n| names.contains(&format!("Student {n}"))),
        "{names:?}"
    );
}

#[tokio::test]
async fn an_answer_is_one_s_own_and_stays_as_it_is() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, ada_id) = joined(&app, &educator, "Ada").await;
    let (bob, bob_id) = joined(&app, &educator, "Bob").await;
    let data = json!({"text": "How many?", "choices": 3, "labels": ["None", "One", "Both"]});
    let question = ask(&app, &educator, &data).await;
    app.command(&ada, &prediction(question, ada_id, 2)).await;
    // The same again changes nothing, another one is refused, and so is one for another person.
    let again = app.command(&ada, &prediction(question, ada_id, 2)).await;
    assert_eq!(again["events"], json!([]));
    let changed = problem(send(&app, &ada, &prediction(question, ada_id, 1)).await).await;
    assert_eq!(changed.rule.as_deref(), Some("prediction-already-made"));
    let for_bob = problem(send(&app, &ada, &prediction(question, bob_id, 1)).await).await;
    assert_eq!(fields(&for_bob), ["stream"]);
    let unknown = SystemClock.new_id();
    let unknown = problem(send(&app, &ada, &prediction(unknown, ada_id, 1)).await).await;
    assert_eq!(unknown.rule.as_deref(), Some("question-not-asked"));
    let outside = problem(send(&app, &bob, &prediction(question, bob_id, 4)).await).await;
    assert_eq!(fields(&outside), ["data.choice"]);

    // Ada sees hers, and Bob does not.
    app.settled(&educator).await;
    let own = format!("/api/v1/views/predictions/{question}.{ada_id}");
    let seen = get(&app, &ada, &own).await;
    assert_eq!(
        (&seen["data"]["choice"], &seen["data"]["name"]),
        (&json!(2), &json!("Ada"))
    );
    let hidden = app.get(&own).bearer_auth(&bob.token).send().await.unwrap();
    assert_eq!(hidden.status(), StatusCode::NOT_FOUND);

    reveal(&app, &educator, question, 3).await;
    let late = problem(send(&app, &bob, &prediction(question, bob_id, 3)).await).await;
    assert_eq!(late.rule.as_deref(), Some("question-closed"));
    let question = tally(&app, &bob, question).await;
    assert_eq!(
        (question.counts, question.revealed.unwrap().right_count),
        (vec![0, 1, 0], 0)
    );
}

#[tokio::test]
async fn what_the_class_is_shown_has_a_version_and_is_there_after_a_restart() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, _) = joined(&app, &educator, "Ada").await;
    let (mut live, first) = follow(&app, &ada).await;
    let on_step = json!({"lesson": "last_item", "step": "race", "locked": true, "order_call": 1});
    let shown = show(&app, &educator, &on_step).await;
    let seen = told(&mut live, |class| class.version == shown.version).await;
    assert_eq!(
        (seen.lesson.as_deref(), seen.step.as_deref()),
        (Some("last_item"), Some("race"))
    );
    assert!(seen.locked && seen.order_call == 1 && !first.locked);

    let stale = put(&app, &educator, Some("\"0\""), &json!({})).await;
    assert_eq!(problem(stale).await.current_version, Some(shown.version));
    assert_eq!(
        put(&app, &educator, None, &json!({})).await.status(),
        StatusCode::PRECONDITION_REQUIRED
    );
    for (wrong, field) in [
        (json!({"locked": true}), "locked"),
        (json!({"step": "one"}), "lesson"),
        (json!({"lesson": "=HYPERLINK()"}), "lesson"),
        (json!({"lesson": "x".repeat(61)}), "lesson"),
    ] {
        let refused = problem(put(&app, &educator, Some("*"), &wrong).await).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec![field]), "{wrong}");
    }
    let unknown = put(&app, &educator, Some("*"), &json!({"stepp": "one"})).await;
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);

    let current = app.get(CLASS).bearer_auth(&ada.token).send().await.unwrap();
    let tag = current.headers()[ETAG].clone();
    let known = app.get(CLASS).bearer_auth(&ada.token).header(IF_NONE_MATCH, tag);
    assert_eq!(known.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);

    drop(live);
    let app = app.restart().await;
    let kept = class_of(&app, &ada).await;
    assert_eq!((kept.version, kept.stage()), (shown.version, shown.stage()));
    let elsewhere = app.educator().await;
    assert_eq!(
        class_of(&app, &elsewhere).await.lesson,
        None,
        "of another workspace"
    );
}

#[tokio::test]
async fn a_person_turns_the_dial_that_they_were_handed_and_no_other() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, ada_id) = joined(&app, &educator, "Ada").await;
    let (bob, bob_id) = joined(&app, &educator, "Bob").await;
    for student in [&ada, &bob] {
        class_of(&app, student).await;
    }
    assert_eq!(
        turn(&app, &ada, &json!({"broker": {"delay_ms": 5}}))
            .await
            .status(),
        403
    );
    let handed = hand(&app, &educator, "broker.delay_ms", ada_id).await;
    assert_eq!(handed.status(), StatusCode::OK);
    assert_eq!(
        hand(&app, &educator, "broker.delay", ada_id).await.status(),
        404,
        "no such dial"
    );
    let stranger = problem(hand(&app, &educator, "cache.off", SystemClock.new_id()).await).await;
    assert_eq!(fields(&stranger), ["person"]);

    assert_eq!(
        turn(&app, &ada, &json!({"broker": {"delay_ms": 5}}))
            .await
            .status(),
        StatusCode::OK
    );
    let bent = dials::dials_of(&app, &educator).await;
    assert_eq!((bent.bent[0].by, bent.bent[0].name.as_str()), (ada_id, "Ada"));
    for other in [
        json!({"broker": {"delay_ms": 6, "paused": true}}),
        json!({"cache": {"off": true}}),
        json!({"projections": {"orders": {"paused": true}}}),
        json!({"guarantees": {"idempotency_keys": false}}),
        json!({"seed": 3}),
        json!({"clock": {"ahead_ms": 1_000}}),
    ] {
        let refused = problem(turn(&app, &ada, &other).await).await;
        assert_eq!(refused.status, 403, "{other}");
    }
    assert_eq!(dials::dials_of(&app, &educator).await.version, bent.version);
    let whole = dials::put(&app, &ada, "*", &json!({})).await;
    assert_eq!(whole.status(), 403, "all dials are the educator's");
    assert_eq!(
        turn(&app, &bob, &json!({"broker": {"delay_ms": 6}}))
            .await
            .status(),
        403
    );

    // Each sees the own dials, and the educator sees all.
    hand(&app, &educator, "projections.orders.slow_ms", bob_id).await;
    assert_eq!(class_of(&app, &ada).await.handed.len(), 1);
    let all = class_of(&app, &educator).await.handed;
    let all: Vec<_> = all
        .iter()
        .map(|one| (one.dial.as_str(), one.to.name.as_str()))
        .collect();
    assert_eq!(
        all,
        [("broker.delay_ms", "Ada"), ("projections.orders.slow_ms", "Bob")]
    );
    let slow = json!({"projections": {"orders": {"slow_ms": 1}}});
    assert_eq!(turn(&app, &bob, &slow).await.status(), StatusCode::OK);

    // Taken back, it is at rest, and no longer hers; Bob's stays bent.
    assert_eq!(
        take_back(&app, &educator, "broker.delay_ms").await.status(),
        StatusCode::OK
    );
    let bent = dials::dials_of(&app, &educator).await.bent;
    assert_eq!(bent.len(), 1);
    assert_eq!(bent[0].dial, "projections.orders.slow_ms");
    assert_eq!(
        turn(&app, &ada, &json!({"broker": {"delay_ms": 5}}))
            .await
            .status(),
        403
    );
    assert_eq!(take_back(&app, &educator, "broker.delay_ms").await.status(), 404);
    let path = format!("{DIALS}/projections.orders.slow_ms");
    let own = app.request(Method::DELETE, &path).bearer_auth(&bob.token);
    assert_eq!(own.send().await.unwrap().status(), StatusCode::OK);
    assert!(dials::dials_of(&app, &educator).await.bent.is_empty());
}

#[tokio::test]
async fn the_roster_shows_who_is_there_and_who_ordered_what_and_forgets_the_erased() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    receive(&app, &educator, "mug-01", 10).await;
    let (mut desk, _) = follow(&app, &educator).await;
    let (ada, ada_id) = joined(&app, &educator, "Ada").await;
    let live = app.live(&ada).await;
    let row = |class: &ClassAnswer| {
        let mut rows = class.roster.iter().flatten();
        rows.find(|row| row.person == ada_id).cloned()
    };
    told(&mut desk, |class| row(class).is_some_and(|row| row.present)).await;
    let orders = [SystemClock.new_id(), SystemClock.new_id()];
    for order in orders {
        app.command(&ada, &place_order(order, "mug-01")).await;
    }
    let ordered = told(&mut desk, |class| row(class).is_some_and(|row| row.orders == 2)).await;
    let ordered = row(&ordered).unwrap();
    assert_eq!((ordered.name.as_str(), ordered.role), ("Ada", Role::Student));
    let newest = ordered.newest_order.unwrap();
    assert!(orders.iter().any(|order| order.to_string() == newest), "{newest}");
    drop(live);
    told(&mut desk, |class| row(class).is_some_and(|row| !row.present)).await;

    let account =
        json!({"email": "ada@post.test", "display_name": "Ada", "password": "correct horse battery"});
    let stream = format!("user-{ada_id}");
    let register = json!({"type": "RegisterUser", "stream": &stream, "data": account});
    app.command(&ada, &register).await;
    app.command(
        &educator,
        &json!({"type": "EraseUser", "stream": stream, "data": {}}),
    )
    .await;
    app.settled(&educator).await;
    let class = class_of(&app, &educator).await;
    assert_eq!(row(&class).unwrap().name, "erased");
}

#[tokio::test]
async fn the_results_are_a_file_that_no_spreadsheet_runs() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, ada_id) = joined(&app, &educator, "=HYPERLINK(\"x\")").await;
    let (bob, bob_id) = joined(&app, &educator, "Bob \"B\", junior").await;
    let data = json!({"text": "How many?", "choices": 2, "labels": ["One", "Both"]});
    let question = ask(&app, &educator, &data).await;
    app.command(&ada, &prediction(question, ada_id, 1)).await;
    app.command(&bob, &prediction(question, bob_id, 2)).await;
    reveal(&app, &educator, question, 1).await;
    app.settled(&educator).await;
    let path = format!("{CLASS}/results.csv");
    let file = app.get(&path).bearer_auth(&educator.token).send().await.unwrap();
    assert_eq!(file.status(), StatusCode::OK);
    assert_eq!(file.headers()[CONTENT_TYPE], "text/csv; charset=utf-8");
    assert_eq!(
        file.headers()[CONTENT_DISPOSITION],
        "attachment; filename=\"results.csv\""
    );
    let bytes = file.bytes().await.unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    let lines: Vec<_> = text.strip_prefix('\u{feff}').unwrap().split("\r\n").collect();
    assert_eq!(lines.len(), 4, "a head, two rows, and the end: {text}");
    assert!(lines[0].starts_with("\"lesson\",\"step\",\"question\",\"name\",\"answer\",\"right\""));
    let rows = lines[1..3].join("\n");
    let ada = "\"\",\"\",\"How many?\",\"'=HYPERLINK(\"\"x\"\")\",\"One\",\"yes\",";
    let bob = "\"\",\"\",\"How many?\",\"Bob \"\"B\"\", junior\",\"Both\",\"no\",";
    assert!(rows.contains(ada) && rows.contains(bob), "{rows}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_students_join_from_one_address_in_a_minute() {
    let app = TestApp::start_with(&["--requests-per-minute", "6000"]).await;
    let educator = app.educator().await;
    for n in 0..200 {
        let body = json!({"code": educator.join_code, "display_name": format!("Student {n}")});
        let response = app.post("/api/v1/workspaces/join", &body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "student {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_is_one_at_two_servers() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = one.educator().await;
    let (mut desk, _) = follow(&one, &educator).await;
    let (ada, ada_id) = joined(&two, &educator, "Ada").await;
    let (mut page, _) = follow(&two, &ada).await;
    let is_there = |class: &ClassAnswer| {
        let mut rows = class.roster.iter().flatten();
        rows.any(|row| row.person == ada_id && row.present && row.name == "Ada")
    };
    told(&mut desk, is_there).await;
    let seen = told(&mut page, |class| class.presenting && class.present == 2).await;
    assert!(seen.roster.is_none());

    // What is set at one is told at the other, and a dial that is handed out here is turned there.
    let question = ask(&one, &educator, &json!({"text": "How many?", "choices": 2})).await;
    show(&one, &educator, &json!({"question": question})).await;
    told(&mut page, |class| class.question == Some(question)).await;
    two.command(&ada, &prediction(question, ada_id, 1)).await;
    assert_eq!(tally(&one, &educator, question).await.answers, 1);
    let handed = hand(&one, &educator, "broker.delay_ms", ada_id).await;
    assert_eq!(handed.status(), StatusCode::OK);
    told(&mut page, |class| class.handed.len() == 1).await;
    assert_eq!(
        turn(&two, &ada, &json!({"broker": {"delay_ms": 1}}))
            .await
            .status(),
        StatusCode::OK
    );
    assert_eq!(
        take_back(&one, &educator, "broker.delay_ms").await.status(),
        StatusCode::OK
    );
    assert_eq!(
        turn(&two, &ada, &json!({"broker": {"delay_ms": 1}}))
            .await
            .status(),
        403
    );
    assert!(dials::dials_of(&two, &educator).await.bent.is_empty());
    drop(page);
    told(&mut desk, |class| !is_there(class)).await;
}
