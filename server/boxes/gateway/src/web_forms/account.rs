//! The forms about an account: register, sign in, change the display name, the email, the language and the
//! password, erase.
//!
//! Each carries out what commands and `/sessions` do. A form that is refused goes back to its page, with its
//! fields and their problems in a flash message.

use std::time::Duration;

use app::{Flash, LAST_WRITE_COOKIE};
use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header::SET_COOKIE},
    response::Response,
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use domain::{
    access::Role,
    aggregate::user::Password,
    token::ConsistencyToken,
    wire::{ChangePassword, CommandAnswer, CommandRequest, ExpectedVersion, Problem, SignIn},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    flash, form,
    redirect::{FormPage, refusal, see_other},
};
use crate::{
    SharedGateway,
    api::{carry_out, charge_for_signing_in, end_session, try_change_password, try_sign_in},
    auth::{self, Authentication, Caller},
    limits::Address,
    problem::ApiProblem,
    session_cookie::{self, full_name, preference},
};
use identity::{PersonId, UserAccount, sessions::RenewableSession};

/// The page of the caller's account.
pub(super) const ACCOUNT: &str = "/account";
/// How long the browser's pages read at least what a form has written, in seconds.
const WRITTEN_SECONDS: u64 = 60;

#[derive(Debug, Deserialize)]
struct RegisterForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    display_name: String,
    password: Password,
}

#[derive(Debug, Deserialize)]
struct SignInForm {
    #[serde(default)]
    email: String,
    password: Password,
    #[serde(default)]
    code: String,
}

#[derive(Debug, Deserialize)]
struct NameForm {
    #[serde(default)]
    display_name: String,
}

#[derive(Debug, Deserialize)]
struct EmailForm {
    #[serde(default)]
    email: String,
    #[serde(default = "no_password")]
    password: Password,
}

#[derive(Debug, Deserialize)]
struct LanguageForm {
    #[serde(default)]
    language: String,
}

#[derive(Debug, Deserialize)]
struct EraseForm {
    #[serde(default)]
    confirm: String,
    #[serde(default = "no_password")]
    password: Password,
}

/// The password of a form without one.
pub(super) fn no_password() -> Password {
    String::new().into()
}

/// A command's data with the form's password, unless that is empty.
fn with_password(mut data: Value, password: &Password) -> Value {
    if !password.expose().is_empty() {
        data["password"] = json!(password);
    }
    data
}

/// `POST /session/register`.
pub(super) async fn register(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let (Some(form), Some(caller)) = (
        form::<RegisterForm>(&gateway, request).await,
        authentication.caller(),
    ) else {
        return refusal("invalid", FormPage::Home);
    };
    let typed = [
        ("email", form.email.as_str()),
        ("display_name", form.display_name.as_str()),
    ];
    let refused = |problem: &Problem| {
        see_form(
            &gateway,
            "/register",
            &flash::message("register", &typed, &field_problems(problem)),
        )
    };
    let role = caller.actor().role;
    let data = json!({
        "email": form.email,
        "display_name": form.display_name,
        "password": form.password,
        // A student stays one.
        "role": if role == Role::Staff { Role::Customer } else { role },
    });
    let answer = match send(&gateway, &caller, "RegisterUser", data).await {
        Ok(answer) => answer,
        Err(problem) => return refused(&problem),
    };
    // The guest's token is a session from here on; the gateway adds the cookies that renew it.
    see_written(&gateway, &caller, &headers, &answer.token)
}

/// `POST /session/sign-in`.
pub(super) async fn sign_in(
    State(gateway): State<SharedGateway>,
    Extension(address): Extension<Address>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    let Some(form) = form::<SignInForm>(&gateway, request).await else {
        return refusal("invalid", FormPage::Home);
    };
    let typed = [("email", form.email.as_str()), ("code", form.code.as_str())];
    let refused = |problems: &[(String, String)]| {
        see_form(&gateway, "/sign-in", &flash::message("sign-in", &typed, problems))
    };
    // Before the code is looked up: it must not be guessed.
    if let Err(problem) = charge_for_signing_in(&gateway, address) {
        return refused(&field_problems(&problem.into_problem()));
    }
    let workspace = match form.code.trim() {
        "" => None,
        code => match gateway.workspaces.find_by_code(code).await {
            Ok(Some(workspace)) => Some(workspace.id),
            Ok(None) => return refused(&[field_problem("code", "unknown-code")]),
            Err(error) => return refused(&field_problems(&ApiProblem::from(error).into_problem())),
        },
    };
    let wanted = SignIn {
        email: form.email.clone(),
        password: form.password.clone(),
        workspace,
    };
    let signed_in = match try_sign_in(&gateway, &authentication, address, &wanted).await {
        Ok(signed_in) => signed_in,
        Err(problem) => return refused(&field_problems(&problem.into_problem())),
    };
    match cookies(&gateway, &signed_in).await {
        Ok(cookies) => {
            let mut response = see_other("/shop");
            for cookie in cookies {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Err(problem) => refused(&field_problems(&problem)),
    }
}

/// `POST /session/name`.
pub(super) async fn change_name(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let (Some(form), Some(caller)) = (form::<NameForm>(&gateway, request).await, authentication.caller())
    else {
        return refusal("invalid", FormPage::Home);
    };
    let data = json!({"display_name": form.display_name});
    match send(&gateway, &caller, "ChangeDisplayName", data).await {
        Ok(answer) => {
            // The page shows the change at once, not only when the token is renewed.
            let cookie = changed_session_cookie(&gateway, &caller).await;
            see_saved(&gateway, &caller, &headers, &answer.token, "name", cookie)
        }
        Err(problem) => {
            let typed = [("display_name", form.display_name.as_str())];
            see_form(
                &gateway,
                ACCOUNT,
                &flash::message("name", &typed, &field_problems(&problem)),
            )
        }
    }
}

/// `POST /session/email`.
pub(super) async fn change_email(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let (Some(form), Some(caller)) = (
        form::<EmailForm>(&gateway, request).await,
        authentication.caller(),
    ) else {
        return refusal("invalid", FormPage::Home);
    };
    let data = with_password(json!({"email": form.email}), &form.password);
    match send(&gateway, &caller, "ChangeEmail", data).await {
        Ok(answer) => see_saved(&gateway, &caller, &headers, &answer.token, "email", None),
        Err(problem) => {
            let typed = [("email", form.email.as_str())];
            see_form(
                &gateway,
                ACCOUNT,
                &flash::message("email", &typed, &current_password_problems(&problem)),
            )
        }
    }
}

/// `POST /session/language`.
pub(super) async fn change_language(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let (Some(form), Some(caller)) = (
        form::<LanguageForm>(&gateway, request).await,
        authentication.caller(),
    ) else {
        return refusal("invalid", FormPage::Home);
    };
    let data = json!({"language": form.language});
    match send(&gateway, &caller, "ChangeLanguage", data).await {
        Ok(answer) => {
            // The page shows the change at once, not only when the token is renewed.
            let cookie = changed_session_cookie(&gateway, &caller).await;
            see_saved(&gateway, &caller, &headers, &answer.token, "language", cookie)
        }
        Err(problem) => see_form(
            &gateway,
            ACCOUNT,
            &flash::message("language", &[], &field_problems(&problem)),
        ),
    }
}

/// `POST /session/password`.
pub(super) async fn change_password(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    let (Some(wanted), Some(caller)) = (
        form::<ChangePassword>(&gateway, request).await,
        authentication.caller(),
    ) else {
        return refusal("invalid", FormPage::Home);
    };
    let problems = match try_change_password(&gateway, &caller, &wanted).await {
        Ok(()) => Vec::new(),
        Err(problem) => field_problems(&problem.into_problem()),
    };
    see_form(&gateway, ACCOUNT, &flash::message("password", &[], &problems))
}

/// `POST /session/erase`.
pub(super) async fn erase(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let form = form::<EraseForm>(&gateway, request).await;
    let (Some(form), Some(caller)) = (form, authentication.clone().caller()) else {
        return refusal("invalid", FormPage::Home);
    };
    let refused =
        |problems: &[(String, String)]| see_form(&gateway, ACCOUNT, &flash::message("erase", &[], problems));
    let name = match gateway.people.account(person(&caller)).await {
        Ok(Some(account)) => account.display_name,
        Ok(None) => caller.actor().name.clone(),
        Err(error) => {
            tracing::warn!(%error, "an account could not be looked up");
            return refused(&[field_problem("form", "unavailable")]);
        }
    };
    if form.confirm.trim() != name.trim() {
        return refused(&[field_problem("confirm", "confirm")]);
    }
    let data = with_password(json!({}), &form.password);
    if let Err(problem) = send(&gateway, &caller, "EraseUser", data).await {
        return refused(&current_password_problems(&problem));
    }
    let mut response = see_other("/sign-in");
    if let Err(problem) = end_session(&gateway, &authentication, &headers, response.headers_mut()).await {
        // The erasure has ended every session of this person; only the cookies are left.
        tracing::debug!(problem = ?problem, "a session that had ended could not be ended");
        session_cookie::end_all(&gateway, response.headers_mut());
    }
    flash::set(
        &gateway,
        &flash::message("erased", &[], &[]),
        response.headers_mut(),
    );
    response
}

fn person(caller: &Caller) -> PersonId {
    PersonId {
        workspace: caller.workspace(),
        person: caller.actor().id,
    }
}

/// Sends a command about the caller's own account.
async fn send(
    gateway: &SharedGateway,
    caller: &Caller,
    command_type: &str,
    data: Value,
) -> Result<CommandAnswer, Problem> {
    let request = CommandRequest {
        command_type: command_type.to_owned(),
        stream: format!("user-{}", caller.actor().id),
        data,
        expected_version: ExpectedVersion::Any,
        correlation_id: None,
    };
    carry_out(gateway, caller, &request, None, None)
        .await
        .map_err(ApiProblem::into_problem)
}

async fn cookies(gateway: &SharedGateway, signed_in: &RenewableSession) -> Result<[HeaderValue; 2], Problem> {
    let internal = |error: &dyn std::fmt::Display| ApiProblem::internal(error).into_problem();
    let (token, _) = auth::access(gateway, &signed_in.account, signed_in.family)
        .await
        .map_err(|error| internal(&error))?;
    session_cookie::signed_in(gateway, token, signed_in).map_err(|error| internal(&error))
}

/// The cookie of the caller's session with the account's present display name and language.
async fn changed_session_cookie(gateway: &SharedGateway, caller: &Caller) -> Option<HeaderValue> {
    let session = caller.session()?;
    let account: UserAccount = gateway.people.account(person(caller)).await.ok()??;
    let (token, _) = auth::access(gateway, &account, session).await.ok()?;
    session_cookie::access(gateway, token).ok()
}

/// The answer to a form of the account's page whose command was accepted: the page says so beside the form.
/// `cookie` is the session's token, if the change is part of it.
fn see_saved(
    gateway: &SharedGateway,
    caller: &Caller,
    headers: &HeaderMap,
    token: &ConsistencyToken,
    form: &str,
    cookie: Option<HeaderValue>,
) -> Response {
    let mut response = see_written(gateway, caller, headers, token);
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    flash::set(gateway, &flash::message(form, &[], &[]), response.headers_mut());
    response
}

/// A redirect to the account's page, with the consistency token of what was written: the page reads at least
/// that.
fn see_written(
    gateway: &SharedGateway,
    caller: &Caller,
    headers: &HeaderMap,
    token: &ConsistencyToken,
) -> Response {
    let mut response = see_other(ACCOUNT);
    let cookies = CookieJar::from_headers(headers);
    let before = preference(&cookies, LAST_WRITE_COOKIE)
        .and_then(|cookie| app::last_write_of(caller.workspace(), cookie));
    let mut written = before.unwrap_or_default();
    for (partition, position) in token.iter() {
        written.advance(partition, position);
    }
    // The pages' scripts read and advance it, so it is not HttpOnly.
    let name = full_name(LAST_WRITE_COOKIE, gateway.https);
    let mut cookie = Cookie::build((name, format!("{}.{written}", caller.workspace())))
        .same_site(SameSite::Lax)
        .path("/")
        .secure(gateway.https)
        .build();
    cookie.set_max_age(Duration::from_secs(WRITTEN_SECONDS).try_into().ok());
    if let Ok(cookie) = HeaderValue::try_from(cookie.to_string()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// A redirect to the page of a form, with a flash message.
pub(super) fn see_form(gateway: &SharedGateway, path: &str, message: &Flash) -> Response {
    let mut response = see_other(path);
    flash::set(gateway, message, response.headers_mut());
    response
}

pub(super) fn field_problem(field: &str, code: &str) -> (String, String) {
    (field.to_owned(), code.to_owned())
}

/// [`field_problems`] of a form whose password is the account's present one.
fn current_password_problems(problem: &Problem) -> Vec<(String, String)> {
    let current = |(field, code): (String, String)| match field.as_str() {
        "password" => field_problem("password", "current"),
        _ => (field, code),
    };
    field_problems(problem).into_iter().map(current).collect()
}

/// The problems of a form's fields, as codes that the page puts into words.
pub(super) fn field_problems(problem: &Problem) -> Vec<(String, String)> {
    let kind = problem.kind.trim_start_matches("/problems/");
    let fields: Vec<_> = problem
        .violations
        .iter()
        .map(|violation| {
            let field = violation.field.trim_start_matches("data.");
            let code = match (field, problem.rule.as_deref()) {
                ("email", Some("email-taken")) => "taken",
                (field, _) => field,
            };
            field_problem(field, code)
        })
        .collect();
    if !fields.is_empty() {
        return fields;
    }
    let code = match (kind, problem.rule.as_deref()) {
        (_, Some("user-already-registered")) => "already",
        (_, Some("user-erased")) => "erased",
        ("wrong-credentials", _) => "wrong",
        ("rate-limited" | "quota-exceeded", _) => "rate-limited",
        ("unavailable" | "internal" | "timed-out", _) => "unavailable",
        _ => "invalid",
    };
    vec![field_problem("form", code)]
}
