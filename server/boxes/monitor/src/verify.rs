//! Verifies a workspace: recomputes the hash chain, folds every view again from the first event, and
//! compares. A fold is a pure function, so a view that differs from its fold is wrong.
//!
//! A view that is behind the log is compared as of its own position: unfolded events are not a fault as long
//! as it advances. If it does not advance, its position is a finding; otherwise a view that has lost its
//! documents and its checkpoints would look correct. A running server knows what its lanes have folded
//! ([`verify_running`]); over files, the verification waits and watches ([`verify`]).

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use domain::{
    event::StoredEvent,
    token::ConsistencyToken,
    view::{self, AnyView, DocumentError, FoldTarget},
    wire::{ProjectionStatus, VerifyReport},
};
use serde_json::Value;
use tokio::time::Instant;

use super::chain::{ChainCheck, replay};
use documents::{DocumentStore, DocumentStoreError, ListedDocument, Moment, ViewContents};
use event_store::{EventStore, StoreError, Workspace};
use projection::Projections;

/// The most findings of a report.
const MAX_FINDINGS: usize = 100;

/// How long a view that is behind the log may not move before that is a finding, if no server reports what
/// its lanes do.
const STALL_LIMIT: Duration = Duration::from_secs(5);

/// How often its position is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Why a verification failed.
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

/// Verifies a workspace in files or a database, even if a server uses them. A view that is behind the log and
/// does not move meanwhile is a finding.
pub async fn verify(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    workspace: &Workspace,
) -> Result<VerifyReport, VerifyError> {
    let head = store.head(workspace.id).await?;
    let (mut report, moments) = compare_views(store, read_model, workspace).await?;
    let behind = stalled_partitions(read_model, workspace, &head, moments).await?;
    report.findings.extend(behind);
    report.findings.truncate(MAX_FINDINGS);
    Ok(report)
}

/// Verifies a workspace of a running server. A view that has lost what its lanes have folded is a finding,
/// and so is one whose lanes have stopped. A view that is catching up or paused is only behind.
pub async fn verify_running(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    projections: &Projections,
    workspace: &Workspace,
) -> Result<VerifyReport, VerifyError> {
    // Read before the views: they must contain what is folded by now.
    let folded = projections.status(workspace.id).await?;
    let (mut report, moments) = compare_views(store, read_model, workspace).await?;
    report.findings.extend(lost_views(&folded, &moments));
    let now = projections.status(workspace.id).await?;
    report.findings.extend(now.iter().flat_map(stopped_lanes));
    report.findings.truncate(MAX_FINDINGS);
    Ok(report)
}

/// The token of a view when it was read.
type ReadPosition = (&'static str, ConsistencyToken);

/// The views that are behind what their lanes have folded.
fn lost_views(folded: &[ProjectionStatus], moments: &[ReadPosition]) -> Vec<String> {
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

/// The stopped lanes of a view that is behind, and how far it is.
fn stopped_lanes(status: &ProjectionStatus) -> Vec<String> {
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

/// The partitions of views that are behind `head` and do not move.
async fn stalled_partitions(
    read_model: &dyn DocumentStore,
    workspace: &Workspace,
    head: &ConsistencyToken,
    moments: Vec<ReadPosition>,
) -> Result<Vec<String>, VerifyError> {
    let mut behind: Vec<(&'static str, u32, u64)> = Vec::new();
    for (view, as_of) in moments {
        let lanes = head
            .iter()
            .map(|(partition, _)| (view, partition, as_of.position(partition)));
        behind.extend(lanes.filter(|(_, partition, position)| *position < head.position(*partition)));
    }
    let until = Instant::now() + STALL_LIMIT;
    while !behind.is_empty() && Instant::now() < until {
        tokio::time::sleep(POLL_INTERVAL).await;
        for view in view::all() {
            if behind.iter().any(|(of, ..)| *of == view.name()) {
                // No document has this key; the answer contains the view's token.
                let as_of = read_model.document(workspace.id, view.name(), "").await?.as_of;
                behind.retain(|(of, partition, position)| {
                    *of != view.name() || as_of.position(*partition) == *position
                });
            }
        }
    }
    let finding = |(view, partition, position): (&str, u32, u64)| {
        let head = head.position(partition);
        format!("{view}: partition {partition} is folded as far as {position} of {head}, and does not move")
    };
    Ok(behind.into_iter().map(finding).collect())
}

/// Checks the log and compares each view as of the token at which it was read. Returns those tokens too.
async fn compare_views(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    workspace: &Workspace,
) -> Result<(VerifyReport, Vec<ReadPosition>), VerifyError> {
    let mut checks = Vec::new();
    for view in view::all() {
        checks.push(ViewCheck::new(
            *view,
            read_model.contents(workspace.id, view.name()).await?,
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
                    failed = fold(&mut checks, event, &mut report.findings).err();
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
    let mut moments = Vec::with_capacity(checks.len());
    for check in checks {
        report.documents += check.live.value.len() as u64;
        moments.push((check.view.name(), check.live.as_of.clone()));
        check.compare(&mut report.findings)?;
    }
    Ok((report, moments))
}

fn fold(
    checks: &mut [ViewCheck],
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
    for check in checks {
        // The view does not contain events after its token.
        if event.position > check.live.as_of.position(event.partition) {
            continue;
        }
        // The view does not contain events that it could not apply; they are one finding.
        if check.passed.contains(&(event.partition, event.position)) {
            continue;
        }
        for key in check.view.keys(&event) {
            let folding = match check.folded.entry(key) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let folding = check.view.load(entry.key(), None)?;
                    entry.insert(folding)
                }
            };
            folding.fold(&event);
        }
    }
    Ok(())
}

/// The comparison of one view with its fold.
struct ViewCheck {
    view: &'static dyn AnyView,
    live: Moment<Vec<ListedDocument>>,
    passed: HashSet<(u32, u64)>,
    folded: BTreeMap<String, Box<dyn FoldTarget>>,
}

impl ViewCheck {
    fn new(view: &'static dyn AnyView, live: Moment<ViewContents>) -> Self {
        let Moment {
            value: ViewContents { documents, passed },
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

/// Parses JSON, because the order of fields does not matter.
fn parsed(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok()
}

fn places_of(folding: &dyn FoldTarget) -> Vec<(String, String, String)> {
    let mut places: Vec<_> = folding
        .listings()
        .into_iter()
        .map(|entry| (entry.listing.to_owned(), entry.group, entry.sort))
        .collect();
    places.sort();
    // A view may list a document twice in one group, as for a repeated tag; the read model has it once.
    places.dedup();
    places
}
