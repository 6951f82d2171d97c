//! The second floor: one task that takes what is waiting, stores it in one commit, and then answers everybody. This is what
//! our appender does too, without anything that makes it an event store.

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
    grounds::{Database, Grounds},
};

/// Rows that wait, and the most of one commit.
const QUEUE: usize = 4_096;
const MOST: usize = 1_000;

/// A row, and whom to tell that it is on disk; the error's text, because many are told of one.
type Job = (Row, oneshot::Sender<Result<(), String>>);

/// See the module.
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

    pub(crate) async fn new(database: Database, grounds: &Grounds) -> Result<Self> {
        let log = match database {
            Database::Sqlite => Log::Sqlite(SqliteLog::make(&grounds.file("group_commit")).await?),
            Database::Postgres => {
                let url = grounds.database("group_commit").await?;
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
            if rows.len() < MOST {
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
            // whoever no longer listens has gone away
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
        Ok(Box::new(Asking {
            queue: self.queue.clone(),
            rows: Rows::of_caller(number)?,
        }))
    }
}

struct Asking {
    queue: mpsc::Sender<Job>,
    rows: Rows,
}

#[async_trait]
impl Caller for Asking {
    async fn call(&mut self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let job = (self.rows.next()?, answer);
        self.queue.send(job).await.context("the writer has ended")?;
        answered.await?.map_err(|error| anyhow!(error))
    }
}
