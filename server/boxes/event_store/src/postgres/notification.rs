//! The notification of a committed group to the other servers: the payload of a `NOTIFY`.
//!
//! It names the partitions that the group has advanced, with their heads. PostgreSQL delivers it after the
//! commit or not at all, and it may be lost with the connection of a listener; the heads can always be read
//! from the partitions' rows.
//!
//! Messages of servers to each other take the same channel.

use std::fmt;

use domain::id::WorkspaceId;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{StoreError, appender::ValidatedGroup};

/// The channel; it belongs to one database, like the tables.
pub(super) const CHANNEL: &str = "foldline_events";

/// PostgreSQL accepts fewer than 8000 bytes.
const LONGEST: usize = 7_900;

/// Stands for all partitions where there are too many to name.
const ALL: &str = "*";

/// Stands before the text of a message, where a notification names its first partition.
const MESSAGE: &str = "!";

const NOTIFY: &str = "select pg_notify($1, $2)";

/// A partition and its head.
pub(super) type PartitionHead = (WorkspaceId, u32, u64);

/// The new heads of the partitions that one group has advanced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeadNotification {
    /// The server that sends it, which ignores its own notifications.
    pub(super) origin: Uuid,
    /// `None`: too many to name; the receiver reads all heads.
    pub(super) heads: Option<Vec<PartitionHead>>,
}

impl HeadNotification {
    /// The notification of a group.
    pub(super) fn of(origin: Uuid, group: &ValidatedGroup) -> Self {
        let advanced = group.partitions.iter().filter(|it| it.head > it.before);
        Self {
            origin,
            heads: Some(advanced.map(|it| (it.workspace, it.partition, it.head)).collect()),
        }
    }

    /// Parses a payload; `None`: its format is unknown.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let origin = words.next()?.parse().ok()?;
        let words: Vec<_> = words.collect();
        let heads = if words == [ALL] {
            None
        } else {
            Some(words.into_iter().map(partition_head).collect::<Option<_>>()?)
        };
        Some(Self { origin, heads })
    }
}

/// Sends a message to the other servers.
pub(super) async fn tell(readers: &PgPool, origin: Uuid, message: &str) -> Result<(), StoreError> {
    sqlx::query(NOTIFY)
        .bind(CHANNEL)
        .bind(message_payload(origin, message))
        .execute(readers)
        .await?;
    Ok(())
}

fn message_payload(origin: Uuid, message: &str) -> String {
    format!("{} {MESSAGE} {message}", origin.simple())
}

/// The origin and the text of a payload that is a message.
pub(super) fn parse_message(payload: &str) -> Option<(Uuid, &str)> {
    let (origin, rest) = payload.split_once(' ')?;
    let message = rest.strip_prefix(MESSAGE)?.strip_prefix(' ')?;
    Some((origin.parse().ok()?, message))
}

fn partition_head(word: &str) -> Option<PartitionHead> {
    let (workspace, rest) = word.split_once('/')?;
    let (partition, head) = rest.split_once(':')?;
    Some((
        WorkspaceId(workspace.parse().ok()?),
        partition.parse().ok()?,
        head.parse().ok()?,
    ))
}

impl fmt::Display for HeadNotification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |heads: &Vec<PartitionHead>| -> String {
            let word = |(workspace, partition, head): &PartitionHead| {
                format!(" {}/{partition}:{head}", workspace.0.simple())
            };
            heads.iter().map(word).collect()
        };
        match self.heads.as_ref().map(words) {
            Some(words) if words.len() <= LONGEST - 32 => write!(f, "{}{words}", self.origin.simple()),
            _ => write!(f, "{} {ALL}", self.origin.simple()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(partitions: u32) -> HeadNotification {
        let head = |partition| (WorkspaceId(Uuid::from_u128(7)), partition, u64::MAX);
        HeadNotification {
            origin: Uuid::from_u128(42),
            heads: Some((0..partitions).map(head).collect()),
        }
    }

    #[test]
    fn a_notification_is_parsed_as_it_was_written() {
        for partitions in [0, 1, 2, 64] {
            let sent = of(partitions);
            assert_eq!(HeadNotification::parse(&sent.to_string()), Some(sent));
        }
    }

    #[test]
    fn a_notification_fits_with_any_number_of_partitions() {
        let mut named = 0;
        for partitions in 0..600 {
            let text = of(partitions).to_string();
            assert!(text.len() < 8_000, "{partitions}");
            let parsed = HeadNotification::parse(&text).unwrap();
            assert_eq!(parsed.origin, Uuid::from_u128(42));
            if let Some(heads) = parsed.heads {
                assert_eq!(heads.len(), partitions as usize);
                named = partitions;
            }
        }
        assert!(
            (100..599).contains(&named),
            "many are named, and then none: {named}"
        );
    }

    #[test]
    fn a_message_is_parsed_as_it_was_written_and_is_no_notification() {
        let origin = Uuid::from_u128(42);
        for message in ["", "hello", "{\"type\": \"x\"} !"] {
            let payload = message_payload(origin, message);
            assert_eq!(parse_message(&payload), Some((origin, message)));
            assert_eq!(
                HeadNotification::parse(&payload),
                None,
                "as an older version reads it"
            );
        }
        for partitions in [0, 1, 600] {
            assert_eq!(parse_message(&of(partitions).to_string()), None);
        }
    }

    #[test]
    fn a_payload_in_another_format_is_not_parsed() {
        let origin = Uuid::from_u128(42).simple();
        for text in [
            "",
            "*",
            "hello",
            &format!("{origin} x"),
            &format!("{origin} */1:2"),
        ] {
            assert_eq!(HeadNotification::parse(text), None, "{text}");
        }
        for word in ["", "/", "7/0:1", "0/0:-1", "* *"] {
            assert_eq!(
                HeadNotification::parse(&format!("{origin} {word}")),
                None,
                "{word}"
            );
        }
    }
}
