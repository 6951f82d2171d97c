//! The view `notifications`, a document per person and event: what people are told about their orders, and whether they have
//! read it. What is told by mail is the same: see [`notice`].
//!
//! An event and the mark that it was read lie in two streams, so either may be seen first: a document can be read before it
//! says anything, and is listed only once it does.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ListingEntry, View};
use crate::{
    aggregate::{
        inbox::{InboxEvent, NotificationsRead},
        order::OrderEvent,
        payment::PaymentEvent,
    },
    event::{DomainEvent, TypedEvent},
    timestamp::Timestamp,
};

/// What somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Who.
    pub user: Uuid,
    /// About which order: the id part of its stream.
    pub order: String,
    /// Why, where a reason was given.
    pub reason: Option<String>,
}

/// What an event tells somebody; `None`: nothing. Events from before they said whose order it is tell nobody.
pub fn notice(event: &TypedEvent) -> Option<Notice> {
    let (user, reason) = match &event.payload {
        DomainEvent::Order(order) => match order {
            OrderEvent::OrderConfirmed(confirmed) => (confirmed.customer, None),
            OrderEvent::OrderRejected(rejected) => (rejected.customer, Some(&rejected.reason)),
            OrderEvent::OrderCancelled(cancelled) => (cancelled.customer, Some(&cancelled.reason)),
            OrderEvent::OrderShipped(shipped) => (shipped.customer, None),
            OrderEvent::OrderDelivered(delivered) => (delivered.customer, None),
            OrderEvent::OrderCreated(_) => return None,
        },
        DomainEvent::Payment(PaymentEvent::PaymentRefunded(refunded)) => {
            (refunded.customer, Some(&refunded.reason))
        }
        _ => return None,
    };
    (!user.is_nil()).then(|| Notice {
        user,
        order: event.stream.id().to_owned(),
        reason: reason.cloned(),
    })
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationDocument {
    /// Whose it is.
    pub user: Uuid,
    /// The event that it tells of.
    pub event_id: Uuid,
    /// The event's type; empty until it happened.
    pub event: String,
    /// About which order; empty until it happened.
    pub order: String,
    /// When it happened.
    pub at: Timestamp,
    /// Whether its owner has read it.
    pub read: bool,
    /// Why, where a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The view `notifications`.
#[derive(Debug)]
pub struct NotificationsView;

impl View for NotificationsView {
    const NAME: &'static str = "notifications";
    const LISTINGS: &'static [&'static str] = &["inbox"];
    type Document = NotificationDocument;

    fn keys(event: &TypedEvent) -> Vec<String> {
        if let Some(notice) = notice(event) {
            return vec![key(notice.user, event.event_id)];
        }
        let Some((user, read)) = marks(event) else {
            return Vec::new();
        };
        read.events.iter().map(|read| key(user, *read)).collect()
    }

    /// Of an event that tells something; of marks, there are several documents, and this is the first.
    fn fold(document: Option<NotificationDocument>, event: &TypedEvent) -> Option<NotificationDocument> {
        let key = Self::keys(event).into_iter().next()?;
        Self::fold_at(&key, document, event)
    }

    fn fold_at(
        at: &str,
        document: Option<NotificationDocument>,
        event: &TypedEvent,
    ) -> Option<NotificationDocument> {
        let (user, event_id) = at.split_once('/')?;
        let mut notification = document.unwrap_or(NotificationDocument {
            user: user.parse().ok()?,
            event_id: event_id.parse().ok()?,
            event: String::new(),
            order: String::new(),
            at: Timestamp::default(),
            read: false,
            reason: None,
        });
        match notice(event) {
            Some(notice) => {
                notification.event.clone_from(&event.event_type);
                notification.order = notice.order;
                notification.at = event.recorded_at;
                notification.reason = notice.reason;
            }
            None => notification.read = true,
        }
        Some(notification)
    }

    /// What was not read comes first, and of each the newest.
    fn listings(notification: &NotificationDocument) -> Vec<ListingEntry> {
        if notification.event.is_empty() {
            return Vec::new();
        }
        let sort = format!(
            "{}{:019}",
            u8::from(notification.read),
            i64::MAX - notification.at.as_micros().max(0)
        );
        vec![ListingEntry::grouped(
            "inbox",
            notification.user.to_string(),
            sort,
        )]
    }

    fn owner(notification: &NotificationDocument) -> Option<Uuid> {
        Some(notification.user)
    }
}

fn key(user: Uuid, event: Uuid) -> String {
    format!("{user}/{event}")
}

fn marks(event: &TypedEvent) -> Option<(Uuid, &NotificationsRead)> {
    match &event.payload {
        DomainEvent::Inbox(InboxEvent::NotificationsRead(read)) => {
            Some((event.stream.id().parse().ok()?, read))
        }
        _ => None,
    }
}
