//! The product: `foldline serve`, the release, with the settings of production. Limits are not off but
//! out of reach, so that nothing is cheaper than there.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use database::url::StoreUrl;
use domain::id::WorkspaceId;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, sqlite::SqliteConnectOptions};

use super::ServerProcess;
use crate::databases::{BenchDatabases, Database};

/// More than any benchmark needs.
const OUT_OF_REACH: &str = "1000000000";
/// Connections of one contender are idle while others are measured.
const HOUR_MS: &str = "3600000";
const TEN_MINUTES_MS: &str = "600000";

/// Settings of all servers. The log keeps its filter, whose spans are part of what a request costs.
const SETTINGS: [(&str, &str); 8] = [
    ("--listen", "127.0.0.1:0"),
    ("--requests-per-minute", OUT_OF_REACH),
    ("--sandboxes-per-hour", OUT_OF_REACH),
    ("--sandbox-events", OUT_OF_REACH),
    ("--sandbox-people", OUT_OF_REACH),
    ("--sandbox-subscriptions", OUT_OF_REACH),
    ("--idle-timeout-ms", HOUR_MS),
    ("--first-request-timeout-ms", TEN_MINUTES_MS),
];

/// Where a server keeps everything: a data folder, and on PostgreSQL one database for events and views.
#[derive(Debug)]
pub(crate) struct Storage {
    folder: PathBuf,
    postgres: Option<String>,
}

impl Storage {
    /// New and empty.
    pub(crate) async fn new(
        database: Database,
        bench_databases: &BenchDatabases,
        contender: &str,
    ) -> Result<Self> {
        Ok(Self {
            folder: bench_databases.folder(contender)?,
            postgres: match database {
                Database::Sqlite => None,
                Database::Postgres => Some(bench_databases.database(contender).await?),
            },
        })
    }

    /// The event store, for a program that fills it before the server starts.
    pub(crate) fn event_store(&self) -> Result<StoreUrl> {
        Ok(match &self.postgres {
            Some(url) => url.parse()?,
            None => self.folder.join("events.db").into(),
        })
    }

    /// The bytes that a server has stored: of its databases, and of all other files but its keys.
    pub(crate) async fn stored(&self) -> Result<u64> {
        let mut bytes = other_files(&self.folder)?;
        if let Some(url) = &self.postgres {
            let mut connection = PgConnection::connect(url).await?;
            let size: i64 = sqlx::query_scalar("select pg_database_size(current_database())")
                .fetch_one(&mut connection)
                .await?;
            connection.close().await?;
            bytes += u64::try_from(size)?;
        }
        for entry in fs::read_dir(&self.folder)? {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "db") {
                bytes += sqlite_size(&file).await?;
            }
        }
        Ok(bytes)
    }

    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--data-dir".into(), self.folder.clone().into()];
        if let Some(url) = &self.postgres {
            for setting in ["--event-store", "--read-model"] {
                arguments.push(setting.into());
                arguments.push(url.into());
            }
        }
        arguments
    }
}

/// The pages of a database, of which the newest may still be in the write-ahead log.
async fn sqlite_size(file: &Path) -> Result<u64> {
    let mut connection = SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .connect()
        .await?;
    let size: i64 =
        sqlx::query_scalar("select page_count * page_size from pragma_page_count, pragma_page_size")
            .fetch_one(&mut connection)
            .await?;
    connection.close().await?;
    Ok(u64::try_from(size)?)
}

/// The size of all files below a folder that are no databases and no keys.
fn other_files(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if name != "keys" {
                bytes += other_files(&entry.path())?;
            }
        } else if ![".db", ".db-wal", ".db-shm", ".lock"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
        {
            // A file may have been removed since it was listed.
            bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    Ok(bytes)
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Foldline {
    pub(crate) process: ServerProcess,
}

impl Foldline {
    /// Starts it on its storage, with further settings.
    pub(crate) async fn start(program: &Path, storage: &Storage, settings: &[(&str, &str)]) -> Result<Self> {
        let mut command = clean(program);
        command.arg("serve").args(storage.arguments());
        for (name, value) in SETTINGS.iter().chain(settings) {
            command.args([name, value]);
        }
        Ok(Self {
            process: ServerProcess::start(command).await?,
        })
    }

    /// An educator's token for a workspace that this program has created in the storage.
    pub(crate) fn token(program: &Path, storage: &Storage, workspace: WorkspaceId) -> Result<String> {
        let workspace = workspace.to_string();
        let output = clean(program)
            .args(["token", "--role", "educator", "--workspace", &workspace])
            .args(storage.arguments())
            .output()?;
        ensure!(
            output.status.success(),
            "no token: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// A command without this program's environment: the product refuses variables that it does not know.
fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.envs(env::var_os("PATH").map(|path| ("PATH", path)));
    command
}
