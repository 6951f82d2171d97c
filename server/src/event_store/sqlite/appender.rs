//! The appender: the one task that writes. It takes what is waiting, judges it in memory, writes it in one transaction,
//! and answers after the commit.
//!
//! When a transaction fails, nothing of it is stored: everything known is forgotten, and each append of the group is
//! tried again alone, so that one bad append cannot fail its neighbours. No caller is ever left waiting: if this task
//! ends, for whatever reason, the answers that are still out fail.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
};
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    directory,
    judge::{Judge, Judged},
    known::Known,
    open::{Lock, Writer},
    write,
};
use crate::{
    clock::SharedClock,
    event_store::{Append, AppendError, Appended, CommitObserver, Snapshot, StoreError, Workspace},
};

/// Appends that wait; whoever comes later waits to be let in.
const QUEUE: usize = 4096;

/// The most appends of one transaction, and about the most bytes: a commit of a few milliseconds.
const GROUP_APPENDS: usize = 512;
const GROUP_BYTES: usize = 4 << 20;

type Answer<T, E = StoreError> = oneshot::Sender<Result<T, E>>;

struct Job {
    append: Append,
    answer: Answer<Appended, AppendError>,
}

enum Work {
    Append(Job),
    CreateWorkspace(Workspace, Answer<bool>),
    SaveSnapshot(WorkspaceId, StreamName, Snapshot, Answer<()>),
    RegisterTypes(Answer<Vec<String>>),
}

/// The way to the appender.
pub(super) struct Queue {
    sender: mpsc::Sender<Work>,
    closing: CancellationToken,
    task: TaskTracker,
}

/// Starts the appender of a file.
pub(super) fn start(
    writer: Writer,
    lock: Lock,
    clock: SharedClock,
    observer: Option<Arc<dyn CommitObserver>>,
) -> Queue {
    let (sender, inbox) = mpsc::channel(QUEUE);
    let (closing, task) = (CancellationToken::new(), TaskTracker::new());
    let appender = Appender {
        writer,
        connection: None,
        known: Known::default(),
        clock,
        observer,
        _lock: lock,
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

    pub(super) async fn register_types(&self) -> Result<Vec<String>, StoreError> {
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

    async fn send(&self, work: Work) -> Result<(), StoreError> {
        self.is_open()?;
        self.sender.send(work).await.map_err(|_| stopped())
    }
}

/// Why a group was not stored.
struct Failure {
    error: StoreError,
    /// Whether it may lie in one of the appends, so that the others are worth another try.
    may_be_one: bool,
}

impl Failure {
    /// A database that is locked, unreadable or gone is so for every append, and trying each would make the last caller
    /// wait as often as there are appends.
    fn of_write(error: sqlx::Error) -> Self {
        const BUSY: i32 = 5;
        const LOCKED: i32 = 6;
        const READ_ONLY: i32 = 8;
        const IO_ERROR: i32 = 10;
        const CANNOT_OPEN: i32 = 14;
        let code = error
            .as_database_error()
            .and_then(|error| error.code()?.parse::<i32>().ok());
        // the low byte of SQLite's extended result codes is the kind
        let may_be_one = code
            .is_some_and(|code| !matches!(code & 0xff, BUSY | LOCKED | READ_ONLY | IO_ERROR | CANNOT_OPEN));
        Self {
            error: error.into(),
            may_be_one,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        // what cannot be read may be what one append asked for
        let may_be_one = matches!(error, StoreError::Corrupt(_));
        Self { error, may_be_one }
    }
}

struct Appender {
    writer: Writer,
    connection: Option<SqliteConnection>,
    known: Known,
    clock: SharedClock,
    observer: Option<Arc<dyn CommitObserver>>,
    _lock: Lock,
}

impl Appender {
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
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the event store's writing connection did not close cleanly");
        }
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
        if group.len() > 1 && failure.may_be_one {
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
        match self.try_commit(group).await {
            Ok((results, judged)) => {
                self.tell(judged);
                Ok(results)
            }
            Err(failure) => {
                self.forget().await;
                Err(failure)
            }
        }
    }

    async fn try_commit(
        &mut self,
        group: &[Job],
    ) -> Result<(Vec<Result<Appended, AppendError>>, Judged), Failure> {
        let connection = connected(&self.writer, &mut self.connection).await?;
        self.known
            .look_up(connection, group.iter().map(|job| &job.append))
            .await?;
        let mut judge = Judge::new(&mut self.known, self.clock.now());
        let mut results = Vec::with_capacity(group.len());
        for job in group {
            match judge.judge(&job.append) {
                Err(AppendError::Store(error)) => {
                    return Err(Failure {
                        error,
                        may_be_one: true,
                    });
                }
                result => results.push(result),
            }
        }
        let judged = judge.finish();
        if !judged.commands.is_empty() {
            write::transaction(&judged)?
                .run(connection)
                .await
                .map_err(Failure::of_write)?;
        }
        Ok((results, judged))
    }

    /// After a failure only the file knows what is true.
    async fn forget(&mut self) {
        self.known = Known::default();
        if let Some(mut connection) = self.connection.take() {
            // An error of SQLite's own says that there is no transaction left; any other, that the connection is gone.
            match sqlx::query("rollback").execute(&mut connection).await {
                Ok(_) | Err(sqlx::Error::Database(_)) => self.connection = Some(connection),
                Err(error) => tracing::warn!(%error, "the event store's writing connection was lost"),
            }
        }
    }

    /// Tells the observer what has been committed, partition by partition.
    fn tell(&self, judged: Judged) {
        let Some(observer) = &self.observer else { return };
        let mut events: Vec<StoredEvent> = Vec::new();
        let same_partition =
            |a: &StoredEvent, b: &StoredEvent| (a.workspace, a.partition) == (b.workspace, b.partition);
        let mut runs = Vec::new();
        for placed in judged.events {
            if events
                .last()
                .is_some_and(|last| !same_partition(last, &placed.event))
            {
                runs.push(std::mem::take(&mut events));
            }
            events.push(placed.event);
        }
        runs.push(events);
        for run in runs.into_iter().filter(|run| !run.is_empty()) {
            // An observer that panics must not take the appender with it: the relay brings what it missed.
            if catch_unwind(AssertUnwindSafe(|| observer.committed(run.into()))).is_err() {
                tracing::error!("the observer of commits panicked; the relay will bring what it missed");
            }
        }
    }

    async fn other(&mut self, work: Work) {
        let connection = match connected(&self.writer, &mut self.connection).await {
            Ok(connection) => connection,
            Err(error) => return refuse(work, error),
        };
        let failed = match work {
            Work::Append(job) => {
                Box::pin(self.group(vec![job])).await;
                false
            }
            Work::CreateWorkspace(workspace, answer) => {
                reply(answer, directory::create_workspace(connection, &workspace).await)
            }
            Work::SaveSnapshot(workspace, stream, snapshot, answer) => reply(
                answer,
                directory::save_snapshot(connection, workspace, &stream, &snapshot).await,
            ),
            Work::RegisterTypes(answer) => reply(answer, self.known.register_domain_types(connection).await),
        };
        if failed {
            self.forget().await;
        }
    }
}

/// Sends an answer; whether it is a failure.
fn reply<T>(answer: Answer<T>, result: Result<T, StoreError>) -> bool {
    let failed = result.is_err();
    // whoever no longer listens has gone away
    let _ = answer.send(result);
    failed
}

fn refuse(work: Work, error: StoreError) {
    match work {
        Work::Append(job) => drop(job.answer.send(Err(error.into()))),
        Work::CreateWorkspace(_, answer) => drop(answer.send(Err(error))),
        Work::SaveSnapshot(_, _, _, answer) => drop(answer.send(Err(error))),
        Work::RegisterTypes(answer) => drop(answer.send(Err(error))),
    }
}

async fn connected<'a>(
    writer: &Writer,
    connection: &'a mut Option<SqliteConnection>,
) -> Result<&'a mut SqliteConnection, StoreError> {
    let open = match connection.take() {
        Some(open) => open,
        None => writer.connect().await?,
    };
    Ok(connection.insert(open))
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
