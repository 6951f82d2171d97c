//! The forms that open, join and leave a workspace. On success the browser gets a session cookie; otherwise
//! it is sent to the home page with the code of a problem, which the page puts into words.

use axum::{
    Extension,
    extract::{Request, State},
    http::{StatusCode, header::SET_COOKIE},
    response::Response,
};
use domain::wire::{OpenWorkspace, Template};
use serde::Deserialize;

use super::{
    form, is_same_site,
    redirect::{FormPage, refusal, see_other},
};
use crate::{
    SharedGateway,
    api::{end_session, entered_copy, visit},
    auth::Authentication,
    language,
    limits::{Address, COST_OF_JOINING, COST_OF_OPENING, Client},
    session_cookie,
};
use command::{Admission, AdmissionError};

/// The page that a browser is sent to with its new session.
const SHOP: &str = "/shop";

/// The page that a browser is sent to in a copy of its own.
const LAB: &str = "/lab";

#[derive(Debug, Deserialize)]
struct OpenForm {
    display_name: Option<String>,
    name: Option<String>,
    template: Option<Template>,
}

impl OpenForm {
    /// The page that the form is on: the button of the home page has no fields.
    fn page(&self) -> FormPage<'static> {
        if self.display_name.is_some() {
            FormPage::Open
        } else {
            FormPage::Home
        }
    }
}

#[derive(Debug, Deserialize)]
struct JoinForm {
    #[serde(default)]
    code: String,
    #[serde(default)]
    display_name: String,
}

/// `POST /session/open`.
pub(super) async fn open(
    State(gateway): State<SharedGateway>,
    Extension(client): Extension<Client>,
    Extension(address): Extension<Address>,
    request: Request,
) -> Response {
    let language = language::of(request.headers(), None);
    let Some(form) = form::<OpenForm>(&gateway, request).await else {
        return refusal("invalid", FormPage::Home);
    };
    if gateway.rate.charge(client, COST_OF_OPENING).is_err() || gateway.opening.charge(address).is_err() {
        return refusal("rate-limited", form.page());
    }
    let display_name = filled_in(form.display_name.as_deref());
    let wanted = OpenWorkspace {
        template: Some(form.template.unwrap_or(Template::Shop)),
        snapshot: None,
        shards: None,
        name: filled_in(form.name.as_deref()).map(str::to_owned),
        language: Some(language),
        clock: None,
    };
    match gateway.workspaces.open(&wanted, display_name).await {
        Ok(admission) => begin_session(&gateway, &admission),
        Err(error) => refusal(code_of(&error), form.page()),
    }
}

/// `POST /session/join`.
pub(super) async fn join(
    State(gateway): State<SharedGateway>,
    Extension(Address(address)): Extension<Address>,
    request: Request,
) -> Response {
    let Some(form) = form::<JoinForm>(&gateway, request).await else {
        return refusal("invalid", FormPage::Home);
    };
    if gateway.rate.charge(address, COST_OF_JOINING).is_err() {
        return refusal("rate-limited", FormPage::Join(&form.code));
    }
    let visit = visit(address);
    let joined = gateway.workspaces.join(&form.code, &form.display_name, &visit);
    match joined.await {
        Ok(admission) => begin_session(&gateway, &admission),
        Err(error) => refusal(code_of(&error), FormPage::Join(&form.code)),
    }
}

/// `POST /session/leave`.
pub(super) async fn leave(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    if !is_same_site(&gateway, &request) {
        return refusal("invalid", FormPage::Home);
    }
    let mut response = see_other("/");
    let ended = end_session(
        &gateway,
        &authentication,
        request.headers(),
        response.headers_mut(),
    )
    .await;
    if ended.is_err() {
        // The browser forgets its cookies all the same; the session itself ends when it is not renewed.
        session_cookie::end_all(&gateway, response.headers_mut());
    }
    response
}

/// `POST /session/copy`: enters the caller's own copy of the class's workspace.
pub(super) async fn enter_copy(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    if !is_same_site(&gateway, &request) {
        return refusal("invalid", FormPage::Home);
    }
    let Some(caller) = authentication.caller() else {
        return refusal("unknown-code", FormPage::Home);
    };
    match entered_copy(&gateway, &caller).await {
        Ok((_, token)) => {
            let mut response = see_other(LAB);
            for cookie in session_cookie::of_guest(&gateway, token) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Err(problem) if problem.clone().into_problem().status == StatusCode::NOT_FOUND => {
            refusal("unknown-code", FormPage::Home)
        }
        Err(_) => refusal("unavailable", FormPage::Home),
    }
}

fn filled_in(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn begin_session(gateway: &SharedGateway, admission: &Admission) -> Response {
    match session_cookie::begin(gateway, admission.workspace.id, &admission.actor) {
        Ok(cookie) => {
            let mut response = see_other(SHOP);
            response.headers_mut().append(SET_COOKIE, cookie);
            session_cookie::end_refresh(gateway, response.headers_mut());
            response
        }
        Err(error) => {
            tracing::error!(%error, "a session could not be begun");
            refusal("unavailable", FormPage::Home)
        }
    }
}

/// The code by which the home page finds its message.
fn code_of(error: &AdmissionError) -> &'static str {
    match error {
        AdmissionError::UnknownCode => "unknown-code",
        AdmissionError::Full(_) | AdmissionError::AddressFull(_) => "full",
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
        AdmissionError::Template(_) | AdmissionError::TooManyEvents { .. } | AdmissionError::Store(_) => {
            tracing::error!(%error, "a workspace could not be opened or joined");
            "unavailable"
        }
    }
}
