//! The mailbox: mails that lie in the data folder, because there is no mail server, readable by whom they were written to.

use axum::{Json, extract::State};
use domain::{
    access::Role,
    wire::{MailboxMessage, Page, Problem},
};
use mail::mailbox;
use uuid::Uuid;

use crate::{
    SharedGateway,
    auth::Caller,
    params::Params,
    problem::{ApiProblem, Kind},
};

/// The most mails of a page.
const MAX_LIMIT: u32 = 100;
/// Mails of a page where nobody says.
const DEFAULT_LIMIT: u32 = 20;

/// Read the mailbox
///
/// One's own mails, the newest first; an educator reads everybody's. Where mails go to a mail server, there are none here.
#[utoipa::path(get, path = "/mailbox", tag = "views",
    params(
        ("user" = Option<Uuid>, Query, description = "Only mails to this person: yourself, or anybody for educators"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "1 to 100; 20 where absent"),
    ),
    responses(
        (status = 200, description = "Mails, the newest first", body = Page<MailboxMessage>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 403, description = "Not your mails", body = Problem),
    ))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<Page<MailboxMessage>>, ApiProblem> {
    let user = params.parsed::<Uuid>("user")?;
    let before = params.parsed::<Uuid>("cursor")?;
    let limit = params.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT)? as usize;
    params.finish()?;
    page(&gateway, &caller, user, before, limit).await.map(Json)
}

/// Mails from the one before `before` on, where the caller may read them.
async fn page(
    gateway: &SharedGateway,
    caller: &Caller,
    user: Option<Uuid>,
    before: Option<Uuid>,
    limit: usize,
) -> Result<Page<MailboxMessage>, ApiProblem> {
    let me = caller.actor();
    let user = match user {
        asked if me.role == Role::Educator => asked,
        None => Some(me.id),
        Some(user) if user == me.id => Some(user),
        Some(_) => return Err(ApiProblem::new(Kind::Forbidden, "these are not your mails")),
    };
    let page = mailbox::Page { user, before, limit };
    let (data, more) = gateway
        .mailbox
        .list(caller.workspace(), page)
        .await
        .map_err(ApiProblem::internal)?;
    let next = data.last().filter(|_| more).map(|mail| mail.id.to_string());
    Ok(Page { data, next })
}

/// What the application shows of it.
pub(crate) async fn mailbox_page(
    gateway: &SharedGateway,
    caller: &Caller,
    cursor: Option<&str>,
) -> Result<Page<MailboxMessage>, ApiProblem> {
    let before = cursor
        .map(str::parse)
        .transpose()
        .map_err(|_| ApiProblem::field("cursor", "is the `next` of a page"))?;
    page(gateway, caller, None, before, DEFAULT_LIMIT as usize).await
}
