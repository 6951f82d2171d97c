//! The mailbox: emails in the data folder of a server without a mail server, readable by the people they are
//! written to.

use axum::{Json, extract::State};
use domain::{
    access::Role,
    wire::{MailboxMessage, Page, Problem},
};
use mail::mailbox;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    SharedGateway,
    auth::Caller,
    params::{Limit, QueryParams},
    problem::{ApiProblem, Kind},
};

/// The most emails of a page.
const MAX_LIMIT: u32 = 100;
/// The emails of a page if the client names no limit.
const DEFAULT_LIMIT: u32 = 20;

/// The limit of a page of emails.
type MailLimit = Limit<MAX_LIMIT, DEFAULT_LIMIT>;

/// Which page of whose emails.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct MailboxParams {
    /// Only emails to this person: yourself, or for educators any person
    user: Option<Uuid>,
    /// The `next` of the page before
    #[param(value_type = Option<String>)]
    cursor: Option<Uuid>,
    /// 1 to 100; 20 where absent
    #[serde(default)]
    #[param(inline)]
    limit: MailLimit,
}

/// Read the mailbox
///
/// The caller's own emails, or for an educator all emails, the newest first. Where emails go to a mail
/// server, the mailbox is empty. A mail server never gets emails to example addresses, as of `example.org`.
#[utoipa::path(get, path = "/mailbox", tag = "views",
    params(MailboxParams),
    responses(
        (status = 200, description = "Emails, the newest first", body = Page<MailboxMessage>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 403, description = "Emails of another person", body = Problem),
    ))]
pub(super) async fn list(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<MailboxParams>,
) -> Result<Json<Page<MailboxMessage>>, ApiProblem> {
    let limit = params.limit.get() as usize;
    page(&gateway, &caller, params.user, params.cursor, limit)
        .await
        .map(Json)
}

/// The emails before the email `before`, where the caller may read them.
async fn page(
    gateway: &SharedGateway,
    caller: &Caller,
    user: Option<Uuid>,
    before: Option<Uuid>,
    limit: usize,
) -> Result<Page<MailboxMessage>, ApiProblem> {
    let me = caller.actor();
    let user = match user {
        any if me.role == Role::Educator => any,
        None => Some(me.id),
        Some(user) if user == me.id => Some(user),
        Some(_) => {
            let detail = "these are the emails of another person";
            return Err(ApiProblem::new(Kind::Forbidden, detail));
        }
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

/// The first page of the caller's emails, or the page at a cursor, as the application shows it.
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
