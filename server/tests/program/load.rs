//! One tenant at all of its limits, with commands, sockets and verifications, beside another one: the other's
//! requests are answered, each of them, and the process keeps its descriptors and its memory within bounds.
//!
//! No time is measured. The hostile tenant goes on until the other one is done.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Notify,
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::{
    client::Client,
    running::{Server, TEST_TIMEOUT},
};

/// The address of the hostile tenant, on this machine like that of the other.
const HOSTILE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The limits of the server.
const REQUESTS_PER_MINUTE: &str = "1200";
const SOCKETS_PER_PERSON: usize = 20;

/// What the hostile tenant tries at a time.
const SENDERS: usize = 8;
const SOCKETS: usize = 30;
const VERIFIERS: usize = 8;

/// How often each of its sockets is opened at most: the machine's ports are no limit of the server.
const RECONNECTIONS: usize = 200;

/// The rounds of the other tenant: each is a command, a query that waits for it, and a page of a listing.
const ROUNDS: usize = 60;

/// Far more than the limits leave to one tenant: connections of its clients and sockets, and files of the
/// databases.
const MORE_DESCRIPTORS: usize = 400;
/// Likewise, for what a tenant of some thousand documents can make a server hold.
const MORE_KILOBYTES: usize = 400_000;

/// The hostile tenant, and what became of what it sent.
struct Attack {
    url: String,
    token: String,
    is_over: AtomicBool,
    /// Told when a command, a socket and a verification were each refused once.
    is_at_limits: Notify,
    commands: Outcomes,
    sockets: Outcomes,
    verifications: Outcomes,
}

#[derive(Default)]
struct Outcomes {
    taken: AtomicUsize,
    refused: AtomicUsize,
}

impl Outcomes {
    fn count(&self, is_taken: bool) {
        let counter = if is_taken { &self.taken } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn are_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed) > 0
    }
}

impl Attack {
    fn new(url: String, token: String) -> Arc<Self> {
        Arc::new(Self {
            url,
            token,
            is_over: AtomicBool::new(false),
            is_at_limits: Notify::new(),
            commands: Outcomes::default(),
            sockets: Outcomes::default(),
            verifications: Outcomes::default(),
        })
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn count(&self, outcomes: &Outcomes, is_taken: bool) {
        outcomes.count(is_taken);
        if [&self.commands, &self.sockets, &self.verifications]
            .iter()
            .all(|outcomes| outcomes.are_refused())
        {
            self.is_at_limits.notify_one();
        }
    }

    /// Lists products without a pause.
    async fn send_commands(self: Arc<Self>, sender: usize) {
        let http = http();
        let mut n = 0;
        while self.goes_on() {
            n += 1;
            let answer = http
                .post(format!("{}/api/v1/commands", self.url))
                .bearer_auth(&self.token)
                .header("idempotency-key", format!("{sender}-{n}"))
                .json(&list_product(&format!("hostile-{sender}-{n}")))
                .send()
                .await;
            let Ok(answer) = answer else { continue };
            self.count(&self.commands, answer.status() == StatusCode::OK);
        }
    }

    /// Verifies the workspace without a pause.
    async fn verify(self: Arc<Self>) {
        let http = http();
        while self.goes_on() {
            let request = http.get(format!("{}/api/v1/verify", self.url));
            let Ok(answer) = request.bearer_auth(&self.token).send().await else {
                continue;
            };
            self.count(&self.verifications, answer.status() == StatusCode::OK);
        }
    }

    /// Opens a socket and floods it, again and again.
    async fn flood(self: Arc<Self>) {
        for _ in 0..RECONNECTIONS {
            if !self.goes_on() {
                break;
            }
            let Ok(mut socket) = open_socket(&self.url, &self.token).await else {
                self.count(&self.sockets, false);
                continue;
            };
            self.count(&self.sockets, true);
            while self.goes_on() {
                // The rest of its frames are sent when the server reads them, or has closed.
                let ping = socket.send(Message::Ping(vec![0; 125].into())).await;
                if ping.is_err() || socket.send(Message::text("{")).await.is_err() {
                    break;
                }
                // reads what has come, so that the server is not stopped by a client that reads nothing
                while let Some(Some(received)) = futures::FutureExt::now_or_never(socket.next()) {
                    if received.is_err() {
                        break;
                    }
                }
            }
        }
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .local_address(std::net::IpAddr::V4(HOSTILE))
        .timeout(TEST_TIMEOUT)
        .build()
        .unwrap()
}

fn list_product(sku: &str) -> Value {
    json!({"type": "ListProduct", "stream": format!("product-{sku}"), "data": {
        "sku": sku, "name": "Mug", "description": "x".repeat(1_000),
        "price": {"amount": 1200, "currency": "EUR"}, "tags": [],
    }})
}

/// A socket of the hostile tenant, from its own address.
async fn open_socket(url: &str, token: &str) -> tungstenite::Result<WebSocketStream<TcpStream>> {
    let (_, address) = url.split_once("://").unwrap();
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((HOSTILE, 0)))?;
    let stream = socket.connect(address.parse().unwrap()).await?;
    let mut request = format!("ws://{address}/api/v1/live").into_client_request()?;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    request.headers_mut().insert("authorization", bearer);
    Ok(client_async(request, stream).await?.0)
}

/// The descriptors and the resident memory, in kilobytes, of a process.
fn resources(process: u32) -> (usize, usize) {
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (descriptors, kilobytes)
}

/// The other tenant's requests, in their order: each is answered, and the server's resources are observed
/// after each. The most of them.
async fn rounds(server: &Server, victim: &Client) -> (usize, usize) {
    let mut most = (0, 0);
    for n in 0..ROUNDS {
        let sku = format!("mug-{n}");
        let command = list_product(&sku);
        let (status, answer) = victim.post("/api/v1/commands", &command, &sku).await;
        assert_eq!(status, StatusCode::OK, "round {n}: {answer:?}");
        let token = answer.unwrap()["token"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/views/products/{sku}?after={token}&timeout_ms=60000");
        let product: Value = victim.get(&path).await;
        assert_eq!(product["data"]["sku"], json!(sku));
        let listing: Value = victim.get("/api/v1/views/products?limit=200").await;
        let listed = listing["data"].as_array().unwrap();
        assert_eq!(listed.len(), n + 1, "its own products alone");
        let (descriptors, kilobytes) = resources(server.id());
        most = (most.0.max(descriptors), most.1.max(kilobytes));
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_at_its_limits_takes_nothing_from_another() {
    let limits = [
        "--requests-per-minute",
        REQUESTS_PER_MINUTE,
        "--sockets-per-person",
        &SOCKETS_PER_PERSON.to_string(),
        "--sandbox-documents",
        "5000",
    ]
    .map(str::to_owned);
    let server = Arc::new(Server::new(limits.to_vec()));
    server.start();
    let (victim, _) = Client::open(&server, 1).await;
    let (_, hostile) = Client::open(&server, 1).await;
    victim.settled().await;
    let before = resources(server.id());
    let (_, url) = server.url(0).await;

    let attack = Attack::new(url, hostile.token);
    let mut tasks = JoinSet::new();
    for sender in 0..SENDERS {
        tasks.spawn(Arc::clone(&attack).send_commands(sender));
    }
    for _ in 0..SOCKETS {
        tasks.spawn(Arc::clone(&attack).flood());
    }
    for _ in 0..VERIFIERS {
        tasks.spawn(Arc::clone(&attack).verify());
    }
    let at_limits = tokio::time::timeout(TEST_TIMEOUT, attack.is_at_limits.notified());
    at_limits.await.expect("the hostile tenant is refused");

    let most = rounds(&server, &victim).await;
    attack.is_over.store(true, Ordering::Relaxed);
    tasks.join_all().await;

    assert!(
        most.0 < before.0 + MORE_DESCRIPTORS,
        "{} descriptors, and {} before",
        most.0,
        before.0
    );
    assert!(
        most.1 < before.1 + MORE_KILOBYTES,
        "{} kB of memory, and {} before",
        most.1,
        before.1
    );
    // Its sockets and connections are given back, and the server is whole.
    let given_back = async {
        while resources(server.id()).0 > before.0 + SENDERS + VERIFIERS + SOCKETS_PER_PERSON {
            reqwest::get(format!("{}/healthz", attack.url)).await.unwrap();
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, given_back)
        .await
        .expect("descriptors are given back");
    let verified: Value = victim.get("/api/v1/verify").await;
    assert_eq!(verified["findings"], json!([]));
    server.stop().await;
}
