//! Our boxes, opened as the server opens them, with a workspace.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use clock::{Clock as _, SharedClock, SystemClock};
use database::url::StoreUrl;
use domain::{
    access::{Actor, Role},
    event::Metadata,
    id::{StreamName, WorkspaceId},
    wire::Template,
};
use event_store::{Append, CommitObserver, EventStore, Expected, NewEvent, StreamAppend, Workspace};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The partitions of the workspace: one, so that ours does not run in parallel what a peer runs serially.
const SHARDS: u32 = 1;

/// An event store with a workspace.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) workspace: WorkspaceId,
    pub(crate) actor: Actor,
}

/// The machine's clock.
pub(crate) fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

impl Shop {
    /// Opens the store and creates a workspace in it.
    pub(crate) async fn open(url: &StoreUrl, observer: Option<Arc<dyn CommitObserver>>) -> Result<Self> {
        let store = event_store::open(url, clock(), observer).await?;
        let unreadable = store.register_types().await?.unreadable;
        ensure!(unreadable.is_empty(), "a new store has events: {unreadable:?}");
        let workspace = Workspace {
            id: WorkspaceId(SystemClock.new_id()),
            name: "Bench".to_owned(),
            template: Template::Empty,
            shards: SHARDS,
            join_code: "BENCH-1".to_owned(),
            created_at: SystemClock.now(),
        };
        ensure!(
            store.create_workspace(&workspace).await?,
            "the join code is taken"
        );
        let actor = Actor {
            id: SystemClock.new_id(),
            role: Role::Educator,
            name: "Ada".to_owned(),
        };
        Ok(Self {
            store,
            workspace: workspace.id,
            actor,
        })
    }

    /// An append to one stream, as the command service makes it.
    pub(crate) fn append(&self, stream: StreamName, expected: Expected, events: Vec<NewEvent>) -> Append {
        Append {
            workspace: self.workspace,
            body_digest: [7; 32],
            streams: vec![StreamAppend {
                stream,
                expected,
                events,
            }],
            max_events: None,
            metadata: Metadata {
                correlation_id: SystemClock.new_id(),
                causation_id: None,
                command_id: SystemClock.new_id(),
                actor: self.actor.reference(),
                traceparent: None,
            },
        }
    }
}

/// An event in the first schema version of its type.
pub(crate) fn event(event_type: &str, payload: Box<RawValue>) -> NewEvent {
    NewEvent {
        event_id: SystemClock.new_id(),
        event_type: event_type.to_owned(),
        schema_version: 1,
        payload,
    }
}

/// An order of two lines as JSON; with the other fields of an event it has about 430 bytes.
pub(crate) fn order_created(customer: Uuid) -> String {
    format!(
        concat!(
            r#"{{"customer":{{"id":"{}","name":"Ada"}},"lines":["#,
            r#"{{"sku":"mug-01","name":"Mug","price":{{"amount":1290,"currency":"EUR"}},"quantity":2}},"#,
            r#"{{"sku":"tea-07","name":"Darjeeling, 100 g","price":{{"amount":890,"currency":"EUR"}},"#,
            r#""quantity":1}}],"total":{{"amount":3470,"currency":"EUR"}},"payment_method":"tok_ok"}}"#,
        ),
        customer
    )
}

/// The length at which a caller begins another stream: most streams of a shop are short.
pub(crate) const STREAM: u64 = 10;

/// Waits briefly for another task.
pub(crate) async fn short_pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
