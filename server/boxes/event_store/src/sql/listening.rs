//! The task that hears what other servers commit, as long as the store is open.

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The way to a listener that runs.
pub(crate) struct Listening {
    stopping: CancellationToken,
    task: TaskTracker,
}

impl Listening {
    /// There is no listener: no other server writes, or there is no observer.
    pub(crate) fn none() -> Self {
        let task = TaskTracker::new();
        task.close();
        Self {
            stopping: CancellationToken::new(),
            task,
        }
    }

    /// Runs a listener, which never ends by itself.
    pub(crate) fn start(listener: impl Future<Output = ()> + Send + 'static) -> Self {
        let listening = Self::none();
        let stopping = listening.stopping.clone();
        listening.task.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = listener => {}
            }
        });
        listening
    }

    /// Tells nothing more.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.task.wait().await;
    }
}
