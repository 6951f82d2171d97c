//! What a line of an import must keep besides the chain: the limits and shapes that commands and workspaces
//! have, and times that can be.
//!
//! A file may be made up, and its hashes with it: they prove only that the lines belong together. So nothing
//! of a line is taken because it is there.

use std::collections::HashMap;

use domain::{
    event::{StoredEvent, validation},
    rejection::{Rejection, Violations},
    timestamp::Timestamp,
};
use uuid::Uuid;

use super::cloud_event::WorkspaceHeader;
use event_store::{AnsweredCommand, MAX_WORKSPACE_NAME, StoreError, is_join_code};

/// The earliest time of a workspace: the beginning of 2020, before the first version of this program.
const EARLIEST: Timestamp = Timestamp::from_micros(1_577_836_800_000_000);

/// The earliest time at which the clock of a workspace begins, and so of an event: the beginning of 2000.
const EARLIEST_EVENT: Timestamp = Timestamp::from_micros(946_684_800_000_000);

/// How much the clocks of servers may differ, in microseconds: a day.
const CLOCK_SKEW: i64 = 24 * 60 * 60 * 1_000_000;

/// How far the clock of a workspace can be ahead of a server's, in microseconds: 100 years, and a day.
const MOST_AHEAD: i64 = (100 * 365 + 1) * 24 * 60 * 60 * 1_000_000;

/// The length of a hash, in hexadecimal digits.
const HASH_DIGITS: usize = 64;

/// Checks the lines of one workspace, in their order.
#[derive(Debug)]
pub(super) struct ImportRules {
    /// No event is newer.
    latest: Timestamp,
    heads: Vec<u64>,
    /// The time of the last event, by partition: within a partition time does not go back.
    last: HashMap<u32, Timestamp>,
    /// The id of the last command: they come in order, so each is there once.
    last_command: Option<Uuid>,
}

impl ImportRules {
    /// The rules of a workspace whose first line is valid; or which fields of it are not. `now`: the time of
    /// the import.
    pub(super) fn of(header: &WorkspaceHeader, now: Timestamp) -> Result<Self, String> {
        let workspace = &header.workspace;
        let mut violations = Violations::default();
        require_id(&mut violations, workspace.id.0, "source");
        violations.require_name(&workspace.name, MAX_WORKSPACE_NAME, "data.name");
        violations.require(
            is_join_code(&workspace.join_code),
            "data.join_code",
            "is one that this program has made",
        );
        violations.require(
            (EARLIEST..=moved(now, CLOCK_SKEW)).contains(&workspace.created_at),
            "data.created_at",
            "is neither before 2020 nor in the future",
        );
        for (partition, head) in header.heads.iter().enumerate() {
            let is_hash = head.hash.len() == HASH_DIGITS
                && head
                    .hash
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            violations.require(
                is_hash && i64::try_from(head.position).is_ok(),
                format!("data.heads[{partition}]"),
                "is a position and a hash",
            );
        }
        violations.finish().map_err(|rejection| words(&rejection))?;
        Ok(Self {
            // Events go by the workspace's clock, which may be far from that of the server.
            latest: moved(now, MOST_AHEAD),
            heads: header.heads.iter().map(|head| head.position).collect(),
            last: HashMap::new(),
            last_command: None,
        })
    }

    /// Why an event cannot be imported.
    pub(super) fn event(&mut self, event: &StoredEvent) -> Result<(), String> {
        let typed = event.decode().map_err(|error| error.to_string())?;
        validation::validate(&typed)
            .and_then(|()| validation::validate_payload(event))
            .map_err(|rejection| words(&rejection))?;
        // Events after the head in the header were not in the workspace.
        let head = self.heads.get(event.partition as usize);
        if head.is_some_and(|head| event.position > *head) {
            return Err(format!(
                "position {} is after the head of its partition",
                event.position
            ));
        }
        let at = event.recorded_at;
        let last = self.last.entry(event.partition).or_insert(EARLIEST_EVENT);
        if at < *last || at > self.latest {
            return Err(
                "time: is neither before the event before it, nor before the year 2000, nor more than a \
                 century ahead"
                    .to_owned(),
            );
        }
        *last = at;
        Ok(())
    }

    /// Why the answer to a command cannot be imported.
    pub(super) fn command(&mut self, command: &AnsweredCommand) -> Result<(), String> {
        let mut violations = Violations::default();
        let id = command.command_id;
        require_id(&mut violations, id, "id");
        violations.require(
            self.last_command.is_none_or(|last| last < id),
            "id",
            "is after that of the command before it: each command is there once",
        );
        require_id(&mut violations, command.correlation_id, "correlationid");
        let unreadable = |error: StoreError| format!("data.answer: {error}");
        violations.require(
            command.is_as_written().map_err(unreadable)?,
            "data.answer",
            "has what this program writes, and nothing else",
        );
        let token = command.token().map_err(unreadable)?;
        let is_there = |(partition, position): (u32, u64)| {
            let head = usize::try_from(partition)
                .ok()
                .and_then(|index| self.heads.get(index));
            head.is_some_and(|head| position <= *head)
        };
        let streams = command.streams().map_err(unreadable)?;
        let are_there = streams.iter().all(|stream| {
            let last = stream.first.saturating_add(stream.count).saturating_sub(1);
            is_there((stream.partition, last)) && stream.version >= stream.count
        });
        violations.require(
            token.iter().all(is_there) && are_there,
            "data.answer",
            "is about events of this workspace",
        );
        violations.finish().map_err(|rejection| words(&rejection))?;
        self.last_command = Some(id);
        Ok(())
    }
}

/// A workspace and a correlation have ids; the nil one is of none.
fn require_id(violations: &mut Violations, id: Uuid, field: &str) {
    violations.require(!id.is_nil() && !id.is_max(), field, "is an id");
}

fn moved(at: Timestamp, by_micros: i64) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add(by_micros))
}

/// Every field that is wrong, with what is allowed.
fn words(rejection: &Rejection) -> String {
    let fields: Vec<_> = rejection
        .violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.message))
        .collect();
    fields.join("; ")
}
