//! Time, ids and randomness: the only place of the server that asks the machine for them.
//!
//! All other code takes a [`Clock`], so that a test can set the time.

use std::{fmt::Debug, sync::Arc, time::SystemTime};

use domain::{id::WorkspaceId, timestamp::Timestamp};
use uuid::Uuid;

/// The source of time and ids.
pub trait Clock: Send + Sync + Debug {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;

    /// Now, by the clock of a workspace: that of its events and timers. By default, workspaces have no other
    /// time than this clock.
    fn now_in(&self, _workspace: WorkspaceId) -> Timestamp {
        self.now()
    }

    /// A new UUIDv7: its first 48 bits are the clock's milliseconds, the rest is random.
    fn new_id(&self) -> Uuid {
        let millis = u64::try_from(self.now().as_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
    }
}

/// A clock that the boxes share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one source of time")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}
