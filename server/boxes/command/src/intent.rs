//! The intent of a client or a policy, parsed and validated before any state is loaded: the command, its id,
//! and the digest that tells a repetition from another command under the same id.

use domain::{
    access::{Actor, Role},
    aggregate::{Command, SECRETS},
    control_character::{self, ControlCharacter},
    event::personal,
    id::{StreamName, WorkspaceId},
    language::Language,
    policy::PendingCommand,
    wire::{CommandRequest, ExpectedVersion, NamedExpectation},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::failure::CommandFailure;
use clock::Clock;
use event_store::Expected;
use identity::session_status::PresentedToken;

/// The name space of command ids that come from idempotency keys (UUIDv5). Part of the stored format.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x5b1f_8a52_6f0e_5c7b_9a43_0d8e_72c1_94af);

/// The name space of the ids under which policies act (UUIDv5). Part of the stored format.
const ACTOR_NAMESPACE: Uuid = Uuid::from_u128(0x8c27_51de_30b4_5f9a_a1d6_7e42_b90c_3d58);

/// The name under which the server acts on accounts. Part of the stored format.
const ACCOUNTS: &str = "accounts";

/// The longest idempotency key.
const MAX_KEY: usize = 200;

/// The longest trace context that is kept; version 00 has 55 characters.
const MAX_TRACEPARENT: usize = 64;

/// A command and everything around it.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The actor that sends the command.
    pub actor: Actor,
    /// The stream it is for.
    pub stream: StreamName,
    /// The command.
    pub command: Command,
    /// The command's name.
    pub command_type: &'static str,
    /// The version that the stream must have.
    pub expected: Expected,
    /// The command's id; a repetition carries the same.
    pub command_id: Uuid,
    /// Whether this id may have been sent before; otherwise no recorded answer is looked up.
    pub may_be_repeated: bool,
    /// A digest of the request; it gets a key before it is stored.
    pub body_digest: [u8; 32],
    /// The correlation id of everything that the command causes.
    pub correlation_id: Uuid,
    /// The event that caused it; `None`: a client sent it.
    pub causation_id: Option<Uuid>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The token of the request, which becomes a session if the command registers its person.
    pub token: Option<PresentedToken>,
    /// The language of the request, for a person who is registered without one.
    pub language: Language,
}

impl Intent {
    /// Parses a client's request; every invalid field is named.
    pub fn from_request(
        workspace: WorkspaceId,
        actor: &Actor,
        request: &CommandRequest,
        idempotency_key: Option<&str>,
        traceparent: Option<&str>,
        clock: &dyn Clock,
    ) -> Result<Self, CommandFailure> {
        if let Some(character) = control_character::in_line(&request.command_type) {
            return Err(CommandFailure::malformed(
                "type",
                ControlCharacter::message(character),
            ));
        }
        if let Some(found) = control_character::in_value(&request.data) {
            let field = match found.path.as_str() {
                "" => "data".to_owned(),
                path => format!("data.{path}"),
            };
            return Err(CommandFailure::malformed(
                &field,
                ControlCharacter::message(found.character),
            ));
        }
        Self::read(workspace, actor, request, idempotency_key, traceparent, clock)
    }

    fn read(
        workspace: WorkspaceId,
        actor: &Actor,
        request: &CommandRequest,
        idempotency_key: Option<&str>,
        traceparent: Option<&str>,
        clock: &dyn Clock,
    ) -> Result<Self, CommandFailure> {
        let key_is_valid =
            |key: &str| (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        if !idempotency_key.is_none_or(key_is_valid) {
            let message = format!("has 1 to {MAX_KEY} visible ASCII characters");
            return Err(CommandFailure::malformed("Idempotency-Key", message));
        }
        let stream: StreamName = request
            .stream
            .parse()
            .map_err(|error| CommandFailure::malformed("stream", format!("{error}")))?;
        let command_type = Command::names()
            .find(|name| *name == request.command_type)
            .ok_or_else(|| CommandFailure::UnknownType(request.command_type.clone()))?;
        if personal::is_in(&request.data) {
            // It would be opened where it is shown, also to people who may not see the data of its person.
            let message = "has a text that looks like a sealed one";
            return Err(CommandFailure::malformed("data", message));
        }
        let command = Command::parse(command_type, &stream, &request.data)?;
        Ok(Self {
            workspace,
            actor: actor.clone(),
            command,
            command_type,
            expected: expected(request.expected_version),
            command_id: idempotency_key.map_or_else(
                || clock.new_id(),
                |key| command_id_of_key(workspace, actor.id, key),
            ),
            may_be_repeated: idempotency_key.is_some(),
            body_digest: digest(request),
            correlation_id: request.correlation_id.unwrap_or_else(|| clock.new_id()),
            causation_id: None,
            traceparent: traceparent
                .filter(|text| text.len() <= MAX_TRACEPARENT && text.bytes().all(|b| b.is_ascii_graphic()))
                .map(str::to_owned),
            token: None,
            language: Language::default(),
            stream,
        })
    }

    /// The intent of the server itself, about an account, under an id that the caller has chosen: a
    /// repetition after a crash carries the same.
    pub fn of_server(
        workspace: WorkspaceId,
        request: &CommandRequest,
        command_id: Uuid,
        clock: &dyn Clock,
    ) -> Result<Self, CommandFailure> {
        let actor = policy_actor(ACCOUNTS);
        Ok(Self {
            command_id,
            may_be_repeated: true,
            ..Self::read(workspace, &actor, request, None, None, clock)?
        })
    }

    /// The intent of a policy. Its command id follows from the event that caused it, so it is the same on
    /// every server. Its texts come from stored events. The oldest of these may have control characters,
    /// which are accepted here, because the process has to end all the same.
    pub fn of_policy(
        workspace: WorkspaceId,
        policy: &str,
        pending: &PendingCommand,
        clock: &dyn Clock,
    ) -> Result<Self, CommandFailure> {
        let actor = policy_actor(policy);
        let request = CommandRequest {
            command_type: pending.command_type.clone(),
            stream: pending.stream.clone(),
            data: pending.data.clone(),
            expected_version: ExpectedVersion::Any,
            correlation_id: Some(pending.correlation_id),
        };
        Ok(Self {
            command_id: pending.command_id,
            may_be_repeated: true,
            causation_id: Some(pending.causation_id),
            ..Self::read(workspace, &actor, &request, None, None, clock)?
        })
    }
}

/// The actor that sends the commands of a policy.
pub(super) fn policy_actor(policy: &str) -> Actor {
    Actor {
        id: Uuid::new_v5(&ACTOR_NAMESPACE, policy.as_bytes()),
        role: Role::System,
        name: policy.to_owned(),
    }
}

const fn expected(version: ExpectedVersion) -> Expected {
    match version {
        ExpectedVersion::Exact(version) => Expected::Exact(version),
        ExpectedVersion::Named(NamedExpectation::NoStream) => Expected::NoStream,
        ExpectedVersion::Named(NamedExpectation::StreamExists) => Expected::StreamExists,
        ExpectedVersion::Named(NamedExpectation::Any) | ExpectedVersion::Any => Expected::Any,
    }
}

/// The command id of an idempotency key, which belongs to one actor in one workspace.
fn command_id_of_key(workspace: WorkspaceId, actor: Uuid, key: &str) -> Uuid {
    let mut name = Vec::with_capacity(32 + key.len());
    name.extend_from_slice(workspace.0.as_bytes());
    name.extend_from_slice(actor.as_bytes());
    name.extend_from_slice(key.as_bytes());
    Uuid::new_v5(&KEY_NAMESPACE, &name)
}

/// SHA-256 over the request as canonical JSON: members in the order of their names, no spaces. So the same
/// request with its fields in another order is a repetition. Secrets are left out: a fast hash would let a
/// reader of the database who has its key too try passwords. Part of the stored format, with a key: see
/// [`DigestKey`](event_store::DigestKey).
pub(super) fn digest(request: &CommandRequest) -> [u8; 32] {
    let mut data = request.data.clone();
    for (_, field) in SECRETS
        .iter()
        .filter(|(command, _)| *command == request.command_type)
    {
        if let Value::Object(members) = &mut data {
            members.remove(*field);
        }
    }
    let mut whole = json!({
        "data": data,
        "expected_version": request.expected_version,
        "stream": request.stream,
        "type": request.command_type,
    });
    if let (Some(id), Value::Object(members)) = (request.correlation_id, &mut whole) {
        members.insert("correlation_id".to_owned(), json!(id));
    }
    let mut text = String::new();
    write_canonical(&whole, &mut text);
    Sha256::digest(text.as_bytes()).into()
}

/// Not left to `serde_json`: a feature that any dependency can enable changes the order of its members.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (n, (name, member)) in members.into_iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write_canonical(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> CommandRequest {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_fields() {
        let one = request(r#"{"type":"A","stream":"b-1","data":{"x":[1,{"p":1,"q":2}],"y":"z"}}"#);
        let other = request(r#"{"data":{"y":"z","x":[1,{"q":2,"p":1}]},"stream":"b-1","type":"A"}"#);
        assert_eq!(digest(&one), digest(&other));
    }

    #[test]
    fn a_digest_does_not_depend_on_the_password() {
        let with = |password: &str| {
            request(&format!(
                r#"{{"type":"RegisterUser","stream":"user-1",
                    "data":{{"email":"a@b.co","password":"{password}"}}}}"#
            ))
        };
        assert_eq!(digest(&with("correct horse")), digest(&with("battery staple")));
    }

    #[test]
    fn a_digest_tells_requests_apart() {
        let base = request(r#"{"type":"A","stream":"b-1","data":{"x":1}}"#);
        for other in [
            r#"{"type":"B","stream":"b-1","data":{"x":1}}"#,
            r#"{"type":"A","stream":"b-2","data":{"x":1}}"#,
            r#"{"type":"A","stream":"b-1","data":{"x":"1"}}"#,
            r#"{"type":"A","stream":"b-1","data":{"x":1},"expected_version":0}"#,
            r#"{"type":"A","stream":"b-1","data":{"x":1},
                "correlation_id":"0198c1a0-0000-7000-8000-000000000001"}"#,
        ] {
            assert_ne!(digest(&base), digest(&request(other)), "{other}");
        }
    }
}
