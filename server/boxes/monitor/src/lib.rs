//! Box 11, Monitoring / Replay Tool: inspects streams and replays events.
//!
//! It reads the event store and changes nothing in it; only [`import`] writes, and only whole workspaces. The
//! gateway serves it to the lab's pages; at the terminal it provides every subcommand of `foldline` but
//! `serve` and `token`.
//!
//! | module | content |
//! |---|---|
//! | [`terminal`], [`tail`] | `foldline streams` and `tail`: the log as it is |
//! | [`chain`], [`verify`] | `foldline verify`: proof that the log is complete and the views follow from it |
//! | [`checkpoint`] | `foldline checkpoint`: signed checkpoints of the log, kept outside of it |
//! | [`replay`] | `foldline replay`: state and documents after each event |
//! | [`rebuild`] | `foldline rebuild`: a view folded again |
//! | [`dead_letters`] | `foldline dead-letters`: the events that could not be applied |
//! | [`cloud_event`], [`export`], [`import`] | `foldline export` and `import`: workspaces as CloudEvents |
//! | [`inspection`] | what the gateway shows of a running server |
//! | `log_search` | searches in the log for people: newest first, by time, by id |
//! | [`backup`] | `foldline backup`: copies of the files, while a server has them open |
//!
//! Tests over the whole pipeline: `server/src/read_side/tests/monitor.rs`.

pub mod backup;
pub mod chain;
pub mod checkpoint;
pub mod cloud_event;
pub mod dead_letters;
pub mod export;
pub mod import;
mod import_rules;
pub mod inspection;
mod log_search;
pub mod rebuild;
mod remote;
pub mod replay;
pub mod tail;
pub mod terminal;
pub mod verify;

pub use event_store::{Direction, EventFilter, StoreError};
pub use log_search::LogQuery;
pub use projection::{
    dead_letters::{DeadLetterError, Remedy},
    rebuild::RebuildError,
};
