//! The limits of requests.

use reqwest::{Method, StatusCode};

use crate::app::{TestApp, list_product, problem};

#[tokio::test]
async fn a_request_over_the_rate_limit_is_told_when_to_retry() {
    let app = TestApp::start_with(&["--requests-per-minute", "3"]).await;
    // The limit grants one more every 20 seconds, so a slow machine may be refused later than after the
    // third.
    let mut asked = 0;
    let response = loop {
        let response = app.get("/api/v1/session").send().await.unwrap();
        if response.status() != StatusCode::UNAUTHORIZED {
            break response;
        }
        asked += 1;
        assert!(asked < 100, "nothing was refused");
    };
    assert!(asked >= 3, "{asked} were answered");
    let wait: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=21).contains(&wait), "{wait}");
    assert_eq!(problem(response).await.status, 429);
    // Operators' endpoints are not counted.
    assert_eq!(app.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_workspace_can_be_opened_under_a_limit_that_is_less_than_its_cost() {
    for most in ["60", "2"] {
        let app = TestApp::start_with(&["--requests-per-minute", most]).await;
        app.educator().await;
    }
}

#[tokio::test]
async fn a_client_over_the_rate_limit_still_signs_out() {
    let app = TestApp::start_with(&["--requests-per-minute", "3"]).await;
    let mut asked = 0;
    while app.get("/api/v1/session").send().await.unwrap().status() != StatusCode::TOO_MANY_REQUESTS {
        asked += 1;
        assert!(asked < 100, "nothing was refused");
    }
    let out = app
        .request(Method::DELETE, "/api/v1/sessions")
        .send()
        .await
        .unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_attempt_to_join_costs_more_than_a_request() {
    let app = TestApp::start_with(&["--requests-per-minute", "60"]).await;
    let guess = || async {
        let body = serde_json::json!({"code": "NOSUCH1", "display_name": "Ada"});
        app.post("/api/v1/workspaces/join", &body)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let mut answers = Vec::new();
    // As many plain requests would be answered; the number of attempts depends on how long they take.
    while answers.len() < 60 && answers.last() != Some(&429) {
        answers.push(guess().await);
    }
    assert_eq!(answers.last(), Some(&429), "{answers:?}");
}

#[tokio::test]
async fn a_server_for_tests_limits_no_rate() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    // One account, one address: more than any limit of a minute permits, each at the cost of several
    // requests.
    let sign_in = serde_json::json!({"email": "ada@example.org", "password": "not the password"});
    for _ in 0..400 {
        let response = app.post("/api/v1/sessions", &sign_in).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_small_limit_of_bodies_holds() {
    let app = TestApp::start_with(&["--max-body-bytes", "1024"]).await;
    let educator = app.educator().await;
    let mut command = list_product("mug-01");
    command["data"]["description"] = "x".repeat(2_000).into();
    let response = app
        .post("/api/v1/commands", &command)
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await.status, 413);
}
