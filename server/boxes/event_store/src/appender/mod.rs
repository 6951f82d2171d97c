//! The appender: the one task of a process that writes. It takes what is waiting, judges it in memory, has it written in
//! one transaction, and answers after the commit.
//!
//! | module | what it holds |
//! |---|---|
//! | `lifecycle` | people, activity and the end of workspaces |
//! | `judge` | one group in memory: versions, heads, hashes, conflicts, repetitions |
//! | `known` | what the judge has to know beforehand |
//! | `writer` | what is asked of the database |
//!
//! When a transaction fails, nothing of it is stored: everything known is forgotten, and each append of the group is
//! tried again alone, so that one bad append cannot fail its neighbours. Where several servers write, a group is first
//! judged by what is remembered; if the database says that others have moved on, or if somebody is to be refused, it is
//! judged again with the partitions locked. No caller is ever left waiting: if this task ends, for whatever reason, the
//! answers that are still out fail.

mod append_cache;
mod group_validator;
mod lifecycle;
mod writer;

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
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
    Append, AppendError, Appended, CommitObserver, Registered, Snapshot, StoreError, Workspace,
    columns::{schema, unreadable},
};
pub(super) use append_cache::{AppendCache, CachedPartition, CachedStream, CachedWorkspace, MissingStream};
use clock::SharedClock;
use group_validator::GroupValidator;
pub(super) use group_validator::{AcceptedCommand, MovedPartition, MovedStream, Placed, ValidatedGroup};
pub(super) use lifecycle::LifecycleWriter;
pub(super) use writer::{Cause, Failure, Knowledge, Writer};

/// Appends that wait; whoever comes later waits to be let in.
const QUEUE: usize = 4096;

/// The most appends of one transaction, and about the most bytes: a commit of a few milliseconds.
const GROUP_APPENDS: usize = 512;
const GROUP_BYTES: usize = 4 << 20;

/// How often a group is judged anew because others were faster, before it fails.
const ATTEMPTS: usize = 4;

/// How long after a failure it is looked whether something was stored all the same, where nobody appends meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Events that are read at a time to tell the observer what it has missed.
const PAGE: u32 = 512;

type Answer<T, E = StoreError> = oneshot::Sender<Result<T, E>>;

struct Job {
    append: Append,
    answer: Answer<Appended, AppendError>,
}

enum Work {
    Append(Job),
    CreateWorkspace(Workspace, Answer<bool>),
    SaveSnapshot(WorkspaceId, StreamName, Snapshot, Answer<()>),
    RegisterTypes(Answer<Registered>),
    Lifecycle(lifecycle::LifecycleWork),
}

/// The way to the appender.
pub(super) struct Queue {
    sender: mpsc::Sender<Work>,
    closing: CancellationToken,
    task: TaskTracker,
}

/// Starts the appender of a database.
pub(super) fn start<W: Writer>(
    writer: W,
    clock: SharedClock,
    observer: Option<Arc<dyn CommitObserver>>,
) -> Queue {
    let (sender, inbox) = mpsc::channel(QUEUE);
    let (closing, task) = (CancellationToken::new(), TaskTracker::new());
    let appender = Appender {
        writer,
        known: AppendCache::default(),
        unsure: HashMap::new(),
        clock,
        observer,
    };
    task.spawn(appender.run(inbox, closing.clone()));
    task.close();
    Queue {
        sender,
        closing,
        task,
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("it is shutting down".to_owned())
}

impl Queue {
    /// A queue that takes nothing: the store is only read.
    pub(super) fn closed() -> Self {
        let (closing, task) = (CancellationToken::new(), TaskTracker::new());
        closing.cancel();
        task.close();
        Self {
            sender: mpsc::channel(1).0,
            closing,
            task,
        }
    }

    /// Stores events; answered after the commit.
    pub(super) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let started = Instant::now();
        let (answer, answered) = oneshot::channel();
        self.send(Work::Append(Job { append, answer })).await?;
        let result = answered.await.map_err(|_| stopped())?;
        metrics::histogram!("foldline_append_seconds").record(started.elapsed());
        result
    }

    pub(super) async fn create_workspace(&self, workspace: Workspace) -> Result<bool, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::CreateWorkspace(workspace, answer)).await?;
        answered.await.map_err(|_| stopped())?
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

    pub(super) async fn register_types(&self) -> Result<Registered, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::RegisterTypes(answer)).await?;
        answered.await.map_err(|_| stopped())?
    }

    /// Whether appends are taken.
    pub(super) fn is_open(&self) -> Result<(), StoreError> {
        if self.closing.is_cancelled() || self.sender.is_closed() {
            Err(stopped())
        } else {
            Ok(())
        }
    }

    /// Takes nothing more, and finishes what has been taken.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.wait().await;
    }

    /// Has something done, and waits for it.
    async fn ask<T>(&self, work: impl FnOnce(Answer<T>) -> Work) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(work(answer)).await?;
        answered.await.map_err(|_| stopped())?
    }

    async fn send(&self, work: Work) -> Result<(), StoreError> {
        self.is_open()?;
        self.sender.send(work).await.map_err(|_| stopped())
    }
}

struct Appender<W> {
    writer: W,
    known: AppendCache,
    /// Partitions that somebody moved without the observer being told, or may have, and the head up to which it was: of a
    /// commit whose answer was lost, or of another server.
    unsure: HashMap<(WorkspaceId, u32), u64>,
    clock: SharedClock,
    observer: Option<Arc<dyn CommitObserver>>,
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
                () = tokio::time::sleep(LOOK_AGAIN), if !self.unsure.is_empty() => {
                    self.tell_missed().await;
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
                    other => self.other(other).await,
                }
                if group.len() < GROUP_APPENDS && bytes < GROUP_BYTES {
                    next = inbox.try_recv().ok();
                }
            }
            if !group.is_empty() {
                self.group(group).await;
            }
        }
        self.writer.close().await;
    }

    async fn group(&mut self, group: Vec<Job>) {
        metrics::histogram!("foldline_append_group_size")
            .record(u32::try_from(group.len()).unwrap_or(u32::MAX));
        let failure = match self.commit(&group).await {
            Ok(results) => {
                for (job, result) in group.into_iter().zip(results) {
                    // whoever no longer listens has gone away; their events are stored all the same
                    let _ = job.answer.send(result);
                }
                return;
            }
            Err(failure) => failure,
        };
        tracing::warn!(error = %failure.error, appends = group.len(), "a group of appends was not stored");
        if group.len() > 1 && matches!(failure.cause, Cause::Overtaken | Cause::OneAppend) {
            for job in group {
                Box::pin(self.group(vec![job])).await;
            }
            return;
        }
        for job in group {
            let _ = job.answer.send(Err(failure.error.clone().into()));
        }
    }

    /// One transaction, and what each append hears of it.
    async fn commit(&mut self, group: &[Job]) -> Result<Vec<Result<Appended, AppendError>>, Failure> {
        let appends: Vec<_> = group.iter().map(|job| &job.append).collect();
        let mut knowledge = Knowledge::Remembered;
        let mut attempts = 1..ATTEMPTS;
        loop {
            match self.try_commit(&appends, knowledge).await {
                Ok((results, judged)) => {
                    self.tell_missed().await;
                    self.tell(judged);
                    return Ok(results);
                }
                Err(failure) => {
                    self.give_up().await;
                    let again = matches!(failure.cause, Cause::Overtaken | Cause::Lost);
                    if !again || attempts.next().is_none() {
                        return Err(failure);
                    }
                    metrics::counter!("foldline_append_overtaken_total").increment(1);
                    knowledge = Knowledge::Certain;
                }
            }
        }
    }

    async fn try_commit(
        &mut self,
        appends: &[&Append],
        knowledge: Knowledge,
    ) -> Result<(Vec<Result<Appended, AppendError>>, ValidatedGroup), Failure> {
        self.known.begin();
        for event in appends
            .iter()
            .flat_map(|append| &append.streams)
            .flat_map(|stream| &stream.events)
        {
            self.register_type(&event.event_type, event.schema_version)
                .await?;
        }
        self.writer.look_up(&mut self.known, appends, knowledge).await?;
        let mut judge = GroupValidator::new(&mut self.known, self.clock.now(), W::SHARED);
        let mut results = Vec::with_capacity(appends.len());
        let mut refused = false;
        for append in appends {
            let result = judge.judge(append);
            if let Err(AppendError::Store(error)) = result {
                return Err(Failure {
                    error,
                    cause: Cause::OneAppend,
                });
            }
            refused |= result.is_err();
            results.push(result);
        }
        let judged = judge.finish();
        // nobody is refused for something that was true a while ago
        if W::SHARED && refused && knowledge == Knowledge::Remembered {
            return Err(Failure {
                error: StoreError::Unavailable("others are appending".to_owned()),
                cause: Cause::Overtaken,
            });
        }
        if judged.commands.is_empty() {
            if knowledge == Knowledge::Certain {
                self.writer.give_up().await;
            }
        } else if let Err(failure) = self.writer.write(&judged).await {
            for moved in &judged.partitions {
                self.unsure
                    .entry((moved.workspace, moved.partition))
                    .or_insert(moved.before);
            }
            return Err(failure);
        }
        Ok((results, judged))
    }

    /// Tells the observer of events that were stored without it being told.
    async fn tell_missed(&mut self) {
        for ((workspace, partition), told) in std::mem::take(&mut self.unsure) {
            if let Err((told, error)) = self.tell_behind(workspace, partition, told).await {
                tracing::warn!(%error, "it is not known yet whether a lost commit was stored");
                self.unsure.insert((workspace, partition), told);
            }
        }
    }

    async fn tell_behind(
        &mut self,
        workspace: WorkspaceId,
        partition: u32,
        mut told: u64,
    ) -> Result<(), (u64, StoreError)> {
        loop {
            let page = self.writer.read(workspace, partition, told, PAGE).await;
            let events = page.map_err(|error| (told, error))?;
            let Some(last) = events.last() else { return Ok(()) };
            told = last.position;
            self.tell_run(events);
        }
    }

    /// Tells the observer what has been committed, partition by partition.
    fn tell(&self, judged: ValidatedGroup) {
        let mut events: Vec<StoredEvent> = Vec::new();
        let same_partition =
            |a: &StoredEvent, b: &StoredEvent| (a.workspace, a.partition) == (b.workspace, b.partition);
        for placed in judged.events {
            if events
                .last()
                .is_some_and(|last| !same_partition(last, &placed.event))
            {
                self.tell_run(std::mem::take(&mut events));
            }
            events.push(placed.event);
        }
        self.tell_run(events);
    }

    fn tell_run(&self, run: Vec<StoredEvent>) {
        let Some(observer) = self.observer.as_ref().filter(|_| !run.is_empty()) else {
            return;
        };
        // An observer that panics must not take the appender with it: the relay brings what it missed.
        if catch_unwind(AssertUnwindSafe(|| observer.committed(run.into()))).is_err() {
            tracing::error!("the observer of commits panicked; the relay will bring what it missed");
        }
    }

    async fn other(&mut self, work: Work) {
        match work {
            Work::Append(job) => Box::pin(self.group(vec![job])).await,
            Work::CreateWorkspace(workspace, answer) => {
                let now = self.clock.now();
                let result = self.writer.create_workspace(&workspace, now).await;
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
        }
    }

    /// After a failure only the database knows what is true. Where others write too, what is remembered is compared with
    /// it at every write anyway.
    async fn give_up(&mut self) {
        self.writer.give_up().await;
        if !W::SHARED {
            self.known.forget();
        }
    }

    /// Sends an answer.
    async fn reply<T>(&mut self, answer: Answer<T>, result: Result<T, StoreError>) {
        if result.is_err() {
            self.give_up().await;
        }
        // whoever no longer listens has gone away
        let _ = answer.send(result);
    }

    async fn register_type(&mut self, name: &str, schema_version: u32) -> Result<(), StoreError> {
        if self.known.type_no(name, schema_version).is_none() {
            let (no, _) = self.writer.register_type(name, schema_version, None).await?;
            self.known.note_type(name, schema_version, no);
        }
        Ok(())
    }

    /// See [`EventStore::register_types`](super::EventStore::register_types).
    async fn register_domain_types(&mut self) -> Result<Registered, StoreError> {
        let mut changed = Vec::new();
        for known in DomainEvent::schemas() {
            let (name, version) = (known.event_type.as_str(), known.version);
            let text = known.schema.to_string();
            let (no, kept) = self.writer.register_type(name, version, Some(&text)).await?;
            if self.known.type_no(name, version).is_none() {
                self.known.note_type(name, version, no);
            }
            let kept = kept
                .map(|kept| schema((name.to_owned(), i64::from(version), kept)))
                .transpose()?;
            if kept.is_some_and(|kept| !same_meaning(&kept.schema, &known.schema)) {
                changed.push(format!("{name} version {version}"));
            }
        }
        Ok(Registered {
            unreadable: unreadable(self.writer.stored_types().await?)?,
            changed,
        })
    }
}

/// About what an append weighs.
fn size(append: &Append) -> usize {
    let payloads = append
        .streams
        .iter()
        .flat_map(|stream| &stream.events)
        .map(|event| event.payload.get().len() + 256);
    payloads.sum::<usize>() + 256
}
