//! The task that receives the commits of other servers, as long as the store is open.

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A running listener, which is stopped with the store.
pub(crate) struct ListenerTask {
    stopping: CancellationToken,
    task: TaskTracker,
}

impl ListenerTask {
    /// No listener: no other server writes, or there is no observer.
    pub(crate) fn none() -> Self {
        let task = TaskTracker::new();
        task.close();
        Self {
            stopping: CancellationToken::new(),
            task,
        }
    }

    /// Spawns a listener that never ends by itself.
    pub(crate) fn start(listener: impl Future<Output = ()> + Send + 'static) -> Self {
        let handle = Self::none();
        let stopping = handle.stopping.clone();
        handle.task.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = listener => {}
            }
        });
        handle
    }

    /// Stops the listener; when this returns, the observer is not called any more.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.task.wait().await;
    }
}
