//! Work that reads a whole log: the verification and the export of a workspace.
//!
//! Each is done once at a time for a workspace; a second request is told to come back. A pool bounds how much
//! is done at a time in all, and an address has only a part of it: so other tenants find a place. The client
//! of an export may be slow, so an export takes a place for each page and not for all the time that it lasts.

use std::{num::NonZeroUsize, sync::Arc};

use domain::id::WorkspaceId;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    ApiProblem, Client, Limit, refuse_busy,
    turns::{Turn, Turns},
};

/// The fewest places of the pool: one for another address than the one that has taken its part.
const FEWEST_PLACES: usize = 2;
/// The most requests of an address that work or wait.
const MOST_OF_ADDRESS: usize = 64;

/// Bounds the heavy work of all workspaces.
#[derive(Debug)]
pub(crate) struct HeavyWork {
    verifications: Arc<Turns<WorkspaceId>>,
    exports: Arc<Turns<WorkspaceId>>,
    addresses: Arc<Turns<Client>>,
    pool: Semaphore,
}

/// A place in the pool.
#[derive(Debug)]
#[must_use]
pub(crate) struct Place<'a> {
    _permit: Option<SemaphorePermit<'a>>,
    _turn: Turn<Client>,
}

/// The right to be the only one of its kind in a workspace.
pub(crate) type OnlyOne = Turn<WorkspaceId>;

impl HeavyWork {
    /// A pool for this machine. Where requests are not limited, as in a server for tests, a second request
    /// for a workspace waits for the first.
    pub(crate) fn new(is_limited: bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let places = (cores / 2).max(FEWEST_PLACES);
        let (of_workspace, of_address) = if is_limited {
            (1, MOST_OF_ADDRESS)
        } else {
            (usize::MAX, usize::MAX)
        };
        Self {
            verifications: Turns::new(1, of_workspace),
            exports: Turns::new(1, of_workspace),
            addresses: Turns::new(places / 2, of_address),
            pool: Semaphore::new(places),
        }
    }

    /// Begins to verify a workspace, unless that is under way.
    pub(crate) async fn verification(&self, workspace: WorkspaceId) -> Result<OnlyOne, ApiProblem> {
        let turn = self.verifications.take(workspace).await;
        turn.ok_or_else(|| refuse_busy(Limit::HeavyWork, "this workspace is being verified"))
    }

    /// Begins to export a workspace, unless that is under way.
    pub(crate) async fn export(&self, workspace: WorkspaceId) -> Result<OnlyOne, ApiProblem> {
        let turn = self.exports.take(workspace).await;
        turn.ok_or_else(|| refuse_busy(Limit::HeavyWork, "this workspace is being exported"))
    }

    /// Waits for a place in the pool.
    pub(crate) async fn place(&self, address: Client) -> Result<Place<'_>, ApiProblem> {
        let turn = self.addresses.take(address).await;
        let turn = turn
            .ok_or_else(|| refuse_busy(Limit::HeavyWork, "too many verifications and exports are waiting"))?;
        Ok(Place {
            // The semaphore is never closed; without a permit the work would be done all the same.
            _permit: self.pool.acquire().await.ok(),
            _turn: turn,
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::{http::header::RETRY_AFTER, response::IntoResponse as _};
    use futures::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    fn workspace(n: u128) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(n))
    }

    fn address(n: u8) -> Client {
        Client::of_address(Some([192, 0, 2, n].into()))
    }

    #[tokio::test]
    async fn a_workspace_is_verified_once_at_a_time_and_another_at_the_same_time() {
        let work = HeavyWork::new(true);
        let first = work.verification(workspace(1)).await.unwrap();
        let refused = work.verification(workspace(1)).await.unwrap_err().into_response();
        assert_eq!(refused.status(), 409);
        assert!(refused.headers().contains_key(RETRY_AFTER));
        let _other = work.verification(workspace(2)).await.unwrap();
        let _export = work.export(workspace(1)).await.unwrap();
        drop(first);
        let _again = work.verification(workspace(1)).await.unwrap();
    }

    #[tokio::test]
    async fn without_limits_the_second_request_for_a_workspace_waits() {
        let work = HeavyWork::new(false);
        let first = work.verification(workspace(1)).await.unwrap();
        let mut second = Box::pin(work.verification(workspace(1)));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn an_address_that_takes_all_it_can_leaves_a_place_to_another() {
        let work = HeavyWork::new(true);
        let mut waiting = Vec::new();
        for _ in 0..MOST_OF_ADDRESS {
            let mut place = Box::pin(work.place(address(1)));
            let taken = place.as_mut().now_or_never();
            waiting.push((taken, place));
        }
        assert!(waiting.iter().any(|(taken, _)| taken.is_none()));
        assert!(work.place(address(1)).await.is_err());
        assert!(work.place(address(2)).now_or_never().is_some());
    }
}
