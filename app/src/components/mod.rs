//! The parts that pages are made of: one file each, no page knowledge.

mod badge;
mod copy;
mod empty;
mod field;
mod freshness;
mod icon;
mod problem;
mod stock;
mod value;

pub(crate) use badge::StatusBadge;
pub(crate) use copy::Copy;
pub(crate) use empty::EmptyState;
pub(crate) use field::Field;
pub(crate) use freshness::Freshness;
pub(crate) use icon::{Icon, Picture};
pub(crate) use problem::{ProblemSummary, ProblemView, explain};
pub(crate) use stock::{AddToBasket, Stock};
pub(crate) use value::{Id, Price, When, flash};
