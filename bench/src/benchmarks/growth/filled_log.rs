//! An event store that is filled before a server starts on it.

use anyhow::Result;
use domain::id::{StreamName, WorkspaceId};
use event_store::{Expected, StreamAppend};
use serde_json::value::RawValue;

use crate::{
    databases::{BenchDatabases, Database},
    ours::{STREAM, Shop, event},
    outside::Storage,
    report,
};

/// The streams that are filled in one append.
const STREAMS: u64 = 100;

/// How often its progress is written, in events.
const PROGRESS: u64 = 100_000;

/// The event that it consists of.
pub(super) const EVENT_TYPE: &str = "StockReceived";
pub(crate) const PAYLOAD: &str = r#"{"quantity":1}"#;

/// The storage of a filled event store.
#[derive(Debug)]
pub(crate) struct FilledLog {
    pub(crate) storage: Storage,
    pub(crate) workspace: WorkspaceId,
}

impl FilledLog {
    /// One of its documents.
    pub(crate) const DOCUMENT: &'static str = "/api/v1/views/inventory/filled-0";

    /// Fills a new store. The store is still open; a server needs it closed.
    pub(crate) async fn new(
        database: Database,
        bench_databases: &BenchDatabases,
        events: u64,
    ) -> Result<(Self, Shop)> {
        let storage = Storage::new(database, bench_databases, "ours").await?;
        let shop = Shop::open(&storage.event_store()?, None).await?;
        let payload = RawValue::from_string(PAYLOAD.to_owned())?;
        let streams = events / STREAM;
        for first in (0..streams).step_by(usize::try_from(STREAMS)?) {
            if (first * STREAM).is_multiple_of(PROGRESS) {
                report::step(&format!("{} of {events} events are stored", first * STREAM));
            }
            let mut filled = Vec::new();
            for number in first..streams.min(first + STREAMS) {
                let events = (0..STREAM).map(|_| event(EVENT_TYPE, payload.clone()));
                filled.push(StreamAppend {
                    stream: StreamName::new("inventory", format_args!("filled-{number}"))?,
                    expected: Expected::Exact(0),
                    events: events.collect(),
                });
            }
            let mut append = shop.append("inventory-filled".parse()?, Expected::Any, Vec::new());
            append.streams = filled;
            shop.store.append(append).await?;
        }
        let workspace = shop.workspace;
        Ok((Self { storage, workspace }, shop))
    }
}
