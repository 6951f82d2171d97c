//! The files of kept checkpoints: `<workspace>.notes`, to which notes are only added. A file has one
//! history. Notes of a log that does not contain what a file says go to the next one, `<workspace>.2.notes`.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use domain::id::WorkspaceId;

use super::{CheckpointError, NAME, Note};

/// The end of the names.
const ENDING: &str = ".notes";

/// How much of the end of a file is read to find what was signed last: more than the notes of all partitions
/// that a workspace can have.
const TAIL: u64 = 64 * 1_024;

/// How much of the end of a file is compared with the log: the notes of every hour of some years.
pub(super) const COMPARED: u64 = 16 << 20;

/// The files of a workspace, by number.
pub(super) type HistoryFiles = BTreeMap<u32, PathBuf>;

/// The files of a folder, by workspace; of one workspace if it is named.
pub(super) fn kept_files(
    folder: &Path,
    only: Option<WorkspaceId>,
) -> Result<BTreeMap<WorkspaceId, HistoryFiles>, CheckpointError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(CheckpointError::file(folder)(error)),
    };
    let mut files: BTreeMap<WorkspaceId, HistoryFiles> = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(CheckpointError::file(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some((workspace, number)) = name.and_then(workspace_and_number)
            && only.is_none_or(|only| only == workspace)
        {
            files.entry(workspace).or_default().insert(number, path);
        }
    }
    Ok(files)
}

/// The name of a file.
pub(super) fn file_name(workspace: WorkspaceId, number: u32) -> String {
    if number <= 1 {
        format!("{workspace}{ENDING}")
    } else {
        format!("{workspace}.{number}{ENDING}")
    }
}

fn workspace_and_number(name: &str) -> Option<(WorkspaceId, u32)> {
    let name = name.strip_suffix(ENDING)?;
    let (workspace, number) = match name.split_once('.') {
        None => (name, 1),
        Some((workspace, number)) => (workspace, number.parse().ok()?),
    };
    let workspace = workspace.parse::<WorkspaceId>().ok()?;
    // no other spelling of a number or an id
    let is_ours = file_name(workspace, number).strip_suffix(ENDING) == Some(name);
    is_ours.then_some((workspace, number))
}

/// Adds those notes to a file that are not among its last ones; returns their number.
pub(super) fn append(file: &Path, notes: &[Note]) -> Result<u64, CheckpointError> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(CheckpointError::file(folder))?;
    }
    let tail = end_of(file)?;
    let new: Vec<&Note> = notes.iter().filter(|note| !tail.contains(note.text())).collect();
    if new.is_empty() {
        return Ok(0);
    }
    let mut text = String::new();
    if !tail.is_empty() && !tail.ends_with("\n\n") {
        // the last one was cut off, as on a full disk
        text.push_str("\n\n");
    }
    for note in &new {
        text.push_str(&note.to_string());
        text.push('\n');
    }
    let mut opened = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .map_err(CheckpointError::file(file))?;
    opened
        .write_all(text.as_bytes())
        .and_then(|()| opened.sync_data())
        .map_err(CheckpointError::file(file))?;
    Ok(new.len() as u64)
}

/// The newest notes of a file.
pub(super) fn end_of(file: &Path) -> Result<String, CheckpointError> {
    last_of(file, TAIL)
}

/// The last bytes of a file, at most `limit`; empty if there is none. They begin with a whole note, unless
/// the file is damaged.
pub(super) fn last_of(file: &Path, limit: u64) -> Result<String, CheckpointError> {
    let mut opened = match fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(CheckpointError::file(file)(error)),
    };
    let mut bytes = Vec::new();
    let length = opened.metadata().map_err(CheckpointError::file(file))?.len();
    let skipped = length.saturating_sub(limit);
    opened
        .seek(SeekFrom::Start(skipped))
        .and_then(|_| opened.take(limit).read_to_end(&mut bytes))
        .map_err(CheckpointError::file(file))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if skipped == 0 {
        return Ok(text);
    }
    // the first note is cut off: the next one follows the empty line behind its signatures
    let begin = text.find(&format!("\n\n{NAME}/")).map_or(text.len(), |at| at + 2);
    Ok(text[begin..].to_owned())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_name_has_a_workspace_and_a_number_in_one_spelling() {
        let workspace = WorkspaceId(Uuid::from_u128(7));
        for number in [1, 2, 17] {
            let name = file_name(workspace, number);
            assert_eq!(workspace_and_number(&name), Some((workspace, number)), "{name}");
        }
        for ending in [
            ".1.notes",
            ".0.notes",
            ".02.notes",
            ".x.notes",
            ".notes.old",
            ".2",
        ] {
            let name = format!("{workspace}{ending}");
            assert_eq!(workspace_and_number(&name), None, "{name}");
        }
        assert_eq!(workspace_and_number("readme.notes"), None);
    }
}
