//! The islands of the back office. Each file is one page; they share the actions of a row: [`sender`] sends
//! commands and holds the refusal, [`row_actions`] has the buttons and confirmations.

mod activity;
mod customers;
mod fields;
mod new_price;
mod new_product;
mod orders;
mod payments;
mod people;
mod products;
mod row_actions;
mod sales;
mod sender;
mod stock;

pub(crate) use activity::OfficeActivity;
pub(crate) use customers::OfficeCustomers;
pub(crate) use orders::OfficeOrders;
pub(crate) use payments::OfficePayments;
pub(crate) use people::OfficePeople;
pub(crate) use products::OfficeProducts;
pub(crate) use sales::OfficeSales;
pub(crate) use stock::OfficeStock;
