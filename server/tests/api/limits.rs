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
async fn a_flood_of_sign_outs_with_made_up_cookies_is_limited() {
    for (method, path) in [
        (Method::DELETE, "/api/v1/sessions"),
        (Method::POST, "/session/leave"),
    ] {
        let app = TestApp::start_with(&["--requests-per-minute", "60"]).await;
        let sign_out = async |cookie: &str| {
            let request = app.request(method.clone(), path).header("cookie", cookie);
            let response = request.send().await.unwrap();
            let location = response.headers().get("location").cloned();
            let is_sent_back = location.is_some_and(|to| to == "/?problem=rate-limited");
            response.status() == StatusCode::TOO_MANY_REQUESTS || is_sent_back
        };
        let mut sent = 0;
        // A cookie that is another one each time is no other client.
        while !sign_out(&format!(
            "foldline_refresh=made-up-{sent}; foldline_session={sent}"
        ))
        .await
        {
            sent += 1;
            assert!(sent < 1_000, "nothing was refused: {path}");
        }
        assert!(sent >= 60, "{sent} were answered");
        // Other requests of the address have their own count.
        let other = app.get("/api/v1/session").send().await.unwrap();
        assert_eq!(other.status(), StatusCode::UNAUTHORIZED, "{path}");
        app.stop().await;
    }
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
async fn no_answer_repeats_a_long_input() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let long = "SECRET".repeat(20_000);
    let command = serde_json::json!({"type": "PlaceOrder", "stream": "order-1", "data": {
        "lines": [{"sku": "mug-01", "quantity": long}], "payment_method": "tok_ok",
    }});
    let unknown = serde_json::json!({"type": long, "stream": "order-1", "data": {}});
    let foreign = serde_json::json!({
        "type": "CancelOrder", "stream": "order-1", "data": {(long.as_str()): 1},
    });
    for (path, body) in [
        (
            "/api/v1/sessions",
            serde_json::json!({"email": [long], "password": "x"}),
        ),
        ("/api/v1/sessions", serde_json::json!(long)),
        ("/api/v1/workspaces", serde_json::json!({"template": long})),
        (
            "/api/v1/workspaces",
            serde_json::json!({"template": "shop", "shards": long}),
        ),
        (
            "/api/v1/workspaces/join",
            serde_json::json!({"code": [long], "display_name": 1}),
        ),
        (
            "/api/v1/password-resets",
            serde_json::json!({"email": "a@b.c", (long.as_str()): 1}),
        ),
        ("/api/v1/commands", command.clone()),
        ("/api/v1/commands", unknown.clone()),
        ("/api/v1/commands", foreign.clone()),
    ] {
        let sent = app.post(path, &body).bearer_auth(&educator.token).send();
        let answer = sent.await.unwrap().text().await.unwrap();
        assert!(answer.len() < 3_000, "{path}: {} bytes", answer.len());
    }
    let name = &long[..20_000];
    for path in [
        format!("/api/v1/views/{name}"),
        format!("/api/v1/views/products?listing={name}"),
        format!("/api/v1/views/products?order={name}"),
        format!("/api/v1/events?{name}=1"),
        format!("/api/v1/lab/projections/{name}"),
    ] {
        let sent = app.get(&path).bearer_auth(&educator.token).send();
        let answer = sent.await.unwrap().text().await.unwrap();
        assert!(answer.len() < 3_000, "{} bytes", answer.len());
    }
    let mut live = app.live(&educator).await;
    for frame in [
        serde_json::json!({"op": long}),
        serde_json::json!({"op": "unsubscribe", "id": long}),
        serde_json::json!({"op": "subscribe", "id": 1, "view": long}),
        serde_json::json!({"op": "subscribe", "id": 1, "view": "products", "listing": long}),
    ] {
        live.send(&frame).await;
        let answer = live.next_of("error").await.to_string();
        assert!(answer.len() < 3_000, "{} bytes", answer.len());
    }
    for command in [command, unknown, foreign] {
        let frame = serde_json::json!({"op": "command", "id": 2, "command": command, "idempotency_key": "k"});
        live.send(&frame).await;
        let answer = live.next_of("result").await.to_string();
        assert!(answer.len() < 3_000, "{} bytes", answer.len());
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
