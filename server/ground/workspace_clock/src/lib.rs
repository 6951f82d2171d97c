//! The clock of each workspace: the machine's time, or ahead of it if the clock was put forward.
//!
//! A clock that was put forward stays so, also after a restart, so that a timer never fires later than
//! announced. It is never put back.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use clock::SharedClock;
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldOutput, Scope,
};
use domain::{id::WorkspaceId, timestamp::Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// The view name of the clocks in the process store.
const VIEW: &str = "clocks";
const KEY: &str = "clock";

#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredClock {
    ahead_ms: u64,
}

/// The clocks of all workspaces.
#[derive(Debug)]
pub struct Clocks {
    machine: SharedClock,
    process_store: Arc<dyn DocumentStore>,
    cache: RwLock<HashMap<WorkspaceId, u64>>,
    put_forward: Notify,
}

impl Clocks {
    /// Clocks on top of the machine's; their offsets are stored in `process_store`.
    pub fn new(machine: SharedClock, process_store: Arc<dyn DocumentStore>) -> Self {
        Self {
            machine,
            process_store,
            cache: RwLock::default(),
            put_forward: Notify::new(),
        }
    }

    /// How far a workspace's clock is ahead of the machine's, in milliseconds.
    pub async fn ahead_ms(&self, workspace: WorkspaceId) -> Result<u64, DocumentStoreError> {
        let cached = self
            .cache
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&workspace)
            .copied();
        if let Some(ahead_ms) = cached {
            return Ok(ahead_ms);
        }
        let read = self.process_store.document(workspace, VIEW, KEY).await?;
        let stored = read
            .value
            .map(|document| parsed(document.data.get()))
            .transpose()?;
        let ahead_ms = stored.unwrap_or_default().ahead_ms;
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        // It may have been put forward since it was read.
        Ok(*cache.entry(workspace).or_insert(ahead_ms))
    }

    /// The current time of a workspace.
    pub async fn now(&self, workspace: WorkspaceId) -> Result<Timestamp, DocumentStoreError> {
        let ahead_ms = i64::try_from(self.ahead_ms(workspace).await?).unwrap_or(i64::MAX);
        let micros = self.machine.now().as_micros();
        Ok(Timestamp::from_micros(
            micros.saturating_add(ahead_ms.saturating_mul(1_000)),
        ))
    }

    /// Puts a workspace's clock forward, which fires the timers that are due by then. Returns how far it is
    /// ahead now.
    pub async fn put_forward(&self, workspace: WorkspaceId, by_ms: u64) -> Result<u64, DocumentStoreError> {
        self.advance(workspace, &|ahead_ms| ahead_ms.saturating_add(by_ms))
            .await
    }

    /// Puts a workspace's clock forward to a time, unless it has passed that; the timers that are due by then
    /// fire. Returns how far it is ahead now.
    pub async fn put_forward_to(
        &self,
        workspace: WorkspaceId,
        to: Timestamp,
    ) -> Result<u64, DocumentStoreError> {
        let micros = to.as_micros().saturating_sub(self.machine.now().as_micros());
        let wanted_ms = u64::try_from(micros).unwrap_or(0).div_ceil(1_000);
        self.advance(workspace, &|ahead_ms| ahead_ms.max(wanted_ms)).await
    }

    /// Removes a workspace that has ended from memory.
    pub fn end(&self, workspace: WorkspaceId) {
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.remove(&workspace);
    }

    async fn advance(
        &self,
        workspace: WorkspaceId,
        further: &(dyn Fn(u64) -> u64 + Sync),
    ) -> Result<u64, DocumentStoreError> {
        let scope = Scope {
            workspace,
            view: VIEW,
            generation: FIRST_GENERATION,
        };
        let mut ahead_ms = 0;
        let mut fold = |loaded: documents::FoldInput| {
            let unreadable = |reason: String| FoldFault { position: 0, reason };
            let stored = loaded
                .documents
                .first()
                .map(|document| parsed(document.data.get()));
            let stored = stored
                .transpose()
                .map_err(|error| unreadable(error.to_string()))?;
            ahead_ms = further(stored.unwrap_or_default().ahead_ms);
            let data = serde_json::value::to_raw_value(&StoredClock { ahead_ms })
                .map_err(|error| unreadable(error.to_string()))?;
            Ok(FoldOutput {
                writes: vec![DocumentWrite {
                    key: KEY.to_owned(),
                    data: Some(data.into()),
                    owner: None,
                    removed_entries: Vec::new(),
                    added_entries: Vec::new(),
                }],
                parked: Vec::new(),
            })
        };
        self.process_store
            .amend(&scope, &[KEY.to_owned()], &mut fold)
            .await?;
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        let newest = cache.entry(workspace).or_insert(0);
        *newest = (*newest).max(ahead_ms);
        drop(cache);
        self.put_forward.notify_waiters();
        Ok(ahead_ms)
    }

    /// Completes when a clock is put forward after the call.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.put_forward.notified()
    }
}

fn parsed(text: &str) -> Result<StoredClock, DocumentStoreError> {
    serde_json::from_str(text).map_err(|error| DocumentStoreError::Corrupt(format!("a clock: {error}")))
}
