//! Which workspaces are watched, and where their hops go.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, LazyLock, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use domain::{id::WorkspaceId, wire::hops::Hop};

/// Receives the hops of a workspace while it is watched.
pub trait HopSink: Send + Sync + fmt::Debug {
    /// Takes a hop. It is called where the span of the hop is closed, in the middle of the work of a box, so
    /// it must not block.
    fn record(&self, hop: Hop);
}

/// The number of watches of all workspaces: what a box asks first.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// The sinks of each watched workspace.
type Sinks = HashMap<WorkspaceId, Vec<Arc<dyn HopSink>>>;

static SINKS: LazyLock<RwLock<Sinks>> = LazyLock::new(RwLock::default);

/// A watched workspace; not watched by this any more when it is dropped.
#[derive(Debug)]
#[must_use = "a watch lasts until it is dropped"]
pub struct Watch {
    workspace: WorkspaceId,
    sink: Arc<dyn HopSink>,
}

/// Watches a workspace: from now on its hops are made, and each goes to this sink, beside those of other
/// watches.
pub fn watch(workspace: WorkspaceId, sink: Arc<dyn HopSink>) -> Watch {
    let mut sinks = SINKS.write().unwrap_or_else(PoisonError::into_inner);
    sinks.entry(workspace).or_default().push(Arc::clone(&sink));
    WATCHES.fetch_add(1, Ordering::Relaxed);
    Watch { workspace, sink }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut sinks = SINKS.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_workspace) = sinks.get_mut(&self.workspace) {
            if let Some(at) = of_workspace.iter().position(|sink| Arc::ptr_eq(sink, &self.sink)) {
                of_workspace.remove(at);
            }
            if of_workspace.is_empty() {
                sinks.remove(&self.workspace);
            }
        }
        WATCHES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether any workspace is watched.
pub(super) fn is_any_watched() -> bool {
    WATCHES.load(Ordering::Relaxed) > 0
}

/// Whether hops of this workspace are to be made.
pub fn is_watched(workspace: WorkspaceId) -> bool {
    is_any_watched()
        && SINKS
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&workspace)
}

/// Hands a hop to every watch of its workspace.
pub(super) fn record(workspace: WorkspaceId, hop: &Hop) {
    // Cloned, so that a sink is called without the lock.
    let sinks = SINKS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&workspace)
        .cloned()
        .unwrap_or_default();
    for sink in sinks {
        sink.record(hop.clone());
    }
}
