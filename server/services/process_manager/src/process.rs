//! Reads and amends a process's document after commands were sent and timers were scheduled or expired.

use std::sync::Arc;

use database::url::StoreUrl;
use documents::{DocumentStore, DocumentStoreError, DocumentWrite, FoldFault, FoldInput, FoldOutput, Scope};
use domain::{
    policy::{AnyPolicy, Process},
    view::AnyView,
};
use projection::handler::EventHandler;
use serde_json::value::RawValue;

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
        let is = after.listings();
        let data = serde_json::value::to_raw_value(&after)
            .map_err(|error| fault(DocumentStoreError::Corrupt(error.to_string())))?;
        amended = Some(after);
        if data.get() == document.data.get() {
            return Ok(FoldOutput::default());
        }
        Ok(FoldOutput {
            writes: vec![DocumentWrite {
                key: key.to_owned(),
                data: Some(data.into()),
                owner: None,
                removed_entries: was.iter().filter(|entry| !is.contains(entry)).cloned().collect(),
                added_entries: is.iter().filter(|entry| !was.contains(entry)).cloned().collect(),
            }],
            parked: Vec::new(),
        })
    };
    process_store.amend(scope, &[key.to_owned()], &mut fold).await?;
    Ok(amended)
}
