//! The security log in a file: what is attempted, refused and done leaves a line, and no secret is in it.

use std::{path::Path, sync::Arc};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::running::{Server, TEST_TIMEOUT, clean};

const PASSWORD: &str = "correct horse battery";
const NEW_PASSWORD: &str = "another horse battery";
const EMAIL: &str = "ada@example.org";

/// A server with a security log, and what its clients have sent that must not be in it.
struct Fixture {
    server: Arc<Server>,
    url: String,
    http: reqwest::Client,
    log: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let log = tempfile::tempdir().unwrap();
        let path = log.path().join("security.log");
        let arguments = ["--security-log", path.to_str().unwrap()];
        let server = Arc::new(Server::new(arguments.map(str::to_owned).into()));
        server.start();
        let (_, url) = server.url(0).await;
        Self {
            server,
            url,
            http: reqwest::Client::new(),
            log,
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap_or_default())
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, token, Some(body)).await
    }

    fn path(&self) -> std::path::PathBuf {
        self.log.path().join("security.log")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The first line of an event for which the answer of its request does not wait.
    async fn wait_for(&self, event: &str) -> Value {
        let found = async {
            loop {
                let text = self.text();
                let mut lines = text
                    .lines()
                    .filter_map(|line| serde_json::from_str::<Value>(line).ok());
                if let Some(found) = lines.find(|line| line["event"] == event) {
                    break found;
                }
                self.send(Method::GET, "/healthz", "", None).await;
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, found).await.unwrap()
    }

    /// The newest line of an event.
    fn last(&self, event: &str) -> Value {
        let lines = self.lines();
        let found = lines.into_iter().rfind(|line| line["event"] == event);
        found.unwrap_or_else(|| panic!("no {event} in {}", self.text()))
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one story: each step needs what the steps before it opened"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_try_leaves_a_line_without_secrets() {
    let fixture = Fixture::new().await;
    let (_, opened) = fixture
        .post("/api/v1/workspaces", "", &json!({"template": "empty"}))
        .await;
    let (workspace, educator) = (&opened["workspace"], opened["token"].as_str().unwrap());
    let code = opened["join_code"].as_str().unwrap();
    assert_eq!(fixture.last("workspace_opened")["role"], "educator");

    // Joins, right and wrong; the wrong code is hostile.
    let join = |code: &str| json!({"code": code, "display_name": "Ada"});
    let (_, joined) = fixture.post("/api/v1/workspaces/join", "", &join(code)).await;
    let student = joined["token"].as_str().unwrap();
    assert_eq!(&fixture.last("workspace_joined")["workspace"], workspace);
    fixture
        .post("/api/v1/workspaces/join", "", &join("no\" event=\"signed_in"))
        .await;
    let failed = fixture.last("join_failed");
    assert_eq!(
        (&failed["outcome"], &failed["reason"]),
        (&json!("failure"), &json!("unknown_code"))
    );
    assert_eq!(failed["address"], "127.0.0.1");

    // A registration, and sign-ins.
    let (_, session) = fixture.send(Method::GET, "/api/v1/session", student, None).await;
    let person = &session["actor_id"];
    let register = json!({"type": "RegisterUser", "stream": format!("user-{}", person.as_str().unwrap()),
        "data": {"email": EMAIL, "display_name": "Ada", "password": PASSWORD}});
    let (status, answer) = fixture.post("/api/v1/commands", student, &register).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(&fixture.last("registered")["actor"], person);
    let sign_in = |password: &str| json!({"email": EMAIL, "password": password, "workspace": workspace});
    fixture
        .post("/api/v1/sessions", "", &sign_in("not the password"))
        .await;
    let failed = fixture.last("sign_in_failed");
    assert_eq!(failed["reason"], "wrong_credentials");
    let (_, signed_in) = fixture.post("/api/v1/sessions", "", &sign_in(PASSWORD)).await;
    let token = signed_in["token"].as_str().unwrap();
    let success = fixture.last("signed_in");
    assert_eq!(
        success["account"], failed["account"],
        "attempts at one account are found together"
    );
    assert_eq!((&success["actor"], &success["workspace"]), (person, workspace));

    // Refusals: by role, by token, by origin.
    let (status, _) = fixture.send(Method::GET, "/api/v1/export", token, None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let refused = fixture.last("role_refused");
    assert_eq!(
        (&refused["actor"], &refused["role"]),
        (person, &json!("customer"))
    );
    fixture
        .send(Method::GET, "/api/v1/session", "no.such.token", None)
        .await;
    assert_eq!(fixture.last("token_refused")["reason"], "invalid");
    let foreign = fixture.http.post(format!("{}/api/v1/sessions", fixture.url));
    foreign
        .header("origin", "http://evil.test")
        .json(&sign_in(PASSWORD))
        .send()
        .await
        .unwrap();
    assert_eq!(fixture.last("origin_refused")["outcome"], "refused");

    // Changes of the account.
    let change = |current: &str| json!({"current": current, "new": NEW_PASSWORD});
    let put = |body: Value| {
        let fixture = &fixture;
        async move {
            let path = "/api/v1/sessions/password";
            fixture.send(Method::PUT, path, token, Some(&body)).await
        }
    };
    put(change("not the password")).await;
    assert_eq!(&fixture.last("password_refused")["actor"], person);

    // What belongs to another person, an email of no account, and a forged link.
    let foreign = json!({"type": "ChangeDisplayName", "stream": "user-0198c100-0000-7000-8000-000000000000",
        "data": {"display_name": "Eve"}});
    fixture.post("/api/v1/commands", token, &foreign).await;
    let refused = fixture.last("owner_refused");
    assert_eq!(
        (&refused["actor"], &refused["reason"]),
        (person, &json!("account"))
    );
    let unknown = json!({"email": "unknown@example.com"});
    fixture.post("/api/v1/password-resets", "", &unknown).await;
    fixture
        .send(Method::POST, "/unsubscribe?token=forged", "", None)
        .await;
    assert_eq!(fixture.last("unsubscribe_refused")["reason"], "invalid_link");
    let refused = fixture.wait_for("password_reset_refused").await;
    assert_eq!(
        (&refused["reason"], refused["account"].is_string()),
        (&json!("unknown_account"), true)
    );
    put(change(PASSWORD)).await;
    assert_eq!(&fixture.last("password_changed")["actor"], person);
    fixture
        .send(Method::DELETE, "/api/v1/sessions", token, None)
        .await;
    assert_eq!(&fixture.last("signed_out")["actor"], person);

    // What an educator does with the workspace.
    for (method, path, event) in [
        (Method::GET, "/api/v1/export", "exported"),
        (Method::GET, "/api/v1/verify", "verified"),
        (Method::POST, "/api/v1/lab/projections/orders/rebuild", "rebuilt"),
        (
            Method::POST,
            "/api/v1/lab/projections/orders/resume",
            "pipeline_changed",
        ),
    ] {
        fixture.send(method, path, educator, None).await;
        let line = fixture.last(event);
        assert_eq!(
            (&line["workspace"], &line["role"]),
            (workspace, &json!("educator")),
            "{event}"
        );
    }

    let text = fixture.text();
    let passwords = [PASSWORD, NEW_PASSWORD, "not the password"];
    for secret in passwords
        .into_iter()
        .chain([EMAIL, "ada@", code, token, student, educator])
    {
        assert!(!text.contains(secret), "{secret}");
    }
    for line in fixture.lines() {
        assert_eq!(line["target"], "security");
        assert!(
            line["timestamp"].is_string() && line["outcome"].is_string(),
            "{line}"
        );
    }
    fixture.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_session_that_has_ended_leaves_a_line_of_its_end() {
    let fixture = Fixture::new().await;
    let url = format!("{}/api/v1/sessions", fixture.url);
    for cookie in [
        "foldline_refresh=made-up",
        "foldline_session=a.b.c",
        "foldline_refresh=x; foldline_session=y",
    ] {
        let sent = fixture
            .http
            .delete(&url)
            .header("cookie", cookie)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), StatusCode::NO_CONTENT, "{cookie}");
    }
    assert!(!fixture.text().contains("signed_out"), "{}", fixture.text());
    fixture.server.stop().await;
}

/// The records of an event and a workspace: how many are written, and how many they stand for.
fn counted(lines: &[Value], event: &str, workspace: &Value) -> (u64, u64) {
    let of_it = lines
        .iter()
        .filter(|line| line["event"] == event && &line["workspace"] == workspace);
    of_it.fold((0, 0), |(written, all), line| {
        let others = line["suppressed"].as_u64().unwrap_or_default();
        (written + 1, all + 1 + others)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refusals_hides_no_other_persons_and_its_number_is_recorded() {
    let fixture = Fixture::new().await;
    let mut students = Vec::new();
    for _ in 0..2 {
        let open = json!({"template": "empty"});
        let (_, opened) = fixture.post("/api/v1/workspaces", "", &open).await;
        let join = json!({"code": opened["join_code"], "display_name": "Ada"});
        let (_, joined) = fixture.post("/api/v1/workspaces/join", "", &join).await;
        students.push((
            opened["workspace"].clone(),
            joined["token"].as_str().unwrap().to_owned(),
        ));
    }
    let export = async |token: &str| {
        let (status, _) = fixture.send(Method::GET, "/api/v1/export", token, None).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    };
    let [(flooding, flooder), (quiet, other)] = <[_; 2]>::try_from(students).unwrap();
    for n in 0..400 {
        export(&flooder).await;
        if n % 20 == 0 {
            export(&other).await;
        }
    }
    fixture.server.stop().await;
    let lines = fixture.lines();
    assert_eq!(counted(&lines, "role_refused", &quiet), (20, 20));
    let (_, all) = counted(&lines, "role_refused", &flooding);
    assert_eq!(all, 400, "each is written or counted");
}

/// A stranger may have an account with the email of another person, and guess that one's password by setting
/// each guess as their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_without_a_workspace_leaves_a_line_for_each_account_whose_password_it_is_not() {
    let fixture = Fixture::new().await;
    let mut workspaces = Vec::new();
    for password in [PASSWORD, NEW_PASSWORD] {
        let open = json!({"template": "empty"});
        let (_, opened) = fixture.post("/api/v1/workspaces", "", &open).await;
        let join = json!({"code": opened["join_code"], "display_name": "Ada"});
        let (_, joined) = fixture.post("/api/v1/workspaces/join", "", &join).await;
        let token = joined["token"].as_str().unwrap();
        let (_, session) = fixture.send(Method::GET, "/api/v1/session", token, None).await;
        let person = session["actor_id"].as_str().unwrap();
        let register = json!({"type": "RegisterUser", "stream": format!("user-{person}"),
            "data": {"email": EMAIL, "display_name": "Ada", "password": password}});
        let (status, answer) = fixture.post("/api/v1/commands", token, &register).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        workspaces.push(opened["workspace"].clone());
    }
    let sign_in = json!({"email": EMAIL, "password": PASSWORD});
    let (_, signed_in) = fixture.post("/api/v1/sessions", "", &sign_in).await;
    assert_eq!(signed_in["workspace"], workspaces[0]);
    let failed = fixture.wait_for("sign_in_failed").await;
    assert_eq!(
        (&failed["workspace"], &failed["reason"]),
        (&workspaces[1], &json!("wrong_credentials"))
    );
    let success = fixture.last("signed_in");
    assert_eq!(
        (&failed["account"], &failed["address"]),
        (&success["account"], &success["address"])
    );
    fixture.server.stop().await;
}

fn foldline(data: &Path, log: &Path, arguments: &[&str]) -> std::process::Output {
    let output = clean(env!("CARGO_BIN_EXE_foldline"))
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .env("FOLDLINE_SECURITY_LOG", log)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_does_at_the_command_line_leaves_a_line() {
    let fixture = Fixture::new().await;
    let (_, opened) = fixture
        .post("/api/v1/workspaces", "", &json!({"template": "empty"}))
        .await;
    fixture.server.stop().await;
    let (data, log) = (fixture.server.folder(), fixture.path());
    let workspace = opened["workspace"].as_str().unwrap();
    let token = foldline(
        data,
        &log,
        &["token", "--workspace", workspace, "--role", "staff"],
    );
    let created = fixture.last("token_created");
    assert_eq!(
        (&created["workspace"], &created["role"]),
        (&json!(workspace), &json!("staff"))
    );
    assert_eq!(created["reason"], "command_line");
    let token = String::from_utf8(token.stdout).unwrap();
    assert!(!fixture.text().contains(token.trim()));
    foldline(data, &log, &["export", "--workspace", workspace]);
    assert_eq!(fixture.last("exported")["workspace"], workspace);
    foldline(data, &log, &["verify", "--workspace", workspace]);
    assert_eq!(fixture.last("verified")["workspace"], workspace);
    // The names of people are lines of visible text here as well.
    let hostile = [
        "token",
        "--workspace",
        workspace,
        "--role",
        "staff",
        "--name",
        "A\nB",
    ];
    let refused = clean(env!("CARGO_BIN_EXE_foldline"))
        .args(hostile)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("U+000A"), "{said}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_for_the_servers_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let fixture = Fixture::new().await;
    let mode = std::fs::metadata(fixture.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let created = fixture.last("signing_key_created");
    assert_eq!(created["outcome"], "success");
    fixture.server.stop().await;
}
