//! `POST /workspaces` with a snapshot, `POST /workspaces/import`, and `/lab/class/copies`: workspaces that
//! begin with the events of another one.

use std::collections::BTreeSet;

use clock::{Clock as _, SystemClock};
use domain::wire::{CopiesAnswer, WorkspaceAccess};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE},
};
use serde_json::{Value, json};

use crate::{
    app::{Person, TestApp, fields, list_product, person, place_order, problem},
    dead_letters::{get, receive},
};

const COPIES: &str = "/api/v1/lab/class/copies";

/// A shop with a product of its own, and a confirmed order of a student.
async fn shop(app: &TestApp) -> (Person, Person) {
    let educator = app.educator_of("shop").await;
    app.command(&educator, &list_product("own-mug")).await;
    receive(app, &educator, "own-mug", 5).await;
    let student = app.student(&educator.join_code).await;
    let order = place_order(SystemClock.new_id(), "own-mug");
    app.command(&student, &order).await;
    app.settled(&educator).await;
    (educator, student)
}

async fn opened(response: Response) -> Person {
    person(response).await
}

async fn copy_of(app: &TestApp, educator: &Person) -> Person {
    let body = json!({"snapshot": educator.workspace, "name": "A copy"});
    let request = app.post("/api/v1/workspaces", &body);
    opened(request.bearer_auth(&educator.token).send().await.unwrap()).await
}

async fn import(app: &TestApp, file: String) -> Response {
    let request = app.request(Method::POST, "/api/v1/workspaces/import");
    let request = request.header(CONTENT_TYPE, "application/x-ndjson").body(file);
    request.send().await.unwrap()
}

async fn exported(app: &TestApp, educator: &Person) -> String {
    let request = app.get("/api/v1/export").bearer_auth(&educator.token);
    request.send().await.unwrap().text().await.unwrap()
}

/// What a copy keeps of every event of a workspace, besides its payload, in which names are sealed.
async fn events(app: &TestApp, educator: &Person) -> Vec<Value> {
    let mut events = Vec::new();
    let mut path = "/api/v1/events?order=asc&limit=200".to_owned();
    loop {
        let page = get(app, educator, &path).await;
        let read = page["data"].as_array().unwrap();
        for event in read {
            let kept = [
                "event_id",
                "type",
                "stream",
                "version",
                "partition",
                "position",
                "recorded_at",
            ];
            events.push(kept.map(|field| event[field].clone()).into_iter().collect());
        }
        let Some(next) = page["next"].as_str().filter(|_| !read.is_empty()) else {
            return events;
        };
        path = format!("/api/v1/events?order=asc&limit=200&after={next}");
    }
}

async fn is_intact(app: &TestApp, educator: &Person) {
    app.settled(educator).await;
    let report = get(app, educator, "/api/v1/verify").await;
    assert_eq!(report["findings"], json!([]), "{report}");
}

async fn documents(app: &TestApp, educator: &Person, view: &str) -> Value {
    app.settled(educator).await;
    let path = format!("/api/v1/views/{view}?limit=200");
    get(app, educator, &path).await["data"].take()
}

/// Given a shop with orders, when its educator opens a workspace from it, then that has the same events with
/// the same times and ids, its views show the same, it verifies, and it goes on by itself.
#[tokio::test]
async fn a_copy_begins_with_the_events_of_its_workspace_and_goes_on_by_itself() {
    let app = TestApp::start().await;
    let (educator, student) = shop(&app).await;
    let copy = copy_of(&app, &educator).await;
    assert_ne!(
        (copy.workspace, &copy.join_code),
        (educator.workspace, &educator.join_code)
    );
    app.settled(&copy).await;
    assert_eq!(events(&app, &copy).await, events(&app, &educator).await);
    for view in ["products", "inventory"] {
        let (here, there) = (
            documents(&app, &copy, view).await,
            documents(&app, &educator, view).await,
        );
        assert_eq!(here, there, "{view}");
    }
    is_intact(&app, &copy).await;

    // An order in the copy is decided on the copied stock, and the class does not see it.
    app.command(&copy, &place_order(SystemClock.new_id(), "own-mug"))
        .await;
    is_intact(&app, &copy).await;
    let stock = get(&app, &copy, "/api/v1/views/products/own-mug").await;
    assert_eq!(stock["data"]["available"], 3);
    let stock = get(&app, &educator, "/api/v1/views/products/own-mug").await;
    assert_eq!(stock["data"]["available"], 4);

    // No person of the class is in the copy, and none is named there.
    let session = get(&app, &copy, "/api/v1/session").await;
    assert_eq!(
        (&session["role"], &session["workspace_name"]),
        (&json!("educator"), &json!("A copy"))
    );
    let request = app.get("/api/v1/session").bearer_auth(&student.token);
    let of_class: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(of_class["workspace"], json!(educator.workspace));
    let customers = documents(&app, &copy, "customers").await.to_string();
    assert!(
        !customers.contains("Noor") && !customers.contains("noor@"),
        "{customers}"
    );
    let app = app.restart().await;
    is_intact(&app, &copy).await;
}

/// Given other callers than an educator of the workspace, when they ask for a copy, then they are refused by
/// what is missing.
#[tokio::test]
async fn a_workspace_is_copied_by_its_own_educators_alone() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (student, stranger) = (app.student(&educator.join_code).await, app.educator().await);
    let body = json!({"snapshot": educator.workspace});
    for (token, status) in [(None, 401), (Some(&student), 403), (Some(&stranger), 403)] {
        let mut request = app.post("/api/v1/workspaces", &body);
        if let Some(person) = token {
            request = request.bearer_auth(&person.token);
        }
        assert_eq!(problem(request.send().await.unwrap()).await.status, status);
    }
    for (field, value) in [
        ("template", json!("shop")),
        ("shards", json!(2)),
        ("clock", json!("2020-01-01T00:00:00Z")),
    ] {
        let mut body = body.clone();
        body[field] = value;
        let request = app.post("/api/v1/workspaces", &body).bearer_auth(&educator.token);
        let refused = problem(request.send().await.unwrap()).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec![field]));
    }
    let neither = app.post("/api/v1/workspaces", &json!({})).send().await.unwrap();
    assert_eq!(fields(&problem(neither).await), ["template"]);
}

/// Given a workspace of several partitions whose clock is a day ahead, when it is copied, then the copy has
/// the partitions, and its clock is not behind its events.
#[tokio::test]
async fn a_copy_has_the_partitions_and_its_clock_is_not_behind_its_events() {
    let app = TestApp::start().await;
    let educator = app.educator_with_shards(3).await;
    let day = json!({"advance_ms": 86_400_000});
    let moved = app.post("/api/v1/lab/clock", &day).bearer_auth(&educator.token);
    assert_eq!(moved.send().await.unwrap().status(), StatusCode::OK);
    for n in 0..12 {
        app.command(&educator, &list_product(&format!("mug-{n}"))).await;
    }
    let copy = copy_of(&app, &educator).await;
    is_intact(&app, &copy).await;
    assert_eq!(
        documents(&app, &copy, "products").await.as_array().unwrap().len(),
        12
    );
    app.command(&copy, &list_product("later-mug")).await;
    let all = events(&app, &copy).await;
    let times: Vec<_> = all
        .iter()
        .filter(|event| event[4] == 0)
        .map(|event| event[6].as_str().unwrap().to_owned())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let partitions: BTreeSet<_> = all.iter().map(|event| event[4].to_string()).collect();
    assert!(partitions.len() > 1, "{partitions:?}");
}

/// Given an export, when it is imported over the API, also at the server that has its workspace, then it is a
/// new workspace with the same events.
#[tokio::test]
async fn an_export_is_imported_as_a_new_workspace() {
    let app = TestApp::start().await;
    let (educator, _) = shop(&app).await;
    let file = exported(&app, &educator).await;
    let there = TestApp::start().await;
    for server in [&app, &there] {
        let imported = opened(import(server, file.clone()).await).await;
        assert_ne!(imported.workspace, educator.workspace);
        assert_ne!(imported.join_code, educator.join_code);
        is_intact(server, &imported).await;
        assert_eq!(events(server, &imported).await, events(&app, &educator).await);
        let session = get(server, &imported, "/api/v1/session").await;
        assert_eq!(session["role"], "educator");
    }
    // twice: each is a workspace of its own
    let [first, second] = [
        opened(import(&there, file.clone()).await).await,
        opened(import(&there, file).await).await,
    ];
    assert_ne!(first.workspace, second.workspace);
}

/// Given a file that was changed, cut or made up, when it is imported over the API, then it is refused by the
/// line, and nothing is opened.
#[tokio::test]
async fn a_file_that_is_not_an_export_is_refused_by_its_line() {
    let app = TestApp::start().await;
    let (educator, _) = shop(&app).await;
    let file = exported(&app, &educator).await;
    let lines: Vec<_> = file.lines().collect();
    let changed = file.replacen("For tea.", "For milk", 1);
    assert_ne!(changed, file);
    let cut = lines[..lines.len() - 1].join("\n") + "\n";
    let twice = format!("{file}{file}");
    for (wrong, reason) in [
        (String::new(), "line 0"),
        ("hello\n".to_owned(), "line 1"),
        (changed, "hash"),
        (cut, "the file ends"),
        (twice, "twice in this file"),
    ] {
        let refused = problem(import(&app, wrong).await).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec!["body"]));
        assert!(refused.detail.contains(reason), "{reason}: {}", refused.detail);
    }
    let as_json = app.post("/api/v1/workspaces/import", &json!({}));
    assert_eq!(problem(as_json.send().await.unwrap()).await.status, 415);
    let large = import(&app, "x".repeat(8 * 1024 * 1024 + 1)).await;
    assert_eq!(problem(large).await.status, 413);
}

/// Given a sandbox with a limit of events, when a larger export is imported, then it is refused.
#[tokio::test]
async fn an_export_with_more_events_than_a_sandbox_may_have_is_refused() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    let file = exported(&app, &educator).await;
    let small = TestApp::start_with(&["--sandbox-events", "20"]).await;
    let refused = problem(import(&small, file).await).await;
    assert_eq!(refused.status, 413);
    assert!(refused.detail.contains("at most 20"), "{}", refused.detail);
}

async fn make(app: &TestApp, person: &Person, count: u32) -> Response {
    let request = app.post(COPIES, &json!({"count": count}));
    request.bearer_auth(&person.token).send().await.unwrap()
}

async fn copies(response: Response) -> CopiesAnswer {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// A student whom the class has seen, by name.
async fn seen(app: &TestApp, educator: &Person, name: &str) -> Person {
    let body = json!({"code": educator.join_code, "display_name": name});
    let student = person(app.post("/api/v1/workspaces/join", &body).send().await.unwrap()).await;
    get(app, &student, "/api/v1/lab/class").await;
    student
}

/// Given a class, when its educator makes copies, then each student has one, is its educator, and finds it in
/// the class; a further request makes none for those who have one.
#[tokio::test]
async fn each_student_gets_a_sandbox_and_is_its_educator() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    get(&app, &educator, "/api/v1/lab/class").await;
    app.command(&educator, &list_product("own-mug")).await;
    let students = [
        seen(&app, &educator, "Ada").await,
        seen(&app, &educator, "Grace").await,
        seen(&app, &educator, "Joan").await,
    ];
    let made = copies(make(&app, &educator, 2).await).await;
    assert_eq!((made.made, made.data.len(), made.without), (2, 2, 1));
    let made = copies(make(&app, &educator, 60).await).await;
    assert_eq!((made.made, made.data.len(), made.without), (1, 3, 0));
    let again = copies(make(&app, &educator, 60).await).await;
    assert_eq!((again.made, &again.data), (0, &made.data));
    let mut names: Vec<_> = made.data.iter().map(|copy| copy.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Ada", "Grace", "Joan"]);

    for student in &students {
        let class = get(&app, student, "/api/v1/lab/class").await;
        let enter = app.post("/api/v1/lab/class/copy", &json!({}));
        let entered = enter.bearer_auth(&student.token).send().await.unwrap();
        let entered: WorkspaceAccess = entered.json().await.unwrap();
        assert_eq!(class["copy"]["workspace"], json!(entered.workspace));
        assert_eq!(class["copy"]["join_code"], json!(entered.join_code));
        let own = Person {
            workspace: entered.workspace,
            join_code: entered.join_code,
            token: entered.token,
        };
        let (here, there) = (
            get(&app, &own, "/api/v1/session").await,
            get(&app, student, "/api/v1/session").await,
        );
        assert_eq!(here["role"], "educator");
        for kept in ["actor_id", "display_name"] {
            assert_eq!(here[kept], there[kept], "{kept}");
        }
        is_intact(&app, &own).await;
        get(&app, &own, "/api/v1/views/products/own-mug").await;
    }
    // what a student does there stays there
    app.command(&educator, &list_product("class-mug")).await;
    let friend = app.student(&made.data[0].join_code).await;
    let path = "/api/v1/views/products/class-mug";
    let missing = app.get(path).bearer_auth(&friend.token).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

/// Given a student's copy, when a browser enters it by the form, then it has a session there.
#[tokio::test]
async fn a_browser_enters_its_copy_by_a_form() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    get(&app, &educator, "/api/v1/lab/class").await;
    let student = seen(&app, &educator, "Ada").await;
    let enter = || {
        app.request(Method::POST, "/session/copy")
            .header("origin", app.origin())
            .header(COOKIE, format!("foldline_session={}", student.token))
    };
    let early = enter().send().await.unwrap();
    assert_eq!(early.status(), StatusCode::SEE_OTHER);
    assert!(early.headers().get(SET_COOKIE).is_none());
    let made = copies(make(&app, &educator, 1).await).await;
    let entered = enter().send().await.unwrap();
    assert_eq!(entered.headers()[LOCATION], "/lab");
    let cookie = entered.headers()[SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let session = app
        .get("/api/v1/session")
        .header(COOKIE, cookie)
        .send()
        .await
        .unwrap();
    let session: Value = session.json().await.unwrap();
    assert_eq!(session["workspace"], json!(made.data[0].workspace));
    assert_eq!(session["role"], "educator");
}
