//! Sessions of people with an account: they begin with email and password, and are renewed by a cookie until
//! they end.
//!
//! The cookie and a sign-in are taken from Foldline's own pages only: another site could otherwise sign its
//! visitors in under another identity.

use axum::{
    Extension, Json,
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{CACHE_CONTROL, SET_COOKIE},
    },
    response::{IntoResponse as _, Response},
};
use domain::{
    aggregate::user::{MAX_EMAIL, MAX_PASSWORD, normalised},
    id::WorkspaceId,
    wire::{ChangePassword, Problem, SessionAccess, SignIn},
};
use identity::{
    LookUpError,
    sessions::{ACCESS_SECONDS, RenewableSession, SignInError},
};
use telemetry::security::{SecurityEvent, SecurityRecord};

use crate::{
    SharedGateway,
    account_mails::{note_other_accounts, record_password_change},
    auth::{self, Authentication, Caller},
    json_body::JsonBody,
    limits::{Account, Address, Attempt, COST_OF_SIGNING_IN, Client, password_turn},
    origin::Origin,
    problem::{ApiProblem, Kind},
    session_cookie,
};

/// Sign in
///
/// Answers an access token that is valid for 15 minutes, and sets the cookie that renews it. An unknown email
/// and a wrong password have the same answer. Of several accounts with this email and password it is the one
/// that was used last, unless the `workspace` is named.
#[utoipa::path(post, path = "/sessions", tag = "sessions", security(()), request_body = SignIn, responses(
    (status = 200, body = SessionAccess,
        description = "Signed in; `Set-Cookie` has the cookie that renews the session"),
    (status = 400, description = "A field is not valid", body = Problem),
    (status = 401, description = "No account has this email and password", body = Problem),
    (status = 403, description = "Sent by a page of another site", body = Problem),
    (status = 429, body = Problem,
        description = "Too many requests from this address, or too many wrong passwords for this email; the \
            wait grows with each further one"),
))]
pub(super) async fn sign_in(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    Extension(address): Extension<Address>,
    headers: HeaderMap,
    uri: Uri,
    JsonBody(wanted): JsonBody<SignIn>,
) -> Result<Response, ApiProblem> {
    require_same_site(&gateway, &headers, &uri)?;
    charge_for_signing_in(&gateway, address)?;
    let signed_in = try_sign_in(&gateway, &authentication, address, &wanted).await?;
    answer(&gateway, &signed_in).await
}

/// Counts an attempt to sign in from an address, before the account is looked up.
pub(crate) fn charge_for_signing_in(
    gateway: &SharedGateway,
    Address(client): Address,
) -> Result<(), ApiProblem> {
    gateway.rate.charge(client, COST_OF_SIGNING_IN)
}

/// Signs in, for the form and for the interface: every sign-in passes here, and so does its outcome.
pub(crate) async fn try_sign_in(
    gateway: &SharedGateway,
    authentication: &Authentication,
    Address(address): Address,
    wanted: &SignIn,
) -> Result<RenewableSession, ApiProblem> {
    let (email, password) = (wanted.email.trim(), wanted.password.expose());
    if email.is_empty() || normalised(email).len() > MAX_EMAIL {
        return Err(ApiProblem::field(
            "email",
            format!("has 1 to {MAX_EMAIL} characters"),
        ));
    }
    if password.is_empty() || wanted.password.length() > MAX_PASSWORD {
        let message = format!("has 1 to {MAX_PASSWORD} characters");
        return Err(ApiProblem::field("password", message));
    }
    let sender = authentication.clone().caller();
    let workspace = wanted.workspace.or(sender.map(|caller| caller.workspace()));
    let account = gateway.people.login(email)?;
    let turn = password_turn(gateway, address).await?;
    let signed_in = match workspace {
        Some(workspace) => sign_in_to(gateway, account, workspace, address, wanted).await,
        None => sign_in_anywhere(gateway, account, address, wanted).await,
    };
    drop(turn);
    let signed_in = signed_in?;
    let outcome = if signed_in.is_ok() { "signed_in" } else { "refused" };
    metrics::counter!("foldline_sign_ins_total", "outcome" => outcome).increment(1);
    note_sign_in(&account, workspace, &signed_in);
    Ok(signed_in?)
}

/// Signs in to the account of a workspace. The outer error: the attempt has to wait.
async fn sign_in_to(
    gateway: &SharedGateway,
    account: Account,
    workspace: WorkspaceId,
    address: Client,
    wanted: &SignIn,
) -> Result<Result<RenewableSession, SignInError>, ApiProblem> {
    let now = gateway.clock.now();
    let attempt = gateway
        .password_attempts
        .begin(account, workspace, address, now)?;
    let email = wanted.email.trim();
    let signed_in = gateway.people.sign_in(email, &wanted.password, workspace).await;
    match &signed_in {
        Ok(_) => attempt.succeed(),
        // It counts.
        Err(SignInError::WrongCredentials) => {}
        Err(SignInError::SessionEnded | SignInError::Weak(_) | SignInError::LookUp(_)) => attempt.withdraw(),
    }
    Ok(signed_in)
}

/// The same without a workspace: to the account that was used last, of those with this email and password. It
/// is an attempt at each account of the email.
async fn sign_in_anywhere(
    gateway: &SharedGateway,
    account: Account,
    address: Client,
    wanted: &SignIn,
) -> Result<Result<RenewableSession, SignInError>, ApiProblem> {
    let now = gateway.clock.now();
    let attempt = gateway.password_attempts.begin_anywhere(account, address, now)?;
    let email = wanted.email.trim();
    let mut matching = match gateway.people.matching_accounts(email, &wanted.password).await {
        Ok(matching) => matching,
        Err(error) => {
            attempt.withdraw();
            return Ok(Err(error.into()));
        }
    };
    matching
        .accounts
        .retain(|found| attempt.compares(found.of.workspace));
    if matching.accounts.is_empty() {
        return attempt.fail().map_or(Ok(Err(SignInError::WrongCredentials)), Err);
    }
    let people: Vec<_> = matching.accounts.iter().map(|found| found.of).collect();
    let workspaces: Vec<_> = people.iter().map(|of| of.workspace).collect();
    if attempt.succeed(&workspaces, matching.password_digest) {
        note_other_accounts(gateway, address, email, people);
    }
    Ok(gateway.people.begin_last_used(matching.accounts).await)
}

fn note_sign_in(
    account: &Account,
    workspace: Option<WorkspaceId>,
    signed_in: &Result<RenewableSession, SignInError>,
) {
    let failed = |reason| {
        let record = SecurityRecord::new(SecurityEvent::SignInFailed).because(reason);
        match workspace {
            Some(workspace) => record.workspace(workspace.0),
            None => record,
        }
    };
    let record = match signed_in {
        Ok(session) => {
            let of = session.account.of;
            SecurityRecord::new(SecurityEvent::SignedIn)
                .person(of.workspace.0, of.person)
                .role(session.account.role.as_str())
        }
        Err(SignInError::WrongCredentials) => failed("wrong_credentials"),
        Err(SignInError::SessionEnded | SignInError::Weak(_) | SignInError::LookUp(_)) => {
            failed("not_available")
        }
    };
    record.account(account).write();
}

/// Renew a session
///
/// By the cookie that a sign-in has set; the answer replaces it. A cookie that is used again, later than a
/// moment after its first use, ends the session everywhere.
#[utoipa::path(post, path = "/sessions/refresh", tag = "sessions", security(()), responses(
    (status = 200, body = SessionAccess,
        description = "A new access token; `Set-Cookie` has the cookie that renews it"),
    (status = 401, description = "There is no cookie, or its session has ended", body = Problem),
    (status = 403, description = "Sent by a page of another site", body = Problem),
))]
pub(super) async fn refresh(
    State(gateway): State<SharedGateway>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiProblem> {
    require_same_site(&gateway, &headers, &uri)?;
    let token = session_cookie::refresh_token(&headers, gateway.https).ok_or(SignInError::SessionEnded)?;
    let renewed = gateway.people.renew(&token).await;
    match renewed {
        Ok(signed_in) => answer(&gateway, &signed_in).await,
        Err(error) => {
            let has_ended = matches!(error, SignInError::SessionEnded);
            let mut response = ApiProblem::from(error).into_response();
            if has_ended {
                session_cookie::end_all(&gateway, response.headers_mut());
            }
            Ok(response)
        }
    }
}

/// Change your password
///
/// Every other session of your account is signed out, and an email tells you.
#[utoipa::path(put, path = "/sessions/password", tag = "sessions", request_body = ChangePassword, responses(
    (status = 204, description = "Changed"),
    (status = 400, description = "A field is not valid, or `current` is not your password", body = Problem),
    (status = 401, description = "Not signed in", body = Problem),
    (status = 403, description = "Sent by a page of another site", body = Problem),
    (status = 429, description = "Too many attempts", body = Problem),
))]
pub(super) async fn change_password(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    JsonBody(wanted): JsonBody<ChangePassword>,
) -> Result<StatusCode, ApiProblem> {
    try_change_password(&gateway, &caller, &wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes the password, for the form and for the interface.
pub(crate) async fn try_change_password(
    gateway: &SharedGateway,
    caller: &Caller,
    wanted: &ChangePassword,
) -> Result<(), ApiProblem> {
    // What needs no look-up is checked first. The person's own email and name are checked with the change.
    if let Some(fault) = wanted.new.fault(&[]) {
        return Err(ApiProblem::field("new", fault.to_string()));
    }
    let wrong_current = || ApiProblem::field("current", "is not your password");
    if wanted.current.length() > MAX_PASSWORD {
        return Err(wrong_current());
    }
    let turn = password_turn(gateway, caller.address()).await?;
    let attempt = begin_password_attempt(gateway, caller)?;
    let bearer = caller.bearer();
    let session = bearer.presented().session;
    let changed = gateway
        .people
        .change_password(bearer.of(), &wanted.current, &wanted.new, session);
    let changed = changed.await;
    drop(turn);
    match changed {
        // It counts.
        Err(SignInError::WrongCredentials) => Err(wrong_current()),
        // The current one was right.
        Err(error @ SignInError::Weak(_)) => {
            attempt.succeed();
            Err(error.into())
        }
        Ok(change) => {
            attempt.succeed();
            record_password_change(gateway, change).await;
            Ok(())
        }
        Err(error) => {
            attempt.withdraw();
            Err(error.into())
        }
    }
}

/// Begins an attempt at the password of the caller's own account: a stranger who has taken over its session
/// must not guess for long. It is not the count of signing in: see [`Account`].
pub(crate) fn begin_password_attempt<'a>(
    gateway: &'a SharedGateway,
    caller: &Caller,
) -> Result<Attempt<'a>, ApiProblem> {
    let address = caller.address();
    gateway.rate.charge(address, COST_OF_SIGNING_IN)?;
    let mut account = Account::default();
    let (workspace, person) = account.split_at_mut(16);
    workspace.copy_from_slice(caller.workspace().0.as_bytes());
    person.copy_from_slice(caller.actor().id.as_bytes());
    gateway
        .password_attempts
        .begin(account, caller.workspace(), address, gateway.clock.now())
}

/// Sign out
///
/// Ends the session of the token or of the cookies on every device, and deletes the cookies: its tokens are
/// refused from now on, and its sockets are closed. Signing out again changes nothing.
#[utoipa::path(delete, path = "/sessions", tag = "sessions", security(()), responses(
    (status = 204, description = "Signed out"),
    (status = 403, description = "Sent by a page of another site", body = Problem),
))]
pub(super) async fn sign_out(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiProblem> {
    require_same_site(&gateway, &headers, &uri)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    end(&gateway, &authentication, &headers, response.headers_mut()).await?;
    Ok(response)
}

/// Ends every session that a request carries, and deletes its cookies.
pub(crate) async fn end(
    gateway: &SharedGateway,
    authentication: &Authentication,
    headers: &HeaderMap,
    answer: &mut HeaderMap,
) -> Result<(), ApiProblem> {
    // Only a session that has ended by this is noted: a cookie that is made up, or has expired, had none.
    let mut signed_out = None;
    if let Some(token) = session_cookie::refresh_token(headers, gateway.https) {
        signed_out = gateway.people.sign_out(&token).await?;
    }
    if let Authentication::Accepted(caller) = authentication {
        let bearer = caller.bearer();
        let session = bearer.presented().session;
        // A guest without an account has no session in the store.
        if gateway.people.end_session(bearer.of(), session).await? {
            signed_out = Some(bearer.of());
        }
    }
    if let Some(of) = signed_out {
        SecurityRecord::new(SecurityEvent::SignedOut)
            .person(of.workspace.0, of.person)
            .write();
    }
    session_cookie::end_all(gateway, answer);
    Ok(())
}

pub(super) fn require_same_site(
    gateway: &SharedGateway,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(), ApiProblem> {
    match Origin::of(headers, uri, &gateway.public) {
        Origin::Same | Origin::Unknown => Ok(()),
        Origin::Foreign => Err(ApiProblem::new(
            Kind::ForeignOrigin,
            "a browser may send this from Foldline's own pages only",
        )),
    }
}

async fn answer(gateway: &SharedGateway, signed_in: &RenewableSession) -> Result<Response, ApiProblem> {
    let (token, bearer) = auth::access(gateway, &signed_in.account, signed_in.family)
        .await
        .map_err(ApiProblem::internal)?;
    let cookie = session_cookie::refresh(gateway, signed_in).map_err(ApiProblem::internal)?;
    let mut response = Json(SessionAccess {
        workspace: bearer.workspace,
        token,
        expires_in: ACCESS_SECONDS,
    })
    .into_response();
    response.headers_mut().append(SET_COOKIE, cookie);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl From<SignInError> for ApiProblem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::WrongCredentials => Self::new(Kind::WrongCredentials, error.to_string()),
            SignInError::SessionEnded => Self::new(Kind::Unauthenticated, error.to_string()),
            SignInError::Weak(fault) => Self::field("new", fault.to_string()),
            SignInError::LookUp(error) => error.into(),
        }
    }
}

impl From<LookUpError> for ApiProblem {
    fn from(error: LookUpError) -> Self {
        match error {
            LookUpError::People(error) => error.into(),
            LookUpError::Store(error) => error.into(),
        }
    }
}
