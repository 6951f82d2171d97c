//! `POST /session/open`, `/session/join`, `/session/leave`: the forms of workspaces.

use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE},
};

use crate::app::TestApp;

async fn form(app: &TestApp, path: &str, body: &str) -> Response {
    from(app, path, body, &app.origin()).await
}

async fn from(app: &TestApp, path: &str, body: &str, origin: &str) -> Response {
    let request = app
        .request(Method::POST, path)
        .header("origin", origin)
        .body(body.to_owned());
    request
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .send()
        .await
        .unwrap()
}

fn leads_to(response: &Response) -> &str {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    response.headers()[LOCATION].to_str().unwrap()
}

fn cookie(response: &Response) -> String {
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        !cookie.contains("Secure"),
        "over plain HTTP a browser would drop it: {cookie}"
    );
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_form_opens_a_workspace_and_a_session() {
    let app = TestApp::start().await;
    let response = form(&app, "/session/open", "display_name=Grace&template=empty").await;
    assert_eq!(leads_to(&response), "/shop");
    let session = app
        .get("/api/v1/session")
        .header(COOKIE, cookie(&response))
        .send()
        .await
        .unwrap();
    let session: serde_json::Value = session.json().await.unwrap();
    assert_eq!(
        (&session["role"], &session["display_name"]),
        (&"educator".into(), &"Grace".into())
    );
}

#[tokio::test]
async fn an_empty_form_opens_a_workspace_with_defaults() {
    let app = TestApp::start().await;
    let response = form(&app, "/session/open", "").await;
    assert_eq!(leads_to(&response), "/shop");
}

#[tokio::test]
async fn a_form_joins_a_workspace_and_leaves_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let body = format!("code={}&display_name=Ada", educator.join_code);
    let joined = form(&app, "/session/join", &body).await;
    assert_eq!(leads_to(&joined), "/shop");
    let left = app
        .request(Method::POST, "/session/leave")
        .header("origin", app.origin())
        .header(COOKIE, cookie(&joined));
    let left = left.send().await.unwrap();
    assert_eq!(leads_to(&left), "/");
    let taken_back = left.headers()[SET_COOKIE].to_str().unwrap();
    assert!(
        taken_back.starts_with("foldline_session=;") && taken_back.contains("Max-Age=0"),
        "{taken_back}"
    );
}

#[tokio::test]
async fn a_refused_form_leads_to_its_page_with_a_code() {
    let app = TestApp::start().await;
    let code = app.educator().await.join_code;
    for (path, body, location) in [
        (
            "/session/join",
            "code=no+such&display_name=Ada".to_owned(),
            "/join?problem=unknown-code&code=no+such",
        ),
        (
            "/session/join",
            format!("code={code}&display_name="),
            &*format!("/join?problem=display-name&code={code}"),
        ),
        (
            "/session/join",
            "code=&display_name=Ada".to_owned(),
            "/join?problem=unknown-code&code=",
        ),
        ("/session/open", "template=zoo".to_owned(), "/?problem=invalid"),
        (
            "/session/open",
            format!("template=empty&display_name={}", "x".repeat(41)),
            "/open?problem=display-name",
        ),
        (
            "/session/open",
            format!("template=empty&name={}", "x".repeat(81)),
            "/?problem=invalid",
        ),
        (
            "/session/open",
            format!("template=empty&display_name=&name={}", "x".repeat(81)),
            "/open?problem=invalid",
        ),
    ] {
        let response = form(&app, path, &body).await;
        assert_eq!(leads_to(&response), location, "{body}");
        assert!(response.headers().get(SET_COOKIE).is_none());
    }
}

#[tokio::test]
async fn another_sites_form_neither_signs_in_nor_out() {
    let app = TestApp::start().await;
    for path in ["/session/open", "/session/join", "/session/leave"] {
        let response = from(&app, path, "template=empty", "http://evil.test").await;
        assert_eq!(leads_to(&response), "/?problem=invalid", "{path}");
        assert!(response.headers().get(SET_COOKIE).is_none());
    }
}

#[tokio::test]
async fn a_form_has_its_media_type() {
    let app = TestApp::start().await;
    let response = app
        .post("/session/open", &serde_json::json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(leads_to(&response), "/?problem=invalid");
    let response = app.get("/session/open").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_form_over_the_rate_limit_is_told_so_and_leaving_has_a_limit_of_its_own() {
    let app = TestApp::start_with(&["--requests-per-minute", "2"]).await;
    // A slow machine may be refused later than at the second.
    let mut opened = 0;
    let told = loop {
        let answer = form(&app, "/session/open", "template=empty").await;
        let location = leads_to(&answer).to_owned();
        if location != "/shop" {
            break location;
        }
        opened += 1;
        assert!(opened < 100, "nothing was refused");
    };
    assert_eq!(told, "/?problem=rate-limited");
    assert!(opened >= 1, "{opened} were opened");
    for _ in 0..2 {
        assert_eq!(leads_to(&form(&app, "/session/leave", "").await), "/");
    }
}
