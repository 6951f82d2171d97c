//! `foldline checkpoint`, and what `foldline verify --checkpoint` reads and says.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use domain::id::WorkspaceId;

use super::{CheckpointKeeper, Verifier, compare, parse};
use crate::terminal::{MonitorError, find};
use event_store::{EventStore, Workspace};

/// The most bytes of notes that are read.
const MAX_NOTES: u64 = 64 << 20;

/// Workspaces that are read at a time.
const PAGE: u32 = 500;

/// The most kept notes that are printed of a workspace.
const MAX_PRINTED: usize = 10_000;

/// What `foldline checkpoint` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Print {
    /// Signs the heads and prints them.
    Fresh,
    /// The same, and keeps them as the server does.
    FreshAndKeep,
    /// Prints those that are kept.
    Kept,
}

/// Prints the checkpoints of a workspace, or of all.
pub async fn print(
    store: &dyn EventStore,
    keeper: &CheckpointKeeper,
    workspace: Option<WorkspaceId>,
    what: Print,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    if let Some(workspace) = workspace {
        find(store, workspace).await?;
    }
    if what == Print::FreshAndKeep {
        keeper.keep(workspace).await?;
    }
    let mut after = None;
    loop {
        let workspaces: Vec<WorkspaceId> = match workspace {
            Some(id) if after.is_none() => vec![id],
            Some(_) => Vec::new(),
            None => {
                let page: Vec<Workspace> = store.workspaces(after, PAGE).await?;
                page.iter().map(|workspace| workspace.id).collect()
            }
        };
        let Some(last) = workspaces.last() else { break };
        after = Some(*last);
        for workspace in &workspaces {
            let notes = match what {
                Print::Fresh | Print::FreshAndKeep => keeper.fresh(*workspace).await?,
                Print::Kept => keeper.kept(*workspace, MAX_PRINTED).await?,
            };
            for note in notes {
                writeln!(out, "{note}")?;
            }
        }
    }
    Ok(out.flush()?)
}

/// Reads notes from a file; `-` is standard input.
pub fn read_notes(file: &Path) -> Result<String, MonitorError> {
    let from: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let opened = File::open(file)
            .map_err(|error| MonitorError::Nothing(format!("{} cannot be read: {error}", file.display())))?;
        Box::new(opened)
    };
    let mut text = String::new();
    let read = from.take(MAX_NOTES + 1).read_to_string(&mut text);
    let read =
        read.map_err(|error| MonitorError::Nothing(format!("{} cannot be read: {error}", file.display())))?;
    if read as u64 > MAX_NOTES {
        let most = MAX_NOTES >> 20;
        return Err(MonitorError::Nothing(format!(
            "{} has more than {most} MiB of checkpoints; compare them in parts",
            file.display()
        )));
    }
    Ok(text)
}

/// Compares notes with the log, and writes what is found.
pub async fn compare_notes(
    store: &dyn EventStore,
    verifier: &Verifier,
    text: &str,
    workspace: Option<WorkspaceId>,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    let notes = parse(text);
    if notes.is_empty() {
        return Err(MonitorError::Nothing(
            "there is no checkpoint to compare".to_owned(),
        ));
    }
    let comparison = compare(store, verifier, notes, workspace).await?;
    let verdict = if comparison.findings.is_empty() {
        "ok"
    } else {
        "NOT WELL"
    };
    writeln!(
        out,
        "checkpoints  {verdict}  {} are in the log",
        comparison.contained
    )?;
    for finding in &comparison.findings {
        writeln!(out, "    {finding}")?;
    }
    if comparison.findings.is_empty() {
        Ok(())
    } else {
        Err(MonitorError::HistoryDiffers(comparison.findings.len()))
    }
}
