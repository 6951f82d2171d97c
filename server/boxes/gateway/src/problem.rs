//! The one place where a failure becomes an answer: `application/problem+json` (RFC 9457).
//!
//! A problem says what happened and what the client can do, and reveals no internals: details for operators
//! are logged where the failure happens. The error enum of every box has its one `From` here.

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use domain::{control_character::ControlCharacter, id::WorkspaceId, rejection::Violation, wire::Problem};
use telemetry::security::{SecurityEvent, SecurityRecord};

use super::tokens::TokenRefusal;
use identity::PeopleError;
use monitor::{StoreError, checkpoint::CheckpointError, verify::VerifyError};

/// The kinds of problems, each with its stable name, title and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The request is not well formed.
    Malformed,
    /// There is no token, or it is refused.
    Unauthenticated,
    /// No account has this email and password.
    WrongCredentials,
    /// The role does not permit this.
    Forbidden,
    /// A browser's request that comes from another site.
    ForeignOrigin,
    /// There is no such thing, or none that this person may see.
    NotFound,
    /// The path does not support the method.
    MethodNotAllowed,
    /// The stream is not at the expected version.
    Conflict,
    /// What is to change has another version than the request says.
    PreconditionFailed,
    /// The request does not say which version it changes.
    PreconditionRequired,
    /// Another operation that excludes this one is running.
    Busy,
    /// Something else is due before.
    OutOfTurn,
    /// The body is too large.
    TooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// A rule of the domain rejects the command.
    Rejected,
    /// The client has sent too many requests.
    RateLimited,
    /// A sandbox has no room for more.
    QuotaExceeded,
    /// The workspace was purged.
    Gone,
    /// The sandbox of a lesson's run has ended.
    RunEnded,
    /// The workspace was reset, and another one has its place.
    Moved,
    /// A defect of the server.
    Internal,
    /// A temporary failure; a retry may succeed.
    Unavailable,
    /// The answer took too long.
    TimedOut,
}

impl Kind {
    /// The last part of the problem's type.
    pub(super) const fn slug(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::WrongCredentials => "wrong-credentials",
            Self::Forbidden => "forbidden",
            Self::ForeignOrigin => "foreign-origin",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition-failed",
            Self::PreconditionRequired => "precondition-required",
            Self::Busy => "busy",
            Self::OutOfTurn => "out-of-turn",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::Rejected => "rejected",
            Self::RateLimited => "rate-limited",
            Self::QuotaExceeded => "quota-exceeded",
            Self::Gone => "workspace-gone",
            Self::RunEnded => "run-ended",
            Self::Moved => "workspace-moved",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed-out",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request is not well formed",
            Self::Unauthenticated => "Not signed in",
            Self::WrongCredentials => "Wrong email or password",
            Self::Forbidden => "Not allowed",
            Self::ForeignOrigin => "Cross-site request refused",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::Conflict => "Version conflict",
            Self::PreconditionFailed => "Changed in the meantime",
            Self::PreconditionRequired => "The version is missing",
            Self::Busy => "Another operation is in progress",
            Self::OutOfTurn => "Something else is due before",
            Self::TooLarge => "Too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::Rejected => "Rejected by a rule",
            Self::RateLimited => "Too many requests",
            Self::QuotaExceeded => "The sandbox is full",
            Self::Gone => "The workspace is gone",
            Self::RunEnded => "The run has ended",
            Self::Moved => "The workspace was reset",
            Self::Internal => "Internal server error",
            Self::Unavailable => "Not available now",
            Self::TimedOut => "Timed out",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthenticated | Self::WrongCredentials => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict | Self::Busy | Self::OutOfTurn => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited | Self::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
            Self::Gone | Self::RunEnded | Self::Moved => StatusCode::GONE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable | Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A problem as the answer to a request, with its `Retry-After`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ApiProblem {
    problem: Box<Problem>,
    retry_after_seconds: Option<u64>,
}

impl ApiProblem {
    /// A problem with a sentence about this occurrence. A refusal for a role or an origin is noted in the
    /// security log here, so that no handler can leave it out.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        match kind {
            Kind::Forbidden => SecurityRecord::new(SecurityEvent::RoleRefused).write(),
            Kind::ForeignOrigin => SecurityRecord::new(SecurityEvent::OriginRefused).write(),
            _ => {}
        }
        Self {
            problem: Box::new(Problem {
                kind: format!("/problems/{}", kind.slug()),
                title: kind.title().to_owned(),
                status: kind.status().as_u16(),
                detail: detail.into(),
                violations: Vec::new(),
                current_version: None,
                rule: None,
                waiting_for: Vec::new(),
                workspace: None,
            }),
            retry_after_seconds: None,
        }
    }

    /// A field of the request is invalid.
    pub(super) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let mut problem = Self::new(Kind::Malformed, format!("{field}: {message}"));
        problem.problem.violations.push(Violation { field, message });
        problem
    }

    /// A page, view, stream or document does not exist for this person.
    pub(super) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("there is no {what}"))
    }

    /// The workspace of the token was purged.
    pub(super) fn workspace_gone() -> Self {
        Self::new(
            Kind::Gone,
            "this workspace is gone: it was purged by an educator, or because it had not been used for long; \
             open or join another",
        )
    }

    /// The workspace of the token was reset, and this one has its place.
    pub(super) fn workspace_moved(successor: WorkspaceId) -> Self {
        Self::new(
            Kind::Moved,
            "this workspace was reset, and the class goes on in a new one; send this token to \
             POST /api/v1/sessions/follow for a token of that, or load a page of it",
        )
        .with(|problem| problem.workspace = Some(successor))
    }

    /// Over a rate limit; the client may retry after this number of seconds.
    pub(super) fn rate_limited(retry_after_seconds: u64) -> Self {
        let detail = format!("please wait {retry_after_seconds} s before the next request");
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(Kind::RateLimited, detail)
        }
    }

    /// Work of which there is one at a time is under way; the client may retry after this number of seconds.
    pub(super) fn busy(what: &str, retry_after_seconds: u64) -> Self {
        let detail = format!("{what}; try again in {retry_after_seconds} s");
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(Kind::Busy, detail)
        }
    }

    /// An external service has not answered yet.
    pub(super) fn unanswered(detail: String) -> Self {
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(Kind::Unavailable, detail)
        }
    }

    /// As an answer: one that a retry may change names the seconds until then.
    pub(super) fn of_query(problem: Problem) -> Self {
        let is_temporary = problem.status == StatusCode::SERVICE_UNAVAILABLE.as_u16();
        Self {
            retry_after_seconds: is_temporary.then_some(1),
            ..Self::from(problem)
        }
    }

    /// A field has a control character.
    pub(super) fn control_character(field: impl Into<String>, character: char) -> Self {
        Self::field(field, ControlCharacter::message(character))
    }

    /// A database refuses a value for good that passed our checks: logged here with its cause.
    pub(super) fn refused_value(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a database refused a value of a request");
        Self::new(
            Kind::Malformed,
            "a value of this request cannot be stored; a retry does not help",
        )
    }

    /// A defect, which is logged here with its cause; the caller learns only that it happened.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a request failed on a defect");
        Self::new(Kind::Internal, "internal server error; it has been logged")
    }

    /// The disk of a store is full.
    pub(super) fn full_disk(store: &str, reason: &str) -> Self {
        tracing::error!(error = reason, store, "a disk is full");
        Self {
            retry_after_seconds: Some(FULL_RETRY_SECONDS),
            ..Self::new(
                Kind::Unavailable,
                format!("{store}'s disk is full, so nothing was stored; send it again when there is room"),
            )
        }
    }

    /// Changes the problem's own fields.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Problem)) -> Self {
        change(&mut self.problem);
        self
    }

    /// The problem itself, as frames of a socket and pages carry it.
    pub(super) fn into_problem(self) -> Problem {
        self.problem.bounded()
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem is texts and numbers: it always has a JSON form.
        let body = serde_json::to_vec(&self.problem.bounded()).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"foldline\""),
            );
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Problem> for ApiProblem {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            retry_after_seconds: None,
        }
    }
}

impl From<TokenRefusal> for ApiProblem {
    fn from(refusal: TokenRefusal) -> Self {
        Self::new(Kind::Unauthenticated, refusal.to_string())
    }
}

impl From<CheckpointError> for ApiProblem {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Store(error) => error.into(),
            CheckpointError::File { .. }
            | CheckpointError::Permissions { .. }
            | CheckpointError::MalformedKey { .. }
            | CheckpointError::Generation(_)
            | CheckpointError::Interrupted => Self::internal(error),
        }
    }
}

impl From<VerifyError> for ApiProblem {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Store(error) => error.into(),
            VerifyError::ReadModel(_)
            | VerifyError::Document(_)
            | VerifyError::Scratch(_)
            | VerifyError::Interrupted => Self::internal(error),
        }
    }
}

/// Longer than for other failures: an operator needs time to make room on a disk.
const FULL_RETRY_SECONDS: u64 = 10;

impl From<StoreError> for ApiProblem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(reason) => {
                tracing::warn!(error = %reason, "the event store was not available to a request");
                Self {
                    retry_after_seconds: Some(1),
                    ..Self::new(Kind::Unavailable, "the event store is temporarily unavailable")
                }
            }
            StoreError::Full(reason) => Self::full_disk("the event store", &reason),
            StoreError::Refused(_) => Self::refused_value(error),
            StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

impl From<PeopleError> for ApiProblem {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Unavailable(reason) => {
                tracing::warn!(error = %reason, "the identity store was not available to a request");
                Self {
                    retry_after_seconds: Some(1),
                    ..Self::new(Kind::Unavailable, "accounts are temporarily unavailable")
                }
            }
            PeopleError::Full(reason) => Self::full_disk("the identity store", &reason),
            PeopleError::Refused(_) => Self::refused_value(error),
            PeopleError::Corrupt(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use query::QueryError;

    use super::*;

    #[test]
    fn a_problem_is_rfc_9457() {
        let response = ApiProblem::field("limit", "is 1 to 200").into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn an_unauthenticated_answer_names_the_scheme() {
        let response = ApiProblem::from(TokenRefusal::Expired).into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
    }

    #[test]
    fn a_query_that_a_retry_may_answer_says_when() {
        let retry_after = |error: QueryError| {
            let response = ApiProblem::from(error).into_response();
            (response.status(), response.headers().get(RETRY_AFTER).cloned())
        };
        let second = HeaderValue::from_static("1");
        for error in [QueryError::Stopping, QueryError::Unavailable] {
            assert_eq!(
                retry_after(error),
                (StatusCode::SERVICE_UNAVAILABLE, Some(second.clone()))
            );
        }
        assert_eq!(retry_after(QueryError::NotFound), (StatusCode::NOT_FOUND, None));
    }

    #[test]
    fn a_full_disk_is_told_whichever_store_is_on_it() {
        for problem in [
            ApiProblem::from(StoreError::Full("row 7".to_owned())),
            PeopleError::Full("row 7".to_owned()).into(),
        ] {
            let problem = problem.into_problem();
            assert_eq!(problem.status, 503);
            assert!(problem.detail.contains("disk is full"), "{}", problem.detail);
            assert!(!problem.detail.contains("row 7"), "{}", problem.detail);
        }
    }

    #[test]
    fn a_defect_does_not_reveal_its_cause() {
        let problem = ApiProblem::from(StoreError::Corrupt("table events, row 7".to_owned())).into_problem();
        assert_eq!(problem.status, 500);
        assert!(!problem.detail.contains("events"));
    }

    #[test]
    fn the_interface_words_every_kind_of_problem() {
        for kind in [
            Kind::Malformed,
            Kind::Unauthenticated,
            Kind::WrongCredentials,
            Kind::Forbidden,
            Kind::ForeignOrigin,
            Kind::NotFound,
            Kind::MethodNotAllowed,
            Kind::Conflict,
            Kind::PreconditionFailed,
            Kind::PreconditionRequired,
            Kind::Busy,
            Kind::OutOfTurn,
            Kind::TooLarge,
            Kind::UnsupportedMediaType,
            Kind::Rejected,
            Kind::RateLimited,
            Kind::QuotaExceeded,
            Kind::Gone,
            Kind::RunEnded,
            Kind::Moved,
            Kind::Internal,
            Kind::Unavailable,
            Kind::TimedOut,
        ] {
            assert!(app::has_problem_text(kind.slug()), "{kind:?}");
        }
    }
}
