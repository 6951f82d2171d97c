//! The subcommands that move whole workspaces: `export`, `import` and `backup`. Standard output is for
//! exported lines; reports go to standard error.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::io::BufReader;

use super::{Failure, by_command_line, remote};
use clock::SystemClock;
use documents::ParkedCount;
use domain::visible_text::one_line;
use event_store::{EventStore, StoreError, Workspace};
use monitor::{
    backup::backup as create_backup,
    export::{check_export, export_server, export_store},
    import::ImportedWorkspace,
    terminal::{MonitorError, find},
};
use telemetry::security::{SecurityEvent, SecurityRecord};

use crate::{
    import_files::import_files,
    settings::{BackupSettings, ExportSettings, ImportSettings},
};

/// Workspaces that are read at a time.
const PAGE: u32 = 500;

pub(super) async fn export(settings: &ExportSettings) -> Result<(), Failure> {
    let left_out = match &settings.to {
        None => export_to(settings, &mut BufWriter::new(std::io::stdout())).await?,
        Some(path) => {
            // The file gets its name once it is complete.
            if path.exists() {
                return Err(format!("{} is there already", path.display()).into());
            }
            let mut name = path.as_os_str().to_owned();
            name.push(".partial");
            let partial = PathBuf::from(name);
            let named = |error: std::io::Error| format!("{}: {error}", partial.display());
            let mut file = BufWriter::new(File::create(&partial).map_err(named)?);
            let written: Result<usize, Failure> = async {
                let left_out = export_to(settings, &mut file).await?;
                file.into_inner()
                    .map_err(|error| named(error.into_error()))?
                    .sync_all()
                    .map_err(named)?;
                fs::rename(&partial, path).map_err(named)?;
                Ok(left_out)
            }
            .await;
            if written.is_err() {
                // A partial file is useless; its error matters more than a failure to remove it.
                let _ = fs::remove_file(&partial);
            }
            written?
        }
    };
    if left_out > 0 {
        return Err(MonitorError::NotExported(left_out).into());
    }
    Ok(())
}

/// Exports; returns the number of workspaces that are damaged and left out.
async fn export_to(settings: &ExportSettings, out: &mut (dyn Write + Send)) -> Result<usize, Failure> {
    if let Some(remote) = remote(settings.url.as_ref(), settings.token.as_ref()) {
        export_server(&remote, out).await?;
        return Ok(0);
    }
    let store = event_store::open_to_read(&settings.storage.event_store()).await?;
    let (workspaces, left_out) = match settings.workspace {
        Some(id) => (vec![find(&*store, id).await?], 0),
        None => readable_workspaces(&store).await?,
    };
    for (workspace, events, commands) in export_store(&store, workspaces, out).await? {
        let Workspace { id, name, .. } = workspace;
        by_command_line(SecurityEvent::Exported).workspace(id.0).write();
        let name = one_line(&name);
        report(&format!("{id}  {events} events, {commands} commands  {name}"));
    }
    Ok(left_out)
}

/// The workspaces that can be exported, and the number of those that cannot. Each is read before the first is
/// written: part of a workspace would make the whole file useless.
async fn readable_workspaces(store: &Arc<dyn EventStore>) -> Result<(Vec<Workspace>, usize), Failure> {
    let (mut workspaces, mut left_out, mut after) = (Vec::new(), 0, None);
    loop {
        let page = store.audit_workspaces(after, PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok((workspaces, left_out));
        };
        after = Some(*last);
        for (id, workspace) in page {
            let readable = match workspace {
                Ok(workspace) => check_export(store, workspace.clone()).await.map(|()| workspace),
                Err(error) => Err(error),
            };
            match readable {
                Ok(workspace) => workspaces.push(workspace),
                Err(error @ StoreError::Corrupt(_)) => {
                    left_out += 1;
                    report(&format!("{id}  cannot be exported, and is left out: {error}"));
                }
                Err(error) => return Err(format!("workspace {id}: {error}").into()),
            }
        }
    }
}

pub(super) async fn import(settings: &ImportSettings) -> Result<(), Failure> {
    let clock = Arc::new(SystemClock);
    let imported = if settings.file == Path::new("-") {
        import_files(&settings.storage, clock, BufReader::new(tokio::io::stdin())).await
    } else {
        let file = tokio::fs::File::open(&settings.file)
            .await
            .map_err(|error| format!("{}: {error}", settings.file.display()))?;
        import_files(&settings.storage, clock, BufReader::new(file)).await
    };
    let imported = imported.inspect_err(|_| by_command_line(SecurityEvent::ImportRefused).write())?;
    if imported.iter().any(|one| !one.is_counted) {
        report(
            "warning: the file is of an earlier version, which does not say how many workspaces it has: \
             compare the list below with that of the export",
        );
    }
    for one in imported {
        let ImportedWorkspace {
            workspace,
            events,
            commands,
            already_existed,
            new_code,
            is_counted: _,
            parked,
        } = one;
        let Workspace {
            id, name, join_code, ..
        } = workspace;
        by_command_line(SecurityEvent::Imported).workspace(id.0).write();
        let name = one_line(&name);
        let what = if already_existed {
            "was there already, the same".to_owned()
        } else if new_code {
            format!("imported; its join code was taken, and is {join_code} now")
        } else {
            "imported".to_owned()
        };
        report(&format!(
            "{id}  {events} events, {commands} commands  {name}  {what}"
        ));
        for ParkedCount { view, dead, waiting } in &parked {
            report(&format!(
                "    {view} could not apply {dead} events, and {waiting} wait behind them"
            ));
        }
        if !parked.is_empty() {
            report(&format!(
                "    the log is complete, but these views are not: `foldline dead-letters list \
                 --workspace {id}` says why; retry or discard each"
            ));
        }
    }
    Ok(())
}

pub(super) async fn backup(settings: &BackupSettings) -> Result<(), Failure> {
    let summary = create_backup(settings.storage.to_back_up(), &settings.folder).await?;
    SecurityRecord::new(SecurityEvent::Exported)
        .because("backup")
        .write();
    report(&format!(
        "{}  {} workspaces, {} events, verified; `foldline serve --data-dir` starts it",
        settings.folder.display(),
        summary.workspaces,
        summary.events
    ));
    Ok(())
}

fn report(line: &str) {
    // A closed standard error is ignored.
    let _ = writeln!(std::io::stderr(), "{line}");
}
