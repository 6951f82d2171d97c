//! The building blocks of pages and islands, one file each. They do not know any page.

mod ask_the_class;
mod badge;
mod chart;
mod control_flow;
mod dial_words;
mod empty;
mod event_label;
#[cfg(feature = "ssr")]
mod field;
#[cfg(feature = "ssr")]
mod form_summary;
mod freshness;
mod icon;
mod listing_table;
mod live_rows;
mod more_rows;
mod page_head;
mod payment_method;
mod pending_commands;
mod problem;
#[cfg(feature = "ssr")]
mod qr_code;
mod reason;
mod role;
mod stock;
mod tally;
mod value;
#[cfg(feature = "ssr")]
mod window_title;

pub(crate) use ask_the_class::{ClassStep, ask_the_class};
pub(crate) use badge::StatusBadge;
pub(crate) use chart::{Bar, bar_chart};
pub(crate) use control_flow::{either, for_each, only_if, text};
pub(crate) use dial_words::{bent_words, dial_name, dial_value, provider_mode};
pub(crate) use empty::EmptyState;
pub(crate) use event_label::event_label;
#[cfg(feature = "ssr")]
pub(crate) use field::Field;
#[cfg(feature = "ssr")]
pub(crate) use form_summary::{FormField, FormSummary, field_problem};
pub(crate) use freshness::Freshness;
pub(crate) use icon::{Icon, Picture};
pub(crate) use listing_table::{Column, ListingTable};
pub(crate) use live_rows::{LiveRows, item_gap, live_rows};
pub(crate) use more_rows::MoreRows;
pub(crate) use page_head::PageHead;
pub(crate) use payment_method::payment_method_name;
pub(crate) use pending_commands::PendingCommands;
#[cfg(feature = "ssr")]
pub(crate) use problem::problem_text;
pub(crate) use problem::{ProblemSummary, explain, explain_field, explain_rejection, predicted_problem};
#[cfg(feature = "ssr")]
pub(crate) use qr_code::qr_code;
pub(crate) use reason::reason_text;
pub(crate) use role::role_word;
pub(crate) use stock::{ProductOffer, Stock};
pub(crate) use tally::tally_bars;
pub(crate) use value::{Exact, Id, Price, When, highlight_class};
#[cfg(feature = "ssr")]
pub(crate) use window_title::WindowTitle;
