//! The second floor: one task that takes all waiting rows, stores them in one commit, and then answers their
//! callers. Our appender does the same, plus everything that makes it an event store.

use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use sqlx::{PgPool, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{PostgresLog, Row, Rows, SqliteLog};
use crate::{
    callers::{Caller, Target},
    databases::{BenchDatabases, Database},
};

/// The most waiting rows, and the most of one commit.
const QUEUE: usize = 4_096;
const MAX_ROWS: usize = 1_000;

/// A row, and the channel of its answer; the error is text, because one error answers many rows.
type Job = (Row, oneshot::Sender<Result<(), String>>);

/// A writer task with group commits.
pub(crate) struct GroupCommit {
    queue: mpsc::Sender<Job>,
    writer: JoinHandle<()>,
}

enum Log {
    Postgres(PgPool),
    Sqlite(SqliteConnection),
}

impl GroupCommit {
    pub(crate) const NAME: &'static str = "bare group commit";

    pub(crate) async fn new(database: Database, bench_databases: &BenchDatabases) -> Result<Self> {
        let log = match database {
            Database::Sqlite => Log::Sqlite(SqliteLog::make(&bench_databases.file("group_commit")).await?),
            Database::Postgres => {
                let url = bench_databases.database("group_commit").await?;
                PostgresLog::make(&url).await?;
                Log::Postgres(PostgresLog::connect(&url, 1).await?)
            }
        };
        let (queue, inbox) = mpsc::channel(QUEUE);
        Ok(Self {
            queue,
            writer: tokio::spawn(write(log, inbox)),
        })
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

async fn write(mut log: Log, mut inbox: mpsc::Receiver<Job>) {
    let (mut rows, mut answers) = (Vec::new(), Vec::new());
    while let Some(first) = inbox.recv().await {
        let mut next = Some(first);
        while let Some((row, answer)) = next.take() {
            rows.push(row);
            answers.push(answer);
            if rows.len() < MAX_ROWS {
                next = inbox.try_recv().ok();
            }
        }
        let outcome = match &mut log {
            Log::Postgres(pool) => match pool.acquire().await {
                Ok(mut connection) => PostgresLog::insert(&mut connection, &rows).await,
                Err(error) => Err(error.into()),
            },
            Log::Sqlite(connection) => SqliteLog::insert(connection, &rows).await,
        };
        let outcome = outcome.map_err(|error| format!("{error:#}"));
        rows.clear();
        for answer in answers.drain(..) {
            // The caller may have stopped waiting.
            let _ = answer.send(outcome.clone());
        }
    }
}

#[async_trait]
impl Target for GroupCommit {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(GroupCommitCaller {
            queue: self.queue.clone(),
            rows: Rows::of_caller(number)?,
        }))
    }
}

struct GroupCommitCaller {
    queue: mpsc::Sender<Job>,
    rows: Rows,
}

#[async_trait]
impl Caller for GroupCommitCaller {
    async fn call(&mut self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let job = (self.rows.next()?, answer);
        self.queue.send(job).await.context("the writer has ended")?;
        answered.await?.map_err(|error| anyhow!(error))
    }
}
