//! The subscriptions of a connection to what the lab shows of its workspace: the hops of the pipeline, the
//! dials, the lights of invariants, and the class.
//!
//! They are few, and many connections have none, so they are in memory of their own.

use std::sync::Arc;

use domain::wire::{DialsAnswer, InvariantsAnswer, LabTopic};
use futures::future::select_all;
use serde_json::Value;

use crate::problem::ApiProblem;
use lab::{
    class::{ClassNow, ClassSubscription},
    dials::DialSubscription,
    hops::{HopBatch, HopSubscription},
    invariants::InvariantSubscription,
};
use query::{QueryError, live::hub::SubscriptionPermit};

/// The most subscriptions of a connection to one topic: a page needs one.
const MOST: usize = 4;

/// What is followed.
#[derive(Debug)]
pub(super) enum Followed {
    /// The hops of the pipeline.
    Hops(HopSubscription),
    /// The dials.
    Dials(DialSubscription),
    /// The lights of invariants.
    Invariants(InvariantSubscription),
    /// The class.
    Class(ClassSubscription),
}

impl Followed {
    const fn topic(&self) -> LabTopic {
        match self {
            Self::Hops(_) => LabTopic::Hops,
            Self::Dials(_) => LabTopic::Dials,
            Self::Invariants(_) => LabTopic::Invariants,
            Self::Class(_) => LabTopic::Class,
        }
    }

    async fn next(&mut self) -> LabNews {
        match self {
            Self::Hops(subscription) => LabNews::Hops(subscription.next().await),
            Self::Dials(subscription) => LabNews::Dials(subscription.next().await),
            Self::Invariants(subscription) => LabNews::Invariants(subscription.next().await),
            Self::Class(subscription) => LabNews::Class(subscription.next().await),
        }
    }
}

/// What there is to tell of a topic.
#[derive(Debug)]
pub(super) enum LabNews {
    /// Hops of the pipeline.
    Hops(HopBatch),
    /// The present dials, with sealed names.
    Dials(Arc<DialsAnswer>),
    /// The present lights.
    Invariants(Arc<InvariantsAnswer>),
    /// The present class, with sealed names.
    Class(Arc<ClassNow>),
}

/// A subscription, with what it counts for.
#[derive(Debug)]
struct LabSubscription {
    /// The client's name for it.
    id: u64,
    followed: Followed,
    /// What was sent last, where the same is not sent again.
    sent: Option<Value>,
    _permit: SubscriptionPermit,
}

/// The subscriptions of one connection.
#[derive(Debug, Default)]
pub(super) struct LabSubscriptions(Vec<LabSubscription>);

impl LabSubscriptions {
    /// Refuses one more of a topic than a connection may have.
    pub(super) fn require_room(&self, topic: LabTopic) -> Result<(), ApiProblem> {
        let of_topic = self.0.iter().filter(|one| one.followed.topic() == topic);
        if of_topic.count() < MOST {
            return Ok(());
        }
        let what = match topic {
            LabTopic::Hops => "hops",
            LabTopic::Dials => "dials",
            LabTopic::Invariants => "invariants",
            LabTopic::Class => "the class",
        };
        let problem = ApiProblem::from(QueryError::TooManySubscriptions(MOST));
        let detail = format!("a connection has at most {MOST} subscriptions to {what}");
        Err(problem.with(|problem| problem.detail = detail))
    }

    /// Adds a subscription under an id that is free.
    pub(super) fn add(&mut self, id: u64, followed: Followed, permit: SubscriptionPermit) {
        self.0.push(LabSubscription {
            id,
            followed,
            sent: None,
            _permit: permit,
        });
    }

    /// Notes what is about to be sent; `false`: it was sent before, or the subscription has ended.
    pub(super) fn is_news(&mut self, id: u64, data: &Value) -> bool {
        let Some(one) = self.0.iter_mut().find(|one| one.id == id) else {
            return false;
        };
        let is_news = one.sent.as_ref() != Some(data);
        if is_news {
            one.sent = Some(data.clone());
        }
        is_news
    }

    /// Ends a subscription; an unknown id is no error. Returns whether none is left.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        self.0.retain(|one| one.id != id);
        self.0.is_empty()
    }

    /// The next news of any of them, and the client's name for it. Cancel safe.
    async fn next(&mut self) -> (u64, LabNews) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let each = self.0.iter_mut().map(|one| {
            let id = one.id;
            Box::pin(async move { (id, one.followed.next().await) })
        });
        let (news, _, _) = select_all(each).await;
        news
    }
}

/// The next news of the lab for a connection; without a subscription to them, there are never any.
pub(super) async fn next_news(subscriptions: Option<&mut LabSubscriptions>) -> Box<(u64, LabNews)> {
    match subscriptions {
        // In memory of its own: a connection that does not show them needs little.
        Some(subscriptions) => Box::new(Box::pin(subscriptions.next()).await),
        None => std::future::pending().await,
    }
}
