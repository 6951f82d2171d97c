//! What handles the events of a workspace: views, process managers and consumers, where each of them is, and
//! whether it has handled an event.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ProjectionStatus;
use crate::{timestamp::Timestamp, token::ConsistencyToken, view};

/// The process managers, by the names of their lanes.
pub const PROCESS_MANAGERS: [&str; 1] = ["fulfilment"];

/// The consumers, by the names of their lanes.
pub const CONSUMERS: [&str; 4] = ["notification", "analytics", "search", ERASURE];

/// The consumer that destroys the keys of erased people. No dial bends it: the erasure is their right.
pub const ERASURE: &str = "erasure";

/// What an event handler does with events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HandlerKind {
    /// Folds them into documents that are read, and can be rebuilt.
    View,
    /// Sends commands because of them.
    ProcessManager,
    /// Has an effect outside of the log and the views, such as a mail.
    Consumer,
}

impl HandlerKind {
    /// All of them, in the order of a page.
    pub const ALL: [Self; 3] = [Self::View, Self::ProcessManager, Self::Consumer];

    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::ProcessManager => "process-manager",
            Self::Consumer => "consumer",
        }
    }

    /// The names of the handlers of this kind, in the order of a page.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::View => &view::NAMES,
            Self::ProcessManager => &PROCESS_MANAGERS,
            Self::Consumer => &CONSUMERS,
        }
    }

    /// What the handler of this name is; `None`: there is none.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.names().contains(&name))
    }
}

/// An event handler, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandlerStatus {
    /// What it is.
    pub kind: HandlerKind,
    /// For how many milliseconds it has been behind the log; absent: it has handled every event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<u64>,
    /// Its status, as a projection has it; `view` is its name. What can be done to a view only, such as a
    /// rebuild, is never in that of another handler.
    pub status: ProjectionStatus,
}

/// The answer of `GET /api/v1/lab/handlers`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandlersAnswer {
    /// The newest position of each partition.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:130"))]
    pub head: ConsistencyToken,
    /// Views, then process managers, then consumers.
    pub data: Vec<HandlerStatus>,
}

/// What an event handler has done with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Handling {
    /// It has handled it, or it is of a type that does not concern it.
    Handled,
    /// It has not come to it yet.
    Behind,
    /// It could not apply it: the event is a dead letter.
    DeadLetter,
    /// The event waits behind a dead letter of its stream.
    Waiting,
    /// It was discarded: the handler goes on without it.
    Discarded,
}

impl Handling {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Behind => "behind",
            Self::DeadLetter => "dead-letter",
            Self::Waiting => "waiting",
            Self::Discarded => "discarded",
        }
    }
}

/// An event handler, and what it has done with an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandledBy {
    /// The handler's name.
    pub name: String,
    /// What it is.
    pub kind: HandlerKind,
    /// What it has done.
    pub handling: Handling,
    /// Why it could not apply the event; absent if it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer of `GET /api/v1/lab/handled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandledAnswer {
    /// The event.
    pub event_id: Uuid,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its stream.
    pub stream: String,
    /// Its version in the stream.
    pub version: u64,
    /// Its partition.
    pub partition: u32,
    /// Its position in the partition.
    pub position: u64,
    /// Every handler, in the order of `GET /api/v1/lab/handlers`.
    pub data: Vec<HandledBy>,
}

/// An event that waits behind a dead letter of its stream; `GET /api/v1/dead-letters/{id}/waiting` lists
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitingEvent {
    /// The event.
    pub event_id: Uuid,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its version in the stream.
    pub version: u64,
    /// Its position in the partition.
    pub position: u64,
    /// The time at which it was parked.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub parked_at: Timestamp,
}

/// The answer of `POST /api/v1/dead-letters/retry`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RetriedDeadLetters {
    /// The number of dead letters that were retried.
    pub retried: u64,
    /// The number of events that were applied: dead letters, and events that waited behind them.
    pub applied: u64,
    /// The number of retried dead letters whose stream is held back still, or whose effect is not possible
    /// now.
    pub left: u64,
    /// Where the next dead letters begin, as `cursor` of the next request; absent: these were the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_names_of_kinds_and_of_handlings_are_those_in_json() {
        for kind in HandlerKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.as_str()));
        }
        for handling in [
            Handling::Handled,
            Handling::Behind,
            Handling::DeadLetter,
            Handling::Waiting,
            Handling::Discarded,
        ] {
            assert_eq!(serde_json::to_value(handling).unwrap(), json!(handling.as_str()));
        }
    }

    #[test]
    fn every_policy_is_named_as_a_process_manager_and_every_view_as_a_view() {
        let policies = crate::policy::all().iter().map(|policy| policy.name());
        assert!(policies.eq(PROCESS_MANAGERS));
        assert_eq!(HandlerKind::of("orders"), Some(HandlerKind::View));
        assert_eq!(HandlerKind::of("fulfilment"), Some(HandlerKind::ProcessManager));
        assert_eq!(HandlerKind::of(ERASURE), Some(HandlerKind::Consumer));
        assert_eq!(HandlerKind::of("no-such"), None);
    }

    #[test]
    fn an_answer_is_read_as_it_was_written_also_by_the_browsers_reader() {
        let answer = json!({"head": "0:130", "data": [{
            "kind": "process-manager", "behind_ms": 740,
            "status": {
                "view": "fulfilment", "generation": 1, "as_of": "0:127", "behind": 3, "dead_letters": 0,
                "waiting": 0, "failing": [], "paused": false, "slow_ms": 0, "fails_by_dial": false,
                "panics": 0,
            },
        }]});
        let read: HandlersAnswer = crate::wire::from_plain(&answer).unwrap();
        assert_eq!(read.data[0].kind, HandlerKind::ProcessManager);
        assert_eq!(serde_json::to_value(&read).unwrap(), answer);
    }
}
