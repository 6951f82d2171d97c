//! Box 11, Monitoring / Replay Tool: inspects streams and replays events.
//!
//! It reads the event store as it is and changes nothing. The gateway serves it to the lab's pages; at the terminal it is
//! `foldline streams`, `foldline tail` and `foldline verify`.

pub mod chain;
pub mod tail;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod verify;
