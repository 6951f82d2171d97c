//! A server that browsers reach by HTTPS, by a proxy in front: cookies, origins and the addresses of clients.

use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_TYPE, COOKIE, SET_COOKIE, STRICT_TRANSPORT_SECURITY},
};
use serde_json::Value;

use crate::app::TestApp;

const PUBLIC_URL: [&str; 2] = ["--public-url", "https://shop.test"];

/// A form, as a proxy passes it on from a page of this origin.
async fn form(app: &TestApp, path: &str, body: &str, origin: &str) -> Response {
    let request = app.request(Method::POST, path).header("origin", origin);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(body.to_owned()).send().await.unwrap()
}

fn cookies(response: &Response) -> Vec<String> {
    let all = response.headers().get_all(SET_COOKIE).iter();
    all.map(|cookie| cookie.to_str().unwrap().to_owned()).collect()
}

async fn with_cookie(app: &TestApp, cookie: &str) -> StatusCode {
    let request = app.get("/api/v1/session").header(COOKIE, cookie);
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn with_a_public_https_url_every_cookie_is_bound_to_https_and_its_host() {
    let app = TestApp::start_with(&PUBLIC_URL).await;
    let opened = form(&app, "/session/open", "template=empty", "https://shop.test").await;
    let set = cookies(&opened);
    let session = set.iter().find(|cookie| cookie.contains("foldline_session="));
    let session = session.unwrap();
    assert!(session.starts_with("__Host-foldline_session="), "{session}");
    for cookie in &set {
        assert!(cookie.starts_with("__Host-"), "{cookie}");
        for part in ["; Secure", "; Path=/", "HttpOnly", "SameSite=Lax"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    let pair = session.split(';').next().unwrap();
    assert_eq!(with_cookie(&app, pair).await, StatusCode::OK);
    // A neighbouring host can set a cookie of the plain name.
    let plain = pair.strip_prefix("__Host-").unwrap();
    assert_eq!(with_cookie(&app, plain).await, StatusCode::UNAUTHORIZED);
    // A page that remembers the language, and a form that is sent back.
    let page = app.get("/?lang=de").send().await.unwrap();
    assert!(
        cookies(&page)
            .iter()
            .any(|cookie| cookie.starts_with("__Host-lang=de"))
    );
    let refused = form(&app, "/session/sign-in", "email=&password=", "https://shop.test").await;
    assert!(
        cookies(&refused)
            .iter()
            .any(|cookie| cookie.starts_with("__Host-foldline_form="))
    );
}

#[tokio::test]
async fn with_a_public_https_url_every_answer_asks_for_https_and_the_description_names_the_cookie() {
    let app = TestApp::start_with(&PUBLIC_URL).await;
    for path in ["/", "/api/v1/session", "/healthz", "/nothing"] {
        let answer = app.get(path).send().await.unwrap();
        assert!(answer.headers().contains_key(STRICT_TRANSPORT_SECURITY), "{path}");
    }
    let described: Value = app
        .get("/api/v1/openapi.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        described["components"]["securitySchemes"]["session"]["name"],
        "__Host-foldline_session"
    );
}

#[tokio::test]
async fn with_a_public_https_url_only_its_own_pages_send_forms() {
    let app = TestApp::start_with(&PUBLIC_URL).await;
    let own = app.origin();
    for origin in [
        own.as_str(),
        "http://shop.test",
        "https://shop.test.evil.test",
        "https://shop.test:8443",
        "null",
    ] {
        let refused = form(&app, "/session/open", "template=empty", origin).await;
        assert!(cookies(&refused).is_empty(), "{origin}");
    }
}

#[tokio::test]
async fn without_https_the_names_of_cookies_stay_and_nothing_asks_for_https() {
    let app = TestApp::start_with(&["--public-url", "http://shop.test"]).await;
    let opened = form(&app, "/session/open", "template=empty", &app.origin()).await;
    let set = cookies(&opened);
    assert!(
        set.iter()
            .any(|cookie| cookie.starts_with("foldline_session=") && !cookie.contains("Secure")),
        "{set:?}"
    );
    assert!(!opened.headers().contains_key(STRICT_TRANSPORT_SECURITY));
}

/// Asks until the limit refuses; the next answer to a client with other headers.
async fn after_a_flood(app: &TestApp, flood: &[(&str, &str)], next: &[(&str, &str)]) -> StatusCode {
    let ask = async |headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(app.get("/api/v1/session"), |request, (name, value)| {
                request.header(*name, *value)
            });
        request.send().await.unwrap().status()
    };
    let mut asked = 0;
    while ask(flood).await != StatusCode::TOO_MANY_REQUESTS {
        asked += 1;
        assert!(asked < 100, "nothing was refused");
    }
    ask(next).await
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_their_own_limits() {
    for (flood, next, expected) in [
        ("192.0.2.1", "192.0.2.2", StatusCode::UNAUTHORIZED),
        // A client adds to the left, and the proxy to the right.
        ("192.0.2.1", "192.0.2.2, 192.0.2.1", StatusCode::TOO_MANY_REQUESTS),
        (
            "2001:db8:0:1::1",
            "2001:db8:0:1::2",
            StatusCode::TOO_MANY_REQUESTS,
        ),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", StatusCode::UNAUTHORIZED),
    ] {
        let limits = ["--requests-per-minute", "3", "--trusted-proxies", "127.0.0.0/8"];
        let app = TestApp::start_with(&limits).await;
        let name = "x-forwarded-for";
        let answer = after_a_flood(&app, &[(name, flood)], &[(name, next)]).await;
        assert_eq!(answer, expected, "{flood} {next}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_is_no_trusted_proxy_has_one_limit_whatever_it_sends() {
    for trusted in [&[][..], &["--trusted-proxies", "10.0.0.0/8"]] {
        let limits = [&["--requests-per-minute", "3"][..], trusted].concat();
        let app = TestApp::start_with(&limits).await;
        for name in ["x-forwarded-for", "forwarded"] {
            let next = [(name, "for=192.0.2.2, 192.0.2.2")];
            let answer = after_a_flood(&app, &[], &next).await;
            assert_eq!(answer, StatusCode::TOO_MANY_REQUESTS, "{name}");
        }
        app.stop().await;
    }
}
