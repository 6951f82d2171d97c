//! `foldline import`: imports exported workspaces into a store, the whole file or nothing of it.
//!
//! A file is read line by line, with one batch in memory. Every line must keep the
//! [rules](super::import_rules) that commands keep; every event must follow from its predecessor, be
//! decodable by this program and lead to the head in the header; the trailer must match the lines, and no
//! workspace of the export may be missing. After the last line everything is committed in one transaction,
//! and the views are folded. A workspace that already exists with the same content is left as it is, so an
//! import can be repeated.

use domain::{control_character, event::StoredEvent, id::WorkspaceId};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::{
    cloud_event::{ExportPart, Line, WorkspaceHeader, WorkspaceTrailer},
    export::chain_head,
    import_rules::ImportRules,
};
use clock::SharedClock;
use documents::ParkedCount;
use event_store::{
    AnsweredCommand, DryImport, EventStore, Import, ImportFault, StoreError, Workspace, WorkspaceContent,
    new_join_code,
};

/// The longest line, in bytes: above that of an event with the longest texts that a command can have.
const MAX_LINE: u64 = 1 << 20;

/// The most lines of a file, with those that are empty.
const MAX_LINES: u64 = 1_000_000_000;

/// Entries that are written at a time, and roughly the most bytes.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 4 << 20;

/// How often a new join code is generated if one is taken.
const CODE_ATTEMPTS: usize = 8;

/// Why an import failed. Nothing of the file is imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line is invalid.
    #[error("line {line}: {reason}; nothing was imported")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The file ends too early.
    #[error("the file ends after line {line}, before {missing}; nothing was imported")]
    Truncated {
        /// The last line.
        line: u64,
        /// The expected content.
        missing: String,
    },
    /// The file has several workspaces, where one is taken.
    #[error("the file has {0} workspaces, and one is taken at a time; nothing was imported")]
    Several(usize),
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The store failed, or cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A workspace that was imported from the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedWorkspace {
    /// The workspace, as it is now.
    pub workspace: Workspace,
    /// The number of events.
    pub events: u64,
    /// The number of commands.
    pub commands: u64,
    /// It already existed with the same content.
    pub already_existed: bool,
    /// Its join code belonged to another workspace here, so it has a new one.
    pub new_code: bool,
    /// The file says how many workspaces it has, so none is missing. A file of an earlier version does not.
    pub is_counted: bool,
    /// The events that its views could not apply, by view; empty if they have applied everything.
    pub parked: Vec<ParkedCount>,
}

/// Imports a file.
pub async fn import_lines(
    mut lines: impl AsyncBufRead + Unpin,
    store: &dyn EventStore,
    import: &mut Import,
) -> Result<Vec<ImportedWorkspace>, ImportError> {
    let mut reader = ImportReader::new(Some(store), import);
    let mut outcome = reader.read(&mut lines).await;
    let ImportReader { imported, import, .. } = reader;
    if outcome.is_ok() {
        outcome = import.commit().await.map_err(ImportError::from);
    }
    if let Err(error) = outcome {
        // The first error matters more than one from the rollback.
        if let Err(error) = import.roll_back().await {
            tracing::warn!(%error, "an import could not be rolled back; its connection is dropped");
        }
        return Err(error);
    }
    Ok(imported)
}

/// Reads the one workspace of a file into memory, with every check of an import, and stores nothing. The
/// caller bounds the bytes of the file.
pub async fn read_workspace(
    mut lines: impl AsyncBufRead + Unpin,
    clock: SharedClock,
) -> Result<(Workspace, WorkspaceContent), ImportError> {
    let (read, mut import) = DryImport::begin(clock);
    ImportReader::new(None, &mut import).read(&mut lines).await?;
    let mut workspaces = read.take();
    match (workspaces.pop(), workspaces.len()) {
        (Some(only), 0) => Ok(only),
        // A file without one was refused.
        (_, others) => Err(ImportError::Several(others + 1)),
    }
}

struct ImportReader<'a> {
    /// Absent where nothing is stored: then no workspace exists already.
    store: Option<&'a dyn EventStore>,
    import: &'a mut Import,
    imported: Vec<ImportedWorkspace>,
    /// Which part of an export the last workspace was, until the last part.
    part: Option<ExportPart>,
    current: Option<WorkspaceImport>,
    line: u64,
}

/// The workspace that is being imported.
struct WorkspaceImport {
    header: WorkspaceHeader,
    /// Absent if it exists already.
    rules: Option<ImportRules>,
    /// It already exists: its lines are only checked for completeness.
    already_existed: bool,
    new_code: bool,
    digest: Sha256,
    /// Entries that are not written yet, with their line numbers.
    events: Vec<(u64, StoredEvent)>,
    commands: Vec<(u64, AnsweredCommand)>,
    bytes: usize,
    events_total: u64,
    commands_total: u64,
}

impl<'a> ImportReader<'a> {
    fn new(store: Option<&'a dyn EventStore>, import: &'a mut Import) -> Self {
        Self {
            store,
            import,
            imported: Vec::new(),
            part: None,
            current: None,
            line: 0,
        }
    }

    async fn read(&mut self, lines: &mut (impl AsyncBufRead + Unpin)) -> Result<(), ImportError> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            if lines.take(MAX_LINE + 1).read_until(b'\n', &mut bytes).await? == 0 {
                break;
            }
            self.line += 1;
            if self.line > MAX_LINES {
                return Err(self.fault(format!("a file has at most {MAX_LINES} lines")));
            }
            if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_LINE) {
                return Err(self.fault(format!("it has more than {MAX_LINE} bytes")));
            }
            let text = std::str::from_utf8(&bytes).map_err(|_| {
                if bytes.ends_with(b"\n") {
                    self.fault("it is not UTF-8")
                } else {
                    self.truncated("the end of a line")
                }
            })?;
            if text.trim().is_empty() {
                continue;
            }
            if let Some(found) = control_character::in_json(text.as_bytes()) {
                return Err(self.fault(found.to_string()));
            }
            let line = Line::parse(text).map_err(|reason| {
                if text.ends_with('\n') {
                    self.fault(reason)
                } else {
                    self.truncated("the end of a line")
                }
            })?;
            // A parser that skips unknown members takes more than one that reads all of them.
            if serde_json::from_str::<serde_json::Value>(text).is_err() {
                return Err(self.fault("it has a number or a depth that cannot be read"));
            }
            self.take(line, text).await?;
        }
        match &self.current {
            Some(current) => {
                let id = current.header.workspace.id;
                Err(self.truncated(format!("the end of workspace {id}")))
            }
            None if self.imported.is_empty() => Err(self.truncated("any workspace")),
            None => match self.part {
                Some(ExportPart { number, of }) => {
                    Err(self.truncated(format!("workspace {} of {of}", number + 1)))
                }
                None => Ok(()),
            },
        }
    }

    /// Checks that a workspace is the next one of its export. Several exports may be in a file, one after the
    /// other.
    fn count(&mut self, part: Option<ExportPart>) -> Result<(), ImportError> {
        let (number, of) = part.map_or((1, None), |part| (part.number, Some(part.of)));
        let (before, of_before) = self.part.map_or((0, of), |part| (part.number, Some(part.of)));
        if number != before + 1 || of != of_before {
            return Err(self.fault(format!(
                "it is workspace {number} of its export, after {before}: the file is not whole"
            )));
        }
        self.part = part.filter(|part| part.number < part.of);
        Ok(())
    }

    fn truncated(&self, missing: impl Into<String>) -> ImportError {
        ImportError::Truncated {
            line: self.line,
            missing: missing.into(),
        }
    }

    fn fault(&self, reason: impl Into<String>) -> ImportError {
        line_fault(self.line, reason.into())
    }

    fn is_in_file(&self, id: WorkspaceId) -> bool {
        self.imported.iter().any(|other| other.workspace.id == id)
    }

    async fn take(&mut self, line: Line, text: &str) -> Result<(), ImportError> {
        let Some(current) = &mut self.current else {
            let Line::Workspace(header) = line else {
                return Err(self.fault("it is before the first line of a workspace"));
            };
            return self.begin(header, text).await;
        };
        let id = current.header.workspace.id;
        let of = match &line {
            Line::Workspace(_) => return Err(self.fault(format!("workspace {id} has not ended yet"))),
            Line::Event(event) => event.workspace,
            Line::Command(workspace, _) | Line::End(workspace, _) => *workspace,
        };
        if of != id {
            return Err(self.fault(format!("it is of workspace {of}, in the midst of {id}")));
        }
        match line {
            Line::End(_, trailer) => return self.end(&trailer).await,
            Line::Event(event) => {
                if let Some(rules) = &mut current.rules {
                    let valid = rules.event(&event);
                    valid.map_err(|reason| line_fault(self.line, reason))?;
                }
                current.events_total += 1;
                current.events.push((self.line, *event));
            }
            Line::Command(_, command) => {
                if let Some(rules) = &mut current.rules {
                    let valid = rules.command(&command);
                    valid.map_err(|reason| line_fault(self.line, reason))?;
                }
                current.commands_total += 1;
                current.commands.push((self.line, command));
            }
            Line::Workspace(_) => {}
        }
        current.digest.update(text);
        current.bytes += text.len();
        if current.events.len() + current.commands.len() >= BATCH || current.bytes >= BATCH_BYTES {
            self.write().await?;
        }
        Ok(())
    }

    async fn begin(&mut self, mut header: WorkspaceHeader, text: &str) -> Result<(), ImportError> {
        let id = header.workspace.id;
        if self.is_in_file(id) {
            return Err(self.fault(format!("workspace {id} is twice in this file")));
        }
        self.count(header.part)?;
        let existing = match self.store {
            Some(store) => store.workspace(id).await?.map(|existing| (store, existing)),
            None => None,
        };
        let mut current = if let Some((store, existing)) = existing {
            if !is_the_same(store, &existing, &header).await? {
                return Err(self.fault(format!("workspace {id} is there already, with other content")));
            }
            header.workspace = existing;
            WorkspaceImport {
                already_existed: true,
                ..WorkspaceImport::new(header)
            }
        } else {
            let rules = ImportRules::of(&header, self.import.now());
            let rules = rules.map_err(|reason| self.fault(reason))?;
            let mut attempts = 0;
            while !self.import.begin(&header.workspace).await? {
                attempts += 1;
                if attempts > CODE_ATTEMPTS {
                    return Err(StoreError::Unavailable("no free join code was found".to_owned()).into());
                }
                header.workspace.join_code = new_join_code();
            }
            WorkspaceImport {
                new_code: attempts > 0,
                rules: Some(rules),
                ..WorkspaceImport::new(header)
            }
        };
        current.digest.update(text);
        self.current = Some(current);
        Ok(())
    }

    /// Writes the entries that have been read.
    async fn write(&mut self) -> Result<(), ImportError> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        current.bytes = 0;
        let (lines, events): (Vec<_>, Vec<_>) = current.events.drain(..).unzip();
        let (lines_of_commands, commands): (Vec<_>, Vec<_>) = current.commands.drain(..).unzip();
        if current.already_existed {
            return Ok(());
        }
        let fault_at = |lines: Vec<u64>| {
            move |fault| match fault {
                ImportFault::Store(error) => ImportError::Store(error),
                ImportFault::Entry { index, reason } => ImportError::Line {
                    line: lines.get(index).copied().unwrap_or_default(),
                    reason,
                },
            }
        };
        if !events.is_empty() {
            self.import.events(events).await.map_err(fault_at(lines))?;
        }
        if !commands.is_empty() {
            self.import
                .commands(commands)
                .await
                .map_err(fault_at(lines_of_commands))?;
        }
        Ok(())
    }

    async fn end(&mut self, trailer: &WorkspaceTrailer) -> Result<(), ImportError> {
        self.write().await?;
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let WorkspaceImport {
            header,
            already_existed,
            new_code,
            events_total,
            commands_total,
            ..
        } = current;
        if (trailer.events, trailer.commands) != (events_total, commands_total) {
            return Err(self.fault(format!(
                "{} events and {} commands were exported, {events_total} and {commands_total} are here",
                trailer.events, trailer.commands
            )));
        }
        if trailer.sha256 != hex::encode(current.digest.finalize()) {
            return Err(self.fault("the lines before it are not those that were exported"));
        }
        if !already_existed {
            if !self.import.chain_heads().eq(&header.heads) {
                return Err(self.fault("the events do not lead to the heads that the first line names"));
            }
            if let Some(id) = self.import.repeated_event_id().await? {
                return Err(self.fault(format!("several events of the workspace have the id {id}")));
            }
            self.import.end()?;
        }
        self.imported.push(ImportedWorkspace {
            is_counted: header.part.is_some(),
            workspace: header.workspace,
            events: events_total,
            commands: commands_total,
            already_existed,
            new_code,
            // Known once the views are folded, after the whole file.
            parked: Vec::new(),
        });
        Ok(())
    }
}

/// Whether a workspace has the content of the file: the last hash of a partition covers everything before it.
async fn is_the_same(
    store: &dyn EventStore,
    existing: &Workspace,
    header: &WorkspaceHeader,
) -> Result<bool, ImportError> {
    let of_file = &header.workspace;
    if (existing.shards, existing.created_at) != (of_file.shards, of_file.created_at) {
        return Ok(false);
    }
    let head = store.head(existing.id).await?;
    for (partition, expected) in (0..existing.shards).zip(&header.heads) {
        let found = chain_head(store, existing, partition, head.position(partition)).await?;
        if found != *expected {
            return Ok(false);
        }
    }
    Ok(true)
}

fn line_fault(line: u64, reason: String) -> ImportError {
    ImportError::Line { line, reason }
}

impl WorkspaceImport {
    fn new(header: WorkspaceHeader) -> Self {
        Self {
            header,
            rules: None,
            already_existed: false,
            new_code: false,
            digest: Sha256::new(),
            events: Vec::new(),
            commands: Vec::new(),
            bytes: 0,
            events_total: 0,
            commands_total: 0,
        }
    }
}
