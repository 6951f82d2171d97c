//! Compares the stored answers of commands with the events of these commands.
//!
//! The log has a command's events one after the other in each of its streams, and answers are stored by the
//! ids of commands. So the runs of events are sorted in a temporary database while the log is read, and then
//! read beside the answers, page by page.

use domain::{event::StoredEvent, id::WorkspaceId, token::ConsistencyToken};
use futures::TryStreamExt as _;
use serde::Serialize;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{
    VerifyError,
    findings::Findings,
    scratch::{json, open},
};
use event_store::{AnsweredCommand, AnsweredStream, EventStore};

/// A run's key is the order in which answers are read.
const TABLE: &str = "
    create table runs (
        command text not null, partition integer not null, first integer not null,
        stream text not null, version integer not null, count integer not null,
        primary key (command, partition, first)
    ) strict, without rowid;
";

/// Events of one command that follow one another in one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Run {
    command: String,
    partition: u32,
    /// The position of the first.
    first: u64,
    stream: String,
    /// The version of the last.
    version: u64,
    count: u64,
}

impl Run {
    /// The runs of consecutive events of a partition.
    pub(super) fn of<'a>(events: impl Iterator<Item = &'a StoredEvent>) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for event in events {
            let run = Self {
                command: event.metadata.command_id.to_string(),
                partition: event.partition,
                first: event.position,
                stream: event.stream.to_string(),
                version: event.version,
                count: 1,
            };
            join(&mut runs, run);
        }
        runs
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        self.command == next.command
            && self.partition == next.partition
            && self.stream == next.stream
            && self.first.checked_add(self.count) == Some(next.first)
            && self.version.checked_add(next.count) == Some(next.version)
    }

    fn is_of(&self, stream: &AnsweredStream) -> bool {
        let Self {
            partition,
            first,
            version,
            count,
            ..
        } = self;
        self.stream == stream.stream.as_str()
            && (*partition, *first, *version, *count)
                == (stream.partition, stream.first, stream.version, stream.count)
    }
}

/// Adds a run, or lengthens the last one, of which it may be the rest on another page.
fn join(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.is_followed_by(&run) => {
            last.version = run.version;
            last.count += run.count;
        }
        _ => runs.push(run),
    }
}

/// The runs of a workspace's log, by command.
pub(super) struct CommandRuns {
    database: SqliteConnection,
}

impl CommandRuns {
    pub(super) async fn open() -> Result<Self, sqlx::Error> {
        Ok(Self {
            database: open(TABLE).await?,
        })
    }

    /// Adds the runs of a page. A broken log may repeat one: the first is kept, and the log is a finding.
    pub(super) async fn add(&mut self, runs: &[Run]) -> Result<(), sqlx::Error> {
        sqlx::query(
            "
            insert into runs (command, partition, first, stream, version, count)
            select value ->> 'command', value ->> 'partition', value ->> 'first', value ->> 'stream',
                value ->> 'version', value ->> 'count'
            from json_each($1)
            where true
            on conflict do nothing
            ",
        )
        .bind(json(runs)?)
        .execute(&mut self.database)
        .await?;
        Ok(())
    }

    /// Compares the stored answers with the runs. `read_to` is how far the log was read: a later command is
    /// not compared.
    pub(super) async fn compare(
        &mut self,
        store: &dyn EventStore,
        workspace: WorkspaceId,
        (read_to, page_size): (&ConsistencyToken, u32),
        findings: &mut Findings,
    ) -> Result<(), VerifyError> {
        let mut after = None;
        loop {
            let page = store.audit_commands(workspace, after, page_size).await?;
            let last = page.last().map(|(id, _)| *id);
            let mut runs = self.between(after, last).await?.into_iter().peekable();
            for (id, command) in &page {
                let id = id.to_string();
                while let Some(run) = runs.next_if(|run| run.command < id) {
                    unanswered(&run, findings);
                }
                let mut of_command = Vec::new();
                while let Some(run) = runs.next_if(|run| run.command == id) {
                    of_command.push(run);
                }
                match command {
                    Ok(command) => compare_one(command, &of_command, read_to, findings),
                    Err(error) => {
                        findings.add(format!("command {id}: its stored answer cannot be read: {error}"));
                    }
                }
            }
            for run in runs {
                unanswered(&run, findings);
            }
            if last.is_none() || findings.is_full() {
                return Ok(());
            }
            after = last;
        }
    }

    /// The runs of the commands after one id, up to another if there is one, joined.
    async fn between(&mut self, after: Option<Uuid>, last: Option<Uuid>) -> Result<Vec<Run>, sqlx::Error> {
        let mut rows = sqlx::query_as::<_, (String, u32, i64, String, i64, i64)>(
            "
            select command, partition, first, stream, version, count from runs
            where command > $1 and ($2 is null or command <= $2)
            order by command, partition, first
            ",
        )
        // every id comes after the empty text
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(last.map(|id| id.to_string()))
        .fetch(&mut self.database);
        let mut runs = Vec::new();
        while let Some((command, partition, first, stream, version, count)) = rows.try_next().await? {
            let run = Run {
                command,
                partition,
                first: first.unsigned_abs(),
                stream,
                version: version.unsigned_abs(),
                count: count.unsigned_abs(),
            };
            join(&mut runs, run);
        }
        Ok(runs)
    }
}

fn unanswered(run: &Run, findings: &mut Findings) {
    let Run {
        command,
        partition,
        first,
        stream,
        ..
    } = run;
    findings.add(format!(
        "command {command}: it has events of {stream} at {partition}:{first}, and no stored answer"
    ));
}

/// Compares the answer of a command with its events.
fn compare_one(command: &AnsweredCommand, runs: &[Run], read_to: &ConsistencyToken, findings: &mut Findings) {
    let id = command.command_id;
    let (streams, token) = match command
        .streams()
        .and_then(|streams| Ok((streams, command.token()?)))
    {
        Ok(read) => read,
        Err(error) => return findings.add(format!("command {id}: {error}")),
    };
    let named: Vec<&AnsweredStream> = streams
        .iter()
        .filter(|stream| stream.count > 0 && stream.first <= read_to.position(stream.partition))
        .collect();
    for stream in &named {
        let AnsweredStream {
            partition,
            first,
            count,
            stream: name,
            ..
        } = stream;
        if !runs.iter().any(|run| run.is_of(stream)) {
            findings.add(format!(
                "command {id}: its stored answer names {count} events of {name} at {partition}:{first}, \
                 which are not there, or not its own"
            ));
        } else if token.position(*partition) < first.saturating_add(count.saturating_sub(1)) {
            findings.add(format!(
                "command {id}: the token of its stored answer does not cover its events"
            ));
        }
    }
    for run in runs {
        if !named.iter().any(|stream| run.is_of(stream)) {
            let Run {
                partition,
                first,
                stream,
                ..
            } = run;
            findings.add(format!(
                "command {id}: it has events of {stream} at {partition}:{first} that its stored answer does \
                 not name"
            ));
        }
    }
}
