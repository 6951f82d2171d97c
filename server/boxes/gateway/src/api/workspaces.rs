//! Opening and joining a workspace: how a program gets its first token.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, Method},
};
use command::{Admission, AdmissionError, ContentError, NewEducator, Visit, WorkspaceContent};
use domain::{
    id::WorkspaceId,
    wire::{JoinWorkspace, OpenWorkspace, Problem, WorkspaceAccess},
};

use crate::{
    SharedGateway,
    auth::{Authentication, Caller},
    json_body::JsonBody,
    language,
    limits::{
        Address, COST_OF_JOINING, COST_OF_OPENING, COST_OF_READING_ALL, Client, OnlyOne, charge_workspace,
    },
    problem::{ApiProblem, Kind},
    tokens::TTL_SECONDS,
};

/// The most bytes that a workspace may hold to be copied or imported over the API. Larger ones are exported
/// and imported from a command line.
pub(super) const MOST_CONTENT_BYTES: usize = 8 * 1024 * 1024;

/// Open a workspace
///
/// The workspace is filled with the template, in `language` or that of the request (the cookie `lang`, or
/// `Accept-Language`), and the token is an educator's. No account is needed. Its clock begins now, or at
/// `clock` in the past. The
/// workspace is a sandbox: it has limits on events, documents, people and live subscriptions, and is purged
/// after some days without a visitor.
///
/// With `snapshot` in place of a template it begins with the events of another workspace, with their times
/// and ids. That takes a token of an educator of that workspace, which has 8 MB at most. People of it cannot
/// sign in to the new one, and their names and addresses are not in it: they are sealed with keys of the old
/// one.
#[utoipa::path(post, path = "/workspaces", tag = "workspaces", security(()), request_body = OpenWorkspace,
    responses(
        (status = 200, description = "The workspace and a token for it", body = WorkspaceAccess),
        (status = 400, description = "A field is not valid", body = Problem),
        (status = 403, description = "With `snapshot`: not an educator of that workspace", body = Problem),
        (status = 413, description = "With `snapshot`: it holds more than can be copied", body = Problem),
        (status = 429, body = Problem,
            description = "Too many requests, or too many workspaces from this address"),
    ))]
pub(super) async fn open(
    State(gateway): State<SharedGateway>,
    Extension(client): Extension<Client>,
    Extension(address): Extension<Address>,
    Extension(authentication): Extension<Authentication>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<OpenWorkspace>,
) -> Result<Json<WorkspaceAccess>, ApiProblem> {
    gateway.rate.charge(client, COST_OF_OPENING)?;
    gateway.opening.charge(address)?;
    let wanted = OpenWorkspace {
        language: wanted.language.or(Some(language::of(&headers, None))),
        ..wanted
    };
    let admission = match wanted.snapshot {
        None => gateway.workspaces.open(&wanted, None).await?,
        Some(source) => {
            // Like every request with a token that changes something.
            let caller = authentication.require_caller(&Method::POST)?;
            copy(&gateway, &caller, source, &wanted).await?
        }
    };
    access(&gateway, &admission)
}

/// Opens a workspace that begins with what the caller's own holds.
async fn copy(
    gateway: &SharedGateway,
    caller: &Caller,
    source: WorkspaceId,
    wanted: &OpenWorkspace,
) -> Result<Admission, ApiProblem> {
    let of_template = [
        ("template", wanted.template.is_some()),
        ("shards", wanted.shards.is_some()),
        ("clock", wanted.clock.is_some()),
    ];
    if let Some((field, _)) = of_template.iter().find(|(_, is_present)| *is_present) {
        return Err(ApiProblem::field(
            *field,
            "cannot be combined with `snapshot`: it is that of the copied workspace",
        ));
    }
    if source != caller.workspace() {
        return Err(ApiProblem::new(
            Kind::Forbidden,
            "a workspace is copied by its own educators, with a token for it",
        ));
    }
    let Snapshot { name, content, .. } = snapshot(gateway, caller).await?;
    let name = wanted.name.as_deref().unwrap_or(&name);
    let language = wanted.language.unwrap_or_default();
    let opened = gateway
        .workspaces
        .open_with(&content, Some(name), NewEducator::default(), language);
    Ok(opened.await?)
}

/// What a workspace holds, to be copied.
pub(super) struct Snapshot {
    /// The name of the workspace.
    pub(super) name: String,
    /// What it holds.
    pub(super) content: WorkspaceContent,
    /// Nothing else copies or exports the workspace meanwhile.
    pub(super) only_one: OnlyOne,
}

/// What the caller's workspace holds now.
pub(super) async fn snapshot(gateway: &SharedGateway, caller: &Caller) -> Result<Snapshot, ApiProblem> {
    caller.require_export_right()?;
    charge_workspace(gateway, caller, COST_OF_READING_ALL)?;
    let only_one = gateway.heavy_work.export(caller.workspace()).await?;
    let place = gateway.heavy_work.place(caller.address()).await?;
    let workspace = gateway
        .workspaces
        .find(caller.workspace())
        .await?
        .ok_or_else(ApiProblem::workspace_gone)?;
    let content = gateway.workspaces.content(&workspace, MOST_CONTENT_BYTES).await?;
    drop(place);
    Ok(Snapshot {
        name: workspace.name,
        content,
        only_one,
    })
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

/// The access of a person who was admitted.
pub(super) fn access(
    gateway: &SharedGateway,
    admission: &Admission,
) -> Result<Json<WorkspaceAccess>, ApiProblem> {
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
            AdmissionError::TooManyEvents { .. } => Self::new(Kind::TooLarge, error.to_string()),
            AdmissionError::Template(failure) => failure.into(),
            AdmissionError::Store(error) => error.into(),
        }
    }
}

impl From<ContentError> for ApiProblem {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::TooLarge(_) => Self::new(
                Kind::TooLarge,
                "a workspace of 8 MB at most can be copied here; export a larger one, and import it with \
                 `foldline import`",
            ),
            ContentError::Store(error) => error.into(),
        }
    }
}
