//! Opening and joining a workspace: how a program gets its first token.

use axum::{Extension, Json, extract::State, http::HeaderMap};
use command::{Admission, AdmissionError, Visit};
use domain::wire::{JoinWorkspace, OpenWorkspace, Problem, WorkspaceAccess};

use crate::{
    SharedGateway,
    json_body::JsonBody,
    language,
    limits::{Address, COST_OF_JOINING, COST_OF_OPENING, Client},
    problem::{ApiProblem, Kind},
    tokens::TTL_SECONDS,
};

/// Open a workspace
///
/// The workspace is filled with the template, in `language` or that of the request (the cookie `lang`, or
/// `Accept-Language`), and the token is an educator's. No account is needed. Its clock begins now, or at
/// `clock` in the past. The
/// workspace is a sandbox: it has limits on events, documents, people and live subscriptions, and is purged
/// after some days without a visitor.
#[utoipa::path(post, path = "/workspaces", tag = "workspaces", security(()), request_body = OpenWorkspace,
    responses(
        (status = 200, description = "The workspace and a token for it", body = WorkspaceAccess),
        (status = 400, description = "A field is not valid", body = Problem),
        (status = 429, body = Problem,
            description = "Too many requests, or too many workspaces from this address"),
    ))]
pub(super) async fn open(
    State(gateway): State<SharedGateway>,
    Extension(client): Extension<Client>,
    Extension(address): Extension<Address>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<OpenWorkspace>,
) -> Result<Json<WorkspaceAccess>, ApiProblem> {
    gateway.rate.charge(client, COST_OF_OPENING)?;
    gateway.opening.charge(address)?;
    let wanted = OpenWorkspace {
        language: wanted.language.or(Some(language::of(&headers, None))),
        ..wanted
    };
    let admission = gateway.workspaces.open(&wanted, None).await?;
    access(&gateway, &admission)
}

/// Join a workspace
///
/// The token is a student's: a customer who may also inspect the log.
#[utoipa::path(post, path = "/workspaces/join", tag = "workspaces", security(()),
    request_body = JoinWorkspace,
    responses(
        (status = 200, description = "The workspace and a token for it", body = WorkspaceAccess),
        (status = 400, description = "A field is not valid", body = Problem),
        (status = 404, description = "No workspace has this code", body = Problem),
        (status = 429, body = Problem,
            description = "Too many requests, or the workspace has as many people as it may, in all or from \
                this address"),
    ))]
pub(super) async fn join(
    State(gateway): State<SharedGateway>,
    Extension(Address(address)): Extension<Address>,
    JsonBody(wanted): JsonBody<JoinWorkspace>,
) -> Result<Json<WorkspaceAccess>, ApiProblem> {
    gateway.rate.charge(address, COST_OF_JOINING)?;
    let visit = visit(address);
    let admission = gateway
        .workspaces
        .join(&wanted.code, &wanted.display_name, &visit)
        .await?;
    access(&gateway, &admission)
}

/// The visit of a guest who joins from an address.
pub(crate) fn visit(address: Client) -> Visit {
    Visit {
        address: address.address(),
        seconds: TTL_SECONDS,
    }
}

fn access(gateway: &SharedGateway, admission: &Admission) -> Result<Json<WorkspaceAccess>, ApiProblem> {
    let workspace = &admission.workspace;
    let token = gateway
        .tokens
        .issue(workspace.id, &admission.actor, TTL_SECONDS)
        .map_err(ApiProblem::internal)?;
    Ok(Json(WorkspaceAccess {
        workspace: workspace.id,
        join_code: workspace.join_code.clone(),
        token,
        expires_in: TTL_SECONDS,
    }))
}

impl From<AdmissionError> for ApiProblem {
    fn from(error: AdmissionError) -> Self {
        match error {
            AdmissionError::Invalid(rejection) => Self::new(Kind::Malformed, rejection.detail.clone())
                .with(|problem| problem.violations = rejection.violations),
            AdmissionError::UnknownCode => Self::new(Kind::NotFound, error.to_string()),
            AdmissionError::Full(_) | AdmissionError::AddressFull(_) => {
                Self::new(Kind::QuotaExceeded, error.to_string())
            }
            AdmissionError::Template(failure) => failure.into(),
            AdmissionError::Store(error) => error.into(),
        }
    }
}
