//! Text as the layout sees it: how wide it is, how high its lines are, and how it is wrapped.
//!
//! No font is read here. The widths come from tables of the fonts that a browser probably has, so the figures
//! are estimates that err on the wide side.

mod breaks;
mod script;
mod width;
mod widths;
mod wrap;

pub(crate) use script::Metrics;
pub(crate) use width::Weight;
pub(crate) use wrap::{Line, Wrapping};
