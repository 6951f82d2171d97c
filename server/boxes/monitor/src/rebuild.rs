//! `foldline rebuild`: folds a view again from the whole log, on a running server or in the files of a data
//! folder.
//!
//! On files it runs the server's own rebuild: a new generation beside the live one, switched in once it is
//! complete. A server that has the same files open notices the switch with the next event that it folds; if a
//! server is running, use its API instead.

use std::{io::Write, sync::Arc, time::Duration};

use domain::{
    id::WorkspaceId,
    wire::{ProjectionStatus, RebuildProgress},
};
use reqwest::Method;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    remote::request_json,
    tail::Remote,
    terminal::{MonitorError, find},
};
use clock::SharedClock;
use documents::DocumentStore;
use event_store::EventStore;
use projection::{Context, PartitionId, progress::Progress, rebuild::Rebuilds};

/// How often the progress is written.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// Rebuilds a view in the files of a data folder. `progress` has the views that there are.
pub async fn rebuild_files(
    store: Arc<dyn EventStore>,
    (read_model, progress): (Arc<dyn DocumentStore>, Progress),
    clock: SharedClock,
    workspace: WorkspaceId,
    name: &str,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    let workspace = find(&*store, workspace).await?.id;
    let head = store.head(workspace).await?;
    let context = Context::without_server(store, read_model, progress, clock);
    for (partition, position) in head.iter() {
        context
            .progress
            .stored(PartitionId { workspace, partition }, position);
    }
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let rebuilds = Rebuilds::start(Arc::new(context), tasks.clone(), stopping).await?;
    let started = rebuilds.rebuild(workspace, name).await?;
    let finished = rebuilds.finished(workspace, name);
    let mut finished = std::pin::pin!(finished);
    loop {
        tokio::select! {
            () = &mut finished => break,
            () = tokio::time::sleep(REPORT_INTERVAL) => {
                if let Some(progress) = rebuilds.progress(workspace, name) {
                    write_progress(name, &progress, out)?;
                }
            }
        }
    }
    // The old generation is removed before the process ends.
    tasks.close();
    tasks.wait().await;
    writeln!(out, "{name}  generation {} is read", started.generation)?;
    Ok(())
}

/// Makes a running server rebuild a view, and writes the progress.
pub async fn rebuild_server(
    remote: &Remote,
    view: &str,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    let client = reqwest::Client::new();
    let path = format!("/api/v1/lab/projections/{view}/rebuild");
    let started: RebuildProgress = request_json(&client, remote, Method::POST, &path).await?;
    loop {
        let path = "/api/v1/lab/projections";
        let projections: Vec<ProjectionStatus> = request_json(&client, remote, Method::GET, path).await?;
        let status = projections.into_iter().find(|status| status.view == view);
        let status = status.ok_or_else(|| MonitorError::Remote(format!("the server has no view {view}")))?;
        match status.rebuild {
            Some(progress) if progress.generation == started.generation => {
                write_progress(view, &progress, out)?;
            }
            _ if status.generation >= started.generation => {
                writeln!(out, "{view}  generation {} is read", status.generation)?;
                return Ok(());
            }
            _ => {
                return Err(MonitorError::Remote(format!(
                    "the rebuild of {view} was cancelled"
                )));
            }
        }
        tokio::time::sleep(REPORT_INTERVAL).await;
    }
}

fn write_progress(
    view: &str,
    progress: &RebuildProgress,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    let RebuildProgress {
        generation,
        events_done,
        events_total,
        events_per_second,
        failing,
        ..
    } = progress;
    let failing = failing.as_deref().unwrap_or_default();
    writeln!(
        out,
        "{view}  generation {generation}  {events_done} of {events_total} events  \
         {events_per_second}/s  {failing}"
    )?;
    Ok(out.flush()?)
}
