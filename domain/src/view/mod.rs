//! The views: one file each, with document, fold and listings. A new view is a new file and a line in
//! [`all`], from which the server's lanes, the query API and the browser get it.
//!
//! A fold must give the same document for every interleaving of streams that keeps each stream's order,
//! because the streams of one document may be on several partitions. The test in this module checks that for
//! every view.

pub mod activity;
pub mod customers;
pub mod inventory;
pub mod notifications;
pub mod orders;
pub mod own;
pub mod payments;
pub mod predictions;
pub mod products;
pub mod sales;

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{event::TypedEvent, id::WorkspaceId};

/// The entry of a document in a listing. Sorted by `sort`, then by the document's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListingEntry {
    /// The listing, as in `by_status`.
    pub listing: &'static str,
    /// The group within it, as in `shipped`; empty for a listing without groups.
    pub group: String,
    /// The sort key, compared bytewise.
    pub sort: String,
}

impl ListingEntry {
    /// An entry in a listing without groups.
    pub fn new(listing: &'static str, sort: impl Into<String>) -> Self {
        Self {
            listing,
            group: String::new(),
            sort: sort.into(),
        }
    }

    /// An entry in a group of a listing.
    pub fn grouped(listing: &'static str, group: impl Into<String>, sort: impl Into<String>) -> Self {
        Self {
            listing,
            group: group.into(),
            sort: sort.into(),
        }
    }
}

/// A read model as a pure function: the documents that an event affects, and their fold.
pub trait View: Send + Sync + 'static {
    /// The name in paths and subscriptions.
    const NAME: &'static str;
    /// The names of its listings.
    const LISTINGS: &'static [&'static str];
    /// One document.
    type Document: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static;

    /// The keys of the documents that the event affects; most events affect none.
    fn keys(event: &TypedEvent) -> Vec<String>;

    /// The document after the event; `None` deletes it.
    fn fold(document: Option<Self::Document>, event: &TypedEvent) -> Option<Self::Document>;

    /// The same for the document `key`, in a view in which one event affects documents of several kinds.
    fn fold_at(_key: &str, document: Option<Self::Document>, event: &TypedEvent) -> Option<Self::Document> {
        Self::fold(document, event)
    }

    /// The listing entries of the document.
    fn listings(document: &Self::Document) -> Vec<ListingEntry>;

    /// The person to whom the document belongs, if any.
    fn owner(_document: &Self::Document) -> Option<Uuid> {
        None
    }
}

/// A stored document that its view cannot parse: the code has changed and the view needs a rebuild.
#[derive(Debug, thiserror::Error)]
#[error("a document of view {view} cannot be read: {source}")]
pub struct DocumentError {
    /// The view.
    pub view: &'static str,
    /// The error of the JSON parser.
    pub source: serde_json::Error,
}

/// A [`View`] with JSON documents, for lanes, queries and the verifier, which do not know the types.
pub trait AnyView: Send + Sync + std::fmt::Debug {
    /// The name in paths and subscriptions.
    fn name(&self) -> &'static str;
    /// The name that people of a workspace know it by.
    fn name_in(&self, _workspace: WorkspaceId) -> Cow<'static, str> {
        Cow::Borrowed(self.name())
    }
    /// The names of its listings.
    fn listing_names(&self) -> &'static [&'static str];
    /// The keys of the documents that the event affects, as [`View::keys`] returns them.
    fn keys(&self, event: &TypedEvent) -> Vec<String>;
    /// Parses the document of a key, or starts without one, for folding events into it.
    fn load(&self, key: &str, document: Option<&RawValue>) -> Result<Box<dyn FoldTarget>, DocumentError>;
}

/// A document in memory into which events are folded: parsed once, folded many times, serialised once.
pub trait FoldTarget: Send {
    /// Folds an event into the document by [`View::fold_at`].
    fn fold(&mut self, event: &TypedEvent);
    /// The document as JSON; `None` if there is none.
    fn document(&self) -> Result<Option<Box<RawValue>>, DocumentError>;
    /// The listing entries by [`View::listings`]; empty without a document.
    fn listings(&self) -> Vec<ListingEntry>;
    /// The person to whom the document belongs, by [`View::owner`].
    fn owner(&self) -> Option<Uuid>;
}

#[derive(Debug)]
struct ErasedView<V>(std::marker::PhantomData<fn() -> V>);

struct Document<V: View> {
    key: String,
    document: Option<V::Document>,
}

impl<V: View + std::fmt::Debug> AnyView for ErasedView<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn listing_names(&self) -> &'static [&'static str] {
        V::LISTINGS
    }

    fn keys(&self, event: &TypedEvent) -> Vec<String> {
        V::keys(event)
    }

    fn load(&self, key: &str, document: Option<&RawValue>) -> Result<Box<dyn FoldTarget>, DocumentError> {
        let document = document
            .map(|json| serde_json::from_str(json.get()))
            .transpose()
            .map_err(|source| DocumentError {
                view: V::NAME,
                source,
            })?;
        Ok(Box::new(Document::<V> {
            key: key.to_owned(),
            document,
        }))
    }
}

impl<V: View> FoldTarget for Document<V> {
    fn fold(&mut self, event: &TypedEvent) {
        self.document = V::fold_at(&self.key, self.document.take(), event);
    }

    fn document(&self) -> Result<Option<Box<RawValue>>, DocumentError> {
        self.document
            .as_ref()
            .map(serde_json::value::to_raw_value)
            .transpose()
            .map_err(|source| DocumentError {
                view: V::NAME,
                source,
            })
    }

    fn listings(&self) -> Vec<ListingEntry> {
        self.document.as_ref().map(V::listings).unwrap_or_default()
    }

    fn owner(&self) -> Option<Uuid> {
        self.document.as_ref().and_then(V::owner)
    }
}

const fn erased<V: View>() -> ErasedView<V> {
    ErasedView(std::marker::PhantomData)
}

/// The registry of views, sorted by name.
pub fn all() -> &'static [&'static dyn AnyView] {
    const ACTIVITY: &ErasedView<activity::ActivityView> = &erased();
    const CUSTOMERS: &ErasedView<customers::CustomersView> = &erased();
    const INVENTORY: &ErasedView<inventory::InventoryView> = &erased();
    const NOTIFICATIONS: &ErasedView<notifications::NotificationsView> = &erased();
    const ORDERS: &ErasedView<orders::OrdersView> = &erased();
    const PAYMENTS: &ErasedView<payments::PaymentsView> = &erased();
    const PREDICTIONS: &ErasedView<predictions::PredictionsView> = &erased();
    const PRODUCTS: &ErasedView<products::ProductsView> = &erased();
    const SALES: &ErasedView<sales::SalesView> = &erased();
    &[
        ACTIVITY,
        CUSTOMERS,
        INVENTORY,
        NOTIFICATIONS,
        ORDERS,
        PAYMENTS,
        PREDICTIONS,
        PRODUCTS,
        SALES,
    ]
}

/// The names of the views in [`all`], in its order, for code that does not fold.
pub const NAMES: [&str; 9] = [
    activity::ActivityView::NAME,
    customers::CustomersView::NAME,
    inventory::InventoryView::NAME,
    notifications::NotificationsView::NAME,
    orders::OrdersView::NAME,
    payments::PaymentsView::NAME,
    predictions::PredictionsView::NAME,
    products::ProductsView::NAME,
    sales::SalesView::NAME,
];

/// The view with this name.
pub fn find(name: &str) -> Option<&'static dyn AnyView> {
    all().iter().copied().find(|view| view.name() == name)
}

#[cfg(test)]
mod tests;
