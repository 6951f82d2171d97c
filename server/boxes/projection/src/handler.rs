//! What handles events: a projection, a process manager or a consumer. One runner has its lanes, whichever it is: checkpoints,
//! retries, dead letters, pauses and restarts are the same for all.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::view::AnyView;

use super::effect::{EffectError, Work};

/// Handles the events of every partition, each partition in order, by lanes of its own.
#[async_trait]
pub trait EventHandler: Send + Sync + Debug {
    /// The name of its lanes, in checkpoints, dead letters, metrics and `/settled`. It is stored, and never changes.
    fn name(&self) -> &'static str;

    /// The documents that events are folded into: of a projection and of a process manager. They change in the transaction
    /// that moves the checkpoint.
    fn documents(&self) -> Option<&'static dyn AnyView> {
        None
    }

    /// Does what is to be done about these events, durably; for a handler without documents. Some of them, or all, may have
    /// come before.
    async fn perform(&self, _work: &Work) -> Result<(), EffectError> {
        Ok(())
    }
}

/// A projection: a view, folded.
#[derive(Debug, Clone, Copy)]
pub struct Projection(pub &'static dyn AnyView);

impl EventHandler for Projection {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn documents(&self) -> Option<&'static dyn AnyView> {
        Some(self.0)
    }
}
