//! Reads and amends a process's document after commands were sent and timers were scheduled or expired.

use std::sync::Arc;

use database::url::StoreUrl;
use documents::{
    DeadLetter, DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput,
    FoldOutput, ParkedEvent, ParkedState, Scope, StoredDocument,
};
use domain::{
    id::StreamName,
    policy::{AnyPolicy, FAILED, FailedCommand, Process},
    view::{AnyView, ListingEntry},
};
use projection::{dead_letters::Remedy, handler::EventHandler, refused_commands::RefusedCommands};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The PostgreSQL schema of the process store.
const SCHEMA: &str = "foldline_processes";

/// A process manager: a policy, whose processes are documents that events are folded into.
#[derive(Debug)]
struct ProcessManager(&'static dyn AnyPolicy);

impl EventHandler for ProcessManager {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn documents(&self) -> Option<&'static dyn AnyView> {
        Some(self.0.as_view())
    }

    fn refused_commands(&self) -> Option<&dyn RefusedCommands> {
        Some(self)
    }
}

impl RefusedCommands for ProcessManager {
    fn listing(&self) -> &'static str {
        FAILED
    }

    fn of(&self, document: &StoredDocument) -> Result<Vec<DeadLetter>, DocumentStoreError> {
        let failed = parsed(&document.data)?.failed.into_iter();
        failed.map(|failed| dead_letter(self.0.name(), failed)).collect()
    }

    fn settled(
        &self,
        document: &StoredDocument,
        id: Uuid,
        remedy: Remedy,
    ) -> Result<Option<DocumentWrite>, DocumentStoreError> {
        let mut process = parsed(&document.data)?;
        let was = process.listings();
        if !process.settle(id, remedy == Remedy::Retry) {
            return Ok(None);
        }
        write(&document.key, &was, &process).map(Some)
    }
}

/// A refused command as a dead letter. It is no event: its version is 0, and its position is the time of its
/// refusal in microseconds.
fn dead_letter(policy: &str, failed: FailedCommand) -> Result<DeadLetter, DocumentStoreError> {
    let FailedCommand {
        command,
        reason,
        attempts,
        refused_at,
    } = failed;
    let stream: StreamName = command
        .stream
        .parse()
        .map_err(|error| DocumentStoreError::Corrupt(format!("a refused command: {error}")))?;
    Ok(DeadLetter {
        view: policy.to_owned(),
        generation: FIRST_GENERATION,
        partition: 0,
        event: ParkedEvent {
            position: u64::try_from(refused_at.as_micros()).unwrap_or(0),
            id: command.command_id,
            stream,
            version: 0,
            event_id: command.causation_id,
            event_type: command.command_type,
            correlation_id: command.correlation_id,
            state: ParkedState::Dead { reason, attempts },
            parked_at: refused_at,
        },
        waiting: 0,
    })
}

/// The write of a changed process.
fn write(key: &str, was: &[ListingEntry], process: &Process) -> Result<DocumentWrite, DocumentStoreError> {
    let is = process.listings();
    let data = serde_json::value::to_raw_value(process)
        .map_err(|error| DocumentStoreError::Corrupt(error.to_string()))?;
    Ok(DocumentWrite {
        key: key.to_owned(),
        data: Some(data.into()),
        owner: None,
        removed_entries: was.iter().filter(|entry| !is.contains(entry)).cloned().collect(),
        added_entries: is.iter().filter(|entry| !was.contains(entry)).cloned().collect(),
    })
}

/// The process managers of these policies.
pub fn managers(policies: &'static [&'static dyn AnyPolicy]) -> Vec<Arc<dyn EventHandler>> {
    let manager =
        |policy: &&'static dyn AnyPolicy| Arc::new(ProcessManager(*policy)) as Arc<dyn EventHandler>;
    policies.iter().map(manager).collect()
}

/// Opens the process store that a URL names.
pub async fn open(url: &StoreUrl) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
    documents::open(url, SCHEMA).await
}

/// Opens the process store that a URL names, for reading only.
pub async fn open_to_read(url: &StoreUrl) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
    documents::open_to_read(url, SCHEMA).await
}

/// Whether a server was ever started on the process store of a URL.
pub async fn is_made(url: &StoreUrl) -> Result<bool, DocumentStoreError> {
    documents::is_made(url, SCHEMA).await
}

/// Parses a process's document.
pub fn parsed(json: &RawValue) -> Result<Process, DocumentStoreError> {
    serde_json::from_str(json.get())
        .map_err(|error| DocumentStoreError::Corrupt(format!("a process: {error}")))
}

/// Changes a process in one transaction, unless it does not exist any more; returns it as it is then.
/// `change` may be called again.
pub(crate) async fn amend(
    process_store: &dyn DocumentStore,
    scope: &Scope,
    key: &str,
    change: &(dyn Fn(&RawValue) -> Result<Process, DocumentStoreError> + Sync),
) -> Result<Option<Process>, DocumentStoreError> {
    let mut amended = None;
    let mut fold = |loaded: FoldInput| {
        amended = None;
        let Some(document) = loaded.documents.first() else {
            return Ok(FoldOutput::default());
        };
        let fault = |error: DocumentStoreError| FoldFault {
            position: 0,
            reason: error.to_string(),
        };
        let was = parsed(&document.data).map_err(fault)?.listings();
        let after = change(&document.data).map_err(fault)?;
        let write = write(key, &was, &after).map_err(fault)?;
        amended = Some(after);
        let is_changed = |write: &DocumentWrite| {
            let data = write.data.as_ref();
            data.is_none_or(|data| data.get() != document.data.get())
        };
        Ok(FoldOutput {
            writes: Some(write).filter(is_changed).into_iter().collect(),
            ..FoldOutput::default()
        })
    };
    process_store.amend(scope, &[key.to_owned()], &mut fold).await?;
    Ok(amended)
}
