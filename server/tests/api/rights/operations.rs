//! The operations of the OpenAPI description.

#![expect(
    clippy::unnecessary_wraps,
    reason = "the body of a rule is one type of function, and some rules have no body"
)]

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{COLUMNS, Column, Findings, MARKER, PASSWORD, Row, World, is_outside, outcome, same_names};

/// For everyone.
const ALL: Row = [200; 7];
/// For each person of any workspace, in their own.
const PEOPLE: Row = [401, 200, 200, 200, 200, 200, 200];
/// For students and educators.
const LAB_READERS: Row = [401, 403, 403, 403, 200, 200, 200];
/// For educators.
const EDUCATORS: Row = [401, 403, 403, 403, 403, 200, 200];

/// An operation, and what each column gets.
struct Rule {
    method: &'static str,
    path: &'static str,
    query: &'static str,
    body: fn(&World, Column) -> Option<Value>,
    expected: Row,
}

const fn read(path: &'static str, query: &'static str, expected: Row) -> Rule {
    Rule {
        method: "get",
        path,
        query,
        body: nothing,
        expected,
    }
}

const fn write(
    method: &'static str,
    path: &'static str,
    body: fn(&World, Column) -> Option<Value>,
    expected: Row,
) -> Rule {
    Rule {
        method,
        path,
        query: "",
        body,
        expected,
    }
}

fn nothing(_: &World, _: Column) -> Option<Value> {
    None
}

fn open(_: &World, _: Column) -> Option<Value> {
    Some(json!({"template": "empty"}))
}

fn join(world: &World, _: Column) -> Option<Value> {
    Some(json!({"code": world.educator.join_code, "display_name": "Ada"}))
}

/// An account that does not exist; each column tries another, so that no limit of attempts is reached.
fn sign_in(_: &World, column: Column) -> Option<Value> {
    let email = format!("{column:?}@matrix.example.org").to_lowercase();
    Some(json!({"email": email, "password": PASSWORD}))
}

fn change_password(_: &World, _: Column) -> Option<Value> {
    Some(json!({"current": PASSWORD, "new": "heron lantern ampersand 42"}))
}

/// An email without an account, for which the answer is the same.
fn forgotten(_: &World, column: Column) -> Option<Value> {
    let email = format!("{column:?}@matrix.example.org").to_lowercase();
    Some(json!({"email": email}))
}

fn made_up_reset(_: &World, _: Column) -> Option<Value> {
    Some(json!({"token": "made-up", "password": PASSWORD}))
}

fn made_up_confirmation(_: &World, _: Column) -> Option<Value> {
    Some(json!({"token": "made-up"}))
}

fn stop_mails(world: &World, column: Column) -> Option<Value> {
    let stream = format!("inbox-{}", world.id(column));
    Some(json!({"type": "StopMails", "stream": stream, "data": {}}))
}

fn advance_clock(_: &World, _: Column) -> Option<Value> {
    Some(json!({"advance_ms": 1_000}))
}

fn newest_run(_: &World, _: Column) -> Option<Value> {
    Some(json!({"title": "The newest run"}))
}

/// A view of one's own; each column creates one of another name.
fn own_view(_: &World, column: Column) -> Option<Value> {
    let name = format!("view_of_{column:?}").to_lowercase();
    let fold = json!([{"field": "events", "op": "count"}]);
    Some(json!({"name": name, "on": ["OrderCreated"], "key": "stream", "fold": fold}))
}

fn reveal(_: &World, _: Column) -> Option<Value> {
    Some(json!({"reveal": {}}))
}

fn all_at_rest(_: &World, _: Column) -> Option<Value> {
    Some(json!({}))
}

fn to_a_stranger(_: &World, _: Column) -> Option<Value> {
    Some(json!({"person": Uuid::from_u128(7)}))
}

fn no_bots(_: &World, _: Column) -> Option<Value> {
    Some(json!({"count": 0, "orders_per_minute": 1}))
}

fn no_copies(_: &World, _: Column) -> Option<Value> {
    Some(json!({"count": 0}))
}

fn no_labels(_: &World, _: Column) -> Option<Value> {
    Some(json!({}))
}

/// The rules, in the order in which they are tried: what ends something comes last.
const RULES: &[Rule] = &[
    write("post", "/api/v1/workspaces", open, ALL),
    write("post", "/api/v1/workspaces/join", join, ALL),
    // It is no export.
    write("post", "/api/v1/workspaces/import", nothing, [415; 7]),
    // no workspace was reset
    write(
        "post",
        "/api/v1/sessions/follow",
        nothing,
        [401, 409, 409, 409, 409, 409, 409],
    ),
    read("/api/v1/session", "", PEOPLE),
    // The account of the request does not exist, and no column has a cookie or a password.
    write("post", "/api/v1/sessions", sign_in, [401; 7]),
    write("post", "/api/v1/sessions/refresh", nothing, [401; 7]),
    write(
        "put",
        "/api/v1/sessions/password",
        change_password,
        [401, 400, 400, 400, 400, 400, 400],
    ),
    write("post", "/api/v1/password-resets", forgotten, [202; 7]),
    write(
        "post",
        "/api/v1/password-resets/complete",
        made_up_reset,
        [400; 7],
    ),
    // no column has an account
    write(
        "post",
        "/api/v1/email-confirmations",
        nothing,
        [401, 422, 422, 422, 422, 422, 422],
    ),
    write(
        "post",
        "/api/v1/email-confirmations/complete",
        made_up_confirmation,
        [400; 7],
    ),
    write("post", "/api/v1/commands", stop_mails, PEOPLE),
    read("/api/v1/views/{view}", "", PEOPLE),
    read(
        "/api/v1/views/{view}/{key}",
        "",
        [401, 200, 200, 200, 200, 200, 404],
    ),
    read("/api/v1/search", "?q=teapot", PEOPLE),
    read("/api/v1/mailbox", "", PEOPLE),
    // A request that is no WebSocket; subscriptions have a table of their own.
    read("/api/v1/live", "", [401, 400, 400, 400, 400, 400, 400]),
    read("/api/v1/streams", "", LAB_READERS),
    read(
        "/api/v1/streams/{stream}",
        "",
        [401, 403, 403, 403, 200, 200, 404],
    ),
    read("/api/v1/events", "", LAB_READERS),
    // no event has this id
    read("/api/v1/events/{id}", "", [401, 403, 403, 403, 404, 404, 404]),
    read("/api/v1/schemas", "", PEOPLE),
    read("/api/v1/schemas/{type}/{version}", "", PEOPLE),
    read("/api/v1/verify", "", LAB_READERS),
    read("/api/v1/checkpoints", "", LAB_READERS),
    read("/api/v1/export", "", EDUCATORS),
    read("/api/v1/settled", "", PEOPLE),
    read("/api/v1/dead-letters", "", [401, 403, 403, 200, 200, 200, 200]),
    // no dead letter has this id
    read(
        "/api/v1/dead-letters/{id}/waiting",
        "",
        [401, 403, 403, 404, 404, 404, 404],
    ),
    write(
        "post",
        "/api/v1/dead-letters/retry",
        nothing,
        [401, 403, 403, 200, 403, 200, 200],
    ),
    write(
        "post",
        "/api/v1/dead-letters/{id}/retry",
        nothing,
        [401, 403, 403, 404, 403, 404, 404],
    ),
    write(
        "post",
        "/api/v1/dead-letters/{id}/discard",
        nothing,
        [401, 403, 403, 404, 403, 404, 404],
    ),
    read("/api/v1/lab/projections", "", LAB_READERS),
    read("/api/v1/lab/handlers", "", LAB_READERS),
    // each in their own workspace, which has an event by now
    read("/api/v1/lab/handled", "?event=0:1", LAB_READERS),
    read("/api/v1/lab/clock", "", LAB_READERS),
    read("/api/v1/lab/hops", "", LAB_READERS),
    read("/api/v1/lab/invariants", "", LAB_READERS),
    // no invariant has this name
    write(
        "post",
        "/api/v1/lab/invariants/{name}/cure",
        nothing,
        [401, 403, 403, 403, 403, 404, 404],
    ),
    write("post", "/api/v1/lab/clock", advance_clock, EDUCATORS),
    write("post", "/api/v1/lab/projections/{name}/pause", nothing, EDUCATORS),
    write(
        "post",
        "/api/v1/lab/projections/{name}/resume",
        nothing,
        EDUCATORS,
    ),
    write("post", "/api/v1/lab/projections/{name}/crash", nothing, EDUCATORS),
    // what is bent is shown to everybody in the workspace
    read("/api/v1/lab/dials", "", PEOPLE),
    read("/api/v1/lab/dials/bent", "", PEOPLE),
    read("/api/v1/lab/dials/words", "?lang=de", PEOPLE),
    // the class is not asked anything
    read(
        "/api/v1/lab/class/words",
        "?question=0198c1a2-0000-7000-8000-000000000000",
        [401, 404, 404, 404, 404, 404, 404],
    ),
    // It does not say which version it replaces.
    write(
        "put",
        "/api/v1/lab/dials",
        all_at_rest,
        [401, 403, 403, 403, 403, 428, 428],
    ),
    write("patch", "/api/v1/lab/dials", all_at_rest, EDUCATORS),
    write("delete", "/api/v1/lab/dials", nothing, EDUCATORS),
    write("delete", "/api/v1/lab/dials/{dial}", nothing, EDUCATORS),
    read("/api/v1/lab/class", "", PEOPLE),
    // It does not say which version it replaces.
    write(
        "put",
        "/api/v1/lab/class",
        all_at_rest,
        [401, 403, 403, 403, 403, 428, 428],
    ),
    // no person has this id, and so none has the dial
    write(
        "put",
        "/api/v1/lab/class/dials/{dial}",
        to_a_stranger,
        [401, 403, 403, 403, 403, 400, 400],
    ),
    write(
        "delete",
        "/api/v1/lab/class/dials/{dial}",
        nothing,
        [401, 403, 403, 403, 403, 404, 404],
    ),
    read("/api/v1/lab/class/results.csv", "", EDUCATORS),
    read("/api/v1/lab/class/copies", "", EDUCATORS),
    // fewer than one
    write(
        "post",
        "/api/v1/lab/class/copies",
        no_copies,
        [401, 403, 403, 403, 403, 400, 400],
    ),
    // no person has a copy
    write(
        "post",
        "/api/v1/lab/class/copy",
        nothing,
        [401, 404, 404, 404, 404, 404, 404],
    ),
    read("/api/v1/lab/bots", "", EDUCATORS),
    // fewer than one
    write(
        "put",
        "/api/v1/lab/bots",
        no_bots,
        [401, 403, 403, 403, 403, 400, 400],
    ),
    write("delete", "/api/v1/lab/bots", nothing, EDUCATORS),
    // each in their own workspace, which has an event by now
    write(
        "post",
        "/api/v1/lab/recordings",
        newest_run,
        [401, 403, 403, 403, 201, 201, 201],
    ),
    read("/api/v1/lab/recordings", "", LAB_READERS),
    write(
        "post",
        "/api/v1/lab/views",
        own_view,
        [401, 403, 403, 403, 201, 201, 201],
    ),
    read("/api/v1/lab/views", "", LAB_READERS),
    read("/api/v1/lab/views/fields", "", LAB_READERS),
    // it is a view of the program, and none of one's own
    read(
        "/api/v1/lab/views/{name}",
        "",
        [401, 403, 403, 403, 404, 404, 404],
    ),
    write(
        "delete",
        "/api/v1/lab/views/{name}",
        nothing,
        [401, 403, 403, 403, 404, 404, 404],
    ),
    // no recording has this id
    read(
        "/api/v1/lab/recordings/{id}",
        "",
        [401, 403, 403, 403, 404, 404, 404],
    ),
    write(
        "delete",
        "/api/v1/lab/recordings/{id}",
        nothing,
        [401, 403, 403, 403, 404, 404, 404],
    ),
    // None is being rebuilt yet.
    write(
        "delete",
        "/api/v1/lab/projections/{name}/rebuild",
        nothing,
        [401, 403, 403, 403, 403, 404, 404],
    ),
    write(
        "post",
        "/api/v1/lab/projections/{name}/rebuild",
        nothing,
        [401, 403, 403, 403, 403, 202, 202],
    ),
    read("/api/v1/lab/lessons", "", LAB_READERS),
    // no lesson has this name, and no run has this id
    write(
        "post",
        "/api/v1/lab/lessons/{name}/runs",
        nothing,
        [401, 403, 403, 403, 404, 404, 404],
    ),
    read("/api/v1/lab/runs", "", LAB_READERS),
    read("/api/v1/lab/runs/{id}", "", [401, 403, 403, 403, 404, 404, 404]),
    write(
        "delete",
        "/api/v1/lab/runs/{id}",
        nothing,
        [401, 403, 403, 403, 404, 404, 404],
    ),
    write(
        "post",
        "/api/v1/lab/runs/{id}/steps/{n}",
        reveal,
        [401, 403, 403, 403, 404, 404, 404],
    ),
    read("/infographic.svg", "", ALL),
    // The body lacks every label.
    write("post", "/infographic.svg", no_labels, [422; 7]),
    read("/architecture.mmd", "", ALL),
    write("delete", "/api/v1/sessions", nothing, [204; 7]),
    Rule {
        method: "delete",
        path: "/api/v1/workspace",
        query: "?confirm={workspace}",
        body: nothing,
        // The other educator's workspace has another name.
        expected: [401, 403, 403, 403, 403, 202, 400],
    },
    // The workspace is gone, except that of the other educator; `reset.rs` tries each role.
    Rule {
        method: "post",
        path: "/api/v1/lab/reset",
        query: "?confirm={workspace}",
        body: all_at_rest,
        expected: [401, 410, 410, 410, 410, 410, 400],
    },
];

impl Rule {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The path of a request, whose parameters name what exists in the first workspace.
    fn url(&self, world: &World) -> String {
        let path = format!("{}{}", self.path, self.query);
        [
            ("{view}", "products".to_owned()),
            ("{key}", "teapot-01".to_owned()),
            ("{stream}", "product-teapot-01".to_owned()),
            ("{type}", "ProductListed".to_owned()),
            ("{version}", "1".to_owned()),
            ("{id}", Uuid::from_u128(7).to_string()),
            ("{name}", "products".to_owned()),
            ("{dial}", "broker.delay_ms".to_owned()),
            ("{n}", "1".to_owned()),
            ("{workspace}", world.educator.workspace.to_string()),
        ]
        .iter()
        .fold(path, |path, (parameter, value)| path.replace(parameter, value))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_is_open_to_its_roles_and_no_others() {
    let world = World::new().await;
    let openapi = world.app.get("/api/v1/openapi.json").send().await.unwrap();
    let openapi: Value = openapi.json().await.unwrap();
    let paths = openapi["paths"].as_object().unwrap().iter();
    let existing = paths.flat_map(|(path, operations)| {
        let methods = operations.as_object().unwrap().keys();
        methods.map(move |method| format!("{method} {path}"))
    });
    same_names("operation", existing, RULES.iter().map(Rule::name));

    let mut findings = Findings::default();
    for rule in RULES {
        let method: Method = rule.method.to_uppercase().parse().unwrap();
        for (column, expected) in COLUMNS.into_iter().zip(rule.expected) {
            let mut request = world.app.request(method.clone(), &rule.url(&world));
            // signing out ends the session of the one who does
            let person = if rule.name() == "delete /api/v1/sessions" {
                world.fresh(column).await.map(|(person, _)| person)
            } else {
                world.person(column).cloned()
            };
            if let Some(person) = person {
                request = request.bearer_auth(person.token);
            }
            if let Some(body) = (rule.body)(&world, column) {
                request = request.json(&body);
            }
            let (status, body) = outcome(request.send().await.unwrap()).await;
            findings.check(&rule.name(), column, expected, status, &body);
            if is_outside(column) && body.contains(MARKER) {
                findings.note(format!("{} shows {column:?} another workspace", rule.name()));
            }
        }
    }
    findings.finish();
}
