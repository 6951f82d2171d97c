//! The subscriptions of a connection to the hops of its workspace's pipeline, which the lab serves.
//!
//! They are few, and most connections have none, so they are in memory of their own.

use domain::wire::ServerFrame;
use futures::{FutureExt as _, future::select_all};

use crate::problem::ApiProblem;
use lab::hops::{HopBatch, HopSubscription};
use query::{QueryError, live::hub::SubscriptionPermit};

/// The most subscriptions of a connection to hops: a page needs one.
const MOST: usize = 4;

/// A subscription, with what it counts for.
#[derive(Debug)]
struct FollowedHops {
    /// The client's name for it.
    id: u64,
    subscription: HopSubscription,
    _permit: SubscriptionPermit,
}

/// The subscriptions of one connection.
#[derive(Debug, Default)]
pub(super) struct HopSubscriptions(Vec<FollowedHops>);

impl HopSubscriptions {
    /// Refuses one more than a connection may have.
    pub(super) fn require_room(&self) -> Result<(), ApiProblem> {
        if self.0.len() < MOST {
            return Ok(());
        }
        let problem = ApiProblem::from(QueryError::TooManySubscriptions(MOST));
        let detail = format!("a connection has at most {MOST} subscriptions to hops");
        Err(problem.with(|problem| problem.detail = detail))
    }

    /// Adds a subscription under an id that is free.
    pub(super) fn add(&mut self, id: u64, subscription: HopSubscription, permit: SubscriptionPermit) {
        self.0.push(FollowedHops {
            id,
            subscription,
            _permit: permit,
        });
    }

    /// Ends a subscription; an unknown id is no error. Returns whether none is left.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        self.0.retain(|followed| followed.id != id);
        self.0.is_empty()
    }

    /// The next frame of any of them. Cancel safe.
    async fn next(&mut self) -> Box<ServerFrame> {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let each = self.0.iter_mut().map(|followed| {
            let id = followed.id;
            Box::pin(followed.subscription.next().map(move |batch| (id, batch)))
        });
        let ((id, batch), _, _) = select_all(each).await;
        let HopBatch {
            data,
            merged,
            dropped,
        } = batch;
        Box::new(ServerFrame::Hops {
            id,
            data,
            merged,
            dropped,
        })
    }
}

/// The next hops of a connection; without a subscription to them, there are never any.
pub(super) async fn next_hops(subscriptions: Option<&mut HopSubscriptions>) -> Box<ServerFrame> {
    match subscriptions {
        // In memory of its own: a connection that does not show them needs little.
        Some(subscriptions) => Box::pin(subscriptions.next()).await,
        None => std::future::pending().await,
    }
}
