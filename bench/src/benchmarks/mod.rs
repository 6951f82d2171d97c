//! The benchmarks. Each is a folder: `mod.rs` defines the work, and each other file is a contender. The build
//! tool takes the folders' names for the benchmarks' names.

mod append;
mod commands;
mod project;

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    case::{CaseResult, RunSettings},
    databases::{BenchDatabases, Database},
};

/// A benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    /// Storing events: the event store, one-row commits, a bare group-commit writer
    Append,
    /// Load, decide, append: the command service, cqrs-es, and the floors of `append`
    Commands,
    /// Folding a log into a view: catching up, rebuilding, disintegrate's listener, a bare projector
    Project,
}

impl Benchmark {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Commands => "commands",
            Self::Project => "project",
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
            Self::Project => project::run(database, bench_databases, settings).await,
        }
    }
}

/// The number of callers, for a title.
fn callers(count: usize) -> String {
    format!("{count} caller{}", if count == 1 { "" } else { "s" })
}
