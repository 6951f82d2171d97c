//! The islands that are in the bundle. An island that is not listed here is left out by the linker.

use super::{
    BasketContents, BasketCount, Catalogue, ConnectionBadge, CopyButton, Inbox, InboxCount, OfficeActivity,
    OfficeCustomers, OfficeOrders, OfficePayments, OfficePeople, OfficeProducts, OfficeSales, OfficeStock,
    OrderDetails, OrderList, ProductDetails, Verify,
    hydrate::{IslandHydrator, hydrate_page, hydrator},
};
use crate::text;

/// Hydrates the islands of a workspace's page as soon as its texts are there.
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
    wasm_bindgen_futures::spawn_local(async {
        match text::browser::load().await {
            Ok(()) => hydrate_page(HYDRATORS),
            // The page stays as the server has rendered it.
            Err(error) => leptos::logging::error!("the texts of the page cannot be loaded: {error}"),
        }
    });
}
