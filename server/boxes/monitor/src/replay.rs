//! `foldline replay`: folds a stream or a partition again, and shows what came of each event: the state that decisions see, and
//! the documents that people see.
//!
//! Nothing but folds: nothing is written, nobody is told, no command is sent. What is shown follows from the replayed events
//! alone; a document that is folded from several streams is whole only where all of them are replayed.

use std::{collections::BTreeMap, io::Write};

use domain::{
    event::{AnyAggregate, StoredEvent, before_first_event},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    view::{AnyView, Folding},
};
use serde_json::{Value, json, value::RawValue};

use super::{
    terminal::{Format, MonitorError, find, write_event},
    verify::VerifyError,
};
use event_store::{Direction, EventStore, StoreError, Workspace};

/// Events that are read at a time.
const PAGE: u32 = 500;

/// What is replayed.
#[derive(Debug, Clone)]
pub enum Source {
    /// A stream.
    Stream(StreamName),
    /// A partition.
    Partition(u32),
}

/// How far, and what of it is shown.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The last version of the stream, or the last position of the partition.
    pub to: Option<u64>,
    /// Only what was recorded by then.
    pub at: Option<Timestamp>,
    /// Whether the states of aggregates are shown.
    pub states: bool,
    /// The views whose documents are shown.
    pub views: Vec<&'static dyn AnyView>,
}

/// Replays, and writes each event with what came of it.
pub async fn replay(
    store: &dyn EventStore,
    workspace: WorkspaceId,
    source: &Source,
    wanted: Wanted,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    let workspace = find(store, workspace).await?;
    if let Source::Partition(partition) = source
        && *partition >= workspace.shards
    {
        let last = workspace.shards.saturating_sub(1);
        return Err(MonitorError::Nothing(format!(
            "the workspace has partitions 0 to {last}"
        )));
    }
    let (to, at) = (wanted.to.unwrap_or(u64::MAX), wanted.at);
    let mut folded = Folded {
        states: wanted.states.then(BTreeMap::new),
        views: wanted
            .views
            .into_iter()
            .map(|view| (view, BTreeMap::new()))
            .collect(),
    };
    let mut seen = 0;
    loop {
        let page = read(store, &workspace, source, seen).await?;
        if page.is_empty() {
            break;
        }
        for event in &page {
            let place = place(source, event);
            // The order is the log's, not the clock's: what stands behind a later event is not shown either.
            if place > to || at.is_some_and(|at| event.recorded_at > at) {
                return Ok(out.flush()?);
            }
            seen = place;
            folded.show(event, format, out)?;
        }
    }
    if seen == 0
        && let Source::Stream(stream) = source
    {
        return Err(MonitorError::Nothing(format!("there is no stream {stream}")));
    }
    Ok(out.flush()?)
}

async fn read(
    store: &dyn EventStore,
    workspace: &Workspace,
    source: &Source,
    seen: u64,
) -> Result<Vec<StoredEvent>, StoreError> {
    match source {
        Source::Stream(stream) => {
            store
                .read_stream(workspace.id, stream, seen + 1, Direction::Forwards, PAGE)
                .await
        }
        Source::Partition(partition) => store.read_partition(workspace.id, *partition, seen, PAGE).await,
    }
}

fn place(source: &Source, event: &StoredEvent) -> u64 {
    match source {
        Source::Stream(_) => event.version,
        Source::Partition(_) => event.position,
    }
}

type Documents = BTreeMap<String, Box<dyn Folding>>;

/// What the events so far come to.
struct Folded {
    states: Option<BTreeMap<StreamName, Box<dyn AnyAggregate>>>,
    views: Vec<(&'static dyn AnyView, Documents)>,
}

impl Folded {
    fn show(
        &mut self,
        event: &StoredEvent,
        format: Format,
        out: &mut (dyn Write + Send),
    ) -> Result<(), MonitorError> {
        let typed = match event.decode() {
            Ok(typed) => typed,
            Err(error) => return Err(MonitorError::Nothing(error.to_string())),
        };
        let mut state = None;
        if let Some(states) = &mut self.states {
            if !states.contains_key(&event.stream)
                && let Some(aggregate) = before_first_event(event.stream.category())
            {
                states.insert(event.stream.clone(), aggregate);
            }
            if let Some(aggregate) = states.get_mut(&event.stream) {
                aggregate.evolve(&typed.payload);
                state = Some(aggregate.state().map_err(std::io::Error::from)?);
            }
        }
        let mut documents: Vec<(&str, String, Option<Box<RawValue>>)> = Vec::new();
        for (view, folded) in &mut self.views {
            for key in view.keys(&typed) {
                let folding = match folded.entry(key.clone()) {
                    std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        let folding = view.load(entry.key(), None).map_err(VerifyError::from)?;
                        entry.insert(folding)
                    }
                };
                folding.fold(&typed);
                let document = folding.document().map_err(VerifyError::from)?;
                documents.push((view.name(), key, document));
            }
        }
        match format {
            Format::Text => {
                write_event(event, format, out)?;
                if let Some(state) = state {
                    writeln!(out, "            state  {state}")?;
                }
                for (view, key, document) in documents {
                    let document = document.as_deref().map_or("none", RawValue::get);
                    writeln!(out, "            {view}/{key}  {document}")?;
                }
            }
            Format::Json => {
                let documents: Vec<Value> = documents
                    .into_iter()
                    .map(|(view, key, data)| json!({"view": view, "key": key, "data": data}))
                    .collect();
                let line = json!({"event": event, "state": state, "documents": documents});
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }
}
