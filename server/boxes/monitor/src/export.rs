//! `foldline export` and `GET /api/v1/export`: a workspace as it is at one moment, as CloudEvents in NDJSON.
//!
//! It is produced piece by piece, so it needs the memory of one page for a log of any length and waits for a
//! slow reader. First comes the header, with the heads of the partitions and, because a file may have several
//! workspaces, which of them it is; then the events up to those heads, partition by partition; then the
//! answered commands, so that a repeated command is recognised after an import; and last a trailer, without
//! which the file is incomplete.

use std::{io::Write, sync::Arc};

use domain::{event::StoredEvent, token::ConsistencyToken};
use reqwest::Method;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    cloud_event::{ExportPart, Line, WorkspaceHeader, WorkspaceTrailer},
    remote::{failed, request},
    tail::Remote,
    terminal::MonitorError,
};
use event_store::{ChainHead, EventStore, StoreError, Workspace};

/// Entries that are read at a time.
const PAGE: u32 = 500;

/// The next part of an export.
#[derive(Debug)]
enum Next {
    Header,
    Events { partition: u32, after: u64 },
    Commands { after: Option<Uuid> },
    Trailer,
    Nothing,
}

/// A running export.
#[derive(Debug)]
pub struct Export {
    store: Arc<dyn EventStore>,
    header: WorkspaceHeader,
    head: ConsistencyToken,
    next: Next,
    events: u64,
    commands: u64,
    digest: Sha256,
}

impl Export {
    /// Begins an export of the workspace's current content, as a part of an export of one or several.
    pub async fn begin(
        store: Arc<dyn EventStore>,
        workspace: Workspace,
        part: ExportPart,
    ) -> Result<Self, StoreError> {
        let head = store.head(workspace.id).await?;
        let mut heads = Vec::with_capacity(workspace.shards as usize);
        for partition in 0..workspace.shards {
            heads.push(chain_head(&*store, &workspace, partition, head.position(partition)).await?);
        }
        Ok(Self {
            store,
            header: WorkspaceHeader {
                workspace,
                heads,
                part: Some(part),
            },
            head,
            next: Next::Header,
            events: 0,
            commands: 0,
            digest: Sha256::new(),
        })
    }

    /// The next lines, each with its line feed; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        loop {
            let lines = match self.next {
                Next::Header => self.header()?,
                Next::Events { partition, after } => self.events(partition, after).await?,
                Next::Commands { after } => self.commands(after).await?,
                Next::Trailer => self.trailer()?,
                Next::Nothing => return Ok(None),
            };
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
    }

    /// Events and commands so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.events, self.commands)
    }

    fn header(&mut self) -> Result<String, StoreError> {
        self.next = Next::Events {
            partition: 0,
            after: 0,
        };
        self.digested([Line::Workspace(self.header.clone())])
    }

    async fn events(&mut self, partition: u32, after: u64) -> Result<String, StoreError> {
        let Some(head) = self.header.heads.get(partition as usize) else {
            self.next = Next::Commands { after: None };
            return Ok(String::new());
        };
        let limit = u32::try_from(head.position - after).unwrap_or(u32::MAX).min(PAGE);
        let id = self.header.workspace.id;
        let events = if limit == 0 {
            Vec::new()
        } else {
            self.store.read_partition(id, partition, after, limit).await?
        };
        self.next = match events.last() {
            Some(last) => Next::Events {
                partition,
                after: last.position,
            },
            None => Next::Events {
                partition: partition + 1,
                after: 0,
            },
        };
        self.events += events.len() as u64;
        self.digested(events.into_iter().map(|event| Line::Event(Box::new(event))))
    }

    async fn commands(&mut self, after: Option<Uuid>) -> Result<String, StoreError> {
        let id = self.header.workspace.id;
        let page = self.store.commands(id, after, PAGE).await?;
        self.next = match page.last() {
            Some(last) => Next::Commands {
                after: Some(last.command_id),
            },
            None => Next::Trailer,
        };
        let mut lines = Vec::with_capacity(page.len());
        for command in page {
            // A later command belongs to events that are not in this export.
            if self.head.covers(&command.token()?) {
                lines.push(Line::Command(id, command));
            }
        }
        self.commands += lines.len() as u64;
        self.digested(lines)
    }

    fn trailer(&mut self) -> Result<String, StoreError> {
        self.next = Next::Nothing;
        let trailer = WorkspaceTrailer {
            events: self.events,
            commands: self.commands,
            sha256: hex::encode(self.digest.clone().finalize()),
        };
        self.digested([Line::End(self.header.workspace.id, trailer)])
    }

    fn digested(&mut self, lines: impl IntoIterator<Item = Line>) -> Result<String, StoreError> {
        let mut text = String::new();
        for line in lines {
            let line = line
                .to_json()
                .map_err(|error| StoreError::Corrupt(format!("an entry is not JSON: {error}")))?;
            if line.contains('\n') {
                return Err(StoreError::Corrupt("a payload has line feeds".to_owned()));
            }
            text.push_str(&line);
            text.push('\n');
        }
        self.digest.update(&text);
        Ok(text)
    }
}

/// The chain head of a partition at a position.
pub(super) async fn chain_head(
    store: &dyn EventStore,
    workspace: &Workspace,
    partition: u32,
    position: u64,
) -> Result<ChainHead, StoreError> {
    let Some(before) = position.checked_sub(1) else {
        return Ok(ChainHead::default());
    };
    let events = store.read_partition(workspace.id, partition, before, 1).await?;
    let [StoredEvent { hash, .. }] = events.as_slice() else {
        return Err(StoreError::Corrupt(format!(
            "event {position} of partition {partition} of workspace {} is not there",
            workspace.id
        )));
    };
    Ok(ChainHead {
        position,
        hash: hash.clone(),
    })
}

/// Reads a workspace as an export does, and writes nothing: an error means that it cannot be exported.
pub async fn check_export(store: &Arc<dyn EventStore>, workspace: Workspace) -> Result<(), StoreError> {
    let mut export = Export::begin(Arc::clone(store), workspace, ExportPart::WHOLE).await?;
    while export.next().await?.is_some() {}
    Ok(())
}

/// Exports workspaces of a store, one after the other.
pub async fn export_store(
    store: &Arc<dyn EventStore>,
    workspaces: Vec<Workspace>,
    out: &mut (dyn Write + Send),
) -> Result<Vec<(Workspace, u64, u64)>, MonitorError> {
    let mut exported = Vec::new();
    let of = workspaces.len() as u64;
    for (number, workspace) in (1..).zip(workspaces) {
        let part = ExportPart { number, of };
        let id = workspace.id;
        let named = |error: StoreError| MonitorError::Workspace {
            workspace: id,
            error: Box::new(error.into()),
        };
        let begun = Export::begin(Arc::clone(store), workspace.clone(), part).await;
        let mut export = begun.map_err(named)?;
        while let Some(lines) = export.next().await.map_err(named)? {
            out.write_all(lines.as_bytes())?;
        }
        let (events, commands) = export.counts();
        exported.push((workspace, events, commands));
    }
    out.flush()?;
    Ok(exported)
}

/// Exports the workspace of a token from a running server.
pub async fn export_server(remote: &Remote, out: &mut (dyn Write + Send)) -> Result<(), MonitorError> {
    let client = reqwest::Client::new();
    let mut response = request(&client, remote, Method::GET, "/api/v1/export").await?;
    while let Some(bytes) = response.chunk().await.map_err(|error| failed(&error))? {
        out.write_all(&bytes)?;
    }
    Ok(out.flush()?)
}
