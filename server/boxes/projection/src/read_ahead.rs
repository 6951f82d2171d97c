//! Historical events of one partition, read ahead: while a batch is folded and committed, the next one is read and decoded
//! on another core. What was read ahead is only used where the lane then stands; else it is read again.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{Context, history::history, lane_error::LaneError};
use broker::{Events, PartitionId};

/// See the module.
#[derive(Debug)]
pub(super) struct ReadAhead {
    context: Arc<Context>,
    partition: PartitionId,
    /// What is being read, and behind which position.
    next: Option<(u64, JoinHandle<Result<Events, LaneError>>)>,
}

impl ReadAhead {
    pub(super) fn new(context: Arc<Context>, partition: PartitionId) -> Self {
        Self {
            context,
            partition,
            next: None,
        }
    }

    /// The next events behind a position. Where `goal` lies behind them, it goes on reading.
    pub(super) async fn behind(&mut self, position: u64, goal: u64) -> Result<Events, LaneError> {
        let ahead = match self.next.take() {
            Some((from, task)) if from == position => task.await.ok(),
            Some((_, task)) => {
                task.abort();
                None
            }
            None => None,
        };
        let events = match ahead {
            Some(Ok(events)) => events,
            // whatever was wrong a moment ago, the caller hears of what is wrong now
            _ => history(&self.context, self.partition, position).await?,
        };
        let end = position + events.len() as u64;
        if end < goal {
            let (context, partition) = (self.context.clone(), self.partition);
            let task = tokio::spawn(async move { history(&context, partition, end).await });
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
