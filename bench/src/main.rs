//! Benchmarks: Foldline against its peers, and against the floor, which is what the same database does if it
//! stores only the rows. Everything is measured in one run of this program, in turns, because figures that
//! were taken an hour apart on a shared machine compare the hours. `cargo xtask bench` builds and runs it.
//!
//! | module | content |
//! |---|---|
//! | `benchmarks` | one folder for each benchmark, with one file for each contender |
//! | `outside` | the product and bare axum in processes of their own, with clients and a shop |
//! | `floors` | the least that a database has to do for the same rows |
//! | `ours` | our boxes, opened as the server opens them |
//! | `case` | contenders that take turns, and comparisons between them |
//! | `callers` | concurrent callers that repeat one call, and its latencies |
//! | `figures` | medians, percentiles, ratios |
//! | `databases` | the databases of the contenders, with this run's own PostgreSQL |
//! | `durability` | whether a commit is on disk, asked of the databases and counted at the disk |
//! | `environment` | machine and versions |
//! | `report` | the results as text, JSON and Markdown |

mod benchmarks;
mod callers;
mod case;
mod databases;
mod durability;
mod environment;
mod figures;
mod floors;
mod ours;
mod outside;
mod report;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, ValueEnum as _};
use tokio::signal::unix::{SignalKind, signal};

use benchmarks::Benchmark;
use case::RunSettings;
use databases::{BenchDatabases, Database};
use report::{Format, Report};

#[derive(Parser)]
#[command(
    name = "cargo xtask bench",
    about = "Foldline, its peers and the floor, in turns"
)]
struct Cli {
    /// The benchmarks to run [default: all but soak]
    #[arg(value_name = "NAME")]
    names: Vec<Benchmark>,
    /// How long each contender is measured in each run; benchmarks that count events use as many as fit
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// How often each contender is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Run on this database only
    #[arg(long, value_name = "DATABASE")]
    on: Option<Database>,
    /// Only the cases whose titles contain this, as in `64 callers`
    #[arg(long, value_name = "TEXT", default_value = "")]
    case: String,
    /// Only the contenders whose names contain this; without a comparison, but useful for a profile
    #[arg(long, value_name = "TEXT", default_value = "")]
    contender: String,
    /// Also run the sizes that take hours: 10 million events, 100,000 open orders, 5,000 subscribers, a soak
    /// of an hour
    #[arg(long)]
    big: bool,
    /// The release of the product, for the benchmarks that measure it from outside
    #[arg(long, value_name = "FILE")]
    foldline: Option<PathBuf>,
    /// The folder of the peer Emmett, with its packages
    #[arg(long, value_name = "FOLDER")]
    emmett: Option<PathBuf>,
    /// The folder of the program that measures the product in a browser
    #[arg(long, value_name = "FOLDER")]
    client: Option<PathBuf>,
    /// Compare the ratios with those of a Markdown report, and fail if one is worse beyond both spreads
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Serve as the floor of the product, in place of benchmarks
    #[arg(long, hide = true)]
    floor_server: bool,
    /// Serve this file as the peer UmaDB, in place of benchmarks
    #[arg(long, hide = true, value_name = "FILE")]
    umadb_server: Option<PathBuf>,
    /// Write the results as JSON to standard output
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Write the results as Markdown to standard output
    #[arg(long)]
    markdown: bool,
    /// Also write plots of growth, latency and a soak as SVG into this folder
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(serves) = serve(&cli).await {
        return exit_code(serves);
    }
    // Dropping the run stops PostgreSQL and removes the files.
    let outcome = tokio::select! {
        outcome = run(&cli) => outcome,
        () = stop_signal() => {
            report::progress("stopped; nothing was compared");
            return ExitCode::from(130);
        }
    };
    exit_code(outcome)
}

fn exit_code(outcome: Result<()>) -> ExitCode {
    outcome.map_or_else(
        |error| {
            report::progress(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Serves as a floor or a peer, if this process was started for that.
async fn serve(cli: &Cli) -> Option<Result<()>> {
    if cli.floor_server {
        return Some(outside::serve_floor().await);
    }
    let file = cli.umadb_server.as_ref()?;
    #[cfg(feature = "umadb")]
    let served = benchmarks::serve_umadb(file).await;
    #[cfg(not(feature = "umadb"))]
    let served = Err(anyhow::anyhow!(
        "UmaDB is not built in; {} is unused",
        file.display()
    ));
    Some(served)
}

/// Resolves on Ctrl-C or a request to terminate. If the second cannot be received, the first still can.
async fn stop_signal() {
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
    let settings = RunSettings {
        runs: cli.runs,
        time: Duration::from_secs(cli.seconds.into()),
        case: cli.case.clone(),
        contender: cli.contender.clone(),
        big: cli.big,
        foldline: cli.foldline.clone(),
        emmett: cli.emmett.clone(),
        client: cli.client.clone(),
    };
    // A report that cannot be read is named before hours of work.
    let recorded = cli.check.as_ref().map(fs::read_to_string).transpose()?;
    outside::raise_descriptors()?;
    let databases: Vec<_> = Database::value_variants()
        .iter()
        .copied()
        .filter(|database| cli.on.is_none_or(|only| only == *database))
        .collect();
    let names = if cli.names.is_empty() {
        Benchmark::by_default()
    } else {
        cli.names.clone()
    };
    let bench_databases = BenchDatabases::prepare(&databases).await?;
    let mut report = Report::new(&settings, &bench_databases, &databases).await?;
    for benchmark in &names {
        for database in &databases {
            for found in benchmark.run(*database, &bench_databases, &settings).await? {
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
    if let Some(folder) = &cli.plots {
        report.plot(folder)?;
    }
    recorded.map_or(Ok(()), |recorded| report.check(&recorded))
}
