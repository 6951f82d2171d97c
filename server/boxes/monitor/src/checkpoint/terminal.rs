//! `foldline checkpoint`, and what `foldline verify` reads and says of checkpoints.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use domain::id::WorkspaceId;

use super::{
    CheckpointError, CheckpointKeeper, Comparison, MalformedNote, Note, Verifier, compare,
    kept_files::{COMPARED, kept_files, last_of},
    parse,
};
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

/// Notes of a file, as they were parsed.
pub type ParsedNotes = Vec<Result<Note, MalformedNote>>;

/// Reads notes from a file; `-` is standard input. A file in which no note can be read, or none is of this
/// key, or none of this workspace, is refused: it says nothing about the log.
pub fn read_notes(
    file: &Path,
    verifier: &Verifier,
    workspace: Option<WorkspaceId>,
) -> Result<ParsedNotes, MonitorError> {
    let name = file.display();
    let bad = |reason: &str| MonitorError::BadCheckpoints(format!("{name} {reason}"));
    let notes = parse(&read(file)?);
    if notes.is_empty() {
        return Err(bad("has no checkpoint"));
    }
    let readable = || notes.iter().filter_map(|note| note.as_ref().ok());
    if readable().next().is_none() {
        let reason = notes.iter().find_map(|note| note.as_ref().err());
        let reason = reason.map(ToString::to_string).unwrap_or_default();
        return Err(bad(&format!("is no file of checkpoints: {reason}")));
    }
    if !readable().any(|note| note.is_signed_by(verifier)) {
        return Err(bad(&format!(
            "has no checkpoint that {verifier} has signed: they are of another installation, or were changed"
        )));
    }
    if let Some(workspace) = workspace
        && !readable().any(|note| note.checkpoint().workspace == workspace && note.is_signed_by(verifier))
    {
        return Err(bad(&format!("has no checkpoint of workspace {workspace}")));
    }
    Ok(notes)
}

fn read(file: &Path) -> Result<String, MonitorError> {
    let unreadable = |error: io::Error| {
        MonitorError::BadCheckpoints(format!("{} cannot be read: {error}", file.display()))
    };
    let from: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(unreadable)?)
    };
    let mut text = String::new();
    let read = from.take(MAX_NOTES + 1).read_to_string(&mut text);
    if read.map_err(unreadable)? as u64 > MAX_NOTES {
        let most = MAX_NOTES >> 20;
        return Err(MonitorError::BadCheckpoints(format!(
            "{} has more than {most} MiB of checkpoints; compare them in parts",
            file.display()
        )));
    }
    Ok(text)
}

/// Compares notes with the log, and writes what is found. Returns how many notes say nothing about the log.
pub async fn compare_notes(
    store: &dyn EventStore,
    verifier: &Verifier,
    notes: ParsedNotes,
    workspace: Option<WorkspaceId>,
    out: &mut (dyn Write + Send),
) -> Result<usize, MonitorError> {
    let comparison = compare(store, verifier, notes, workspace).await?;
    write_comparison("checkpoints", &comparison, out)?;
    if comparison.findings.is_empty() {
        Ok(comparison.unusable.len())
    } else {
        Err(MonitorError::HistoryDiffers(comparison.findings.len()))
    }
}

/// Compares the checkpoints that a server keeps in a folder with the log, and writes what is found. Without
/// any there is nothing to say.
pub async fn compare_kept(
    store: &dyn EventStore,
    verifier: &Verifier,
    folder: &Path,
    workspace: Option<WorkspaceId>,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    let files = kept_files(folder, workspace)?;
    if files.is_empty() {
        return Ok(());
    }
    let mut all = Comparison::default();
    for (workspace, files) in files {
        if store.was_purged(workspace).await.map_err(CheckpointError::from)? {
            continue;
        }
        for file in files.into_values() {
            let notes = parse(&last_of(&file, COMPARED)?);
            let compared = compare(store, verifier, notes, Some(workspace)).await?;
            all.contained += compared.contained;
            all.findings.extend(compared.findings);
            all.unusable.extend(compared.unusable);
        }
    }
    write_comparison("kept checkpoints", &all, out)?;
    if all.findings.is_empty() {
        Ok(())
    } else {
        Err(MonitorError::HistoryDiffers(all.findings.len()))
    }
}

fn write_comparison(
    what: &str,
    comparison: &Comparison,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    let Comparison {
        contained,
        findings,
        unusable,
    } = comparison;
    let verdict = if findings.is_empty() { "ok" } else { "NOT WELL" };
    writeln!(out, "{what}  {verdict}  {contained} are in the log")?;
    for finding in findings {
        writeln!(out, "    {finding}")?;
    }
    for reason in unusable {
        writeln!(out, "    not compared: {reason}")?;
    }
    Ok(())
}
