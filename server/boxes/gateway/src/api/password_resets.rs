//! A new password for people who have forgotten theirs: a link by email, and the password that it sets.
//!
//! Nothing here depends on a session. Both are taken from Foldline's own pages and from programs only, as a
//! sign-in is.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use domain::wire::{ForgottenPassword, PasswordReset, Problem};

use super::sessions::require_same_site;
use crate::{
    SharedGateway,
    account_mails::{charge_for_link, forget_password, reset_password},
    auth::Authentication,
    json_body::JsonBody,
    limits::Address,
    problem::ApiProblem,
};

/// Request a link to set a new password
///
/// The link is sent to the email, once for each account that has it: in the `workspace`, in that of the
/// token, or else in up to 64, the confirmed ones first; where there are more, the next request is about the
/// next ones. It is valid for 30 minutes and once. The answer and the time until it are the same for an email
/// without an account.
#[utoipa::path(post, path = "/password-resets", tag = "sessions", security(()),
    request_body = ForgottenPassword,
    responses(
        (status = 202, description = "If there is such an account, a link is on its way"),
        (status = 400, description = "A field is not valid", body = Problem),
        (status = 403, description = "Sent by a page of another site", body = Problem),
        (status = 429, body = Problem,
            description = "Too many requests from this address, or for this email"),
    ))]
pub(super) async fn request_password_reset(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    Extension(address): Extension<Address>,
    headers: HeaderMap,
    uri: Uri,
    JsonBody(wanted): JsonBody<ForgottenPassword>,
) -> Result<StatusCode, ApiProblem> {
    require_same_site(&gateway, &headers, &uri)?;
    charge_for_link(&gateway, address)?;
    forget_password(
        &gateway,
        &authentication,
        address,
        &wanted.email,
        wanted.workspace,
    )?;
    Ok(StatusCode::ACCEPTED)
}

/// Set a new password by a link
///
/// Uses the link up, ends every session of the account, and confirms its email. Sign in with the new password
/// afterwards; an email tells that it was changed. A password that is refused leaves the link as it is.
#[utoipa::path(post, path = "/password-resets/complete", tag = "sessions", security(()),
    request_body = PasswordReset,
    responses(
        (status = 204, description = "Changed"),
        (status = 400, body = Problem,
            description = "`token`: the link was used, or it is not valid any more; `password`: it is too \
                short, too long, or too easy to guess"),
        (status = 403, description = "Sent by a page of another site", body = Problem),
        (status = 429, description = "Too many attempts from this address", body = Problem),
    ))]
pub(super) async fn complete_password_reset(
    State(gateway): State<SharedGateway>,
    Extension(address): Extension<Address>,
    headers: HeaderMap,
    uri: Uri,
    JsonBody(wanted): JsonBody<PasswordReset>,
) -> Result<StatusCode, ApiProblem> {
    require_same_site(&gateway, &headers, &uri)?;
    charge_for_link(&gateway, address)?;
    reset_password(&gateway, address, wanted.token.expose(), &wanted.password).await?;
    Ok(StatusCode::NO_CONTENT)
}
