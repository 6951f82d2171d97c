//! Which islands each program of the client knows. What a program does not name is not in it: the linker leaves it out.

use super::{
    BasketContents, BasketCount, Catalogue, ConnectionBadge, CopyButton, OfficeActivity, OfficeCustomers,
    OfficeOrders, OfficePayments, OfficeProducts, OfficeSales, OfficeStock, OrderList, OrderStory,
    ProductFacts, ThemeSwitch, Verify,
    hydrate::{Known, hydrate, known},
};

/// What of the frame is alive: in every program.
const FRAME: [Known; 8] = [
    known::<BasketCount>(),
    known::<ConnectionBadge>(),
    known::<CopyButton>(),
    known::<ThemeSwitch>(),
];

/// Brings a page of those who buy to life.
pub fn hydrate_shop() {
    const ISLANDS: [Known; 5] = [
        known::<BasketContents>(),
        known::<Catalogue>(),
        known::<OrderList>(),
        known::<OrderStory>(),
        known::<ProductFacts>(),
    ];
    hydrate(&[&FRAME, &ISLANDS]);
}

/// Brings a page of those who run the shop, or look behind it, to life.
pub fn hydrate_office() {
    const ISLANDS: [Known; 4] = [
        known::<OfficeActivity>(),
        known::<OfficeCustomers>(),
        known::<OfficeOrders>(),
        known::<OfficePayments>(),
        known::<OfficeSales>(),
        known::<OfficeProducts>(),
        known::<OfficeStock>(),
        known::<Verify>(),
    ];
    hydrate(&[&FRAME, &ISLANDS]);
}
