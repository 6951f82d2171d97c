//! The server of one test, and the people who use it.

use std::{
    ffi::OsString,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use clock::{Clock, SystemClock};
use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
    language::Language,
    timestamp::Timestamp,
    wire::{Problem, WorkspaceAccess},
};
use futures::{SinkExt as _, StreamExt as _, stream::SplitSink};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use gateway::{
    keys::KeyRing,
    tokens::{SignedIn, Tokens},
};
use server::{
    Foldline, StartError,
    settings::{self, Settings},
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue, protocol::CloseFrame},
};
use uuid::Uuid;

/// The one deadline of these tests: it ends a test that hangs, and no machine is too slow for it.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_mins(15);

/// The longest wait that the interface permits, and the default in these tests.
const LONGEST_WAIT_MS: u32 = 60_000;

/// How long the server may take for an answer, unless a test sets its own limit.
const REQUEST_TIMEOUT: [&str; 2] = ["--request-timeout-ms", "120000"];

/// A running server with its own data.
pub(crate) struct TestApp {
    foldline: Foldline,
    folder: TempDir,
    further: Vec<String>,
    clock: Arc<ManualClock>,
    client: reqwest::Client,
}

/// A person with a token.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) workspace: WorkspaceId,
    pub(crate) join_code: String,
    pub(crate) token: String,
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with further arguments of `foldline serve`.
    pub(crate) async fn start_with(further: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, owned(further), Arc::default()).await
    }

    /// Starts a second server with the same signing keys and the same clock.
    pub(crate) async fn start_second(&self, further: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        std::fs::create_dir(&keys).unwrap();
        let mode = std::fs::metadata(self.folder().join("keys"))
            .unwrap()
            .permissions();
        std::fs::set_permissions(&keys, mode).unwrap();
        for file in std::fs::read_dir(self.folder().join("keys")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), keys.join(file.file_name())).unwrap();
        }
        Self::start_in(folder, owned(further), self.clock.clone()).await
    }

    /// Why a second server that has made keys of its own does not start; and its folder.
    pub(crate) async fn refused_second(&self, further: &[&str]) -> (StartError, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings_in(&folder, &owned(further));
        let refusal = Foldline::start(&settings, self.clock.clone()).await.unwrap_err();
        (refusal, folder)
    }

    /// Starts a server on the data of a folder.
    pub(crate) async fn start_on(folder: TempDir) -> Self {
        Self::start_in(folder, Vec::new(), Arc::default()).await
    }

    async fn start_in(folder: TempDir, further: Vec<String>, clock: Arc<ManualClock>) -> Self {
        let settings = settings_in(&folder, &further);
        let foldline = Foldline::start(&settings, clock.clone()).await.unwrap();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            foldline,
            folder,
            further,
            clock,
            client,
        }
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            foldline,
            folder,
            further,
            clock,
            ..
        } = self;
        foldline.stop().await;
        Self::start_in(folder, further, clock).await
    }

    /// Stops the server, lets `meanwhile` change its data, and starts it again; or the reason why it does not
    /// start.
    pub(crate) async fn restart_after(
        self,
        meanwhile: impl AsyncFnOnce(&Settings),
    ) -> Result<Self, StartError> {
        let Self {
            foldline,
            folder,
            further,
            client,
            clock,
        } = self;
        foldline.stop().await;
        let settings = settings_in(&folder, &further);
        meanwhile(&settings).await;
        let foldline = Foldline::start(&settings, clock.clone()).await?;
        Ok(Self {
            foldline,
            folder,
            further,
            clock,
            client,
        })
    }

    pub(crate) async fn stop(self) {
        self.foldline.stop().await;
    }

    /// Lets days pass on the server's clock.
    pub(crate) fn pass_days(&self, days: i64) {
        self.clock
            .offset
            .fetch_add(days * 86_400_000_000, Ordering::Relaxed);
    }

    /// Lets minutes pass on the server's clock.
    pub(crate) fn pass_minutes(&self, minutes: i64) {
        self.clock
            .offset
            .fetch_add(minutes * 60_000_000, Ordering::Relaxed);
    }

    /// Waits until every request for a new password until now is carried out: their answers do not wait.
    pub(crate) async fn resets_done(&self) {
        tokio::time::timeout(TEST_TIMEOUT, self.foldline.resets_done())
            .await
            .unwrap();
    }

    /// Stops the server's clock, so that nothing ends because the machine is busy; only [`Self::pass_days`]
    /// moves it.
    pub(crate) fn stop_clock(&self) {
        let now = SystemClock.now().as_micros();
        self.clock.stopped_at.store(now, Ordering::Relaxed);
    }

    /// Waits until every expired or deleted workspace is purged.
    pub(crate) async fn swept(&self) {
        tokio::time::timeout(TEST_TIMEOUT, self.foldline.swept())
            .await
            .unwrap();
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.foldline.url())
    }

    /// The origin of the server's pages, as a browser sends it.
    pub(crate) fn origin(&self) -> String {
        self.foldline.url()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, self.url(&with_longest_wait(path)))
            .timeout(TEST_TIMEOUT)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    /// Opens a workspace with the template `empty`; its educator.
    pub(crate) async fn educator(&self) -> Person {
        self.educator_of("empty").await
    }

    /// Opens a workspace with a template; its educator.
    pub(crate) async fn educator_of(&self, template: &str) -> Person {
        let response = self
            .post("/api/v1/workspaces", &json!({"template": template}))
            .send()
            .await
            .unwrap();
        person(response).await
    }

    /// Opens an empty workspace with a number of partitions; its educator.
    pub(crate) async fn educator_with_shards(&self, shards: u32) -> Person {
        let body = json!({"template": "empty", "shards": shards});
        person(self.post("/api/v1/workspaces", &body).send().await.unwrap()).await
    }

    /// A student who joins by a code.
    pub(crate) async fn student(&self, code: &str) -> Person {
        let body = json!({"code": code, "display_name": "Ada"});
        person(self.post("/api/v1/workspaces/join", &body).send().await.unwrap()).await
    }

    /// Another person in the same workspace, with a token that is signed by the server's own key.
    pub(crate) fn with_role(&self, person: &Person, role: Role) -> Person {
        self.with_token(person, role, 600, self.clock.clone())
    }

    /// A person whose token expired long ago.
    pub(crate) fn expired(&self, person: &Person) -> Person {
        self.with_token(person, Role::Educator, 60, Arc::new(PastClock))
    }

    /// A person whose token was made long ago and expires soon.
    pub(crate) fn ageing(&self, person: &Person, seconds_left: u64) -> Person {
        let age = SystemClock.now().millis_since(PastClock.now()) / 1_000;
        self.with_token(person, Role::Educator, age + seconds_left, Arc::new(PastClock))
    }

    /// A session's token that expires at this moment, and is accepted only for the leeway between clocks.
    pub(crate) fn ending(&self, person: &Person, id: Uuid, session: Uuid) -> String {
        let keys = KeyRing::open(&self.folder().join("keys"), &SystemClock).unwrap();
        let actor = Actor {
            id,
            role: Role::Customer,
            name: "Ada".to_owned(),
        };
        let signed_in = SignedIn {
            session,
            language: Language::default(),
        };
        Tokens::new(Arc::new(keys), self.clock.clone())
            .issue_for(person.workspace, &actor, 0, Some(signed_in))
            .unwrap()
    }

    /// A further token of a guest, signed by the server's own key.
    pub(crate) fn another_token(&self, person: &Person, id: Uuid) -> String {
        self.token_of(person, id, 600, self.clock.clone())
    }

    /// A further token of a guest that was made long ago and expires soon.
    pub(crate) fn ageing_token(&self, person: &Person, id: Uuid) -> String {
        let age = SystemClock.now().millis_since(PastClock.now()) / 1_000;
        self.token_of(person, id, age + 600, Arc::new(PastClock))
    }

    fn token_of(&self, person: &Person, id: Uuid, ttl: u64, clock: clock::SharedClock) -> String {
        let keys = KeyRing::open(&self.folder().join("keys"), &SystemClock).unwrap();
        let actor = Actor {
            id,
            role: Role::Student,
            name: "Ada".to_owned(),
        };
        Tokens::new(Arc::new(keys), clock)
            .issue(person.workspace, &actor, ttl)
            .unwrap()
    }

    fn with_token(&self, person: &Person, role: Role, ttl: u64, clock: clock::SharedClock) -> Person {
        let keys = KeyRing::open(&self.folder().join("keys"), &SystemClock).unwrap();
        let actor = Actor {
            id: SystemClock.new_id(),
            role,
            name: "Grace".to_owned(),
        };
        let token = Tokens::new(Arc::new(keys), clock)
            .issue(person.workspace, &actor, ttl)
            .unwrap();
        Person {
            token,
            ..person.clone()
        }
    }

    /// Sends a command, and expects it to be accepted.
    pub(crate) async fn command(&self, person: &Person, command: &Value) -> Value {
        let response = self
            .post("/api/v1/commands", command)
            .bearer_auth(&person.token)
            .send()
            .await
            .unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// Waits until every view and consumer of the person's workspace has handled every event.
    pub(crate) async fn settled(&self, person: &Person) {
        let request = self.get("/api/v1/settled").bearer_auth(&person.token);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let mut waiting = answer.text().await.unwrap();
        if status != StatusCode::OK {
            // Why, where a policy's command was refused for good.
            let request = self.get("/api/v1/dead-letters").bearer_auth(&person.token);
            waiting += &request.send().await.unwrap().text().await.unwrap();
        }
        assert_eq!(status, StatusCode::OK, "it does not settle: {waiting}");
    }

    /// Connects to the live socket.
    pub(crate) async fn live(&self, person: &Person) -> Live {
        let bearer = format!("Bearer {}", person.token);
        self.try_live(&[
            ("authorization", &bearer),
            ("sec-websocket-protocol", "foldline.v1"),
        ])
        .await
        .unwrap()
    }

    /// Connects to the live socket with these headers; otherwise the status of the refusal.
    pub(crate) async fn try_live(&self, headers: &[(&'static str, &str)]) -> Result<Live, u16> {
        let url = self.url("/api/v1/live").replacen("http", "ws", 1);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, HeaderValue::from_str(value).unwrap());
        }
        match connect_async(request).await {
            Ok((socket, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol").cloned();
                Ok(Live::new(socket, protocol))
            }
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A client of the live socket. A task receives frames and answers pings, as a browser does: the server does
/// not end the connection because the test is busy.
pub(crate) struct Live {
    sender: Arc<Mutex<SplitSink<Socket, Message>>>,
    frames: mpsc::UnboundedReceiver<tungstenite::Result<Message>>,
    receiving: JoinHandle<()>,
    pub(crate) protocol: Option<HeaderValue>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

impl Live {
    fn new(socket: Socket, protocol: Option<HeaderValue>) -> Self {
        let (sender, mut receiver) = socket.split();
        let sender = Arc::new(Mutex::new(sender));
        let (forward, frames) = mpsc::unbounded_channel();
        let answering = Arc::clone(&sender);
        let receiving = tokio::spawn(async move {
            while let Some(message) = receiver.next().await {
                let is_ping = |text: &str| text.starts_with(r#"{"op":"ping""#);
                if matches!(&message, Ok(Message::Text(text)) if is_ping(text)) {
                    let answering = Arc::clone(&answering);
                    // on a task of its own: the test may be sending, which completes only while this side
                    // reads
                    tokio::spawn(async move {
                        let pong = Message::text(r#"{"op":"pong"}"#);
                        let _ = answering.lock().await.send(pong).await;
                    });
                }
                let _ = forward.send(message);
            }
        });
        Self {
            sender,
            frames,
            receiving,
            protocol,
        }
    }

    pub(crate) async fn send(&mut self, frame: &Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        // A server that has closed accepts nothing more; the test sees that in the frames that it receives.
        let _ = self.sender.lock().await.send(message).await;
    }

    /// The next frame with this `op`; others are skipped.
    pub(crate) async fn next_of(&mut self, op: &str) -> Value {
        self.next_where(op, |frame| frame["op"] == op).await
    }

    /// The next frame that is `wanted`; others are skipped. `op` names it in a failure.
    pub(crate) async fn next_where(&mut self, op: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let next = async {
            loop {
                match self.frames.recv().await.expect("the socket is open").unwrap() {
                    Message::Text(text) => {
                        let frame: Value = serde_json::from_str(&text).unwrap();
                        if wanted(&frame) {
                            return frame;
                        }
                    }
                    Message::Close(frame) => panic!("closed while waiting for {op}: {frame:?}"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, next)
            .await
            .unwrap_or_else(|_| panic!("no {op}"))
    }

    /// Waits until the server has closed the connection, after a whole closing handshake.
    pub(crate) async fn ended(&mut self) {
        let end = async {
            while let Some(frame) = self.frames.recv().await {
                frame.unwrap();
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, end)
            .await
            .expect("the connection ends");
    }

    /// The server's close frame.
    pub(crate) async fn closed(&mut self) -> CloseFrame {
        let next = async {
            loop {
                match self.frames.recv().await {
                    Some(Ok(Message::Close(Some(frame)))) => return frame,
                    Some(Ok(_)) => {}
                    other => panic!("no close frame: {other:?}"),
                }
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, next)
            .await
            .expect("a close frame")
    }
}

/// The machine's clock, which a test can stop and move forward; in microseconds.
#[derive(Debug, Default)]
struct ManualClock {
    /// The time by which the test has moved it forward.
    offset: AtomicI64,
    /// The time at which it was stopped; zero while it runs.
    stopped_at: AtomicI64,
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let now = match self.stopped_at.load(Ordering::Relaxed) {
            0 => SystemClock.now().as_micros(),
            stopped_at => stopped_at,
        };
        Timestamp::from_micros(now + self.offset.load(Ordering::Relaxed))
    }
}

/// The path of a request that waits for a fold, with the longest wait unless the path names one. By default
/// the server answers after five seconds that the view is behind, and a slow machine may need longer.
fn with_longest_wait(path: &str) -> std::borrow::Cow<'_, str> {
    let reads = ["/api/v1/views/", "/api/v1/search?"];
    let waits = path.starts_with("/api/v1/settled")
        || path.contains("after=") && reads.iter().any(|prefix| path.starts_with(prefix));
    if !waits || path.contains("timeout_ms=") {
        return path.into();
    }
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}timeout_ms={LONGEST_WAIT_MS}").into()
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|text| (*text).to_owned()).collect()
}

/// A clock that stopped in November 2023.
#[derive(Debug)]
struct PastClock;

impl Clock for PastClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000)
    }
}

fn settings_in(folder: &TempDir, further: &[String]) -> Settings {
    let folder = folder.path().to_str().unwrap();
    let arguments = [
        "foldline",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        folder,
    ];
    let has_timeout = further.iter().any(|argument| argument == REQUEST_TIMEOUT[0]);
    let timeout = REQUEST_TIMEOUT.iter().filter(|_| !has_timeout);
    let arguments = arguments
        .iter()
        .chain(timeout)
        .map(OsString::from)
        .chain(further.iter().map(OsString::from));
    match settings::load(arguments, []).unwrap().command {
        settings::Command::Serve(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn person(response: Response) -> Person {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    let access: WorkspaceAccess = serde_json::from_str(&text).unwrap();
    assert!(access.expires_in > 0);
    Person {
        workspace: access.workspace,
        join_code: access.join_code,
        token: access.token,
    }
}

/// The problem of a refusal; its media type, status and texts must be those of a problem.
pub(crate) async fn problem(response: Response) -> Problem {
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).cloned();
    let text = response.text().await.unwrap();
    assert_eq!(
        content_type.as_ref().map(HeaderValue::as_bytes),
        Some(&b"application/problem+json"[..]),
        "{text}"
    );
    let problem: Problem = serde_json::from_str(&text).unwrap();
    assert_eq!(problem.status, status.as_u16());
    assert!(problem.kind.starts_with("/problems/"), "{text}");
    assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{text}");
    problem
}

/// The fields that a problem names.
pub(crate) fn fields(problem: &Problem) -> Vec<&str> {
    problem
        .violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect()
}

/// A command that lists a product, and so creates its stream.
pub(crate) fn list_product(sku: &str) -> Value {
    json!({"type": "ListProduct", "stream": format!("product-{sku}"), "data": {
        "sku": sku, "name": "Mug", "description": "For tea.", "price": {"amount": 1200, "currency": "EUR"},
        "tags": ["kitchen"],
    }})
}

/// A command that orders one of a product.
pub(crate) fn place_order(order: Uuid, sku: &str) -> Value {
    json!({"type": "PlaceOrder", "stream": format!("order-{order}"), "data": {
        "lines": [{"sku": sku, "quantity": 1}], "payment_method": "tok_ok",
    }})
}
