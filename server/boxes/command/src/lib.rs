//! Box 3, Command Service: validates intent and creates domain commands.
//!
//! A command goes one way: parse → authorise → (repeated? the first answer again) → load the aggregate → `decide` →
//! append with the version that was decided on → where another append came first and the caller did not name a version,
//! load and decide again.
//!
//! | module | what it does |
//! |---|---|
//! | `service` | where commands come in: authorises, and hands each to its handler |
//! | `intent` | reads and checks a request, before any state is loaded |
//! | `handlers` | one file a command whose decision sees other streams or a provider, or moves more than its own stream |
//! | `repository` | loads an aggregate, appends what was decided; the way of every other command |
//! | `answer` | what a command is answered, and a repeated one again |
//! | `retry`, `turns` | optimistic concurrency, and the courtesy that keeps conflicts rare |
//! | `aggregates` | states in memory, snapshots, tails |
//! | `workspaces`, `template` | opening and joining workspaces, and what is in them at first |

mod aggregates;
mod answer;
mod failure;
mod handlers;
mod intent;
mod repository;
mod retry;
mod service;
mod template;
#[cfg(test)]
mod tests;
mod turns;
mod workspaces;

pub use failure::CommandFailure;
pub use intent::Intent;
pub use service::CommandService;
pub use workspaces::{Admission, AdmissionError, Workspaces};
