//! The task that receives the commits of other servers, as long as the store is open.

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

/// A running listener, which is stopped with the store.
pub(crate) struct ListenerTask {
    /// Identifies this server in its messages; nil without a listener, which would ignore them.
    origin: Uuid,
    stopping: CancellationToken,
    task: TaskTracker,
}

impl ListenerTask {
    /// No listener: no other server writes, or there is no observer.
    pub(crate) fn none() -> Self {
        let task = TaskTracker::new();
        task.close();
        Self {
            origin: Uuid::nil(),
            stopping: CancellationToken::new(),
            task,
        }
    }

    /// Spawns a listener that never ends by itself, for the server `origin`.
    pub(crate) fn start(origin: Uuid, listener: impl Future<Output = ()> + Send + 'static) -> Self {
        let handle = Self {
            origin,
            ..Self::none()
        };
        let stopping = handle.stopping.clone();
        handle.task.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = listener => {}
            }
        });
        handle
    }

    /// Identifies this server in its messages.
    pub(crate) fn origin(&self) -> Uuid {
        self.origin
    }

    /// Stops the listener; when this returns, the observer is not called any more.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.task.wait().await;
    }
}
