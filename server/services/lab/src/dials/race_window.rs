//! The window between a decision and its append. It is a few milliseconds, so two decisions on one stream
//! seldom meet; here it is held open until another append of the stream has passed, which then has overtaken
//! the first.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::id::{StreamName, WorkspaceId};
use tokio::sync::Notify;

/// How long a window is open at most, if no other append comes.
const LONGEST: Duration = Duration::from_secs(1);

type StreamOf = (WorkspaceId, StreamName);

/// The open windows: one for each append that waits.
#[derive(Debug, Default)]
pub(super) struct RaceWindows(Mutex<HashMap<StreamOf, Arc<Notify>>>);

/// Closes the window that another append waits in, once this one is done.
#[derive(Debug, Default)]
pub(super) struct Overtaking(Option<Arc<Notify>>);

impl Drop for Overtaking {
    fn drop(&mut self) {
        if let Some(overtaken) = self.0.take() {
            overtaken.notify_one();
        }
    }
}

/// An open window. It is closed when it is dropped, also if its caller has gone away.
struct OpenWindow<'a> {
    windows: &'a RaceWindows,
    stream: StreamOf,
    overtaken: Arc<Notify>,
}

impl Drop for OpenWindow<'_> {
    fn drop(&mut self) {
        let mut open = self.windows.lock();
        // Otherwise another append has taken it.
        if open
            .get(&self.stream)
            .is_some_and(|other| Arc::ptr_eq(other, &self.overtaken))
        {
            open.remove(&self.stream);
        }
    }
}

impl RaceWindows {
    fn lock(&self) -> MutexGuard<'_, HashMap<StreamOf, Arc<Notify>>> {
        // Each change is one step: a panic leaves the map usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits in the window of a stream until another append has passed, or the window has been open for its
    /// longest. If an append waits there already, this one passes at once; it has overtaken the other when
    /// the answer is dropped. Cancel safe.
    pub(super) async fn pass(&self, workspace: WorkspaceId, stream: &StreamName) -> Overtaking {
        let stream = (workspace, stream.clone());
        let overtaken = Arc::<Notify>::default();
        match self.lock().entry(stream.clone()) {
            Entry::Occupied(open) => return Overtaking(Some(open.remove())),
            Entry::Vacant(closed) => {
                closed.insert(Arc::clone(&overtaken));
            }
        }
        let window = OpenWindow {
            windows: self,
            stream,
            overtaken,
        };
        // Either way the append goes on.
        let _ = tokio::time::timeout(LONGEST, window.overtaken.notified()).await;
        Overtaking::default()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;

    const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const ANOTHER: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

    fn mug() -> StreamName {
        "inventory-mug".parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_append_without_a_rival_waits_for_as_long_as_its_window_is_open() {
        let (windows, begun) = (RaceWindows::default(), Instant::now());
        drop(windows.pass(CLASS, &mug()).await);
        assert_eq!(begun.elapsed(), LONGEST);
        assert!(windows.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_appends_of_a_stream_the_later_one_overtakes() {
        let (windows, begun) = (RaceWindows::default(), Instant::now());
        let order = Mutex::new(Vec::new());
        let append = async |name: &'static str| {
            let overtaking = windows.pass(CLASS, &mug()).await;
            tokio::task::yield_now().await;
            order.lock().unwrap().push(name);
            drop(overtaking);
        };
        tokio::join!(append("first"), append("second"));
        assert_eq!(*order.lock().unwrap(), ["second", "first"]);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(windows.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn streams_and_workspaces_have_windows_of_their_own() {
        let (windows, begun) = (RaceWindows::default(), Instant::now());
        let pen = "inventory-pen".parse().unwrap();
        let mug = mug();
        tokio::join!(
            windows.pass(CLASS, &mug),
            windows.pass(CLASS, &pen),
            windows.pass(ANOTHER, &mug),
        );
        assert_eq!(begun.elapsed(), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn an_append_whose_caller_has_gone_away_leaves_no_window_open() {
        let windows = RaceWindows::default();
        let mug = mug();
        let gone = tokio::time::timeout(LONGEST / 2, windows.pass(CLASS, &mug)).await;
        assert!(gone.is_err() && windows.lock().is_empty());
        // And one that has overtaken and fails closes the other's.
        let ((), overtaken) = tokio::join!(
            async {
                drop(windows.pass(CLASS, &mug).await);
            },
            async {
                let overtaking = windows.pass(CLASS, &mug).await;
                let has_overtaken = overtaking.0.is_some();
                drop(overtaking);
                has_overtaken
            }
        );
        assert!(overtaken);
    }
}
