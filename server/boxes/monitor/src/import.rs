//! `foldline import`: brings exported workspaces into a store, each whole or not at all.
//!
//! A file is read line by line, in the memory of one batch. Every event must hang on the one before it, be readable by this
//! program and lead to the head that the first line names; the last line must say that nothing is missing and nothing was
//! changed. Then the workspace is committed, and its views are folded. What is there already as in the file is left as it is,
//! so an import that was interrupted between two workspaces is simply run again.

use domain::{control_character, event::StoredEvent};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::{
    cloud_event::{Ending, Line, Opening},
    export::link,
};
use documents::ParkedCount;
use event_store::{AnsweredCommand, EventStore, Import, ImportFault, StoreError, Workspace, new_join_code};

/// The longest line, in bytes: far above what a command may send.
const MAX_LINE: u64 = 64 << 20;

/// Entries that are written at a time, and about the most bytes.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 4 << 20;

/// How often a join code is made anew where it is taken.
const CODE_ATTEMPTS: usize = 8;

/// Why an import ended. Workspaces before the one under way are there; of that one, nothing is.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line that cannot be taken.
    #[error("line {line}: {reason}; nothing of its workspace was imported")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The file ends too early.
    #[error("the file ends behind line {line}, before {missing}; nothing of that workspace was imported")]
    Truncated {
        /// The last line.
        line: u64,
        /// What should have come.
        missing: String,
    },
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The store failed, or cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A workspace of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The workspace, as it is now.
    pub workspace: Workspace,
    /// How many events.
    pub events: u64,
    /// How many commands.
    pub commands: u64,
    /// It was there already, the same.
    pub was_there: bool,
    /// Its own join code belongs to another workspace here, so it has a new one.
    pub new_code: bool,
    /// What its views could not apply, by view; none where they have applied everything.
    pub parked: Vec<ParkedCount>,
}

/// Reads a file into an import.
pub async fn import_lines(
    mut lines: impl AsyncBufRead + Unpin,
    store: &dyn EventStore,
    import: &mut Import,
) -> Result<Vec<Imported>, ImportError> {
    let mut reading = Reading {
        store,
        import,
        imported: Vec::new(),
        current: None,
        line: 0,
    };
    let outcome = reading.read(&mut lines).await;
    let Reading { imported, import, .. } = reading;
    if let Err(error) = outcome {
        // What it failed with says more than what giving up may fail with.
        if let Err(error) = import.give_up().await {
            tracing::warn!(%error, "an import could not be given up in order; its connection is dropped");
        }
        return Err(error);
    }
    Ok(imported)
}

struct Reading<'a> {
    store: &'a dyn EventStore,
    import: &'a mut Import,
    imported: Vec<Imported>,
    current: Option<Current>,
    line: u64,
}

/// The workspace under way.
struct Current {
    opening: Opening,
    /// It is there already: its lines are only checked for being all there.
    was_there: bool,
    new_code: bool,
    digest: Sha256,
    /// What is not written yet, with the numbers of the lines.
    events: Vec<(u64, StoredEvent)>,
    commands: Vec<(u64, AnsweredCommand)>,
    bytes: usize,
    events_total: u64,
    commands_total: u64,
}

impl Reading<'_> {
    async fn read(&mut self, lines: &mut (impl AsyncBufRead + Unpin)) -> Result<(), ImportError> {
        let mut text = String::new();
        loop {
            text.clear();
            if lines.take(MAX_LINE).read_line(&mut text).await? == 0 {
                break;
            }
            self.line += 1;
            if text.trim().is_empty() {
                continue;
            }
            if let Some(found) = control_character::in_json(text.as_bytes()) {
                return Err(self.fault(found.to_string()));
            }
            let line = Line::parse(&text).map_err(|reason| {
                if text.ends_with('\n') {
                    self.fault(reason)
                } else {
                    self.truncated("the end of a line")
                }
            })?;
            self.take(line, &text).await?;
        }
        match &self.current {
            Some(current) => {
                let id = current.opening.workspace.id;
                Err(self.truncated(format!("the end of workspace {id}")))
            }
            None if self.imported.is_empty() => Err(self.truncated("any workspace")),
            None => Ok(()),
        }
    }

    fn truncated(&self, missing: impl Into<String>) -> ImportError {
        ImportError::Truncated {
            line: self.line,
            missing: missing.into(),
        }
    }

    fn fault(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Line {
            line: self.line,
            reason: reason.into(),
        }
    }

    async fn take(&mut self, line: Line, text: &str) -> Result<(), ImportError> {
        let Some(current) = &mut self.current else {
            let Line::Workspace(opening) = line else {
                return Err(self.fault("it stands before the first line of a workspace"));
            };
            return self.begin(opening, text).await;
        };
        let id = current.opening.workspace.id;
        let of = match &line {
            Line::Workspace(_) => return Err(self.fault(format!("workspace {id} has not ended yet"))),
            Line::Event(event) => event.workspace,
            Line::Command(workspace, _) | Line::End(workspace, _) => *workspace,
        };
        if of != id {
            return Err(self.fault(format!("it is of workspace {of}, in the midst of {id}")));
        }
        match line {
            Line::End(_, ending) => return self.end(&ending).await,
            Line::Event(event) => {
                current.events_total += 1;
                current.events.push((self.line, *event));
            }
            Line::Command(_, command) => {
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

    async fn begin(&mut self, mut opening: Opening, text: &str) -> Result<(), ImportError> {
        let id = opening.workspace.id;
        let mut current = if let Some(there) = self.store.workspace(id).await? {
            if !self.is_the_same(&there, &opening).await? {
                return Err(self.fault(format!("workspace {id} is there already, with other content")));
            }
            opening.workspace = there;
            Current {
                was_there: true,
                ..Current::new(opening)
            }
        } else {
            let mut attempts = 0;
            while !self.import.begin(&opening.workspace).await? {
                attempts += 1;
                if attempts > CODE_ATTEMPTS {
                    return Err(StoreError::Unavailable("no free join code was found".to_owned()).into());
                }
                opening.workspace.join_code = new_join_code();
            }
            Current {
                new_code: attempts > 0,
                ..Current::new(opening)
            }
        };
        current.digest.update(text);
        self.current = Some(current);
        Ok(())
    }

    /// Whether a workspace has what the file has: the last hash of a partition stands for everything before it.
    async fn is_the_same(&self, there: &Workspace, opening: &Opening) -> Result<bool, ImportError> {
        let of_file = &opening.workspace;
        if (there.shards, there.created_at) != (of_file.shards, of_file.created_at) {
            return Ok(false);
        }
        let head = self.store.head(there.id).await?;
        for (partition, wanted) in (0..there.shards).zip(&opening.heads) {
            let found = link(self.store, there, partition, head.position(partition)).await?;
            if found != *wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes what has been read.
    async fn write(&mut self) -> Result<(), ImportError> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        current.bytes = 0;
        let (lines, events): (Vec<_>, Vec<_>) = current.events.drain(..).unzip();
        let (lines_of_commands, commands): (Vec<_>, Vec<_>) = current.commands.drain(..).unzip();
        if current.was_there {
            return Ok(());
        }
        for (event, line) in events.iter().zip(&lines) {
            // What lies behind the head that the first line names was not in the workspace.
            let head = current.opening.heads.get(event.partition as usize);
            if head.is_some_and(|head| event.position > head.position) {
                let reason = format!(
                    "position {} lies behind the head of its partition",
                    event.position
                );
                return Err(ImportError::Line { line: *line, reason });
            }
        }
        let at = |lines: Vec<u64>| {
            move |fault| match fault {
                ImportFault::Store(error) => ImportError::Store(error),
                ImportFault::Entry { index, reason } => ImportError::Line {
                    line: lines.get(index).copied().unwrap_or_default(),
                    reason,
                },
            }
        };
        if !events.is_empty() {
            self.import.events(events).await.map_err(at(lines))?;
        }
        if !commands.is_empty() {
            self.import
                .commands(commands)
                .await
                .map_err(at(lines_of_commands))?;
        }
        Ok(())
    }

    async fn end(&mut self, ending: &Ending) -> Result<(), ImportError> {
        self.write().await?;
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let Current {
            opening,
            was_there,
            new_code,
            events_total,
            commands_total,
            ..
        } = current;
        if (ending.events, ending.commands) != (events_total, commands_total) {
            return Err(self.fault(format!(
                "{} events and {} commands were exported, {events_total} and {commands_total} are here",
                ending.events, ending.commands
            )));
        }
        if ending.sha256 != hex::encode(current.digest.finalize()) {
            return Err(self.fault("the lines before it are not those that were exported"));
        }
        if !was_there {
            if !self.import.links().eq(&opening.heads) {
                return Err(self.fault("the events do not lead to the heads that the first line names"));
            }
            self.import.commit().await?;
        }
        self.imported.push(Imported {
            workspace: opening.workspace,
            events: events_total,
            commands: commands_total,
            was_there,
            new_code,
            // Known when the views are folded, behind the whole file.
            parked: Vec::new(),
        });
        Ok(())
    }
}

impl Current {
    fn new(opening: Opening) -> Self {
        Self {
            opening,
            was_there: false,
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
