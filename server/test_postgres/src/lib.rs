//! A PostgreSQL server for tests, with a new database for each test.
//!
//! By default each test process has its own server, which ends with it. PostgreSQL's programs are searched
//! for in Debian's folders and in `PATH`. `FOLDLINE_TEST_POSTGRES` names a running server instead, as in
//! `postgres://user:password@host/postgres`; its user needs the right to create databases. Unit tests and API
//! tests share this crate.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a failed preparation fails its test"
)]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// The environment variable that names a running server.
const SERVER: &str = "FOLDLINE_TEST_POSTGRES";

/// A server, held by a script that ends with its standard input, and so with this process.
pub struct Cluster {
    _script: Child,
    orders: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    folder: String,
}

impl Cluster {
    /// Starts a server. `flush`: whether commits are on disk when they are acknowledged, as in production.
    pub fn start(flush: bool) -> Self {
        let mut script = command()
            .arg(programs())
            .arg(if flush { "on" } else { "off" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = script.stdin.take().unwrap();
        let mut answers = BufReader::new(script.stdout.take().unwrap());
        let answer = line(&mut answers);
        let folder = answer.strip_prefix("ready ").map(str::to_owned);
        Self {
            _script: script,
            orders: Mutex::new((orders, answers)),
            folder: folder.expect("PostgreSQL starts; its output is above"),
        }
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://foldline@localhost/{database}?host={}", self.folder)
    }

    /// Kills every process of the server, as a power cut would.
    pub fn crash(&self) {
        self.order("crash");
    }

    /// Starts it again; returns when it accepts connections.
    pub fn resume(&self) {
        self.order("start");
    }

    fn order(&self, order: &str) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(orders.0, "{order}").unwrap();
        assert_eq!(line(&mut orders.1), "done");
    }
}

fn line(answers: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// A shell with the script, as a user other than root, as which PostgreSQL refuses to run.
fn command() -> Command {
    const SCRIPT: &str = include_str!("cluster.sh");
    let shell = ["sh", "-c", SCRIPT, "cluster.sh"];
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout.starts_with(b"0\n"));
    let mut command = if is_root {
        let user = if Command::new("id")
            .args(["-u", "postgres"])
            .output()
            .is_ok_and(|id| id.status.success())
        {
            "postgres"
        } else {
            "nobody"
        };
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        command.args(shell);
        command
    } else {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]);
        command
    };
    command.current_dir("/");
    command
}

/// The folder of `initdb`, of the newest version if there are several.
pub fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| {
            (
                version.file_name().to_string_lossy().parse().unwrap_or(0),
                version.path().join("bin"),
            )
        })
        .filter(|(_, folder)| has_programs(folder))
        .collect();
    found.sort();
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| has_programs(folder))
    };
    found.pop().map(|(_, folder)| folder).or_else(in_path).expect(
        "these tests need PostgreSQL: install Debian's package `postgresql`, or set FOLDLINE_TEST_POSTGRES",
    )
}

fn has_programs(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("pg_ctl").is_file()
}

/// The server that the tests of this process share. Commits are not flushed: no test on it covers a crash.
fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::start(false))
}

/// The database of one test.
pub struct Database {
    /// Its URL.
    pub url: String,
    /// The server and the name by which it is dropped, if the server outlives the process.
    removal: Option<(String, String)>,
}

impl Database {
    /// Creates an empty database.
    pub async fn new() -> Self {
        let server = std::env::var(SERVER).ok();
        let name = format!("foldline_test_{}", uuid::Uuid::from_u128(rand::random()).simple());
        let administration = server.clone().unwrap_or_else(|| shared().url("postgres"));
        create(&administration, &name).await;
        match server {
            Some(server) => {
                let mut url = url::Url::parse(&server).expect("FOLDLINE_TEST_POSTGRES is a URL");
                url.set_path(&name);
                Self {
                    url: url.into(),
                    removal: Some((server, name)),
                }
            }
            None => Self {
                url: shared().url(&name),
                removal: None,
            },
        }
    }

    /// Creates a database on a test's own server, with which it ends.
    pub async fn on(cluster: &Cluster) -> Self {
        create(&cluster.url("postgres"), "own").await;
        Self {
            url: cluster.url("own"),
            removal: None,
        }
    }
}

async fn create(administration: &str, name: &str) {
    let mut connection = PgConnection::connect(administration).await.unwrap();
    connection
        .execute(AssertSqlSafe(format!("create database {name}")))
        .await
        .unwrap();
    connection.close().await.unwrap();
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.removal.take() else {
            return;
        };
        // A drop cannot wait, and the test's own runtime may be about to end.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&server).await.unwrap();
                let drop = format!("drop database if exists {name} with (force)");
                connection.execute(AssertSqlSafe(drop)).await.unwrap();
            });
        });
        if removal.join().is_err() {
            eprintln!("a test database was not removed");
        }
    }
}
