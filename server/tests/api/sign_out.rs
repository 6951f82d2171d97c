//! Signing out, as seen by the open tabs of a browser.

use reqwest::{Method, StatusCode, header::SET_COOKIE};
use serde_json::json;

use crate::{
    app::{Live, Person, TestApp},
    mailbox::registered,
};

/// The cookies of a browser in which a person has signed in.
async fn sign_in(app: &TestApp, person: &Person) -> String {
    let body = json!({
        "email": "ada@example.org", "password": "correct horse battery", "workspace": person.workspace,
    });
    let response = app.post("/api/v1/sessions", &body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let refresh = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    let answer: serde_json::Value = response.json().await.unwrap();
    let refresh = refresh.split(';').next().unwrap();
    format!(
        "foldline_session={}; {refresh}",
        answer["token"].as_str().unwrap()
    )
}

async fn tab(app: &TestApp, cookies: &str) -> Live {
    let headers = [
        ("cookie", cookies),
        ("origin", &app.origin()),
        ("sec-websocket-protocol", "foldline.v1"),
    ];
    app.try_live(&headers).await.unwrap()
}

async fn is_served(tab: &mut Live, id: u64) {
    tab.send(&json!({"op": "subscribe", "id": id, "view": "products"}))
        .await;
    tab.next_of("snapshot").await;
}

#[tokio::test]
async fn signing_out_closes_every_tab_of_the_session_and_no_other() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, _) = registered(&app, &educator, "ada@example.org").await;
    let here = sign_in(&app, &ada).await;
    let elsewhere = sign_in(&app, &ada).await;
    let guest = format!("foldline_session={}", ada.token);
    let mut tabs = [tab(&app, &here).await, tab(&app, &here).await];
    let mut others = [
        tab(&app, &elsewhere).await,
        tab(&app, &guest).await,
        app.live(&educator).await,
    ];
    for tab in tabs.iter_mut().chain(&mut others) {
        is_served(tab, 1).await;
    }
    for _ in 0..2 {
        let out = app
            .request(Method::DELETE, "/api/v1/sessions")
            .header("cookie", &here);
        assert_eq!(out.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }
    for tab in &mut tabs {
        let closed = tab.closed().await;
        assert_eq!(closed.reason.as_str(), "this session has ended; sign in again");
    }
    for tab in &mut others {
        is_served(tab, 2).await;
    }
}
