//! The views: one file each, with its document, its fold and its listings. A new view is a new file and a line in
//! [`all`]; the server's lanes, the query API and the browser pick it up from there.
//!
//! A fold must give the same document for every interleaving of streams that keeps each stream's order, because the
//! streams of one document may lie on several partitions. The test in this module holds every view to that.

pub mod activity;
pub mod customers;
pub mod inventory;
pub mod notifications;
pub mod orders;
pub mod payments;
pub mod products;
pub mod sales;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::event::TypedEvent;

/// A place of a document in a listing. Sorted by `sort`, then by the document's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListingEntry {
    /// The listing, as in `by_status`.
    pub listing: &'static str,
    /// The group within it, as in `shipped`; empty where the listing has one group.
    pub group: String,
    /// What it is sorted by, as text that sorts by its bytes.
    pub sort: String,
}

impl ListingEntry {
    /// An entry in a listing of one group.
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

/// A read model as a pure function: which documents an event touches, and what becomes of them.
pub trait View: Send + Sync + 'static {
    /// The name in paths and subscriptions.
    const NAME: &'static str;
    /// The listings it has.
    const LISTINGS: &'static [&'static str];
    /// One document.
    type Document: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static;

    /// The keys of the documents that the event touches; most events touch none.
    fn keys(event: &TypedEvent) -> Vec<String>;

    /// The document after the event; `None`: there is none (any more).
    fn fold(document: Option<Self::Document>, event: &TypedEvent) -> Option<Self::Document>;

    /// The same, of a view in which one event changes documents of several kinds: `key` says which one this is.
    fn fold_at(_key: &str, document: Option<Self::Document>, event: &TypedEvent) -> Option<Self::Document> {
        Self::fold(document, event)
    }

    /// Where the document is listed.
    fn listings(document: &Self::Document) -> Vec<ListingEntry>;

    /// Whose document it is, where it is somebody's.
    fn owner(_document: &Self::Document) -> Option<Uuid> {
        None
    }
}

/// A stored document does not fit its view: the code has changed and the view wants a rebuild.
#[derive(Debug, thiserror::Error)]
#[error("a document of view {view} cannot be read: {source}")]
pub struct DocumentError {
    /// The view.
    pub view: &'static str,
    /// What is wrong with it.
    pub source: serde_json::Error,
}

/// A [`View`] whose documents are JSON: what lanes, queries and the verifier handle without knowing the types.
pub trait AnyView: Send + Sync + std::fmt::Debug {
    /// The name in paths and subscriptions.
    fn name(&self) -> &'static str;
    /// The listings it has.
    fn listing_names(&self) -> &'static [&'static str];
    /// See [`View::keys`].
    fn keys(&self, event: &TypedEvent) -> Vec<String>;
    /// The document of a key in memory, ready to be folded; from JSON, or absent.
    fn load(&self, key: &str, document: Option<&RawValue>) -> Result<Box<dyn Folding>, DocumentError>;
}

/// One document while events are folded into it: read once, folded many times, written once.
pub trait Folding: Send {
    /// See [`View::fold`].
    fn fold(&mut self, event: &TypedEvent);
    /// The document as JSON; `None` where there is none.
    fn document(&self) -> Result<Option<Box<RawValue>>, DocumentError>;
    /// See [`View::listings`]; empty where there is no document.
    fn listings(&self) -> Vec<ListingEntry>;
    /// See [`View::owner`].
    fn owner(&self) -> Option<Uuid>;
}

#[derive(Debug)]
struct Erased<V>(std::marker::PhantomData<fn() -> V>);

struct Document<V: View> {
    key: String,
    document: Option<V::Document>,
}

impl<V: View + std::fmt::Debug> AnyView for Erased<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn listing_names(&self) -> &'static [&'static str] {
        V::LISTINGS
    }

    fn keys(&self, event: &TypedEvent) -> Vec<String> {
        V::keys(event)
    }

    fn load(&self, key: &str, document: Option<&RawValue>) -> Result<Box<dyn Folding>, DocumentError> {
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

impl<V: View> Folding for Document<V> {
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

const fn erased<V: View>() -> Erased<V> {
    Erased(std::marker::PhantomData)
}

/// Every view, by name: the registry.
pub fn all() -> &'static [&'static dyn AnyView] {
    const ACTIVITY: &Erased<activity::ActivityView> = &erased();
    const CUSTOMERS: &Erased<customers::CustomersView> = &erased();
    const INVENTORY: &Erased<inventory::InventoryView> = &erased();
    const NOTIFICATIONS: &Erased<notifications::NotificationsView> = &erased();
    const ORDERS: &Erased<orders::OrdersView> = &erased();
    const PAYMENTS: &Erased<payments::PaymentsView> = &erased();
    const PRODUCTS: &Erased<products::ProductsView> = &erased();
    const SALES: &Erased<sales::SalesView> = &erased();
    &[
        ACTIVITY,
        CUSTOMERS,
        INVENTORY,
        NOTIFICATIONS,
        ORDERS,
        PAYMENTS,
        PRODUCTS,
        SALES,
    ]
}

/// The view of this name.
pub fn find(name: &str) -> Option<&'static dyn AnyView> {
    all().iter().copied().find(|view| view.name() == name)
}

#[cfg(test)]
mod tests;
