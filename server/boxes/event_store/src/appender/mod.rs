//! The appender: the one task of a process that writes to the store. It takes the waiting appends as a group,
//! validates them in memory, writes them in one transaction, and answers after the commit.
//!
//! | module | what it holds |
//! |---|---|
//! | `lifecycle` | admissions, activity and purges of workspaces |
//! | `group_validator` | one group in memory: versions, heads, hashes, conflicts, repetitions |
//! | `append_cache` | the state that the validator needs |
//! | `writer` | the operations of the database |
//!
//! When a transaction fails, nothing of it is stored: the cache is cleared, and each append of the group is
//! tried again alone, so that one bad append cannot fail its neighbours. Where several servers write, a group
//! is first validated against the cache; if the database reports that another server has appended, or if an
//! append would be refused, the group is validated again with the partitions locked. No caller waits
//! indefinitely: if this task ends, the answers that are still due fail.

mod append_cache;
mod group_validator;
mod lifecycle;
mod writer;

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::{
    event::{DomainEvent, StoredEvent},
    event_type::schema::same_meaning,
    id::{StreamName, WorkspaceId},
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Append, AppendAnswer, AppendError, CommitObserver, KeyFingerprint, Snapshot, StoreError,
    TypeCompatibility, Workspace, WorkspaceContent,
    columns::{schema, unreadable},
    digest::DigestKey,
};
pub(super) use append_cache::{AppendCache, CachedPartition, CachedStream, CachedWorkspace, MissingStream};
use clock::SharedClock;
use group_validator::GroupValidator;
pub(super) use group_validator::{
    CommandOfEvents, CommandRow, EventRow, NewStream, PartitionUpdate, ValidatedGroup,
};
pub(super) use lifecycle::LifecycleWriter;
pub(super) use writer::{Cause, Failure, LookUpMode, Writer};

/// The most appends that wait in the queue; a later caller waits until there is room.
const QUEUE: usize = 4096;

/// The most appends of one transaction, and roughly the most bytes: a commit takes a few milliseconds.
const GROUP_APPENDS: usize = 512;
const GROUP_BYTES: usize = 4 << 20;

/// How often a group is validated and written, if another server is faster or the connection is lost, before
/// it fails.
const MAX_COMMIT_ATTEMPTS: usize = 4;

/// How long after a failure the appender checks whether the events were stored after all, if no append comes
/// first.
const RECHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Events that are read at a time for an observer that has missed them.
const PAGE: u32 = 512;

type Answer<T, E = StoreError> = oneshot::Sender<Result<T, E>>;

struct Job {
    append: Append,
    answer: Answer<AppendAnswer, AppendError>,
}

enum Work {
    Append(Job),
    AppendAll(Vec<Append>, Answer<Vec<AppendAnswer>, AppendError>),
    CreateWorkspace(Workspace, Answer<bool>),
    Import(Workspace, WorkspaceContent, Answer<bool>),
    SaveSnapshot(WorkspaceId, StreamName, Snapshot, Answer<()>),
    RegisterTypes(Answer<TypeCompatibility>),
    MatchKeys(Vec<KeyFingerprint>, bool, Answer<Vec<String>>),
    ProbeWrite(Answer<()>),
    KeyDigests(DigestKey, Answer<bool>),
    Lifecycle(lifecycle::LifecycleWork),
}

/// What the refusal of an append means for the others of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Atomicity {
    /// They are stored: they have other callers.
    EachAppend,
    /// They are refused too: one caller wants all or none.
    WholeGroup,
}

/// The queue to the appender.
pub(super) struct Queue {
    sender: mpsc::Sender<Work>,
    closing: CancellationToken,
    task: TaskTracker,
    full_disk: Arc<FullDisk>,
}

/// How long after a write without room no probe is taken for an answer: a probe needs one page, and may find
/// room where an append does not.
const FULL_FOR: Duration = Duration::from_secs(2);

/// Whether the last write found no room.
#[derive(Debug, Default)]
struct FullDisk {
    /// When it found none.
    since: Mutex<Option<Instant>>,
}

impl FullDisk {
    fn set(&self, since: Option<Instant>) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Option<Instant> {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the appender of a database.
pub(super) fn start<W: Writer>(
    writer: W,
    clock: SharedClock,
    observer: Option<Arc<dyn CommitObserver>>,
) -> Queue {
    let (sender, inbox) = mpsc::channel(QUEUE);
    let (closing, task) = (CancellationToken::new(), TaskTracker::new());
    let full_disk = Arc::<FullDisk>::default();
    let appender = Appender {
        full_disk: Arc::clone(&full_disk),
        writer,
        cache: AppendCache::default(),
        unconfirmed: HashMap::new(),
        clock,
        observer,
    };
    task.spawn(appender.run(inbox, closing.clone()));
    task.close();
    Queue {
        sender,
        closing,
        task,
        full_disk,
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("it is shutting down".to_owned())
}

impl Queue {
    /// A queue that refuses everything, for a store that is only read.
    pub(super) fn closed() -> Self {
        let (closing, task) = (CancellationToken::new(), TaskTracker::new());
        closing.cancel();
        task.close();
        Self {
            sender: mpsc::channel(1).0,
            closing,
            task,
            full_disk: Arc::default(),
        }
    }

    /// Stores events; returns after the commit.
    pub(super) async fn append(&self, append: Append) -> Result<AppendAnswer, AppendError> {
        let started = Instant::now();
        let (answer, answered) = oneshot::channel();
        self.send(Work::Append(Job { append, answer })).await?;
        let result = answered.await.map_err(|_| stopped())?;
        metrics::histogram!("foldline_append_seconds").record(started.elapsed());
        result
    }

    /// Stores the events of several appends, all or none; returns after the commit.
    pub(super) async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<AppendAnswer>, AppendError> {
        let started = Instant::now();
        let (answer, answered) = oneshot::channel();
        self.send(Work::AppendAll(appends, answer)).await?;
        let result = answered.await.map_err(|_| stopped())?;
        metrics::histogram!("foldline_append_seconds").record(started.elapsed());
        result
    }

    pub(super) async fn create_workspace(&self, workspace: Workspace) -> Result<bool, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::CreateWorkspace(workspace, answer)).await?;
        answered.await.map_err(|_| stopped())?
    }

    pub(super) async fn import_workspace(
        &self,
        workspace: Workspace,
        content: WorkspaceContent,
    ) -> Result<bool, StoreError> {
        self.ask(|answer| Work::Import(workspace, content, answer)).await
    }

    pub(super) async fn save_snapshot(
        &self,
        workspace: WorkspaceId,
        stream: StreamName,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::SaveSnapshot(workspace, stream, snapshot, answer))
            .await?;
        answered.await.map_err(|_| stopped())?
    }

    pub(super) async fn register_types(&self) -> Result<TypeCompatibility, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::RegisterTypes(answer)).await?;
        answered.await.map_err(|_| stopped())?
    }

    /// Gives one batch of digests of earlier versions their key; `false`: there are none left.
    pub(super) async fn key_digests(&self, key: DigestKey) -> Result<bool, StoreError> {
        self.ask(|answer| Work::KeyDigests(key, answer)).await
    }

    pub(super) async fn match_keys(
        &self,
        keys: Vec<KeyFingerprint>,
        replace: bool,
    ) -> Result<Vec<String>, StoreError> {
        self.ask(|answer| Work::MatchKeys(keys, replace, answer)).await
    }

    /// An error if the store takes no writes, as far as the last one has shown. If that found no room,
    /// another write finds out whether there is some now.
    pub(super) async fn ensure_writable(&self) -> Result<(), StoreError> {
        self.ensure_open()?;
        match self.full_disk.since() {
            None => {}
            Some(since) if since.elapsed() < FULL_FOR => {
                return Err(StoreError::Full("the last write found none".to_owned()));
            }
            Some(_) => self.ask(Work::ProbeWrite).await?,
        }
        Ok(())
    }

    /// An error if the queue takes no appends any more.
    pub(super) fn ensure_open(&self) -> Result<(), StoreError> {
        if self.closing.is_cancelled() || self.sender.is_closed() {
            Err(stopped())
        } else {
            Ok(())
        }
    }

    /// Refuses new work, and waits until the work that was taken is done.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.wait().await;
    }

    /// Sends work to the appender, and waits for its answer.
    async fn ask<T>(&self, work: impl FnOnce(Answer<T>) -> Work) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(work(answer)).await?;
        answered.await.map_err(|_| stopped())?
    }

    async fn send(&self, work: Work) -> Result<(), StoreError> {
        self.ensure_open()?;
        self.sender.send(work).await.map_err(|_| stopped())
    }
}

struct Appender<W> {
    writer: W,
    cache: AppendCache,
    /// Partitions that a commit may have advanced without the observer being notified, because its answer was
    /// lost or because another server made it; with the head up to which the observer was notified.
    unconfirmed: HashMap<(WorkspaceId, u32), u64>,
    clock: SharedClock,
    observer: Option<Arc<dyn CommitObserver>>,
    full_disk: Arc<FullDisk>,
}

impl<W: Writer> Appender<W> {
    async fn run(mut self, mut inbox: mpsc::Receiver<Work>, closing: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                () = closing.cancelled(), if !inbox.is_closed() => {
                    // what has been taken is still in the inbox
                    inbox.close();
                    continue;
                }
                work = inbox.recv() => work,
                () = tokio::time::sleep(RECHECK_INTERVAL), if !self.unconfirmed.is_empty() => {
                    self.notify_missed().await;
                    continue;
                }
            };
            let Some(first) = first else { break };
            let (mut group, mut bytes) = (Vec::new(), 0);
            let mut next = Some(first);
            while let Some(work) = next.take() {
                match work {
                    Work::Append(job) => {
                        bytes += size(&job.append);
                        group.push(job);
                    }
                    other => self.handle(other).await,
                }
                if group.len() < GROUP_APPENDS && bytes < GROUP_BYTES {
                    next = inbox.try_recv().ok();
                }
            }
            if !group.is_empty() {
                self.append_group(group).await;
            }
        }
        self.writer.close().await;
    }

    /// Commits a group and answers its appends.
    async fn append_group(&mut self, group: Vec<Job>) {
        metrics::histogram!("foldline_append_group_size")
            .record(u32::try_from(group.len()).unwrap_or(u32::MAX));
        let appends: Vec<_> = group.iter().map(|job| &job.append).collect();
        let failure = match self.commit(&appends, Atomicity::EachAppend).await {
            Ok(results) => {
                for (job, result) in group.into_iter().zip(results) {
                    // a caller may have gone away; its events are stored all the same
                    let _ = job.answer.send(result);
                }
                return;
            }
            Err(failure) => failure,
        };
        tracing::warn!(error = %failure.error, appends = group.len(), "a group of appends was not stored");
        if group.len() > 1 && matches!(failure.cause, Cause::StaleCache | Cause::OneAppend) {
            for job in group {
                Box::pin(self.append_group(vec![job])).await;
            }
            return;
        }
        for job in group {
            let _ = job.answer.send(Err(failure.error.clone().into()));
        }
    }

    /// Commits the appends of one caller, all or none.
    async fn append_all(&mut self, appends: &[Append]) -> Result<Vec<AppendAnswer>, AppendError> {
        metrics::histogram!("foldline_append_group_size")
            .record(u32::try_from(appends.len()).unwrap_or(u32::MAX));
        let appends: Vec<_> = appends.iter().collect();
        match self.commit(&appends, Atomicity::WholeGroup).await {
            Ok(results) => results.into_iter().collect(),
            Err(failure) => {
                tracing::warn!(
                    error = %failure.error, appends = appends.len(), "appends of one caller were not stored"
                );
                Err(failure.error.into())
            }
        }
    }

    /// One transaction, and the result of each append.
    async fn commit(
        &mut self,
        appends: &[&Append],
        atomicity: Atomicity,
    ) -> Result<Vec<Result<AppendAnswer, AppendError>>, Failure> {
        let mut mode = LookUpMode::Cached;
        let mut attempts = 1..MAX_COMMIT_ATTEMPTS;
        loop {
            match self.try_commit(appends, atomicity, mode).await {
                Ok((results, validated)) => {
                    if !validated.is_empty() {
                        self.full_disk.set(None);
                    }
                    self.notify_missed().await;
                    self.notify(validated);
                    return Ok(results);
                }
                Err(failure) => {
                    self.roll_back().await;
                    let again = matches!(failure.cause, Cause::StaleCache | Cause::ConnectionLost);
                    if !again || attempts.next().is_none() {
                        self.note_failure(&failure.error);
                        return Err(failure);
                    }
                    metrics::counter!("foldline_append_overtaken_total").increment(1);
                    mode = LookUpMode::Complete;
                }
            }
        }
    }

    async fn try_commit(
        &mut self,
        appends: &[&Append],
        atomicity: Atomicity,
        mode: LookUpMode,
    ) -> Result<(Vec<Result<AppendAnswer, AppendError>>, ValidatedGroup), Failure> {
        self.cache.begin_group();
        for event in appends
            .iter()
            .flat_map(|append| &append.streams)
            .flat_map(|stream| &stream.events)
        {
            self.register_type(&event.event_type, event.schema_version)
                .await?;
        }
        self.writer.look_up(&mut self.cache, appends, mode).await?;
        let mut validator = GroupValidator::new(&mut self.cache, &*self.clock, W::SHARED);
        let mut results = Vec::with_capacity(appends.len());
        let mut refused = false;
        for append in appends {
            let result = validator.validate(append);
            if let Err(AppendError::Store(error)) = result {
                return Err(Failure {
                    error,
                    cause: Cause::OneAppend,
                });
            }
            refused |= result.is_err();
            results.push(result);
        }
        let validated = validator.finish();
        // an append is not refused because of a state that may be out of date
        if W::SHARED && refused && mode == LookUpMode::Cached {
            return Err(Failure {
                error: StoreError::Unavailable("other servers are appending".to_owned()),
                cause: Cause::StaleCache,
            });
        }
        if refused && atomicity == Atomicity::WholeGroup {
            // the cache has what the accepted ones of the group would have changed
            self.roll_back().await;
            return Ok((results, ValidatedGroup::default()));
        }
        if validated.is_empty() {
            if mode == LookUpMode::Complete {
                self.writer.roll_back().await;
            }
        } else if let Err(failure) = self.writer.write(&validated).await {
            for update in &validated.partitions {
                self.unconfirmed
                    .entry((update.workspace, update.partition))
                    .or_insert(update.before);
            }
            return Err(failure);
        }
        Ok((results, validated))
    }

    /// Notifies the observer of stored events that it has missed.
    async fn notify_missed(&mut self) {
        for ((workspace, partition), notified) in std::mem::take(&mut self.unconfirmed) {
            if let Err((notified, error)) = self.notify_from(workspace, partition, notified).await {
                tracing::warn!(%error, "a commit whose answer was lost cannot be looked up yet");
                self.unconfirmed.insert((workspace, partition), notified);
            }
        }
    }

    async fn notify_from(
        &mut self,
        workspace: WorkspaceId,
        partition: u32,
        mut notified: u64,
    ) -> Result<(), (u64, StoreError)> {
        loop {
            let page = self.writer.read(workspace, partition, notified, PAGE).await;
            let events = page.map_err(|error| (notified, error))?;
            let Some(last) = events.last() else { return Ok(()) };
            notified = last.position;
            self.notify_observer(events);
        }
    }

    /// Notifies the observer of a committed group, partition by partition.
    fn notify(&self, validated: ValidatedGroup) {
        let mut events: Vec<StoredEvent> = Vec::new();
        let same_partition =
            |a: &StoredEvent, b: &StoredEvent| (a.workspace, a.partition) == (b.workspace, b.partition);
        for row in validated.events {
            if events
                .last()
                .is_some_and(|last| !same_partition(last, &row.event))
            {
                self.notify_observer(std::mem::take(&mut events));
            }
            events.push(row.event);
        }
        self.notify_observer(events);
    }

    fn notify_observer(&self, events: Vec<StoredEvent>) {
        let Some(observer) = self.observer.as_ref().filter(|_| !events.is_empty()) else {
            return;
        };
        // An observer that panics must not end the appender; the relay delivers what it missed.
        if catch_unwind(AssertUnwindSafe(|| observer.committed(events.into()))).is_err() {
            tracing::error!("the observer of commits panicked; the relay will deliver what it missed");
        }
    }

    async fn handle(&mut self, work: Work) {
        match work {
            Work::Append(job) => Box::pin(self.append_group(vec![job])).await,
            Work::AppendAll(appends, answer) => {
                let result = self.append_all(&appends).await;
                // the caller may have gone away; its events are stored all the same
                let _ = answer.send(result);
            }
            Work::CreateWorkspace(workspace, answer) => {
                let now = self.clock.now();
                let result = self.writer.create_workspace(&workspace, now).await;
                self.reply(answer, result).await;
            }
            Work::Import(workspace, content, answer) => {
                let result = self.import(&workspace, content).await;
                self.reply(answer, result).await;
            }
            Work::SaveSnapshot(workspace, stream, snapshot, answer) => {
                let result = self.writer.save_snapshot(workspace, &stream, &snapshot).await;
                self.reply(answer, result).await;
            }
            Work::Lifecycle(work) => self.lifecycle(work).await,
            Work::RegisterTypes(answer) => {
                let result = self.register_domain_types().await;
                self.reply(answer, result).await;
            }
            Work::MatchKeys(keys, replace, answer) => {
                let result = self.writer.match_keys(&keys, replace).await;
                self.reply(answer, result).await;
            }
            Work::ProbeWrite(answer) => {
                let result = self.writer.probe_write().await;
                if result.is_ok() {
                    self.full_disk.set(None);
                }
                self.reply(answer, result).await;
            }
            Work::KeyDigests(key, answer) => {
                let result = self.writer.key_digests(&key).await;
                self.reply(answer, result).await;
            }
        }
    }

    /// Imports a workspace, and notifies the observer of its events as of a commit.
    async fn import(&mut self, workspace: &Workspace, content: WorkspaceContent) -> Result<bool, StoreError> {
        let clock = Arc::clone(&self.clock);
        // Its streams take numbers that the cache has set aside for others on SQLite.
        self.cache.forget_stream_numbers();
        let imported = self.writer.import(workspace, content, clock).await?;
        if imported {
            let partitions = (0..workspace.shards).map(|partition| (workspace.id, partition));
            self.unconfirmed
                .extend(partitions.map(|partition| (partition, 0)));
            self.notify_missed().await;
        }
        Ok(imported)
    }

    /// Rolls back, and clears the cache, which may be wrong after a failure. Where several servers write,
    /// every write compares it with the database, so it need not be cleared.
    async fn roll_back(&mut self) {
        self.writer.roll_back().await;
        if !W::SHARED {
            self.cache.clear();
        }
    }

    fn note_failure(&self, error: &StoreError) {
        if matches!(error, StoreError::Full(_)) {
            self.full_disk.set(Some(Instant::now()));
        }
    }

    /// Sends an answer.
    async fn reply<T>(&mut self, answer: Answer<T>, result: Result<T, StoreError>) {
        if let Err(error) = &result {
            self.note_failure(error);
            self.roll_back().await;
        }
        // the caller may have gone away
        let _ = answer.send(result);
    }

    async fn register_type(&mut self, name: &str, schema_version: u32) -> Result<(), StoreError> {
        if self.cache.type_no(name, schema_version).is_none() {
            let (no, _) = self.writer.register_type(name, schema_version, None).await?;
            self.cache.note_type(name, schema_version, no);
        }
        Ok(())
    }

    /// Implements [`EventStore::register_types`](super::EventStore::register_types).
    async fn register_domain_types(&mut self) -> Result<TypeCompatibility, StoreError> {
        let mut changed = Vec::new();
        for current in DomainEvent::schemas() {
            let (name, version) = (current.event_type.as_str(), current.version);
            let text = current.schema.to_string();
            let (no, kept) = self.writer.register_type(name, version, Some(&text)).await?;
            if self.cache.type_no(name, version).is_none() {
                self.cache.note_type(name, version, no);
            }
            let kept = kept
                .map(|kept| schema((name.to_owned(), i64::from(version), kept)))
                .transpose()?;
            if kept.is_some_and(|kept| !same_meaning(&kept.schema, &current.schema)) {
                changed.push(format!("{name} version {version}"));
            }
        }
        Ok(TypeCompatibility {
            unreadable: unreadable(self.writer.stored_types().await?)?,
            changed,
        })
    }
}

/// The approximate size of an append in bytes.
fn size(append: &Append) -> usize {
    let payloads = append
        .streams
        .iter()
        .flat_map(|stream| &stream.events)
        .map(|event| event.payload.get().len() + 256);
    payloads.sum::<usize>() + 256
}
