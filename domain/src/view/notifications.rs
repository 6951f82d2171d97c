//! The view `notifications`, one document per person and event: the notifications about a person's orders,
//! with their read marks. Emails have the same content: see [`notice`].
//!
//! An event and its read mark are in two streams, so either may be folded first: a document can be marked as
//! read before its event is folded, and is listed only afterwards.

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

/// The content of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The recipient.
    pub user: Uuid,
    /// The order: the id part of its stream.
    pub order: String,
    /// The reason, if the event has one.
    pub reason: Option<String>,
}

/// The notification about an event; `None` if there is none, as for old events of orders, which have no
/// customer.
pub fn notice(event: &TypedEvent) -> Option<Notice> {
    let (user, reason) = match &event.payload {
        DomainEvent::Order(order) => match order {
            OrderEvent::OrderConfirmed(confirmed) => (confirmed.customer, None),
            OrderEvent::OrderRejected(rejected) => (rejected.customer, Some(&rejected.reason)),
            OrderEvent::OrderCancelled(cancelled) => (cancelled.customer, Some(&cancelled.reason)),
            OrderEvent::OrderShipped(shipped) => (shipped.customer, None),
            OrderEvent::OrderDelivered(delivered) => (delivered.customer, None),
            // The refund of the payment is the news.
            OrderEvent::OrderCreated(_) | OrderEvent::OrderRefunded(_) => return None,
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
    /// The recipient.
    pub user: Uuid,
    /// The event that it reports.
    pub event_id: Uuid,
    /// The event's type; empty until the event is folded.
    pub event: String,
    /// The order; empty until the event is folded.
    pub order: String,
    /// The time of the event.
    pub at: Timestamp,
    /// Whether the recipient has read it.
    pub read: bool,
    /// The reason, if the event has one.
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

    /// Folds the first document of the event; read marks may affect several.
    fn fold(document: Option<NotificationDocument>, event: &TypedEvent) -> Option<NotificationDocument> {
        let key = Self::keys(event).into_iter().next()?;
        Self::fold_at(&key, document, event)
    }

    fn fold_at(
        at: &str,
        document: Option<NotificationDocument>,
        event: &TypedEvent,
    ) -> Option<NotificationDocument> {
        let (user, _) = at.split_once('/')?;
        let mut notification = document.unwrap_or(NotificationDocument {
            user: user.parse().ok()?,
            event_id: event_of_key(at)?,
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

    /// Sorted by unread first, then newest first.
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

/// The key of the notification of a person about an event.
pub fn key(user: Uuid, event: Uuid) -> String {
    format!("{user}/{event}")
}

/// The event of a notification with this key; `None`: it is no such key.
pub fn event_of_key(key: &str) -> Option<Uuid> {
    key.split_once('/')?.1.parse().ok()
}

fn marks(event: &TypedEvent) -> Option<(Uuid, &NotificationsRead)> {
    match &event.payload {
        DomainEvent::Inbox(InboxEvent::NotificationsRead(read)) => {
            Some((event.stream.id().parse().ok()?, read))
        }
        _ => None,
    }
}
