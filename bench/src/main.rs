//! Benchmarks: Foldline against its peers, and against the floor, which is what the same database does for whoever asks
//! it for nothing but the rows. Everything is measured in one run of this program, in turns, because figures that were
//! taken an hour apart on a machine that others use compare the hours. `cargo xtask bench` builds and runs it.
//!
//! | module | what it holds |
//! |---|---|
//! | `benchmarks` | one folder a benchmark, in it one file a contender |
//! | `floors` | the least that a database has to do for the same rows |
//! | `ours` | our boxes, opened as the server opens them |
//! | `contest` | contenders that take turns, and what is compared with what |
//! | `callers` | many callers who do one thing again and again, and how long each time takes |
//! | `figures` | medians, percentiles, ratios |
//! | `grounds` | where the databases of a contender lie; the PostgreSQL that belongs to this run |
//! | `durability` | whether a commit is on disk, asked of the databases and counted at the disk |
//! | `surroundings` | machine and versions |
//! | `report` | what was found, for a person, as JSON, and as Markdown |

mod benchmarks;
mod callers;
mod contest;
mod durability;
mod figures;
mod floors;
mod grounds;
mod ours;
mod report;
mod surroundings;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, ValueEnum as _};
use tokio::signal::unix::{SignalKind, signal};

use benchmarks::Benchmark;
use contest::Rules;
use grounds::{Database, Grounds};
use report::{Format, Report};

#[derive(Parser)]
#[command(
    name = "cargo xtask bench",
    about = "Foldline, its peers and the floor, in turns"
)]
struct Cli {
    /// Which benchmarks; all of them where none is named
    #[arg(value_name = "NAME")]
    names: Vec<Benchmark>,
    /// How long each contender is measured in each run; what is counted in events takes as many as fit
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// How often each contender is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// On one database only
    #[arg(long, value_name = "DATABASE")]
    on: Option<Database>,
    /// Only the cases whose titles contain this, as in `64 callers`
    #[arg(long, value_name = "TEXT", default_value = "")]
    case: String,
    /// Only the contenders whose names contain this; there is nothing to compare then, but a profile shows one alone
    #[arg(long, value_name = "TEXT", default_value = "")]
    contender: String,
    /// The findings as JSON on standard output
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// The findings as Markdown on standard output
    #[arg(long)]
    markdown: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // Dropping the run stops what it started: PostgreSQL goes, and so do the files.
    let outcome = tokio::select! {
        outcome = run(&cli) => outcome,
        () = asked_to_stop() => {
            report::progress("stopped; nothing was compared");
            return ExitCode::from(130);
        }
    };
    outcome.map_or_else(
        |error| {
            report::progress(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Ctrl-C, or whoever ends processes politely. Where the second cannot be heard, the first still is.
async fn asked_to_stop() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

async fn run(cli: &Cli) -> Result<()> {
    let rules = Rules {
        runs: cli.runs,
        time: Duration::from_secs(cli.seconds.into()),
        case: cli.case.clone(),
        contender: cli.contender.clone(),
    };
    let databases: Vec<_> = Database::value_variants()
        .iter()
        .copied()
        .filter(|database| cli.on.is_none_or(|only| only == *database))
        .collect();
    let names = if cli.names.is_empty() {
        Benchmark::value_variants()
    } else {
        &cli.names
    };
    let grounds = Grounds::prepare(&databases).await?;
    let mut report = Report::new(&rules, &grounds, &databases).await?;
    for benchmark in names {
        for database in &databases {
            for found in benchmark.run(*database, &grounds, &rules).await? {
                report.add(benchmark.name(), found);
            }
        }
    }
    let format = match (cli.json, cli.markdown) {
        (true, _) => Format::Json,
        (_, true) => Format::Markdown,
        _ => Format::Text,
    };
    print!("{}", report.show(format)?);
    Ok(())
}
