//! The view `payments`, one document per order: charges, declines and refunds, with their reasons.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ListingEntry, View};
use crate::{
    aggregate::payment::{PaymentEvent, PaymentFailed, PaymentProcessed, PaymentRefunded},
    event::{DomainEvent, TypedEvent},
    money::Money,
    timestamp::Timestamp,
};

/// The status of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PaymentStatus {
    /// The charge was made.
    Processed,
    /// The provider declined the charge.
    Failed,
    /// The charge was refunded.
    Refunded,
}

impl PaymentStatus {
    /// The name on the wire, and the group in the listing `by_status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Failed => "failed",
            Self::Refunded => "refunded",
        }
    }
}

/// One entry of a payment's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentHistoryEntry {
    /// The time of the event.
    pub at: Timestamp,
    /// The event's type.
    pub event: String,
    /// The event's id.
    pub event_id: Uuid,
    /// The reason, if the event has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentDocument {
    /// The key: the order's id.
    pub order: String,
    /// The payer.
    pub customer: Uuid,
    /// The amount.
    pub amount: Money,
    /// The payment method.
    pub method: String,
    /// The status.
    pub status: PaymentStatus,
    /// The reason of the status, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The provider's id of the charge, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// The time of the first event.
    pub at: Timestamp,
    /// The folded version of its stream.
    pub version: u64,
    /// The timeline, oldest first.
    pub history: Vec<PaymentHistoryEntry>,
}

/// The view `payments`.
#[derive(Debug)]
pub struct PaymentsView;

impl View for PaymentsView {
    const NAME: &'static str = "payments";
    const LISTINGS: &'static [&'static str] = &["all", "by_status"];
    type Document = PaymentDocument;

    fn keys(event: &TypedEvent) -> Vec<String> {
        match &event.payload {
            DomainEvent::Payment(_) => vec![event.stream.id().to_owned()],
            _ => Vec::new(),
        }
    }

    fn fold(document: Option<PaymentDocument>, event: &TypedEvent) -> Option<PaymentDocument> {
        let DomainEvent::Payment(change) = &event.payload else {
            return document;
        };
        let (status, reason) = match change {
            PaymentEvent::PaymentProcessed(_) => (PaymentStatus::Processed, None),
            PaymentEvent::PaymentFailed(failed) => (PaymentStatus::Failed, Some(failed.reason.clone())),
            PaymentEvent::PaymentRefunded(refunded) => {
                (PaymentStatus::Refunded, Some(refunded.reason.clone()))
            }
        };
        let mut payment = document.unwrap_or_else(|| first(change, event));
        payment.status = status;
        payment.reason.clone_from(&reason);
        payment.version = event.version;
        payment.history.push(PaymentHistoryEntry {
            at: event.recorded_at,
            event: event.event_type.clone(),
            event_id: event.event_id,
            reason,
        });
        Some(payment)
    }

    fn listings(payment: &PaymentDocument) -> Vec<ListingEntry> {
        let sort = payment.at.to_string();
        vec![
            ListingEntry::new("all", sort.clone()),
            ListingEntry::grouped("by_status", payment.status.as_str(), sort),
        ]
    }

    fn owner(payment: &PaymentDocument) -> Option<Uuid> {
        Some(payment.customer)
    }
}

fn first(change: &PaymentEvent, event: &TypedEvent) -> PaymentDocument {
    let (customer, amount, method, receipt) = match change.clone() {
        PaymentEvent::PaymentProcessed(PaymentProcessed {
            customer,
            amount,
            method,
            charge,
            ..
        }) => (customer, amount, method, Some(charge)),
        PaymentEvent::PaymentFailed(PaymentFailed {
            customer,
            amount,
            method,
            ..
        }) => (customer, amount, method, None),
        PaymentEvent::PaymentRefunded(PaymentRefunded { customer, amount, .. }) => {
            (customer, amount, String::new(), None)
        }
    };
    PaymentDocument {
        order: event.stream.id().to_owned(),
        customer,
        amount,
        method,
        status: PaymentStatus::Processed,
        reason: None,
        charge: receipt,
        at: event.recorded_at,
        version: event.version,
        history: Vec::new(),
    }
}
