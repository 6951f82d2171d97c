//! The monitor at the terminal: `foldline streams` and `foldline verify`, on the files of a data folder, even
//! if a server has them open.

use std::io::{self, Write};

use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    visible_text::one_line,
    wire::VerifyReport,
};

use super::{
    checkpoint::CheckpointError,
    verify::{VerifyError, verify_views},
};
use documents::{DocumentStore, DocumentStoreError};
use event_store::{AuditedWorkspace, Direction, EventStore, StoreError, Workspace};
use projection::{dead_letters::DeadLetterError, progress::Progress, rebuild::RebuildError};

/// Rows that are read at a time.
const PAGE: u32 = 500;

/// Why a subcommand of the monitor failed.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// There is no such workspace.
    #[error("there is no workspace {0}; `foldline streams` without one lists them")]
    UnknownWorkspace(WorkspaceId),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something could not be verified.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The read model could not be read.
    #[error(transparent)]
    ReadModel(#[from] DocumentStoreError),
    /// A view could not be rebuilt.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The terminal is gone.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// The verification has findings, which have been written.
    #[error("the verification has {0} findings")]
    FindingsReported(usize),
    /// The log does not contain checkpoints that were signed, which has been written.
    #[error("the log does not contain {0} of the histories that were signed")]
    HistoryDiffers(usize),
    /// A file of checkpoints says nothing about the log.
    #[error("{0}")]
    BadCheckpoints(String),
    /// Some workspaces could not be verified, which has been written.
    #[error("{0} workspaces could not be verified")]
    NotVerified(usize),
    /// Some workspaces could not be exported, and are left out.
    #[error("{0} workspaces cannot be exported, and are left out")]
    NotExported(usize),
    /// The cause is in one workspace.
    #[error("workspace {workspace}: {error}")]
    Workspace {
        /// The workspace.
        workspace: WorkspaceId,
        /// The cause.
        error: Box<MonitorError>,
    },
    /// Checkpoints could not be signed or compared.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A dead letter could not be retried or discarded.
    #[error(transparent)]
    DeadLetter(#[from] DeadLetterError),
    /// The requested item does not exist, or cannot be read.
    #[error("{0}")]
    Nothing(String),
    /// The server refused the request or could not be reached.
    #[error("{0}")]
    Remote(String),
}

impl From<projection::StartError> for MonitorError {
    fn from(error: projection::StartError) -> Self {
        match error {
            projection::StartError::Store(error) => Self::Store(error),
            projection::StartError::Documents(error) => Self::ReadModel(error),
        }
    }
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One short line an event.
    Text,
    /// One JSON object a line: the whole event.
    Json,
}

/// Lists the workspaces of a store.
pub async fn workspaces(store: &dyn EventStore, out: &mut dyn Write) -> Result<(), MonitorError> {
    let mut after = None;
    loop {
        let page = store.workspaces(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        for Workspace {
            id,
            name,
            shards,
            join_code,
            created_at,
            ..
        } in &page
        {
            let head = store.head(*id).await?;
            // It may be older than the rules of names, and a terminal obeys control characters.
            let name = one_line(name);
            writeln!(
                out,
                "{id}  {join_code}  {created_at}  {shards:>2} shards  as of {head}  {name}"
            )?;
        }
    }
}

/// Lists the streams of a workspace whose names begin with `prefix`.
pub async fn streams(
    store: &dyn EventStore,
    workspace: WorkspaceId,
    prefix: &str,
    out: &mut dyn Write,
) -> Result<(), MonitorError> {
    let workspace = find(store, workspace).await?;
    let mut after: Option<String> = None;
    loop {
        let page = store
            .streams(workspace.id, prefix, after.as_deref(), PAGE)
            .await?;
        for stream in &page.data {
            writeln!(
                out,
                "{:>8}  {:>3}  {}",
                stream.version, stream.partition, stream.stream
            )?;
        }
        after = page.data.last().map(|stream| stream.stream.clone());
        if after.is_none() || page.next.is_none() {
            return Ok(());
        }
    }
}

/// Writes the events of one stream, oldest first.
pub async fn stream(
    store: &dyn EventStore,
    workspace: WorkspaceId,
    stream: &StreamName,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), MonitorError> {
    let workspace = find(store, workspace).await?;
    let mut from = 1;
    loop {
        let page = store
            .read_stream(workspace.id, stream, from, Direction::Forwards, PAGE)
            .await?;
        let Some(last) = page.last() else { return Ok(()) };
        from = last.version + 1;
        for event in &page {
            write_event(event, format, out)?;
        }
    }
}

/// The most workspaces that a database fails for before it counts as gone.
const MOST_UNAVAILABLE: usize = 3;

/// Verifies one workspace, or all, with the views of the program. One that cannot be verified is named, and
/// the others are verified.
pub async fn verify_all(
    store: &dyn EventStore,
    read_model: &dyn DocumentStore,
    workspace: Option<WorkspaceId>,
    out: &mut dyn Write,
) -> Result<(), MonitorError> {
    verify_defined(store, (read_model, &Progress::default()), workspace, out).await
}

/// The same, also with the views that workspaces have defined for themselves: those of a progress.
pub async fn verify_defined(
    store: &dyn EventStore,
    (read_model, defined): (&dyn DocumentStore, &Progress),
    workspace: Option<WorkspaceId>,
    out: &mut dyn Write,
) -> Result<(), MonitorError> {
    let (mut findings, mut failed, mut unavailable) = (0, 0, 0);
    let mut after = None;
    loop {
        let page: Vec<AuditedWorkspace> = match workspace {
            Some(id) if after.is_none() => match find(store, id).await {
                Err(MonitorError::Store(error @ StoreError::Corrupt(_))) => vec![(id, Err(error))],
                found => vec![(id, Ok(found?))],
            },
            Some(_) => Vec::new(),
            None => store.audit_workspaces(after, PAGE).await?,
        };
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        for (id, read) in page {
            let verified = match read {
                Ok(workspace) => {
                    let views = defined.views_in(workspace.id);
                    verify_views(store, read_model, &workspace, &views).await
                }
                Err(error) => {
                    writeln!(out, "{id}  NOT WELL  it cannot be read")?;
                    writeln!(out, "    {error}")?;
                    findings += 1;
                    continue;
                }
            };
            match verified {
                Ok(report) => {
                    write_report(id, &report, out)?;
                    findings += report.findings.len();
                    unavailable = 0;
                }
                Err(error) => {
                    writeln!(out, "{id}  NOT VERIFIED  {error}")?;
                    failed += 1;
                    unavailable += usize::from(error.is_unavailable());
                    if unavailable >= MOST_UNAVAILABLE {
                        return Err(MonitorError::Workspace {
                            workspace: id,
                            error: Box::new(error.into()),
                        });
                    }
                }
            }
        }
    }
    if failed > 0 {
        Err(MonitorError::NotVerified(failed))
    } else if findings > 0 {
        Err(MonitorError::FindingsReported(findings))
    } else {
        Ok(())
    }
}

fn write_report(id: WorkspaceId, report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    let verdict = if report.findings.is_empty() {
        "ok"
    } else {
        "NOT WELL"
    };
    writeln!(
        out,
        "{id}  {verdict}  {} events, {} documents",
        report.events, report.documents
    )?;
    for finding in &report.findings {
        writeln!(out, "    {finding}")?;
    }
    Ok(())
}

/// Writes one event.
pub fn write_event(event: &StoredEvent, format: Format, out: &mut dyn Write) -> Result<(), MonitorError> {
    match format {
        Format::Text => {
            let StoredEvent {
                partition,
                position,
                recorded_at,
                event_type,
                stream,
                version,
                ..
            } = event;
            let place = format!("{partition}:{position}");
            writeln!(
                out,
                "{place:>10}  {recorded_at}  {event_type:<22}  {stream} v{version}"
            )?;
        }
        Format::Json => {
            let line =
                serde_json::to_string(event).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// The workspace of an id, or an error that says how to find one.
pub async fn find(store: &dyn EventStore, id: WorkspaceId) -> Result<Workspace, MonitorError> {
    store
        .workspace(id)
        .await?
        .ok_or(MonitorError::UnknownWorkspace(id))
}
