//! The frames of `/api/v1/live`.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{CommandAnswer, CommandRequest, Hop, MergedHops, Order, Problem, Row};
use crate::{id::WorkspaceId, token::ConsistencyToken};

/// What the lab shows of a workspace's pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabTopic {
    /// The hops of its events and queries, as they happen.
    Hops,
    /// Its dials.
    Dials,
    /// The lights of its invariants.
    Invariants,
    /// The class: what it is shown, and who is there.
    Class,
}

/// A frame from a client on `/api/v1/live`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ClientFrame {
    /// Follow one document (`key`) or one group of a listing (`listing`, `group`) of a view, or the pipeline
    /// in the lab (`lab`).
    Subscribe {
        /// The client's id for the subscription; a subscription with the same id is replaced.
        id: u64,
        /// The view. Either this or `lab` is present.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<String>,
        /// What to follow in the lab; the other fields belong to a view.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lab: Option<LabTopic>,
        /// The document; without it, a listing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The listing; by default `all`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listing: Option<String>,
        /// The group; by default empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// The order of the snapshot.
        #[serde(default)]
        order: Order,
        /// The maximum number of rows of the snapshot; changes are sent for the whole group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// The client's position: only later changes are sent, if the server can prove continuity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume: Option<ConsistencyToken>,
        /// The generation that `resume` belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<u64>,
    },
    /// Stop following.
    Unsubscribe {
        /// The subscription.
        id: u64,
    },
    /// Send a command; answered by `result`.
    Command {
        /// The client's id for the answer.
        id: u64,
        /// As `POST /api/v1/commands`.
        command: CommandRequest,
        /// As the header Idempotency-Key.
        idempotency_key: String,
    },
    /// The answer to `ping`.
    Pong,
}

/// The event behind a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeCause {
    /// The event's id.
    pub id: Uuid,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its partition.
    pub partition: u32,
    /// Its position in the partition.
    pub position: u64,
}

/// A snapshot: one document, or the rows of a listing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SnapshotData<D = Value> {
    /// A listing's rows, in order.
    Rows(Vec<Row<D>>),
    /// A document; null if there is none.
    Document(D),
}

/// A frame from the server on `/api/v1/live`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ServerFrame<D = Value> {
    /// The complete content of a subscription at one position. Replaces the client's content.
    Snapshot {
        /// The subscription.
        id: u64,
        /// The position.
        as_of: ConsistencyToken,
        /// The view's generation.
        generation: u64,
        /// The number of events not folded at that position.
        behind: u64,
        /// The content.
        data: SnapshotData<D>,
        /// For a listing with more rows than the limit: the cursor of the next page.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// One document changed, or entered or left the subscription.
    Change {
        /// The subscription.
        id: u64,
        /// The position after the change.
        as_of: ConsistencyToken,
        /// The document's key.
        key: String,
        /// The document after the change; null if it left the subscription.
        data: Option<D>,
        /// Its sort key in the listing, if it is in it.
        #[serde(skip_serializing_if = "Option::is_none")]
        sort: Option<String>,
        /// The event that caused it.
        event: ChangeCause,
    },
    /// The subscription is complete up to this position, and the view has folded every event.
    CaughtUp {
        /// The subscription.
        id: u64,
        /// The position.
        as_of: ConsistencyToken,
    },
    /// The view has been behind the stored events for a while.
    Behind {
        /// The subscription.
        id: u64,
        /// The position of the subscription.
        as_of: ConsistencyToken,
        /// The number of events not folded.
        behind: u64,
        /// The lag in milliseconds.
        behind_ms: u64,
        /// Whether an educator has paused the view; absent if not.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        paused: bool,
    },
    /// Hops of the pipeline, for a subscription of the lab: at most 10 frames a second, each with at most 50
    /// single hops. The first frame has the newest that are kept, up to 200, and may be empty: from then on
    /// hops are made.
    Hops {
        /// The subscription.
        id: u64,
        /// Single hops, in the order in which they ended at each server.
        data: Vec<Hop>,
        /// Further hops, counted for each arrow.
        merged: Vec<MergedHops>,
        /// The number of hops that were lost before these, because the client or a server was too slow.
        dropped: u64,
    },
    /// The dials of the workspace: at first, and again at each change.
    Dials {
        /// The subscription.
        id: u64,
        /// As the answer of `GET /api/v1/lab/dials` ([`DialsAnswer`](super::DialsAnswer)); every page follows
        /// it, and most of them read a few of its members.
        data: Value,
    },
    /// The lights of the workspace: at first, and again when one of them has changed.
    Invariants {
        /// The subscription.
        id: u64,
        /// As the answer of `GET /api/v1/lab/invariants` ([`InvariantsAnswer`](super::InvariantsAnswer)).
        data: Value,
    },
    /// The class: at first, and again when it has changed.
    Class {
        /// The subscription.
        id: u64,
        /// As the answer of `GET /api/v1/lab/class` ([`ClassAnswer`](super::ClassAnswer)) to the person whose
        /// socket it is.
        data: Value,
    },
    /// The answer to `command`: one of the two is present.
    Result {
        /// The client's id of the command.
        id: u64,
        /// As the answer of `POST /api/v1/commands`.
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<CommandAnswer>,
        /// The problem.
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<Problem>,
    },
    /// A frame or subscription that failed; without an id it concerns the connection.
    Error {
        /// The subscription.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// The problem.
        problem: Problem,
    },
    /// The workspace was reset, and another one has its place; the server closes the connection after it. A
    /// browser loads the page again, and a program asks `POST /api/v1/sessions/follow` for a token.
    Moved {
        /// The workspace that has its place.
        workspace: WorkspaceId,
    },
    /// Checks the connection; answered with `pong`.
    Ping,
}

/// Reads by way of `Value`, field by field. The derived reader of a tagged enum supports every format, and
/// would be a tenth of the browser's bundle.
impl<'de> Deserialize<'de> for ServerFrame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(deserializer)?).map_err(Error::custom)
    }
}

impl ServerFrame {
    /// Reads a frame from a JSON value.
    pub fn read(frame: Value) -> Result<Self, serde_json::Error> {
        let mut fields = Fields::of(frame)?;
        let op: String = fields.take("op")?;
        Ok(match op.as_str() {
            "snapshot" => Self::Snapshot {
                id: fields.take("id")?,
                as_of: fields.take("as_of")?,
                generation: fields.take("generation")?,
                behind: fields.take("behind")?,
                data: match fields.value("data") {
                    rows @ Value::Array(_) => SnapshotData::Rows(super::from_plain(&rows)?),
                    document => SnapshotData::Document(document),
                },
                next: fields.take("next")?,
            },
            "change" => Self::Change {
                id: fields.take("id")?,
                as_of: fields.take("as_of")?,
                key: fields.take("key")?,
                data: Some(fields.value("data")).filter(|data| !data.is_null()),
                sort: fields.take("sort")?,
                event: fields.take("event")?,
            },
            "caught_up" => Self::CaughtUp {
                id: fields.take("id")?,
                as_of: fields.take("as_of")?,
            },
            "behind" => Self::Behind {
                id: fields.take("id")?,
                as_of: fields.take("as_of")?,
                behind: fields.take("behind")?,
                behind_ms: fields.take("behind_ms")?,
                paused: fields.take::<Option<bool>>("paused")?.unwrap_or_default(),
            },
            "result" => Self::Result {
                id: fields.take("id")?,
                result: fields.take("result")?,
                problem: fields.take("problem")?,
            },
            _ => return Self::read_common(&op, fields),
        })
    }

    /// Reads a frame for a client that follows no view and sends no command: hops, dials, lights, the class,
    /// errors and pings.
    pub fn read_of_lab(frame: Value) -> Result<Self, serde_json::Error> {
        let mut fields = Fields::of(frame)?;
        let op: String = fields.take("op")?;
        Self::read_common(&op, fields)
    }

    fn read_common(op: &str, mut fields: Fields) -> Result<Self, serde_json::Error> {
        Ok(match op {
            "hops" => Self::Hops {
                id: fields.take("id")?,
                data: fields.take("data")?,
                merged: fields.take("merged")?,
                dropped: fields.take("dropped")?,
            },
            "dials" => Self::Dials {
                id: fields.take("id")?,
                data: fields.value("data"),
            },
            "invariants" => Self::Invariants {
                id: fields.take("id")?,
                data: fields.value("data"),
            },
            "class" => Self::Class {
                id: fields.take("id")?,
                data: fields.value("data"),
            },
            "error" => Self::Error {
                id: fields.take("id")?,
                problem: fields.take("problem")?,
            },
            "moved" => Self::Moved {
                workspace: fields.take("workspace")?,
            },
            "ping" => Self::Ping,
            unknown => return Err(Error::custom(format_args!("there is no frame {unknown}"))),
        })
    }
}

/// The fields of a frame that are not read yet.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(frame: Value) -> Result<Self, serde_json::Error> {
        match frame {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(Error::custom("a frame is an object")),
        }
    }

    /// Takes a field's value; null if it is absent.
    fn value(&mut self, name: &str) -> Value {
        self.0.remove(name).unwrap_or_default()
    }

    #[inline(never)]
    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, serde_json::Error> {
        super::from_plain(&self.value(name)).map_err(|error| Error::custom(format_args!("{name}: {error}")))
    }
}
