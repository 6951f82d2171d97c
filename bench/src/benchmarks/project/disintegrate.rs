//! The peer: disintegrate's listener, which delivers events one by one, with a handler that writes one upsert
//! for each. The handler folds with our own fold and keeps every document in memory, so that it never reads
//! one: more than the peer promises, and in its favour.
//!
//! disintegrate-postgres 4.0.1 needs PostgreSQL 16 for one literal in one function, `0xFFFFFFFF`. On an older
//! server its migration fails there, and the remaining steps are done here, with the same number in decimal.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use clock::{Clock as _, SystemClock};
use disintegrate::{
    Event, EventListener, EventStore as _, PersistedEvent, StreamQuery, query, serde::json::Json,
};
use disintegrate_postgres::{Migrator, PgEventId, PgEventListener, PgEventListenerConfig, PgEventStore};
use domain::{
    aggregate::order::{OrderConfirmed, OrderCreated, OrderDelivered, OrderEvent, OrderShipped},
    event::{EventPayload as _, Metadata, RecordedEvent, TypedEvent},
    event_type::AggregateEvent as _,
    id::{StreamName, WorkspaceId},
    view::{
        View as _,
        orders::{OrderDocument, OrdersView},
    },
};
use peers_sqlx::{Executor as _, PgPool};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{History, sample};
use crate::{case::Contender, databases::BenchDatabases, figures::Sample};

/// The listener's polling interval when it is caught up; it polls at once when it starts.
const POLL: Duration = Duration::from_millis(50);

/// An event as it is stored, indexed by its order.
#[derive(Debug, Clone, PartialEq, Event, Serialize, Deserialize)]
enum Order {
    Created {
        #[id]
        order_id: String,
        created: OrderCreated,
    },
    Confirmed {
        #[id]
        order_id: String,
        confirmed: OrderConfirmed,
    },
    Shipped {
        #[id]
        order_id: String,
        shipped: OrderShipped,
    },
    Delivered {
        #[id]
        order_id: String,
        delivered: OrderDelivered,
    },
}

impl Order {
    fn new(order_id: String, event: OrderEvent) -> Result<Self> {
        Ok(match event {
            OrderEvent::OrderCreated(created) => Self::Created { order_id, created },
            OrderEvent::OrderConfirmed(confirmed) => Self::Confirmed { order_id, confirmed },
            OrderEvent::OrderShipped(shipped) => Self::Shipped { order_id, shipped },
            OrderEvent::OrderDelivered(delivered) => Self::Delivered { order_id, delivered },
            other => anyhow::bail!("{other:?} is not measured"),
        })
    }

    fn parts(self) -> (String, OrderEvent) {
        match self {
            Self::Created { order_id, created } => (order_id, created.into()),
            Self::Confirmed { order_id, confirmed } => (order_id, confirmed.into()),
            Self::Shipped { order_id, shipped } => (order_id, shipped.into()),
            Self::Delivered { order_id, delivered } => (order_id, delivered.into()),
        }
    }
}

type Store = PgEventStore<Order, Json<Order>>;

/// The listener's progress.
#[derive(Debug, Default)]
struct Tally {
    handled: AtomicUsize,
    all: usize,
    done: Notify,
}

struct Upserts {
    query: StreamQuery<PgEventId, Order>,
    pool: PgPool,
    documents: Mutex<HashMap<String, OrderDocument>>,
    tally: Arc<Tally>,
}

impl Upserts {
    /// Folds an event. Returns the document's key and its JSON.
    fn fold(&self, event: Order) -> Result<(String, String)> {
        let (order, event) = event.parts();
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let before = documents.remove(&order);
        let version = before.as_ref().map_or(0, |document| document.version) + 1;
        let after =
            OrdersView::fold(before, &typed(&order, version, event)?).context("an order is missing")?;
        let json = serde_json::to_string(&after)?;
        documents.insert(order.clone(), after);
        Ok((order, json))
    }
}

#[async_trait]
impl EventListener<PgEventId, Order> for Upserts {
    type Error = std::io::Error;

    fn id(&self) -> &'static str {
        "orders"
    }

    fn query(&self) -> &StreamQuery<PgEventId, Order> {
        &self.query
    }

    async fn handle(&self, event: PersistedEvent<PgEventId, Order>) -> Result<(), std::io::Error> {
        let (key, data) = self.fold(event.into_inner()).map_err(std::io::Error::other)?;
        peers_sqlx::query(
            "insert into orders values ($1, $2) on conflict (key) do update set data = excluded.data",
        )
        .bind(key)
        .bind(data)
        .execute(&self.pool)
        .await
        .map_err(std::io::Error::other)?;
        if self.tally.handled.fetch_add(1, Ordering::Relaxed) + 1 == self.tally.all {
            self.tally.done.notify_one();
        }
        Ok(())
    }
}

/// The peer as a contender.
pub(super) struct Disintegrate {
    pool: PgPool,
    store: Store,
    events: usize,
}

impl Disintegrate {
    pub(super) const NAME: &'static str = "disintegrate, one upsert an event";

    pub(super) async fn new(bench_databases: &BenchDatabases, history: &History) -> Result<Self> {
        let pool = PgPool::connect(&bench_databases.database("disintegrate").await?).await?;
        let store = Store::new_uninitialized(pool.clone(), Json::default());
        let migrator = Migrator::new(store.clone());
        if migrator.init_event_store().await.is_err() {
            finish_migration(&pool).await?;
        }
        migrator.init_listener().await?;
        pool.execute("create table orders (key text primary key, data text not null)")
            .await?;
        for part in history.parts() {
            let events = part?
                .into_iter()
                .map(|happened| Order::new(happened.order, happened.event))
                .collect::<Result<Vec<_>>>()?;
            for page in events.chunks(500) {
                store.append_without_validation(page.to_vec()).await?;
            }
        }
        Ok(Self {
            pool,
            store,
            events: history.len(),
        })
    }
}

/// The remaining steps of its migration on a server without hexadecimal literals: a function, the column of
/// the only domain id, and its index.
async fn finish_migration(pool: &PgPool) -> Result<()> {
    pool.execute(
        "create function event_store_begin_epoch() returns void language plpgsql as $$
         declare
             next bigint;
             here int;
         begin
             select last_value into next from seq_event_event_id;
             select oid into here from pg_database where datname = current_database();
             perform pg_try_advisory_xact_lock_shared(here, 0);
             perform pg_try_advisory_xact_lock_shared(1, (next & 4294967295)::bit(32)::integer);
             perform pg_try_advisory_xact_lock_shared(2, (next >> 32)::bit(32)::integer);
         end
         $$;
         alter table event add column order_id text;
         create index idx_event_order_id on event (order_id) where order_id is not null;",
    )
    .await
    .context("disintegrate's migration failed, and could not be finished")?;
    Ok(())
}

fn typed(order: &str, version: u64, event: OrderEvent) -> Result<TypedEvent> {
    Ok(RecordedEvent {
        workspace: WorkspaceId(Uuid::nil()),
        partition: 0,
        position: 1,
        stream: StreamName::new("order", order)?,
        version,
        event_id: Uuid::nil(),
        event_type: event.event_type().name.to_owned(),
        schema_version: 1,
        payload: event.into_domain(),
        metadata: Metadata {
            correlation_id: Uuid::nil(),
            causation_id: None,
            command_id: Uuid::nil(),
            actor: domain::event::ActorRef {
                id: Uuid::nil(),
                role: domain::access::Role::Customer,
            },
            traceparent: None,
        },
        recorded_at: SystemClock.now(),
        hash: String::new(),
    })
}

#[async_trait(?Send)]
impl Contender for Disintegrate {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    async fn run(&mut self, _time: Duration) -> Result<Sample> {
        self.pool
            .execute("truncate orders; delete from event_listener")
            .await?;
        let tally = Arc::new(Tally {
            all: self.events,
            ..Tally::default()
        });
        let handler = Upserts {
            query: query!(Order),
            pool: self.pool.clone(),
            documents: Mutex::default(),
            tally: tally.clone(),
        };
        let begun = Instant::now();
        let finished = tally.clone();
        PgEventListener::builder(self.store.clone())
            .uninitialized()
            .register_listener(handler, PgEventListenerConfig::poller(POLL))
            .start_with_shutdown(async move { finished.done.notified().await })
            .await?;
        let time = begun.elapsed();
        let count = tally.handled.load(Ordering::Relaxed);
        ensure!(
            count == self.events,
            "{count} of {} events were handled",
            self.events
        );
        sample(count, time)
    }

    async fn close(self: Box<Self>) -> Result<()> {
        self.pool.close().await;
        Ok(())
    }
}
