//! The answer to a command, as it is stored for a repetition.
//!
//! It follows from the command's events. Where they are all in one stream, the row of the first one has their
//! number, and its place in the log says the rest; where the command names several streams, it has the answer
//! as JSON too. Only a command that no event tells of has a row of its own. Ids and types are always read
//! from the log, which never changes.

use domain::{id::StreamName, token::ConsistencyToken, wire::AppendedEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    AnsweredCommand, AppendAnswer, RecordedCommand, StoreError, StreamAppendAnswer,
    columns::{natural, small},
};

/// An answer as it is stored.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredAnswer {
    /// The position that a reader must have reached.
    pub(super) token: ConsistencyToken,
    /// Name, version afterwards, partition, position of the first new event, number of new events.
    pub(super) streams: Vec<(StreamName, u64, u32, u64, u64)>,
}

/// Event id, type, version and position.
pub(super) type AnswerColumns = (Uuid, String, i64, i64);

/// A recorded command: number of its workspace, id, digest of its body, correlation id, answer; and where it
/// has no answer, of its first event the partition, the position, the stream and the version, and the number
/// of its events.
pub(super) type CommandColumns = (
    i64,
    Uuid,
    Vec<u8>,
    Uuid,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<i64>,
);

fn corrupt(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the answer of a command: {error}"))
}

impl StoredAnswer {
    /// An answer, with the partitions of its streams.
    pub(super) fn new(answer: &AppendAnswer, partitions: Vec<u32>) -> Self {
        let stored = |(appended, partition): (&StreamAppendAnswer, u32)| {
            let first = appended.events.first().map_or(0, |event| event.position);
            let count = appended.events.len() as u64;
            (appended.stream.clone(), appended.version, partition, first, count)
        };
        Self {
            token: answer.token.clone(),
            streams: answer.streams.iter().zip(partitions).map(stored).collect(),
        }
    }

    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|error| corrupt(&error))
    }

    pub(super) fn from_json(json: &str) -> Result<Self, StoreError> {
        serde_json::from_str(json).map_err(|error| corrupt(&error))
    }

    /// The answer to a command with events in one stream only, of which the first has this partition,
    /// position and version.
    fn of_one_stream(
        stream: &str,
        partition: u32,
        (position, version): (u64, u64),
        count: u64,
    ) -> Result<Self, StoreError> {
        if count == 0 {
            return Err(corrupt(&"it has no events"));
        }
        let stream = stream.parse::<StreamName>().map_err(|error| corrupt(&error))?;
        Ok(Self {
            token: ConsistencyToken::at(partition, position + count - 1),
            streams: vec![(stream, version + count - 1, partition, position, count)],
        })
    }
}

/// A command that was stored.
pub(super) struct StoredCommand {
    pub(super) workspace_no: i64,
    pub(super) command_id: Uuid,
    body_digest: [u8; 32],
    correlation_id: Uuid,
    pub(super) answer: StoredAnswer,
    /// The answer as JSON, if it is stored so.
    json: Option<String>,
}

impl StoredCommand {
    pub(super) fn new(columns: CommandColumns) -> Result<Self, StoreError> {
        let (workspace_no, command_id, digest, correlation_id, json, ..) = columns;
        let (.., partition, position, stream, version, count) = columns;
        let answer = match (&json, partition, position, stream, version, count) {
            (Some(json), ..) => StoredAnswer::from_json(json)?,
            (None, Some(partition), Some(position), Some(stream), Some(version), Some(count)) => {
                let first = (natural(position)?, natural(version)?);
                StoredAnswer::of_one_stream(&stream, small(partition)?, first, natural(count)?)?
            }
            _ => return Err(corrupt(&format!("command {command_id} has none"))),
        };
        Ok(Self {
            workspace_no,
            command_id,
            body_digest: digest.as_slice().try_into().map_err(|_| {
                StoreError::Corrupt(format!("the digest of command {command_id} has another length"))
            })?,
            correlation_id,
            answer,
            json,
        })
    }

    /// The command with its complete answer; `events` are those of each stream, in order.
    pub(super) fn with_events(self, events: Vec<Vec<AnswerColumns>>) -> Result<RecordedCommand, StoreError> {
        let mut streams = Vec::with_capacity(self.answer.streams.len());
        for ((stream, version, partition, ..), rows) in self.answer.streams.into_iter().zip(events) {
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
            body_digest: self.body_digest,
            answer: AppendAnswer {
                correlation_id: self.correlation_id,
                streams,
                token: self.answer.token,
            },
        })
    }

    /// The command as an export has it: with its answer as JSON, from its events or from its row, and without
    /// the digest of its body.
    pub(super) fn into_answered(self) -> Result<AnsweredCommand, StoreError> {
        Ok(AnsweredCommand {
            command_id: self.command_id,
            correlation_id: self.correlation_id,
            answer: match self.json {
                Some(json) => json,
                None => self.answer.to_json()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn derived(count: i64) -> CommandColumns {
        let stream = Some("order-1".to_owned());
        (
            1,
            ID,
            vec![7; 32],
            ID,
            None,
            Some(3),
            Some(41),
            stream,
            Some(5),
            Some(count),
        )
    }

    #[test]
    fn an_answer_that_follows_from_its_events_is_the_one_that_was_stored_as_json() {
        let json = r#"{"token":"3:42","streams":[["order-1",6,3,41,2]]}"#;
        let of_events = StoredCommand::new(derived(2)).unwrap();
        assert_eq!(of_events.answer, StoredAnswer::from_json(json).unwrap());
        assert_eq!(of_events.into_answered().unwrap().answer, json);
        let text = "{ \"token\": \"3:42\", \"streams\": [] }";
        let columns = (
            1,
            ID,
            vec![7; 32],
            ID,
            Some(text.to_owned()),
            None,
            None,
            None,
            None,
            None,
        );
        let of_a_row = StoredCommand::new(columns).unwrap();
        assert_eq!(
            of_a_row.into_answered().unwrap().answer,
            text,
            "an import is exported unchanged"
        );
    }

    #[test]
    fn a_command_without_an_answer_or_with_another_digest_is_corrupt() {
        let nothing = (1, ID, vec![7; 32], ID, None, None, None, None, None, None);
        let mut short = derived(1);
        short.2 = vec![7; 31];
        for columns in [nothing, derived(0), short] {
            assert!(matches!(StoredCommand::new(columns), Err(StoreError::Corrupt(_))));
        }
    }
}
