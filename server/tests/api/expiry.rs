//! The expiry of unused workspaces. Days pass on the server's clock only.

use domain::{access::Role, timestamp::Timestamp};
use serde_json::Value;

use crate::{
    app::{Person, TestApp, problem},
    dead_letters::get,
};

const DAY_MS: u64 = 86_400_000;

async fn status(app: &TestApp, person: &Person) -> u16 {
    let response = app
        .get("/api/v1/session")
        .bearer_auth(&person.token)
        .send()
        .await
        .unwrap();
    response.status().as_u16()
}

#[tokio::test]
async fn an_unused_workspace_expires_and_tells_when() {
    let app = TestApp::start_with(&["--sandbox-idle-days", "7"]).await;
    let (used, left) = (app.educator().await, app.educator().await);
    let session = get(&app, &used, "/api/v1/session").await;
    let expires: Timestamp = session["expires_if_idle_at"].as_str().unwrap().parse().unwrap();

    app.pass_days(4);
    // a token expires sooner; a person who returns has a new one
    let again = app.with_role(&used, Role::Educator);
    let session = get(&app, &again, "/api/v1/session").await;
    let later: Timestamp = session["expires_if_idle_at"].as_str().unwrap().parse().unwrap();
    assert!(later.millis_since(expires) >= 4 * DAY_MS);
    app.swept().await;

    app.pass_days(4);
    app.swept().await;
    assert_eq!(status(&app, &app.with_role(&used, Role::Educator)).await, 200);
    let late = app.with_role(&left, Role::Educator);
    let response = app
        .get("/api/v1/session")
        .bearer_auth(&late.token)
        .send()
        .await
        .unwrap();
    let gone = problem(response).await;
    assert_eq!(
        (gone.status, gone.kind.as_str()),
        (410, "/problems/workspace-gone")
    );
    assert!(
        gone.detail.contains("it had not been used for long"),
        "{}",
        gone.detail
    );
    let opened = app.educator().await;
    assert_eq!(status(&app, &opened).await, 200, "there is room for another");

    // a workspace that expires while the server is stopped is purged at the start
    app.pass_days(9);
    let app = app.restart().await;
    app.swept().await;
    for person in [&used, &opened] {
        assert_eq!(status(&app, &app.with_role(person, Role::Educator)).await, 410);
    }
}

#[tokio::test]
async fn without_expiry_a_session_names_no_time() {
    let app = TestApp::start_with(&["--sandbox-idle-days", "0"]).await;
    let educator = app.educator().await;
    let session = get(&app, &educator, "/api/v1/session").await;
    assert_eq!(session.get("expires_if_idle_at"), None::<&Value>);
    app.pass_days(4_000);
    app.swept().await;
    assert_eq!(status(&app, &app.with_role(&educator, Role::Educator)).await, 200);
}
