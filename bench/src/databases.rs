//! The databases of this run: a folder, and a PostgreSQL of its own, both removed when the run ends, even
//! after a failure. Every contender of every case gets a new file or database.

use std::{
    env,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use database::url::StoreUrl;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use crate::{durability::Disk, report};

/// A database that contenders use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Database {
    /// One file
    Sqlite,
    /// A server
    Postgres,
}

impl Database {
    /// Its display name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Creates and removes the files and databases of a run.
pub(crate) struct BenchDatabases {
    folder: TempDir,
    cluster: Option<Cluster>,
    /// The names in use since the last clearing.
    names: Mutex<Vec<String>>,
    /// The disk that holds the files.
    pub(crate) disk: Disk,
}

impl BenchDatabases {
    /// Creates the folder, and starts PostgreSQL if it is used.
    pub(crate) async fn prepare(databases: &[Database]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("foldline-bench.").tempdir()?;
        let disk = Disk::below(folder.path())?;
        let cluster = if databases.contains(&Database::Postgres) {
            report::step("starting PostgreSQL");
            // The start blocks, and Ctrl-C must be handled meanwhile.
            Some(tokio::task::spawn_blocking(Cluster::start).await??)
        } else {
            None
        };
        Ok(Self {
            folder,
            cluster,
            names: Mutex::default(),
            disk,
        })
    }

    /// A new name.
    fn name(&self, contender: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{contender}_{}", names.len());
        names.push(name.clone());
        name
    }

    /// A file that does not exist yet.
    pub(crate) fn file(&self, contender: &str) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.name(contender)))
    }

    /// A new, empty folder.
    pub(crate) fn folder(&self, contender: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join(self.name(contender));
        std::fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// The URL of a new database.
    pub(crate) async fn database(&self, contender: &str) -> Result<String> {
        let name = self.name(contender);
        self.administer(&format!("create database {name}")).await?;
        self.url(&name)
    }

    /// The URL of a new file or database, for our stores.
    pub(crate) async fn store_url(&self, database: Database, contender: &str) -> Result<StoreUrl> {
        Ok(match database {
            Database::Sqlite => self.file(contender).into(),
            Database::Postgres => self.database(contender).await?.parse()?,
        })
    }

    /// The URL of the administrative database.
    pub(crate) fn administration(&self) -> Result<String> {
        self.url("postgres")
    }

    /// Removes the files and databases of a case, which are unused by then.
    pub(crate) async fn clear(&self) -> Result<()> {
        let names = std::mem::take(&mut *self.names.lock().unwrap_or_else(PoisonError::into_inner));
        for name in names {
            if self.cluster.is_some() {
                self.administer(&format!("drop database if exists {name} with (force)"))
                    .await?;
            }
            for suffix in ["", "-wal", "-shm", ".lock"] {
                // Not all of them exist.
                let _ = std::fs::remove_file(self.folder.path().join(format!("{name}.db{suffix}")));
            }
            let _ = std::fs::remove_dir_all(self.folder.path().join(&name));
        }
        Ok(())
    }

    fn url(&self, database: &str) -> Result<String> {
        let cluster = self.cluster.as_ref().context("PostgreSQL was not started")?;
        Ok(format!(
            "postgres://foldline@localhost/{database}?host={}",
            cluster.folder
        ))
    }

    async fn administer(&self, statement: &str) -> Result<()> {
        let mut connection = PgConnection::connect(&self.administration()?).await?;
        connection.execute(AssertSqlSafe(statement.to_owned())).await?;
        connection.close().await?;
        Ok(())
    }
}

/// A PostgreSQL server that flushes every commit, run by the script of the tests. It stops when its standard
/// input closes, and so with this program.
struct Cluster {
    script: Child,
    folder: String,
}

impl Cluster {
    fn start() -> Result<Self> {
        const SCRIPT: &str = include_str!("../../server/test_postgres/src/cluster.sh");
        // Enough buffers for a run, and no checkpoint in the middle of one.
        const ROOMY: &str = "-c shared_buffers=1GB -c max_wal_size=8GB -c checkpoint_timeout=1h";
        let mut command = as_unprivileged_user();
        command
            .args(["sh", "-c", SCRIPT, "cluster.sh"])
            .arg(programs()?)
            .args(["on", ROOMY])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is handled by this program; the script must clean up afterwards, not be stopped at the
            // same time.
            .process_group(0);
        let mut script = command.spawn().context("the shell cannot be started")?;
        let answers = script.stdout.take().context("the script has no output")?;
        let mut answer = String::new();
        BufReader::new(answers).read_line(&mut answer)?;
        let Some(folder) = answer.trim_end().strip_prefix("ready ") else {
            bail!("PostgreSQL does not start; what it said is above");
        };
        Ok(Self {
            folder: folder.to_owned(),
            script,
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // Until the script has removed its folder.
        let _ = self.script.wait();
    }
}

/// A command that runs the next program as an unprivileged user, because PostgreSQL refuses to run as root.
fn as_unprivileged_user() -> Command {
    let answers = |arguments: &[&str], expected: &str| {
        let output = Command::new("id").args(arguments).stderr(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success() && output.stdout.starts_with(expected.as_bytes()))
    };
    if !answers(&["-u"], "0\n") {
        return Command::new("env");
    }
    let user = if answers(&["-u", "postgres"], "") {
        "postgres"
    } else {
        "nobody"
    };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
    command
}

/// The folder of `initdb`, of the newest version if Debian has several.
fn programs() -> Result<PathBuf> {
    let has_programs = |folder: &Path| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file();
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .map(|version| version.path().join("bin"))
        .filter(|folder| has_programs(folder))
        .max_by_key(|folder| {
            let version = folder.parent().and_then(Path::file_name);
            version.and_then(|name| name.to_str()?.parse::<u32>().ok())
        });
    let path = env::var_os("PATH").unwrap_or_default();
    newest
        .or_else(|| env::split_paths(&path).find(|folder| has_programs(folder)))
        .context("PostgreSQL's programs are needed: please install Debian's package `postgresql`")
}
