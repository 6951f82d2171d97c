//! The floor: reads rows of the same size in pages, and computes a SHA-256 of each.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use clock::{Clock as _, SystemClock};
use domain::event::{ActorRef, Metadata};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::super::growth::PAYLOAD;
use crate::{
    case::Contender,
    databases::{BenchDatabases, Database},
    figures::{Cost, Latencies, Sample},
    floors::{PostgresLog, Row, SqliteLog},
    ours::STREAM,
};

/// The rows of a page, and of an insert.
const PAGE: u64 = 500;

enum Log {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

pub(super) struct Floor {
    log: Log,
    events: u64,
}

/// What is read of a row.
type Columns = (i64, String, String);

impl Floor {
    pub(super) const NAME: &'static str = "bare read and SHA-256";

    pub(super) async fn new(
        database: Database,
        bench_databases: &BenchDatabases,
        events: u64,
    ) -> Result<Self> {
        let mut log = match database {
            Database::Sqlite => Log::Sqlite(SqliteLog::make(&bench_databases.file("floor")).await?),
            Database::Postgres => {
                let url = bench_databases.database("floor").await?;
                PostgresLog::make(&url).await?;
                Log::Postgres(PgConnection::connect(&url).await?)
            }
        };
        for first in (0..events).step_by(usize::try_from(PAGE)?) {
            let rows = (first..events.min(first + PAGE)).map(row);
            let rows = rows.collect::<Result<Vec<_>>>()?;
            match &mut log {
                Log::Postgres(connection) => PostgresLog::insert(connection, &rows).await?,
                Log::Sqlite(connection) => SqliteLog::insert(connection, &rows).await?,
            }
        }
        Ok(Self { log, events })
    }

    async fn page(&mut self, after: i64) -> Result<Vec<Columns>> {
        // Both databases take numbered parameters.
        const ROWS: &str = "select position, payload, metadata from log
             where position > $1 order by position limit $2";
        let page = i64::try_from(PAGE)?;
        Ok(match &mut self.log {
            Log::Postgres(connection) => {
                let rows = sqlx::query_as(ROWS).bind(after).bind(page);
                rows.fetch_all(connection).await?
            }
            Log::Sqlite(connection) => {
                let rows = sqlx::query_as(ROWS).bind(after).bind(page);
                rows.fetch_all(connection).await?
            }
        })
    }
}

fn row(number: u64) -> Result<Row> {
    let metadata = Metadata {
        correlation_id: SystemClock.new_id(),
        causation_id: None,
        command_id: SystemClock.new_id(),
        actor: ActorRef {
            id: SystemClock.new_id(),
            role: domain::access::Role::Educator,
        },
        traceparent: None,
    };
    Ok(Row {
        stream: format!("inventory-filled-{}", number / STREAM),
        version: i64::try_from(number % STREAM + 1)?,
        event_id: SystemClock.new_id(),
        event_type: "StockReceived",
        payload: PAYLOAD.into(),
        metadata: serde_json::to_string(&metadata)?.into(),
        recorded_at: SystemClock.now().as_micros(),
    })
}

#[async_trait(?Send)]
impl Contender for Floor {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    async fn run(&mut self, _time: Duration) -> Result<Sample> {
        let begun = Instant::now();
        let (mut done, mut after, mut hash) = (0, 0, [0_u8; 32]);
        loop {
            let page = self.page(after).await?;
            let Some((last, ..)) = page.last() else {
                break;
            };
            after = *last;
            for (_, payload, metadata) in &page {
                let digest = Sha256::new()
                    .chain_update(hash)
                    .chain_update(payload)
                    .chain_update(metadata);
                hash = digest.finalize().into();
                done += 1;
            }
        }
        let time = begun.elapsed();
        ensure!(
            done == self.events && hash != [0_u8; 32],
            "{done} events were read"
        );
        let mut latencies = Latencies::new()?;
        latencies.note(time);
        Ok(Sample {
            done,
            time,
            latencies,
            cost: Cost::default(),
        })
    }
}
