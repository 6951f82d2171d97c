//! The class of a workspace: what an educator shows it, its roster, and the dials that are handed out.
//!
//! Everyone in the workspace reads the class. What is told of people depends on the reader: an educator sees
//! the roster and all dials that are handed out, and everyone else only what is theirs.

use std::collections::{BTreeMap, HashMap};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::ETAG},
    response::{IntoResponse as _, Response},
};
use domain::{
    access::{Actor, Role},
    event::personal::{self, ERASED},
    id::WorkspaceId,
    wire::{
        ClassAnswer, ClassBots, ClassMember, ClassPerson, ClassStage, HandDial, HandedDial, Order, Problem,
    },
};
use lab::{
    class::{ClassError, ClassNow, PersonNow},
    dials::DialError,
};
use query::ListingRequest;
use serde::{Deserialize, de::DeserializeOwned};
use telemetry::security::{SecurityEvent, SecurityRecord};
use uuid::Uuid;

use super::dials::bender;
use crate::{
    SharedGateway,
    auth::Caller,
    etag::{self, IfMatch},
    json_body::JsonBody,
    limits::{COST_OF_INTERVENING, charge_workspace},
    params::{NoParams, QueryParams},
    problem::{ApiProblem, Kind},
};

/// The most rows of a page of a listing.
const PAGE: u32 = 200;

/// The most pages of customers that a roster reads.
const MOST_PAGES: usize = 10;

/// The class
///
/// What the class of your workspace is shown, for everyone in it, and the dials that you were handed. An
/// educator gets all of those, and the roster: everyone of whom a page was open since the class began, with
/// their orders. A class begins when an educator reads it. `ETag` is the version of what is set;
/// `If-None-Match` is for those who do not read the roster. Over the live socket,
/// `{"op":"subscribe","id":7,"lab":"class"}` tells the same at each change.
#[utoipa::path(get, path = "/lab/class", tag = "class",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of an answer that you have; \
        an educator's answer always comes whole")),
    responses(
        (status = 200, description = "The class; `ETag` is the version of what is set", body = ClassAnswer),
        (status = 304, description = "You have the present class"),
        (status = 400, description = "There are no parameters", body = Problem),
    ))]
pub(super) async fn read(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    headers: HeaderMap,
    _: QueryParams<NoParams>,
) -> Result<Response, ApiProblem> {
    let (workspace, actor) = (caller.workspace(), caller.actor());
    gateway.class.note(workspace, actor);
    begin_if_led(&gateway, workspace, actor).await?;
    let now = gateway.class.of(workspace).await?;
    let answer = class_answer(&gateway, workspace, actor, &now).await?;
    let tag = tag(&answer)?;
    // People come and go without a new version.
    if answer.roster.is_none() && etag::is_known(&tag, &headers) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(([(ETAG, tag)], Json(answer)).into_response())
}

/// Show the class something
///
/// Sets what the class is shown, whole: the lesson and its step, whether everyone stays there, the question
/// that it answers, and whether everyone is asked to order now. `If-Match` names the version that you have
/// read, so that two educators do not undo each other's work unseen, or `*` for any.
#[utoipa::path(put, path = "/lab/class", tag = "class", request_body = ClassStage,
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of the class that you change, or \
        `*`; without it nothing is set")),
    responses(
        (status = 200, description = "It is set; `ETag` is its version", body = ClassAnswer),
        (status = 400, description = "A value is not valid", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 412, description = "The class has changed meanwhile", body = Problem),
        (status = 428, description = "`If-Match` is missing", body = Problem),
    ))]
pub(super) async fn set(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    headers: HeaderMap,
    _: QueryParams<NoParams>,
    JsonBody(stage): JsonBody<ClassStage>,
) -> Result<Response, ApiProblem> {
    caller.require_lab_control()?;
    let expected = IfMatch::required(&headers, "class")?;
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let is_expected = |version: u64| expected.is_met_by(&version.to_string());
    let set = gateway.class.set_stage(caller.workspace(), &is_expected, stage);
    let now = set.await?;
    shown(&gateway, &caller, &now).await
}

/// Hand out a dial
///
/// From then on this person may change this dial by `PATCH /lab/dials`, and put it to rest, and no other
/// dial. A dial is in the hands of one person: handed to another, the first one no longer has it.
#[utoipa::path(put, path = "/lab/class/dials/{dial}", tag = "class", request_body = HandDial,
    params(("dial" = String, Path, description = "Its path, as in `broker.delay_ms` or \
        `projections.orders.paused`")),
    responses(
        (status = 200, description = "It is handed out", body = ClassAnswer),
        (status = 400, description = "No such person was seen in your workspace", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "No such dial", body = Problem),
        (status = 429, description = "As many dials are handed out as may be", body = Problem),
    ))]
pub(super) async fn hand(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(dial): Path<String>,
    _: QueryParams<NoParams>,
    JsonBody(HandDial { person }): JsonBody<HandDial>,
) -> Result<Response, ApiProblem> {
    caller.require_lab_control()?;
    if !gateway.lab.dials().has_dial(caller.workspace(), &dial) {
        return Err(DialError::Unknown.into());
    }
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let handed = gateway.class.hand(caller.workspace(), &dial, person);
    let now = handed.await?;
    note("dial_handed", &dial);
    shown(&gateway, &caller, &now).await
}

/// Take a dial back
///
/// The person to whom it was handed no longer has it, and it is put to rest.
#[utoipa::path(delete, path = "/lab/class/dials/{dial}", tag = "class",
    params(("dial" = String, Path, description = "Its path")),
    responses(
        (status = 200, description = "It is taken back, and at rest", body = ClassAnswer),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 404, description = "The dial is not handed out", body = Problem),
    ))]
pub(super) async fn take_back(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(dial): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<Response, ApiProblem> {
    caller.require_lab_control()?;
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let workspace = caller.workspace();
    let now = gateway.class.take_back(workspace, &dial).await?;
    note("dial_taken_back", &dial);
    // Only now: the person can no longer bend it again.
    let by = bender(&gateway, &caller).await?;
    match gateway.lab.dials().reset_one(workspace, &by, &dial).await {
        // The dial of a view that is gone bends nothing.
        Ok(_) | Err(DialError::Unknown) => {}
        Err(error) => return Err(error.into()),
    }
    shown(&gateway, &caller, &now).await
}

/// Begins the class of a workspace when an educator looks at it.
pub(crate) async fn begin_if_led(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    actor: &Actor,
) -> Result<(), ApiProblem> {
    if actor.role == Role::Educator {
        gateway.class.begin(workspace).await?;
    }
    Ok(())
}

/// The class as this person may see it.
pub(crate) async fn class_answer(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    actor: &Actor,
    now: &ClassNow,
) -> Result<ClassAnswer, ApiProblem> {
    let leads = actor.role == Role::Educator;
    let record = &now.record;
    let mut handed = Vec::new();
    for (dial, to) in &record.handed {
        if leads || *to == actor.id {
            let name = match now.people.get(to) {
                Some(person) => name_of(gateway, workspace, *to, person).await?,
                None => String::new(),
            };
            handed.push(HandedDial {
                dial: dial.clone(),
                to: ClassPerson { id: *to, name },
            });
        }
    }
    let roster = if leads {
        Some(roster(gateway, workspace, actor, now).await?)
    } else {
        None
    };
    let bots = if leads {
        let bots = gateway.bots.of(workspace).await?;
        bots.running.then_some(ClassBots {
            count: bots.count,
            orders_per_minute: bots.orders_per_minute,
        })
    } else {
        None
    };
    let answer = ClassAnswer {
        version: record.version,
        presenting: now.is_presenting(),
        present: now.present(),
        handed,
        roster,
        copy: record.copies.get(&actor.id).cloned(),
        bots,
        ..ClassAnswer::default()
    };
    Ok(answer.with_stage(record.stage.clone()))
}

/// The name of a person, unless they were erased.
pub(super) async fn name_of(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    id: Uuid,
    person: &PersonNow,
) -> Result<String, ApiProblem> {
    let seals = &gateway.people.seals;
    if personal::parts(&person.name).is_some() {
        let opened = seals.opened(workspace, &person.name).await?;
        return Ok(opened.unwrap_or_else(|| ERASED.to_owned()));
    }
    // It is in memory alone, and an erasure does not reach it there.
    if seals.is_destroyed(workspace, id).await? {
        return Ok(ERASED.to_owned());
    }
    Ok(person.name.clone())
}

/// Everyone of the class, by name, with their orders.
async fn roster(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    educator: &Actor,
    now: &ClassNow,
) -> Result<Vec<ClassMember>, ApiProblem> {
    let orders = orders_of_people(gateway, workspace, educator).await?;
    let mut newest = newest_orders(gateway, workspace, educator, None, PAGE).await?;
    let mut roster = Vec::with_capacity(now.people.len());
    for (id, person) in &now.people {
        let orders = orders.get(id).copied().unwrap_or_default();
        if orders > 0 && !newest.contains_key(id) {
            // Many others have ordered since.
            newest.extend(newest_orders(gateway, workspace, educator, Some(*id), 1).await?);
        }
        roster.push(ClassMember {
            person: *id,
            name: name_of(gateway, workspace, *id, person).await?,
            role: person.role,
            present: person.present,
            orders,
            newest_order: newest.get(id).cloned(),
            copy: now.record.copies.get(id).cloned(),
        });
    }
    roster.sort_by_cached_key(|member| (member.name.to_lowercase(), member.person));
    Ok(roster)
}

/// The number of orders of each person who has ordered.
async fn orders_of_people(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    educator: &Actor,
) -> Result<BTreeMap<Uuid, u32>, ApiProblem> {
    #[derive(Deserialize)]
    struct Purchases {
        id: Uuid,
        orders: u32,
    }
    let mut orders = BTreeMap::new();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let request = ListingRequest {
            view: "customers".to_owned(),
            listing: Some("all".to_owned()),
            group: None,
            // The people of the class came last.
            order: Order::Desc,
            limit: Some(PAGE),
            cursor: cursor.take(),
        };
        let (rows, next) = page::<Purchases>(gateway, workspace, educator, request).await?;
        orders.extend(rows.into_iter().map(|row| (row.id, row.orders)));
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(orders)
}

/// The newest order of each person among the newest orders of all, or of one person.
async fn newest_orders(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    educator: &Actor,
    of: Option<Uuid>,
    limit: u32,
) -> Result<HashMap<Uuid, String>, ApiProblem> {
    #[derive(Deserialize)]
    struct Placed {
        id: String,
        customer: Customer,
    }
    #[derive(Deserialize)]
    struct Customer {
        id: Uuid,
    }
    let listing = if of.is_some() { "by_customer" } else { "all" };
    let request = ListingRequest {
        view: "orders".to_owned(),
        listing: Some(listing.to_owned()),
        group: of.map(|person| person.to_string()),
        order: Order::Desc,
        limit: Some(limit),
        cursor: None,
    };
    let (rows, _) = page::<Placed>(gateway, workspace, educator, request).await?;
    let mut newest = HashMap::new();
    for row in rows {
        newest.entry(row.customer.id).or_insert(row.id);
    }
    Ok(newest)
}

/// A page of a listing, as far as its documents are of use here, and the cursor of the next one.
pub(super) async fn page<D: DeserializeOwned>(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    actor: &Actor,
    request: ListingRequest,
) -> Result<(Vec<D>, Option<String>), ApiProblem> {
    let answer = gateway.queries.listing(workspace, actor, request, None).await?;
    let rows = answer.data.into_iter();
    let documents: Result<Vec<D>, _> = rows.map(|row| serde_json::from_str(row.data.get())).collect();
    Ok((documents.map_err(ApiProblem::internal)?, answer.next))
}

async fn shown(gateway: &SharedGateway, caller: &Caller, now: &ClassNow) -> Result<Response, ApiProblem> {
    let answer = class_answer(gateway, caller.workspace(), caller.actor(), now).await?;
    Ok(([(ETAG, tag(&answer)?)], Json(answer)).into_response())
}

fn tag(answer: &ClassAnswer) -> Result<HeaderValue, ApiProblem> {
    HeaderValue::try_from(format!("\"{}\"", answer.version)).map_err(ApiProblem::internal)
}

fn note(reason: &'static str, dial: &str) {
    SecurityRecord::new(SecurityEvent::PipelineChanged)
        .because(reason)
        .about(dial)
        .write();
}

impl From<ClassError> for ApiProblem {
    fn from(error: ClassError) -> Self {
        let detail = error.to_string();
        match error {
            ClassError::Invalid(rejection) => {
                Self::new(Kind::Malformed, detail).with(|problem| problem.violations = rejection.violations)
            }
            ClassError::Changed { current } => Self::new(Kind::PreconditionFailed, detail)
                .with(|problem| problem.current_version = Some(current)),
            ClassError::UnknownPerson => Self::field("person", detail),
            ClassError::TooManyHanded => Self::new(Kind::QuotaExceeded, detail),
            ClassError::NotHanded => Self::new(Kind::NotFound, detail),
            ClassError::Documents(error) => error.into(),
        }
    }
}
