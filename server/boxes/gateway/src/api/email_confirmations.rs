//! The confirmation of an account's email: another link, and what it confirms. The first link is in the
//! welcome email, or in the one to a new address.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use domain::wire::{EmailConfirmation, Problem};

use super::sessions::require_same_site;
use crate::{
    SharedGateway,
    account_mails::{charge_for_link, confirm_email, request_confirmation},
    auth::Caller,
    json_body::JsonBody,
    limits::Address,
    problem::ApiProblem,
};

/// Request another link to confirm your email
///
/// It is sent to the present email of your account, and valid for seven days. Where the email is confirmed,
/// nothing is sent.
#[utoipa::path(post, path = "/email-confirmations", tag = "sessions", responses(
    (status = 202, description = "A link is on its way, unless the email is confirmed"),
    (status = 401, description = "Not signed in", body = Problem),
    (status = 403, description = "Sent by a page of another site", body = Problem),
    (status = 422, description = "You have no account", body = Problem),
    (status = 429, description = "Too many requests", body = Problem),
))]
pub(super) async fn request_email_confirmation(
    State(gateway): State<SharedGateway>,
    caller: Caller,
) -> Result<StatusCode, ApiProblem> {
    request_confirmation(&gateway, &caller).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Confirm an email by a link
///
/// The link is valid as long as the account has the email that it was sent to. Confirming again changes
/// nothing.
#[utoipa::path(post, path = "/email-confirmations/complete", tag = "sessions", security(()),
    request_body = EmailConfirmation,
    responses(
        (status = 204, description = "Confirmed"),
        (status = 400, body = Problem,
            description = "`token`: the link is not valid any more, or the account has another email"),
        (status = 403, description = "Sent by a page of another site", body = Problem),
        (status = 429, description = "Too many attempts from this address", body = Problem),
    ))]
pub(super) async fn complete_email_confirmation(
    State(gateway): State<SharedGateway>,
    Extension(address): Extension<Address>,
    headers: HeaderMap,
    uri: Uri,
    JsonBody(wanted): JsonBody<EmailConfirmation>,
) -> Result<StatusCode, ApiProblem> {
    require_same_site(&gateway, &headers, &uri)?;
    charge_for_link(&gateway, address)?;
    confirm_email(&gateway, wanted.token.expose()).await?;
    Ok(StatusCode::NO_CONTENT)
}
