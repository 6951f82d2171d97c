//! Live projections in the browser: a snapshot that the server rendered, continued by the socket from its token.
//!
//! [`protocol`] is the conversation as a pure state machine, [`listing`] and [`document`] fold its frames into what is
//! shown. [`outbox`] holds what people have told the shop until its answer is known, [`foresee`] runs the domain's rules
//! over what is shown, and [`overlay`] shows the one over the other. None of them knows a browser, a clock or a random
//! source, so all of it is tested natively and in a browser. `socket` drives the protocol with a real WebSocket, and
//! [`store`] offers all of it to components as signals.

pub mod backoff;
pub mod document;
pub mod foresee;
pub mod listing;
mod optimistic;
pub mod outbox;
pub mod overlay;
pub mod progress;
pub mod protocol;
#[cfg(not(feature = "ssr"))]
pub mod socket;
pub mod store;

/// Milliseconds of a clock that only needs to move forward.
pub type Millis = u64;
