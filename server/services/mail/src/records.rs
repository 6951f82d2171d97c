//! The records of the email service in the process store: one JSON document under each key.

use std::sync::Arc;

use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    Scope,
};
use domain::id::WorkspaceId;
use serde::{Serialize, de::DeserializeOwned};

use super::NAME;

/// Reads and changes records.
#[derive(Debug, Clone)]
pub(super) struct Records(Arc<dyn DocumentStore>);

impl Records {
    /// The records in a process store.
    pub(super) fn new(process_store: Arc<dyn DocumentStore>) -> Self {
        Self(process_store)
    }

    /// The record under a key.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        workspace: WorkspaceId,
        key: &str,
    ) -> Result<Option<T>, DocumentStoreError> {
        let read = self.0.document(workspace, NAME, key).await?;
        read.value.map(|document| parsed(document.data.get())).transpose()
    }

    /// Changes the record under a key in one transaction; `None` leaves it as it is. `change` may be called
    /// again.
    pub(super) async fn change<T: Serialize + DeserializeOwned>(
        &self,
        workspace: WorkspaceId,
        key: &str,
        change: &mut (dyn FnMut(Option<T>) -> Option<T> + Send),
    ) -> Result<(), DocumentStoreError> {
        let scope = Scope {
            workspace,
            view: NAME,
            generation: FIRST_GENERATION,
        };
        let fault = |reason: String| FoldFault { position: 0, reason };
        let mut fold = |loaded: FoldInput| {
            let before = loaded
                .documents
                .first()
                .map(|document| parsed(document.data.get()));
            let before = before.transpose().map_err(|error| fault(error.to_string()))?;
            let Some(after) = change(before) else {
                return Ok(FoldOutput::default());
            };
            let data = serde_json::value::to_raw_value(&after).map_err(|error| fault(error.to_string()))?;
            Ok(FoldOutput {
                writes: vec![DocumentWrite {
                    key: key.to_owned(),
                    data: Some(data.into()),
                    owner: None,
                    removed_entries: Vec::new(),
                    added_entries: Vec::new(),
                }],
                ..FoldOutput::default()
            })
        };
        self.0.amend(&scope, &[key.to_owned()], &mut fold).await
    }
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, DocumentStoreError> {
    serde_json::from_str(text)
        .map_err(|error| DocumentStoreError::Corrupt(format!("a note of a mail: {error}")))
}
