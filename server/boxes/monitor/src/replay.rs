//! `foldline replay`: folds a stream or a partition again, and shows the result of each event: the state that
//! decisions see, and the documents that people see.
//!
//! It only folds: it writes nothing, notifies no client and sends no command. The output follows from the
//! replayed events alone; a document that is folded from several streams is complete only if all of them are
//! replayed.

use std::{collections::BTreeMap, io::Write};

use domain::{
    event::{AnyAggregate, StoredEvent, before_first_event},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    view::{AnyView, FoldTarget},
};
use serde_json::{Value, json, value::RawValue};

use super::{
    terminal::{Format, MonitorError, find, write_event},
    verify::VerifyError,
};
use event_store::{Direction, EventStore, StoreError, Workspace};

/// Events that are read at a time.
const PAGE: u32 = 500;

/// The events to replay.
#[derive(Debug, Clone)]
pub enum Source {
    /// A stream.
    Stream(StreamName),
    /// A partition.
    Partition(u32),
}

/// How far to replay, and what to show.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// The last version of the stream, or the last position of the partition.
    pub to: Option<u64>,
    /// Only events that were recorded by then.
    pub at: Option<Timestamp>,
    /// Whether to show the states of aggregates.
    pub states: bool,
    /// The views whose documents to show.
    pub views: Vec<&'static dyn AnyView>,
}

/// Replays, and writes each event with its results.
pub async fn replay(
    store: &dyn EventStore,
    workspace: WorkspaceId,
    source: &Source,
    options: ReplayOptions,
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
    let (to, at) = (options.to.unwrap_or(u64::MAX), options.at);
    let mut replay_state = ReplayState {
        states: options.states.then(BTreeMap::new),
        views: options
            .views
            .into_iter()
            .map(|view| (view, BTreeMap::new()))
            .collect(),
    };
    let mut last_index = 0;
    loop {
        let page = read(store, &workspace, source, last_index).await?;
        if page.is_empty() {
            break;
        }
        for event in &page {
            let index = index(source, event);
            // The order is the log's, not the clock's: events after a later one are not shown either.
            if index > to || at.is_some_and(|at| event.recorded_at > at) {
                return Ok(out.flush()?);
            }
            last_index = index;
            replay_state.show(event, format, out)?;
        }
    }
    if last_index == 0
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
    last_index: u64,
) -> Result<Vec<StoredEvent>, StoreError> {
    match source {
        Source::Stream(stream) => {
            store
                .read_stream(workspace.id, stream, last_index + 1, Direction::Forwards, PAGE)
                .await
        }
        Source::Partition(partition) => {
            store
                .read_partition(workspace.id, *partition, last_index, PAGE)
                .await
        }
    }
}

fn index(source: &Source, event: &StoredEvent) -> u64 {
    match source {
        Source::Stream(_) => event.version,
        Source::Partition(_) => event.position,
    }
}

type Documents = BTreeMap<String, Box<dyn FoldTarget>>;

/// The states and documents after the events so far.
struct ReplayState {
    states: Option<BTreeMap<StreamName, Box<dyn AnyAggregate>>>,
    views: Vec<(&'static dyn AnyView, Documents)>,
}

impl ReplayState {
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
        for (view, foldings) in &mut self.views {
            for key in view.keys(&typed) {
                let folding = match foldings.entry(key.clone()) {
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
