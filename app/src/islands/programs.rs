//! Which islands each program of the client knows. What a program does not name is not in it: the linker leaves it out.

use super::{
    BasketContents, BasketCount, Catalogue, ConnectionBadge, CopyButton, Inbox, InboxCount, OfficeActivity,
    OfficeCustomers, OfficeOrders, OfficePayments, OfficePeople, OfficeProducts, OfficeSales, OfficeStock,
    OrderList, OrderStory, ProductFacts, ThemeSwitch, Verify,
    hydrate::{Known, hydrate, known},
};

/// What of the frame is alive: in every program.
const FRAME: &[Known] = &[
    known::<BasketCount>(),
    known::<ConnectionBadge>(),
    known::<CopyButton>(),
    known::<InboxCount>(),
    known::<ThemeSwitch>(),
];

/// Brings a page of those who buy to life.
pub fn hydrate_shop() {
    const ISLANDS: &[Known] = &[
        known::<BasketContents>(),
        known::<Catalogue>(),
        known::<Inbox>(),
        known::<OrderList>(),
        known::<OrderStory>(),
        known::<ProductFacts>(),
    ];
    hydrate(&[FRAME, ISLANDS]);
}

/// Brings a page of those who run the shop, or look behind it, to life.
pub fn hydrate_office() {
    const ISLANDS: &[Known] = &[
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
    hydrate(&[FRAME, ISLANDS]);
}
