//! The event store of Foldline in the open event-store benchmark suite
//! (`pyeventsourcing/eventstore-benchmarks`): its workloads, its runner and its figures, with our adapter.
//! The suite's own program starts the other stores in containers; this one runs ours, which needs none.
//!
//! Two things differ from the other stores of the suite. Ours is called within the process, theirs over
//! the network. And an event of the suite is bytes with tags where ours is JSON in a stream: the bytes are
//! written as base64, a third longer, and the first tag is the stream.

mod store;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use bench_core::{Workload, WorkloadFactory, execute_run};
use clap::Parser;
use database::url::StoreUrl;
use store::Foldline;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
#[command(about = "Foldline in the open event-store benchmark suite")]
struct Cli {
    /// A workload of the suite, as in `configs/smoke-test.yaml`; which stores it names is not read
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The seed of the workload
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// An empty PostgreSQL database [default: a new SQLite file for each variant of the workload]
    #[arg(long, value_name = "URL")]
    event_store: Option<StoreUrl>,
    /// Where the summaries go, in the suite's form, one folder for each variant
    #[arg(long, value_name = "FOLDER", default_value = "target/eventstore-benchmarks")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let config = fs::read_to_string(&cli.config)
        .with_context(|| format!("{} cannot be read", cli.config.display()))?;
    let workloads = if WorkloadFactory::is_sweep(&config)? {
        WorkloadFactory::expand_sweep(&config, cli.seed)?
    } else {
        vec![WorkloadFactory::create_from_yaml(&config, cli.seed)?]
    };
    let stop = CancellationToken::new();
    let on_signal = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_signal.cancel();
        }
    });
    for workload in workloads {
        let name = match &workload {
            Workload::Performance(performance) => performance.name().to_owned(),
            _ => "unknown".to_owned(),
        };
        let store = Foldline::new(cli.event_store.clone());
        let metrics = execute_run(Box::new(store), &workload, stop.clone()).await?;
        let folder = cli.out.join(&name).join(Foldline::NAME);
        fs::create_dir_all(&folder)?;
        let summary = serde_json::to_string_pretty(&metrics.summary)?;
        fs::write(folder.join("summary.json"), &summary)?;
        let latency = metrics.latency_histogram.to_percentile_json();
        fs::write(
            folder.join("latency.json"),
            serde_json::to_string_pretty(&latency)?,
        )?;
        let mut samples = String::new();
        for sample in &metrics.throughput_samples {
            samples.push_str(&serde_json::to_string(sample)?);
            samples.push('\n');
        }
        fs::write(folder.join("throughput.jsonl"), samples)?;
        println!("{summary}");
    }
    Ok(())
}
