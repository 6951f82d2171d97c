//! Bots: simulated shoppers for a small class. Each joins by the workspace's code under a made-up name, looks
//! at the shop and orders, through the API and with a token of its own. So rights, rules and quotas hold for
//! it as for a person, and what it does is in the log.
//!
//! A workspace has one set of bots, at the server whose educator has begun them. What they have done is
//! stored with a lease, which that server renews: another server knows of them, and takes over when it is
//! asked to. They end on demand, when no educator was there for half an hour, with the workspace, and with
//! the server.

mod dice;
mod record;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use clock::SharedClock;
use documents::{DocumentStore, DocumentStoreError};
use domain::{
    id::WorkspaceId,
    parse_error::shorten,
    rejection::Rejection,
    timestamp::Timestamp,
    wire::{BotsAnswer, BotsEnd, Problem, SetBots, WorkspaceAccess},
};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::{
    dice::Dice,
    record::{BotRecords, Lease},
};
use crate::api::{Api, Call, Sender};

/// How many workspaces have bots at one server.
pub const MOST_SETS: usize = 50;

/// How often the lease of bots is renewed, and with it what is stored of them.
const RENEWAL: Duration = Duration::from_secs(5);

/// How long bots go on while no educator is there, in milliseconds: half an hour.
const CLASS_OVER_MS: u64 = 30 * 60 * 1_000;

/// How many products a bot looks at.
const PAGE: u32 = 50;

/// The most products of an order.
const MOST_LINES: u64 = 3;

/// The most units of a product in an order.
const MOST_UNITS: u64 = 2;

/// One order in this many is paid with a method that fails.
const FAILING_SHARE: u64 = 5;

/// The methods that fail in different ways; the others of the orders are paid.
const FAILING: [&str; 3] = ["tok_declined", "tok_insufficient_funds", "tok_flaky"];

/// The longest refusal that is told, in characters.
const MAX_REFUSAL: usize = 200;

/// The first names of bots; with more bots they repeat, and a number tells them apart.
const NAMES: [&str; 20] = [
    "Amara", "Bo", "Chiara", "Dmitri", "Esra", "Finn", "Gita", "Hana", "Ivo", "Jun", "Kofi", "Lena", "Malik",
    "Nadia", "Omar", "Paula", "Quinn", "Rosa", "Sami", "Tove",
];

/// Why bots were not begun, ended or read.
#[derive(Debug, thiserror::Error)]
pub enum BotsError {
    /// A field is not valid.
    #[error(transparent)]
    Invalid(#[from] Rejection),
    /// As many workspaces have bots at this server as may.
    #[error("{MOST_SETS} workspaces have bots at this server, and no more can; try again later")]
    TooMany,
    /// What is stored could not be read or changed.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
}

/// Knows whether the class of a workspace goes on.
#[async_trait]
pub trait ClassWatch: Send + Sync + fmt::Debug {
    /// Whether an educator of the workspace is there, at any server.
    async fn is_led(&self, workspace: WorkspaceId) -> bool;
}

/// A bot that has joined.
struct Shopper {
    token: String,
}

/// A token is not printed.
impl fmt::Debug for Shopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shopper")
    }
}

/// The bots that have joined a workspace. They stay for the next time that they are asked for: a person who
/// joins again takes another place.
type Shoppers = Arc<tokio::sync::Mutex<Vec<Shopper>>>;

/// What this server knows of the bots of a workspace.
#[derive(Debug, Default)]
struct BotSet {
    newest: Option<Arc<Run>>,
    shoppers: Shoppers,
}

impl BotSet {
    fn is_running(&self) -> bool {
        self.newest.as_ref().is_some_and(|run| run.is_running())
    }
}

/// What bots have done, and when an educator was there.
#[derive(Debug)]
struct Progress {
    answer: BotsAnswer,
    led_at: Timestamp,
}

/// Bots of a workspace from their beginning to their end.
#[derive(Debug)]
struct Run {
    id: Uuid,
    workspace: WorkspaceId,
    join_code: String,
    wanted: SetBots,
    progress: Mutex<Progress>,
    /// Whether it has had the lease.
    is_leased: AtomicBool,
    cancelled: CancellationToken,
    done: CancellationToken,
}

impl Run {
    fn new(id: Uuid, workspace: WorkspaceId, join_code: String, wanted: SetBots, now: Timestamp) -> Self {
        let answer = BotsAnswer {
            running: true,
            count: wanted.count,
            orders_per_minute: wanted.orders_per_minute,
            started_at: Some(now),
            ..BotsAnswer::default()
        };
        Self {
            id,
            workspace,
            join_code,
            wanted,
            progress: Mutex::new(Progress { answer, led_at: now }),
            is_leased: AtomicBool::new(false),
            cancelled: CancellationToken::new(),
            done: CancellationToken::new(),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Each change is one step: a panic leaves it whole.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self) -> BotsAnswer {
        self.progress().answer.clone()
    }

    fn is_running(&self) -> bool {
        !self.done.is_cancelled()
    }

    /// How many bots were asked for.
    fn count(&self) -> usize {
        usize::try_from(self.wanted.count).unwrap_or(usize::MAX)
    }

    /// Notes why they end, unless that is known.
    fn finish(&self, end: BotsEnd) {
        let mut progress = self.progress();
        progress.answer.running = false;
        progress.answer.ended.get_or_insert(end);
    }

    /// Notes a refusal.
    fn refused(&self, mut detail: String) {
        shorten(&mut detail, MAX_REFUSAL);
        self.progress().answer.last_refusal = Some(detail);
    }

    /// An educator was there at this time.
    fn led(&self, now: Timestamp) {
        let mut progress = self.progress();
        progress.led_at = progress.led_at.max(now);
    }

    /// Whether no educator was there for so long that the class is over.
    fn is_class_over(&self, now: Timestamp) -> bool {
        now.millis_since(self.progress().led_at) >= CLASS_OVER_MS
    }
}

/// Keeps the bots of all workspaces.
#[derive(Debug)]
pub struct Bots {
    api: Arc<dyn Api>,
    records: BotRecords,
    watch: Arc<dyn ClassWatch>,
    clock: SharedClock,
    known: Mutex<HashMap<WorkspaceId, BotSet>>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Bots {
    /// Bots that shop through this API, with what they have done in `process_store`; `clock` is the
    /// machine's.
    pub fn new(
        api: Arc<dyn Api>,
        process_store: Arc<dyn DocumentStore>,
        watch: Arc<dyn ClassWatch>,
        clock: SharedClock,
    ) -> Arc<Self> {
        Arc::new(Self {
            api,
            records: BotRecords::new(process_store),
            watch,
            clock,
            known: Mutex::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        })
    }

    /// Begins bots in a workspace that people join by this code, in place of those that are there. They join
    /// and order from then on.
    pub fn begin(
        self: &Arc<Self>,
        workspace: WorkspaceId,
        join_code: String,
        wanted: SetBots,
    ) -> Result<BotsAnswer, BotsError> {
        wanted.check()?;
        let now = self.clock.now();
        let run = Arc::new(Run::new(self.clock.new_id(), workspace, join_code, wanted, now));
        let (before, shoppers) = {
            let mut known = self.known();
            let others = known
                .iter()
                .filter(|(of, set)| **of != workspace && set.is_running());
            if others.count() >= MOST_SETS {
                return Err(BotsError::TooMany);
            }
            let set = known.entry(workspace).or_default();
            (set.newest.replace(Arc::clone(&run)), Arc::clone(&set.shoppers))
        };
        let answer = run.answer();
        self.tasks.spawn(Arc::clone(self).run(run, before, shoppers));
        Ok(answer)
    }

    /// What the bots of a workspace have done, here or at another server, for an educator who is there.
    pub async fn of(&self, workspace: WorkspaceId) -> Result<BotsAnswer, BotsError> {
        let now = self.clock.now();
        let (leased, stored) = self.records.read(workspace, now).await?;
        let Some(run) = self.newest(workspace) else {
            return Ok(stored);
        };
        run.led(now);
        // Those here may not have noticed yet that another server has begun or ended bots.
        let is_theirs = leased == Some(run.id) || !run.is_leased.load(Ordering::Relaxed);
        Ok(if run.is_running() && is_theirs {
            run.answer()
        } else {
            stored
        })
    }

    /// Ends the bots of a workspace, here or at another server.
    pub async fn stop(&self, workspace: WorkspaceId) -> Result<BotsAnswer, BotsError> {
        if let Some(run) = self.newest(workspace) {
            run.finish(BotsEnd::Stopped);
            run.cancelled.cancel();
            run.done.cancelled().await;
            // Unless another server has bots there by now: all that these have done.
            let lease = workspace_lease(&run, true);
            self.records.renew(lease, run.answer(), self.clock.now()).await?;
        }
        Ok(self.records.stop(workspace, self.clock.now()).await?)
    }

    /// Ends the bots of a workspace that has ended. When this returns, nothing of them is left here.
    pub async fn end_workspace(&self, workspace: WorkspaceId) {
        let set = self.known().remove(&workspace);
        if let Some(run) = set.and_then(|set| set.newest) {
            run.finish(BotsEnd::WorkspaceGone);
            run.cancelled.cancel();
            run.done.cancelled().await;
        }
    }

    /// The workspaces whose bots are known here.
    pub fn workspaces(&self) -> Vec<WorkspaceId> {
        self.known().keys().copied().collect()
    }

    /// Ends all bots of this server.
    pub async fn shut_down(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn known(&self) -> MutexGuard<'_, HashMap<WorkspaceId, BotSet>> {
        // Each change is one step: a panic leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn newest(&self, workspace: WorkspaceId) -> Option<Arc<Run>> {
        self.known().get(&workspace)?.newest.clone()
    }

    /// Has bots shop until they end, after those before them have ended.
    async fn run(self: Arc<Self>, run: Arc<Run>, before: Option<Arc<Run>>, shoppers: Shoppers) {
        let _done = run.done.clone().drop_guard();
        if let Some(before) = before {
            before.finish(BotsEnd::Stopped);
            before.cancelled.cancel();
            before.done.cancelled().await;
        }
        let mut shoppers = shoppers.lock().await;
        let end = self.shop(&run, &mut shoppers).await;
        drop(shoppers);
        if run.cancelled.is_cancelled() {
            // Why was noted by the caller, who also stores it.
            return;
        }
        run.finish(end);
        let told = self
            .records
            .renew(workspace_lease(&run, true), run.answer(), self.clock.now());
        if let Err(error) = told.await {
            tracing::warn!(%error, "the end of bots could not be stored");
        }
    }

    /// Joins, and orders at the pace that was asked for. An order that has begun comes to its end.
    async fn shop(&self, run: &Run, shoppers: &mut Vec<Shopper>) -> BotsEnd {
        let mut dice = Dice::new(run.workspace.0);
        if let Some(end) = self.renew(run, false).await {
            return end;
        }
        if let Some(end) = self.join_all(run, shoppers).await {
            return end;
        }
        let mut renewal = interval(RENEWAL);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Instant::now() + dice.pause(run.wanted.orders_per_minute);
        loop {
            let end = tokio::select! {
                () = run.cancelled.cancelled() => Some(BotsEnd::Stopped),
                () = self.stopping.cancelled() => Some(BotsEnd::Stopped),
                _ = renewal.tick() => self.renew(run, true).await,
                () = sleep_until(next) => {
                    // From now on, and not from when it should have been: a slow shop gets no rush.
                    next = Instant::now() + dice.pause(run.wanted.orders_per_minute);
                    self.visit(run, shoppers, &mut dice).await
                }
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Renews the lease, and looks whether the class goes on.
    async fn renew(&self, run: &Run, has_begun: bool) -> Option<BotsEnd> {
        let now = self.clock.now();
        match self
            .records
            .renew(workspace_lease(run, has_begun), run.answer(), now)
            .await
        {
            Ok(true) => run.is_leased.store(true, Ordering::Relaxed),
            // Another server has begun bots in their place, or has ended them.
            Ok(false) => return Some(BotsEnd::Stopped),
            Err(error) => tracing::warn!(%error, "what bots have done could not be stored"),
        }
        if self.watch.is_led(run.workspace).await {
            run.led(now);
        }
        run.is_class_over(now).then_some(BotsEnd::ClassOver)
    }

    /// Has bots join until there are as many as were asked for, or no more may.
    async fn join_all(&self, run: &Run, shoppers: &mut Vec<Shopper>) -> Option<BotsEnd> {
        let count = run.count();
        while shoppers.len() < count {
            if run.cancelled.is_cancelled() || self.stopping.is_cancelled() {
                return Some(BotsEnd::Stopped);
            }
            let number = shoppers.len() + 1;
            match self.join(run, number).await {
                Ok(shopper) => shoppers.push(shopper),
                Err(problem) if problem.status == 410 => return Some(BotsEnd::WorkspaceGone),
                Err(problem) => {
                    run.refused(problem.detail);
                    break;
                }
            }
        }
        let joined = shoppers.len().min(count);
        run.progress().answer.joined = u32::try_from(joined).unwrap_or(u32::MAX);
        shoppers.is_empty().then_some(BotsEnd::NoRoom)
    }

    async fn join(&self, run: &Run, number: usize) -> Result<Shopper, Box<Problem>> {
        let first = NAMES[(number - 1) % NAMES.len()];
        let body = json!({"code": run.join_code, "display_name": format!("{first} (bot {number})")});
        let call = Call::post(Sender::Anonymous, "/api/v1/workspaces/join", body);
        let access: WorkspaceAccess = self.api.call(call).await.parsed()?;
        Ok(Shopper { token: access.token })
    }

    /// One of the bots looks at the shop, and orders.
    async fn visit(&self, run: &Run, shoppers: &mut Vec<Shopper>, dice: &mut Dice) -> Option<BotsEnd> {
        // Of a larger number before, the others rest.
        let index = dice.index(shoppers.len().min(run.count()));
        let Some(shopper) = shoppers.get(index) else {
            return self.join_all(run, shoppers).await;
        };
        match self.order(&shopper.token, dice).await {
            Ok(()) => run.progress().answer.orders_placed += 1,
            Err(problem) if problem.status == 410 => return Some(BotsEnd::WorkspaceGone),
            Err(problem) => {
                run.progress().answer.orders_refused += 1;
                if problem.status == 401 {
                    // Its token has ended, or the person was erased: another bot takes its place.
                    shoppers.swap_remove(index);
                    return self.join_all(run, shoppers).await;
                }
                run.refused(problem.detail);
            }
        }
        None
    }

    async fn order(&self, token: &str, dice: &mut Dice) -> Result<(), Box<Problem>> {
        let sender = || Sender::Token(token.to_owned());
        let path = format!("/api/v1/views/products?listing=all&limit={PAGE}");
        let answer = self.api.call(Call::get(sender(), path)).await;
        if !answer.is_success() {
            return Err(Box::new(answer.problem()));
        }
        let listing = answer.json();
        let offered: Vec<&str> = listing["data"]
            .as_array()
            .map(|rows| rows.iter().filter_map(offered_sku).collect())
            .unwrap_or_default();
        let lines = dice.lines(&offered);
        if lines.is_empty() {
            return Err(Box::new(Problem {
                detail: "the shop has no product that is available".to_owned(),
                ..answer.problem()
            }));
        }
        let command = json!({
            "type": "PlaceOrder",
            "stream": format!("order-{}", self.clock.new_id()),
            "data": {"lines": lines, "payment_method": dice.method()},
        });
        let call = Call::post(sender(), "/api/v1/commands", command);
        let call = call.with_header("idempotency-key", self.clock.new_id().to_string());
        let answer = self.api.call(call).await;
        if answer.is_success() {
            Ok(())
        } else {
            Err(Box::new(answer.problem()))
        }
    }
}

fn workspace_lease(run: &Run, has_begun: bool) -> Lease {
    Lease {
        workspace: run.workspace,
        run: run.id,
        has_begun,
    }
}

/// The SKU of a product of a listing, where some of it is available.
fn offered_sku(row: &Value) -> Option<&str> {
    let product = &row["data"];
    let is_available = product["available"]
        .as_u64()
        .is_some_and(|available| available > 0);
    product["sku"].as_str().filter(|_| is_available)
}

#[cfg(test)]
mod tests;
