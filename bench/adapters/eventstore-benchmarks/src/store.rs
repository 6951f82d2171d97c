//! Our store as the suite wants it: a manager that starts and stops it, and adapters, one for each caller.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bench_core::adapter::{EventData, EventStoreAdapter, ReadEvent, ReadRequest, StoreManager};
use clock::{Clock as _, SharedClock, SystemClock};
use database::url::StoreUrl;
use domain::{
    access::{Actor, Role},
    event::{Metadata, StoredEvent},
    id::{StreamName, WorkspaceId},
    wire::Template,
};
use event_store::{Append, Direction, EventStore, Expected, NewEvent, StreamAppend, Workspace};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tempfile::TempDir;

/// The stream of events without a tag.
const UNTAGGED: &str = "stream-untagged";

/// The most events of a read without a limit.
const MOST: u64 = 1_000;

/// An event of the suite as JSON.
#[derive(Serialize, Deserialize)]
struct Payload {
    base64: String,
}

/// Starts and stops a store.
pub(crate) struct Foldline {
    url: Option<StoreUrl>,
    running: Option<Running>,
}

struct Running {
    adapter: Arc<Adapter>,
    /// Removed when this is dropped.
    _folder: Option<TempDir>,
}

/// A caller. All of them share a store, as the parts of a server do.
struct Adapter {
    store: Arc<dyn EventStore>,
    workspace: WorkspaceId,
    actor: Actor,
}

impl Foldline {
    pub(crate) const NAME: &'static str = "foldline";

    /// With an empty database, or with a new SQLite file.
    pub(crate) fn new(url: Option<StoreUrl>) -> Self {
        Self { url, running: None }
    }
}

#[async_trait]
impl StoreManager for Foldline {
    async fn start(&mut self) -> Result<()> {
        let (url, folder) = match &self.url {
            Some(url) => (url.clone(), None),
            None => {
                let folder = tempfile::Builder::new().prefix("foldline-suite.").tempdir()?;
                (folder.path().join("events.db").into(), Some(folder))
            }
        };
        let clock: SharedClock = Arc::new(SystemClock);
        let store = event_store::open(&url, clock, None).await?;
        store.register_types().await?;
        let workspace = Workspace {
            id: WorkspaceId(SystemClock.new_id()),
            name: "Suite".to_owned(),
            template: Template::Empty,
            // One partition: the suite's order is one as well.
            shards: 1,
            join_code: event_store::new_join_code(),
            created_at: SystemClock.now(),
        };
        ensure!(
            store.create_workspace(&workspace).await?,
            "the join code is taken"
        );
        let adapter = Adapter {
            store,
            workspace: workspace.id,
            actor: Actor {
                id: SystemClock.new_id(),
                role: Role::Educator,
                name: "Suite".to_owned(),
            },
        };
        self.running = Some(Running {
            adapter: Arc::new(adapter),
            _folder: folder,
        });
        Ok(())
    }

    /// There is no container.
    async fn pull(&mut self) -> Result<()> {
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        if let Some(running) = self.running.take() {
            running.adapter.store.close().await;
        }
        Ok(())
    }

    fn container_id(&self) -> Option<String> {
        None
    }

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn create_adapter(&self) -> Result<Arc<dyn EventStoreAdapter>> {
        let running = self.running.as_ref().context("the store is not started")?;
        Ok(running.adapter.clone())
    }
}

#[async_trait]
impl EventStoreAdapter for Adapter {
    /// The events of an append of the suite have the same tag. The suite expects no version.
    async fn append(&self, events: Vec<EventData>) -> Result<()> {
        let Some(first) = events.first() else {
            return Ok(());
        };
        let stream = first.tags.first().map_or(UNTAGGED, String::as_str);
        let stream: StreamName = stream.parse()?;
        let events: Result<Vec<NewEvent>> = events.into_iter().map(new_event).collect();
        let append = Append {
            workspace: self.workspace,
            body_digest: [7; 32],
            streams: vec![StreamAppend {
                stream,
                expected: Expected::Any,
                events: events?,
            }],
            max_events: None,
            metadata: Metadata {
                correlation_id: SystemClock.new_id(),
                causation_id: None,
                command_id: SystemClock.new_id(),
                actor: self.actor.reference(),
                traceparent: None,
            },
        };
        self.store.append(append).await?;
        Ok(())
    }

    async fn read(&self, request: ReadRequest) -> Result<Vec<ReadEvent>> {
        let stream: StreamName = request.stream.parse()?;
        let limit = u32::try_from(request.limit.unwrap_or(MOST).min(MOST))?;
        let from = request.from_offset.unwrap_or(1).max(1);
        let events = self
            .store
            .read_stream(self.workspace, &stream, from, Direction::Forwards, limit)
            .await?;
        events.into_iter().map(read_event).collect()
    }
}

fn new_event(event: EventData) -> Result<NewEvent> {
    let payload = Payload {
        base64: STANDARD.encode(&event.payload),
    };
    Ok(NewEvent {
        event_id: SystemClock.new_id(),
        event_type: event.event_type,
        schema_version: 1,
        payload: RawValue::from_string(serde_json::to_string(&payload)?)?,
    })
}

fn read_event(event: StoredEvent) -> Result<ReadEvent> {
    let payload: Payload = serde_json::from_str(event.payload.get())?;
    Ok(ReadEvent {
        offset: event.version,
        event_type: event.event_type,
        payload: STANDARD.decode(payload.base64)?,
        timestamp_ms: u64::try_from(event.recorded_at.as_millis())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_suite_appends_it_reads_back() {
        let mut store = Foldline::new(None);
        store.start().await.unwrap();
        let adapter = store.create_adapter().unwrap();
        let event = |payload: &[u8]| EventData {
            payload: payload.to_vec(),
            event_type: "test".to_owned(),
            tags: vec!["stream-1".to_owned()],
        };
        adapter
            .append(vec![event(&[0; 256]), event(b"\xff\n")])
            .await
            .unwrap();
        let request = |from_offset| ReadRequest {
            stream: "stream-1".to_owned(),
            from_offset,
            limit: Some(100),
        };
        let read = adapter.read(request(None)).await.unwrap();
        let found: Vec<_> = read
            .iter()
            .map(|event| (event.offset, event.payload.len()))
            .collect();
        assert_eq!(found, [(1, 256), (2, 2)]);
        assert_eq!(
            adapter.read(request(Some(2))).await.unwrap()[0].payload,
            b"\xff\n"
        );
        store.stop().await.unwrap();
    }
}
