//! Lessons and their runs: a step is predicted, then acts, then is revealed.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
};
use domain::{
    lesson::LESSONS,
    wire::{LessonInfo, LessonRun, LessonsAnswer, Page, Problem, RunInfo, RunStep, StepPhase},
};
use serde::Deserialize;
use teaching::runs::{Learner, LessonError};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    SharedGateway,
    auth::Caller,
    json_body::JsonBody,
    limits::{Address, COST_OF_INTERVENING, COST_OF_OPENING, Client, charge_workspace},
    params::{NoParams, QueryParams},
    problem::{ApiProblem, Kind},
};

/// What a new run takes of the storage of its learner's workspace, in bytes. A run is 100 KB at most, and a
/// typical one a tenth of that.
const BYTES_OF_A_RUN: u64 = 10_000;

/// Whose runs are listed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunsOf {
    /// The caller's.
    #[default]
    Me,
    /// Those of all people of the workspace.
    Workspace,
}

/// Which runs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsParams {
    /// `me`: the caller's, as by default; `workspace`: those of all its people, for educators
    #[serde(default)]
    #[param(inline)]
    of: RunsOf,
}

/// List lessons
///
/// Each with its path, its steps and what they ask. The right answers are in none of it.
#[utoipa::path(get, path = "/lab/lessons", tag = "lessons", responses(
    (status = 200, description = "Every lesson, in the order that teaches", body = LessonsAnswer),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not a student or educator", body = Problem),
))]
pub(super) async fn list(
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<LessonsAnswer>, ApiProblem> {
    caller.require_lab_reader()?;
    let data = LESSONS.iter().map(LessonInfo::from).collect();
    Ok(Json(LessonsAnswer { data }))
}

/// Start a lesson
///
/// Opens a sandbox for this run alone, with the shop's template in the language of the request; it counts as
/// a workspace that is opened. Of a person's runs 5 are live at most: the oldest ends, and its sandbox is
/// purged. A repeated request starts another run.
#[utoipa::path(post, path = "/lab/lessons/{name}/runs", tag = "lessons",
    params(("name" = String, Path, description = "The lesson, as in `happy_path`")),
    responses(
        (status = 201, description = "The run, at its first step", body = LessonRun),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
        (status = 404, description = "No such lesson", body = Problem),
        (status = 429, body = Problem,
            description = "Too many requests, too many workspaces from this address, or the sandbox is full"),
    ))]
pub(super) async fn start(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Extension(client): Extension<Client>,
    Extension(address): Extension<Address>,
    Path(name): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<(StatusCode, Json<LessonRun>), ApiProblem> {
    caller.require_lab_reader()?;
    if domain::lesson::find(&name).is_none() {
        return Err(LessonError::UnknownLesson.into());
    }
    gateway.rate.charge(client, COST_OF_OPENING)?;
    gateway.opening.charge(address)?;
    gateway
        .commands
        .reserve_document(caller.workspace(), BYTES_OF_A_RUN)
        .await?;
    let run = gateway
        .lessons
        .start(&learner(&caller), &name, caller.language())
        .await?;
    Ok((StatusCode::CREATED, Json(run)))
}

/// List runs
///
/// Newest first: at most 30 of a person are kept, and at most 200 are listed.
#[utoipa::path(get, path = "/lab/runs", tag = "lessons", params(RunsParams), responses(
    (status = 200, description = "The runs, on one page", body = Page<RunInfo>),
    (status = 400, description = "A parameter is not valid", body = Problem),
    (status = 403, description = "Not a student or educator, or not an educator", body = Problem),
))]
pub(super) async fn runs(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(RunsParams { of }): QueryParams<RunsParams>,
) -> Result<Json<Page<RunInfo>>, ApiProblem> {
    caller.require_lab_reader()?;
    let data = match of {
        RunsOf::Me => gateway.lessons.list(&learner(&caller)).await?,
        RunsOf::Workspace => {
            caller.require_lab_control()?;
            gateway.lessons.list_all(caller.workspace()).await?
        }
    };
    Ok(Json(Page { data, next: None }))
}

/// Read a run
///
/// With what was predicted, what has happened and the evidence of it, as it was recorded. The person who
/// started it may read it, and every educator of the workspace. A run whose sandbox has ended says so.
#[utoipa::path(get, path = "/lab/runs/{id}", tag = "lessons",
    params(("id" = Uuid, Path, description = "The run")),
    responses(
        (status = 200, description = "The run", body = LessonRun),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
        (status = 404, description = "No such run that the caller may see", body = Problem),
    ))]
pub(super) async fn run(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(id): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<Json<LessonRun>, ApiProblem> {
    caller.require_lab_reader()?;
    let id = parsed(&id)?;
    Ok(Json(gateway.lessons.read(&learner(&caller), id).await?))
}

/// End a run
///
/// It is forgotten, and its sandbox is purged. The person who started it may end it, and every educator of
/// the workspace.
#[utoipa::path(delete, path = "/lab/runs/{id}", tag = "lessons",
    params(("id" = Uuid, Path, description = "The run")),
    responses(
        (status = 204, description = "It is forgotten"),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
        (status = 404, description = "No such run that the caller may see", body = Problem),
    ))]
pub(super) async fn end(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(id): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<StatusCode, ApiProblem> {
    caller.require_lab_reader()?;
    gateway.lessons.end(&learner(&caller), parsed(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Go on with a run
///
/// Exactly one of `{"predict": {"choice": 1}}`, `{"predict": {"number": 3}}`, `{"act": {}}` and
/// `{"reveal": {}}`. A step is predicted, then acts, then is revealed, each once and one step after the
/// other: a repeated phase is answered as it was recorded. Nothing tells the right answer before the reveal.
/// A step without a question is revealed by its act. An act that has failed says why in `failure`, and may be
/// sent again.
#[utoipa::path(post, path = "/lab/runs/{id}/steps/{n}", tag = "lessons", request_body = StepPhase,
    params(
        ("id" = Uuid, Path, description = "The run"),
        ("n" = u8, Path, description = "The number of the step, counted from 1"),
    ),
    responses(
        (status = 200, description = "The step, as it is now", body = RunStep),
        (status = 400, description = "The answer is none to this question", body = Problem),
        (status = 403, description = "Not the person who started the run", body = Problem),
        (status = 404, description = "No such run that the caller may see, or no such step", body = Problem),
        (status = 409, body = Problem,
            description = "Another phase is due, which `detail` names; or another request has changed it"),
        (status = 410, description = "The sandbox of the run has ended", body = Problem),
        (status = 429, description = "Too many requests", body = Problem),
    ))]
pub(super) async fn step(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path((id, n)): Path<(String, String)>,
    _: QueryParams<NoParams>,
    JsonBody(phase): JsonBody<StepPhase>,
) -> Result<Json<RunStep>, ApiProblem> {
    caller.require_lab_reader()?;
    let id = parsed(&id)?;
    let n: u8 = n.parse().map_err(|_| LessonError::UnknownStep)?;
    if matches!(phase, StepPhase::Act(_)) {
        charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    }
    let step = gateway.lessons.step(&learner(&caller), id, n, phase).await?;
    Ok(Json(step))
}

/// The caller as the person who does lessons.
pub(crate) fn learner(caller: &Caller) -> Learner {
    Learner {
        workspace: caller.workspace(),
        actor: caller.actor().clone(),
    }
}

/// A text that is no UUID is the id of no run.
fn parsed(id: &str) -> Result<Uuid, ApiProblem> {
    id.parse().map_err(|_| LessonError::UnknownRun.into())
}

impl From<LessonError> for ApiProblem {
    fn from(error: LessonError) -> Self {
        let detail = error.to_string();
        match error {
            LessonError::UnknownLesson | LessonError::UnknownRun | LessonError::UnknownStep => {
                Self::new(Kind::NotFound, detail)
            }
            LessonError::Foreign => Self::new(Kind::Forbidden, detail),
            LessonError::NotDue { .. } | LessonError::Done => Self::new(Kind::OutOfTurn, detail),
            LessonError::Busy => Self::new(Kind::Busy, detail),
            LessonError::Invalid { field, message } => Self::field(field, message),
            LessonError::Ended => Self::new(Kind::RunEnded, detail),
            LessonError::Sandbox(problem) => {
                tracing::warn!(error = %problem.detail, "the sandbox of a lesson was not opened");
                match problem.status {
                    429 => Self::new(Kind::QuotaExceeded, detail),
                    _ => Self::unanswered(detail),
                }
            }
            LessonError::Interrupted => Self::internal(detail),
            LessonError::Documents(error) => error.into(),
        }
    }
}
