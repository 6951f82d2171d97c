//! Which islands each program of the client knows. What a program does not name is not in it: the linker leaves it out.

use super::{
    BasketContents, BasketCount, Catalogue, ConnectionBadge, CopyButton, Inbox, InboxCount, OfficeActivity,
    OfficeCustomers, OfficeOrders, OfficePayments, OfficePeople, OfficeProducts, OfficeSales, OfficeStock,
    OrderList, OrderStory, ProductFacts, ThemeSwitch, Verify,
    hydrate::{Known, hydrate_live, hydrate_still, known},
};

/// Brings the page of somebody outside of any workspace to life.
pub fn hydrate_entry() {
    const ISLANDS: &[Known] = &[known::<ThemeSwitch>()];
    hydrate_still(ISLANDS);
}

/// Brings a page of a workspace to life.
pub fn hydrate_workspace() {
    const ISLANDS: &[Known] = &[
        // the frame
        known::<BasketCount>(),
        known::<ConnectionBadge>(),
        known::<CopyButton>(),
        known::<InboxCount>(),
        known::<ThemeSwitch>(),
        // those who buy
        known::<BasketContents>(),
        known::<Catalogue>(),
        known::<Inbox>(),
        known::<OrderList>(),
        known::<OrderStory>(),
        known::<ProductFacts>(),
        // those who run the shop, or look behind it
        known::<OfficeActivity>(),
        known::<OfficeCustomers>(),
        known::<OfficeOrders>(),
        known::<OfficePayments>(),
        known::<OfficePeople>(),
        known::<OfficeProducts>(),
        known::<OfficeSales>(),
        known::<OfficeStock>(),
        known::<Verify>(),
    ];
    hydrate_live(ISLANDS);
}
