//! The peer: cqrs-es with its repositories for PostgreSQL and SQLite, used as its guide says, with its own
//! pools and schemas. One exception: SQLite flushes every commit, as ours does, unlike the peer's default.

use std::sync::Arc;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use clock::{Clock as _, SystemClock};
use cqrs_es::{Aggregate, CqrsFramework, DomainEvent, EventStore, event_sink::EventSink};
use domain::{
    access::{Actor, Role},
    aggregate::inventory::{
        Inventory, InventoryCommand, InventoryEvent, InventoryState, ReceiveStock, ReservationOwner,
        StockReceived,
    },
    decider::{Context, Decider as _},
};
use peers_sqlx::{
    Executor as _, PgPool, Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use serde::{Deserialize, Serialize};

use crate::{
    callers::{Caller, ConcurrentCallers, Target},
    case::Contender,
    databases::{BenchDatabases, Database},
    durability,
    ours::STREAM,
};

/// The interval of snapshots, if any: the same as ours.
pub(super) const SNAPSHOT_EVERY: usize = 100;

/// The size of its pools.
const CONNECTIONS: u32 = 10;

/// Our inventory, as its aggregate.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stock(InventoryState);

/// The event in its format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum StockEvent {
    StockReceived(StockReceived),
}

impl DomainEvent for StockEvent {
    fn event_type(&self) -> String {
        "StockReceived".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct StockError(String);

impl Aggregate for Stock {
    const TYPE: &'static str = "inventory";
    type Command = InventoryCommand;
    type Event = StockEvent;
    type Error = StockError;
    type Services = Context<ReservationOwner>;

    async fn handle(
        &mut self,
        command: InventoryCommand,
        context: &Context<ReservationOwner>,
        sink: &EventSink<Self>,
    ) -> Result<(), StockError> {
        let events = Inventory::decide(&self.0, command, context)
            .map_err(|rejection| StockError(format!("{rejection:?}")))?;
        for event in events {
            let InventoryEvent::StockReceived(received) = event else {
                return Err(StockError("only received goods are measured".to_owned()));
            };
            sink.write(StockEvent::StockReceived(received), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: StockEvent) {
        let StockEvent::StockReceived(received) = event;
        self.0 = Inventory::evolve(std::mem::take(&mut self.0), &received.into());
    }
}

fn context() -> Result<Context<ReservationOwner>> {
    Ok(Context {
        stream: "inventory-1".parse()?,
        now: SystemClock.now(),
        actor: Actor {
            id: SystemClock.new_id(),
            role: Role::Educator,
            name: "Ada".to_owned(),
        },
        evidence: ReservationOwner::default(),
    })
}

/// The pool of its store.
#[derive(Debug, Clone)]
enum StorePool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl StorePool {
    async fn open(database: Database, bench_databases: &BenchDatabases) -> Result<Self> {
        Ok(match database {
            Database::Postgres => {
                let url = bench_databases.database("cqrs_es").await?;
                let pool = postgres_es::default_postgress_pool(&url).await;
                pool.execute(
                    "create table events (
                        aggregate_type text not null, aggregate_id text not null,
                        sequence bigint not null check (sequence >= 0), event_type text not null,
                        event_version text not null, payload json not null, metadata json not null,
                        primary key (aggregate_type, aggregate_id, sequence)
                    );
                    create table snapshots (
                        aggregate_type text not null, aggregate_id text not null,
                        last_sequence bigint not null check (last_sequence >= 0),
                        current_snapshot bigint not null check (current_snapshot >= 0), payload json not null,
                        primary key (aggregate_type, aggregate_id, last_sequence)
                    );",
                )
                .await?;
                Self::Postgres(pool)
            }
            Database::Sqlite => {
                let options = SqliteConnectOptions::new()
                    .filename(bench_databases.file("cqrs_es"))
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true);
                let pool = SqlitePoolOptions::new()
                    .max_connections(CONNECTIONS)
                    .connect_with(options)
                    .await?;
                let settings = peers_sqlx::query("select * from pragma_journal_mode, pragma_synchronous")
                    .fetch_one(&pool)
                    .await?;
                durability::of_sqlite("cqrs-es", settings.try_get(0)?, settings.try_get(1)?)?;
                pool.execute(
                    "create table events (
                        aggregate_type text not null, aggregate_id text not null,
                        sequence integer not null check (sequence >= 0), event_type text not null,
                        event_version text not null, payload text not null, metadata text not null,
                        primary key (aggregate_type, aggregate_id, sequence)
                    ) strict;
                    create table snapshots (
                        aggregate_type text not null, aggregate_id text not null,
                        last_sequence integer not null check (last_sequence >= 0),
                        current_snapshot integer not null check (current_snapshot >= 0),
                        payload text not null,
                        primary key (aggregate_type, aggregate_id, last_sequence)
                    ) strict;",
                )
                .await?;
                Self::Sqlite(pool)
            }
        })
    }

    /// Writes a stream of this length into its tables, with a snapshot if required.
    async fn prepare(&self, id: &str, length: i64, snapshot: bool) -> Result<()> {
        let state = serde_json::to_string(&Stock(InventoryState {
            on_hand: u32::try_from(length)?,
            ..InventoryState::default()
        }))?;
        let (events, snapshots) = match self {
            Self::Postgres(pool) => {
                let events = peers_sqlx::query(
                    r#"insert into events
                       select 'inventory', $1, n, 'StockReceived', '1',
                           '{"StockReceived":{"quantity":1}}', '{}'
                       from generate_series(1, $2) n"#,
                );
                let snapshots = peers_sqlx::query(
                    "insert into snapshots select 'inventory', $1, $2, 1, $3::json where $4",
                );
                let events = events.bind(id).bind(length).execute(pool).await?.rows_affected();
                let snapshots = snapshots.bind(id).bind(length).bind(state).bind(snapshot);
                (events, snapshots.execute(pool).await?.rows_affected())
            }
            Self::Sqlite(pool) => {
                let events = peers_sqlx::query(
                    r#"with recursive number (n) as (select 1 union all select n + 1 from number where n < ?2)
                       insert into events
                       select 'inventory', ?1, n, 'StockReceived', '1',
                           '{"StockReceived":{"quantity":1}}', '{}'
                       from number"#,
                );
                let snapshots =
                    peers_sqlx::query("insert into snapshots select 'inventory', ?1, ?2, 1, ?3 where ?4");
                let events = events.bind(id).bind(length).execute(pool).await?.rows_affected();
                let snapshots = snapshots.bind(id).bind(length).bind(state).bind(snapshot);
                (events, snapshots.execute(pool).await?.rows_affected())
            }
        };
        ensure!(
            events == u64::try_from(length)? && snapshots == u64::from(snapshot),
            "the stream was not prepared"
        );
        Ok(())
    }

    async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite(pool) => pool.close().await,
        }
    }
}

/// The framework over either store.
#[async_trait]
trait Framework: Send + Sync {
    async fn receive_stock(&self, id: &str) -> Result<()>;
}

#[async_trait]
impl<S: EventStore<Stock> + Send + Sync + 'static> Framework for CqrsFramework<Stock, S>
where
    S::AC: Send,
{
    async fn receive_stock(&self, id: &str) -> Result<()> {
        let command = InventoryCommand::ReceiveStock(ReceiveStock { quantity: 1 });
        self.execute(id, command).await?;
        Ok(())
    }
}

/// The peer as a target.
pub(super) struct CqrsEs {
    name: String,
    pool: StorePool,
    framework: Arc<dyn Framework>,
    /// Absent: streams begin empty and grow to the length of ours.
    length: Option<u64>,
    has_snapshots: bool,
}

impl CqrsEs {
    pub(super) const NAME: &'static str = "cqrs-es";

    /// Many short streams.
    pub(super) async fn short_streams(
        database: Database,
        bench_databases: &BenchDatabases,
        callers: usize,
    ) -> Result<Box<dyn Contender>> {
        let peer = Self::open(Self::NAME.to_owned(), database, bench_databases, None).await?;
        ConcurrentCallers::gather(peer, callers, &bench_databases.disk).await
    }

    /// Streams of one length, with snapshots or without.
    pub(super) async fn fixed_length_streams(
        database: Database,
        bench_databases: &BenchDatabases,
        length: u64,
        snapshots: Option<usize>,
    ) -> Result<Box<dyn Contender>> {
        let name = Self::named(length, snapshots);
        let mut peer = Self::open(name, database, bench_databases, snapshots).await?;
        peer.length = Some(length);
        ConcurrentCallers::gather(peer, 1, &bench_databases.disk).await
    }

    /// Its name in results.
    pub(super) fn named(length: u64, snapshots: Option<usize>) -> String {
        let snapshots = if snapshots.is_some() {
            ", with snapshots"
        } else {
            ""
        };
        format!("{}, {length} events{snapshots}", Self::NAME)
    }

    async fn open(
        name: String,
        database: Database,
        bench_databases: &BenchDatabases,
        snapshots: Option<usize>,
    ) -> Result<Self> {
        let pool = StorePool::open(database, bench_databases).await?;
        let (queries, context) = (Vec::new(), context()?);
        let framework: Arc<dyn Framework> = match (pool.clone(), snapshots) {
            (StorePool::Postgres(pool), None) => {
                Arc::new(postgres_es::postgres_cqrs::<Stock>(pool, queries, context))
            }
            (StorePool::Postgres(pool), Some(size)) => Arc::new(
                postgres_es::postgres_snapshot_cqrs::<Stock>(pool, queries, size, context),
            ),
            (StorePool::Sqlite(pool), None) => {
                Arc::new(sqlite_es::sqlite_cqrs::<Stock>(pool, queries, context))
            }
            (StorePool::Sqlite(pool), Some(size)) => Arc::new(sqlite_es::sqlite_snapshot_cqrs::<Stock>(
                pool, queries, size, context,
            )),
        };
        Ok(Self {
            name,
            pool,
            framework,
            length: None,
            has_snapshots: snapshots.is_some(),
        })
    }
}

#[async_trait]
impl Target for CqrsEs {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(CqrsEsCaller {
            pool: self.pool.clone(),
            framework: self.framework.clone(),
            length: self.length,
            has_snapshots: self.has_snapshots,
            number,
            streams: 0,
            left: 0,
        }))
    }

    async fn close(&self) -> Result<()> {
        self.pool.close().await;
        Ok(())
    }
}

struct CqrsEsCaller {
    pool: StorePool,
    framework: Arc<dyn Framework>,
    length: Option<u64>,
    has_snapshots: bool,
    number: usize,
    streams: u64,
    /// The remaining commands of the current stream.
    left: u64,
}

impl CqrsEsCaller {
    fn id(&self) -> String {
        format!("{}-{}", self.number, self.streams)
    }
}

#[async_trait]
impl Caller for CqrsEsCaller {
    async fn prepare(&mut self) -> Result<bool> {
        let Some(length) = self.length.filter(|_| self.left == 0) else {
            return Ok(false);
        };
        self.streams += 1;
        self.left = (length / 10).max(1);
        self.pool
            .prepare(&self.id(), i64::try_from(length)?, self.has_snapshots)
            .await?;
        Ok(true)
    }

    async fn call(&mut self) -> Result<()> {
        if self.left == 0 {
            self.streams += 1;
            self.left = STREAM;
        }
        self.left -= 1;
        self.framework.receive_stock(&self.id()).await
    }
}
