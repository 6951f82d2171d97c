//! What figures depend on besides the programs: the machine, the kernel, the versions.

use std::{collections::BTreeMap, fs, thread};

use anyhow::Result;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::{
    databases::{BenchDatabases, Database},
    durability,
};

/// The machine, the kernel and the versions of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Environment {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    /// The versions of libraries, tools and databases.
    pub(crate) versions: BTreeMap<&'static str, String>,
    /// The durability of a commit, on each database.
    pub(crate) durability: BTreeMap<&'static str, String>,
}

/// The peers, and the database drivers of both sides.
const CRATES: [&str; 8] = [
    "cqrs-es",
    "postgres-es",
    "sqlite-es",
    "disintegrate",
    "disintegrate-postgres",
    "libsqlite3-sys",
    "sqlx",
    "umadb-server",
];

impl Environment {
    /// Detects the environment.
    pub(crate) async fn detect(bench_databases: &BenchDatabases, databases: &[Database]) -> Result<Self> {
        let mut versions = BTreeMap::from([(
            "rustc",
            env!("BENCH_RUSTC").trim_start_matches("rustc ").to_owned(),
        )]);
        versions.extend(CRATES.map(|name| (name, locked(name))));
        let mut durability = BTreeMap::new();
        if databases.contains(&Database::Sqlite) {
            let mut memory = SqliteConnection::connect("sqlite::memory:").await?;
            let version = sqlx::query_scalar("select sqlite_version()")
                .fetch_one(&mut memory)
                .await?;
            versions.insert("SQLite", version);
            let promise = "journal_mode=wal synchronous=full (views: normal)";
            durability.insert("SQLite", promise.to_owned());
        }
        if databases.contains(&Database::Postgres) {
            let administration = bench_databases.administration()?;
            let mut connection = PgConnection::connect(&administration).await?;
            let version = sqlx::query_scalar("show server_version")
                .fetch_one(&mut connection)
                .await?;
            connection.close().await?;
            versions.insert("PostgreSQL", version);
            durability.insert("PostgreSQL", durability::of_postgres(&administration).await?);
        }
        Ok(Self {
            processor: line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: thread::available_parallelism()?.get(),
            memory_gib: line_of("/proc/meminfo", "MemTotal")
                .and_then(|line| line.split(' ').next()?.parse::<u64>().ok())
                .map_or(0, |kib| (kib + (1 << 19)) >> 20),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            file_system: bench_databases.disk.file_system.clone(),
            versions,
            durability,
        })
    }
}

/// The text after the first colon of the first line that begins with `name`.
fn line_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The versions of a crate in the lockfile of the benchmarks.
fn locked(name: &str) -> String {
    let lockfile = include_str!("../Cargo.lock");
    let header = format!("name = \"{name}\"\nversion = \"");
    let versions: Vec<_> = lockfile
        .split(&header)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    versions.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_that_is_named_is_locked() {
        for name in CRATES {
            let version = locked(name);
            assert!(
                version.starts_with(|c: char| c.is_ascii_digit()),
                "{name}: {version}"
            );
        }
    }

    #[test]
    fn a_crate_that_the_peers_hold_back_has_both_versions() {
        assert!(locked("sqlx").contains(" and "), "{}", locked("sqlx"));
    }
}
