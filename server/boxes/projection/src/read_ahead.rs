//! Reads the historical events of one partition ahead: while a batch is folded and committed, the next one is
//! read and decoded on another core. A batch is used only if it follows the lane's checkpoint; otherwise it
//! is read again.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{Context, handler::EventHandler, history::history, lane_error::LaneError};
use broker::{Events, PartitionId};

/// Reads the next batch of a partition in the background.
#[derive(Debug)]
pub(super) struct ReadAhead {
    context: Arc<Context>,
    handler: Arc<dyn EventHandler>,
    partition: PartitionId,
    /// The running read, and the position after which it starts.
    next: Option<(u64, JoinHandle<Result<Events, LaneError>>)>,
}

impl ReadAhead {
    pub(super) fn new(context: Arc<Context>, handler: Arc<dyn EventHandler>, partition: PartitionId) -> Self {
        Self {
            context,
            handler,
            partition,
            next: None,
        }
    }

    /// The next events after a position. If `goal` is beyond them, the batch after them is read in the
    /// background.
    pub(super) async fn events_after(&mut self, position: u64, goal: u64) -> Result<Events, LaneError> {
        let batch = match self.next.take() {
            Some((from, task)) if from == position => task.await.ok(),
            Some((_, task)) => {
                task.abort();
                None
            }
            None => None,
        };
        let events = match batch {
            Some(Ok(events)) => events,
            // A failed read is repeated, so that the caller gets the current error.
            _ => history(&self.context, &*self.handler, self.partition, position).await?,
        };
        let end = position + events.len() as u64;
        if end < goal {
            let (context, handler, partition) = (self.context.clone(), self.handler.clone(), self.partition);
            let task = tokio::spawn(async move { history(&context, &*handler, partition, end).await });
            self.next = Some((end, task));
        }
        Ok(events)
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        if let Some((_, task)) = self.next.take() {
            task.abort();
        }
    }
}
