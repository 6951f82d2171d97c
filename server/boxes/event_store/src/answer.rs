//! The answer to a command, as it is stored for a repetition: only what the events do not contain. Their ids
//! and types are read from the log, which never changes.

use domain::{id::StreamName, token::ConsistencyToken, wire::AppendedEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AppendAnswer, RecordedCommand, StoreError, StreamAppendAnswer, columns::natural};

/// An answer as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredAnswer {
    /// The position that a reader must have reached.
    pub(super) token: ConsistencyToken,
    /// Name, version afterwards, partition, position of the first new event, number of new events.
    pub(super) streams: Vec<(StreamName, u64, u32, u64, u64)>,
}

/// Event id, type, version and position.
pub(super) type AnswerColumns = (Uuid, String, i64, i64);

/// The columns of a recorded command: digest of its body, correlation id, answer.
pub(super) type CommandColumns = (Vec<u8>, Uuid, String);

fn corrupt(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the answer of a command: {error}"))
}

impl StoredAnswer {
    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|error| corrupt(&error))
    }

    pub(super) fn from_json(json: &str) -> Result<Self, StoreError> {
        serde_json::from_str(json).map_err(|error| corrupt(&error))
    }

    /// The complete answer; `events` are those of each stream, in order.
    pub(super) fn with_events(
        self,
        (body_digest, correlation_id, _): &CommandColumns,
        events: Vec<Vec<AnswerColumns>>,
    ) -> Result<RecordedCommand, StoreError> {
        let mut streams = Vec::with_capacity(self.streams.len());
        for ((stream, version, partition, ..), rows) in self.streams.into_iter().zip(events) {
            let event = |(event_id, event_type, version, position): AnswerColumns| {
                Ok(AppendedEvent {
                    event_id,
                    event_type,
                    version: natural(version)?,
                    position: natural(position)?,
                    partition,
                })
            };
            streams.push(StreamAppendAnswer {
                stream,
                version,
                events: rows.into_iter().map(event).collect::<Result<_, StoreError>>()?,
            });
        }
        Ok(RecordedCommand {
            body_digest: body_digest
                .as_slice()
                .try_into()
                .map_err(|error: std::array::TryFromSliceError| corrupt(&error))?,
            answer: AppendAnswer {
                correlation_id: *correlation_id,
                streams,
                token: self.token,
            },
        })
    }
}
