//! Waiting for the next moment at which something is due, if there is one.

use tokio::time::{Instant, sleep_until};

/// Waits until an instant; without one, without end.
pub(crate) async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
