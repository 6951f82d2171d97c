//! The interactive parts of a page. The server renders every page as a whole; a live or interactive part is
//! an island: an element `leptos-island` with the island's name and its props as JSON. The browser hydrates
//! the islands and nothing else, so that static parts (frame, log, forms) cost it nothing. `bundle.rs` lists
//! the islands that are in each bundle.
//!
//! Islands are never nested. The root's context has what they share (the socket, the basket, the tab's last
//! write): see `hydrate.rs`.

mod basket;
mod basket_count;
#[cfg(not(feature = "ssr"))]
mod bundle;
mod catalogue;
mod class;
mod connection;
mod copy;
mod dials_banner;
#[cfg(not(feature = "ssr"))]
pub(crate) mod hydrate;
mod inbox;
mod inbox_count;
mod lab;
mod notification;
mod office;
mod order;
mod orders;
mod pending_orders;
mod product;
mod verify;

pub(crate) use basket::BasketContents;
pub(crate) use basket_count::BasketCount;
pub(crate) use catalogue::Catalogue;
#[cfg(feature = "ssr")]
pub(crate) use class::InitialRound;
pub(crate) use class::{ClassBanner, ClassPhone};
pub(crate) use connection::ConnectionBadge;
pub(crate) use copy::CopyButton;
pub(crate) use dials_banner::DialsBanner;
pub(crate) use inbox::Inbox;
pub(crate) use inbox_count::InboxCount;
#[cfg(feature = "ssr")]
pub(crate) use lab::{
    DRAWING, LESSON_STEPS, LabArrow, LabBox, LabSheet, LessonChoice, LessonQuestion, STAGE, StepChoice,
    event_name, invariant_name, own_documents, payload_of, sealed_json, stream_link, summary,
};
pub(crate) use lab::{
    LabClass, LabDeadLetters, LabDials, LabHandlers, LabHandling, LabLesson, LabMap, LabPresent,
    LabRecording, LabSplit, LabTail, LabTimeLine, LabViews,
};
#[cfg(feature = "ssr")]
pub(crate) use notification::inbox_of;
pub(crate) use office::{
    OfficeActivity, OfficeCustomers, OfficeOrders, OfficePayments, OfficePeople, OfficeProducts, OfficeSales,
    OfficeStock,
};
pub(crate) use order::OrderDetails;
pub(crate) use orders::OrderList;
pub(crate) use product::ProductDetails;
pub(crate) use verify::Verify;

#[cfg(not(feature = "ssr"))]
pub use bundle::{
    hydrate_lab_class, hydrate_lab_dials, hydrate_lab_handlers, hydrate_lab_lessons, hydrate_lab_log,
    hydrate_lab_map, hydrate_lab_recording, hydrate_lab_split, hydrate_lab_views, hydrate_workspace,
};
#[cfg(not(feature = "ssr"))]
pub use lab::answer_folds;

use crate::erase::View;
use serde::{Serialize, de::DeserializeOwned};

/// An interactive part of a page: its props and its view. Server and browser must render the same view for
/// the same props.
pub(crate) trait Island: Serialize + DeserializeOwned {
    /// The name by which the browser finds its elements.
    const NAME: &'static str;

    /// Renders the props.
    fn view(self) -> View;

    /// The island as a view for a page.
    #[cfg(feature = "ssr")]
    fn island(self) -> impl leptos::IntoView {
        // Props are strings, numbers and collections of them, whose serialisation cannot fail.
        let props = serde_json::to_string(&self).unwrap_or_default();
        leptos::tachys::html::islands::Island::new(Self::NAME, self.view()).with_props(props)
    }
}
