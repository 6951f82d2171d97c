//! What client and server say on `/api/v1/live`.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{CommandAnswer, CommandRequest, Order, Problem, Row};
use crate::token::ConsistencyToken;

/// What a client sends on `/api/v1/live`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ClientFrame {
    /// Follow one document (`key`) or one group of a listing (`listing`, `group`).
    Subscribe {
        /// The client's name for the subscription; a name in use is replaced.
        id: u64,
        /// The view.
        view: String,
        /// The document; without it, a listing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The listing; `all` where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listing: Option<String>,
        /// The group; empty where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// The order of the snapshot.
        #[serde(default)]
        order: Order,
        /// The most rows of the snapshot; changes come for the whole group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// What the client has already seen: only what came after it is sent, where the server can prove continuity.
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
        /// The client's name for the answer.
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
    /// The partition that it lies in.
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
    /// A document; null where there is none.
    Document(D),
}

/// What the server sends on `/api/v1/live`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ServerFrame<D = Value> {
    /// Everything that a subscription shows, at one moment. Replaces what the client has.
    Snapshot {
        /// The subscription.
        id: u64,
        /// The moment.
        as_of: ConsistencyToken,
        /// The view's generation.
        generation: u64,
        /// Events not folded yet at that moment.
        behind: u64,
        /// What it shows.
        data: SnapshotData<D>,
        /// For a listing with more rows than the limit: the cursor of the next page.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// One document changed, entered or left.
    Change {
        /// The subscription.
        id: u64,
        /// The moment after it.
        as_of: ConsistencyToken,
        /// The document's key.
        key: String,
        /// The document now; null: it left the subscription.
        data: Option<D>,
        /// Its sort key in the listing, while it is in it.
        #[serde(skip_serializing_if = "Option::is_none")]
        sort: Option<String>,
        /// Why it changed.
        event: ChangeCause,
    },
    /// The subscription shows everything up to this moment, and the view has folded every event.
    CaughtUp {
        /// The subscription.
        id: u64,
        /// The moment.
        as_of: ConsistencyToken,
    },
    /// Events are stored that the view has not folded for a while.
    Behind {
        /// The subscription.
        id: u64,
        /// What it shows.
        as_of: ConsistencyToken,
        /// How many events.
        behind: u64,
        /// Since how many milliseconds.
        behind_ms: u64,
    },
    /// The answer to `command`: one of the two is present.
    Result {
        /// The client's name for it.
        id: u64,
        /// As the answer of `POST /api/v1/commands`.
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<CommandAnswer>,
        /// Why not.
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<Problem>,
    },
    /// A frame or subscription that failed; without an id it concerns the connection.
    Error {
        /// The subscription.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// Why.
        problem: Problem,
    },
    /// Are you there? Answered with `pong`.
    Ping,
}

/// Reads by way of `Value`, field by field. The derived reader of a tagged enum is written for every format, and is a
/// tenth of the browser's client.
impl<'de> Deserialize<'de> for ServerFrame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(deserializer)?).map_err(Error::custom)
    }
}

impl ServerFrame {
    /// The frame that a JSON value is.
    pub fn read(frame: Value) -> Result<Self, serde_json::Error> {
        let Value::Object(fields) = frame else {
            return Err(Error::custom("a frame is an object"));
        };
        let mut fields = Fields(fields);
        let op: String = fields.take("op")?;
        Ok(match op.as_str() {
            "snapshot" => Self::Snapshot {
                id: fields.take("id")?,
                as_of: fields.take("as_of")?,
                generation: fields.take("generation")?,
                behind: fields.take("behind")?,
                data: match fields.value("data") {
                    rows @ Value::Array(_) => SnapshotData::Rows(serde_json::from_value(rows)?),
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
            },
            "result" => Self::Result {
                id: fields.take("id")?,
                result: fields.take("result")?,
                problem: fields.take("problem")?,
            },
            "error" => Self::Error {
                id: fields.take("id")?,
                problem: fields.take("problem")?,
            },
            "ping" => Self::Ping,
            unknown => return Err(Error::custom(format_args!("there is no frame {unknown}"))),
        })
    }
}

/// The fields of a frame that are not read yet.
struct Fields(Map<String, Value>);

impl Fields {
    /// A field's value; null where it is absent.
    fn value(&mut self, name: &str) -> Value {
        self.0.remove(name).unwrap_or_default()
    }

    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, serde_json::Error> {
        T::deserialize(&self.value(name)).map_err(|error| Error::custom(format_args!("{name}: {error}")))
    }
}
