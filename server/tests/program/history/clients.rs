//! The clients that send commands and read their effects. When the server is down they wait for its next
//! start, and send the same command with the same key again until it has an answer.

use std::{collections::HashMap, sync::Arc};

use domain::{
    event::StoredEvent,
    token::ConsistencyToken,
    wire::{CommandAnswer, DocumentAnswer, Page, Problem, VerifyReport, WorkspaceAccess},
};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::record::{History, Observation, ObservedState, unique};
use crate::running::{Server, TEST_TIMEOUT};

/// How often a fold may be late, each time by the longest timeout of the API.
const MAX_LATE_FOLDS: u32 = 5;

/// Products that all clients change.
const PRODUCTS: usize = 8;
const SHARDS: u32 = 4;

fn sku(number: usize) -> String {
    format!("mug-{number}")
}

/// Access to the server across restarts.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) server: Arc<Server>,
    client: reqwest::Client,
    pub(crate) token: String,
    /// The incarnation that was reached last, and its address.
    reached: Arc<Mutex<(u64, String)>>,
}

/// The outcome of a command.
enum Outcome {
    Accepted(CommandAnswer),
    Refused,
}

impl Access {
    /// Opens a workspace with several partitions, and returns an educator's access to it.
    pub(crate) async fn open(server: &Arc<Server>) -> Self {
        let mut access = Self {
            server: Arc::clone(server),
            client: reqwest::Client::new(),
            token: String::new(),
            reached: Arc::new(Mutex::new(server.url(0).await)),
        };
        let wanted = json!({"template": "empty", "shards": SHARDS});
        let opened: WorkspaceAccess = access.post("/api/v1/workspaces", &wanted).await;
        access.token = opened.token;
        access
    }

    pub(crate) async fn list_products(&self, history: &History) {
        for number in 0..PRODUCTS {
            let sku = sku(number);
            let list = json!({"type": "ListProduct", "stream": format!("product-{sku}"), "data": {
                "sku": sku, "name": "Mug", "description": "For tea.",
                "price": {"amount": 1200, "currency": "EUR"}, "tags": ["kitchen"],
            }});
            self.command(history, &list).await;
        }
    }

    /// Sends a command until it has an answer, and records it if it was accepted.
    async fn command(&self, history: &History, command: &Value) -> Outcome {
        let key = unique().to_string();
        let sent = history.tick();
        // Sometimes the same command is sent twice, at the same time or one after the other.
        let (outcome, again) = match rand::random_range(0..20) {
            0 => {
                let (first, second) = tokio::join!(self.send(command, &key), self.send(command, &key));
                (first, Some(second))
            }
            1 => {
                let first = self.send(command, &key).await;
                (first, Some(self.send(command, &key).await))
            }
            _ => (self.send(command, &key).await, None),
        };
        match (&outcome, again) {
            (Outcome::Accepted(answer), Some(Outcome::Accepted(same))) => {
                assert_eq!(*answer, same, "the same submit has the same answer");
            }
            // A refusal stores nothing, so the second attempt may be accepted under a changed state, as may
            // the first.
            (Outcome::Accepted(answer), Some(Outcome::Refused)) => {
                panic!("{answer:?} was accepted, and then refused")
            }
            (Outcome::Refused, Some(Outcome::Accepted(answer))) => {
                history.accepted(sent, answer);
                return Outcome::Refused;
            }
            _ => {}
        }
        if let Outcome::Accepted(answer) = &outcome {
            history.accepted(sent, answer.clone());
        }
        outcome
    }

    async fn send(&self, command: &Value, key: &str) -> Outcome {
        let (status, body) = self
            .request_until_answered(|client, url| {
                client
                    .post(format!("{url}/api/v1/commands"))
                    .header("idempotency-key", key)
                    .json(command)
            })
            .await;
        match status {
            StatusCode::OK => Outcome::Accepted(serde_json::from_str(&body).unwrap()),
            StatusCode::UNPROCESSABLE_ENTITY => Outcome::Refused,
            StatusCode::CONFLICT => {
                let problem: Problem = serde_json::from_str(&body).unwrap();
                assert_ne!(problem.rule.as_deref(), Some("idempotency-key-reused"), "{body}");
                Outcome::Refused
            }
            _ => panic!("{command} came to {status}: {body}"),
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        self.expect(Method::GET, path, None).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> T {
        self.expect(Method::POST, path, Some(body)).await
    }

    async fn expect<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> T {
        let (status, text) = self
            .request_until_answered(|client, url| {
                let request = client.request(method.clone(), format!("{url}{path}"));
                match body {
                    Some(body) => request.json(body),
                    None => request,
                }
            })
            .await;
        assert_eq!(status, StatusCode::OK, "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error} in {text}"))
    }

    /// Repeats a request until it has an answer: no broken connection, and no 503.
    async fn request_until_answered(
        &self,
        request: impl Fn(&reqwest::Client, &str) -> RequestBuilder,
    ) -> (StatusCode, String) {
        let mut late = 0;
        loop {
            let (incarnation, url) = self.reached.lock().await.clone();
            let request = request(&self.client, &url).timeout(TEST_TIMEOUT);
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
                // A server that has just started may not have its views yet,
                Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => {}
                // and a busy one may not be done yet.
                Ok((StatusCode::GATEWAY_TIMEOUT, _)) if late < MAX_LATE_FOLDS => late += 1,
                Ok(answer) => return answer,
                Err(error) if error.is_timeout() => panic!("no answer: {error}"),
                Err(_) => self.wait_for_restart(incarnation).await,
            }
        }
    }

    /// Waits for an incarnation other than the one that did not answer.
    async fn wait_for_restart(&self, incarnation: u64) {
        let mut reached = self.reached.lock().await;
        if reached.0 == incarnation {
            *reached = self.server.url(incarnation).await;
        }
    }

    /// The server's address; waits for another incarnation than the one that is gone.
    pub(crate) async fn url(&self, gone: Option<u64>) -> (u64, String) {
        if let Some(gone) = gone {
            self.wait_for_restart(gone).await;
        }
        self.reached.lock().await.clone()
    }

    pub(crate) async fn settled(&self) {
        let _: Value = self.get("/api/v1/settled?timeout_ms=60000").await;
    }

    pub(crate) async fn verify(&self) -> VerifyReport {
        self.get("/api/v1/verify").await
    }

    /// The newest positions, from the log.
    pub(crate) async fn head(&self) -> ConsistencyToken {
        let mut head = ConsistencyToken::default();
        for event in self.log().await {
            head.advance(event.partition, event.position);
        }
        head
    }

    /// Every event, as the API returns them.
    pub(crate) async fn log(&self) -> Vec<StoredEvent> {
        let mut events = Vec::new();
        let mut after = None;
        loop {
            let path = match &after {
                Some(after) => format!("/api/v1/events?limit=200&after={after}"),
                None => "/api/v1/events?limit=200".to_owned(),
            };
            let page: Page<StoredEvent> = self.get(&path).await;
            events.extend(page.data);
            match page.next {
                Some(next) => after = Some(next),
                None => return events,
            }
        }
    }
}

/// Sends commands on stock that other writers change too, and on orders of its own.
pub(crate) struct Writer {
    access: Access,
    history: Arc<History>,
    /// Reservations that are neither released nor shipped.
    promised: Vec<(String, String)>,
    /// Unfinished orders, and how far they are.
    orders: HashMap<String, usize>,
}

impl Writer {
    pub(crate) fn new(access: &Access, history: &Arc<History>) -> Self {
        Self {
            access: access.clone(),
            history: Arc::clone(history),
            promised: Vec::new(),
            orders: HashMap::new(),
        }
    }

    pub(crate) async fn write(mut self) {
        while self.history.takes_commands() {
            match rand::random_range(0..6) {
                0 => self.receive().await,
                1 => self.reserve().await,
                2 => self.end_a_reservation().await,
                3 => self.change_a_price().await,
                4 if self.orders.len() < 4 => self.order().await,
                _ => self.advance_an_order().await,
            }
        }
    }

    async fn send(&self, command_type: &str, stream: &str, data: Value) -> Outcome {
        let command = json!({"type": command_type, "stream": stream, "data": data});
        self.access.command(&self.history, &command).await
    }

    async fn receive(&self) {
        let stream = format!("inventory-{}", any_sku());
        let data = json!({"quantity": rand::random_range(1..5)});
        self.send("ReceiveStock", &stream, data).await;
    }

    async fn reserve(&mut self) {
        let (stream, order) = (format!("inventory-{}", any_sku()), unique().to_string());
        let data = json!({"order": order, "quantity": rand::random_range(1..5)});
        self.send("ReserveStock", &stream, data).await;
        self.promised.push((stream, order));
    }

    async fn end_a_reservation(&mut self) {
        let Some((stream, order)) = self.promised.pop() else {
            return;
        };
        let command_type = if rand::random() {
            "ReleaseStock"
        } else {
            "ShipStock"
        };
        self.send(command_type, &stream, json!({"order": order})).await;
    }

    async fn change_a_price(&self) {
        let stream = format!("product-{}", any_sku());
        let data = json!({"price": {"amount": rand::random_range(1..5_000), "currency": "EUR"}});
        self.send("ChangePrice", &stream, data).await;
    }

    async fn order(&mut self) {
        let stream = format!("order-{}", unique());
        let data = json!({"lines": [{"sku": any_sku(), "quantity": 1}], "payment_method": "tok_ok"});
        if let Outcome::Accepted(_) = self.send("PlaceOrder", &stream, data).await {
            self.orders.insert(stream, 0);
        }
    }

    async fn advance_an_order(&mut self) {
        const STEPS: [&str; 3] = ["ConfirmOrder", "ShipOrder", "DeliverOrder"];
        let Some((stream, step)) = self
            .orders
            .iter()
            .next()
            .map(|(stream, step)| (stream.clone(), *step))
        else {
            return;
        };
        if step < 2 && rand::random_ratio(1, 4) {
            let reason = json!({"reason": "changed my mind"});
            self.send("CancelOrder", &stream, reason).await;
            self.orders.remove(&stream);
            return;
        }
        self.send(STEPS[step], &stream, json!({})).await;
        if step + 1 == STEPS.len() {
            self.orders.remove(&stream);
        } else {
            self.orders.insert(stream, step + 1);
        }
    }
}

fn any_sku() -> String {
    sku(rand::random_range(0..PRODUCTS))
}

/// Reads the document of a recent command, with its token.
pub(crate) struct Reader {
    access: Access,
    history: Arc<History>,
    pub(crate) name: String,
    /// The newest token that each view has shown.
    shown: HashMap<&'static str, ConsistencyToken>,
}

impl Reader {
    pub(crate) fn new(access: &Access, history: &Arc<History>, number: usize) -> Self {
        Self {
            access: access.clone(),
            history: Arc::clone(history),
            name: format!("reader {number}"),
            shown: HashMap::new(),
        }
    }

    pub(crate) async fn read(mut self) {
        loop {
            let Some((stream, token)) = self.history.recent() else {
                tokio::task::yield_now().await;
                continue;
            };
            let (category, key) = stream.split_once('-').unwrap();
            let view = match category {
                "order" => "orders",
                "inventory" => "inventory",
                _ => "products",
            };
            let answer: DocumentAnswer = self
                .access
                .get(&format!(
                    "/api/v1/views/{view}/{key}?after={token}&timeout_ms=60000"
                ))
                .await;
            assert!(
                answer.as_of.covers(&token),
                "{}: {view} {key} as of {} is older than the token {token}",
                self.name,
                answer.as_of
            );
            let shown = self.shown.entry(view).or_default();
            assert!(
                answer.as_of.covers(shown),
                "{}: {view} went back from {shown} to {}",
                self.name,
                answer.as_of
            );
            *shown = answer.as_of.clone();
            let ended = self.history.is_all(shown);
            self.history.observe(Observation {
                by: self.name.clone(),
                view,
                as_of: answer.as_of,
                what: ObservedState::Document {
                    key: key.to_owned(),
                    data: Some(answer.data),
                },
            });
            if ended {
                return;
            }
        }
    }
}
