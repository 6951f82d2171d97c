//! The browser's way in and out: plain forms, so that it works before any script has loaded.
//!
//! The answer is always a redirect to a page of ours: on success with a session cookie, otherwise to the start page with
//! the code of a problem, which the page puts into words. Forms are taken from our own pages only: another site could
//! otherwise sign its visitors in as somebody they are not.

use std::time::Duration;

use axum::{
    Extension, Form, Router,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::header::SET_COOKIE,
    middleware::{Next, from_fn},
    response::Response,
    routing::post,
};
use domain::wire::{OpenWorkspace, Template};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    SharedGateway,
    api::end_session,
    auth::Identity,
    control_characters,
    form_answer::{refusal, see_other},
    limits::{Address, COST_OF_JOINING, COST_OF_OPENING, Client},
    origin::Origin,
    session_cookie,
};
use command::{Admission, AdmissionError};

/// Where people are sent who are in.
const INSIDE: &str = "/shop";
/// Who opens a workspace without giving a name.
const UNNAMED: &str = "Educator";

/// The routes; an answer that takes longer than `most` is given up.
pub(super) fn router(most: Duration) -> Router<SharedGateway> {
    let within = move |request: Request, next: Next| async move {
        let answer = tokio::time::timeout(most, next.run(request)).await;
        answer.unwrap_or_else(|_| refusal("unavailable", None))
    };
    Router::new()
        .route("/session/open", post(open))
        .route("/session/join", post(join))
        .route("/session/leave", post(leave))
        .route_layer(from_fn(within))
}

#[derive(Debug, Deserialize)]
struct OpenForm {
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    template: Option<Template>,
}

#[derive(Debug, Deserialize)]
struct JoinForm {
    #[serde(default)]
    code: String,
    #[serde(default)]
    display_name: String,
}

async fn open(
    State(gateway): State<SharedGateway>,
    Extension(client): Extension<Client>,
    Extension(address): Extension<Address>,
    request: Request,
) -> Response {
    let Some(form) = form::<OpenForm>(&gateway, request).await else {
        return refusal("invalid", None);
    };
    if gateway.rate.charge(client, COST_OF_OPENING).is_err() || gateway.opening.charge(address).is_err() {
        return refusal("rate-limited", None);
    }
    let display_name = given(&form.display_name).unwrap_or(UNNAMED);
    let wanted = OpenWorkspace {
        template: form.template.unwrap_or(Template::Shop),
        shards: None,
        name: given(&form.name).map(str::to_owned),
    };
    match gateway.workspaces.open(&wanted, display_name).await {
        Ok(admission) => admitted(&gateway, &admission),
        Err(error) => refusal(code_of(&error), None),
    }
}

async fn join(
    State(gateway): State<SharedGateway>,
    Extension(Address(address)): Extension<Address>,
    request: Request,
) -> Response {
    let Some(form) = form::<JoinForm>(&gateway, request).await else {
        return refusal("invalid", None);
    };
    if gateway.rate.charge(address, COST_OF_JOINING).is_err() {
        return refusal("rate-limited", Some(&form.code));
    }
    match gateway.workspaces.join(&form.code, &form.display_name).await {
        Ok(admission) => admitted(&gateway, &admission),
        Err(error) => refusal(code_of(&error), Some(&form.code)),
    }
}

async fn leave(
    State(gateway): State<SharedGateway>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    if !comes_from_here(&gateway, &request) {
        return refusal("invalid", None);
    }
    let mut response = see_other("/");
    let ended = end_session(&gateway, &identity, request.headers(), response.headers_mut()).await;
    if ended.is_err() {
        // The browser forgets all the same; what would renew the session ends by itself.
        session_cookie::end_all(&gateway, response.headers_mut());
    }
    response
}

/// The form of a request from our own pages; every field of it is UTF-8 without a control character.
pub(super) async fn form<T: DeserializeOwned>(gateway: &SharedGateway, request: Request) -> Option<T> {
    if !comes_from_here(gateway, &request) {
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

/// A sender that says nothing is no browser with a page of another site open.
fn comes_from_here(gateway: &SharedGateway, request: &Request) -> bool {
    Origin::of(request.headers(), request.uri(), gateway.https) != Origin::Foreign
}

fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn admitted(gateway: &SharedGateway, admission: &Admission) -> Response {
    match session_cookie::begin(gateway, admission.workspace.id, &admission.actor) {
        Ok(cookie) => {
            let mut response = see_other(INSIDE);
            response.headers_mut().append(SET_COOKIE, cookie);
            session_cookie::end_refresh(gateway, response.headers_mut());
            response
        }
        Err(error) => {
            tracing::error!(%error, "a session could not be begun");
            refusal("unavailable", None)
        }
    }
}

/// The code by which the start page knows what to say.
fn code_of(error: &AdmissionError) -> &'static str {
    match error {
        AdmissionError::UnknownCode => "unknown-code",
        AdmissionError::Full(_) => "full",
        AdmissionError::Invalid(rejection) => {
            let is_about = |field: &str| {
                rejection
                    .violations
                    .iter()
                    .any(|violation| violation.field == field)
            };
            if is_about("display_name") {
                "display-name"
            } else if is_about("code") {
                "unknown-code"
            } else {
                "invalid"
            }
        }
        AdmissionError::Template(_) | AdmissionError::Store(_) => {
            tracing::error!(%error, "nobody could be let in");
            "unavailable"
        }
    }
}
