//! A process's document, read and amended: commands that were sent, timers that were scheduled or have run out.

use std::sync::Arc;

use database::url::StoreUrl;
use documents::{DocumentWrite, Effect, FoldFault, Loaded, ReadModel, ReadModelError, Scope};
use domain::policy::Process;
use serde_json::value::RawValue;

/// The schema of the processes' tables in a PostgreSQL.
const SCHEMA: &str = "foldline_processes";

/// Opens the store of processes that a URL names.
pub async fn open(url: &StoreUrl) -> Result<Arc<dyn ReadModel>, ReadModelError> {
    documents::open(url, SCHEMA).await
}

/// Reads a document.
pub(super) fn parsed(json: &RawValue) -> Result<Process, ReadModelError> {
    serde_json::from_str(json.get()).map_err(|error| ReadModelError::Corrupt(format!("a process: {error}")))
}

/// Changes a process in one transaction; one that is gone is left alone. `change` may be called again.
pub(super) async fn amend(
    processes: &dyn ReadModel,
    scope: &Scope,
    key: &str,
    change: &(dyn Fn(&RawValue, Process) -> Result<Process, ReadModelError> + Sync),
) -> Result<(), ReadModelError> {
    let mut fold = |loaded: Loaded| {
        let Some(document) = loaded.documents.first() else {
            return Ok(Effect::default());
        };
        let fault = |error: ReadModelError| FoldFault {
            position: 0,
            reason: error.to_string(),
        };
        let before = parsed(&document.data).map_err(fault)?;
        let was = before.listings();
        let after = change(&document.data, before).map_err(fault)?;
        let is = after.listings();
        let data = serde_json::value::to_raw_value(&after)
            .map_err(|error| fault(ReadModelError::Corrupt(error.to_string())))?;
        Ok(Effect {
            writes: vec![DocumentWrite {
                key: key.to_owned(),
                data: Some(data.into()),
                owner: None,
                left: was.iter().filter(|entry| !is.contains(entry)).cloned().collect(),
                entered: is.iter().filter(|entry| !was.contains(entry)).cloned().collect(),
            }],
            parked: Vec::new(),
        })
    };
    processes.amend(scope, &[key.to_owned()], &mut fold).await
}
