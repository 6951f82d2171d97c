//! The parts of a page that live in the browser. The server renders every page whole; what changes by itself or answers
//! to a hand is an island in it: an element `leptos-island` that names the island and carries what it begins with, as
//! JSON. The browser hydrates the islands and nothing else, so what is never alive (frame, log, forms) costs it nothing.
//! Which program of the client knows which island says `programs.rs`.
//!
//! An island does not contain another one. What islands share (the socket, the basket, what this tab has written) is in
//! the root's context: see `hydrate.rs`.

mod basket;
mod basket_count;
mod catalogue;
mod connection;
mod copy;
#[cfg(not(feature = "ssr"))]
mod hydrate;
mod inbox;
mod inbox_count;
mod office;
mod order;
mod orders;
mod placed;
mod product;
#[cfg(not(feature = "ssr"))]
mod programs;
mod theme_switch;
mod told;
mod verify;

pub(crate) use basket::BasketContents;
pub(crate) use basket_count::BasketCount;
pub(crate) use catalogue::Catalogue;
pub(crate) use connection::ConnectionBadge;
pub(crate) use copy::CopyButton;
pub(crate) use inbox::Inbox;
pub(crate) use inbox_count::InboxCount;
pub(crate) use office::{
    OfficeActivity, OfficeCustomers, OfficeOrders, OfficePayments, OfficePeople, OfficeProducts, OfficeSales,
    OfficeStock,
};
pub(crate) use order::OrderStory;
pub(crate) use orders::OrderList;
pub(crate) use product::ProductFacts;
pub(crate) use theme_switch::ThemeSwitch;
#[cfg(feature = "ssr")]
pub(crate) use told::inbox_of;
pub(crate) use verify::Verify;

#[cfg(not(feature = "ssr"))]
pub use programs::{hydrate_entry, hydrate_workspace};

use crate::erase::View;
use serde::{Serialize, de::DeserializeOwned};

/// A part of a page that lives in the browser: what it begins with, and how that is shown. Server and browser must show
/// the same for the same beginning.
pub(crate) trait Island: Serialize + DeserializeOwned {
    /// What the browser finds it by.
    const NAME: &'static str;

    /// How it is shown.
    fn view(self) -> View;

    /// The island as a part of a page.
    #[cfg(feature = "ssr")]
    fn island(self) -> impl leptos::IntoView {
        // What is written here are strings, numbers and lists of them, which are always JSON.
        let beginning = serde_json::to_string(&self).unwrap_or_default();
        leptos::tachys::html::islands::Island::new(Self::NAME, self.view()).with_props(beginning)
    }
}
