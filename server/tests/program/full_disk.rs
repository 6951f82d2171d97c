//! The disk fills up under a running server, and has room again later. Meanwhile an append fails without
//! storing anything, and acknowledged events can be read; afterwards everything continues by itself.

use domain::wire::{Page, Problem, VerifyReport, WorkspaceAccess};
use reqwest::{Method, Response, StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};

use crate::running::{Server, TEST_TIMEOUT};

/// Room for the empty stores and for some orders.
const DISK: &str = "8m";

/// More commands than fit into the remaining room of the stores when the disk is full.
const MAX_COMMANDS: u32 = 20_000;

struct Shop {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Shop {
    async fn request(&self, method: Method, path: &str, key: Option<&str>, body: Option<&Value>) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.timeout(TEST_TIMEOUT).send().await.unwrap()
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let response = self.request(Method::GET, path, None, None).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    /// Waits until everything is settled.
    async fn settled(&self) {
        let path = "/api/v1/settled?timeout_ms=60000";
        for _ in 0..5 {
            let response = self.request(Method::GET, path, None, None).await;
            if response.status() == StatusCode::OK {
                return;
            }
            assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        }
        panic!("it does not settle");
    }

    /// Whether the server is ready, and why not.
    async fn readiness(&self) -> (StatusCode, Value) {
        let response = self.request(Method::GET, "/readyz", None, None).await;
        (response.status(), response.json().await.unwrap())
    }

    /// Lists a product that takes some room.
    async fn list(&self, number: u32) -> Response {
        let sku = format!("mug-{number}");
        let list = json!({"type": "ListProduct", "stream": format!("product-{sku}"), "data": {
            "sku": sku, "name": "Mug", "description": "For tea. ".repeat(100),
            "price": {"amount": 1200, "currency": "EUR"}, "tags": ["kitchen"],
        }});
        self.request(Method::POST, "/api/v1/commands", Some(&sku), Some(&list))
            .await
    }

    /// The number of events.
    async fn events(&self) -> u32 {
        let mut count = 0;
        let mut after = String::new();
        loop {
            let page: Page<Value> = self.get(&format!("/api/v1/events?limit=200{after}")).await;
            count += u32::try_from(page.data.len()).unwrap();
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return count,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_appends_completely_and_everything_continues_when_there_is_room() {
    let server = Server::on_a_disk_of(DISK);
    server.start();
    let mut shop = Shop {
        client: reqwest::Client::new(),
        url: server.url(0).await.1,
        token: String::new(),
    };
    let opened = shop
        .request(
            Method::POST,
            "/api/v1/workspaces",
            None,
            Some(&json!({"template": "empty"})),
        )
        .await;
    shop.token = opened.json::<WorkspaceAccess>().await.unwrap().token;
    assert_eq!(shop.list(0).await.status(), StatusCode::OK);

    let ballast = server.data().join("ballast");
    let full = std::fs::write(&ballast, vec![0; 64 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);

    let mut accepted = 1;
    let refused = loop {
        let answer = shop.list(accepted).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        accepted += 1;
        assert!(
            accepted < MAX_COMMANDS,
            "the disk is full, and nothing was refused"
        );
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    let problem: Problem = refused.json().await.unwrap();
    assert_eq!(problem.kind, "/problems/unavailable");
    assert!(problem.detail.contains("full"), "{}", problem.detail);
    // What the search index frees is written again.
    let mut attempts = 0;
    loop {
        let (status, answer) = shop.readiness().await;
        if answer["waiting_for"].to_string().contains("the disk is full") {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            break;
        }
        if shop.list(accepted).await.status() == StatusCode::OK {
            accepted += 1;
        }
        attempts += 1;
        assert!(
            attempts < MAX_COMMANDS,
            "the disk is full, and the server is ready"
        );
    }
    assert_eq!(
        shop.events().await,
        accepted,
        "what was acknowledged, and nothing else"
    );

    std::fs::remove_file(&ballast).unwrap();
    for number in [accepted, accepted, accepted + 1] {
        assert_eq!(shop.list(number).await.status(), StatusCode::OK);
    }
    assert_eq!(shop.events().await, accepted + 2);
    // The views are complete, and no event was parked.
    shop.settled().await;
    assert_eq!(shop.readiness().await.0, StatusCode::OK);
    let verified: VerifyReport = shop.get("/api/v1/verify").await;
    assert_eq!(verified.findings, Vec::<String>::new());
    // A product and an entry of activity for each.
    assert_eq!(verified.documents, 2 * (u64::from(accepted) + 2));
    server.stop().await;
}
