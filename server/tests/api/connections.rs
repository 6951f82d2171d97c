//! Connections that bring nothing, and more connections than there may be.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::app::TestApp;

/// Longer than a server may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A connection that has sent `bytes`.
async fn connect(app: &TestApp, bytes: &[u8]) -> TcpStream {
    let url = app.url("");
    let (_, address) = url.split_once("://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has closed already takes nothing.
    let _ = stream.write_all(bytes).await;
    stream
}

/// Waits until the server has closed a connection; what it said before.
async fn closed(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // To be cut off is to be closed.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said))
        .await
        .expect("the server closes it");
    said
}

#[tokio::test]
async fn a_connection_that_brings_no_request_is_closed() {
    let app = TestApp::start_with(&["--first-request-timeout-ms", "300"]).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [preface.as_slice(), &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    for bytes in [
        b"".as_slice(),
        b"G",
        b"GET /healthz HTTP/1.1\r\nHost: ",
        b"PRI * HT",
        preface,
        &settings,
    ] {
        closed(connect(&app, bytes).await).await;
    }
    assert_eq!(app.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_closed() {
    let app = TestApp::start_with(&["--first-request-timeout-ms", "300", "--tls", "self-signed"]).await;
    for bytes in [b"".as_slice(), &[0x16], &[0x16, 3, 1, 2, 0, 1]] {
        closed(connect(&app, bytes).await).await;
    }
}

#[tokio::test]
async fn a_connection_that_lies_idle_after_an_answer_is_closed() {
    let app = TestApp::start_with(&["--idle-timeout-ms", "300"]).await;
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let said = closed(connect(&app, request).await).await;
    assert!(
        said.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&said)
    );
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
async fn one_connection_too_many_is_closed_and_there_is_room_when_others_are_gone() {
    for limit in ["--max-connections", "--max-connections-per-address"] {
        let app = TestApp::start_with(&[limit, "3"]).await;
        // One that is answered is one that is held.
        let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let mut held = Vec::new();
        for _ in 0..3 {
            let mut stream = connect(&app, request).await;
            assert_ne!(stream.read(&mut [0; 12]).await.unwrap(), 0, "{limit}");
            held.push(stream);
        }
        assert_eq!(closed(connect(&app, request).await).await, b"", "{limit}");
        held.pop();
        while closed_or_answered(&app).await.is_empty() {}
    }
}

/// What a connection gets, which may come before the server has seen that another one is gone.
async fn closed_or_answered(app: &TestApp) -> Vec<u8> {
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    closed(connect(app, request).await).await
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

/// What an answer says, wherever it says it: a problem's body, or what a form's answer leaves for the page.
async fn outcome(response: reqwest::Response) -> String {
    let headers = format!("{:?}", response.headers());
    headers + &response.text().await.unwrap()
}
