//! Control characters and bytes that are not UTF-8 are refused by every endpoint, with the name of the field,
//! on both databases; neither they nor texts that are too long for an index stop a lane.

use domain::access::Role;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use test_postgres::Database;

use crate::app::{Person, TestApp, fields, list_product, problem};

async fn is_refused(request: RequestBuilder, field: &str) {
    let detail = is_malformed(request, field).await;
    assert!(
        detail.contains("U+00") && detail.contains("leave it out"),
        "{detail}"
    );
}

/// Expects a problem of status 400 that names this field; its detail.
async fn is_malformed(request: RequestBuilder, field: &str) -> String {
    let refused = problem(request.send().await.unwrap()).await;
    assert_eq!(
        (refused.status, fields(&refused)),
        (400, vec![field]),
        "{refused:?}"
    );
    refused.detail
}

/// A command of every kind of stream, with a control character in it, and the field.
fn commands() -> Vec<(Value, &'static str)> {
    let command =
        |name: &str, stream: &str, data: Value| json!({"type": name, "stream": stream, "data": data});
    let product = |field: &str, text: &str| {
        let mut command = list_product("mug-1");
        command["data"][field] = json!(text);
        command
    };
    let mut tagged = list_product("mug-1");
    tagged["data"]["tags"] = json!(["kitchen", "a\u{85}"]);
    vec![
        (product("name", "Mu\0g"), "data.name"),
        (product("name", "Mu\ng"), "data.name"),
        (product("description", "For\u{1b}tea"), "data.description"),
        (product("sku", "mug\u{7f}"), "data.sku"),
        (product("a\0", "b"), "data"),
        (tagged, "data.tags[1]"),
        (
            command(
                "ReserveStock",
                "inventory-mug-1",
                json!({"order": "a\0", "quantity": 1}),
            ),
            "data.order",
        ),
        (
            command(
                "PlaceOrder",
                "order-1",
                json!({"lines": [{"sku": "a\0", "quantity": 1}], "payment_method": "tok_ok"}),
            ),
            "data.lines[0].sku",
        ),
        (
            command("CancelOrder", "order-1", json!({"reason": "a\0"})),
            "data.reason",
        ),
        (
            command("ProcessPayment", "payment-1", json!({"order": "a\0"})),
            "data.order",
        ),
        (
            command(
                "RegisterUser",
                "user-1",
                json!({"email": "a\0@b.co", "password": "correct horse"}),
            ),
            "data.email",
        ),
        (
            command("ChangeDisplayName", "user-1", json!({"display_name": "A\0"})),
            "data.display_name",
        ),
        (
            command("ReadNotifications", "inbox-1", json!({"events": ["a\0"]})),
            "data.events[0]",
        ),
        (
            command("ReserveEmail", "email-1", json!({"user": "a\0"})),
            "data.user",
        ),
        (command("List\0Product", "product-1", json!({})), "type"),
        (command("ListProduct", "product-\0", json!({})), "stream"),
    ]
}

const URLS: [(&str, &str); 22] = [
    ("/api/v1/views/orders/a%00b", "key"),
    ("/api/v1/views/o%00/a", "view"),
    ("/api/v1/views/products?group=a%00", "group"),
    ("/api/v1/views/products?listing=%00", "listing"),
    ("/api/v1/views/products?cursor=%00", "cursor"),
    ("/api/v1/views/products?after=%00", "after"),
    ("/api/v1/streams?prefix=order-%00", "prefix"),
    ("/api/v1/streams?cursor=a%C2%80", "cursor"),
    ("/api/v1/streams/order-%00", "stream"),
    ("/api/v1/events?type=%00", "type"),
    ("/api/v1/events?category=a%1F", "category"),
    ("/api/v1/events?correlation=%00", "correlation"),
    ("/api/v1/events?since=%00", "since"),
    ("/api/v1/events?order=desc&to=%00", "to"),
    ("/api/v1/events/%00", "id"),
    ("/api/v1/search?q=a%00", "q"),
    ("/api/v1/search?q=a&tag=%7f", "tag"),
    ("/api/v1/dead-letters?cursor=%00", "cursor"),
    ("/api/v1/schemas/A%00/1", "type"),
    ("/api/v1/lab/projections?%00=1", "query"),
    ("/api/v1/lab/hops?after=%00", "after"),
    ("/api/v1/lab/handled?event=%00", "event"),
];

/// URLs that are not UTF-8 when decoded: an invalid byte, half of a surrogate pair, half a character.
const NOT_UTF8: [(&str, &str); 13] = [
    ("/api/v1/streams/%ff", "stream"),
    ("/api/v1/views/orders/%ED%A0%80", "key"),
    ("/api/v1/views/%ff", "view"),
    ("/api/v1/views/products?group=%C3", "group"),
    ("/api/v1/views/products?cursor=%ff", "cursor"),
    ("/api/v1/streams?prefix=order-%ff", "prefix"),
    ("/api/v1/events?category=%ff", "category"),
    ("/api/v1/events/%ff", "id"),
    ("/api/v1/search?q=%ED%A0%80", "q"),
    ("/api/v1/schemas/%ff/1", "type"),
    ("/api/v1/lab/projections?%ff=1", "query"),
    ("/api/v1/lab/hops?after=%ff", "after"),
    ("/api/v1/lab/handled?event=%ff", "event"),
];

/// JSON bodies with texts that are not Unicode; as bytes, because a `Value` cannot hold them.
const NOT_UNICODE: [(&[u8], &str); 4] = [
    (br#"{"type":"A","stream":"order-\ud800","data":{}}"#, "stream"),
    (
        br#"{"type":"A","stream":"order-1","data":{"reason":"\ud800"}}"#,
        "data.reason",
    ),
    (
        b"{\"type\":\"A\",\"stream\":\"order-1\",\"data\":{\"reason\":\"\xff\"}}",
        "data.reason",
    ),
    (b"\xff", "body"),
];

async fn refuses_what_is_not_unicode(app: &TestApp) {
    let educator = app.educator().await;
    for (url, field) in NOT_UTF8 {
        let detail = is_malformed(app.get(url).bearer_auth(&educator.token), field).await;
        assert!(detail.contains("not UTF-8"), "{url}: {detail}");
    }
    for (body, field) in NOT_UNICODE {
        let request = app.request(reqwest::Method::POST, "/api/v1/commands").body(body);
        let request = request.header("content-type", "application/json");
        is_malformed(request.bearer_auth(&educator.token), field).await;
    }
    let form = "code=A&display_name=A%ff";
    let request = app.request(reqwest::Method::POST, "/session/join").body(form);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = request.send().await.unwrap();
    let to = answer.headers()["location"].to_str().unwrap();
    assert!(to.contains("problem=invalid"), "{to}");
}

/// Cursors with a seek key that no listing has.
async fn refuses_an_invented_cursor(app: &TestApp) {
    let educator = app.educator().await;
    for (sort, key) in [("a\0", "b"), ("a", "b\0")] {
        let cursor = json!({"v": "products", "l": "all", "g": "", "o": "asc", "w": "n", "s": sort, "k": key});
        let url = format!(
            "/api/v1/views/products?cursor={}",
            hex::encode(cursor.to_string())
        );
        let detail = is_malformed(app.get(&url).bearer_auth(&educator.token), "cursor").await;
        assert!(detail.contains("is not one that this listing gave"), "{detail}");
    }
}

/// Texts that would become keys of a view and are too long for its index.
async fn refuses_a_key_that_is_too_long(app: &TestApp) {
    let educator = app.educator().await;
    let staff = app.with_role(&educator, Role::Staff);
    let random = |length: usize| -> String {
        (0..length)
            .map(|_| char::from(rand::random_range(b'a'..=b'z')))
            .collect()
    };
    for command_type in ["ReserveStock", "ReleaseStock", "ShipStock"] {
        for length in [115, 4_000, 200_000] {
            let mut data = json!({"order": random(length)});
            if command_type == "ReserveStock" {
                data["quantity"] = json!(1);
            }
            let command = json!({"type": command_type, "stream": "inventory-mug-1", "data": data});
            let request = app.post("/api/v1/commands", &command);
            let refused = problem(request.bearer_auth(&educator.token).send().await.unwrap()).await;
            assert_eq!(
                (refused.status, fields(&refused)),
                (422, vec!["data.order"]),
                "{refused:?}"
            );
        }
    }
    let mut padded = list_product("mug-1");
    // Spaces of several widths, so that a database cannot compress them.
    let space = |_| char::from_u32(rand::random_range(0x2000..=0x200a_u32)).unwrap();
    padded["data"]["name"] = json!(format!("Mug{}", (0..4_000).map(space).collect::<String>()));
    let request = app.post("/api/v1/commands", &padded);
    let refused = problem(request.bearer_auth(&staff.token).send().await.unwrap()).await;
    assert_eq!((refused.status, fields(&refused)), (422, vec!["data.name"]));
    // The longest valid key is folded.
    let order = random(114);
    app.command(&staff, &list_product("mug-1")).await;
    let received = json!({"type": "ReceiveStock", "stream": "inventory-mug-1", "data": {"quantity": 5}});
    app.command(&staff, &received).await;
    let reserved = json!({"type": "ReserveStock", "stream": "inventory-mug-1",
        "data": {"order": order, "quantity": 1}});
    app.command(&educator, &reserved).await;
    app.settled(&educator).await;
    let letters = app.get("/api/v1/dead-letters").bearer_auth(&staff.token);
    let letters: Value = letters.send().await.unwrap().json().await.unwrap();
    assert_eq!(letters["data"], json!([]));
}

async fn refuses_them_all(app: &TestApp) {
    let educator = app.educator().await;
    let staff = app.with_role(&educator, Role::Staff);
    let send =
        |person: &Person, command: &Value| app.post("/api/v1/commands", command).bearer_auth(&person.token);
    for (command, field) in &commands() {
        is_refused(send(&staff, command), field).await;
    }
    for (url, field) in URLS {
        is_refused(app.get(url).bearer_auth(&educator.token), field).await;
    }
    let code = &educator.join_code;
    for (path, body, field) in [
        ("workspaces", json!({"template": "empty", "name": "A\0"}), "name"),
        (
            "workspaces/join",
            json!({"code": "\0", "display_name": "Ada"}),
            "code",
        ),
        (
            "workspaces/join",
            json!({"code": code, "display_name": "A\0"}),
            "display_name",
        ),
    ] {
        is_refused(app.post(&format!("/api/v1/{path}"), &body), field).await;
    }
    for (body, field) in [
        (json!({"title": "A\0"}), "title"),
        (json!({"from": "0:\0"}), "from"),
    ] {
        let keep = app
            .post("/api/v1/lab/recordings", &body)
            .bearer_auth(&educator.token);
        is_malformed(keep, field).await;
    }
    // A form leads back to its page, and begins no session.
    for (path, form) in [
        (
            "/session/join",
            [("code", code.as_str()), ("display_name", "A\0")],
        ),
        ("/session/open", [("name", "A\0"), ("display_name", "Ada")]),
        (
            "/session/sign-in",
            [("email", "a\0@b.co"), ("password", "correct horse")],
        ),
    ] {
        let form: Vec<_> = form
            .iter()
            .map(|(name, text)| format!("{name}={}", text.replace('\0', "%00")))
            .collect();
        let request = app.request(reqwest::Method::POST, path).body(form.join("&"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        let to = answer.headers()["location"].to_str().unwrap();
        assert!(to.contains("problem=invalid"), "{path}: {to}");
        assert!(!answer.headers().contains_key("set-cookie"), "{path}");
    }
    let mut live = app.live(&staff).await;
    live.send(&json!({"op": "command", "id": 7, "idempotency_key": "a",
        "command": {"type": "ListProduct", "stream": "product-a", "data": {"sku": "a\0"}}}))
        .await;
    let answer = live.next_of("result").await;
    assert_eq!(
        (&answer["id"], &answer["problem"]["violations"][0]["field"]),
        (&json!(7), &json!("data.sku"))
    );
    live.send(&json!({"op": "subscribe", "id": 8, "view": "products", "key": "a\0"}))
        .await;
    let answer = live.next_of("error").await;
    assert_eq!(
        (&answer["id"], &answer["problem"]["violations"][0]["field"]),
        (&json!(8), &json!("key"))
    );

    // Names in any script and prose of several lines are accepted.
    let mut command = list_product("mug-1");
    command["data"]["name"] = json!("كوب");
    command["data"]["description"] = json!("For tea.\n\tAnd coffee.");
    app.command(&staff, &command).await;
    app.settled(&educator).await;
    let ready: Value = app.get("/readyz").send().await.unwrap().json().await.unwrap();
    assert_eq!(ready, json!({"ready": true, "waiting_for": []}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_character_is_refused_by_its_field_on_files() {
    let app = TestApp::start().await;
    refuses_them_all(&app).await;
    refuses_what_is_not_unicode(&app).await;
    refuses_an_invented_cursor(&app).await;
    refuses_a_key_that_is_too_long(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_character_is_refused_by_its_field_on_postgresql() {
    let database = Database::new().await;
    let app = TestApp::start_with(&["--event-store", &database.url, "--read-model", &database.url]).await;
    refuses_them_all(&app).await;
    refuses_an_invented_cursor(&app).await;
    refuses_a_key_that_is_too_long(&app).await;
    app.stop().await;
}
