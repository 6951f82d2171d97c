//! Commands: routed to the command service, which decides.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName},
};
use command::CommandFailure;
use domain::wire::{CommandAnswer, CommandRequest, Problem};
use identity::standing::Presented;
use payment::NoAnswer;
use uuid::Uuid;

use crate::{
    SharedGateway,
    api::must_not_guess,
    auth::Caller,
    json_body::JsonBody,
    limits::Client,
    problem::{ApiProblem, Kind},
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ACTOR: HeaderName = HeaderName::from_static("foldline-actor");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Send a command
///
/// Sent again with the same `Idempotency-Key`, it is not carried out again, and the first answer is given. The answer's
/// `token`, sent as `after` to a view, reads what was written.
///
/// `RegisterUser` makes the access token that it comes by a session, and other tokens of that person are refused from then on;
/// a browser gets the cookies of a session. `ChangeEmail` and `EraseUser` of one's own account have the `password` in
/// their data: where it is missing or wrong, the answer is 422 and names `data.password`.
#[utoipa::path(post, path = "/commands", tag = "commands", request_body = CommandRequest,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible ASCII characters; your own"),
        ("Foldline-Actor" = Option<Uuid>, Header, description = "Whose command it is; 401 where the session is somebody else's by now, as in a browser with two tabs"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context; kept with the events"),
    ),
    responses(
        (status = 200, description = "Accepted; `events` is empty where it changed nothing", body = CommandAnswer),
        (status = 400, description = "It cannot be read", body = Problem),
        (status = 401, description = "Nobody is signed in, or somebody other than `Foldline-Actor`", body = Problem),
        (status = 403, description = "The role does not allow it", body = Problem),
        (status = 404, description = "There is no such command", body = Problem),
        (status = 409, description = "The stream moved on: `current_version`; or the Idempotency-Key was used for another command", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 415, description = "Not JSON", body = Problem),
        (status = 422, description = "A rule says no: `rule`, `violations`", body = Problem),
        (status = 429, description = "Too many requests", body = Problem),
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
    must_be(&caller, &headers)?;
    let traceparent = headers
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok())
        .filter(|text| is_traceparent(text));
    let answer = carry_out(&gateway, &caller, &request, key, traceparent).await?;
    Ok(Json(answer))
}

/// What a request, a frame of a socket and a form have in common.
pub(crate) async fn carry_out(
    gateway: &SharedGateway,
    caller: &Caller,
    request: &CommandRequest,
    idempotency_key: Option<&str>,
    traceparent: Option<&str>,
) -> Result<CommandAnswer, ApiProblem> {
    if is_try(request) {
        must_not_guess(gateway, caller, Client::Person(caller.actor().id))?;
    }
    let token = Presented {
        is_browser: caller.is_browser(),
        ..caller.bearer().presented()
    };
    let handled = gateway.commands.handle_by(
        Some(token),
        caller.workspace(),
        caller.actor(),
        request,
        idempotency_key,
        traceparent,
    );
    Ok(handled.await?)
}

/// Whether a command brings a password that is compared with that of an account.
fn is_try(request: &CommandRequest) -> bool {
    matches!(request.command_type.as_str(), "ChangeEmail" | "EraseUser")
        && request.data.get("password").is_some()
}

/// Refuses a command of somebody else than the one who is signed in now.
fn must_be(caller: &Caller, headers: &HeaderMap) -> Result<(), ApiProblem> {
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
            "somebody else has signed in here meanwhile; load the page again",
        ));
    }
    Ok(())
}

/// `00-<32 hex>-<16 hex>-<2 hex>`. What is not is left out, as W3C Trace Context wants it: a trace must not fail a
/// request.
fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts[..], ["00", trace, span, flags]
        if is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2) && !is_zero(trace) && !is_zero(span))
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
            CommandFailure::Rejected(rejection) => Self::new(Kind::Rejected, detail).with(|problem| {
                problem.rule = Some(rejection.rule);
                problem.violations = rejection.violations;
            }),
            CommandFailure::UnknownType(_) => Self::new(Kind::NotFound, detail),
            CommandFailure::UnknownWorkspace(_) => Self::workspace_gone(),
            CommandFailure::Full { .. } => Self::new(Kind::QuotaExceeded, detail),
            CommandFailure::Unanswered(NoAnswer::KeyReused) => Self::new(Kind::Conflict, detail)
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

    #[test]
    fn only_a_traceparent_is_one() {
        assert!(is_traceparent(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        ));
        for text in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(!is_traceparent(text), "{text}");
        }
    }

    #[test]
    fn a_conflict_names_the_version_that_the_stream_has() {
        let stream = "order-1".parse().unwrap();
        let problem = ApiProblem::from(CommandFailure::Conflict { stream, current: 7 }).into_problem();
        assert_eq!((problem.status, problem.current_version), (409, Some(7)));
    }
}
