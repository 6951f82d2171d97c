//! Live projections in the browser: a snapshot that the server rendered, continued by the socket from its token.
//!
//! [`protocol`] is the conversation as a pure state machine, [`listing`] and [`document`] fold its frames into what is
//! shown; none of them knows a browser, a clock or a random source, so all of it is tested natively and in a browser.
//! `socket` drives it with a real WebSocket, and [`store`] offers it to components as signals.

pub mod backoff;
pub mod document;
pub mod listing;
pub mod progress;
pub mod protocol;
#[cfg(not(feature = "ssr"))]
pub mod socket;
pub mod store;

/// Milliseconds of a clock that only needs to move forward.
pub type Millis = u64;
