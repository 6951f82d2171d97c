//! The schema registry: the JSON Schema of the payload of every version of every event, as the event store
//! keeps it.
//!
//! Any token may read it: it is the same in every workspace, and says nothing about one.

use axum::{
    Json,
    extract::{Path, State},
};
use domain::wire::{EventSchema, Page, Problem};

use crate::{
    SharedGateway,
    auth::Caller,
    params::{NoParams, QueryParams},
    problem::ApiProblem,
};

/// List schemas
///
/// The JSON Schema of every version of every event's payload, also of versions that are no longer written. A
/// schema never changes: a change makes a new version. Stored events keep the version that their
/// `schema_version` names.
#[utoipa::path(get, path = "/schemas", tag = "log",
    responses(
        (status = 200, description = "Schemas by type and version", body = Page<EventSchema>),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
    ))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    _caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<Page<EventSchema>>, ApiProblem> {
    Ok(Json(Page {
        data: gateway.inspection.schemas().await?,
        next: None,
    }))
}

/// Read a schema
#[utoipa::path(get, path = "/schemas/{type}/{version}", tag = "log",
    params(
        ("type" = String, Path, description = "The event's type, as in `OrderCreated`"),
        ("version" = u32, Path, description = "The version, as an event's `schema_version` has it"),
    ),
    responses(
        (status = 200, description = "The schema", body = EventSchema),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 404, description = "No such type, or no such version of it", body = Problem),
    ))]
pub(super) async fn read(
    State(gateway): State<SharedGateway>,
    _caller: Caller,
    Path((event_type, version)): Path<(String, String)>,
) -> Result<Json<EventSchema>, ApiProblem> {
    let of_type: Vec<_> = gateway
        .inspection
        .schemas()
        .await?
        .into_iter()
        .filter(|schema| schema.event_type == event_type)
        .collect();
    let Some(newest) = of_type.last().map(|schema| schema.version) else {
        return Err(ApiProblem::not_found(
            "event type of this name; /api/v1/schemas lists them",
        ));
    };
    of_type
        .into_iter()
        .find(|schema| version.parse() == Ok(schema.version))
        .map(Json)
        .ok_or_else(|| {
            ApiProblem::not_found(format_args!(
                "version {version} of {event_type}, whose newest version is {newest}"
            ))
        })
}
