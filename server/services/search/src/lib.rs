//! The search indexer: finds products, orders and customers by words, also by similar ones.
//!
//! A consumer with an index in this server's data folder. It folds the documents of the views by the views'
//! own folds ([`job_fold`]), and writes them together with the processed positions in one commit
//! ([`writer`]). The index follows from the log: a lost one is created again. A search waits for a token like
//! a view, and rights are part of the query ([`find`]).
//!
//! Tests over the whole pipeline: `server/src/consumers/tests/search.rs`.

mod commit_batch;
mod entry;
mod facets;
pub mod find;
mod index;
mod index_writer;
mod job_fold;
#[cfg(test)]
mod tests;
mod tokens;
mod words;
mod writer;

use std::{fmt, path::Path, sync::Arc, sync::Mutex, sync::PoisonError, thread::JoinHandle};

use async_trait::async_trait;
use domain::{access::Actor, event::TypedEvent, id::WorkspaceId, wire::hops::Arrow};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, oneshot},
};
use uuid::Uuid;

use consumer::{CheckpointStorage, Consumer, EffectError, EventHandler, LaneArrows, LogHistory, Work};
use documents::Opener;
pub use find::{SearchRequest, SearchResult};
use index::Files;
pub use index::SearchError;
use writer::{Job, Writer};

/// The name of its lanes.
pub const NAME: &str = "search";

/// The most jobs that wait for the writer.
const QUEUE_SIZE: usize = 256;

/// The most concurrent searches: they need CPU time, and there are few cores.
const MAX_RUNNING_SEARCHES: usize = 4;

/// The index, its writer thread, and searches.
pub struct Search {
    files: Arc<Files>,
    /// Taken when it closes.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    opener: Arc<dyn Opener>,
    permits: Semaphore,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search")
            .field("id", &self.files.id)
            .finish_non_exhaustive()
    }
}

impl Search {
    /// Opens the index in a folder, or creates it with this `id`. Must be called in a runtime.
    pub fn open(folder: &Path, id: Uuid, opener: Arc<dyn Opener>) -> Result<Self, SearchError> {
        let (files, writer) = Files::open(folder, id)?;
        let files = Arc::new(files);
        let (jobs, queue) = mpsc::channel(QUEUE_SIZE);
        let writer = Writer::new(files.clone(), writer, opener.clone(), Handle::current());
        let thread = std::thread::Builder::new()
            .name("search-index".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|source| SearchError::File {
                path: folder.to_owned(),
                source,
            })?;
        Ok(Self {
            files,
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
            opener,
            permits: Semaphore::new(MAX_RUNNING_SEARCHES),
        })
    }

    /// Finds documents that the actor may see, with personal fields unsealed.
    pub async fn find(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        request: SearchRequest,
    ) -> Result<SearchResult, SearchError> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        let (files, actor) = (self.files.clone(), actor.clone());
        let found = tokio::task::spawn_blocking(move || find::find(&files, workspace, &actor, &request));
        let mut found = found.await.map_err(|_| SearchError::Stopped)??;
        for hit in &mut found.hits {
            hit.data = self.opener.open_json(workspace, hit.data.clone()).await?;
        }
        Ok(found)
    }

    async fn run_job(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<(), EffectError>>) -> Job,
    ) -> Result<(), EffectError> {
        let stopped = || EffectError::Unavailable(SearchError::Stopped.to_string());
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (answer, answered) = oneshot::channel();
        let jobs = jobs.ok_or_else(stopped)?;
        jobs.send(job(answer)).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

#[async_trait]
impl EventHandler for Search {
    fn name(&self) -> &'static str {
        NAME
    }

    fn arrows(&self) -> LaneArrows {
        LaneArrows {
            delivery: &[Arrow::SearchIndexer],
            history: &[],
            write: &[Arrow::SearchIndex],
        }
    }

    fn writes(&self, event: &TypedEvent) -> bool {
        entry::views().any(|(_, view)| !view.keys(event).is_empty())
    }

    /// The index is this server's alone: its documents of the workspace are indexed again.
    async fn begin_again(
        &self,
        workspace: WorkspaceId,
        _history: &mut LogHistory<'_>,
    ) -> Result<(), EffectError> {
        self.forget(workspace).await
    }

    async fn perform(&self, work: &Work) -> Result<(), EffectError> {
        self.run_job(|answer| Job::Index(work.clone(), answer)).await
    }
}

#[async_trait]
impl Consumer for Search {
    fn checkpoint_storage(&self) -> CheckpointStorage {
        CheckpointStorage::Output(self.files.id)
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, EffectError> {
        self.files
            .workspaces()
            .map_err(|error| EffectError::Unavailable(error.to_string()))
    }

    async fn forget(&self, workspace: WorkspaceId) -> Result<(), EffectError> {
        self.run_job(|answer| Job::Forget(workspace, answer)).await
    }

    async fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the writer of the search index has panicked");
            }
        }
    }
}
