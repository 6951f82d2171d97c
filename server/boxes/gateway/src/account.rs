//! The browser's forms about an account: register, sign in, change name, email and password, be erased. Plain forms, like those of
//! [`entry`](super::entry): the answer is a redirect, and what is wrong is said by the page that follows.
//!
//! What they do is what commands and `/sessions` do; nothing is decided here.

use std::time::Duration;

use app::{FormNotes, WRITTEN_COOKIE};
use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header::SET_COOKIE},
    middleware::{Next, from_fn},
    response::Response,
    routing::post,
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
    SharedGateway,
    api::{carry_out, charge_for_signing_in, end_session, try_change_password, try_sign_in},
    auth::{self, Caller, Identity},
    entry::form,
    form_answer::{refusal, see_other},
    form_notes,
    limits::{Address, COST_OF_SIGNING_IN, Client},
    problem::ApiProblem,
    session_cookie,
};
use identity::{PersonId, Registered, sessions::SignedIn};

/// Where somebody's account is.
const ACCOUNT: &str = "/account";
/// How long the browser's pages wait for what was written, in seconds.
const WRITTEN_SECONDS: u64 = 60;

/// The routes; an answer that takes longer than `most` is given up.
pub(super) fn router(most: Duration) -> Router<SharedGateway> {
    let within = move |request: Request, next: Next| async move {
        let answer = tokio::time::timeout(most, next.run(request)).await;
        answer.unwrap_or_else(|_| refusal("unavailable", None))
    };
    Router::new()
        .route("/session/register", post(register))
        .route("/session/sign-in", post(sign_in))
        .route("/session/name", post(change_name))
        .route("/session/email", post(change_email))
        .route("/session/password", post(change_password))
        .route("/session/erase", post(erase))
        .route_layer(from_fn(within))
}

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
    #[serde(default = "nothing")]
    password: Password,
}

#[derive(Debug, Deserialize)]
struct EraseForm {
    #[serde(default)]
    confirm: String,
    #[serde(default = "nothing")]
    password: Password,
}

/// Nothing was typed.
fn nothing() -> Password {
    String::new().into()
}

/// A command's data with the password that was typed, if one was.
fn with_password(mut data: Value, password: &Password) -> Value {
    if !password.expose().is_empty() {
        data["password"] = json!(password);
    }
    data
}

async fn register(
    State(gateway): State<SharedGateway>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let (Some(form), Some(caller)) = (form::<RegisterForm>(&gateway, request).await, known(identity)) else {
        return refusal("invalid", None);
    };
    let typed = [
        ("email", form.email.as_str()),
        ("display_name", form.display_name.as_str()),
    ];
    let again = |problem: &Problem| {
        back(
            &gateway,
            "/register",
            &form_notes::about("register", &typed, &said(problem)),
        )
    };
    if let Err(problem) = gateway.rate.charge(client, COST_OF_SIGNING_IN) {
        return again(&problem.into_problem());
    }
    let role = caller.actor().role;
    let data = json!({
        "email": form.email,
        "display_name": form.display_name,
        "password": form.password,
        // Whoever joined as a student stays one.
        "role": if role == Role::Staff { Role::Customer } else { role },
    });
    let answer = match send(&gateway, &caller, "RegisterUser", data).await {
        Ok(answer) => answer,
        Err(problem) => return again(&problem),
    };
    // Its token is a session from here on; the gateway adds the cookies that renew it.
    written(&gateway, &caller, &headers, &answer.token)
}

async fn sign_in(
    State(gateway): State<SharedGateway>,
    Extension(address): Extension<Address>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    let Some(form) = form::<SignInForm>(&gateway, request).await else {
        return refusal("invalid", None);
    };
    let typed = [("email", form.email.as_str()), ("code", form.code.as_str())];
    let again = |problems: &[(String, String)]| {
        back(
            &gateway,
            "/sign-in",
            &form_notes::about("sign-in", &typed, problems),
        )
    };
    // Before the code is looked up: it must not be found by trying.
    if let Err(problem) = charge_for_signing_in(&gateway, address) {
        return again(&said(&problem.into_problem()));
    }
    let workspace = match form.code.trim() {
        "" => None,
        code => match gateway.workspaces.find_by_code(code).await {
            Ok(Some(workspace)) => Some(workspace.id),
            Ok(None) => return again(&[about("code", "unknown-code")]),
            Err(error) => return again(&said(&ApiProblem::from(error).into_problem())),
        },
    };
    let wanted = SignIn {
        email: form.email.clone(),
        password: form.password.clone(),
        workspace,
    };
    let signed_in = match try_sign_in(&gateway, &identity, &wanted).await {
        Ok(signed_in) => signed_in,
        Err(problem) => return again(&said(&problem.into_problem())),
    };
    match cookies(&gateway, &signed_in).await {
        Ok(cookies) => {
            let mut response = see_other("/shop");
            for cookie in cookies {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Err(problem) => again(&said(&problem)),
    }
}

async fn change_name(
    State(gateway): State<SharedGateway>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let (Some(form), Some(caller)) = (form::<NameForm>(&gateway, request).await, known(identity)) else {
        return refusal("invalid", None);
    };
    let data = json!({"display_name": form.display_name});
    match send(&gateway, &caller, "ChangeDisplayName", data).await {
        Ok(answer) => {
            let mut response = written(&gateway, &caller, &headers, &answer.token);
            // The bar at the top says the new name at once, and not when the token is renewed.
            if let Some(cookie) = renamed(&gateway, &caller).await {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            form_notes::send(
                &gateway,
                &form_notes::about("name", &[], &[]),
                response.headers_mut(),
            );
            response
        }
        Err(problem) => {
            let typed = [("display_name", form.display_name.as_str())];
            back(
                &gateway,
                ACCOUNT,
                &form_notes::about("name", &typed, &said(&problem)),
            )
        }
    }
}

async fn change_email(
    State(gateway): State<SharedGateway>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let (Some(form), Some(caller)) = (form::<EmailForm>(&gateway, request).await, known(identity)) else {
        return refusal("invalid", None);
    };
    let data = with_password(json!({"email": form.email}), &form.password);
    match send(&gateway, &caller, "ChangeEmail", data).await {
        Ok(answer) => {
            let mut response = written(&gateway, &caller, &headers, &answer.token);
            form_notes::send(
                &gateway,
                &form_notes::about("email", &[], &[]),
                response.headers_mut(),
            );
            response
        }
        Err(problem) => {
            let typed = [("email", form.email.as_str())];
            back(
                &gateway,
                ACCOUNT,
                &form_notes::about("email", &typed, &said_of_current(&problem)),
            )
        }
    }
}

async fn change_password(
    State(gateway): State<SharedGateway>,
    Extension(address): Extension<Address>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    let (Some(wanted), Some(caller)) = (form::<ChangePassword>(&gateway, request).await, known(identity))
    else {
        return refusal("invalid", None);
    };
    let problems = match try_change_password(&gateway, &caller, address, &wanted).await {
        Ok(()) => Vec::new(),
        Err(problem) => said(&problem.into_problem()),
    };
    back(&gateway, ACCOUNT, &form_notes::about("password", &[], &problems))
}

async fn erase(
    State(gateway): State<SharedGateway>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let form = form::<EraseForm>(&gateway, request).await;
    let (Some(form), Some(caller)) = (form, known(identity.clone())) else {
        return refusal("invalid", None);
    };
    let again =
        |problems: &[(String, String)]| back(&gateway, ACCOUNT, &form_notes::about("erase", &[], problems));
    let name = match gateway.people.account(person(&caller)).await {
        Ok(Some(account)) => account.display_name,
        Ok(None) => caller.actor().name.clone(),
        Err(error) => {
            tracing::warn!(%error, "an account could not be looked up");
            return again(&[about("form", "unavailable")]);
        }
    };
    if form.confirm.trim() != name.trim() {
        return again(&[about("confirm", "confirm")]);
    }
    let data = with_password(json!({}), &form.password);
    if let Err(problem) = send(&gateway, &caller, "EraseUser", data).await {
        return again(&said_of_current(&problem));
    }
    let mut response = see_other("/sign-in");
    if let Err(problem) = end_session(&gateway, &identity, &headers, response.headers_mut()).await {
        // Erasing has ended every session of theirs; only the cookies are left.
        tracing::debug!(problem = ?problem, "a session that had ended could not be ended");
        session_cookie::end_all(&gateway, response.headers_mut());
    }
    form_notes::send(
        &gateway,
        &form_notes::about("erased", &[], &[]),
        response.headers_mut(),
    );
    response
}

fn known(identity: Identity) -> Option<Caller> {
    identity.caller()
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

async fn cookies(gateway: &SharedGateway, signed_in: &SignedIn) -> Result<[HeaderValue; 2], Problem> {
    let internal = |error: &dyn std::fmt::Display| ApiProblem::internal(error).into_problem();
    let (token, _) = auth::access(gateway, &signed_in.who, signed_in.family)
        .await
        .map_err(|error| internal(&error))?;
    session_cookie::signed_in(gateway, token, signed_in).map_err(|error| internal(&error))
}

/// The cookie of a session whose person goes by another name now.
async fn renamed(gateway: &SharedGateway, caller: &Caller) -> Option<HeaderValue> {
    let session = caller.session()?;
    let account: Registered = gateway.people.account(person(caller)).await.ok()??;
    let (token, _) = auth::access(gateway, &account, session).await.ok()?;
    session_cookie::access(gateway, token).ok()
}

/// To the account's page, which waits for what was written.
fn written(
    gateway: &SharedGateway,
    caller: &Caller,
    headers: &HeaderMap,
    token: &ConsistencyToken,
) -> Response {
    let mut response = see_other(ACCOUNT);
    let before = CookieJar::from_headers(headers)
        .get(WRITTEN_COOKIE)
        .and_then(|cookie| app::written_in(caller.workspace(), cookie.value()));
    let mut written = before.unwrap_or_default();
    for (partition, position) in token.iter() {
        written.advance(partition, position);
    }
    // Pages' own scripts go on with it, so they may read it.
    let mut cookie = Cookie::build((WRITTEN_COOKIE, format!("{}.{written}", caller.workspace())))
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

/// Back to the page of a form, with what it has to say.
fn back(gateway: &SharedGateway, path: &str, notes: &FormNotes) -> Response {
    let mut response = see_other(path);
    form_notes::send(gateway, notes, response.headers_mut());
    response
}

fn about(field: &str, code: &str) -> (String, String) {
    (field.to_owned(), code.to_owned())
}

/// The same where the password that is asked for is the one that the account has.
fn said_of_current(problem: &Problem) -> Vec<(String, String)> {
    let current = |(field, code): (String, String)| match field.as_str() {
        "password" => about("password", "current"),
        _ => (field, code),
    };
    said(problem).into_iter().map(current).collect()
}

/// What a problem says about the fields of a form, as codes that the page puts into words.
fn said(problem: &Problem) -> Vec<(String, String)> {
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
            about(field, code)
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
    vec![about("form", code)]
}
