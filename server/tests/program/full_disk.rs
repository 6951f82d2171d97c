//! The disk fills up under a running server, and has room again later. Meanwhile an append fails without
//! storing anything, and acknowledged events can be read, also after a restart; afterwards everything
//! continues by itself.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use domain::wire::{Page, Problem, VerifyReport, WorkspaceAccess};
use reqwest::{Method, Response, StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::running::{Server, TEST_TIMEOUT, clean};

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
    /// A workspace at a server.
    async fn open(url: String) -> Self {
        let mut shop = Self {
            client: reqwest::Client::new(),
            url,
            token: String::new(),
        };
        let empty = json!({"template": "empty"});
        let opened = shop.request(Method::POST, "/api/v1/workspaces", None, Some(&empty));
        shop.token = opened.await.json::<WorkspaceAccess>().await.unwrap().token;
        shop
    }

    /// Lists products from this number on until one is refused; the number of the refused one, and the
    /// answer.
    async fn list_until_refused(&self, mut number: u32) -> (u32, Response) {
        loop {
            let answer = self.list(number).await;
            if answer.status() != StatusCode::OK {
                return (number, answer);
            }
            number += 1;
            assert!(number < MAX_COMMANDS, "there is no room, and nothing was refused");
        }
    }

    /// Waits until the server says that the disk is full. What the search index frees is written again.
    async fn list_until_not_ready(&self, mut number: u32) -> u32 {
        for _ in 0..MAX_COMMANDS {
            let (status, answer) = self.readiness().await;
            if answer["waiting_for"].to_string().contains("the disk is full") {
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                return number;
            }
            if self.list(number).await.status() == StatusCode::OK {
                number += 1;
            }
        }
        panic!("there is no room, and the server is ready");
    }

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

/// The answer to a command for which there is no room.
async fn assert_full(refused: Response) {
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    let problem: Problem = refused.json().await.unwrap();
    assert_eq!(problem.kind, "/problems/unavailable");
    assert!(problem.detail.contains("full"), "{}", problem.detail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_appends_completely_and_everything_continues_when_there_is_room() {
    let server = Server::on_a_disk_of(DISK);
    server.start();
    let shop = Shop::open(server.url(0).await.1).await;
    assert_eq!(shop.list(0).await.status(), StatusCode::OK);

    let ballast = server.data().join("ballast");
    let full = std::fs::write(&ballast, vec![0; 64 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);

    let (accepted, refused) = shop.list_until_refused(1).await;
    assert_full(refused).await;
    let accepted = shop.list_until_not_ready(accepted).await;
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

/// A server that is started once more when it has ended, on the same disk.
struct Restarting {
    shell: Child,
    lines: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
    /// The process of the server that runs.
    id: String,
}

impl Restarting {
    /// `limit` is run by the shell that starts the server.
    fn start(mount: Option<&str>, limit: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(r#"{limit}; for run in 1 2; do "$@" & echo "id $!"; wait "$!"; done"#);
        let mut command = if let Some(size) = mount {
            let mut command = clean("unshare");
            let mount = format!(r#"mount -t tmpfs -o size={size} none "$0"; {script}"#);
            command
                .args(["--mount", "--user", "--map-root-user", "sh", "-c"])
                .arg(mount);
            command
        } else {
            let mut command = clean("sh");
            command.arg("-c").arg(script);
            command
        };
        command
            .arg(folder.path())
            .arg(env!("CARGO_BIN_EXE_foldline"))
            .args(["serve", "--listen", "127.0.0.1:0", "--requests-per-minute", "0"])
            .args(["--log-filter", "warn", "--data-dir"])
            .arg(folder.path())
            .stdout(Stdio::piped());
        let mut shell = Command::from(command).spawn().unwrap();
        let lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        Self {
            shell,
            lines,
            folder,
            id: String::new(),
        }
    }

    /// The address of the next run, once it listens.
    async fn url(&mut self) -> String {
        loop {
            let line = tokio::time::timeout(TEST_TIMEOUT, self.lines.next_line()).await;
            let line = line.unwrap().unwrap().expect("it starts");
            if let Some(id) = line.strip_prefix("id ") {
                id.clone_into(&mut self.id);
            }
            if let Some(url) = line.strip_prefix("Foldline is ready at ") {
                return url.to_owned();
            }
        }
    }

    /// The data folder, as the server sees it.
    fn data(&self) -> PathBuf {
        let inside = self.folder.path().strip_prefix("/").unwrap();
        Path::new("/proc").join(&self.id).join("root").join(inside)
    }

    fn signal(&self, name: &str) {
        let sent = clean("kill").arg(name).arg(&self.id).status().unwrap();
        assert!(sent.success());
    }

    /// Stops the server as an operator does; `true`: it ended by itself.
    async fn end(mut self) -> bool {
        self.signal("-TERM");
        self.id.clear();
        let ended = tokio::time::timeout(TEST_TIMEOUT, self.shell.wait()).await;
        ended.unwrap().unwrap().success()
    }
}

impl Drop for Restarting {
    fn drop(&mut self) {
        // The shell first: it would start the server again.
        let _ = self.shell.start_kill();
        if !self.id.is_empty() {
            let _ = clean("kill").arg("-KILL").arg(&self.id).status();
        }
    }
}

/// Stopped by an operator, or killed: with databases that were closed, and with ones that were not.
async fn a_server_starts_on_a_full_disk(signal: &str) {
    let mut server = Restarting::start(Some(DISK), ":");
    let mut shop = Shop::open(server.url().await).await;
    assert_eq!(shop.list(0).await.status(), StatusCode::OK);
    let ballast = server.data().join("ballast");
    let full = std::fs::write(&ballast, vec![0; 64 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let (accepted, refused) = shop.list_until_refused(1).await;
    assert_full(refused).await;

    server.signal(signal);
    shop.url = server.url().await;
    let ballast = server.data().join("ballast");
    assert!(
        shop.events().await >= accepted,
        "what was acknowledged can be read"
    );
    let accepted = shop.events().await;
    let product: Value = shop.get("/api/v1/streams/product-mug-0").await;
    assert_eq!(product["data"][0]["type"], "ProductListed");
    let (accepted, refused) = shop.list_until_refused(accepted).await;
    assert_full(refused).await;
    let accepted = shop.list_until_not_ready(accepted).await;
    assert_eq!(shop.events().await, accepted);

    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(shop.list(accepted).await.status(), StatusCode::OK);
    shop.settled().await;
    assert_eq!(shop.readiness().await.0, StatusCode::OK);
    let verified: VerifyReport = shop.get("/api/v1/verify").await;
    assert_eq!(verified.findings, Vec::<String>::new());
    assert!(server.end().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_stopped_starts_on_a_full_disk_and_reads() {
    a_server_starts_on_a_full_disk("-TERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_starts_on_a_full_disk_and_reads() {
    a_server_starts_on_a_full_disk("-KILL").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_file_sizes_refuses_writes_as_a_full_disk_does_and_ends_no_server() {
    // 3 MiB where a unit has 512 bytes, and 6 MiB where it has a kilobyte.
    let mut server = Restarting::start(None, "ulimit -f 6144");
    let mut shop = Shop::open(server.url().await).await;
    let (accepted, refused) = shop.list_until_refused(0).await;
    assert_full(refused).await;
    let accepted = shop.list_until_not_ready(accepted).await;
    assert_eq!(shop.events().await, accepted);

    server.signal("-TERM");
    shop.url = server.url().await;
    assert!(
        shop.events().await >= accepted,
        "it starts under the limit, and reads"
    );
    assert!(server.end().await);
}
