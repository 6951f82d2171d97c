//! Views of one's own: a learner says what to fold, and reads it like any other view.
//!
//! Every workspace is a sandbox, so each may have some. No code is run: a definition names event types and
//! fields. The names of the people who have created views are stored sealed, and opened here.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use domain::{
    access::Role,
    event::personal::ERASED,
    view::own,
    wire::{
        OfferedFields, OwnView, OwnViewDefinition, OwnViewsAnswer, Problem, ProjectionStatus,
        own_views::{ALL_LISTING, BY_GROUP_LISTING, MAX_OWN_VIEWS},
    },
};
use lab::own_views::{OwnViewError, StoredView};
use telemetry::security::{SecurityEvent, SecurityRecord};

use super::dials::bender;
use crate::{
    SharedGateway,
    auth::Caller,
    json_body::JsonBody,
    limits::{COST_OF_INTERVENING, COST_OF_READING_ALL, charge_workspace},
    params::{NoParams, QueryParams},
    problem::{ApiProblem, Kind},
};

/// List views of your own
///
/// Those that people of the workspace have created, by name, each with where its lanes are. They are read at
/// `/api/v1/views/{view}/{key}` and followed over the live socket like any other view, with the listings
/// `all` and, if it has groups, `by_group`.
#[utoipa::path(get, path = "/lab/views", tag = "lab", responses(
    (status = 200, description = "The views", body = OwnViewsAnswer),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not a student or educator", body = Problem),
))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<OwnViewsAnswer>, ApiProblem> {
    own_views(&gateway, &caller).await.map(Json)
}

/// Create a view of your own
///
/// Names event types, the field whose value is the key of a document, and folds: `count`, `sum`, `min`,
/// `max`, `last` or `set` of a field. `GET /api/v1/lab/views/fields` says which fields there are. Its lanes
/// fold all history at once, and then every event; it is rebuilt, verified and bent like any other view, and
/// goes with the sandbox. A workspace has at most 10, a document at most 64 KiB: a long text is cut, a set
/// has at most 1,000 values, the least ones, and `truncated` names the members that this concerns. With
/// `"detect_duplicates":false` an event that is delivered twice counts twice, until a rebuild.
#[utoipa::path(post, path = "/lab/views", tag = "lab", request_body = OwnViewDefinition, responses(
    (status = 201, description = "It is created, and folds", body = OwnView),
    (status = 400, description = "A field is not valid; `violations` says what is allowed", body = Problem),
    (status = 403, description = "Not a student or educator", body = Problem),
    (status = 409, description = "There is a view of this name", body = Problem),
    (status = 429, description = "Too many requests or views, or the sandbox is full", body = Problem),
))]
pub(super) async fn create(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    JsonBody(definition): JsonBody<OwnViewDefinition>,
) -> Result<(StatusCode, Json<OwnView>), ApiProblem> {
    caller.require_lab_reader()?;
    charge_workspace(&gateway, &caller, COST_OF_READING_ALL)?;
    let bytes = serde_json::to_vec(&definition)
        .map_err(ApiProblem::internal)?
        .len();
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    gateway
        .commands
        .reserve_document(caller.workspace(), bytes)
        .await?;
    let by = bender(&gateway, &caller).await?;
    let created = gateway
        .own_views
        .create(caller.workspace(), &by, definition)
        .await?;
    note("own_view_created", &created.definition.name);
    let statuses = gateway.inspection.projections(caller.workspace()).await?;
    let view = shown(&gateway, &caller, created, &statuses).await?;
    let view = view.ok_or_else(|| ApiProblem::not_found("view of this name any more"))?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// What event types offer
///
/// The fields that every event has, and those of each type, from its schema: paths for `key`, `group` and
/// `of` of a view of your own. Personal fields are not offered.
#[utoipa::path(get, path = "/lab/views/fields", tag = "lab", responses(
    (status = 200, description = "The fields", body = OfferedFields),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not a student or educator", body = Problem),
))]
pub(super) async fn fields(
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<&'static OfferedFields>, ApiProblem> {
    caller.require_lab_reader()?;
    Ok(Json(own::offered_fields()))
}

/// Read a view of your own
///
/// Its definition, who has created it, and where its lanes are. Its documents are at
/// `/api/v1/views/{view}`.
#[utoipa::path(get, path = "/lab/views/{name}", tag = "lab",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The view", body = OwnView),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
        (status = 404, description = "No such view of your own", body = Problem),
    ))]
pub(super) async fn read(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(name): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<Json<OwnView>, ApiProblem> {
    caller.require_lab_reader()?;
    let stored = gateway.own_views.find(caller.workspace(), &name).await?;
    let statuses = gateway.inspection.projections(caller.workspace()).await?;
    let view = shown(&gateway, &caller, stored, &statuses).await?;
    view.map(Json).ok_or_else(|| OwnViewError::Unknown(name).into())
}

/// Delete a view of your own
///
/// Its documents, its dead letters and its dials go with it; the events stay. One that is created again under
/// its name begins empty. The person who created it may delete it, and every educator.
#[utoipa::path(delete, path = "/lab/views/{name}", tag = "lab",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Neither its maker nor an educator", body = Problem),
        (status = 404, description = "No such view of your own", body = Problem),
    ))]
pub(super) async fn delete(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(name): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<StatusCode, ApiProblem> {
    caller.require_lab_reader()?;
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let by = bender(&gateway, &caller).await?;
    let may = |view: &StoredView| may_delete(&caller, view);
    gateway
        .own_views
        .delete(caller.workspace(), &by, &name, &may)
        .await?;
    note("own_view_deleted", &name);
    Ok(StatusCode::NO_CONTENT)
}

/// The views of a workspace, with the rights of the caller.
pub(crate) async fn own_views(
    gateway: &SharedGateway,
    caller: &Caller,
) -> Result<OwnViewsAnswer, ApiProblem> {
    caller.require_lab_reader()?;
    let stored = gateway.own_views.list(caller.workspace()).await?;
    let statuses = gateway.inspection.projections(caller.workspace()).await?;
    let mut data = Vec::with_capacity(stored.len());
    for view in stored {
        // One that was created at another server a moment ago has no lanes here yet.
        data.extend(shown(gateway, caller, view, &statuses).await?);
    }
    Ok(OwnViewsAnswer {
        data,
        limit: u32::try_from(MAX_OWN_VIEWS).unwrap_or(u32::MAX),
    })
}

fn may_delete(caller: &Caller, view: &StoredView) -> bool {
    caller.actor().role == Role::Educator || caller.actor().id == view.created_by
}

/// A view as people of the workspace may see it; `None`: it has no lanes at this server.
async fn shown(
    gateway: &SharedGateway,
    caller: &Caller,
    stored: StoredView,
    statuses: &[ProjectionStatus],
) -> Result<Option<OwnView>, ApiProblem> {
    let may_delete = may_delete(caller, &stored);
    let OwnViewDefinition {
        name,
        on,
        key,
        fold,
        group,
        detect_duplicates,
    } = stored.definition;
    let Some(status) = statuses.iter().find(|status| status.view == name).cloned() else {
        return Ok(None);
    };
    let seals = &gateway.people.seals;
    let created_by_name = seals.opened(caller.workspace(), &stored.created_by_name).await?;
    let listings = [ALL_LISTING]
        .into_iter()
        .chain(group.is_some().then_some(BY_GROUP_LISTING));
    Ok(Some(OwnView {
        listings: listings.map(str::to_owned).collect(),
        name,
        on,
        key,
        fold,
        group,
        detect_duplicates,
        created_at: stored.created_at,
        created_by: stored.created_by,
        created_by_name: created_by_name.unwrap_or_else(|| ERASED.to_owned()),
        may_delete,
        status,
    }))
}

fn note(reason: &'static str, view: &str) {
    SecurityRecord::new(SecurityEvent::PipelineChanged)
        .because(reason)
        .about(view)
        .write();
}

impl From<OwnViewError> for ApiProblem {
    fn from(error: OwnViewError) -> Self {
        let detail = error.to_string();
        match error {
            OwnViewError::Invalid(rejection) => {
                Self::new(Kind::Malformed, detail).with(|problem| problem.violations = rejection.violations)
            }
            OwnViewError::Exists(_) | OwnViewError::Busy => Self::new(Kind::Busy, detail),
            OwnViewError::Full => Self::new(Kind::QuotaExceeded, detail),
            OwnViewError::Unknown(_) => Self::new(Kind::NotFound, detail),
            OwnViewError::NotYours => Self::new(Kind::Forbidden, detail),
            OwnViewError::Dials(error) => error.into(),
            OwnViewError::Events(error) => error.into(),
            OwnViewError::Documents(error) => error.into(),
        }
    }
}
