//! The view `customers`, one document per person who has registered or ordered: profile and purchases.
//!
//! Name and email are the sealed texts of the events. An erased person stays in the view without them,
//! because the purchases still count.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ListingEntry, View};
use crate::{
    access::Role,
    aggregate::{
        order::{OrderCancelled, OrderConfirmed, OrderCreated, OrderEvent, OrderRefunded, Sold},
        user::{DisplayNameChanged, EmailChanged, UserEvent, UserRegistered},
    },
    event::{DomainEvent, TypedEvent, personal::ERASED},
    money::{Money, Sums},
    timestamp::Timestamp,
};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerDocument {
    /// The key: the id part of the user's stream.
    pub id: Uuid,
    /// The display name.
    pub display_name: String,
    /// Absent for a person without an account, or an erased one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the person has shown that they read the emails to this address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub email_confirmed: bool,
    /// The role in the workspace; absent without an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The time of the registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
    /// The number of orders placed.
    pub orders: u32,
    /// The spending, by currency: what was sold, and neither cancelled nor refunded since.
    pub spent: Sums,
    /// Whether the person was erased.
    pub erased: bool,
    /// The time of the last order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_order_at: Option<Timestamp>,
    /// The time of the person's first event.
    pub first_seen_at: Timestamp,
    /// The order whose display name is shown before the registration: the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_by: Option<(Timestamp, Uuid)>,
}

/// The view `customers`.
#[derive(Debug)]
pub struct CustomersView;

impl View for CustomersView {
    const NAME: &'static str = "customers";
    const LISTINGS: &'static [&'static str] = &["all", "by_spend"];
    type Document = CustomerDocument;

    fn keys(event: &TypedEvent) -> Vec<String> {
        person(event).map(|id| id.to_string()).into_iter().collect()
    }

    fn fold(document: Option<CustomerDocument>, event: &TypedEvent) -> Option<CustomerDocument> {
        let Some(id) = person(event) else {
            return document;
        };
        let mut customer = document.unwrap_or_else(|| new_customer(id, event.recorded_at));
        customer.first_seen_at = customer.first_seen_at.min(event.recorded_at);
        match &event.payload {
            DomainEvent::User(change) => fold_user(&mut customer, change, event.recorded_at),
            DomainEvent::Order(OrderEvent::OrderCreated(created)) => {
                fold_order(&mut customer, created, event);
            }
            DomainEvent::Order(OrderEvent::OrderConfirmed(OrderConfirmed { total, .. })) => {
                customer.spent.add(total);
            }
            DomainEvent::Order(
                OrderEvent::OrderCancelled(OrderCancelled {
                    sold: Some(Sold { total, .. }),
                    ..
                })
                | OrderEvent::OrderRefunded(OrderRefunded {
                    sold: Some(Sold { total, .. }),
                    ..
                }),
            ) => customer
                .spent
                .add(&Money::new(total.amount.saturating_neg(), &total.currency)),
            _ => {}
        }
        Some(customer)
    }

    fn listings(customer: &CustomerDocument) -> Vec<ListingEntry> {
        let seen = customer.first_seen_at.to_string();
        // Currencies cannot be compared, so customers are sorted by their largest amount.
        let most = customer.spent.as_slice().iter().map(|money| money.amount).max();
        vec![
            ListingEntry::new("all", seen),
            ListingEntry::new("by_spend", format!("{:020}", most.unwrap_or(0).max(0))),
        ]
    }

    fn owner(customer: &CustomerDocument) -> Option<Uuid> {
        Some(customer.id)
    }
}

/// The person of an event; `None` for old events of orders, which have no customer.
fn person(event: &TypedEvent) -> Option<Uuid> {
    let id = match &event.payload {
        DomainEvent::User(_) => event.stream.id().parse().ok()?,
        DomainEvent::Order(OrderEvent::OrderCreated(created)) => created.customer.id,
        DomainEvent::Order(OrderEvent::OrderConfirmed(confirmed)) => confirmed.customer,
        DomainEvent::Order(OrderEvent::OrderCancelled(cancelled)) => cancelled.customer,
        DomainEvent::Order(OrderEvent::OrderRefunded(refunded)) => refunded.customer,
        _ => return None,
    };
    Some(id).filter(|id| !id.is_nil())
}

fn new_customer(id: Uuid, at: Timestamp) -> CustomerDocument {
    CustomerDocument {
        id,
        display_name: String::new(),
        email: None,
        email_confirmed: false,
        role: None,
        registered_at: None,
        orders: 0,
        spent: Sums::default(),
        erased: false,
        last_order_at: None,
        first_seen_at: at,
        named_by: None,
    }
}

fn fold_user(customer: &mut CustomerDocument, change: &UserEvent, at: Timestamp) {
    match change {
        UserEvent::UserRegistered(UserRegistered {
            email,
            display_name,
            role,
            ..
        }) => {
            customer.display_name.clone_from(display_name);
            customer.email = Some(email.clone());
            customer.role = Some(*role);
            customer.registered_at = Some(at);
            customer.named_by = None;
        }
        UserEvent::DisplayNameChanged(DisplayNameChanged { display_name }) => {
            customer.display_name.clone_from(display_name);
        }
        UserEvent::EmailChanged(EmailChanged { email }) => {
            customer.email = Some(email.clone());
            customer.email_confirmed = false;
        }
        UserEvent::EmailConfirmed(_) => customer.email_confirmed = customer.email.is_some(),
        // The language is for emails and not for the back office, as are the links in emails.
        UserEvent::LanguageChanged(_)
        | UserEvent::PasswordResetRequested(_)
        | UserEvent::PasswordChanged(_)
        | UserEvent::EmailConfirmationRequested(_) => {}
        UserEvent::UserErased(_) => {
            ERASED.clone_into(&mut customer.display_name);
            customer.email = None;
            customer.email_confirmed = false;
            customer.erased = true;
            customer.named_by = None;
        }
    }
}

fn fold_order(customer: &mut CustomerDocument, created: &OrderCreated, event: &TypedEvent) {
    customer.orders = customer.orders.saturating_add(1);
    customer.last_order_at = customer.last_order_at.max(Some(event.recorded_at));
    // An account's name has precedence over an order's, and the first order over later ones, in any order of
    // folding.
    let this = (event.recorded_at, event.event_id);
    let is_first = customer.named_by.is_none_or(|named_by| this < named_by);
    if customer.registered_at.is_none() && !customer.erased && is_first {
        customer.display_name.clone_from(&created.customer.name);
        customer.named_by = Some(this);
    }
}
