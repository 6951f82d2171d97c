//! The limits of connections: their progress, their number, and the cost of joining.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::app::TestApp;

/// The deadline of these tests, longer than a busy machine needs.
const TEST_TIMEOUT: Duration = Duration::from_mins(15);

/// A request after which the connection stays open.
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// A request after whose answer the server closes the connection.
const LAST_REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// The connection preface of HTTP/2.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames of HTTP/2.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
/// Flags of [`HEADERS`].
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection that has sent `bytes`.
async fn connect(app: &TestApp, bytes: &[u8]) -> TcpStream {
    let url = app.url("");
    let (_, address) = url.split_once("://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has closed already accepts nothing.
    let _ = stream.write_all(bytes).await;
    stream
}

/// Waits until the server has closed a connection; the bytes that it sent before.
async fn closed(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset counts as closed.
    let _ = tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut said))
        .await
        .expect("the server closes it");
    said
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let app = TestApp::start_with(&["--first-request-timeout-ms", "300"]).await;
    let settings = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for bytes in [
        b"".as_slice(),
        b"G",
        b"GET /healthz HTTP/1.1\r\nHost: ",
        b"PRI * HT",
        PREFACE,
        &settings,
    ] {
        closed(connect(&app, bytes).await).await;
    }
    assert_eq!(app.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_without_exactly_one_host_is_refused_wherever_it_goes() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    // A repeated query is answered from memory.
    for _ in 0..2 {
        let listed = app.get("/api/v1/views/products").bearer_auth(&educator.token);
        assert_eq!(listed.send().await.unwrap().status(), StatusCode::OK);
    }
    let token = format!("Authorization: Bearer {}\r\n", educator.token);
    let answer = async |line: &str, head: &str| {
        let request = format!("{line}\r\n{head}{token}Connection: close\r\n\r\n");
        let said = closed(connect(&app, request.as_bytes()).await).await;
        String::from_utf8_lossy(&said).into_owned()
    };
    for path in [
        "/healthz",
        "/",
        "/api/v1/views/products",
        "/api/v1/no-such",
        "/metrics",
    ] {
        let line = format!("GET {path} HTTP/1.1");
        for head in [
            "",
            "Host: a\r\nHost: b\r\n",
            "Host: a\r\nhost: a\r\n",
            "Host:\r\n",
            "Host: a@b\r\n",
        ] {
            let said = answer(&line, head).await;
            assert!(said.starts_with("HTTP/1.1 400"), "{path} {head:?}: {said}");
            assert!(said.contains("x-content-type-options"), "{said}");
        }
    }
    for (line, head) in [
        ("GET /api/v1/views/products HTTP/1.1", "Host: localhost\r\n"),
        ("GET /healthz HTTP/1.1", "Host: [::1]:3000\r\n"),
        ("GET /healthz HTTP/1.0", ""),
    ] {
        let said = answer(line, head).await;
        assert!(said.starts_with("HTTP/1.") && said.contains(" 200 OK"), "{said}");
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_closed() {
    let app = TestApp::start_with(&["--first-request-timeout-ms", "300", "--tls", "self-signed"]).await;
    for bytes in [b"".as_slice(), &[0x16], &[0x16, 3, 1, 2, 0, 1]] {
        closed(connect(&app, bytes).await).await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_an_answer() {
    let app = TestApp::start_with(&["--idle-timeout-ms", "300"]).await;
    let said = closed(connect(&app, REQUEST).await).await;
    assert!(
        said.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

#[tokio::test]
async fn a_connection_may_be_idle_for_longer_than_a_first_request_may_take() {
    let app = TestApp::start_with(&["--first-request-timeout-ms", "300"]).await;
    let mut kept = connect(&app, REQUEST).await;
    assert_ne!(kept.read(&mut [0; 1_024]).await.unwrap(), 0);
    // This one is closed after the time that a first request may take.
    closed(connect(&app, b"").await).await;
    kept.write_all(LAST_REQUEST).await.unwrap();
    let said = String::from_utf8(closed(kept).await).unwrap();
    assert!(said.contains("HTTP/1.1 200"), "{said}");
}

#[tokio::test]
async fn a_live_socket_may_be_idle_for_longer() {
    let app = TestApp::start_with(&["--idle-timeout-ms", "300"]).await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    // A connection that became idle after the socket did is closed.
    closed(connect(&app, REQUEST).await).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "products", "listing": "all"}))
        .await;
    live.next_of("snapshot").await;
}

#[tokio::test]
async fn a_connection_whose_answers_are_never_read_is_closed() {
    let app = TestApp::start_with(&["--idle-timeout-ms", "300", "--requests-per-minute", "0"]).await;
    let url = app.url("");
    let (_, address) = url.split_once("://").unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // The server reads no more from a client that reads nothing, until it closes the connection.
    let refused = async { while stream.write_all(request).await.is_ok() {} };
    tokio::time::timeout(TEST_TIMEOUT, refused)
        .await
        .expect("the server closes it");
    assert_eq!(app.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn pings_after_an_answer_do_not_keep_a_connection() {
    let app = TestApp::start_with(&["--idle-timeout-ms", "300"]).await;
    let answered = pinged_until_closed(&app, &[], END_STREAM, &get()).await;
    assert!(answered.contains(&HEADERS), "{answered:?}");
    assert!(answered.contains(&PING), "{answered:?}");
}

#[tokio::test]
async fn pings_do_not_keep_a_connection_whose_answer_has_no_room() {
    let app = TestApp::start_with(&["--idle-timeout-ms", "300"]).await;
    // The initial window of a stream is 0.
    let settings = [0, 4, 0, 0, 0, 0];
    let answered = pinged_until_closed(&app, &settings, END_STREAM, &get()).await;
    assert!(answered.contains(&HEADERS), "{answered:?}");
    assert!(!answered.contains(&DATA), "{answered:?}");
}

#[tokio::test]
async fn pings_do_not_keep_a_connection_whose_request_never_ends() {
    let app = TestApp::start_with(&["--idle-timeout-ms", "300"]).await;
    let post = [
        [0x83_u8, 0x86].as_slice(),
        &literal(&[0x04], "/api/v1/workspaces"),
        &literal(&[0x01], "localhost"),
        &literal(&[0x0f, 0x10], "application/json"),
    ]
    .concat();
    let answered = pinged_until_closed(&app, &[], 0, &post).await;
    assert!(!answered.contains(&HEADERS), "{answered:?}");
}

/// The headers of a `GET` that is answered with a body.
fn get() -> Vec<u8> {
    let path = literal(&[0x04], "/healthz");
    [[0x82_u8, 0x86].as_slice(), &path, &literal(&[0x01], "localhost")].concat()
}

/// A header of HPACK, its name by its index in the static table, its value as it is.
fn literal(index: &[u8], value: &str) -> Vec<u8> {
    [index, &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [[0, 0, length, kind, flags, 0, 0, 0, stream].as_slice(), payload].concat()
}

/// Begins a request over HTTP/2, then sends PINGs, each after an answer to the one before, until the server
/// closes the connection. The kinds of the received frames.
async fn pinged_until_closed(app: &TestApp, settings: &[u8], flags: u8, headers: &[u8]) -> Vec<u8> {
    let settings = frame(SETTINGS, 0, 0, settings);
    let headers = frame(HEADERS, END_HEADERS | flags, 1, headers);
    let mut stream = connect(app, &[PREFACE, &settings, &headers].concat()).await;
    let ping = frame(PING, 0, 0, &[0; 8]);
    let mut said: Vec<u8> = Vec::new();
    let pinged = async {
        loop {
            // A server that has closed already accepts nothing; the read notices that.
            let _ = stream.write_all(&ping).await;
            if !matches!(stream.read_buf(&mut said).await, Ok(1..)) {
                break;
            }
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, pinged)
        .await
        .expect("the server closes it");
    kinds(&said)
}

/// The kinds of frames.
fn kinds(mut frames: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [high, middle, low, kind, _, _, _, _, _, rest @ ..] = frames {
        kinds.push(*kind);
        let length = usize::from(*high) * 65_536 + usize::from(u16::from_be_bytes([*middle, *low]));
        frames = rest.get(length..).unwrap_or_default();
    }
    kinds
}

#[tokio::test]
async fn a_request_that_waits_for_long_is_answered() {
    let app = TestApp::start_with(&["--first-request-timeout-ms", "100", "--idle-timeout-ms", "100"]).await;
    let educator = app.educator().await;
    let ahead = app.get("/api/v1/views/orders?after=0:999&timeout_ms=1000");
    let response = ahead.bearer_auth(&educator.token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_connection_over_the_limit_is_closed_and_accepted_when_others_have_ended() {
    for limit in ["--max-connections", "--max-connections-per-address"] {
        let app = TestApp::start_with(&[limit, "3"]).await;
        // A connection that is answered counts as open.
        let mut held = Vec::new();
        for _ in 0..3 {
            let mut stream = connect(&app, REQUEST).await;
            assert_ne!(stream.read(&mut [0; 12]).await.unwrap(), 0, "{limit}");
            held.push(stream);
        }
        assert_eq!(closed(connect(&app, REQUEST).await).await, b"", "{limit}");
        held.pop();
        while closed_or_answered(&app).await.is_empty() {}
    }
}

/// The bytes that a new connection gets; the server may not have noticed yet that another has ended.
async fn closed_or_answered(app: &TestApp) -> Vec<u8> {
    closed(connect(app, LAST_REQUEST).await).await
}

#[tokio::test]
async fn a_join_code_is_charged_to_the_address_before_it_is_looked_up() {
    for path in ["/api/v1/workspaces/join", "/session/join", "/session/sign-in"] {
        let app = TestApp::start_with(&["--requests-per-minute", "60"]).await;
        let guess = |code: String| {
            let app = &app;
            async move {
                let request = app.request(reqwest::Method::POST, path);
                let request = if path.starts_with("/api") {
                    request.json(&json!({"code": code, "display_name": "Ada"}))
                } else {
                    request
                        .header("content-type", "application/x-www-form-urlencoded")
                        .body(format!(
                            "code={code}&display_name=Ada&email=ada%40example.org&password=a+password"
                        ))
                };
                outcome(request.send().await.unwrap()).await
            }
        };
        let mut outcomes = Vec::new();
        for guesses in 0..6 {
            outcomes.push(guess(format!("NOSUCH{guesses}")).await);
        }
        assert!(
            outcomes
                .first()
                .is_some_and(|first| first.contains("code") && !first.contains("rate-limited")),
            "{path}: {outcomes:?}"
        );
        assert!(
            outcomes.last().is_some_and(|last| last.contains("rate-limited")),
            "{path}: {outcomes:?}"
        );
    }
}

/// The outcome of a request: a problem's body, or the redirect of a form.
async fn outcome(response: reqwest::Response) -> String {
    let headers = response.headers();
    let cookie = headers.get("set-cookie").map(|value| value.to_str().unwrap());
    let left = cookie
        .and_then(|cookie| cookie.strip_prefix("foldline_form=")?.split(';').next())
        .map(|left| String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(left).unwrap()).unwrap());
    let location = format!("{:?}", headers.get("location"));
    location + &left.unwrap_or_default() + &response.text().await.unwrap()
}
