//! A line of an export: a CloudEvent 1.0 in its JSON format.
//!
//! Every event of the log is one, and so are three kinds of lines of our own: the header of a workspace, an
//! answered command, and the trailer of a workspace. Any CloudEvents reader can read the file; to get domain
//! events only, skip the types that begin with `foldline.`. The payload is in `data`, byte for byte as it
//! is stored, because its bytes are hashed.

use domain::{
    access::Role,
    event::{ActorRef, Metadata, RecordedEvent, StoredEvent},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::Template,
};
use event_store::{AnsweredCommand, ChainHead, MAX_SHARDS, MAX_WORKSPACE_NAME, Workspace};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The longest join code, in characters: people type it.
const MAX_JOIN_CODE: usize = 40;
/// The version of CloudEvents.
const SPEC: &str = "1.0";
const JSON: &str = "application/json";
/// The types of our own lines. The number is the version of the format; an import refuses an unknown one.
const WORKSPACE: &str = "foldline.workspace.v2";
/// As earlier versions wrote it: without the number of workspaces of the file.
const WORKSPACE_WITHOUT_PART: &str = "foldline.workspace.v1";
const COMMAND: &str = "foldline.command.v2";
/// As earlier versions wrote it: with a digest of the command's body, which is not kept.
const COMMAND_WITH_DIGEST: &str = "foldline.command.v1";
const END: &str = "foldline.end.v1";
/// The prefix of a workspace's id in `source`.
const SOURCE: &str = "urn:foldline:workspace:";
/// The prefix of type and version in `dataschema`.
const SCHEMA: &str = "urn:foldline:schema:";

/// A line of an export.
#[derive(Debug)]
pub enum Line {
    /// The first line of a workspace.
    Workspace(WorkspaceHeader),
    /// A domain event.
    Event(Box<StoredEvent>),
    /// An answered command.
    Command(WorkspaceId, AnsweredCommand),
    /// The last line of a workspace.
    End(WorkspaceId, WorkspaceTrailer),
}

/// The header of a workspace: its properties, and the heads up to which it is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceHeader {
    /// The workspace.
    pub workspace: Workspace,
    /// The heads of its partitions, in order.
    pub heads: Vec<ChainHead>,
    /// Which of the export's workspaces it is; `None` in a file of an earlier version.
    pub part: Option<ExportPart>,
}

/// Which of an export's workspaces one is: without it a file that was cut between two looks whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportPart {
    /// Its number, from 1.
    pub number: u64,
    /// The number of workspaces of the export.
    pub of: u64,
}

impl ExportPart {
    /// The part of an export of one workspace.
    pub const WHOLE: Self = Self { number: 1, of: 1 };
}

/// The trailer of a workspace, by which a reader verifies that it has read all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceTrailer {
    /// The number of events.
    pub events: u64,
    /// The number of commands.
    pub commands: u64,
    /// SHA-256, in hexadecimal, over the lines of the workspace before this one, each with its line feed.
    pub sha256: String,
}

/// The attributes of all kinds of lines; the extensions are those below `data`.
#[derive(Serialize, Deserialize)]
struct CloudEvent {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<StreamName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dataschema: Option<String>,
    data: Box<RawValue>,
    // A CloudEvents Integer has 32 bits: a value that may exceed them is a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    streamversion: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schemaversion: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlationid: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causationid: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commandid: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actorid: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actorrole: Option<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkspaceData {
    /// Absent in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<ExportPart>,
    name: String,
    template: Template,
    shards: u32,
    join_code: String,
    created_at: Timestamp,
    heads: Vec<HeadData>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadData {
    position: u64,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandData {
    answer: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandDataWithDigest {
    body_sha256: String,
    answer: Box<RawValue>,
}

impl Line {
    /// The line, without its line feed.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.cloud_event()?)
    }

    /// Parses a line, or says why it cannot be read.
    pub fn parse(line: &str) -> Result<Self, String> {
        let event: CloudEvent =
            serde_json::from_str(line).map_err(|error| format!("it is not a CloudEvent: {error}"))?;
        if event.specversion != SPEC {
            return Err(format!(
                "it is of CloudEvents {}; {SPEC} is read",
                event.specversion
            ));
        }
        let workspace = event
            .source
            .strip_prefix(SOURCE)
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| format!("its source is not {SOURCE}<id>"))?;
        let event_type = event.event_type.clone();
        match event_type.as_str() {
            WORKSPACE | WORKSPACE_WITHOUT_PART => header(workspace, &event),
            COMMAND | COMMAND_WITH_DIGEST => command(&event).map(|command| Self::Command(workspace, command)),
            END => data(&event).map(|trailer| Self::End(workspace, trailer)),
            unknown if unknown.starts_with("foldline.") => {
                Err(format!("{unknown} is from another version of this program"))
            }
            _ => recorded(workspace, event).map(|event| Self::Event(Box::new(event))),
        }
    }

    fn cloud_event(&self) -> serde_json::Result<CloudEvent> {
        Ok(match self {
            Self::Workspace(WorkspaceHeader {
                workspace,
                heads,
                part,
            }) => {
                let heads: Vec<_> = heads
                    .iter()
                    .map(|head| HeadData {
                        position: head.position,
                        hash: head.hash.clone(),
                    })
                    .collect();
                let token: ConsistencyToken = (0..).zip(heads.iter().map(|head| head.position)).collect();
                let data = WorkspaceData {
                    part: *part,
                    name: workspace.name.clone(),
                    template: workspace.template,
                    shards: workspace.shards,
                    join_code: workspace.join_code.clone(),
                    created_at: workspace.created_at,
                    heads,
                };
                let event_type = match part {
                    Some(_) => WORKSPACE,
                    None => WORKSPACE_WITHOUT_PART,
                };
                plain(workspace.id, format!("workspace@{token}"), event_type, &data)?
            }
            Self::Command(workspace, command) => {
                let data = CommandData {
                    answer: RawValue::from_string(command.answer.clone())?,
                };
                CloudEvent {
                    correlationid: Some(command.correlation_id),
                    ..plain(*workspace, command.command_id.to_string(), COMMAND, &data)?
                }
            }
            Self::End(workspace, trailer) => {
                plain(*workspace, format!("end@{}", trailer.sha256), END, trailer)?
            }
            Self::Event(event) => {
                let StoredEvent {
                    event_type,
                    schema_version,
                    metadata,
                    ..
                } = &**event;
                CloudEvent {
                    specversion: SPEC.to_owned(),
                    id: event.event_id.to_string(),
                    source: format!("{SOURCE}{}", event.workspace),
                    event_type: event_type.clone(),
                    subject: Some(event.stream.clone()),
                    time: Some(event.recorded_at),
                    datacontenttype: Some(JSON.to_owned()),
                    dataschema: Some(format!("{SCHEMA}{event_type}:{schema_version}")),
                    data: event.payload.clone(),
                    partition: Some(event.partition),
                    position: Some(event.position.to_string()),
                    streamversion: Some(event.version.to_string()),
                    schemaversion: Some(*schema_version),
                    correlationid: Some(metadata.correlation_id),
                    causationid: metadata.causation_id,
                    commandid: Some(metadata.command_id),
                    actorid: Some(metadata.actor.id),
                    actorrole: Some(metadata.actor.role),
                    traceparent: metadata.traceparent.clone(),
                    hash: Some(event.hash.clone()),
                }
            }
        })
    }
}

/// A line of our own.
fn plain(
    workspace: WorkspaceId,
    id: String,
    event_type: &str,
    data: &impl Serialize,
) -> serde_json::Result<CloudEvent> {
    Ok(CloudEvent {
        specversion: SPEC.to_owned(),
        id,
        source: format!("{SOURCE}{workspace}"),
        event_type: event_type.to_owned(),
        subject: None,
        time: None,
        datacontenttype: Some(JSON.to_owned()),
        dataschema: None,
        data: serde_json::value::to_raw_value(data)?,
        partition: None,
        position: None,
        streamversion: None,
        schemaversion: None,
        correlationid: None,
        causationid: None,
        commandid: None,
        actorid: None,
        actorrole: None,
        traceparent: None,
        hash: None,
    })
}

fn data<'a, T: Deserialize<'a>>(event: &'a CloudEvent) -> Result<T, String> {
    serde_json::from_str(event.data.get())
        .map_err(|error| format!("the data of a {} cannot be read: {error}", event.event_type))
}

fn header(id: WorkspaceId, event: &CloudEvent) -> Result<Line, String> {
    let WorkspaceData {
        part,
        name,
        template,
        shards,
        join_code,
        created_at,
        heads,
    } = data(event)?;
    if part.is_some() != (event.event_type == WORKSPACE) {
        return Err(format!("the part is in {WORKSPACE}, and in no other line"));
    }
    if part.is_some_and(|part| !(1..=part.of).contains(&part.number)) {
        return Err("its part is none of its parts".to_owned());
    }
    if !(1..=MAX_SHARDS).contains(&shards) {
        return Err(format!("a workspace has 1 to {MAX_SHARDS} shards, not {shards}"));
    }
    for (field, text, most) in [
        ("name", &name, MAX_WORKSPACE_NAME),
        ("join_code", &join_code, MAX_JOIN_CODE),
    ] {
        if text.is_empty() || text.chars().count() > most {
            return Err(format!("its {field} has 1 to {most} characters"));
        }
    }
    if heads.len() != shards as usize {
        return Err(format!("it has {} heads for {shards} shards", heads.len()));
    }
    Ok(Line::Workspace(WorkspaceHeader {
        workspace: Workspace {
            id,
            name,
            template,
            shards,
            join_code,
            created_at,
        },
        heads: heads
            .into_iter()
            .map(|HeadData { position, hash }| ChainHead { position, hash })
            .collect(),
        part,
    }))
}

fn command(event: &CloudEvent) -> Result<AnsweredCommand, String> {
    let answer = if event.event_type == COMMAND {
        data::<CommandData>(event)?.answer
    } else {
        let CommandDataWithDigest { body_sha256, answer } = data(event)?;
        hex::decode_to_slice(body_sha256, &mut [0; 32])
            .map_err(|error| format!("body_sha256 is not a hash: {error}"))?;
        answer
    };
    Ok(AnsweredCommand {
        command_id: id(event)?,
        correlation_id: event.correlationid.ok_or_else(|| missing("correlationid"))?,
        answer: answer.get().to_owned(),
    })
}

fn recorded(workspace: WorkspaceId, event: CloudEvent) -> Result<StoredEvent, String> {
    Ok(RecordedEvent {
        workspace,
        partition: event.partition.ok_or_else(|| missing("partition"))?,
        position: number("position", event.position.as_deref())?,
        version: number("streamversion", event.streamversion.as_deref())?,
        event_id: id(&event)?,
        stream: event.subject.ok_or_else(|| missing("subject"))?,
        event_type: event.event_type,
        schema_version: event.schemaversion.ok_or_else(|| missing("schemaversion"))?,
        payload: event.data,
        metadata: Metadata {
            correlation_id: event.correlationid.ok_or_else(|| missing("correlationid"))?,
            causation_id: event.causationid,
            command_id: event.commandid.ok_or_else(|| missing("commandid"))?,
            actor: ActorRef {
                id: event.actorid.ok_or_else(|| missing("actorid"))?,
                role: event.actorrole.ok_or_else(|| missing("actorrole"))?,
            },
            traceparent: event.traceparent,
        },
        recorded_at: event.time.ok_or_else(|| missing("time"))?,
        hash: event.hash.ok_or_else(|| missing("hash"))?,
    })
}

fn id(event: &CloudEvent) -> Result<Uuid, String> {
    event
        .id
        .parse()
        .map_err(|error| format!("its id is not a UUID: {error}"))
}

fn number(attribute: &str, text: Option<&str>) -> Result<u64, String> {
    text.ok_or_else(|| missing(attribute))?
        .parse()
        .map_err(|error| format!("its {attribute} is not a number: {error}"))
}

fn missing(attribute: &str) -> String {
    format!("it has no {attribute}")
}
