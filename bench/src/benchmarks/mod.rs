//! The benchmarks. Each is a folder: `mod.rs` defines the work, and each other file is a contender. The build
//! tool takes the folders' names for the benchmarks' names.

mod append;
mod client;
mod commands;
mod growth;
mod http;
mod live;
mod orders;
mod project;
mod soak;
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
    /// The product in a browser, and bare pages of bare axum: sizes, paints, an order, memory
    Client,
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
    /// Half of full load, for an hour with `--big`: memory, descriptors, queues, storage, latencies. It is
    /// run only when it is named
    Soak,
    /// Verifying a log of 103,000 events, and reading and hashing as many rows
    Verify,
}

impl Benchmark {
    /// Those that are run if none is named.
    pub(crate) fn by_default() -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|benchmark| *benchmark != Self::Soak).collect()
    }

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Client => "client",
            Self::Commands => "commands",
            Self::Growth => "growth",
            Self::Http => "http",
            Self::Live => "live",
            Self::Orders => "orders",
            Self::Project => "project",
            Self::Soak => "soak",
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
            Self::Client => client::run(database, bench_databases, settings).await,
            Self::Commands => commands::run(database, bench_databases, settings).await,
            Self::Growth => growth::run(database, bench_databases, settings).await,
            Self::Http => http::run(database, bench_databases, settings).await,
            Self::Live => live::run(database, bench_databases, settings).await,
            Self::Orders => orders::run(database, bench_databases, settings).await,
            Self::Project => project::run(database, bench_databases, settings).await,
            Self::Soak => soak::run(database, bench_databases, settings).await,
            Self::Verify => verify::run(database, bench_databases, settings).await,
        }
    }
}

/// The number of callers, for a title.
fn callers(count: usize) -> String {
    format!("{count} caller{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soak_is_run_only_when_it_is_named() {
        let default = Benchmark::by_default();
        assert!(default.contains(&Benchmark::Client) && !default.contains(&Benchmark::Soak));
        assert_eq!(default.len() + 1, Benchmark::value_variants().len());
    }
}
