//! Hostile texts in every text of every command, of its schema, and in the names of guests and workspaces:
//! each is refused by the name of its field, or is stored and then harmless on every page, in every email, in
//! the picture, in exports, in the warehouse, and in the search index.

pub(crate) mod schema;

use std::path::Path;

use clock::{Clock as _, SystemClock};
use domain::aggregate::Command;
use reqwest::Method;
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use crate::{
    app::{Person, place_order},
    dead_letters::get,
    markup::injected_tag,
    rights::{
        Column, PASSWORD, World,
        commands::{Sent, is_of_system, prepared},
        pages::routes,
    },
};

/// Longer than any text may be, and within the limit of a body.
const VERY_LONG: usize = 100_000;

/// What an attacker types, and why.
fn hostile_texts() -> Vec<(&'static str, String)> {
    [
        (
            "the end of every element and attribute",
            "</title></textarea></script>--><hostile x=\"'><hostile>\" hostile='&lt;",
        ),
        (
            "an element with a handler",
            "<img hostile src=x onerror=alert(1)>",
        ),
        ("a script", "<script hostile>alert(1)</script>"),
        (
            "the end of an attribute",
            "\" hostile=\"1\" autofocus onfocus=\"alert(1)",
        ),
        ("a link with a script", "javascript:alert('hostile')"),
        ("SQL", "'; drop table events; --"),
        ("templates", "{{7*7}}${7*7}#{7*7}<%= 7*7 %>"),
        (
            "lines of a header",
            "a\r\nBcc: hostile@example.org\r\n\r\n<hostile>",
        ),
        ("a line feed alone", "a\nSubject: hostile"),
        ("a line separator", "a\u{2028}hostile"),
        ("an override of the direction", "\u{202e}elppa\u{202c}"),
        ("an isolate of the direction", "\u{2067}hostile"),
        ("characters of no width", "a\u{200b}b\u{2060}c\u{feff}"),
        ("a zero byte", "a\0b"),
        ("an escape sequence of a terminal", "\u{1b}]0;hostile\u{7}"),
        (
            "an emoji of several people",
            "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        ),
        ("marks without a letter", "\u{301}\u{302}\u{303}"),
        ("a formula", "=HYPERLINK(\"http://evil.test\";\"hostile\")"),
        ("another formula", "@SUM(1+1)*cmd|' /C calc'!A0"),
        ("a path upwards", "../../../../etc/passwd"),
        ("an encoded path upwards", "..%2f..%2fetc%2fpasswd"),
        ("the beginning of a sealed text", "sealed:AAAA"),
        ("white space alone", " \u{3000} "),
    ]
    .map(|(what, text)| (what, text.to_owned()))
    .into_iter()
    .chain([("a very long text", "x".repeat(VERY_LONG))])
    .collect()
}

/// The data with a text at a pointer; a member that the example lacks comes from the sample.
fn with_text(name: &str, data: &Value, pointer: &str, text: &str) -> Value {
    let mut data = data.clone();
    if data.pointer(pointer).is_none() {
        let member = pointer.split('/').nth(1).unwrap();
        data[member] = schema::sample(name)[member].clone();
    }
    *data.pointer_mut(pointer).unwrap() = json!(text);
    data
}

/// Sends a command, which must be accepted, or refused by the name of the field. Whether it was accepted.
async fn is_accepted(world: &World, person: &Person, command: &Value, pointer: &str, what: &str) -> bool {
    let request = world.app.post("/api/v1/commands", command);
    let response = request.bearer_auth(&person.token).send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let name = command["type"].as_str().unwrap();
    if status == 200 {
        return true;
    }
    if status == 403 {
        assert!(is_of_system(name), "{name}: {body}");
        return false;
    }
    assert!(
        matches!(status, 400 | 422),
        "{name}{pointer}, {what}: {status} {body}"
    );
    if body["rule"] == "order-out-of-turn" {
        // It would be refused with any text.
        return false;
    }
    let field = schema::field(pointer);
    let violations = body["violations"].as_array().into_iter().flatten();
    let mut named = violations.filter_map(|violation| violation["field"].as_str());
    // a sealed text is refused for all of the data, whichever member has it
    let names_it = |found: &str| found == field || field.starts_with(&format!("{found}[")) || found == "data";
    assert!(
        named.any(names_it),
        "{name}{pointer}, {what}: no {field} in {body}"
    );
    false
}

/// Tries every hostile text in every text of a command; how many were accepted.
async fn tries(world: &World, name: &str) -> usize {
    let mut accepted = 0;
    // What no client may send needs no text but one.
    let most = if is_of_system(name) { 1 } else { usize::MAX };
    for pointer in schema::texts(name) {
        for (what, text) in hostile_texts().into_iter().take(most) {
            let Sent { by, stream, data } = prepared(world, Column::Educator, name).await;
            let data = with_text(name, &data, &pointer, &text);
            let command = json!({"type": name, "stream": stream, "data": data});
            let person = by.unwrap();
            accepted += usize::from(is_accepted(world, &person, &command, &pointer, what).await);
        }
    }
    accepted
}

/// Gives the owner of the orders an account, so that emails tell of them.
async fn register_owner(world: &World) {
    let stream = format!("user-{}", world.id(Column::Owner));
    let register = json!({"type": "RegisterUser", "stream": stream, "data": {
        "email": "owner@matrix.example.org", "display_name": "Ada Lovelace", "password": PASSWORD,
    }});
    world
        .app
        .command(world.person(Column::Owner).unwrap(), &register)
        .await;
    world.app.settled(&world.educator).await;
}

/// Guests who join under hostile names, and order something.
async fn guests(world: &World) -> Vec<Person> {
    let mut guests = Vec::new();
    for (what, text) in hostile_texts() {
        let join = json!({"code": world.educator.join_code, "display_name": text});
        let response = world
            .app
            .post("/api/v1/workspaces/join", &join)
            .send()
            .await
            .unwrap();
        if response.status() == 200 {
            let guest = crate::app::person(response).await;
            let order = place_order(SystemClock.new_id(), "mug-01");
            let request = world.app.post("/api/v1/commands", &order);
            let response = request.bearer_auth(&guest.token).send().await.unwrap();
            assert_eq!(
                response.status(),
                200,
                "{what}: {}",
                response.text().await.unwrap()
            );
            guests.push(guest);
        } else {
            let refused = crate::app::problem(response).await;
            assert_eq!(
                crate::app::fields(&refused),
                ["display_name"],
                "{what}: {refused:?}"
            );
        }
        let open = json!({"template": "empty", "name": text});
        let response = world.app.post("/api/v1/workspaces", &open).send().await.unwrap();
        if response.status() == 200 {
            let educator = crate::app::person(response).await;
            is_harmless_page(world, &educator, "/shop", what).await;
        } else {
            let refused = crate::app::problem(response).await;
            assert_eq!(crate::app::fields(&refused), ["name"], "{what}: {refused:?}");
        }
    }
    guests
}

/// Requests a page, and fails where a text of it became markup.
async fn is_harmless_page(world: &World, person: &Person, path: &str, what: &str) {
    let cookie = format!("foldline_session={}", person.token);
    let response = world.app.get(path).header("cookie", cookie).send().await.unwrap();
    assert!(
        response.status().as_u16() < 500,
        "{path}, {what}: {}",
        response.status()
    );
    for name in ["hostile", "bcc", "subject"] {
        assert!(
            !response.headers().contains_key(name),
            "{path}, {what}: a header of a text"
        );
    }
    let body = response.text().await.unwrap();
    assert_eq!(injected_tag(&body), None, "{path}, {what}");
    for character in ['\0', '\u{1b}'] {
        assert!(!body.contains(character), "{path}, {what}: has {character:?}");
    }
}

/// Every page with every person, and every page of a product, an order and a stream.
async fn pages_are_harmless(world: &World, people: &[Person]) {
    let mut paths: Vec<String> = routes()
        .into_iter()
        .filter(|route| !route.contains(':'))
        .collect();
    let mut cursor = String::new();
    loop {
        let page = get(
            &world.app,
            &world.educator,
            &format!("/api/v1/streams?limit=200{cursor}"),
        )
        .await;
        for stream in page["data"].as_array().unwrap() {
            let name = stream["stream"].as_str().unwrap();
            paths.push(format!("/lab/streams/{name}"));
            if let Some(sku) = name.strip_prefix("product-") {
                paths.push(format!("/shop/{sku}"));
            }
            if let Some(order) = name.strip_prefix("order-") {
                paths.push(format!("/orders/{order}"));
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    for path in &paths {
        is_harmless_page(world, &world.educator, path, "as an educator").await;
    }
    for person in people {
        for path in ["/shop", "/account", "/orders", "/inbox", "/basket"] {
            is_harmless_page(world, person, path, "as its own").await;
        }
    }
}

/// Recordings under each text as their title, on the pages that list and play them.
async fn recordings_are_harmless(world: &World) {
    let mut kept = 0;
    for (what, text) in hostile_texts() {
        let request = world.app.post("/api/v1/lab/recordings", &json!({"title": text}));
        let response = request.bearer_auth(&world.educator.token).send().await.unwrap();
        if response.status() != 201 {
            let refused = crate::app::problem(response).await;
            assert_eq!(crate::app::fields(&refused), ["title"], "{what}: {refused:?}");
            continue;
        }
        kept += 1;
        let answer: Value = response.json().await.unwrap();
        let page = answer["link"].as_str().unwrap();
        for path in ["/lab/recording", page] {
            is_harmless_page(world, &world.educator, path, what).await;
        }
        let path = format!("/api/v1/lab/recordings/{}", answer["id"].as_str().unwrap());
        let request = world.app.request(Method::DELETE, &path);
        let deleted = request.bearer_auth(&world.educator.token).send().await.unwrap();
        assert_eq!(deleted.status(), 204, "{what}");
    }
    assert!(kept > 5, "{kept} titles were stored");
}

async fn mails_are_harmless(world: &World) {
    let mut cursor = String::new();
    let mut shown = 0;
    loop {
        let page = get(
            &world.app,
            &world.educator,
            &format!("/api/v1/mailbox?limit=100{cursor}"),
        )
        .await;
        for mail in page["data"].as_array().unwrap() {
            shown += usize::from(mail["html"].as_str().unwrap().contains("hostile"));
            assert_eq!(injected_tag(mail["html"].as_str().unwrap()), None, "{mail}");
            for header in ["subject", "to"] {
                let text = mail[header].as_str().unwrap();
                assert!(!text.contains(char::is_control), "{mail}");
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(shown > 0, "no email shows a hostile reason");
}

/// The picture with each text as its title, and the search for each text.
async fn queries_are_harmless(world: &World) {
    for (what, text) in hostile_texts() {
        if text.len() >= VERY_LONG {
            continue;
        }
        let encoded: String = byte_serialize(text.as_bytes()).collect();
        let picture = world.app.get(&format!("/infographic.svg?title={encoded}"));
        let picture = picture.send().await.unwrap();
        assert!(picture.status().as_u16() < 500, "{what}");
        let picture = picture.text().await.unwrap();
        assert_eq!(injected_tag(&picture), None, "{what}");
        for path in ["search?q", "views/products?group", "streams?prefix"] {
            let request = world.app.get(&format!("/api/v1/{path}={encoded}"));
            let response = request.bearer_auth(&world.educator.token).send().await.unwrap();
            assert!(response.status().as_u16() < 500, "{path}, {what}");
            let _: Value = response.json().await.unwrap();
        }
    }
}

/// Each line of the export is one event, and names no other file.
async fn export_is_whole(world: &World) {
    let request = world.app.get("/api/v1/export").bearer_auth(&world.educator.token);
    let export = request.send().await.unwrap().text().await.unwrap();
    let lines: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let verified = get(&world.app, &world.educator, "/api/v1/verify").await;
    let events = usize::try_from(verified["events"].as_u64().unwrap()).unwrap();
    assert!(lines.len() > events, "{} lines of {events} events", lines.len());
    assert_eq!(verified["findings"], json!([]), "{verified}");
}

/// The files of a folder and of those in it.
fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path.display().to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_text_is_refused_by_its_field_or_harmless_where_it_is_shown() {
    let world = World::new().await;
    register_owner(&world).await;
    let mut accepted = 0;
    for name in Command::names() {
        accepted += tries(&world, name).await;
    }
    assert!(
        accepted > 20,
        "{accepted} texts were stored: the pages below would show nothing"
    );
    let guests = guests(&world).await;
    assert!(!guests.is_empty());
    world.app.settled(&world.educator).await;

    let letters = get(&world.app, &world.educator, "/api/v1/dead-letters").await;
    assert_eq!(letters["data"], json!([]));
    pages_are_harmless(&world, &guests).await;
    mails_are_harmless(&world).await;
    queries_are_harmless(&world).await;
    recordings_are_harmless(&world).await;
    export_is_whole(&world).await;
    let mut stored = Vec::new();
    files(world.app.folder(), &mut stored);
    assert!(stored.iter().any(|file| file.contains("warehouse")), "{stored:?}");
    for file in &stored {
        for part in ["..", "passwd", "hostile", "<", "\"", "'"] {
            assert!(!file.contains(part), "{file}");
        }
        assert!(!file.contains(char::is_control), "{file}");
    }
}
