//! Box 11, Monitoring / Replay Tool: inspects streams and replays events.
//!
//! It reads the event store as it is and changes nothing in it. The gateway serves it to the lab's pages; at the terminal
//! it is `foldline streams`, `foldline tail`, `foldline rebuild` and `foldline verify`.

pub mod chain;
pub mod rebuild;
pub mod tail;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod traces;
pub mod verify;
