//! The benchmarks. Each is a folder: `mod.rs` defines the work, and each other file is a contender. The build
//! tool takes the folders' names for the benchmarks' names.

mod append;
mod commands;
mod growth;
mod http;
mod live;
mod orders;
mod project;
mod verify;

use anyhow::Result;
use clap::ValueEnum;

#[cfg(feature = "umadb")]
pub(crate) use append::serve_umadb;

use crate::{
    case::{CaseResult, RunSettings},
    databases::{BenchDatabases, Database},
};

/// A benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    /// Storing events: the event store, UmaDB, Emmett, one-row commits, a bare group-commit writer
    Append,
    /// Load, decide, append: the command service, cqrs-es, and the floors of `append`
    Commands,
    /// What a log of 10,000 to 10 million events costs an append, a command and a hot document
    Growth,
    /// The HTTP interface of the product, and bare axum: hot answers, commands, sandboxes
    Http,
    /// The live interface of the product, and bare axum: changes, fan-out, memory of subscribers
    Live,
    /// Orders through the whole product, from outside, and four bare group commits each
    Orders,
    /// Folding a log into a view: catching up, rebuilding, disintegrate's listener, a bare projector
    Project,
    /// Verifying a log of 103,000 events, and reading and hashing as many rows
    Verify,
}

impl Benchmark {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Commands => "commands",
            Self::Growth => "growth",
            Self::Http => "http",
            Self::Live => "live",
            Self::Orders => "orders",
            Self::Project => "project",
            Self::Verify => "verify",
        }
    }

    /// Runs its cases on a database.
    pub(crate) async fn run(
        self,
        database: Database,
        bench_databases: &BenchDatabases,
        settings: &RunSettings,
    ) -> Result<Vec<CaseResult>> {
        match self {
            Self::Append => append::run(database, bench_databases, settings).await,
            Self::Commands => commands::run(database, bench_databases, settings).await,
            Self::Growth => growth::run(database, bench_databases, settings).await,
            Self::Http => http::run(database, bench_databases, settings).await,
            Self::Live => live::run(database, bench_databases, settings).await,
            Self::Orders => orders::run(database, bench_databases, settings).await,
            Self::Project => project::run(database, bench_databases, settings).await,
            Self::Verify => verify::run(database, bench_databases, settings).await,
        }
    }
}

/// The number of callers, for a title.
fn callers(count: usize) -> String {
    format!("{count} caller{}", if count == 1 { "" } else { "s" })
}
