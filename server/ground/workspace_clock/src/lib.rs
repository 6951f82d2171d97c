//! Time, as each workspace has it: the machine's, or ahead of it by as much as somebody has put it forward.
//!
//! A clock that was put forward stays so, also after a restart: a timer never comes later than it was promised. It is never
//! put back.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use clock::SharedClock;
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, Effect, FIRST_GENERATION, FoldFault, Scope,
};
use domain::{id::WorkspaceId, timestamp::Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// The name under which clocks are kept beside the processes.
const VIEW: &str = "clocks";
const KEY: &str = "clock";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    ahead_ms: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Clocks {
    machine: SharedClock,
    processes: Arc<dyn DocumentStore>,
    known: RwLock<HashMap<WorkspaceId, u64>>,
    put_forward: Notify,
}

impl Clocks {
    /// Over the machine's clock; what was put forward is kept in `processes`.
    pub fn new(machine: SharedClock, processes: Arc<dyn DocumentStore>) -> Self {
        Self {
            machine,
            processes,
            known: RwLock::default(),
            put_forward: Notify::new(),
        }
    }

    /// How far a workspace's clock is ahead of the machine's, in milliseconds.
    pub async fn ahead_ms(&self, workspace: WorkspaceId) -> Result<u64, DocumentStoreError> {
        let known = self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&workspace)
            .copied();
        if let Some(ahead_ms) = known {
            return Ok(ahead_ms);
        }
        let read = self.processes.document(workspace, VIEW, KEY).await?;
        let stored = read
            .value
            .map(|document| parsed(document.data.get()))
            .transpose()?;
        let ahead_ms = stored.unwrap_or_default().ahead_ms;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have put it forward since it was read.
        Ok(*known.entry(workspace).or_insert(ahead_ms))
    }

    /// What time it is in a workspace.
    pub async fn now(&self, workspace: WorkspaceId) -> Result<Timestamp, DocumentStoreError> {
        let ahead_ms = i64::try_from(self.ahead_ms(workspace).await?).unwrap_or(i64::MAX);
        let micros = self.machine.now().as_micros();
        Ok(Timestamp::from_micros(
            micros.saturating_add(ahead_ms.saturating_mul(1_000)),
        ))
    }

    /// Puts a workspace's clock forward; what is due by then is done. Answers how far it is ahead now.
    pub async fn put_forward(&self, workspace: WorkspaceId, by_ms: u64) -> Result<u64, DocumentStoreError> {
        self.advance(workspace, &|ahead_ms| ahead_ms.saturating_add(by_ms))
            .await
    }

    /// Puts a workspace's clock forward to a time, unless it is there already; what is due by then is done. Answers how far
    /// it is ahead now.
    pub async fn put_forward_to(
        &self,
        workspace: WorkspaceId,
        to: Timestamp,
    ) -> Result<u64, DocumentStoreError> {
        let micros = to.as_micros().saturating_sub(self.machine.now().as_micros());
        let wanted_ms = u64::try_from(micros).unwrap_or(0).div_ceil(1_000);
        self.advance(workspace, &|ahead_ms| ahead_ms.max(wanted_ms)).await
    }

    /// A workspace is there no more.
    pub fn end(&self, workspace: WorkspaceId) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.remove(&workspace);
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
        let mut fold = |loaded: documents::Loaded| {
            let unreadable = |reason: String| FoldFault { position: 0, reason };
            let stored = loaded
                .documents
                .first()
                .map(|document| parsed(document.data.get()));
            let stored = stored
                .transpose()
                .map_err(|error| unreadable(error.to_string()))?;
            ahead_ms = further(stored.unwrap_or_default().ahead_ms);
            let data = serde_json::value::to_raw_value(&Stored { ahead_ms })
                .map_err(|error| unreadable(error.to_string()))?;
            Ok(Effect {
                writes: vec![DocumentWrite {
                    key: KEY.to_owned(),
                    data: Some(data.into()),
                    owner: None,
                    left: Vec::new(),
                    entered: Vec::new(),
                }],
                parked: Vec::new(),
            })
        };
        self.processes.amend(&scope, &[KEY.to_owned()], &mut fold).await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let newest = known.entry(workspace).or_insert(0);
        *newest = (*newest).max(ahead_ms);
        drop(known);
        self.put_forward.notify_waiters();
        Ok(ahead_ms)
    }

    /// Wakes when a clock was put forward after the call.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.put_forward.notified()
    }
}

fn parsed(text: &str) -> Result<Stored, DocumentStoreError> {
    serde_json::from_str(text).map_err(|error| DocumentStoreError::Corrupt(format!("a clock: {error}")))
}
