//! What is stored of the bots of a workspace: what they have done, and the lease of the server that has them.

use std::sync::Arc;

use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    Scope, StoredDocument,
};
use domain::{
    id::WorkspaceId,
    timestamp::Timestamp,
    wire::{BotsAnswer, BotsEnd},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The view name of bots in the process store.
const VIEW: &str = "lab_bots";

/// The key of the document of a workspace.
const KEY: &str = "bots";

/// How long a lease holds, in microseconds: several renewals.
const LEASE: i64 = 20 * 1_000_000;

/// The lease of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) workspace: WorkspaceId,
    pub(super) run: Uuid,
    /// Whether it was taken before; the first time it is taken from any other.
    pub(super) has_begun: bool,
}

/// The document of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredBots {
    run: Uuid,
    until: Timestamp,
    answer: BotsAnswer,
}

impl StoredBots {
    /// What they have done, as it is at this time: bots of a server that is gone do not run.
    fn answer(self, now: Timestamp) -> BotsAnswer {
        let mut answer = self.answer;
        if answer.running && self.until <= now {
            answer.running = false;
            answer.ended = Some(BotsEnd::Stopped);
        }
        answer
    }
}

/// The change of a document: the new one; `None`: it stays.
type Change<'a> = dyn FnMut(Option<StoredBots>) -> Option<StoredBots> + Send + 'a;

/// Stores what bots have done.
#[derive(Debug)]
pub(super) struct BotRecords(Arc<dyn DocumentStore>);

impl BotRecords {
    pub(super) fn new(process_store: Arc<dyn DocumentStore>) -> Self {
        Self(process_store)
    }

    /// Takes or renews a lease, with what the bots have done. `false`: another run has it.
    pub(super) async fn renew(
        &self,
        lease: Lease,
        answer: BotsAnswer,
        now: Timestamp,
    ) -> Result<bool, DocumentStoreError> {
        let until = Timestamp::from_micros(now.as_micros().saturating_add(LEASE));
        let mut is_held = false;
        let mut change = |stored: Option<StoredBots>| {
            is_held = !lease.has_begun || stored.is_some_and(|stored| stored.run == lease.run);
            is_held.then(|| StoredBots {
                run: lease.run,
                until,
                answer: answer.clone(),
            })
        };
        self.amend(lease.workspace, &mut change).await?;
        Ok(is_held)
    }

    /// What the bots of a workspace have done, and the run that has the lease.
    pub(super) async fn read(
        &self,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<(Option<Uuid>, BotsAnswer), DocumentStoreError> {
        let read = self.0.document(workspace, VIEW, KEY).await?;
        let stored = read.value.as_ref().map(parsed).transpose()?;
        Ok(stored
            .map(|stored| (Some(stored.run), stored.answer(now)))
            .unwrap_or_default())
    }

    /// Ends the bots of a workspace: their server notices that the lease is no longer theirs.
    pub(super) async fn stop(
        &self,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<BotsAnswer, DocumentStoreError> {
        let mut answer = BotsAnswer::default();
        let mut change = |stored: Option<StoredBots>| {
            let stored = stored?;
            let was_running = stored.answer.running;
            answer = stored.answer(now);
            answer.running = false;
            if was_running {
                answer.ended = Some(BotsEnd::Stopped);
            }
            Some(StoredBots {
                run: Uuid::nil(),
                until: now,
                answer: answer.clone(),
            })
        };
        self.amend(workspace, &mut change).await?;
        Ok(answer)
    }

    /// Changes the document in one transaction.
    async fn amend(&self, workspace: WorkspaceId, change: &mut Change<'_>) -> Result<(), DocumentStoreError> {
        let mut fold = |loaded: FoldInput| {
            let stored = loaded.documents.first().map(parsed).transpose().map_err(fault)?;
            let writes = match change(stored) {
                Some(next) => vec![write(&next).map_err(fault)?],
                None => Vec::new(),
            };
            Ok(FoldOutput {
                writes,
                ..FoldOutput::default()
            })
        };
        let scope = Scope {
            workspace,
            view: VIEW,
            generation: FIRST_GENERATION,
        };
        self.0.amend(&scope, &[KEY.to_owned()], &mut fold).await
    }
}

fn write(bots: &StoredBots) -> Result<DocumentWrite, DocumentStoreError> {
    let raw = serde_json::value::to_raw_value(bots).map_err(|error| unreadable(&error))?;
    Ok(DocumentWrite {
        key: KEY.to_owned(),
        data: Some(raw.into()),
        owner: None,
        removed_entries: Vec::new(),
        added_entries: Vec::new(),
    })
}

fn parsed(document: &StoredDocument) -> Result<StoredBots, DocumentStoreError> {
    serde_json::from_str(document.data.get()).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> DocumentStoreError {
    DocumentStoreError::Corrupt(format!("the bots of a workspace: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn fault(error: DocumentStoreError) -> FoldFault {
    FoldFault {
        position: 0,
        reason: error.to_string(),
    }
}
