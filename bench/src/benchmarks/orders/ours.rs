//! Ours: `foldline serve`, with customers who order.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use clock::{Clock as _, SystemClock};
use domain::wire::Template;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::{CALLERS, Load};
use crate::{
    case::Contender,
    databases::{BenchDatabases, Database},
    figures::{Cost, Latencies, Sample},
    outside::{Connection, Foldline, Socket, Storage, Storefront, send, sku},
    report,
};

/// Consecutive orders, to count the disk's flushes.
const PROBES: u32 = 25;

/// The longest that an order may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The orders of a burst, for each second of a run: about as many as can be done in it.
const BURST_ORDERS: f64 = 300.0;

/// Open orders are prepared in parts, so that the server is never far behind.
const PART: usize = 2_000;

pub(crate) struct Ours {
    load: Load,
    storage: Storage,
    foldline: Foldline,
    shop: Storefront,
    callers: Vec<OrderCaller>,
    flushes: Option<f64>,
}

/// A customer.
struct OrderCaller {
    connection: Connection,
    load: Load,
    placed: usize,
}

impl Ours {
    pub(crate) async fn new(
        database: Database,
        bench_databases: &BenchDatabases,
        program: &Path,
        load: Load,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let storage = Storage::new(database, bench_databases, "ours").await?;
        let foldline = Foldline::start(program, &storage, settings).await?;
        let shop = Storefront::open(foldline.process.address, Template::Empty).await?;
        shop.list_products(load.products).await?;
        let mut callers = Vec::with_capacity(CALLERS);
        for number in 0..CALLERS {
            let customer = shop.customer(number).await?;
            let mut connection = Connection::open(shop.address, Some(&customer.token)).await?;
            // The server closes a connection without a request, and other contenders are prepared first.
            connection.get("/api/v1/session").await?;
            callers.push(OrderCaller {
                connection,
                load,
                placed: number,
            });
        }
        shop.settled().await?;
        let mut this = Self {
            load,
            storage,
            foldline,
            shop,
            callers,
            flushes: None,
        };
        this.probe(bench_databases).await?;
        for begun in (0..load.open_orders).step_by(PART) {
            report::step(&format!("{}: {begun} are placed", load.name()));
            this.burst(PART.min(load.open_orders - begun)).await?;
        }
        Ok(this)
    }

    /// The server and its workspace, without the customers.
    pub(crate) fn into_server(self) -> (Foldline, Storefront) {
        (self.foldline, self.shop)
    }

    /// The server, its storage and its workspace.
    pub(crate) fn server(&self) -> (&Foldline, &Storage, &Storefront) {
        (&self.foldline, &self.storage, &self.shop)
    }

    /// Lets the customers begin to place `rate` orders a second for this long, at times that do not depend on
    /// how fast they are answered.
    pub(crate) fn begin_paced(&mut self, rate: f64, time: Duration) -> Paced {
        let between = Duration::from_secs_f64(1.0 / rate);
        let begun = Instant::now();
        let mut at_work = JoinSet::new();
        let customers = u32::try_from(self.callers.len()).unwrap_or(u32::MAX);
        for (number, mut caller) in (0_u32..).zip(self.callers.drain(..)) {
            at_work.spawn(async move {
                let outcome = caller
                    .place_paced(begun, time, between * number, between * customers)
                    .await;
                (caller, outcome)
            });
        }
        Paced {
            at_work,
            finished: Vec::new(),
        }
    }

    /// Waits for the customers, and until all orders are done; returns their latencies by tenths of the time,
    /// each from when the order was due until it was acknowledged.
    pub(crate) async fn end_paced(&mut self, mut paced: Paced) -> Result<Vec<Latencies>> {
        while let Some(joined) = paced.at_work.join_next().await {
            paced.finish(joined?)?;
        }
        let mut tenths = tenths()?;
        for (caller, latencies) in paced.finished {
            self.callers.push(caller);
            for (all, of_caller) in tenths.iter_mut().zip(&latencies) {
                all.join(of_caller)?;
            }
        }
        self.shop.settled().await?;
        Ok(tenths)
    }

    /// Checks that acknowledged orders are on disk.
    async fn probe(&mut self, bench_databases: &BenchDatabases) -> Result<()> {
        let disk = &bench_databases.disk;
        let caller = self.callers.first_mut().context("there are customers")?;
        let before = disk.flushes();
        for _ in 0..PROBES {
            caller.place().await?;
        }
        self.flushes = disk
            .flushes_since(before, PROBES)
            .with_context(|| self.load.name())?;
        self.shop.settled().await
    }

    /// Places this many orders as fast as they are acknowledged, and waits until all are done.
    async fn burst(&mut self, orders: usize) -> Result<(u64, Latencies)> {
        let each = orders.div_ceil(self.callers.len());
        let found = self
            .all(move |mut caller| async move {
                let outcome = caller.place_many(each).await;
                (caller, outcome)
            })
            .await?;
        self.shop.settled().await?;
        Ok(found)
    }

    /// Lets every customer order until the time is over, each next order after the confirmation of the one
    /// before, and waits until all are done.
    async fn steady(&mut self, time: Duration) -> Result<(u64, Latencies)> {
        let confirmations = Confirmations::follow(&self.shop).await?;
        let until = Instant::now() + time;
        let waiting = confirmations.waiting.clone();
        let found = self
            .all(move |mut caller| {
                let waiting = waiting.clone();
                async move {
                    let outcome = caller.place_until(until, &waiting).await;
                    (caller, outcome)
                }
            })
            .await?;
        self.shop.settled().await?;
        Ok(found)
    }

    /// Lets all customers work at the same time; returns their orders and latencies.
    async fn all<W, F>(&mut self, work: W) -> Result<(u64, Latencies)>
    where
        W: Fn(OrderCaller) -> F,
        F: Future<Output = (OrderCaller, Result<Latencies>)> + Send + 'static,
    {
        let mut at_work = JoinSet::new();
        for caller in self.callers.drain(..) {
            at_work.spawn(work(caller));
        }
        let mut latencies = Latencies::new()?;
        while let Some(joined) = at_work.join_next().await {
            let (caller, outcome) = joined?;
            self.callers.push(caller);
            latencies.join(&outcome?)?;
        }
        Ok((latencies.count(), latencies))
    }
}

#[async_trait(?Send)]
impl Contender for Ours {
    fn name(&self) -> String {
        self.load.name()
    }

    async fn run(&mut self, time: Duration) -> Result<Sample> {
        let cpu_before = self.foldline.process.cpu()?;
        let begun = Instant::now();
        let (done, latencies) = if self.load.burst {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a few thousand"
            )]
            let orders = (time.as_secs_f64() * BURST_ORDERS) as usize;
            self.burst(orders.max(CALLERS)).await?
        } else {
            self.steady(time).await?
        };
        Ok(Sample {
            done,
            time: begun.elapsed(),
            latencies,
            cost: Cost {
                cpu: Some(self.foldline.process.cpu()?.saturating_sub(cpu_before)),
                bytes: None,
            },
        })
    }

    fn flushes(&self) -> Option<f64> {
        self.flushes
    }

    async fn close(self: Box<Self>) -> Result<()> {
        drop(self.callers);
        self.foldline.process.stop().await
    }
}

impl OrderCaller {
    /// Places an order; returns when it is acknowledged.
    async fn place(&mut self) -> Result<()> {
        let order = SystemClock.new_id().to_string();
        self.place_as(&order).await
    }

    async fn place_as(&mut self, order: &str) -> Result<()> {
        let product = self.placed % self.load.products;
        self.placed += 1;
        let data = json!({
            "lines": [{"sku": sku(product), "quantity": 1}],
            "payment_method": "tok_ok",
        });
        send(
            &mut self.connection,
            "PlaceOrder",
            &format!("order-{order}"),
            &data,
        )
        .await
    }

    async fn place_many(&mut self, orders: usize) -> Result<Latencies> {
        let mut latencies = Latencies::new()?;
        for _ in 0..orders {
            let before = Instant::now();
            self.place().await?;
            latencies.note(before.elapsed());
        }
        Ok(latencies)
    }

    /// Places an order at `begun + first`, and then one at each interval.
    async fn place_paced(
        &mut self,
        begun: Instant,
        time: Duration,
        first: Duration,
        interval: Duration,
    ) -> Result<Vec<Latencies>> {
        let mut tenths = tenths()?;
        let mut due = first;
        while due < time {
            tokio::time::sleep_until((begun + due).into()).await;
            self.place().await?;
            if let Some(latencies) = tenths.get_mut(tenth(due, time)) {
                latencies.note(begun.elapsed().saturating_sub(due));
            }
            due += interval;
        }
        Ok(tenths)
    }

    async fn place_until(&mut self, until: Instant, waiting: &Waiting) -> Result<Latencies> {
        let mut latencies = Latencies::new()?;
        while Instant::now() < until {
            let order = SystemClock.new_id().to_string();
            let (sender, confirmed) = oneshot::channel();
            let before = Instant::now();
            lock(waiting).insert(order.clone(), sender);
            self.place_as(&order).await?;
            timeout(PATIENCE, confirmed)
                .await
                .with_context(|| format!("the order {order} is not confirmed"))?
                .context("the socket has ended")?;
            latencies.note(before.elapsed());
        }
        Ok(latencies)
    }
}

/// Customers who place orders at given times.
pub(crate) struct Paced {
    at_work: JoinSet<(OrderCaller, Result<Vec<Latencies>>)>,
    finished: Vec<(OrderCaller, Vec<Latencies>)>,
}

impl Paced {
    /// An error if an order has failed: a soak must not go on for an hour without a customer.
    pub(crate) fn check(&mut self) -> Result<()> {
        while let Some(joined) = self.at_work.try_join_next() {
            self.finish(joined?)?;
        }
        Ok(())
    }

    fn finish(&mut self, (caller, outcome): (OrderCaller, Result<Vec<Latencies>>)) -> Result<()> {
        self.finished.push((caller, outcome?));
        Ok(())
    }
}

/// Latencies of each tenth of a time.
fn tenths() -> Result<Vec<Latencies>> {
    (0..10).map(|_| Latencies::new()).collect()
}

/// The tenth of a time, from 0, that a moment in it belongs to.
pub(crate) fn tenth(moment: Duration, time: Duration) -> usize {
    let tenth = moment.as_nanos() * 10 / time.as_nanos().max(1);
    usize::try_from(tenth).map_or(9, |tenth| tenth.min(9))
}

/// The orders that customers wait for, by their ids.
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<()>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One socket that follows the listing of confirmed orders, for all customers: a frame an order, so that
/// waiting costs the server little.
struct Confirmations {
    waiting: Waiting,
    reader: JoinHandle<()>,
}

/// The field of a change that is read.
#[derive(Deserialize)]
struct Change<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

impl Confirmations {
    async fn follow(shop: &Storefront) -> Result<Self> {
        let mut socket = Socket::open(shop.address, "/api/v1/live", Some(&shop.token)).await?;
        let subscribe = json!({
            "op": "subscribe", "id": 1, "view": "orders", "listing": "by_status", "group": "confirmed",
            "limit": 1,
        });
        socket.send(subscribe.to_string()).await?;
        // The snapshot: from here on every change is sent.
        socket.frame().await?;
        let waiting = Waiting::default();
        let confirmed = waiting.clone();
        let reader = tokio::spawn(async move {
            if let Err(error) = read(&mut socket, &confirmed).await {
                report::progress(&format!("the socket of confirmed orders: {error:#}"));
                // Their customers must not wait any longer.
                lock(&confirmed).clear();
            }
        });
        Ok(Self { waiting, reader })
    }
}

async fn read(socket: &mut Socket, waiting: &Waiting) -> Result<()> {
    loop {
        let frame = socket.change().await?;
        let change: Change<'_> = serde_json::from_str(frame.as_str())?;
        if let Some(confirmed) = lock(waiting).remove(&*change.key) {
            // The customer may have given up.
            let _ = confirmed.send(());
        }
    }
}

impl Drop for Confirmations {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_ten_tenths_and_what_is_late_is_in_the_last() {
        let hour = Duration::from_hours(1);
        for (seconds, expected) in [(0, 0), (359, 0), (360, 1), (3_599, 9), (3_600, 9), (9_999, 9)] {
            assert_eq!(tenth(Duration::from_secs(seconds), hour), expected, "{seconds}");
        }
    }
}
