//! Live projections in the browser: a snapshot that the server rendered, continued by the socket from its
//! token.
//!
//! [`protocol`] is the conversation as a pure state machine; [`listing`] and [`document`] fold its frames,
//! and [`arrangement`] keeps the rows of a listing in place while a person is at them. For optimistic
//! updates, [`command_queue`] holds commands until the server has answered, [`prediction`] applies the
//! domain's rules to the document that is shown, and [`overlay`] combines the two. None of these knows a
//! browser, a clock or a random source, so all of them are tested natively and in a browser. `socket` drives
//! the protocol with a real WebSocket, and [`store`] offers the result to components as signals.

pub mod arrangement;
pub mod backoff;
pub mod command_queue;
pub mod document;
pub mod listing;
mod optimistic;
pub mod overlay;
pub mod prediction;
pub mod progress;
pub mod protocol;
#[cfg(not(feature = "ssr"))]
pub mod socket;
pub mod store;

/// Milliseconds of a clock that only needs to move forward.
pub type Millis = u64;
