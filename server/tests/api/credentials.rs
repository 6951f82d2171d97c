//! Authentication: which tokens and cookies are accepted.

use domain::access::Role;
use reqwest::{StatusCode, header::SET_COOKIE};
use serde_json::Value;

use crate::app::{TestApp, list_product, problem};

#[tokio::test]
async fn an_invalid_token_is_refused() {
    let app = TestApp::start().await;
    let other = TestApp::start().await;
    let educator = app.educator().await;
    let [header, claims, signature] = educator.token.split('.').collect::<Vec<_>>().try_into().unwrap();
    // {"alg":"none","typ":"JWT"} and {"alg":"HS256","typ":"JWT"}
    let (none, hmac) = (
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    );
    let of_a_stranger = other.with_role(&educator, Role::Educator).token;
    let expired = app.expired(&educator).token;
    for token in [
        expired.as_str(),
        of_a_stranger.as_str(),
        &format!("{none}.{claims}."),
        &format!("{none}.{claims}.{signature}"),
        &format!("{hmac}.{claims}.{signature}"),
        &format!(
            "{header}.{claims}.{}",
            signature.chars().rev().collect::<String>()
        ),
        "nonsense",
        "",
    ] {
        for path in ["/api/v1/session", "/api/v1/views/products", "/api/v1/streams"] {
            let response = app
                .get(path)
                .header("authorization", format!("Bearer {token}"))
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path} {token}");
            assert!(response.headers().contains_key("www-authenticate"));
            problem(response).await;
        }
    }
    let basic = app
        .get("/api/v1/session")
        .basic_auth("ada", Some("secret"))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(basic).await.status, 401);
}

#[tokio::test]
async fn a_browser_acts_by_its_cookie_from_our_own_pages_only() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let cookie = format!("theme=dark; foldline_session={}", educator.token);
    let session = app
        .get("/api/v1/session")
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(session.status(), StatusCode::OK);
    let send = |name: &'static str, value: String| {
        let request = app
            .post("/api/v1/commands", &list_product("mug-01"))
            .header("cookie", &cookie);
        request.header(name, value).send()
    };
    for (name, foreign) in [
        ("origin", "http://evil.test"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("x-unsaid", ""),
    ] {
        let response = send(name, foreign.to_owned()).await.unwrap();
        let problem = problem(response).await;
        assert_eq!(
            (problem.status, problem.kind.as_str()),
            (403, "/problems/foreign-origin"),
            "{name}: {foreign}"
        );
    }
    assert_eq!(
        send("origin", app.origin()).await.unwrap().status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_session_in_use_is_renewed_when_half_of_it_is_over() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let get = |token: &str| {
        app.get("/api/v1/session")
            .header("cookie", format!("foldline_session={token}"))
            .send()
    };
    assert!(
        get(&educator.token)
            .await
            .unwrap()
            .headers()
            .get(SET_COOKIE)
            .is_none()
    );
    let ageing = app.ageing(&educator, 600);
    let response = get(&ageing.token).await.unwrap();
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let renewed = cookie.split([';', '=']).nth(1).unwrap().to_owned();
    let session: Value = get(&renewed).await.unwrap().json().await.unwrap();
    assert_eq!(session["display_name"], "Grace");
}

#[tokio::test]
async fn keys_and_data_outlive_the_server() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let token = app.command(&educator, &list_product("mug-01")).await["token"].clone();
    let keys: Value = app
        .get("/.well-known/jwks.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let app = app.restart().await;
    let same: Value = app
        .get("/.well-known/jwks.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(keys, same);
    let path = format!("/api/v1/views/products/mug-01?after={}", token.as_str().unwrap());
    let response = app.get(&path).bearer_auth(&educator.token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_other_users_may_read_stops_the_start() {
    use std::os::unix::fs::PermissionsExt as _;

    let app = TestApp::start().await;
    let keys = app.folder().join("keys");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keys), 0o700);
    for file in std::fs::read_dir(&keys).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}
