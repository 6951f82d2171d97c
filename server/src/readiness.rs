//! Whether the boxes behind the gateway are ready. What a database says is logged, and not told: anyone may ask.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::EventStore;
use gateway::Readiness;
use identity::People;

use crate::read_side::ReadSide;

/// Asks the read side, the event store and the store of people.
#[derive(Debug)]
pub(crate) struct BoxesReadiness {
    /// Boxes 6 to 10.
    pub(crate) read_side: Arc<ReadSide>,
    /// Box 5.
    pub(crate) events: Arc<dyn EventStore>,
    /// Keys and credentials.
    pub(crate) people: Arc<People>,
}

#[async_trait]
impl Readiness for BoxesReadiness {
    async fn complaints(&self) -> Vec<String> {
        let mut complaints = self.read_side.complaints().await;
        if let Err(error) = self.events.ping().await {
            tracing::warn!(%error, "the event store does not answer");
            complaints.push("the event store does not answer".to_owned());
        }
        if let Err(error) = self.people.store().ping().await {
            tracing::warn!(%error, "what is kept of people does not answer");
            complaints.push("what is kept of people does not answer".to_owned());
        }
        complaints
    }
}
