//! The benchmarks. Each is a folder: what is done is in its `mod.rs`, and beside that lies one file a contender. The build
//! tool takes the names of the folders for the names of the benchmarks.

mod append;
mod commands;
mod project;

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    contest::{Found, Rules},
    grounds::{Database, Grounds},
};

/// What can be measured.
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
    /// As it is named on the command line.
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
        grounds: &Grounds,
        rules: &Rules,
    ) -> Result<Vec<Found>> {
        match self {
            Self::Append => append::run(database, grounds, rules).await,
            Self::Commands => commands::run(database, grounds, rules).await,
            Self::Project => project::run(database, grounds, rules).await,
        }
    }
}

/// How many there are, for a title.
fn callers(count: usize) -> String {
    format!("{count} caller{}", if count == 1 { "" } else { "s" })
}
