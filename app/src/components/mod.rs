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

pub use badge::StatusBadge;
pub use copy::Copy;
pub use empty::EmptyState;
pub use field::Field;
pub use freshness::Freshness;
pub use icon::{Icon, Picture};
pub use problem::{ProblemSummary, ProblemView, explain};
pub use stock::{AddToBasket, Stock};
pub use value::{Id, Price, When, flash};
