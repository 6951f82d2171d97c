//! Invariants of a workspace, and the light of each: computed from the log and the views, as long as a person
//! looks or a dial is bent.
//!
//! | module | content |
//! |---|---|
//! | `log_checks` | what the events of the log say by themselves: stock, charges, Idempotency-Keys |
//! | `view_checks` | the views, folded beside the lanes, and compared with what is shown |
//! | `explanation` | which event a wrong document has folded twice, or not at all |
//! | `witness` | what only a bent box can tell: events before their append, mails, frames |
//! | `lights` | which lights are red, since when, and the cure of each |
//! | `known_breaks` | what cures have counted as known, stored |
//! | `watcher` | the checks of one workspace, pass by pass |
//!
//! At rest nothing runs: the first request, subscription or bent dial starts a watcher, which ends a minute
//! after the last one. It reads each event once. The views are folded beside only while a dial is bent, or
//! until the harm that was found is cured.

mod explanation;
mod known_breaks;
mod lights;
mod log_checks;
mod view_checks;
mod watcher;
pub mod witness;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clock::SharedClock;
use documents::{DocumentStore, DocumentStoreError};
use domain::{
    id::WorkspaceId,
    token::ConsistencyToken,
    wire::{CureKind, Dials, Invariant, InvariantStatus, InvariantsAnswer},
};
use event_store::{EventStore, StoreError};
use projection::{Projections, progress::Progress, rebuild::RebuildError};
use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    dials::{Bender, DialBoard, DialError, DialKeeper},
    due::sleep_until_some,
};
use known_breaks::KnownBreaks;
use watcher::Watcher;
pub use witness::Witness;

/// For how long a workspace is watched after its lights were asked for.
pub const ARMED: Duration = Duration::from_mins(1);

/// The most workspaces that are watched at a time at one server.
pub const MAX_WATCHED: usize = 16;

/// The longest log whose invariants are checked, in events.
pub const MAX_EVENTS: u64 = 200_000;

/// The pause between two passes of a watcher.
const PASS: Duration = Duration::from_millis(200);

/// After how long a watcher that has failed begins anew.
const RETRY: Duration = Duration::from_secs(5);

/// How long a caller waits for a pass.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a cure is repeated for what is found meanwhile.
const CURE_PATIENCE: Duration = Duration::from_secs(20);

/// How long a light may take to turn green after its cure.
const SETTLING: Duration = Duration::from_secs(3);

/// How long a caller waits for a view that a cure rebuilds.
const REBUILD_PATIENCE: Duration = Duration::from_secs(30);

/// Why lights cannot be shown or cured.
#[derive(Debug, thiserror::Error)]
pub enum InvariantError {
    /// As many workspaces are watched as may be.
    #[error(
        "the invariants of {MAX_WATCHED} workspaces are watched at a time on a server, and all are; each is \
         for a minute after it was last looked at"
    )]
    Full,
    /// The log is too long.
    #[error("invariants are checked in workspaces of at most {MAX_EVENTS} events, and this one has {0}")]
    TooLong(u64),
    /// The log or the views do not answer.
    #[error("the invariants could not be checked in time; try again")]
    Late,
    /// A view could not be rebuilt.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// A dial could not be put to rest.
    #[error(transparent)]
    Dials(#[from] DialError),
    /// The log could not be read.
    #[error(transparent)]
    Events(#[from] StoreError),
    /// A stored document could not be read or changed.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
}

/// What the checks read.
#[derive(Debug)]
pub struct Dependencies {
    /// Box 5, the log.
    pub events: Arc<dyn EventStore>,
    /// Box 8, the views.
    pub read_model: Arc<dyn DocumentStore>,
    /// Where it is stored what cures have counted as known.
    pub process_store: Arc<dyn DocumentStore>,
    /// How far the log and the views are.
    pub progress: Arc<Progress>,
    /// Rebuilds views.
    pub projections: Arc<Projections>,
    /// The dials, which cures put to rest.
    pub dials: Arc<DialKeeper>,
    /// What bent boxes report.
    pub witness: Arc<Witness>,
    /// The machine's clock.
    pub clock: SharedClock,
}

/// What a watcher has found in its last pass.
#[derive(Debug, Default)]
struct Published {
    /// The number of the pass; 0 before the first.
    pass: u64,
    answer: Arc<InvariantsAnswer>,
}

/// A watched workspace, as its watcher and its readers share it.
#[derive(Debug, Default)]
struct Watch {
    published: watch::Sender<Published>,
    /// How many passes have begun.
    begun: AtomicU64,
    /// Wakes the watcher.
    wanted: Notify,
}

impl Watch {
    /// Publishes a pass.
    fn publish(&self, pass: u64, answer: InvariantsAnswer) {
        self.published.send_modify(|published| {
            published.pass = pass;
            if *published.answer != answer {
                published.answer = Arc::new(answer);
            }
        });
    }
}

/// A workspace that is watched here.
#[derive(Debug)]
struct Watched {
    watch: Arc<Watch>,
    armed_until: Instant,
    subscriptions: usize,
    task: Option<AbortHandle>,
    /// When the watcher may begin again: it has failed.
    not_before: Instant,
}

impl Watched {
    fn new(now: Instant) -> Self {
        Self {
            watch: Arc::default(),
            armed_until: now,
            subscriptions: 0,
            task: None,
            not_before: now,
        }
    }
}

/// Watches the invariants of workspaces.
#[derive(Debug)]
pub struct Invariants {
    dependencies: Arc<Dependencies>,
    watched: Mutex<HashMap<WorkspaceId, Watched>>,
    /// Wakes [`run`](Self::run).
    changed: Notify,
}

impl Invariants {
    /// Watches over these boxes. It needs [`run`](Self::run).
    pub fn new(dependencies: Dependencies) -> Arc<Self> {
        Arc::new(Self {
            dependencies: Arc::new(dependencies),
            watched: Mutex::default(),
            changed: Notify::new(),
        })
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Watched>> {
        // Each change is one step: a panic leaves it whole.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn board(&self) -> &Arc<DialBoard> {
        self.dependencies.dials.board()
    }

    /// The lights of a workspace, by a pass that begins after this call. It is watched for a minute more.
    pub async fn lights(&self, workspace: WorkspaceId) -> Result<Arc<InvariantsAnswer>, InvariantError> {
        let watch = self.arm(workspace, false)?;
        let begun = watch.begun.load(Ordering::Acquire);
        let mut published = watch.published.subscribe();
        watch.wanted.notify_one();
        let passed = published.wait_for(|published| published.pass > begun);
        match timeout(PATIENCE, passed).await {
            Ok(Ok(published)) => Ok(Arc::clone(&published.answer)),
            Ok(Err(_)) | Err(_) => Err(InvariantError::Late),
        }
    }

    /// Follows the lights of a workspace.
    pub fn subscribe(
        self: &Arc<Self>,
        workspace: WorkspaceId,
    ) -> Result<InvariantSubscription, InvariantError> {
        let watch = self.arm(workspace, true)?;
        Ok(InvariantSubscription {
            published: watch.published.subscribe(),
            told: None,
            watch,
            invariants: Arc::clone(self),
            workspace,
        })
    }

    /// Does what the status of a light that is red offers as its cure, and returns the light then. A light
    /// that is green stays as it is.
    pub async fn cure(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        invariant: Invariant,
    ) -> Result<InvariantStatus, InvariantError> {
        let until = Instant::now() + CURE_PATIENCE;
        let mut status = self.light(workspace, invariant).await?;
        while !status.holds && Instant::now() < until {
            self.carry_out(workspace, by, &status).await?;
            status = self.light_after(workspace, &status).await?;
        }
        Ok(status)
    }

    /// Carries out the steps of a cure.
    async fn carry_out(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        status: &InvariantStatus,
    ) -> Result<(), InvariantError> {
        let of_kind = |wanted: &[CureKind]| -> Vec<String> {
            let steps = status.cure.iter().filter(|step| wanted.contains(&step.kind));
            steps.map(|step| step.of.clone()).collect()
        };
        let dials = of_kind(&[CureKind::PutGuaranteeBack, CureKind::RestDial]);
        if !dials.is_empty() {
            let keeper = &self.dependencies.dials;
            let put_to_rest = |bent: &mut Dials| {
                for dial in &dials {
                    bent.put_to_rest(dial, |name| keeper.has_own_view(workspace, name));
                }
            };
            keeper.amend(workspace, by, &put_to_rest).await?;
        }
        let rebuilds = &self.dependencies.projections.rebuilds;
        for view in of_kind(&[CureKind::Rebuild]) {
            rebuilds.rebuild(workspace, &view).await?;
            // A longer one goes on, and the light turns green when it is done.
            let _ = timeout(REBUILD_PATIENCE, rebuilds.finished(workspace, &view)).await;
        }
        if !of_kind(&[CureKind::Acknowledge]).is_empty() {
            let head = self.dependencies.events.head(workspace).await?;
            let known = KnownBreaks::new(Arc::clone(&self.dependencies.process_store), workspace);
            known.acknowledge(status.name, &head).await?;
        }
        Ok(())
    }

    /// The light once it is green after a cure, or as it is after a while.
    async fn light_after(
        &self,
        workspace: WorkspaceId,
        before: &InvariantStatus,
    ) -> Result<InvariantStatus, InvariantError> {
        let until = Instant::now() + SETTLING;
        loop {
            let status = self.light(workspace, before.name).await?;
            if status.holds || Instant::now() >= until {
                return Ok(status);
            }
            sleep(PASS).await;
        }
    }

    async fn light(
        &self,
        workspace: WorkspaceId,
        invariant: Invariant,
    ) -> Result<InvariantStatus, InvariantError> {
        let answer = self.lights(workspace).await?;
        let light = answer.data.iter().find(|light| light.name == invariant);
        light.cloned().ok_or(InvariantError::Late)
    }

    /// The workspaces that are watched here.
    pub fn workspaces(&self) -> Vec<WorkspaceId> {
        self.watched().keys().copied().collect()
    }

    /// Forgets a purged workspace.
    pub fn end(&self, workspace: WorkspaceId) {
        let ended = self.watched().remove(&workspace);
        if let Some(task) = ended.and_then(|ended| ended.task) {
            task.abort();
        }
        self.dependencies.witness.end(workspace);
    }

    fn arm(&self, workspace: WorkspaceId, is_subscription: bool) -> Result<Arc<Watch>, InvariantError> {
        let head = self.dependencies.progress.head(workspace);
        let events = ConsistencyToken::default().behind(&head);
        if events > MAX_EVENTS {
            return Err(InvariantError::TooLong(events));
        }
        let now = Instant::now();
        let mut watched = self.watched();
        let is_full = watched.len() >= MAX_WATCHED;
        let entry = match watched.entry(workspace) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => return Err(InvariantError::Full),
            Entry::Vacant(new) => new.insert(Watched::new(now)),
        };
        entry.armed_until = now + ARMED;
        entry.subscriptions += usize::from(is_subscription);
        let watch = Arc::clone(&entry.watch);
        drop(watched);
        self.changed.notify_one();
        Ok(watch)
    }

    /// A subscription has ended.
    fn unsubscribe(&self, workspace: WorkspaceId, watch: &Arc<Watch>) {
        {
            let mut watched = self.watched();
            let entry = watched.get_mut(&workspace);
            let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.watch, watch)) else {
                return;
            };
            entry.subscriptions = entry.subscriptions.saturating_sub(1);
            entry.armed_until = Instant::now() + ARMED;
        }
        self.changed.notify_one();
    }

    /// Starts and ends the watchers of workspaces, until it is cancelled. Then none is left.
    pub async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        let mut tasks = JoinSet::new();
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.work(&mut tasks) => {}
        }
        tasks.shutdown().await;
    }

    async fn work(&self, tasks: &mut JoinSet<()>) {
        let mut bent = self.board().changes();
        loop {
            let next = self.upkeep(Instant::now(), tasks);
            tokio::select! {
                () = self.changed.notified() => {}
                // The board lives as long as the keeper, which this holds.
                Ok(()) = bent.changed() => {}
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended
                        && error.is_panic()
                    {
                        tracing::error!(%error, "the checks of invariants have panicked");
                    }
                }
                () = sleep_until_some(next) => {}
            }
        }
    }

    /// Ends the watchers that are not needed, and starts those that are. Returns when there is something to
    /// do again.
    fn upkeep(&self, now: Instant, tasks: &mut JoinSet<()>) -> Option<Instant> {
        let bent: HashSet<WorkspaceId> = self.board().all().into_iter().map(|(id, _)| id).collect();
        let mut next: Option<Instant> = None;
        let mut watched = self.watched();
        watched.retain(|workspace, entry| {
            let is_needed = entry.subscriptions > 0 || entry.armed_until > now || bent.contains(workspace);
            if !is_needed && let Some(task) = &entry.task {
                task.abort();
            }
            is_needed
        });
        for workspace in &bent {
            if watched.len() < MAX_WATCHED {
                watched.entry(*workspace).or_insert_with(|| Watched::new(now));
            }
        }
        for (workspace, entry) in watched.iter_mut() {
            let mut is_running = entry.task.as_ref().is_some_and(|task| !task.is_finished());
            if !is_running && entry.not_before <= now {
                let new = Watcher::new(*workspace, Arc::clone(&self.dependencies));
                entry.task = Some(tasks.spawn(new.run(Arc::clone(&entry.watch))));
                entry.not_before = now + RETRY;
                is_running = true;
            }
            let is_kept = entry.subscriptions > 0 || bent.contains(workspace);
            let end = (!is_kept).then_some(entry.armed_until);
            let restart = (!is_running).then_some(entry.not_before);
            next = [next, end, restart].into_iter().flatten().min();
        }
        next
    }
}

/// Follows the lights of a workspace, which is watched as long as this is there.
#[derive(Debug)]
pub struct InvariantSubscription {
    published: watch::Receiver<Published>,
    told: Option<Arc<InvariantsAnswer>>,
    watch: Arc<Watch>,
    invariants: Arc<Invariants>,
    workspace: WorkspaceId,
}

impl InvariantSubscription {
    /// The lights, as soon as they are known, and then again whenever one has changed; changes that follow
    /// one another closely may be one. Once the workspace is purged, there are none. Cancel safe.
    pub async fn next(&mut self) -> Arc<InvariantsAnswer> {
        loop {
            let answer = {
                let published = self.published.borrow_and_update();
                (published.pass > 0).then(|| Arc::clone(&published.answer))
            };
            let told = self.told.as_ref().map(|told| &told.data);
            if let Some(answer) = answer.filter(|answer| Some(&answer.data) != told) {
                self.told = Some(Arc::clone(&answer));
                return answer;
            }
            if self.published.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl Drop for InvariantSubscription {
    fn drop(&mut self) {
        self.invariants.unsubscribe(self.workspace, &self.watch);
    }
}
