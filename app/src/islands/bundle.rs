//! The islands that are in each bundle. An island that is not listed for a bundle is left out by the linker.
//!
//! Both bundles contain the islands of the frame, so a page loads one of them and never both.

use super::{
    BasketContents, BasketCount, Catalogue, ConnectionBadge, CopyButton, Inbox, InboxCount, LabMap,
    LabRecording, LabSplit, OfficeActivity, OfficeCustomers, OfficeOrders, OfficePayments, OfficePeople,
    OfficeProducts, OfficeSales, OfficeStock, OrderDetails, OrderList, ProductDetails, Verify,
    hydrate::{IslandHydrator, hydrate_page, hydrator},
};
use crate::text;

/// Hydrates the islands of a page of the shop, the back office or the log as soon as its texts are there.
pub fn hydrate_workspace() {
    const HYDRATORS: &[IslandHydrator] = &[
        // the frame
        hydrator::<BasketCount>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<InboxCount>(),
        // the shop
        hydrator::<BasketContents>(),
        hydrator::<Catalogue>(),
        hydrator::<Inbox>(),
        hydrator::<OrderList>(),
        hydrator::<OrderDetails>(),
        hydrator::<ProductDetails>(),
        // the back office and the log
        hydrator::<OfficeActivity>(),
        hydrator::<OfficeCustomers>(),
        hydrator::<OfficeOrders>(),
        hydrator::<OfficePayments>(),
        hydrator::<OfficePeople>(),
        hydrator::<OfficeProducts>(),
        hydrator::<OfficeSales>(),
        hydrator::<OfficeStock>(),
        hydrator::<Verify>(),
    ];
    hydrate_with_texts(HYDRATORS);
}

/// Hydrates the islands of a page of the lab as soon as its texts are there.
pub fn hydrate_lab() {
    const HYDRATORS: &[IslandHydrator] = &[
        // the frame
        hydrator::<BasketCount>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<InboxCount>(),
        // the lab
        hydrator::<LabMap>(),
        hydrator::<LabRecording>(),
        hydrator::<LabSplit>(),
    ];
    hydrate_with_texts(HYDRATORS);
}

fn hydrate_with_texts(hydrators: &'static [IslandHydrator]) {
    wasm_bindgen_futures::spawn_local(async move {
        match text::browser::load().await {
            Ok(()) => hydrate_page(hydrators),
            // The page stays as the server has rendered it.
            Err(error) => leptos::logging::error!("the texts of the page cannot be loaded: {error}"),
        }
    });
}
