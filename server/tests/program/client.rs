//! A user's client of the program across restarts: a request to a killed server is repeated at the next one.
//!
//! An answer of 503 is repeated too: a server that has just started may not have its views yet.

use std::sync::Arc;

use domain::{
    event::StoredEvent,
    id::WorkspaceId,
    wire::{Page, SessionAccess, WorkspaceAccess},
};
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::running::{Server, TEST_TIMEOUT};

/// How often the workspace may be not settled, each time for the longest timeout.
const SETTLE_ATTEMPTS: u32 = 8;

#[derive(Clone)]
pub(crate) struct Client {
    server: Arc<Server>,
    http: reqwest::Client,
    token: String,
}

impl Client {
    /// Opens an empty workspace: its educator's client, and the code by which others join.
    pub(crate) async fn open(server: &Arc<Server>, shards: u32) -> (Self, WorkspaceAccess) {
        let anonymous = Self::without_token(server);
        let wanted = json!({"template": "empty", "shards": shards});
        let (_, opened) = anonymous.post("/api/v1/workspaces", &wanted, "open").await;
        let opened: WorkspaceAccess = serde_json::from_value(opened.unwrap()).unwrap();
        (anonymous.with_token(&opened.token), opened)
    }

    /// A user who joins a workspace.
    pub(crate) async fn join(&self, code: &str, name: &str) -> Self {
        let wanted = json!({"code": code, "display_name": name});
        let anonymous = self.with_token("");
        let (_, joined) = anonymous.post("/api/v1/workspaces/join", &wanted, "join").await;
        let joined: WorkspaceAccess = serde_json::from_value(joined.unwrap()).unwrap();
        self.with_token(&joined.token)
    }

    /// A user who signs in to their account in a workspace, or the status of the refusal.
    pub(crate) async fn sign_in(
        server: &Arc<Server>,
        workspace: WorkspaceId,
        email: &str,
        password: &str,
    ) -> Result<Self, StatusCode> {
        let visitor = Self::without_token(server);
        let credentials = json!({"workspace": workspace, "email": email, "password": password});
        let (status, answer) = visitor.post("/api/v1/sessions", &credentials, "sign-in").await;
        if status != StatusCode::OK {
            return Err(status);
        }
        let access: SessionAccess = serde_json::from_value(answer.unwrap()).unwrap();
        Ok(visitor.with_token(&access.token))
    }

    /// The same user at another server.
    pub(crate) fn at(&self, server: &Arc<Server>) -> Self {
        Self {
            server: Arc::clone(server),
            ..self.clone()
        }
    }

    fn without_token(server: &Arc<Server>) -> Self {
        Self {
            server: Arc::clone(server),
            http: reqwest::Client::new(),
            token: String::new(),
        }
    }

    fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// Repeats a request until it has an answer other than 503.
    pub(crate) async fn request_until_answered(
        &self,
        request: impl Fn(&reqwest::Client, &str) -> RequestBuilder,
    ) -> (StatusCode, String) {
        let mut gone = 0;
        loop {
            let (life, url) = self.server.url(gone).await;
            let request = request(&self.http, &url).timeout(TEST_TIMEOUT);
            let request = if self.token.is_empty() {
                request
            } else {
                request.bearer_auth(&self.token)
            };
            let answer = async {
                let response = request.send().await?;
                Ok::<_, reqwest::Error>((response.status(), response.text().await?))
            };
            match answer.await {
                Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => {}
                Ok(answer) => return answer,
                Err(error) if error.is_timeout() => panic!("no answer: {error}"),
                Err(_) => gone = life,
            }
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value, key: &str) -> (StatusCode, Option<Value>) {
        let (status, text) = self
            .request_until_answered(|http, url| {
                http.post(format!("{url}{path}"))
                    .header("idempotency-key", key)
                    .json(body)
            })
            .await;
        (status, serde_json::from_str(&text).ok())
    }

    /// Sends a command. Returns whether it was accepted, not refused by a rule.
    pub(crate) async fn command(&self, key: &str, command: &Value) -> bool {
        let (status, answer) = self.post("/api/v1/commands", command, key).await;
        match status {
            StatusCode::OK => true,
            StatusCode::UNPROCESSABLE_ENTITY => false,
            _ => panic!("{command} came to {status}: {answer:?}"),
        }
    }

    /// Sets the dials of the workspace; every dial that is not named is at rest.
    pub(crate) async fn bend(&self, dials: &Value) {
        let (status, text) = self
            .request_until_answered(|http, url| {
                http.put(format!("{url}/api/v1/lab/dials"))
                    .header("if-match", "*")
                    .json(dials)
            })
            .await;
        assert_eq!(status, StatusCode::OK, "{dials}: {text}");
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, text) = self
            .request_until_answered(|http, url| http.get(format!("{url}{path}")))
            .await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error} in {text}"))
    }

    /// Every event of the workspace.
    pub(crate) async fn log(&self) -> Vec<StoredEvent> {
        let mut events = Vec::new();
        let mut after = String::new();
        loop {
            let page: Page<StoredEvent> = self.get(&format!("/api/v1/events?limit=200{after}")).await;
            events.extend(page.data);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return events,
            }
        }
    }

    /// Waits until everything is settled. On timeout, the error names the remaining work.
    pub(crate) async fn is_settled(&self, timeout_ms: u32) -> Result<(), String> {
        self.is_done("", timeout_ms).await
    }

    /// Waits until the work of one intention is settled. On timeout, the error names the remaining work.
    pub(crate) async fn is_settled_of(&self, correlation: Uuid, timeout_ms: u32) -> Result<(), String> {
        self.is_done(&format!("&correlation={correlation}"), timeout_ms)
            .await
    }

    /// Waits until the work of one intention is settled.
    pub(crate) async fn settled_of(&self, correlation: Uuid) {
        self.done(&format!("&correlation={correlation}")).await;
    }

    /// `of`: an additional part of the query.
    async fn is_done(&self, of: &str, timeout_ms: u32) -> Result<(), String> {
        let path = format!("/api/v1/settled?timeout_ms={timeout_ms}{of}");
        match self
            .request_until_answered(|http, url| http.get(format!("{url}{path}")))
            .await
        {
            (StatusCode::OK, _) => Ok(()),
            (StatusCode::GATEWAY_TIMEOUT, left) => Err(left),
            (status, text) => panic!("{path} came to {status}: {text}"),
        }
    }

    /// Waits until everything is settled.
    pub(crate) async fn settled(&self) {
        self.done("").await;
    }

    async fn done(&self, of: &str) {
        let mut left = String::new();
        for _ in 0..SETTLE_ATTEMPTS {
            match self.is_done(of, 30_000).await {
                Ok(()) => return,
                Err(still) => left = still,
            }
        }
        panic!("it does not settle: {left}");
    }

    /// Puts the clock forward until no process waits for a timer.
    pub(crate) async fn settle(&self) {
        while self.is_settled(2_000).await.is_err() {
            let forward = json!({"advance_ms": 20_000});
            let (status, answer) = self.post("/api/v1/lab/clock", &forward, "clock").await;
            assert_eq!(status, StatusCode::OK, "{answer:?}");
        }
    }
}
