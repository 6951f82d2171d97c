//! Dead letters: what views and policies could not apply, for those who run the shop.

use axum::{
    Json,
    extract::{Path, State},
};
use documents::{DeadLetterKey, DocumentStoreError};
use domain::wire::{DeadLetterInfo, DeadLetterOutcome, Page, Problem};
use monitor::{DeadLetterError, Remedy};
use uuid::Uuid;

use crate::{
    SharedGateway,
    auth::Caller,
    params::Params,
    problem::{ApiProblem, Kind},
};

/// The most entries of a page.
const MAX_LIMIT: u32 = 200;
/// Entries of a page where nobody says.
const DEFAULT_LIMIT: u32 = 50;

/// List dead letters
///
/// An event that a view or a policy could not apply, after several attempts. Later events of its stream wait behind it; other streams
/// go on.
#[utoipa::path(get, path = "/dead-letters", tag = "operations",
    params(
        ("view" = Option<String>, Query, description = "Only of this view or policy"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "1 to 200; 50 where absent"),
    ),
    responses(
        (status = 200, description = "Dead letters by view and position", body = Page<DeadLetterInfo>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 403, description = "Not staff or an educator", body = Problem),
    ))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<Page<DeadLetterInfo>>, ApiProblem> {
    let view = params.text("view");
    let after = params.text("cursor").map(|text| place(&text)).transpose()?;
    let limit = params.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT)?;
    params.finish()?;
    caller.must_run_shop()?;
    let inspection = &gateway.inspection;
    let page = inspection.dead_letters(caller.workspace(), view.as_deref(), after.as_ref(), limit);
    let (letters, has_more) = page.await?;
    let last = letters.last().filter(|_| has_more);
    let next = last.map(|last| cursor(&last.place()));
    Ok(Json(Page {
        data: letters.into_iter().map(Into::into).collect(),
        next,
    }))
}

/// Retry a dead letter
///
/// Applies it, and then what waits behind it, in order and at one moment. Where an event fails again, what came before it is
/// applied, and the answer names the dead letter that holds the stream back now.
#[utoipa::path(post, path = "/dead-letters/{id}/retry", tag = "operations",
    params(("id" = Uuid, Path, description = "The dead letter")),
    responses(
        (status = 200, description = "What came of it", body = DeadLetterOutcome),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 403, description = "Not staff or an educator", body = Problem),
        (status = 404, description = "No such dead letter, or no longer", body = Problem),
    ))]
pub(super) async fn retry(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterOutcome>, ApiProblem> {
    remedy(&gateway, &caller, &id, Remedy::Retry).await
}

/// Discard a dead letter
///
/// The view goes on without this event: what waits behind it is applied. A rebuild of the view tries it again.
#[utoipa::path(post, path = "/dead-letters/{id}/discard", tag = "operations",
    params(("id" = Uuid, Path, description = "The dead letter")),
    responses(
        (status = 200, description = "What came of it", body = DeadLetterOutcome),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 403, description = "Not staff or an educator", body = Problem),
        (status = 404, description = "No such dead letter, or no longer", body = Problem),
    ))]
pub(super) async fn discard(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterOutcome>, ApiProblem> {
    remedy(&gateway, &caller, &id, Remedy::Discard).await
}

async fn remedy(
    gateway: &SharedGateway,
    caller: &Caller,
    id: &str,
    remedy: Remedy,
) -> Result<Json<DeadLetterOutcome>, ApiProblem> {
    caller.must_run_shop()?;
    // What cannot be an id names nothing.
    let id: Uuid = id
        .parse()
        .map_err(|_| ApiProblem::from(DeadLetterError::Unknown))?;
    let released = gateway.inspection.remedy(caller.workspace(), id, remedy).await?;
    Ok(Json(released.into()))
}

fn cursor(place: &DeadLetterKey) -> String {
    let DeadLetterKey {
        view,
        generation,
        partition,
        position,
    } = place;
    format!("{view}:{generation}:{partition}:{position}")
}

fn place(cursor: &str) -> Result<DeadLetterKey, ApiProblem> {
    let parse = || {
        let mut parts = cursor.split(':');
        let place = DeadLetterKey {
            view: parts.next()?.to_owned(),
            // As far as every database counts.
            generation: parts.next()?.parse::<u32>().ok()?.into(),
            partition: parts.next()?.parse().ok()?,
            position: parts
                .next()?
                .parse()
                .ok()
                .filter(|position| i64::try_from(*position).is_ok())?,
        };
        parts.next().is_none().then_some(place)
    };
    parse().ok_or_else(|| ApiProblem::field("cursor", "is not one that this list gave as next"))
}

impl From<DeadLetterError> for ApiProblem {
    fn from(error: DeadLetterError) -> Self {
        match error {
            DeadLetterError::Unknown => Self::not_found("dead letter of this id in your workspace"),
            DeadLetterError::Documents(error) => error.into(),
            DeadLetterError::Effect(reason) => {
                tracing::warn!(
                    error = reason,
                    "a consumer could not do what a dead letter asks for"
                );
                Self::new(Kind::Unavailable, "the consumer cannot do it now")
            }
            DeadLetterError::Store(error) => error.into(),
        }
    }
}

impl From<DocumentStoreError> for ApiProblem {
    fn from(error: DocumentStoreError) -> Self {
        match error {
            DocumentStoreError::Unavailable(reason) => {
                tracing::warn!(error = reason, "the read model was not available to a request");
                Self::new(Kind::Unavailable, "the read model is busy")
            }
            DocumentStoreError::Refused(_) => Self::refused_value(error),
            DocumentStoreError::Corrupt(_) | DocumentStoreError::Fault(_) => Self::internal(error),
        }
    }
}
