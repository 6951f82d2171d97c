//! The clock that all boxes share: the machine's, which also knows the clocks of workspaces.

use std::sync::{Arc, OnceLock, Weak};

use clock::{Clock, SharedClock};
use domain::{id::WorkspaceId, timestamp::Timestamp};
use uuid::Uuid;

use super::Clocks;

/// The machine's clock, with the times of workspaces. The event store opens before the process store, which
/// has the clocks of workspaces: it is told of them by [`follow`](Self::follow).
#[derive(Debug)]
pub struct LogClock {
    machine: SharedClock,
    clocks: OnceLock<Weak<Clocks>>,
}

impl LogClock {
    /// The machine's clock; every workspace has its time until the clocks of workspaces are followed.
    pub fn new(machine: SharedClock) -> Arc<Self> {
        Arc::new(Self {
            machine,
            clocks: OnceLock::new(),
        })
    }

    /// Takes the times of workspaces from these clocks; the first ones count.
    pub fn follow(&self, clocks: &Arc<Clocks>) {
        self.clocks.get_or_init(|| Arc::downgrade(clocks));
    }
}

impl Clock for LogClock {
    fn now(&self) -> Timestamp {
        self.machine.now()
    }

    /// The time of a workspace whose clock was read here; of another one, that of the machine.
    fn now_in(&self, workspace: WorkspaceId) -> Timestamp {
        let clocks = self.clocks.get().and_then(Weak::upgrade);
        let logged = clocks.and_then(|clocks| clocks.logged(workspace));
        logged.unwrap_or_else(|| self.now())
    }

    fn new_id(&self) -> Uuid {
        self.machine.new_id()
    }
}
