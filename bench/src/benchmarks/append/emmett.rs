//! The peer Emmett: an event store for Node.js, on the same databases. It runs in a process of its own,
//! `bench/peers/emmett/append.mjs`, and measures itself whenever it is its turn; what it would take to call
//! it from here is not in its figures.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use clock::{Clock as _, SystemClock};
use domain::event::{ActorRef, Metadata};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    case::Contender,
    databases::{BenchDatabases, Database},
    figures::{Cost, Latencies, Sample},
    ours::order_created,
};

/// Consecutive appends, to count the disk's flushes.
const PROBES: u32 = 25;

pub(super) struct Emmett {
    // Killed when it is dropped.
    _program: Child,
    tasks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    flushes: Option<f64>,
}

/// The answer to a task.
#[derive(Deserialize)]
struct Answer {
    done: u64,
    #[serde(default)]
    milliseconds: f64,
    /// Microseconds, and how many calls took so long.
    #[serde(default)]
    latencies: Vec<(f64, u64)>,
}

impl Emmett {
    pub(super) const NAME: &'static str = "Emmett";

    /// Starts it; `None` if its packages for this database are not installed.
    pub(super) async fn start(
        folder: Option<&Path>,
        database: Database,
        bench_databases: &BenchDatabases,
        callers: usize,
    ) -> Result<Option<Self>> {
        let Some(folder) = folder else {
            return Ok(None);
        };
        let name = match database {
            Database::Sqlite => "sqlite",
            Database::Postgres => "postgresql",
        };
        // The build tool writes it last.
        if !folder
            .join(name)
            .join("node_modules/installed-lock.json")
            .exists()
        {
            return Ok(None);
        }
        let location = match database {
            Database::Sqlite => bench_databases.file("emmett").display().to_string(),
            Database::Postgres => bench_databases.database("emmett").await?,
        };
        let mut program = Command::new("node")
            .arg(folder.join("append.mjs"))
            .args([name, &location, &callers.to_string()])
            .args([order_created(SystemClock.new_id()), metadata()?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("Node.js cannot be started")?;
        let tasks = program.stdin.take().context("it has no input")?;
        let answers = BufReader::new(program.stdout.take().context("it has no output")?).lines();
        let mut this = Self {
            _program: program,
            tasks,
            answers,
            flushes: None,
        };
        // The first append creates the schema.
        this.ask("probe 1").await?;
        let disk = &bench_databases.disk;
        let before = disk.flushes();
        this.ask(&format!("probe {PROBES}")).await?;
        this.flushes = disk.flushes_since(before, PROBES).context(Self::NAME)?;
        Ok(Some(this))
    }

    async fn ask(&mut self, task: &str) -> Result<Answer> {
        self.tasks.write_all(format!("{task}\n").as_bytes()).await?;
        let answer = self.answers.next_line().await?;
        let answer = answer.context("Emmett has ended; what it said is above")?;
        serde_json::from_str(&answer).with_context(|| answer)
    }
}

/// The metadata of ours.
fn metadata() -> Result<String> {
    Ok(serde_json::to_string(&Metadata {
        correlation_id: SystemClock.new_id(),
        causation_id: None,
        command_id: SystemClock.new_id(),
        actor: ActorRef {
            id: SystemClock.new_id(),
            role: domain::access::Role::Educator,
        },
        traceparent: None,
    })?)
}

#[async_trait(?Send)]
impl Contender for Emmett {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    async fn run(&mut self, time: Duration) -> Result<Sample> {
        let answer = self.ask(&format!("run {}", time.as_millis())).await?;
        let mut latencies = Latencies::new()?;
        for (microseconds, count) in answer.latencies {
            latencies.note_many(Duration::from_secs_f64(microseconds / 1e6), count);
        }
        Ok(Sample {
            done: answer.done,
            time: Duration::from_secs_f64(answer.milliseconds / 1e3),
            latencies,
            cost: Cost::default(),
        })
    }

    fn flushes(&self) -> Option<f64> {
        self.flushes
    }
}
