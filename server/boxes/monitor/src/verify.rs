//! Verifies a workspace: computes the hash chain again, folds every view again from the first event, and compares. A fold
//! is a pure function, so a view that differs from its fold is wrong.
//!
//! A view that is behind the log is compared as of where it is: what it has not folded yet is no fault of it, as long as it
//! goes on. Otherwise it is a finding how far it is: a view that has lost its documents and its checkpoints lacks nothing as
//! of there. A running server knows what its lanes have folded ([`verify_running`]); over files that is seen by waiting
//! ([`verify`]).

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use domain::{
    event::StoredEvent,
    token::ConsistencyToken,
    view::{self, AnyView, DocumentError, Folding},
    wire::{ProjectionStatus, VerifyReport},
};
use serde_json::Value;
use tokio::time::Instant;

use super::chain::{ChainCheck, replay};
use documents::{DocumentStore, DocumentStoreError, Everything, ListedDocument, Moment};
use event_store::{EventStore, StoreError, Workspace};
use projection::Projections;

/// The most findings of a report: whoever has so many needs no more.
const MAX_FINDINGS: usize = 100;

/// How long a view that is behind the log may stand still before that is a finding, where no server says what its lanes do.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether it has moved.
const LOOK: Duration = Duration::from_millis(100);

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The views could not be read.
    #[error(transparent)]
    ReadModel(#[from] DocumentStoreError),
    /// A document could not be folded.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// Verifies a workspace in files or a database, also while a server uses them. A view that is behind the log and does not move
/// while it is waited for is a finding.
pub async fn verify(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    workspace: &Workspace,
) -> Result<VerifyReport, VerifyError> {
    let head = store.head(workspace.id).await?;
    let (mut report, moments) = compared(store, read_model, workspace).await?;
    let behind = standing_still(read_model, workspace, &head, moments).await?;
    report.findings.extend(behind);
    report.findings.truncate(MAX_FINDINGS);
    Ok(report)
}

/// Verifies a workspace of a running server. A view that has lost what its lanes have folded is a finding, and so is one whose
/// lanes have stopped. A view that is folded at this moment, or held in the lab, is only behind.
pub async fn verify_running(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    projections: &Projections,
    workspace: &Workspace,
) -> Result<VerifyReport, VerifyError> {
    // Before the views are read: what is folded by now must be in them.
    let folded = projections.status(workspace.id).await?;
    let (mut report, moments) = compared(store, read_model, workspace).await?;
    report.findings.extend(lost(&folded, &moments));
    let now = projections.status(workspace.id).await?;
    report.findings.extend(now.iter().flat_map(stopped));
    report.findings.truncate(MAX_FINDINGS);
    Ok(report)
}

/// Where a view was when it was read.
type ReadAt = (&'static str, ConsistencyToken);

/// Views that are not as far as their lanes have brought them.
fn lost(folded: &[ProjectionStatus], moments: &[ReadAt]) -> Vec<String> {
    let mut findings = Vec::new();
    for status in folded {
        let read = moments.iter().find(|(view, _)| *view == status.view);
        if let Some((view, as_of)) = read
            && !as_of.covers(&status.as_of)
        {
            findings.push(format!(
                "{view}: it was folded as far as {}, and is as of {as_of} now",
                status.as_of
            ));
        }
    }
    findings
}

/// The lanes that have stopped of a view that is behind, and how far it is.
fn stopped(status: &ProjectionStatus) -> Vec<String> {
    let lanes = status
        .failing
        .iter()
        .filter(|lane| lane.stopped && status.behind > 0);
    lanes
        .map(|lane| {
            format!(
                "{}: the lane of partition {} has stopped, and the view is {} events behind the log: {}",
                status.view, lane.partition, status.behind, lane.reason
            )
        })
        .collect()
}

/// Partitions of views that are behind `head` and do not move.
async fn standing_still(
    read_model: &dyn DocumentStore,
    workspace: &Workspace,
    head: &ConsistencyToken,
    moments: Vec<ReadAt>,
) -> Result<Vec<String>, VerifyError> {
    let mut behind: Vec<(&'static str, u32, u64)> = Vec::new();
    for (view, as_of) in moments {
        let lanes = head
            .iter()
            .map(|(partition, _)| (view, partition, as_of.position(partition)));
        behind.extend(lanes.filter(|(_, partition, position)| *position < head.position(*partition)));
    }
    let until = Instant::now() + PATIENCE;
    while !behind.is_empty() && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        for view in view::all() {
            if behind.iter().any(|(of, ..)| *of == view.name()) {
                // No document has this key; where the view is comes with the answer.
                let as_of = read_model.document(workspace.id, view.name(), "").await?.as_of;
                behind.retain(|(of, partition, position)| {
                    *of != view.name() || as_of.position(*partition) == *position
                });
            }
        }
    }
    let said = |(view, partition, position): (&str, u32, u64)| {
        let head = head.position(partition);
        format!("{view}: partition {partition} is folded as far as {position} of {head}, and does not move")
    };
    Ok(behind.into_iter().map(said).collect())
}

/// Computes and compares: each view as of the moment it was read, which is said besides.
async fn compared(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    workspace: &Workspace,
) -> Result<(VerifyReport, Vec<ReadAt>), VerifyError> {
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
    let mut moments = Vec::with_capacity(refolds.len());
    for refold in refolds {
        report.documents += refold.live.value.len() as u64;
        moments.push((refold.view.name(), refold.live.as_of.clone()));
        refold.compare(&mut report.findings)?;
    }
    Ok((report, moments))
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
