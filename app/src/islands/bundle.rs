//! The islands that are in the bundle. An island that is not listed here is left out by the linker.

use super::{
    BasketContents, BasketCount, Catalogue, ConnectionBadge, CopyButton, Inbox, InboxCount, OfficeActivity,
    OfficeCustomers, OfficeOrders, OfficePayments, OfficePeople, OfficeProducts, OfficeSales, OfficeStock,
    OrderDetails, OrderList, ProductDetails, Verify,
    hydrate::{IslandHydrator, hydrate_page, hydrator},
};

/// Hydrates the islands of a workspace's page.
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
    hydrate_page(HYDRATORS);
}
