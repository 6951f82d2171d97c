//! Recordings of the lab: a run of the pipeline is kept under a link, and read as JSON that plays anywhere.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use domain::wire::{KeepRecording, KeptRecording, Page, Problem, Recording, RecordingInfo};
use lab::recordings::RecordingError;
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use crate::{
    SharedGateway,
    auth::Caller,
    json_body::JsonBody,
    limits::{COST_OF_A_RECORDING, charge_workspace},
    params::{NoParams, QueryParams},
    problem::{ApiProblem, Kind},
};

/// Keep a run
///
/// Keeps the events between two consistency tokens, and the hops of theirs that the lab has watched, under a
/// link that plays them for everyone who may read the log of the workspace. The events stay in the log, and
/// are read from there. A recording has 1 to 2,000 events and at most 7 MB. A workspace keeps at most 20 of
/// them, which count against the storage of the sandbox and are purged with it. A repeated request makes
/// another recording.
#[utoipa::path(post, path = "/lab/recordings", tag = "lab", request_body = KeepRecording, responses(
    (status = 201, description = "It is kept", body = KeptRecording),
    (status = 400, description = "A field is not valid, or `to` is after the newest event", body = Problem),
    (status = 403, description = "Not a student or educator", body = Problem),
    (status = 422, description = "The run has no event, or is too long or too large", body = Problem),
    (status = 429, description = "Too many requests or recordings, or the sandbox is full", body = Problem),
))]
pub(super) async fn keep(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    JsonBody(wanted): JsonBody<KeepRecording>,
) -> Result<(StatusCode, Json<KeptRecording>), ApiProblem> {
    caller.require_lab_reader()?;
    charge_workspace(&gateway, &caller, COST_OF_A_RECORDING)?;
    let (workspace, recordings) = (caller.workspace(), &gateway.recordings);
    let watched = gateway.observatory.recorded(workspace);
    let draft = recordings
        .draft(workspace, caller.actor().id, wanted, watched)
        .await?;
    gateway
        .commands
        .reserve_document(workspace, draft.bytes())
        .await?;
    let id = recordings.keep(&draft).await?;
    let link = format!("/lab/recording/{id}");
    Ok((StatusCode::CREATED, Json(KeptRecording { id, link })))
}

/// List recordings
///
/// All of the workspace, newest first, without their events and hops.
#[utoipa::path(get, path = "/lab/recordings", tag = "lab", responses(
    (status = 200, description = "The recordings, on one page", body = Page<RecordingInfo>),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not a student or educator", body = Problem),
))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<Page<RecordingInfo>>, ApiProblem> {
    caller.require_lab_reader()?;
    let data = gateway.recordings.list(caller.workspace()).await?;
    Ok(Json(Page { data, next: None }))
}

/// Read a recording
///
/// JSON that plays anywhere: its events as the log has them, its hops, and the commands of people, as they
/// can be sent again in another workspace. Saved as a file, `/lab/recording` plays it.
#[utoipa::path(get, path = "/lab/recordings/{id}", tag = "lab",
    params(("id" = Uuid, Path, description = "The recording")),
    responses(
        (status = 200, description = "The recording", body = Recording<Value>),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
        (status = 404, description = "No such recording in your workspace", body = Problem),
        (status = 429, description = "Too many requests", body = Problem),
    ))]
pub(super) async fn read(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(id): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<Json<Recording<Box<RawValue>>>, ApiProblem> {
    caller.require_lab_reader()?;
    let id = parsed(&id)?;
    charge_workspace(&gateway, &caller, COST_OF_A_RECORDING)?;
    Ok(Json(gateway.recordings.read(caller.workspace(), id).await?))
}

/// Delete a recording
///
/// Its link leads nowhere from then on; its events stay in the log. The person who kept it may delete it,
/// and every educator.
#[utoipa::path(delete, path = "/lab/recordings/{id}", tag = "lab",
    params(("id" = Uuid, Path, description = "The recording")),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Neither its maker nor an educator", body = Problem),
        (status = 404, description = "No such recording in your workspace", body = Problem),
    ))]
pub(super) async fn delete(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(id): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<StatusCode, ApiProblem> {
    caller.require_lab_reader()?;
    let id = parsed(&id)?;
    gateway
        .recordings
        .delete(caller.workspace(), caller.actor(), id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A text that is no UUID is the id of no recording.
fn parsed(id: &str) -> Result<Uuid, ApiProblem> {
    id.parse().map_err(|_| RecordingError::Unknown.into())
}

impl From<RecordingError> for ApiProblem {
    fn from(error: RecordingError) -> Self {
        let detail = error.to_string();
        let rejected = |detail: String, rule: &str| {
            Self::new(Kind::Rejected, detail).with(|problem| problem.rule = Some(rule.to_owned()))
        };
        match error {
            RecordingError::Empty => rejected(detail, "recording-has-events"),
            RecordingError::TooLarge => rejected(detail, "recording-is-small"),
            RecordingError::TooLong(_) => rejected(detail, "recording-is-short"),
            RecordingError::Invalid(rejection) => {
                Self::new(Kind::Malformed, detail).with(|problem| problem.violations = rejection.violations)
            }
            RecordingError::BeyondHead { .. } => Self::field("to", detail),
            RecordingError::TooMany => Self::new(Kind::QuotaExceeded, detail),
            RecordingError::Unknown => Self::new(Kind::NotFound, detail),
            RecordingError::Foreign => Self::new(Kind::Forbidden, detail),
            RecordingError::Events(error) => error.into(),
            RecordingError::Documents(error) => error.into(),
        }
    }
}
