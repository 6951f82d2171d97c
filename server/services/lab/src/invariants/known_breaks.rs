//! What the cures of a workspace have counted as known, stored beside its dials: the log keeps an oversold
//! stock for ever, and its light shows what has happened since. Also whether views are still to be compared,
//! because harm was found in them that is not cured yet.

use std::{collections::BTreeMap, sync::Arc};

use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    Scope, StoredDocument,
};
use domain::{id::WorkspaceId, token::ConsistencyToken, wire::Invariant};
use serde::{Deserialize, Serialize};

/// The view name in the process store.
const VIEW: &str = "lab_invariants";

/// The key of the document of a workspace.
const KEY: &str = "known";

/// What a cure has counted as known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Acknowledged {
    /// The breaks of events up to here.
    pub(super) to: ConsistencyToken,
    /// How often it was cured: each time, the breaks of events that are not in the log are known too.
    pub(super) times: u64,
}

/// The document of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Known {
    /// By invariant.
    #[serde(default)]
    pub(super) acknowledged: BTreeMap<Invariant, Acknowledged>,
    /// Whether a view was wrong when it was last compared.
    #[serde(default)]
    pub(super) has_wrong_views: bool,
}

/// Reads and changes the document of a workspace.
#[derive(Debug)]
pub(super) struct KnownBreaks {
    process_store: Arc<dyn DocumentStore>,
    workspace: WorkspaceId,
}

impl KnownBreaks {
    /// The document in this process store.
    pub(super) fn new(process_store: Arc<dyn DocumentStore>, workspace: WorkspaceId) -> Self {
        Self {
            process_store,
            workspace,
        }
    }

    /// What is known.
    pub(super) async fn read(&self) -> Result<Known, DocumentStoreError> {
        let read = self.process_store.document(self.workspace, VIEW, KEY).await?;
        parsed(read.value.as_ref())
    }

    /// Counts the breaks of an invariant as known, of events as far as `to`.
    pub(super) async fn acknowledge(
        &self,
        invariant: Invariant,
        to: &ConsistencyToken,
    ) -> Result<(), DocumentStoreError> {
        self.change(&|known: &mut Known| {
            let acknowledged = known.acknowledged.entry(invariant).or_default();
            for (partition, position) in to.iter() {
                acknowledged.to.advance(partition, position);
            }
            acknowledged.times += 1;
        })
        .await
    }

    /// Notes whether a view is wrong.
    pub(super) async fn note_wrong_views(&self, has_wrong_views: bool) -> Result<(), DocumentStoreError> {
        self.change(&|known: &mut Known| known.has_wrong_views = has_wrong_views)
            .await
    }

    async fn change(&self, change: &(dyn Fn(&mut Known) + Send + Sync)) -> Result<(), DocumentStoreError> {
        let mut fold = |loaded: FoldInput| {
            let mut known = parsed(loaded.documents.first()).map_err(fault)?;
            change(&mut known);
            let data = serde_json::value::to_raw_value(&known).map_err(|error| fault(unreadable(&error)))?;
            Ok(FoldOutput {
                writes: vec![DocumentWrite {
                    key: KEY.to_owned(),
                    data: Some(data.into()),
                    owner: None,
                    removed_entries: Vec::new(),
                    added_entries: Vec::new(),
                }],
                ..FoldOutput::default()
            })
        };
        let scope = Scope {
            workspace: self.workspace,
            view: VIEW,
            generation: FIRST_GENERATION,
        };
        self.process_store
            .amend(&scope, &[KEY.to_owned()], &mut fold)
            .await
    }
}

fn parsed(document: Option<&StoredDocument>) -> Result<Known, DocumentStoreError> {
    let parsed = document.map(|document| serde_json::from_str(document.data.get()));
    Ok(parsed
        .transpose()
        .map_err(|error| unreadable(&error))?
        .unwrap_or_default())
}

fn unreadable(error: &serde_json::Error) -> DocumentStoreError {
    DocumentStoreError::Corrupt(format!("what is known of invariants: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn fault(error: DocumentStoreError) -> FoldFault {
    FoldFault {
        position: 0,
        reason: error.to_string(),
    }
}
