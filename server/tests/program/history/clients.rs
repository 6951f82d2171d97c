//! The clients that send commands and read their effects. A client that has no answer, or one of 503, turns
//! to the next server, and sends the same command with the same key until it has an answer.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{
    event::StoredEvent,
    token::ConsistencyToken,
    wire::{CommandAnswer, DocumentAnswer, ListingAnswer, Page, Problem, VerifyReport, WorkspaceAccess},
};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    record::{History, Observation, ObservedState, unique},
    servers::Servers,
};
use crate::running::TEST_TIMEOUT;

/// Products that all clients change.
pub(crate) const PRODUCTS: usize = 8;
const SHARDS: u32 = 4;

/// The most open orders of a writer.
const OPEN_ORDERS: usize = 4;

/// How long a client waits before it asks again.
const BACK_OFF: Duration = Duration::from_millis(20);
/// The longest that a client waits for one answer.
const LONGEST_PATIENCE: Duration = Duration::from_mins(2);
/// The most text that is kept of the attempts of a request.
const MAX_ATTEMPTS_TEXT: usize = 2_000;

pub(crate) fn sku(number: usize) -> String {
    format!("mug-{number}")
}

/// An answer, and what came before it.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    /// Whether an attempt before had no answer, or one that does not say what has happened.
    pub(crate) after_silence: bool,
    /// The attempts before, for messages.
    pub(crate) attempts: String,
}

/// Access to the servers, which turns to another one when the current one does not answer.
pub(crate) struct Access {
    pub(crate) servers: Arc<Servers>,
    client: reqwest::Client,
    pub(crate) token: String,
    current: AtomicUsize,
}

impl Clone for Access {
    /// A client of its own, which begins at the same server.
    fn clone(&self) -> Self {
        self.at(self.current())
    }
}

/// The outcome of a command.
#[derive(Debug)]
pub(crate) enum Outcome {
    Accepted(CommandAnswer),
    Refused,
}

impl Access {
    /// Opens a workspace with several partitions, and returns an educator's access to it, and the code by
    /// which others join.
    pub(crate) async fn open(servers: &Arc<Servers>) -> (Self, WorkspaceAccess) {
        let anonymous = Self {
            servers: Arc::clone(servers),
            client: reqwest::Client::new(),
            token: String::new(),
            current: AtomicUsize::new(0),
        };
        let wanted = json!({"template": "empty", "shards": SHARDS});
        let opened: WorkspaceAccess = anonymous.post("/api/v1/workspaces", &wanted).await;
        (anonymous.with_token(&opened.token), opened)
    }

    /// The same servers for a person with another token, or without one.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// A client that begins at this server.
    pub(crate) fn at(&self, server: usize) -> Self {
        Self {
            servers: Arc::clone(&self.servers),
            client: self.client.clone(),
            token: self.token.clone(),
            current: AtomicUsize::new(server % self.servers.count()),
        }
    }

    pub(crate) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Turns to the server after this one.
    pub(crate) fn turn_from(&self, server: usize) {
        self.current
            .store((server + 1) % self.servers.count(), Ordering::Relaxed);
    }

    pub(crate) async fn list_products(&self, history: &History, stock: u32) {
        for number in 0..PRODUCTS {
            let sku = sku(number);
            let list = json!({"type": "ListProduct", "stream": format!("product-{sku}"), "data": {
                "sku": sku, "name": "Mug", "description": "For tea.",
                "price": {"amount": 1200, "currency": "EUR"}, "tags": ["kitchen"],
            }});
            self.command(history, &list).await;
            if stock > 0 {
                let receive = json!({"type": "ReceiveStock", "stream": format!("inventory-{sku}"),
                    "data": {"quantity": stock}});
                self.command(history, &receive).await;
            }
        }
    }

    /// Sends a command until it has an answer, and records it if it was accepted.
    pub(crate) async fn command(&self, history: &History, command: &Value) -> Outcome {
        let (key, correlation) = (unique().to_string(), unique());
        let mut command = command.clone();
        command["correlation_id"] = json!(correlation);
        let send = || self.send(history, &command, &key);
        let begun = history.tick();
        // Sometimes the same command is sent twice, at the same time or one after the other; with several
        // servers also to two of them.
        let elsewhere = self.at(self.current() + 1);
        let (first, again) = match rand::random_range(0..20) {
            0 => {
                let (first, second) = tokio::join!(send(), elsewhere.send(history, &command, &key));
                (first, Some(second))
            }
            1 => {
                let first = send().await;
                (first, Some(elsewhere.send(history, &command, &key).await))
            }
            _ => (send().await, None),
        };
        let (outcome, answer) = first;
        let again = again.map(|(outcome, _)| outcome);
        let stream = command["stream"].as_str().unwrap_or_default();
        let about = stream.split_once('-').map_or(stream, |(_, id)| id);
        match (&outcome, again) {
            (Outcome::Accepted(accepted), Some(Outcome::Accepted(same))) => {
                history.require(*accepted == same, about, || {
                    format!("the same command has two answers: {accepted:?} and {same:?}")
                });
            }
            // A refusal stores nothing, so the second attempt may be accepted under a changed state, as may
            // the first.
            (Outcome::Accepted(accepted), Some(Outcome::Refused)) => {
                history.find(about, format!("{accepted:?} was accepted, and then refused"));
            }
            (Outcome::Refused, Some(Outcome::Accepted(accepted))) => {
                history.accepted(begun, answer.attempts, accepted);
                return Outcome::Refused;
            }
            _ => {}
        }
        match &outcome {
            Outcome::Accepted(accepted) => history.accepted(begun, answer.attempts, accepted.clone()),
            Outcome::Refused if answer.after_silence => history.refused_after_silence(correlation),
            Outcome::Refused => {}
        }
        outcome
    }

    async fn send(&self, history: &History, command: &Value, key: &str) -> (Outcome, Answer) {
        let what = format!("the answer to {command}");
        let answer = self
            .request_until_answered(&what, TEST_TIMEOUT, |client, url| {
                client
                    .post(format!("{url}/api/v1/commands"))
                    .header("idempotency-key", key)
                    .json(command)
            })
            .await;
        let outcome = match answer.status {
            StatusCode::OK => Outcome::Accepted(serde_json::from_str(&answer.text).unwrap()),
            StatusCode::UNPROCESSABLE_ENTITY => Outcome::Refused,
            StatusCode::CONFLICT => {
                let problem: Problem = serde_json::from_str(&answer.text).unwrap();
                let is_reused = problem.rule.as_deref() == Some("idempotency-key-reused");
                history.require(!is_reused, key, || format!("{command} came to {}", answer.text));
                Outcome::Refused
            }
            status => {
                history.find(key, format!("{command} came to {status}: {}", answer.text));
                Outcome::Refused
            }
        };
        (outcome, answer)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        self.expect(Method::GET, path, None).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> T {
        self.expect(Method::POST, path, Some(body)).await
    }

    async fn expect<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> T {
        let what = format!("the answer to {method} {path}");
        let Answer { status, text, .. } = self
            .request_until_answered(&what, TEST_TIMEOUT, |client, url| {
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

    /// Repeats a request until it has an answer, at one server after the other: no broken connection, and
    /// neither 503 nor 504. `what` names it if that takes longer than `deadline`.
    pub(crate) async fn request_until_answered(
        &self,
        what: &str,
        deadline: Duration,
        request: impl Fn(&reqwest::Client, &str) -> RequestBuilder,
    ) -> Answer {
        let until = Instant::now() + deadline;
        let mut patience = self.servers.patience;
        let (mut after_silence, mut attempts) = (false, String::new());
        loop {
            let server = self.current();
            let mut request = request(&self.client, &self.servers.url(server)).timeout(patience);
            if !self.token.is_empty() {
                request = request.bearer_auth(&self.token);
            }
            let answer = async {
                let response = request.send().await?;
                Ok::<_, reqwest::Error>((response.status(), response.text().await?))
            };
            let failure = match answer.await {
                // A server that has just started may not have its views yet, and a busy one may not be done.
                Ok((status, text)) if is_for_later(status) => format!("{status}, {text}"),
                Ok((status, text)) => {
                    return Answer {
                        status,
                        text,
                        after_silence,
                        attempts,
                    };
                }
                Err(error) if error.is_timeout() => {
                    let none = format!("no answer within {patience:?}");
                    patience = (patience * 2).min(LONGEST_PATIENCE.max(self.servers.patience));
                    none
                }
                Err(error) => error.to_string(),
            };
            after_silence = true;
            if attempts.len() < MAX_ATTEMPTS_TEXT {
                let _ = write!(attempts, "; before, server {server}: {failure}");
            }
            assert!(
                Instant::now() < until,
                "within {deadline:?}, there was not {what}; server {server}: {failure}"
            );
            self.turn_from(server);
            sleep(BACK_OFF).await;
        }
    }

    /// Sends one request to one server, and waits for a limited time. `None`: there was no answer.
    pub(crate) async fn request_once(
        &self,
        (server, time): (usize, Duration),
        request: impl FnOnce(&reqwest::Client, &str) -> RequestBuilder,
    ) -> Option<(StatusCode, String)> {
        let request = request(&self.client, &self.servers.url(server))
            .timeout(time)
            .bearer_auth(&self.token);
        let response = request.send().await.ok()?;
        Some((response.status(), response.text().await.ok()?))
    }

    /// Waits until everything is settled, by the word of this server as long as it answers.
    pub(crate) async fn settled(&self) {
        let _: Value = self.get("/api/v1/settled?timeout_ms=30000").await;
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

    /// Every row of a listing, as of a token or later.
    pub(crate) async fn listing(&self, view: &str, listing: &str, after: &ConsistencyToken) -> ListingAnswer {
        let mut cursor = String::new();
        let mut all: Option<ListingAnswer> = None;
        loop {
            let page: ListingAnswer = self
                .get(&format!(
                    "/api/v1/views/{view}?listing={listing}&limit=200&after={after}&timeout_ms=30000{cursor}"
                ))
                .await;
            cursor = page
                .next
                .as_ref()
                .map_or_else(String::new, |next| format!("&cursor={next}"));
            match &mut all {
                Some(all) => all.data.extend(page.data),
                None => all = Some(page),
            }
            if cursor.is_empty() {
                return all.expect("a page was read");
            }
        }
    }
}

/// Whether a client asks again later: the answer says nothing about the request.
fn is_for_later(status: StatusCode) -> bool {
    [StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT].contains(&status)
}

/// Sends commands on stock that other writers change too, and on orders of its own.
pub(crate) struct Writer {
    access: Access,
    history: Arc<History>,
    /// The payment methods of its orders.
    methods: &'static [&'static str],
    /// Reservations that are neither released nor shipped.
    promised: Vec<(String, String)>,
    /// Unfinished orders, and how far they are.
    orders: HashMap<String, usize>,
}

impl Writer {
    /// It ships and delivers its orders as soon as fulfilment has confirmed them, and cancels some.
    pub(crate) fn new(access: &Access, history: &Arc<History>, methods: &'static [&'static str]) -> Self {
        Self {
            access: access.clone(),
            history: Arc::clone(history),
            methods,
            promised: Vec::new(),
            orders: HashMap::new(),
        }
    }

    pub(crate) async fn write(mut self) {
        while self.history.takes_commands().await {
            match rand::random_range(0..6) {
                0 => self.receive().await,
                1 => self.reserve().await,
                2 => self.end_a_reservation().await,
                3 => self.change_a_price().await,
                4 if self.orders.len() < OPEN_ORDERS => self.order().await,
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

    /// Ends a reservation of its own, or tries to end that of an order, which is fulfilment's.
    async fn end_a_reservation(&mut self) {
        let of_order = self.orders.keys().next().filter(|_| rand::random_ratio(1, 4));
        let of_order = of_order.and_then(|stream| stream.strip_prefix("order-"));
        let of_order = of_order.map(|order| (format!("inventory-{}", any_sku()), order.to_owned()));
        let is_own = of_order.is_none();
        let Some((stream, order)) = of_order.or_else(|| self.promised.pop()) else {
            return;
        };
        let command_type = if rand::random() {
            "ReleaseStock"
        } else {
            "ShipStock"
        };
        if !is_own {
            let outcome = self.send(command_type, &stream, json!({"order": order})).await;
            let is_refused = matches!(outcome, Outcome::Refused);
            self.history.require(is_refused, &order, || {
                format!("{command_type} of the stock of {order} was accepted")
            });
            return;
        }
        self.send(command_type, &stream, json!({"order": order})).await;
    }

    async fn change_a_price(&self) {
        let stream = format!("product-{}", any_sku());
        let data = json!({"price": {"amount": rand::random_range(1..5_000), "currency": "EUR"}});
        self.send("ChangePrice", &stream, data).await;
    }

    async fn order(&mut self) {
        let stream = format!("order-{}", unique());
        let method = self.methods[rand::random_range(0..self.methods.len())];
        let data = json!({"lines": [{"sku": any_sku(), "quantity": 1}], "payment_method": method});
        if let Outcome::Accepted(_) = self.send("PlaceOrder", &stream, data).await {
            self.orders.insert(stream, 0);
        }
    }

    async fn advance_an_order(&mut self) {
        const STEPS: [&str; 2] = ["ShipOrder", "DeliverOrder"];
        let Some((stream, step)) = self
            .orders
            .iter()
            .next()
            .map(|(stream, step)| (stream.clone(), *step))
        else {
            return;
        };
        if step == 0 && rand::random_ratio(1, 4) {
            self.cancel(stream).await;
            return;
        }
        let outcome = self.send(STEPS[step], &stream, json!({})).await;
        if matches!(outcome, Outcome::Refused) {
            // It is not confirmed yet, or never will be.
            if self.methods.len() > 1 || step > 0 {
                self.cancel(stream).await;
            }
        } else if step + 1 == STEPS.len() {
            self.orders.remove(&stream);
        } else {
            self.orders.insert(stream, step + 1);
        }
    }

    async fn cancel(&mut self, stream: String) {
        let reason = json!({"reason": "changed my mind"});
        self.send("CancelOrder", &stream, reason).await;
        self.orders.remove(&stream);
    }
}

pub(crate) fn any_sku() -> String {
    sku(rand::random_range(0..PRODUCTS))
}

/// Reads the document of a recent command, with its token and those of all that it has read before: what a
/// client has seen once, it sees at every server.
pub(crate) struct Reader {
    access: Access,
    history: Arc<History>,
    pub(crate) name: String,
    /// The newest token that each view has shown.
    shown: HashMap<&'static str, ConsistencyToken>,
    /// What it has recorded; the same answer is recorded once.
    recorded: HashSet<(String, String)>,
}

impl Reader {
    pub(crate) fn new(access: &Access, history: &Arc<History>, number: usize) -> Self {
        Self {
            access: access.at(number),
            history: Arc::clone(history),
            name: format!("reader {number}"),
            shown: HashMap::new(),
            recorded: HashSet::new(),
        }
    }

    pub(crate) async fn read(mut self) {
        loop {
            let Some((stream, token)) = self.history.recent() else {
                self.history.more().await;
                continue;
            };
            let (category, key) = stream.split_once('-').unwrap();
            let view = match category {
                "order" => "orders",
                "inventory" => "inventory",
                _ => "products",
            };
            let mut after = self.shown.get(view).cloned().unwrap_or_default();
            for (partition, position) in token.iter() {
                after.advance(partition, position);
            }
            let answer: DocumentAnswer = self
                .access
                .get(&format!(
                    "/api/v1/views/{view}/{key}?after={after}&timeout_ms=60000"
                ))
                .await;
            self.history.require(answer.as_of.covers(&after), key, || {
                let (name, as_of) = (&self.name, &answer.as_of);
                format!("{name}: {view} {key} as of {as_of} is older than the token {after}")
            });
            for (partition, position) in answer.as_of.iter() {
                after.advance(partition, position);
            }
            self.shown.insert(view, after);
            let ended = self.history.is_all(&answer.as_of);
            let is_new = self.recorded.insert((stream.clone(), answer.as_of.to_string()));
            if is_new || ended {
                self.history.observe(Observation {
                    by: self.name.clone(),
                    view,
                    as_of: answer.as_of,
                    what: ObservedState::Document {
                        key: key.to_owned(),
                        data: Some(answer.data),
                    },
                });
            }
            if ended {
                return;
            }
            if !is_new {
                self.history.more().await;
            }
            if rand::random_ratio(1, 8) {
                self.access.turn_from(self.access.current());
            }
        }
    }
}
