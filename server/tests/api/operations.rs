//! `/healthz`, `/readyz`, `/metrics`, `/.well-known/jwks.json`, the OpenAPI description, unknown paths,
//! HTTPS.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::app::{TestApp, problem};

#[tokio::test]
async fn a_started_server_is_alive_and_becomes_ready() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
    let ready: Value = app.get("/readyz").send().await.unwrap().json().await.unwrap();
    assert_eq!(ready["ready"], true, "{ready}");
}

#[tokio::test]
async fn metrics_count_requests_by_route() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.get("/api/v1/views/products/secret-sku")
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap();
    let metrics = app.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("foldline_http_requests_total{"), "{metrics}");
    assert!(
        metrics.contains("route=\"/api/v1/views/{view}/{key}\""),
        "{metrics}"
    );
    assert!(
        metrics.contains("foldline_http_request_duration_seconds_bucket"),
        "{metrics}"
    );
    assert!(!metrics.contains("secret-sku"));
}

#[tokio::test]
async fn metrics_are_for_the_addresses_of_the_settings_alone() {
    let ask = async |app: &TestApp, header: Option<(&str, &str)>| {
        let mut request = app.get("/metrics");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.send().await.unwrap().status()
    };
    let app = TestApp::start().await;
    assert_eq!(ask(&app, None).await, StatusCode::OK, "this machine");
    // A proxy on this machine passes requests of others on, whatever it says of them.
    for name in ["x-forwarded-for", "forwarded"] {
        assert_eq!(
            ask(&app, Some((name, "for=127.0.0.1"))).await,
            StatusCode::NOT_FOUND
        );
    }
    let trusted = ["--trusted-proxies", "127.0.0.0/8,::1"];
    let app = TestApp::start_with(&[&trusted[..], &["--metrics-from", "192.0.2.0/24"]].concat()).await;
    for (address, expected) in [
        ("192.0.2.7", StatusCode::OK),
        ("198.51.100.7", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(
            ask(&app, Some(("x-forwarded-for", address))).await,
            expected,
            "{address}"
        );
    }
    assert_eq!(ask(&app, None).await, StatusCode::NOT_FOUND, "not named");
}

#[tokio::test]
async fn a_flood_of_requests_for_metrics_is_limited_and_takes_nothing_from_others() {
    let app = TestApp::start_with(&["--requests-per-minute", "60"]).await;
    let mut asked = 0;
    while app.get("/metrics").send().await.unwrap().status() != StatusCode::TOO_MANY_REQUESTS {
        asked += 1;
        assert!(asked < 1_000, "nothing was refused");
    }
    assert!(asked >= 1);
    let session = app.get("/api/v1/session").send().await.unwrap();
    assert_eq!(session.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_keys_are_published_without_their_secret() {
    let app = TestApp::start().await;
    let keys: Value = app
        .get("/.well-known/jwks.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let key = keys["keys"][0].as_object().unwrap();
    assert_eq!(
        (&key["kty"], &key["crv"], &key["use"]),
        (&"OKP".into(), &"Ed25519".into(), &"sig".into())
    );
    assert!(key["kid"].as_str().unwrap().len() >= 40 && !key.contains_key("d"));
}

#[tokio::test]
async fn the_interface_describes_itself() {
    let app = TestApp::start().await;
    let openapi: Value = app
        .get("/api/v1/openapi.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for path in [
        "/api/v1/workspaces",
        "/api/v1/workspaces/join",
        "/api/v1/session",
        "/api/v1/commands",
        "/api/v1/views/{view}",
        "/api/v1/views/{view}/{key}",
        "/api/v1/streams",
        "/api/v1/streams/{stream}",
        "/api/v1/events",
        "/api/v1/events/{id}",
        "/api/v1/schemas",
        "/api/v1/export",
        "/api/v1/schemas/{type}/{version}",
        "/api/v1/live",
        "/api/v1/settled",
        "/api/v1/dead-letters",
        "/api/v1/dead-letters/retry",
        "/api/v1/dead-letters/{id}/waiting",
        "/api/v1/lab/handlers",
        "/api/v1/lab/handled",
        "/api/v1/lab/projections",
        "/api/v1/lab/projections/{name}/rebuild",
    ] {
        assert!(openapi["paths"].get(path).is_some(), "{path}");
    }
    assert!(openapi["components"]["schemas"].get("CommandRequest").is_some());
    assert!(openapi["components"]["securitySchemes"].get("bearer").is_some());
    references_resolve(&openapi, &openapi);
    for (path, operations) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_problem = response["content"].get("application/problem+json").is_some();
                assert_eq!(is_problem, status.as_str() >= "400", "{method} {path} {status}");
            }
        }
    }
}

#[tokio::test]
async fn the_description_is_a_page_too_and_loads_nothing_from_elsewhere() {
    let app = TestApp::start().await;
    let moved = app.get("/api/docs").send().await.unwrap();
    assert_eq!(moved.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(moved.headers()["location"], "/api/docs/");
    let page = app.get("/api/docs/").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let page = page.text().await.unwrap();
    let mut files: Vec<&str> = ["src=\"", "href=\""]
        .into_iter()
        .flat_map(|attribute| page.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    files.sort_unstable();
    assert!(files.contains(&"./swagger-ui-bundle.js"), "{files:?}");
    for file in files {
        let name = file.trim_start_matches("./");
        assert!(!name.contains("//"), "{file} is elsewhere");
        let response = app.get(&format!("/api/docs/{name}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{file}");
    }
    let configuration = app
        .get("/api/docs/swagger-initializer.js")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(configuration.contains("/api/v1/openapi.json"), "{configuration}");
    let unknown = app.get("/api/docs/no-such.js").send().await.unwrap();
    assert_eq!(problem(unknown).await.status, 404);
}

/// Every `$ref` of a description resolves.
fn references_resolve(part: &Value, whole: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(whole.pointer(pointer).is_some(), "{reference}");
            }
            fields.values().for_each(|value| references_resolve(value, whole));
        }
        Value::Array(items) => items.iter().for_each(|value| references_resolve(value, whole)),
        _ => {}
    }
}

#[tokio::test]
async fn an_unknown_path_or_method_is_a_problem() {
    let app = TestApp::start().await;
    for path in ["/api", "/api/v1", "/api/v1/no-such", "/api/v2/commands"] {
        assert_eq!(
            problem(app.get(path).send().await.unwrap()).await.status,
            404,
            "{path}"
        );
    }
    for (method, path) in [
        (Method::GET, "/api/v1/commands"),
        (Method::DELETE, "/api/v1/views/products"),
        (Method::POST, "/api/v1/streams"),
        (Method::PUT, "/healthz"),
    ] {
        assert_eq!(
            problem(app.request(method, path).send().await.unwrap())
                .await
                .status,
            405,
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let app = TestApp::start().await;
    for path in [
        "/",
        "/healthz",
        "/api/v1/session",
        "/api/v1/no-such",
        "/no-such-page",
    ] {
        let response = app.get(path).send().await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        for name in [
            "referrer-policy",
            "permissions-policy",
            "cross-origin-opener-policy",
            "x-request-id",
        ] {
            assert!(headers.contains_key(name), "{path}: {name}");
        }
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(
            !headers.contains_key("strict-transport-security"),
            "{path}: this is plain HTTP"
        );
        assert!(
            !policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"),
            "{policy}"
        );
    }
}

#[tokio::test]
async fn a_request_keeps_its_id() {
    let app = TestApp::start().await;
    let response = app
        .get("/healthz")
        .header("x-request-id", "abc-123")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-request-id"], "abc-123");
    let response = app
        .get("/healthz")
        .header("x-request-id", "a b\"c")
        .send()
        .await
        .unwrap();
    assert_ne!(response.headers()["x-request-id"], "a b\"c");
}

/// The client of this test trusts only the certificate in the data folder.
#[tokio::test]
async fn https_is_served_with_a_self_signed_certificate() {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
    use std::io::{Read as _, Write as _};

    let app = TestApp::start_with(&["--tls", "self-signed"]).await;
    assert!(app.origin().starts_with("https://"));
    let certificate = CertificateDer::from_pem_file(app.folder().join("tls/certificate.pem")).unwrap();
    let address = app.origin().replace("https://", "");
    let answer = tokio::task::spawn_blocking(move || {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
        let mut socket = std::net::TcpStream::connect(&address).unwrap();
        let mut stream = rustls::Stream::new(&mut connection, &mut socket);
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // The server may close without a TLS close notification; only the answer counts.
        let _ = stream.read_to_string(&mut answer);
        answer
    })
    .await
    .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer
            .to_lowercase()
            .contains("strict-transport-security: max-age="),
        "{answer}"
    );
    app.stop().await;
}
