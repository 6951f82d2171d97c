//! The browser's HTML forms: plain forms, so that they work before any script has loaded.
//!
//! A visitor opens, joins and leaves a workspace by them ([`workspaces`]), registers, signs in and changes an
//! account ([`account`]), and uses the links in emails ([`account_links`]). The answer is always a redirect
//! to one of our pages ([`redirect`]); a form that is filled in again gets its fields and their problems as a
//! flash message ([`flash`]). The gateway decides nothing here: the forms carry out the same commands as the
//! API.
//!
//! Forms are taken from our own pages only: another site could otherwise sign its visitors in under another
//! identity.

mod account;
mod account_links;
pub(super) mod flash;
pub(super) mod redirect;
mod workspaces;

use std::time::Duration;

use axum::{
    Form, Router,
    body::Bytes,
    extract::{FromRequest, Request},
    middleware::{Next, from_fn},
    routing::post,
};
use serde::de::DeserializeOwned;
use telemetry::security::{SecurityEvent, SecurityRecord};

use self::redirect::{FormPage, refusal};
use super::{SharedGateway, control_characters, origin::Origin};

/// The routes of all forms. A form that takes longer than `timeout` gets "unavailable".
pub(super) fn router(timeout: Duration) -> Router<SharedGateway> {
    let within = move |request: Request, next: Next| async move {
        let answer = tokio::time::timeout(timeout, next.run(request)).await;
        answer.unwrap_or_else(|_| refusal("unavailable", FormPage::Home))
    };
    Router::new()
        .route("/session/open", post(workspaces::open))
        .route("/session/join", post(workspaces::join))
        .route("/session/leave", post(workspaces::leave))
        .route("/session/copy", post(workspaces::enter_copy))
        .route("/session/register", post(account::register))
        .route("/session/sign-in", post(account::sign_in))
        .route("/session/name", post(account::change_name))
        .route("/session/email", post(account::change_email))
        .route("/session/language", post(account::change_language))
        .route("/session/password", post(account::change_password))
        .route("/session/erase", post(account::erase))
        .route("/session/forgot", post(account_links::forgot))
        .route("/session/reset", post(account_links::reset))
        .route("/session/confirm", post(account_links::confirm))
        .route("/session/confirmation", post(account_links::send_confirmation))
        .route_layer(from_fn(within))
}

/// The form of a request from our own pages; every field of it is UTF-8 without a control character.
async fn form<T: DeserializeOwned>(gateway: &SharedGateway, request: Request) -> Option<T> {
    if !is_same_site(gateway, &request) {
        return None;
    }
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    let bytes = Bytes::from_request(request, gateway).await.ok()?;
    if !control_characters::is_text(&bytes) {
        return None;
    }
    Form::<T>::from_request(Request::from_parts(parts, bytes.into()), gateway)
        .await
        .ok()
        .map(|Form(form)| form)
}

/// Whether a form comes from one of our own pages. A client that sends no origin is no browser with a page of
/// another site open.
fn is_same_site(gateway: &SharedGateway, request: &Request) -> bool {
    let is_same_site = Origin::of(request.headers(), request.uri(), &gateway.public) != Origin::Foreign;
    if !is_same_site {
        SecurityRecord::new(SecurityEvent::OriginRefused).write();
    }
    is_same_site
}
