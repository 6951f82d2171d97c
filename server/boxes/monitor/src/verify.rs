//! Verifies a workspace: recomputes the hash chain, folds every view again from the first event, and
//! compares. A fold is a pure function, so a view that differs from its fold is wrong.
//!
//! A view that is behind the log is compared as of its own position: unfolded events are not a fault as long
//! as it advances. If it does not advance, its position is a finding; otherwise a view that has lost its
//! documents and its checkpoints would look correct. A running server knows what its lanes have folded
//! ([`verify_running`]); over files, the verification waits and watches ([`verify`]).
//!
//! Its memory does not grow with the log. The log is read page by page; documents, and the versions of
//! streams, are in memory up to a limit and beyond that in a temporary database (`scratch`).
//!
//! | module | content |
//! |---|---|
//! | `answers` | the stored answers of commands, against their events |
//! | `type_blocks` | the listed blocks of types, against the events |
//! | `snapshots` | the snapshots of aggregates, folded again, and the list of streams |
//! | `stored_view` | the stored documents, copied from one snapshot |
//! | `log` | the log: read, checked, decoded and folded at the same time |
//! | `fold` | the fold of each view |
//! | `stream_versions` | the versions of streams, for the check of the log |
//! | `findings` | the comparison of stored and folded documents |
//! | `scratch` | the temporary database |

mod answers;
mod findings;
mod fold;
mod log;
mod scratch;
mod snapshots;
mod stored_view;
mod stream_versions;
#[cfg(test)]
mod tests;
mod type_blocks;

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use domain::{
    token::ConsistencyToken,
    view::{self, AnyView, DocumentError},
    wire::{ProjectionStatus, VerifyReport},
};
use tokio::{task::spawn_blocking, time::Instant};

use self::{
    answers::CommandRuns,
    findings::Findings,
    fold::{ViewFold, finish},
    log::check_and_fold,
    scratch::Scratch,
    snapshots::{compare_snapshots, compare_streams},
    stored_view::StoredView,
};
use documents::{DocumentStore, DocumentStoreError};
use event_store::{EventStore, StoreError, Workspace};
use projection::Projections;

/// The most findings of a report.
const MAX_FINDINGS: usize = 100;

/// How long a view that is behind the log may not move before that is a finding, if no server reports what
/// its lanes do.
const STALL_LIMIT: Duration = Duration::from_secs(5);

/// How often its position is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How much is in memory at a time.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Events, documents or entries of a page.
    page: u32,
    /// Documents of each view, between two pages.
    documents: usize,
    /// Streams with their versions, between two pages.
    streams: usize,
}

/// The views that have only as many documents are folded in memory, as most are.
const LIMITS: Limits = Limits {
    page: 500,
    documents: 4_096,
    streams: 16_384,
};

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
    /// The temporary database failed.
    #[error("the verifier cannot use a temporary database, which is in the folder that TMPDIR names: {0}")]
    Scratch(#[from] sqlx::Error),
    /// The process ends.
    #[error("the verification was interrupted")]
    Interrupted,
}

impl VerifyError {
    /// Whether something that is stored cannot be read, as opposed to a database that does not answer.
    fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Corrupt(_))
                | Self::ReadModel(DocumentStoreError::Corrupt(_))
                | Self::Document(_)
        )
    }

    /// Whether a database does not answer, so that the next workspace cannot be verified either.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Unavailable(_)) | Self::ReadModel(DocumentStoreError::Unavailable(_))
        )
    }
}

/// Verifies a workspace in files or a database, even if a server uses them. A view that is behind the log and
/// does not move meanwhile is a finding.
pub async fn verify(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    workspace: &Workspace,
) -> Result<VerifyReport, VerifyError> {
    verify_views(store, read_model, workspace, view::all()).await
}

/// The same with these views, among them those that people of the workspace have defined.
pub async fn verify_views(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    workspace: &Workspace,
    views: &[&'static dyn AnyView],
) -> Result<VerifyReport, VerifyError> {
    let head = store.head(workspace.id).await?;
    let (mut report, moments) = compare(store, read_model, (workspace, views), LIMITS).await?;
    let behind = stalled_partitions(read_model, workspace, &head, &moments).await?;
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
    let views = projections.progress().views_in(workspace.id);
    let (mut report, moments) = compare(store, read_model, (workspace, &views), LIMITS).await?;
    report.findings.extend(lost_views(workspace, &folded, &moments));
    let now = projections.status(workspace.id).await?;
    report.findings.extend(now.iter().flat_map(stopped_lanes));
    report.findings.truncate(MAX_FINDINGS);
    Ok(report)
}

/// A view, and its token when it was read.
type ReadPosition = (&'static dyn AnyView, ConsistencyToken);

/// The views that are behind what their lanes have folded.
fn lost_views(workspace: &Workspace, folded: &[ProjectionStatus], moments: &[ReadPosition]) -> Vec<String> {
    let mut findings = Vec::new();
    for status in folded {
        let read = moments
            .iter()
            .find(|(view, _)| view.name_in(workspace.id) == status.view);
        if let Some((_, as_of)) = read
            && !as_of.covers(&status.as_of)
        {
            findings.push(format!(
                "{}: it was folded as far as {}, and is as of {as_of} now",
                status.view, status.as_of
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
    moments: &[ReadPosition],
) -> Result<Vec<String>, VerifyError> {
    let mut behind: Vec<(&'static dyn AnyView, u32, u64)> = Vec::new();
    for (view, as_of) in moments {
        let view = *view;
        let lanes = head
            .iter()
            .map(|(partition, _)| (view, partition, as_of.position(partition)));
        behind.extend(lanes.filter(|(_, partition, position)| *position < head.position(*partition)));
    }
    let until = Instant::now() + STALL_LIMIT;
    while !behind.is_empty() && Instant::now() < until {
        tokio::time::sleep(POLL_INTERVAL).await;
        for (view, _) in moments {
            if behind.iter().any(|(of, ..)| of.name() == view.name()) {
                // No document has this key; the answer contains the view's token.
                let as_of = match read_model.document(workspace.id, view.name(), "").await {
                    // Damage since it was copied: the next verification finds it.
                    Err(DocumentStoreError::Corrupt(_)) => continue,
                    read => read?.as_of,
                };
                behind.retain(|(of, partition, position)| {
                    of.name() != view.name() || as_of.position(*partition) == *position
                });
            }
        }
    }
    let finding = |(view, partition, position): (&'static dyn AnyView, u32, u64)| {
        let (view, head) = (view.name_in(workspace.id), head.position(partition));
        format!("{view}: partition {partition} is folded as far as {position} of {head}, and does not move")
    };
    Ok(behind.into_iter().map(finding).collect())
}

/// Checks the log and compares each view as of the token at which it was read. Returns those tokens too.
/// Damage is a finding, and hides nothing else as far as possible.
async fn compare(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    (workspace, compared): (&Workspace, &[&'static dyn AnyView]),
    limits: Limits,
) -> Result<(VerifyReport, Vec<ReadPosition>), VerifyError> {
    let mut scratch = Scratch::open().await?;
    // Before the log is read: it then has every event that they have folded.
    let mut views = Vec::new();
    for view in compared {
        let copied = StoredView::copy(read_model, workspace.id, *view, limits.page, &mut scratch);
        views.push(copied.await?);
    }
    let views: Arc<[StoredView]> = views.into();
    let mut findings = Findings::default();
    let mut runs = CommandRuns::open().await?;
    let mut read = ReadLog::default();
    let folded = fold_log(
        store,
        (workspace, limits),
        &views,
        (&mut scratch, &mut runs, &mut findings, &mut read),
    )
    .await;
    let is_whole = folded.is_ok();
    findings.note_damage("the log", folded)?;
    let compared = compare_streams(store, workspace, limits.page, &mut findings).await;
    findings.note_damage("the list of streams", compared)?;
    let (mut documents, mut moments) = (0, Vec::with_capacity(views.len()));
    if is_whole {
        let compared = runs
            .compare(store, workspace.id, (&read.to, limits.page), &mut findings)
            .await;
        findings.note_damage("the list of answered commands", compared)?;
    }
    let compared = compare_snapshots(store, workspace.id, limits.page, &mut findings).await;
    findings.note_damage("the list of snapshots", compared)?;
    for stored in views.iter() {
        documents += stored.documents;
        if is_whole {
            stored.compare_checkpoints(&read.to, &mut findings);
            findings.compare(stored, &mut scratch).await?;
        }
        if stored.damage.is_none() {
            moments.push((stored.view, stored.as_of.clone()));
        }
    }
    scratch.close().await?;
    let report = VerifyReport {
        events: read.events,
        documents,
        findings: findings.into_vec(),
        differences: Vec::new(),
    };
    Ok((report, moments))
}

/// The same for the views of the program.
#[cfg(test)]
async fn compare_views(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    workspace: &Workspace,
    limits: Limits,
) -> Result<(VerifyReport, Vec<ReadPosition>), VerifyError> {
    compare(store, read_model, (workspace, view::all()), limits).await
}

/// How much of a log was read.
#[derive(Debug, Default)]
struct ReadLog {
    events: u64,
    to: ConsistencyToken,
}

/// Checks the log and folds all of it.
async fn fold_log(
    store: &dyn EventStore,
    (workspace, limits): (&Workspace, Limits),
    views: &Arc<[StoredView]>,
    (scratch, runs, findings, read): (&mut Scratch, &mut CommandRuns, &mut Findings, &mut ReadLog),
) -> Result<(), VerifyError> {
    let mut folds: Vec<_> = views.iter().map(|stored| ViewFold::new(stored.view)).collect();
    for partition in 0..workspace.shards {
        let (folded, checked, last) = check_and_fold(
            store,
            (workspace, partition),
            views,
            folds,
            limits,
            (&mut *scratch, &mut *runs, &mut *findings),
        )
        .await?;
        folds = folded;
        read.events += checked;
        read.to.advance(partition, last);
    }
    finish(folds, scratch).await
}

/// Computes on a thread that may block. A panic of a view goes on to the caller.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, VerifyError> {
    match spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => Err(VerifyError::Interrupted),
    }
}
