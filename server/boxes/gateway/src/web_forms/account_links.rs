//! The forms about the links in emails: request one to set a new password, or one to confirm the address, and
//! use them.
//!
//! The page of a link has the token in its address, and its form sends it: following the link uses nothing
//! up. A form that is refused because of its password goes back to the page of the link, with the token in
//! the address again; one whose link is not valid goes back without it.

use axum::{
    Extension,
    extract::{Request, State},
    response::Response,
};
use domain::{aggregate::user::Password, wire::LinkToken};
use serde::Deserialize;

use super::{
    account::{ACCOUNT, field_problem, field_problems, no_password, see_form},
    flash, form,
    redirect::{FormPage, refusal},
};
use crate::{
    SharedGateway,
    account_mails::{charge_for_link, confirm_email, forget_password, request_confirmation, reset_password},
    auth::Authentication,
    limits::Address,
    mail_links::{CONFIRM_EMAIL, RESET_PASSWORD},
    problem::ApiProblem,
};

/// The page on which people say that they have forgotten their password.
const FORGOT_PASSWORD: &str = "/forgot-password";

#[derive(Debug, Deserialize)]
struct ForgotForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    code: String,
}

#[derive(Debug, Deserialize)]
struct ResetForm {
    token: LinkToken,
    #[serde(default = "no_password")]
    password: Password,
}

#[derive(Debug, Deserialize)]
struct ConfirmForm {
    token: LinkToken,
}

#[derive(Debug, Deserialize)]
struct EmptyForm {}

/// `POST /session/forgot`.
pub(super) async fn forgot(
    State(gateway): State<SharedGateway>,
    Extension(address): Extension<Address>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    let Some(form) = form::<ForgotForm>(&gateway, request).await else {
        return refusal("invalid", FormPage::Home);
    };
    let typed = [("email", form.email.as_str()), ("code", form.code.as_str())];
    let answered = |problems: &[(String, String)]| {
        let message = flash::message("forgot", &typed, problems);
        see_form(&gateway, FORGOT_PASSWORD, &message)
    };
    // Before the code is looked up: it must not be guessed.
    if let Err(problem) = charge_for_link(&gateway, address) {
        return answered(&field_problems(&problem.into_problem()));
    }
    let workspace = match form.code.trim() {
        "" => None,
        code => match gateway.workspaces.find_by_code(code).await {
            Ok(Some(workspace)) => Some(workspace.id),
            Ok(None) => return answered(&[field_problem("code", "unknown-code")]),
            Err(error) => return answered(&field_problems(&ApiProblem::from(error).into_problem())),
        },
    };
    match forget_password(&gateway, &authentication, address, &form.email, workspace) {
        Ok(()) => answered(&[]),
        Err(problem) => answered(&field_problems(&problem.into_problem())),
    }
}

/// `POST /session/reset`.
pub(super) async fn reset(
    State(gateway): State<SharedGateway>,
    Extension(address): Extension<Address>,
    request: Request,
) -> Response {
    let Some(form) = form::<ResetForm>(&gateway, request).await else {
        return refusal("invalid", FormPage::Home);
    };
    let token = form.token.expose();
    let set = match charge_for_link(&gateway, address) {
        Ok(()) => reset_password(&gateway, address, token, &form.password).await,
        Err(problem) => Err(problem),
    };
    let problems = match set {
        Ok(()) => return see_form(&gateway, "/sign-in", &flash::message("reset", &[], &[])),
        Err(problem) => field_problems(&problem.into_problem()),
    };
    let message = flash::message("reset", &[], &problems);
    if problems.iter().any(|(field, _)| field == "token") {
        return see_form(&gateway, RESET_PASSWORD, &message);
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("token", token);
    see_form(
        &gateway,
        &format!("{RESET_PASSWORD}?{}", query.finish()),
        &message,
    )
}

/// `POST /session/confirm`.
pub(super) async fn confirm(
    State(gateway): State<SharedGateway>,
    Extension(address): Extension<Address>,
    request: Request,
) -> Response {
    let Some(form) = form::<ConfirmForm>(&gateway, request).await else {
        return refusal("invalid", FormPage::Home);
    };
    let confirmed = match charge_for_link(&gateway, address) {
        Ok(()) => confirm_email(&gateway, form.token.expose()).await,
        Err(problem) => Err(problem),
    };
    let problems = match confirmed {
        Ok(()) => Vec::new(),
        Err(problem) => field_problems(&problem.into_problem()),
    };
    see_form(
        &gateway,
        CONFIRM_EMAIL,
        &flash::message("confirm", &[], &problems),
    )
}

/// `POST /session/confirmation`: sends the link again.
pub(super) async fn send_confirmation(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    let (Some(EmptyForm {}), Some(caller)) = (
        form::<EmptyForm>(&gateway, request).await,
        authentication.caller(),
    ) else {
        return refusal("invalid", FormPage::Home);
    };
    let problems = match request_confirmation(&gateway, &caller).await {
        Ok(()) => Vec::new(),
        Err(problem) => field_problems(&problem.into_problem()),
    };
    see_form(&gateway, ACCOUNT, &flash::message("confirmation", &[], &problems))
}
