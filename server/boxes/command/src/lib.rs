//! Box 3, Command Service: validates intent and creates domain commands.
//!
//! Every command takes the same steps: parse → authorise → (repeated? return the first answer) → load
//! the aggregate → `decide` → append with the version that was decided on → if another append came
//! first and the caller did not name a version, load and decide again.
//!
//! | module | what it does |
//! |---|---|
//! | `service` | the entry point: authorises each command and calls its handler |
//! | `intent` | parses and validates a request, before any state is loaded |
//! | `handlers` | commands that need other streams or a provider, or append to more than one stream |
//! | `repository` | loads a command's aggregate and appends the decided events; executes every other command |
//! | `append_port` | the port to the event store, and what keeps commands apart |
//! | `answer` | the answer to a command, and again to a repeated one |
//! | `command_hops` | the arrows that a command and its events cross, for the live map |
//! | `retry`, `stream_locks` | optimistic concurrency, and the locks that keep conflicts rare |
//! | `storage_quota`, `stored_documents` | the quota of a sandbox's documents, and the port to them |
//! | `aggregate_loader` | loads states: from its cache, or from a snapshot and the events after it |
//! | `guests` | the share of an address in the places of a sandbox, and guests who are gone |
//! | `workspaces`, `template` | opening and joining workspaces, and their initial content |

mod aggregate_loader;
mod answer;
mod append_port;
mod command_hops;
mod failure;
mod guests;
mod handlers;
mod intent;
mod repository;
mod retry;
mod service;
mod storage_quota;
mod stored_documents;
mod stream_locks;
mod template;
#[cfg(test)]
mod tests;
mod workspaces;

pub use append_port::{AppendPort, Isolation};
pub use event_store::{ContentError, Workspace, WorkspaceContent};
pub use failure::{CommandFailure, StorageUnit};
pub use guests::Visit;
pub use intent::Intent;
pub use service::{CommandService, Sender};
pub use storage_quota::StorageLimits;
pub use stored_documents::{StorageUsage, StoredDocuments};
pub use workspaces::{Admission, AdmissionError, NewEducator, Workspaces};
