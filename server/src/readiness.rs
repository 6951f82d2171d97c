//! Whether the boxes behind the gateway are ready. A database's messages are logged and not returned, because
//! the endpoint is public.

mod write_probe;

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{EventStore, StoreError};
use gateway::Readiness;
use identity::People;

use crate::read_side::ReadSide;
use write_probe::FULL;
pub(crate) use write_probe::WriteProbe;

/// Checks the read side, the event store, the store of users, and whether the disk takes writes.
#[derive(Debug)]
pub(crate) struct BoxesReadiness {
    /// Boxes 6 to 10.
    pub(crate) read_side: Arc<ReadSide>,
    /// Box 5.
    pub(crate) events: Arc<dyn EventStore>,
    /// The store of keys and credentials.
    pub(crate) people: Arc<People>,
    /// Writes to the disk.
    pub(crate) write_probe: WriteProbe,
}

#[async_trait]
impl Readiness for BoxesReadiness {
    async fn unready_reasons(&self) -> Vec<String> {
        let mut unready_reasons = self.read_side.unready_reasons().await;
        match self.events.ping().await {
            Ok(()) => {}
            Err(StoreError::Full(error)) => {
                tracing::warn!(error, "the event store has no room for writes");
                unready_reasons.push(FULL.to_owned());
            }
            Err(error) => {
                tracing::warn!(%error, "the event store does not answer");
                unready_reasons.push("the event store does not answer".to_owned());
            }
        }
        if let Err(error) = self.people.store().ping().await {
            tracing::warn!(%error, "the store of users does not answer");
            unready_reasons.push("the store of users does not answer".to_owned());
        }
        if let Err(error) = self.write_probe.write().await {
            tracing::warn!(?error, "the disk takes no writes");
            unready_reasons.push(error.to_string());
            unready_reasons.dedup();
        }
        unready_reasons
    }
}
