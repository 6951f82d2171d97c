//! An import into the stores of a command line: checks that the program fits them, imports the file, sets the
//! clocks of its workspaces, and folds the views.

use std::sync::Arc;

use domain::token::ConsistencyToken;
use tokio::io::AsyncBufRead;

use clock::SharedClock;
use documents::DocumentStoreError;
use event_store::StoreError;
use monitor::import::{ImportError, ImportedWorkspace, import_lines};
use workspace_clock::Clocks;

use crate::{
    StartError,
    read_side::{Dependencies, ReadSideBuilder},
    settings::StorageSettings,
};

/// Why a file was not imported, or its views were not folded.
#[derive(Debug, thiserror::Error)]
pub enum FileImportError {
    /// The file cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The event store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event types of the store are not those of this program.
    #[error(transparent)]
    Types(Box<StartError>),
    /// The read model failed.
    #[error("the views cannot be folded: {0}")]
    ReadModel(#[from] DocumentStoreError),
    /// The clocks of workspaces could not be stored.
    #[error("the clocks of the workspaces cannot be set: {0}")]
    Clocks(#[source] DocumentStoreError),
    /// The lanes could not start.
    #[error("the views cannot be folded: {0}")]
    Projections(#[from] projection::StartError),
}

/// Imports every workspace of a file into the stores, and folds their views. An event that a view cannot
/// apply is still in the log, and counted.
pub async fn import_files(
    storage: &StorageSettings,
    clock: SharedClock,
    lines: impl AsyncBufRead + Unpin,
) -> Result<Vec<ImportedWorkspace>, FileImportError> {
    // Like a start of the server: the tables are created, and the program's event types must fit.
    let url = storage.event_store();
    let store = event_store::open(&url, clock.clone(), None).await?;
    let fit = crate::event_types_fit(&*store).await;
    store.close().await;
    fit.map_err(|error| FileImportError::Types(Box::new(error)))?;

    let mut import = event_store::open_to_import(&url, clock.clone()).await?;
    let reader = event_store::open_to_read(&url).await?;
    let imported = import_lines(lines, &*reader, &mut import).await;
    reader.close().await;
    let closed = import.close().await;
    let mut imported = imported?;
    closed?;
    set_clocks(storage, &clock, &imported).await?;
    fold_views(storage, clock, &mut imported).await?;
    Ok(imported)
}

/// Puts the clocks of workspaces forward whose newest event is ahead of the machine's clock: a workspace's
/// clock is not behind its log.
async fn set_clocks(
    storage: &StorageSettings,
    clock: &SharedClock,
    imported: &[ImportedWorkspace],
) -> Result<(), FileImportError> {
    let mut ahead = Vec::new();
    let store = event_store::open_to_read(&storage.event_store()).await?;
    for workspace_import in imported {
        let workspace = workspace_import.workspace.id;
        let now = clock.now();
        let mut newest = now;
        for (_, partition, head) in store.chain_heads(Some(workspace)).await? {
            let before = head.position.saturating_sub(1);
            let events = store.read_partition(workspace, partition, before, 1).await?;
            newest = events
                .iter()
                .map(|event| event.recorded_at)
                .fold(newest, Ord::max);
        }
        if newest > now {
            ahead.push((workspace, newest));
        }
    }
    store.close().await;
    if ahead.is_empty() {
        return Ok(());
    }
    let process_store = process_manager::process::open(&storage.process_store()).await;
    let process_store = process_store.map_err(FileImportError::Clocks)?;
    let clocks = Clocks::new(Arc::clone(clock), Arc::clone(&process_store));
    for (workspace, newest) in ahead {
        let set = clocks.put_forward_to(workspace, newest).await;
        set.map_err(FileImportError::Clocks)?;
    }
    process_store.close().await;
    Ok(())
}

/// Folds the views as the server does, and counts the events that they could not apply.
async fn fold_views(
    storage: &StorageSettings,
    clock: SharedClock,
    imported: &mut [ImportedWorkspace],
) -> Result<(), FileImportError> {
    let builder = ReadSideBuilder::default();
    let store = event_store::open(&storage.event_store(), clock.clone(), Some(builder.observer())).await?;
    let read_model = read_model::open(&storage.read_model()).await?;
    let read_side = builder
        .start(Dependencies::in_process(
            Arc::clone(&store),
            Arc::clone(&read_model),
            clock,
        ))
        .await?;
    for workspace_import in imported {
        let workspace = workspace_import.workspace.id;
        let head: ConsistencyToken = store.head(workspace).await?;
        for view in read_side.progress.handlers() {
            if let Some(progress) = read_side.progress.of(workspace, view.name()) {
                progress.reaches(&head).await;
            }
        }
        workspace_import.parked = read_model.parked_counts(Some(workspace), None).await?;
    }
    read_side.shutdown().await;
    store.close().await;
    Ok(())
}
