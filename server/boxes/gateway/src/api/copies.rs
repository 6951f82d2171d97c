//! A sandbox for each student: copies of the class's workspace, each of one person, who is its educator.
//!
//! A copy begins with the events that the class has had by then. Names and addresses are not in it. It is a
//! sandbox like any other: it expires when it is not used.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use command::NewEducator;
use domain::{
    access::{Actor, Role},
    event::personal::ERASED,
    wire::{ClassCopy, CopiesAnswer, CopyClass, MAX_COPIES, PersonalCopy, Problem, WorkspaceAccess},
};
use lab::class::ClassNow;
use uuid::Uuid;

use super::{
    class::name_of,
    follow::with_cookies,
    workspaces::{Snapshot, snapshot},
};
use crate::{
    SharedGateway,
    auth::Caller,
    json_body::JsonBody,
    limits::{Address, COST_OF_OPENING},
    params::{NoParams, QueryParams},
    problem::{ApiProblem, Kind},
    session_cookie,
    tokens::TTL_SECONDS,
};

/// The most bytes that the copies of one request hold together.
const MOST_COPIED_BYTES: usize = 128 * 1024 * 1024;

/// Whose copies are there
///
/// Every student's own copy of the workspace, with its join code.
#[utoipa::path(get, path = "/lab/class/copies", tag = "class", responses(
    (status = 200, description = "The copies, and how many students have none", body = CopiesAnswer),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not an educator", body = Problem),
))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<CopiesAnswer>, ApiProblem> {
    caller.require_lab_control()?;
    let class = gateway.class.of(caller.workspace()).await?;
    shown(&gateway, &caller, &class, 0).await.map(Json)
}

/// A sandbox for each student
///
/// Copies the workspace once for each student who has no copy, at most `count` times now and 60 times in all.
/// A copy begins with the events that the workspace has now, which hold 8 MB at most; names and addresses are
/// not in it. Its student is its educator: they enter it by `POST /lab/class/copy`, and others by its join
/// code. A copy that is not used expires like every sandbox.
#[utoipa::path(post, path = "/lab/class/copies", tag = "class", request_body = CopyClass, responses(
    (status = 200, description = "All copies; `made` of them are new", body = CopiesAnswer),
    (status = 400, description = "`count` is not 1 to 60", body = Problem),
    (status = 403, description = "Not an educator", body = Problem),
    (status = 409, description = "The workspace is being copied or exported", body = Problem),
    (status = 413, description = "The workspace holds more than can be copied", body = Problem),
    (status = 429, description = "Too many requests, or every copy is given", body = Problem),
))]
pub(super) async fn make(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Extension(address): Extension<Address>,
    JsonBody(wanted): JsonBody<CopyClass>,
) -> Result<Json<CopiesAnswer>, ApiProblem> {
    caller.require_lab_control()?;
    if !(1..=MAX_COPIES).contains(&wanted.count) {
        return Err(ApiProblem::field("count", format!("is 1 to {MAX_COPIES}")));
    }
    let workspace = caller.workspace();
    gateway.class.begin(workspace).await?;
    gateway.rate.charge(caller.address(), COST_OF_OPENING)?;
    gateway.opening.charge(address)?;
    let Snapshot {
        name,
        content,
        only_one,
    } = snapshot(&gateway, &caller).await?;
    // Read once no other request copies: no person gets two.
    let mut class = gateway.class.of(workspace).await?;
    let without = students_without(&gateway, &class).await;
    let given = class.record.copies.len();
    let left = usize::try_from(MAX_COPIES)
        .unwrap_or(usize::MAX)
        .saturating_sub(given);
    if left == 0 && !without.is_empty() {
        return Err(ApiProblem::new(
            Kind::QuotaExceeded,
            format!("{MAX_COPIES} copies of this workspace are given, and no more can be"),
        ));
    }
    let most = usize::try_from(wanted.count).unwrap_or(usize::MAX).min(left);
    let chosen: Vec<Uuid> = without.into_iter().take(most).collect();
    if content.bytes().saturating_mul(chosen.len()) > MOST_COPIED_BYTES {
        let fits = MOST_COPIED_BYTES / content.bytes().max(1);
        return Err(ApiProblem::new(
            Kind::TooLarge,
            format!("the workspace is large: at most {fits} copies of it are made at a time"),
        ));
    }
    let mut made = 0;
    for person in chosen {
        let educator = NewEducator {
            id: Some(person),
            name: None,
        };
        let opened = gateway
            .workspaces
            .open_with(&content, Some(&name), educator, caller.language());
        let admission = opened.await?;
        let copy = ClassCopy {
            workspace: admission.workspace.id,
            join_code: admission.workspace.join_code,
        };
        // One by one: a request that is cancelled loses none.
        class = gateway.class.give_copies(workspace, &[(person, copy)]).await?;
        made += 1;
    }
    drop(only_one);
    shown(&gateway, &caller, &class, made).await.map(Json)
}

/// Enter your copy
///
/// A token for your own copy of the workspace, of which you are the educator. A browser also gets it as its
/// session cookie, in place of that of the class; it comes back by the join code of the class.
#[utoipa::path(post, path = "/lab/class/copy", tag = "class", responses(
    (status = 200, description = "The copy, and your token for it", body = WorkspaceAccess),
    (status = 404, description = "You have no copy, or it is gone", body = Problem),
))]
pub(super) async fn enter(
    State(gateway): State<SharedGateway>,
    caller: Caller,
) -> Result<Response, ApiProblem> {
    let (copy, token) = entered(&gateway, &caller).await?;
    let cookies = if caller.is_browser() {
        session_cookie::of_guest(&gateway, token.clone())
    } else {
        Vec::new()
    };
    let access = WorkspaceAccess {
        workspace: copy.workspace,
        join_code: copy.join_code,
        token,
        expires_in: TTL_SECONDS,
    };
    Ok(with_cookies(Json(access).into_response(), cookies))
}

/// The caller's copy, and a token for it.
pub(crate) async fn entered(
    gateway: &SharedGateway,
    caller: &Caller,
) -> Result<(ClassCopy, String), ApiProblem> {
    let class = gateway.class.of(caller.workspace()).await?;
    let copy = class.record.copies.get(&caller.actor().id).cloned();
    let Some(copy) = copy else {
        return Err(ApiProblem::not_found("copy of this workspace that is yours"));
    };
    if !gateway.presence.is_there(copy.workspace).await {
        return Err(ApiProblem::not_found("copy of yours any more"));
    }
    let actor = Actor {
        role: Role::Educator,
        ..caller.actor().clone()
    };
    let token = gateway.tokens.issue(copy.workspace, &actor, TTL_SECONDS);
    Ok((copy, token.map_err(ApiProblem::internal)?))
}

/// The students who have no copy that is there, those first who are there themselves.
async fn students_without(gateway: &SharedGateway, class: &ClassNow) -> Vec<Uuid> {
    let mut without = Vec::new();
    for (id, person) in &class.people {
        if person.role != Role::Student {
            continue;
        }
        let has_one = match class.record.copies.get(id) {
            Some(copy) => gateway.presence.is_there(copy.workspace).await,
            None => false,
        };
        if !has_one {
            without.push((!person.present, *id));
        }
    }
    without.sort_unstable();
    without.into_iter().map(|(_, id)| id).collect()
}

/// The copies of a class as its educator may see them: with the names of their people.
async fn shown(
    gateway: &SharedGateway,
    caller: &Caller,
    class: &ClassNow,
    made: u32,
) -> Result<CopiesAnswer, ApiProblem> {
    let mut data = Vec::with_capacity(class.record.copies.len());
    for (person, copy) in &class.record.copies {
        let name = match class.people.get(person) {
            Some(known) => name_of(gateway, caller.workspace(), *person, known).await?,
            None => ERASED.to_owned(),
        };
        data.push(PersonalCopy {
            person: *person,
            name,
            workspace: copy.workspace,
            join_code: copy.join_code.clone(),
        });
    }
    // By the ids of the workspaces, which have their times.
    data.sort_by_key(|copy| copy.workspace);
    let without = students_without(gateway, class).await.len();
    Ok(CopiesAnswer {
        data,
        made,
        without: u32::try_from(without).unwrap_or(u32::MAX),
    })
}
