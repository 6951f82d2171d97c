//! The back office: what those who run the shop have to do, as rows that can be acted on. Each file is one place of it; what
//! they share is how a row is acted on: [`sender`] sends and knows the refusal, [`act`] is the button and the question.

mod act;
mod activity;
mod customers;
mod fields;
mod new_product;
mod orders;
mod payments;
mod people;
mod products;
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
