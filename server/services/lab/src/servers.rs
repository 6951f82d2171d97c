//! How the lab keeps up with what other servers have stored.

use std::time::Duration;

/// How often what other servers may change is read again, and what they read is said again: a message may be
/// lost.
pub(crate) const RENEWAL: Duration = Duration::from_secs(30);

/// How long after a failure it is tried again.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
