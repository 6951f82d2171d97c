//! Commands: routed to the command service, which decides.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName},
};
use command::{CommandFailure, Sender};
use domain::{
    aggregate::user::wrong_password,
    wire::{CommandAnswer, CommandRequest, Problem},
};
use identity::session_status::PresentedToken;
use payment::ProviderError;
use telemetry::security::{SecurityEvent, SecurityRecord};
use uuid::Uuid;

use crate::{
    SharedGateway,
    api::begin_password_attempt,
    auth::Caller,
    json_body::JsonBody,
    limits::{COST_OF_REGISTERING, password_turn},
    problem::{ApiProblem, Kind},
    request_hops::note_command,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ACTOR: HeaderName = HeaderName::from_static("foldline-actor");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Send a command
///
/// A command that is sent again with the same `Idempotency-Key` is not carried out again; the first answer is
/// repeated. The answer's `token`, sent as `after` to a view, reads what the command wrote.
///
/// `RegisterUser` turns the access token that it is sent with into a session, and other tokens of that person
/// are refused from then on; a browser gets the cookies of a session. `ChangeEmail` and `EraseUser` of the
/// caller's own account have the `password` in their data: where it is missing or wrong, the answer is 422
/// and names `data.password`. `RegisterUser` without a `language` takes that of the request: of the cookie
/// `lang`, of the sender's account, or of `Accept-Language`.
///
/// `ChangePrice` may name the price that its sender has `seen`: where another person has changed it since,
/// the answer is 422 with the rule `price-changed`.
#[utoipa::path(post, path = "/commands", tag = "commands", request_body = CommandRequest,
    params(
        ("Idempotency-Key" = Option<String>, Header,
            description = "1 to 200 visible ASCII characters, chosen by the client"),
        ("Foldline-Actor" = Option<Uuid>, Header,
            description = "The person who sends the command; 401 where the session belongs to another person \
                by now, as in a browser with two tabs"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context; kept with the events"),
    ),
    responses(
        (status = 200, body = CommandAnswer,
            description = "Accepted; `events` is empty where the command changed nothing"),
        (status = 400, description = "The request cannot be read", body = Problem),
        (status = 401, description = "Not signed in, or not as `Foldline-Actor`", body = Problem),
        (status = 403, description = "The role does not allow it", body = Problem),
        (status = 404, description = "There is no such command", body = Problem),
        (status = 409, body = Problem,
            description = "The stream is at another version: `current_version`; or the Idempotency-Key was \
                used for another command"),
        (status = 413, description = "Too large", body = Problem),
        (status = 415, description = "Not JSON", body = Problem),
        (status = 422, description = "A rule rejects the command: `rule`, `violations`", body = Problem),
        (status = 429, body = Problem,
            description = "Too many requests, or too many new email addresses; or the sandbox is full of \
                events, documents or bytes, which `detail` names"),
        (status = 503, description = "Try again with the same key", body = Problem),
    ))]
pub(super) async fn send(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    headers: HeaderMap,
    JsonBody(request): JsonBody<CommandRequest>,
) -> Result<Json<CommandAnswer>, ApiProblem> {
    let key = match headers.get(IDEMPOTENCY_KEY).map(axum::http::HeaderValue::to_str) {
        None => None,
        Some(Ok(key)) => Some(key),
        Some(Err(_)) => {
            return Err(ApiProblem::field(
                "Idempotency-Key",
                "has 1 to 200 visible ASCII characters",
            ));
        }
    };
    require_actor(&caller, &headers)?;
    let traceparent = headers
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok())
        .and_then(telemetry::accepted_traceparent);
    let answer = carry_out(&gateway, &caller, &request, key, traceparent.as_deref()).await?;
    Ok(Json(answer))
}

/// Carries out the command of a request, of a frame of a socket or of a form; the current span is that of
/// the request.
pub(crate) async fn carry_out(
    gateway: &SharedGateway,
    caller: &Caller,
    request: &CommandRequest,
    idempotency_key: Option<&str>,
    traceparent: Option<&str>,
) -> Result<CommandAnswer, ApiProblem> {
    let answered = try_carry_out(gateway, caller, request, idempotency_key, traceparent).await;
    note_command(caller.workspace(), request, answered.as_ref());
    answered
}

async fn try_carry_out(
    gateway: &SharedGateway,
    caller: &Caller,
    request: &CommandRequest,
    idempotency_key: Option<&str>,
    traceparent: Option<&str>,
) -> Result<CommandAnswer, ApiProblem> {
    let password = PasswordUse::of(request, caller.actor().id);
    if password == PasswordUse::New {
        gateway.rate.charge(caller.address(), COST_OF_REGISTERING)?;
    }
    if enters_an_address(request) {
        let now = gateway.clock.now();
        gateway.mail_requests.charge_new(caller.address(), now)?;
    }
    // Ends with this call.
    let _turn = match password {
        PasswordUse::None => None,
        PasswordUse::New | PasswordUse::Compared => Some(password_turn(gateway, caller.address()).await?),
    };
    let attempt = match password {
        PasswordUse::Compared => Some(begin_password_attempt(gateway, caller)?),
        PasswordUse::None | PasswordUse::New => None,
    };
    let token = PresentedToken {
        is_browser: caller.is_browser(),
        ..caller.bearer().presented()
    };
    let sender = Sender {
        token: Some(token),
        language: caller.language(),
    };
    let handled = gateway.commands.handle_from(
        sender,
        caller.workspace(),
        caller.actor(),
        request,
        idempotency_key,
        traceparent,
    );
    let handled = handled.await;
    if let (Some(attempt), false) = (attempt, is_wrong_password(&handled)) {
        // It does not end earlier failures: the answer may repeat that to an earlier command.
        attempt.withdraw();
    }
    Ok(handled?)
}

/// What a command's password is for. Either use hashes it, which is expensive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PasswordUse {
    /// There is none.
    None,
    /// It becomes that of a new account.
    New,
    /// It is compared with that of the sender's account.
    Compared,
}

impl PasswordUse {
    /// The use by a request of this person.
    fn of(request: &CommandRequest, sender: Uuid) -> Self {
        if request.data.get("password").is_none() {
            return Self::None;
        }
        // As the command service does it: several texts are the same id.
        let person = || request.stream.strip_prefix("user-")?.parse::<Uuid>().ok();
        match request.command_type.as_str() {
            "RegisterUser" => Self::New,
            "ChangeEmail" | "EraseUser" if person() == Some(sender) => Self::Compared,
            _ => Self::None,
        }
    }
}

/// Whether a request may cause an email to an address that its owner has not confirmed.
fn enters_an_address(request: &CommandRequest) -> bool {
    matches!(request.command_type.as_str(), "RegisterUser" | "ChangeEmail")
}

fn is_wrong_password(handled: &Result<CommandAnswer, CommandFailure>) -> bool {
    let wrong = || wrong_password().rule;
    matches!(handled, Err(CommandFailure::Rejected(rejection)) if rejection.rule == wrong())
}

/// Refuses a command whose `Foldline-Actor` is not the person who is signed in now.
fn require_actor(caller: &Caller, headers: &HeaderMap) -> Result<(), ApiProblem> {
    let Some(actor) = headers.get(ACTOR) else {
        return Ok(());
    };
    let actor: Uuid = actor
        .to_str()
        .ok()
        .and_then(|actor| actor.parse().ok())
        .ok_or_else(|| ApiProblem::field("Foldline-Actor", "is the UUID of a person"))?;
    if actor != caller.actor().id {
        return Err(ApiProblem::new(
            Kind::Unauthenticated,
            "another person has signed in here meanwhile; load the page again",
        ));
    }
    Ok(())
}

/// Notes a command about another person's account, inbox or order in the security log.
fn note_foreign_owner(rule: &str) {
    let of = match rule {
        "not-your-account" => "account",
        "not-your-inbox" => "inbox",
        "not-your-order" => "order",
        _ => return,
    };
    SecurityRecord::new(SecurityEvent::OwnerRefused)
        .because(of)
        .write();
}

impl From<CommandFailure> for ApiProblem {
    fn from(failure: CommandFailure) -> Self {
        let detail = failure.to_string();
        match failure {
            CommandFailure::Malformed { violations } => {
                Self::new(Kind::Malformed, detail).with(|problem| problem.violations = violations)
            }
            CommandFailure::WrongStream { .. } => Self::field("stream", detail),
            CommandFailure::Forbidden { .. } => Self::new(Kind::Forbidden, detail),
            CommandFailure::Conflict { current, .. } => {
                Self::new(Kind::Conflict, detail).with(|problem| problem.current_version = Some(current))
            }
            CommandFailure::KeyReused => Self::new(Kind::Conflict, detail)
                .with(|problem| problem.rule = Some("idempotency-key-reused".to_owned())),
            CommandFailure::Rejected(rejection) => {
                note_foreign_owner(&rejection.rule);
                Self::new(Kind::Rejected, detail).with(|problem| {
                    problem.rule = Some(rejection.rule);
                    problem.violations = rejection.violations;
                })
            }
            CommandFailure::UnknownType(_) => Self::new(Kind::NotFound, detail),
            CommandFailure::UnknownWorkspace(_) => Self::workspace_gone(),
            CommandFailure::Full { .. } | CommandFailure::StorageFull { .. } => {
                Self::new(Kind::QuotaExceeded, detail)
            }
            CommandFailure::Unanswered(ProviderError::KeyReused) => Self::new(Kind::Conflict, detail)
                .with(|problem| problem.rule = Some("payment-under-way".to_owned())),
            CommandFailure::Unanswered(_) => Self::unanswered(detail),
            CommandFailure::Unavailable(error) => error.into(),
            CommandFailure::People(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password_use(command: &str, stream: &str, data: serde_json::Value) -> PasswordUse {
        let request = CommandRequest {
            command_type: command.to_owned(),
            stream: stream.to_owned(),
            data,
            expected_version: domain::wire::ExpectedVersion::Any,
            correlation_id: None,
        };
        PasswordUse::of(&request, Uuid::from_u128(0xada))
    }

    #[test]
    fn a_password_that_is_compared_is_told_from_a_new_one() {
        let password = || serde_json::json!({"password": "correct horse"});
        let own = format!("user-{}", Uuid::from_u128(0xada));
        let without_hyphens = format!("user-{}", Uuid::from_u128(0xada).simple());
        let other = format!("user-{}", Uuid::from_u128(0xe1e));
        for (command, stream, data, expected) in [
            ("RegisterUser", &other, password(), PasswordUse::New),
            ("RegisterUser", &own, serde_json::json!({}), PasswordUse::None),
            ("ChangeEmail", &own, password(), PasswordUse::Compared),
            ("EraseUser", &without_hyphens, password(), PasswordUse::Compared),
            ("EraseUser", &other, password(), PasswordUse::None),
            ("PlaceOrder", &own, password(), PasswordUse::None),
        ] {
            assert_eq!(
                password_use(command, stream, data),
                expected,
                "{command} {stream}"
            );
        }
    }

    #[test]
    fn a_conflict_names_the_version_that_the_stream_has() {
        let stream = "order-1".parse().unwrap();
        let problem = ApiProblem::from(CommandFailure::Conflict { stream, current: 7 }).into_problem();
        assert_eq!((problem.status, problem.current_version), (409, Some(7)));
    }
}
