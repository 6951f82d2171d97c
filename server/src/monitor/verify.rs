//! Verifies a workspace: computes the hash chain again, folds every view again from the first event, and compares. A fold
//! is a pure function, so a view that differs from its fold is wrong.

use std::collections::{BTreeMap, HashSet};

use domain::{
    event::StoredEvent,
    view::{self, AnyView, DocumentError, Folding},
    wire::VerifyReport,
};
use serde_json::Value;

use super::chain::{ChainCheck, replay};
use documents::{Everything, ListedDocument, Moment, ReadModel, ReadModelError};
use event_store::{EventStore, StoreError, Workspace};

/// The most findings of a report: whoever has so many needs no more.
const MAX_FINDINGS: usize = 100;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The views could not be read.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
    /// A document could not be folded.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// Verifies a workspace, also while it is in use: each view is compared as of the moment it was read.
pub async fn verify(
    store: &dyn EventStore,
    read_model: &dyn ReadModel,
    workspace: &Workspace,
) -> Result<VerifyReport, VerifyError> {
    let mut refolds = Vec::new();
    for view in view::all() {
        refolds.push(Refold::new(
            *view,
            read_model.everything(workspace.id, view.name()).await?,
        ));
    }
    let mut report = VerifyReport {
        events: 0,
        documents: 0,
        findings: Vec::new(),
    };
    for partition in 0..workspace.shards {
        let mut chain = ChainCheck::new(workspace.shards, partition);
        let mut failed = None;
        replay(store, workspace, partition, |events| {
            for event in events {
                chain.check(event);
                if failed.is_none() {
                    failed = fold(&mut refolds, event, &mut report.findings).err();
                }
            }
        })
        .await?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        report.events += chain.events;
        report.findings.append(&mut chain.findings);
    }
    for refold in refolds {
        report.documents += refold.live.value.len() as u64;
        refold.compare(&mut report.findings)?;
    }
    report.findings.truncate(MAX_FINDINGS);
    Ok(report)
}

fn fold(
    refolds: &mut [Refold],
    event: &StoredEvent,
    findings: &mut Vec<String>,
) -> Result<(), DocumentError> {
    let event = match event.decode() {
        Ok(event) => event,
        Err(error) => {
            findings.push(format!(
                "{} {} cannot be folded: {error}",
                event.event_type, event.event_id
            ));
            return Ok(());
        }
    };
    for refold in refolds {
        // What came after the view was read is not its fault.
        if event.position > refold.live.as_of.position(event.partition) {
            continue;
        }
        // What it could not apply is not in it, and is said once.
        if refold.passed.contains(&(event.partition, event.position)) {
            continue;
        }
        for key in refold.view.keys(&event) {
            let folding = match refold.folded.entry(key) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let folding = refold.view.load(entry.key(), None)?;
                    entry.insert(folding)
                }
            };
            folding.fold(&event);
        }
    }
    Ok(())
}

/// One view: as it is, and as it must be.
struct Refold {
    view: &'static dyn AnyView,
    live: Moment<Vec<ListedDocument>>,
    passed: HashSet<(u32, u64)>,
    folded: BTreeMap<String, Box<dyn Folding>>,
}

impl Refold {
    fn new(view: &'static dyn AnyView, live: Moment<Everything>) -> Self {
        let Moment {
            value: Everything { documents, passed },
            as_of,
            generation,
        } = live;
        Self {
            view,
            live: Moment {
                value: documents,
                as_of,
                generation,
            },
            passed: passed.into_iter().collect(),
            folded: BTreeMap::new(),
        }
    }

    fn compare(mut self, findings: &mut Vec<String>) -> Result<(), DocumentError> {
        let view = self.view.name();
        if !self.passed.is_empty() {
            findings.push(format!(
                "{view}: {} events are dead letters, wait behind one, or were discarded",
                self.passed.len()
            ));
        }
        for ListedDocument { document, places } in self.live.value {
            let folding = self.folded.remove(&document.key);
            let expected = match &folding {
                Some(folding) => folding.document()?,
                None => None,
            };
            let Some(expected) = expected else {
                findings.push(format!(
                    "{view}: {} is there, and no event makes it",
                    document.key
                ));
                continue;
            };
            if parsed(expected.get()) != parsed(document.data.get()) {
                findings.push(format!("{view}: {} differs from its fold", document.key));
            }
            if folding.is_some_and(|folding| places_of(&*folding) != places) {
                findings.push(format!("{view}: {} is not listed where it belongs", document.key));
            }
        }
        for (key, folding) in self.folded {
            if folding.document()?.is_some() {
                findings.push(format!("{view}: {key} is missing"));
            }
        }
        Ok(())
    }
}

/// The order of fields does not matter.
fn parsed(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok()
}

fn places_of(folding: &dyn Folding) -> Vec<(String, String, String)> {
    let mut places: Vec<_> = folding
        .listings()
        .into_iter()
        .map(|entry| (entry.listing.to_owned(), entry.group, entry.sort))
        .collect();
    places.sort();
    // A view may name a place twice, as for a tag that is given twice; the read model has it once.
    places.dedup();
    places
}
