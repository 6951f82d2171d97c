//! Dead letters: the events that views and policies could not apply, and the commands of policies that were
//! refused for good. Staff and educators handle them, and students look at them.

use axum::{
    Json,
    extract::{Path, State},
};
use documents::{DeadLetterKey, DocumentStoreError, ParkedEvent};
use domain::wire::{DeadLetterInfo, DeadLetterOutcome, Page, Problem, RetriedDeadLetters, WaitingEvent};
use monitor::{DeadLetterError, Remedy};
use serde::Deserialize;
use telemetry::security::{SecurityEvent, SecurityRecord};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    SharedGateway,
    auth::Caller,
    limits::{COST_OF_INTERVENING, COST_OF_READING_ALL, charge_workspace},
    params::{PageLimit, QueryParams, WholeNumber},
    problem::{ApiProblem, Kind},
};

/// The largest position that every database can store.
const MAX_POSITION: u64 = i64::MAX as u64;

/// The position of an event in its partition.
type Position = WholeNumber<1, MAX_POSITION>;

/// Which page of the dead letters.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLetterParams {
    /// Only dead letters of this view or policy
    view: Option<String>,
    /// The `next` of the page before
    cursor: Option<String>,
    /// 1 to 200; 50 where absent
    #[serde(default)]
    #[param(inline)]
    limit: PageLimit,
}

/// List dead letters
///
/// A dead letter is an event that a view or a policy could not apply, after several attempts. Later events of
/// its stream wait for it; other streams go on.
///
/// A command of a policy that was refused for good, such as a refund, is a dead letter too, if no other
/// command does what it was to do. Its type is that of the command, its version is 0, and no event waits for
/// it.
#[utoipa::path(get, path = "/dead-letters", tag = "operations",
    params(DeadLetterParams),
    responses(
        (status = 200, description = "Dead letters by view and position", body = Page<DeadLetterInfo>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not staff, a student or an educator", body = Problem),
    ))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<DeadLetterParams>,
) -> Result<Json<Page<DeadLetterInfo>>, ApiProblem> {
    let (view, cursor) = (params.view.as_deref(), params.cursor.as_deref());
    dead_letter_page(&gateway, &caller, view, cursor, params.limit.get())
        .await
        .map(Json)
}

/// A page of the dead letters, with the rights of the caller.
pub(crate) async fn dead_letter_page(
    gateway: &SharedGateway,
    caller: &Caller,
    view: Option<&str>,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<DeadLetterInfo>, ApiProblem> {
    let after = cursor.map(parse_cursor).transpose()?;
    caller.require_dead_letter_reader()?;
    let inspection = &gateway.inspection;
    let page = inspection.dead_letters(caller.workspace(), view, after.as_ref(), limit);
    let (letters, has_more) = page.await?;
    let last = letters.last().filter(|_| has_more);
    let next = last.map(|last| format_cursor(&last.key()));
    Ok(Page {
        data: letters.into_iter().map(Into::into).collect(),
        next,
    })
}

/// Which of the events that wait.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitingParams {
    /// The `next` of the page before: only events after this position
    #[param(inline)]
    cursor: Option<Position>,
    /// 1 to 200; 50 where absent
    #[serde(default)]
    #[param(inline)]
    limit: PageLimit,
}

/// List what waits behind a dead letter
///
/// The later events of its stream, which are applied in order once the dead letter is retried with success,
/// or discarded. Nothing waits behind a command.
#[utoipa::path(get, path = "/dead-letters/{id}/waiting", tag = "operations",
    params(("id" = Uuid, Path, description = "The dead letter"), WaitingParams),
    responses(
        (status = 200, description = "Events by position", body = Page<WaitingEvent>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not staff, a student or an educator", body = Problem),
        (status = 404, description = "There is no such dead letter, or no longer", body = Problem),
    ))]
pub(super) async fn waiting(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(id): Path<String>,
    QueryParams(params): QueryParams<WaitingParams>,
) -> Result<Json<Page<WaitingEvent>>, ApiProblem> {
    caller.require_dead_letter_reader()?;
    let id = parse_id(&id)?;
    let (after, limit) = (params.cursor.map_or(0, Position::get), params.limit.get());
    let waiting = gateway.inspection.waiting(caller.workspace(), id, after, limit);
    let (events, has_more) = waiting.await?.ok_or(DeadLetterError::Unknown)?;
    let last = events.last().filter(|_| has_more);
    Ok(Json(Page {
        next: last.map(|last| last.position.to_string()),
        data: events.into_iter().map(waiting_event).collect(),
    }))
}

fn waiting_event(event: ParkedEvent) -> WaitingEvent {
    WaitingEvent {
        event_id: event.event_id,
        event_type: event.event_type,
        version: event.version,
        position: event.position,
        parked_at: event.parked_at,
    }
}

/// Retry dead letters
///
/// Retries the dead letters of a page, one after the other, as each would be by itself. To retry all of them,
/// send the `next` of the answer as `cursor` until there is none.
#[utoipa::path(post, path = "/dead-letters/retry", tag = "operations",
    params(DeadLetterParams),
    responses(
        (status = 200, description = "How many were retried, and what came of it", body = RetriedDeadLetters),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not staff or an educator", body = Problem),
    ))]
pub(super) async fn retry_all(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<DeadLetterParams>,
) -> Result<Json<RetriedDeadLetters>, ApiProblem> {
    let after = params.cursor.as_deref().map(parse_cursor).transpose()?;
    caller.require_shop_staff()?;
    charge_workspace(&gateway, &caller, COST_OF_READING_ALL)?;
    let (view, limit) = (params.view.as_deref(), params.limit.get());
    let inspection = &gateway.inspection;
    let retried = inspection.retry_all(caller.workspace(), view, after.as_ref(), limit);
    let (answer, last) = retried.await?;
    SecurityRecord::new(SecurityEvent::PipelineChanged)
        .because("dead_letters_retried")
        .write();
    Ok(Json(RetriedDeadLetters {
        next: last.as_ref().map(format_cursor),
        ..answer
    }))
}

/// Retry a dead letter
///
/// Applies the event, and then the events that wait for it, in order and in one transaction. Where an event
/// fails again, the events before it are applied, and the answer names the dead letter that holds the stream
/// back now. A command is sent again, under the same id.
#[utoipa::path(post, path = "/dead-letters/{id}/retry", tag = "operations",
    params(("id" = Uuid, Path, description = "The dead letter")),
    responses(
        (status = 200, description = "The outcome", body = DeadLetterOutcome),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not staff or an educator", body = Problem),
        (status = 404, description = "There is no such dead letter, or no longer", body = Problem),
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
/// The view goes on without this event: the events that wait for it are applied. A rebuild of the view tries
/// it again. A command is not sent again: a person has done what it was to do, or does not want it.
#[utoipa::path(post, path = "/dead-letters/{id}/discard", tag = "operations",
    params(("id" = Uuid, Path, description = "The dead letter")),
    responses(
        (status = 200, description = "The outcome", body = DeadLetterOutcome),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Not staff or an educator", body = Problem),
        (status = 404, description = "There is no such dead letter, or no longer", body = Problem),
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
    caller.require_shop_staff()?;
    charge_workspace(gateway, caller, COST_OF_INTERVENING)?;
    let id = parse_id(id)?;
    let released = gateway.inspection.remedy(caller.workspace(), id, remedy).await?;
    SecurityRecord::new(SecurityEvent::PipelineChanged)
        .because(match remedy {
            Remedy::Retry => "dead_letter_retried",
            Remedy::Discard => "dead_letter_discarded",
        })
        .write();
    Ok(Json(released.into()))
}

/// The id of a dead letter. A text that is no UUID is the id of none.
fn parse_id(id: &str) -> Result<Uuid, ApiProblem> {
    id.parse().map_err(|_| ApiProblem::from(DeadLetterError::Unknown))
}

fn format_cursor(key: &DeadLetterKey) -> String {
    let DeadLetterKey {
        view,
        generation,
        partition,
        position,
    } = key;
    format!("{view}:{generation}:{partition}:{position}")
}

fn parse_cursor(cursor: &str) -> Result<DeadLetterKey, ApiProblem> {
    let parse = || {
        let mut parts = cursor.split(':');
        let key = DeadLetterKey {
            view: parts.next()?.to_owned(),
            // Every database can store this much.
            generation: parts.next()?.parse::<u32>().ok()?.into(),
            partition: parts.next()?.parse().ok()?,
            position: parts
                .next()?
                .parse()
                .ok()
                .filter(|position| i64::try_from(*position).is_ok())?,
        };
        parts.next().is_none().then_some(key)
    };
    parse().ok_or_else(|| ApiProblem::field("cursor", "is not a `next` of this list"))
}

impl From<DeadLetterError> for ApiProblem {
    fn from(error: DeadLetterError) -> Self {
        match error {
            DeadLetterError::Unknown => Self::not_found("dead letter of this id in your workspace"),
            DeadLetterError::Documents(error) => error.into(),
            DeadLetterError::Effect(reason) => {
                tracing::warn!(
                    error = reason,
                    "a consumer could not carry out the effect of a dead letter"
                );
                Self::new(Kind::Unavailable, "the consumer cannot carry this out now")
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
                Self::new(Kind::Unavailable, "the read model is temporarily unavailable")
            }
            DocumentStoreError::Full(reason) => Self::full_disk("the read model", &reason),
            DocumentStoreError::Refused(_) => Self::refused_value(error),
            DocumentStoreError::Corrupt(_) | DocumentStoreError::Fault(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_cursors_of_dead_letters_lead_to_one_or_are_refused() {
        const CURSORS: &[&str] = &[
            "orders:1:0:7",
            "fulfilment:0:0:9223372036854775807",
            "a:4294967295:63:0",
        ];
        fuzz::check(&fuzz::texts_like(CURSORS), |text| match parse_cursor(&text) {
            Ok(key) => {
                let again = format_cursor(&key);
                fuzz::same(
                    &parse_cursor(&again).map(|key| format_cursor(&key)).ok(),
                    &Some(again),
                )
            }
            Err(problem) => {
                let violations = problem.into_problem().violations;
                fuzz::prop_assert!(violations.iter().any(|violation| violation.field == "cursor"));
                Ok(())
            }
        });
    }
}
