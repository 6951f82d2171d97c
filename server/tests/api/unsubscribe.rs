//! `/unsubscribe`: the link of every email that stops further emails without signing in.

use reqwest::{Method, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    app::{Person, TestApp},
    dead_letters::get,
    mailbox::{order, registered, stock, subjects},
};

/// The token of the link in a person's newest email.
async fn token(app: &TestApp, person: &Person) -> String {
    let page = get(app, person, "/api/v1/mailbox?limit=1").await;
    let text = page["data"][0]["text"].as_str().unwrap();
    let link = format!("{}/unsubscribe?token=", app.origin());
    let (_, token) = text.split_once(&link).unwrap();
    token.trim().to_owned()
}

/// The answer to a link that is followed, or sent as a form.
async fn follow(app: &TestApp, method: Method, token: &str) -> Response {
    let path = format!("/unsubscribe?token={token}");
    app.request(method, &path).send().await.unwrap()
}

/// The number of `MailsStopped` events.
async fn stops(app: &TestApp, educator: &Person) -> usize {
    let events = get(app, educator, "/api/v1/events?type=MailsStopped").await;
    events["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_link_of_a_mail_stops_mails_without_signing_in_and_may_be_repeated() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    stock(&app, &educator).await;
    let (ada, user) = registered(&app, &educator, "ada@example.org").await;
    let (bob, _) = registered(&app, &educator, "bob@example.org").await;
    let token = token(&app, &ada).await;
    // email programs follow links to preview them: that changes nothing
    let asked = follow(&app, Method::GET, &token).await;
    assert_eq!(asked.status(), StatusCode::OK);
    let form = format!("<form method=\"post\" action=\"/unsubscribe?token={token}\">");
    let page = asked.text().await.unwrap();
    assert!(page.contains(&form), "{page}");
    order(&app, &educator, &ada).await;
    assert_eq!(subjects(&app, &ada, "").await.len(), 2);

    for _ in 0..2 {
        let stopped = follow(&app, Method::POST, &token).await;
        assert_eq!(stopped.status(), StatusCode::OK);
        assert!(stopped.text().await.unwrap().contains("no longer emails you"));
    }
    assert_eq!(stops(&app, &educator).await, 1, "it is stored once");
    for person in [&ada, &bob] {
        order(&app, &educator, person).await;
    }
    assert_eq!(subjects(&app, &ada, "").await.len(), 2, "no more of them");
    assert_eq!(
        subjects(&app, &bob, "").await.len(),
        2,
        "other people still get their mails"
    );
    // the inbox still gets notifications
    let path = format!("/api/v1/views/notifications?listing=inbox&group={user}");
    assert_eq!(get(&app, &ada, &path).await["data"].as_array().unwrap().len(), 2);
}

/// The stored answers of commands without events.
async fn stored_answers(app: &TestApp) -> i64 {
    let options = SqliteConnectOptions::new()
        .filename(app.folder().join("events.db"))
        .read_only(true);
    let mut events = SqliteConnection::connect_with(&options).await.unwrap();
    let (count,): (i64,) = sqlx::query_as("select count(*) from answers")
        .fetch_one(&mut events)
        .await
        .unwrap();
    events.close().await.unwrap();
    count
}

#[tokio::test]
async fn a_link_that_is_used_again_and_again_stores_nothing() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, user) = registered(&app, &educator, "ada@example.org").await;
    let token = token(&app, &ada).await;
    follow(&app, Method::POST, &token).await;
    let before = stored_answers(&app).await;
    for _ in 0..20 {
        let stopped = follow(&app, Method::POST, &token).await;
        assert_eq!(stopped.status(), StatusCode::OK);
    }
    assert_eq!(stored_answers(&app).await, before);
    // A person who resumes emails can stop them by the same link.
    let resume = json!({"type": "ResumeMails", "stream": format!("inbox-{user}"), "data": {}});
    app.command(&ada, &resume).await;
    follow(&app, Method::POST, &token).await;
    assert_eq!(stops(&app, &educator).await, 2);
}

#[tokio::test]
async fn a_flood_of_links_is_limited_and_does_not_use_up_the_requests_of_its_address() {
    let app = TestApp::start_with(&["--requests-per-minute", "60"]).await;
    let mut sent = 0;
    while follow(&app, Method::POST, "made-up").await.status() != StatusCode::TOO_MANY_REQUESTS {
        sent += 1;
        assert!(sent < 1_000, "nothing was refused");
    }
    let session = app.get("/api/v1/session").send().await.unwrap();
    assert_eq!(session.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_mail_program_unsubscribes_by_itself() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, _) = registered(&app, &educator, "ada@example.org").await;
    let path = format!("/unsubscribe?token={}", token(&app, &ada).await);
    // RFC 8058, section 3.1
    let sent = app
        .request(Method::POST, &path)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body("List-Unsubscribe=One-Click");
    assert_eq!(sent.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(stops(&app, &educator).await, 1);
}

#[tokio::test]
async fn a_forged_link_does_nothing_and_a_valid_one_permits_nothing_else() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, _) = registered(&app, &educator, "ada@example.org").await;
    let elsewhere = TestApp::start().await;
    let theirs = elsewhere.educator().await;
    let (eve, _) = registered(&elsewhere, &theirs, "ada@example.org").await;
    let ours = token(&app, &ada).await;
    let (signed, signature) = ours.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    let forged = [
        String::new(),
        "nonsense".to_owned(),
        signed.to_owned(),
        format!("{signed}.{turned}"),
        format!("{ours}{}", "a".repeat(2_000)),
        // signed by this server for another purpose; signed for this purpose by another server
        ada.token.clone(),
        token(&elsewhere, &eve).await,
    ];
    for token in &forged {
        for method in [Method::GET, Method::POST] {
            let refused = follow(&app, method, token).await;
            assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{token}");
            let page = refused.text().await.unwrap();
            assert!(page.contains("Unknown link") && !page.contains("<form"), "{page}");
        }
    }
    assert_eq!(stops(&app, &educator).await, 0);
    for path in ["/api/v1/session", "/api/v1/mailbox"] {
        let refused = app.get(path).bearer_auth(&ours).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn the_link_of_a_purged_workspace_is_answered_as_usual() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, _) = registered(&app, &educator, "ada@example.org").await;
    let token = token(&app, &ada).await;
    let path = format!("/api/v1/workspace?confirm={}", educator.workspace);
    let purged = app.request(Method::DELETE, &path).bearer_auth(&educator.token);
    let _: Value = purged.send().await.unwrap().json().await.unwrap();
    app.swept().await;
    let stopped = follow(&app, Method::POST, &token).await;
    assert_eq!(stopped.status(), StatusCode::OK);
    assert!(stopped.text().await.unwrap().contains("no longer emails you"));
}
