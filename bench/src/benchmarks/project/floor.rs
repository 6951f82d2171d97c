//! The floor: in a loop, it reads a thousand events and the documents that they touch, folds them with our
//! own fold, and writes each document once with the checkpoint in one transaction. It has no listings,
//! generations, parked events or followers.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use clock::{Clock as _, SystemClock};
use domain::{
    event::{DomainEvent, Metadata, RecordedEvent, TypedEvent},
    id::WorkspaceId,
    timestamp::Timestamp,
    view::{
        View as _,
        orders::{OrderDocument, OrdersView},
    },
};
use serde_json::value::RawValue;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use super::{History, sample};
use crate::{
    case::Contender,
    databases::{BenchDatabases, Database},
    figures::Sample,
    floors::{PostgresLog, Row, SqliteLog},
};

/// The events of a transaction.
const BATCH: i64 = 1_000;

type LogColumns = (i64, String, i64, Uuid, String, String, String, i64);
type Documents = Vec<(String, String)>;

enum Tables {
    Postgres(PgConnection),
    /// The log and the documents have files of their own, as ours do, and the documents are as durable as
    /// ours.
    Sqlite(SqliteConnection, SqliteConnection),
}

pub(super) struct Floor {
    tables: Tables,
    events: usize,
}

impl Floor {
    pub(super) const NAME: &'static str = "bare projector";

    pub(super) async fn new(
        database: Database,
        bench_databases: &BenchDatabases,
        history: &History,
    ) -> Result<Self> {
        const DOCUMENTS: &str = "create table documents (key text primary key, data text not null);
             create table checkpoint (position bigint not null);
             insert into checkpoint values (0);";
        let mut tables = match database {
            Database::Postgres => {
                let url = bench_databases.database("floor").await?;
                PostgresLog::make(&url).await?;
                let mut connection = PgConnection::connect(&url).await?;
                connection.execute(DOCUMENTS).await?;
                Tables::Postgres(connection)
            }
            Database::Sqlite => {
                let log = SqliteLog::make(&bench_databases.file("floor_log")).await?;
                let mut views = SqliteConnectOptions::new()
                    .filename(bench_databases.file("floor_views"))
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal)
                    .pragma("cache_size", "-65536")
                    .connect()
                    .await?;
                views.execute(DOCUMENTS).await?;
                Tables::Sqlite(log, views)
            }
        };
        for part in history.parts() {
            let mut rows = Vec::new();
            for happened in part? {
                rows.push(Row {
                    stream: format!("order-{}", happened.order),
                    version: i64::try_from(happened.version)?,
                    event_id: SystemClock.new_id(),
                    event_type: happened.event_type().name,
                    payload: happened.payload()?.get().into(),
                    metadata: serde_json::to_string(&metadata())?.into(),
                    recorded_at: SystemClock.now().as_micros(),
                });
            }
            match &mut tables {
                Tables::Postgres(connection) => PostgresLog::insert(connection, &rows).await?,
                Tables::Sqlite(log, _) => SqliteLog::insert(log, &rows).await?,
            }
        }
        if let Tables::Postgres(connection) = &mut tables {
            // Every statement uses an index, and PostgreSQL is configured for that, as by ours.
            connection.execute("analyze; set enable_seqscan = off").await?;
        }
        Ok(Self {
            tables,
            events: history.len(),
        })
    }
}

fn metadata() -> Metadata {
    Metadata {
        correlation_id: SystemClock.new_id(),
        causation_id: None,
        command_id: SystemClock.new_id(),
        actor: domain::event::ActorRef {
            id: SystemClock.new_id(),
            role: domain::access::Role::Customer,
        },
        traceparent: None,
    }
}

impl Tables {
    async fn empty(&mut self) -> Result<()> {
        const EMPTY: &str = "delete from documents; update checkpoint set position = 0;";
        match self {
            Self::Postgres(connection) => {
                connection.execute(EMPTY).await?;
                connection.execute("vacuum documents").await?;
            }
            Self::Sqlite(_, views) => {
                views.execute(EMPTY).await?;
            }
        }
        Ok(())
    }

    async fn events(&mut self, after: i64) -> Result<Vec<LogColumns>> {
        const POSTGRES: &str =
            "select position, stream, version, event_id, type, payload, metadata, recorded_at from log
             where position > $1 order by position limit $2";
        let rows = match self {
            Self::Postgres(connection) => {
                let query = sqlx::query_as(POSTGRES).bind(after).bind(BATCH);
                query.fetch_all(connection).await?
            }
            Self::Sqlite(log, _) => {
                sqlx::query_as(POSTGRES)
                    .bind(after)
                    .bind(BATCH)
                    .fetch_all(log)
                    .await?
            }
        };
        Ok(rows)
    }

    async fn begin(&mut self) -> Result<()> {
        match self {
            Self::Postgres(connection) => connection.execute("begin").await.map(drop)?,
            Self::Sqlite(_, views) => views.execute("begin immediate").await.map(drop)?,
        }
        Ok(())
    }

    async fn documents(&mut self, keys: Vec<&str>) -> Result<Documents> {
        let documents = match self {
            Self::Postgres(connection) => {
                let query = sqlx::query_as("select key, data from documents where key = any ($1)").bind(keys);
                query.fetch_all(connection).await?
            }
            Self::Sqlite(_, views) => {
                let query = sqlx::query_as(
                    "select d.key, d.data from json_each(?) wanted join documents d on d.key = wanted.value",
                );
                query.bind(serde_json::to_string(&keys)?).fetch_all(views).await?
            }
        };
        Ok(documents)
    }

    async fn write(&mut self, documents: &Documents, position: i64) -> Result<()> {
        const CHECKPOINT: &str = "update checkpoint set position = $1";
        let written = match self {
            Self::Postgres(connection) => {
                let (keys, data): (Vec<&str>, Vec<&str>) = documents
                    .iter()
                    .map(|(key, data)| (key.as_str(), data.as_str()))
                    .unzip();
                let query = sqlx::query(
                    "insert into documents select * from unnest($1::text[], $2::text[])
                     on conflict (key) do update set data = excluded.data",
                );
                let written = query.bind(keys).bind(data).execute(&mut *connection).await?;
                sqlx::query(CHECKPOINT)
                    .bind(position)
                    .execute(&mut *connection)
                    .await?;
                connection.execute("commit").await?;
                written.rows_affected()
            }
            Self::Sqlite(_, views) => {
                let rows = vec!["(?,?)"; documents.len()].join(",");
                let mut query = sqlx::query(AssertSqlSafe(format!(
                    "insert into documents values {rows} on conflict (key) do update set data = excluded.data"
                )));
                for (key, data) in documents {
                    query = query.bind(key).bind(data);
                }
                let written = query.execute(&mut *views).await?;
                sqlx::query(CHECKPOINT)
                    .bind(position)
                    .execute(&mut *views)
                    .await?;
                views.execute("commit").await?;
                written.rows_affected()
            }
        };
        ensure!(written == documents.len() as u64, "documents are missing");
        Ok(())
    }
}

fn typed(columns: LogColumns) -> Result<TypedEvent> {
    let (position, stream, version, event_id, event_type, payload, metadata, recorded_at) = columns;
    let payload = DomainEvent::decode(&event_type, 1, &RawValue::from_string(payload)?)?;
    Ok(RecordedEvent {
        workspace: WorkspaceId(Uuid::nil()),
        partition: 0,
        position: u64::try_from(position)?,
        stream: stream.parse()?,
        version: u64::try_from(version)?,
        event_id,
        event_type,
        schema_version: 1,
        payload,
        metadata: serde_json::from_str(&metadata)?,
        recorded_at: Timestamp::from_micros(recorded_at),
        hash: String::new(),
    })
}

#[async_trait(?Send)]
impl Contender for Floor {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    async fn run(&mut self, _time: Duration) -> Result<Sample> {
        self.tables.empty().await?;
        let begun = Instant::now();
        let (mut after, mut folded) = (0, 0);
        loop {
            let events = self.tables.events(after).await?;
            let Some(last) = events.last() else { break };
            after = last.0;
            folded += events.len();
            let events = events.into_iter().map(typed).collect::<Result<Vec<_>>>()?;
            let mut documents: BTreeMap<String, Option<OrderDocument>> = BTreeMap::new();
            for key in events.iter().flat_map(OrdersView::keys) {
                if let Entry::Vacant(vacant) = documents.entry(key) {
                    vacant.insert(None);
                }
            }
            self.tables.begin().await?;
            let keys = documents.keys().map(String::as_str).collect();
            for (key, data) in self.tables.documents(keys).await? {
                documents.insert(key, Some(serde_json::from_str(&data)?));
            }
            for event in &events {
                for key in OrdersView::keys(event) {
                    if let Some(document) = documents.get_mut(&key) {
                        *document = OrdersView::fold(document.take(), event);
                    }
                }
            }
            let mut written = Vec::with_capacity(documents.len());
            for (key, document) in documents {
                if let Some(document) = document {
                    written.push((key, serde_json::to_string(&document)?));
                }
            }
            self.tables.write(&written, after).await?;
        }
        let time = begun.elapsed();
        ensure!(
            folded == self.events,
            "{folded} of {} events were folded",
            self.events
        );
        sample(folded, time)
    }
}
