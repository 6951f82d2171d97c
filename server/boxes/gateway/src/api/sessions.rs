//! Sessions of people with an account: begun with email and password, renewed by a cookie, ended.
//!
//! The cookie is taken from our own pages only, and a sign-in too: another site could otherwise sign its visitors in as
//! somebody they are not.

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
    aggregate::user::{MAX_EMAIL, MAX_PASSWORD, MIN_PASSWORD},
    wire::{ChangePassword, Problem, SessionAccess, SignIn},
};
use identity::{
    LookUpError,
    sessions::{ACCESS_SECONDS, SignInError, SignedIn},
};

use crate::{
    SharedGateway,
    auth::{self, Caller, Identity},
    json_body::JsonBody,
    limits::{Address, COST_OF_SIGNING_IN, Client},
    origin::Origin,
    problem::{ApiProblem, Kind},
    session_cookie,
};

/// Sign in
///
/// Answers an access token that is good for 15 minutes, and sets the cookie that renews it. An email that nobody has and a
/// wrong password are one answer.
#[utoipa::path(post, path = "/sessions", tag = "sessions", security(()), request_body = SignIn, responses(
    (status = 200, description = "Signed in; `Set-Cookie` has what renews the session", body = SessionAccess),
    (status = 400, description = "A field is not valid, or several workspaces have such an account: `workspace`", body = Problem),
    (status = 401, description = "No account has this email and password", body = Problem),
    (status = 403, description = "From another site's page", body = Problem),
    (status = 429, description = "Too many tries from this address, or with this email", body = Problem),
))]
pub(super) async fn sign_in(
    State(gateway): State<SharedGateway>,
    Extension(identity): Extension<Identity>,
    Extension(address): Extension<Address>,
    headers: HeaderMap,
    uri: Uri,
    JsonBody(wanted): JsonBody<SignIn>,
) -> Result<Response, ApiProblem> {
    must_come_from_here(&gateway, &headers, &uri)?;
    charge_for_signing_in(&gateway, address)?;
    let signed_in = try_sign_in(&gateway, &identity, &wanted).await?;
    answer(&gateway, &signed_in).await
}

/// Counts a try to sign in from an address, before anything is looked up for it.
pub(crate) fn charge_for_signing_in(
    gateway: &SharedGateway,
    Address(client): Address,
) -> Result<(), ApiProblem> {
    gateway.rate.charge(client, COST_OF_SIGNING_IN)
}

/// What the form and the interface have in common.
pub(crate) async fn try_sign_in(
    gateway: &SharedGateway,
    identity: &Identity,
    wanted: &SignIn,
) -> Result<SignedIn, ApiProblem> {
    let (email, password) = (wanted.email.trim(), wanted.password.expose());
    if email.is_empty() || email.len() > MAX_EMAIL {
        return Err(ApiProblem::field(
            "email",
            format!("has 1 to {MAX_EMAIL} characters"),
        ));
    }
    if password.is_empty() || password.chars().count() > MAX_PASSWORD {
        let message = format!("has 1 to {MAX_PASSWORD} characters");
        return Err(ApiProblem::field("password", message));
    }
    gateway.sign_ins.charge(&gateway.people.login(email)?)?;
    let sender = identity.clone().caller();
    let workspace = wanted.workspace.or(sender.map(|caller| caller.workspace()));
    let signed_in = gateway.people.sign_in(email, &wanted.password, workspace).await;
    let outcome = if signed_in.is_ok() { "signed_in" } else { "refused" };
    metrics::counter!("foldline_sign_ins_total", "outcome" => outcome).increment(1);
    Ok(signed_in?)
}

/// Renew a session
///
/// By the cookie that a sign-in has set; it is replaced. One that comes again later than a moment after it was used ends the
/// session everywhere.
#[utoipa::path(post, path = "/sessions/refresh", tag = "sessions", security(()), responses(
    (status = 200, description = "A new access token; `Set-Cookie` has what renews it", body = SessionAccess),
    (status = 401, description = "There is no cookie, or its session has ended", body = Problem),
    (status = 403, description = "From another site's page", body = Problem),
))]
pub(super) async fn refresh(
    State(gateway): State<SharedGateway>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiProblem> {
    must_come_from_here(&gateway, &headers, &uri)?;
    let token = session_cookie::refresh_token(&headers).ok_or(SignInError::Over)?;
    let renewed = gateway.people.renew(&token).await;
    match renewed {
        Ok(signed_in) => answer(&gateway, &signed_in).await,
        Err(error) => {
            let is_over = matches!(error, SignInError::Over);
            let mut response = ApiProblem::from(error).into_response();
            if is_over {
                session_cookie::end_all(&gateway, response.headers_mut());
            }
            Ok(response)
        }
    }
}

/// Change your password
///
/// Whoever is signed in with the old one is signed out everywhere else.
#[utoipa::path(put, path = "/sessions/password", tag = "sessions", request_body = ChangePassword, responses(
    (status = 204, description = "Changed"),
    (status = 400, description = "A field is not valid, or `current` is not your password", body = Problem),
    (status = 401, description = "Nobody is signed in", body = Problem),
    (status = 403, description = "From another site's page", body = Problem),
    (status = 429, description = "Too many tries", body = Problem),
))]
pub(super) async fn change_password(
    State(gateway): State<SharedGateway>,
    Extension(address): Extension<Address>,
    caller: Caller,
    JsonBody(wanted): JsonBody<ChangePassword>,
) -> Result<StatusCode, ApiProblem> {
    try_change_password(&gateway, &caller, address, &wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the form and the interface have in common.
pub(crate) async fn try_change_password(
    gateway: &SharedGateway,
    caller: &Caller,
    Address(client): Address,
    wanted: &ChangePassword,
) -> Result<(), ApiProblem> {
    if !wanted.new.fits() {
        let message = format!("has {MIN_PASSWORD} to {MAX_PASSWORD} characters");
        return Err(ApiProblem::field("new", message));
    }
    let is_not_theirs = || ApiProblem::field("current", "is not your password");
    if wanted.current.expose().chars().count() > MAX_PASSWORD {
        return Err(is_not_theirs());
    }
    must_not_guess(gateway, caller, client)?;
    let bearer = caller.bearer();
    let session = bearer.presented().session;
    let changed = gateway
        .people
        .change_password(bearer.of(), &wanted.current, &wanted.new, session);
    match changed.await {
        Err(SignInError::Wrong) => Err(is_not_theirs()),
        other => Ok(other?),
    }
}

/// Counts a try at the password of the caller's own account: a stranger who has taken over its session must not guess for
/// long. It is not the count of signing in, which others can use up: see [`SignInLimit`](crate::limits::SignInLimit).
pub(crate) fn must_not_guess(
    gateway: &SharedGateway,
    caller: &Caller,
    client: Client,
) -> Result<(), ApiProblem> {
    gateway.rate.charge(client, COST_OF_SIGNING_IN)?;
    let mut tries = [0; 32];
    tries[..16].copy_from_slice(caller.actor().id.as_bytes());
    gateway.sign_ins.charge(&tries)
}

/// Sign out
///
/// Ends the session of the token or of the cookies wherever it is used, and takes the cookies back: its tokens are refused from
/// here on, and its sockets closed. Signed out already is signed out.
#[utoipa::path(delete, path = "/sessions", tag = "sessions", security(()), responses(
    (status = 204, description = "Signed out"),
    (status = 403, description = "From another site's page", body = Problem),
))]
pub(super) async fn sign_out(
    State(gateway): State<SharedGateway>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiProblem> {
    must_come_from_here(&gateway, &headers, &uri)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    end(&gateway, &identity, &headers, response.headers_mut()).await?;
    Ok(response)
}

/// Signs out of whatever a request carries, and takes its cookies back.
pub(crate) async fn end(
    gateway: &SharedGateway,
    identity: &Identity,
    headers: &HeaderMap,
    answer: &mut HeaderMap,
) -> Result<(), ApiProblem> {
    if let Some(token) = session_cookie::refresh_token(headers) {
        gateway.people.sign_out(&token).await?;
    }
    if let Identity::Known(caller) = identity {
        let bearer = caller.bearer();
        // A guest without an account has none to end.
        gateway
            .people
            .end_session(bearer.of(), bearer.presented().session)
            .await?;
    }
    session_cookie::end_all(gateway, answer);
    Ok(())
}

fn must_come_from_here(gateway: &SharedGateway, headers: &HeaderMap, uri: &Uri) -> Result<(), ApiProblem> {
    match Origin::of(headers, uri, gateway.https) {
        Origin::Same | Origin::Unsaid => Ok(()),
        Origin::Foreign => Err(ApiProblem::new(
            Kind::ForeignOrigin,
            "a browser may send this from Foldline's own pages only",
        )),
    }
}

async fn answer(gateway: &SharedGateway, signed_in: &SignedIn) -> Result<Response, ApiProblem> {
    let (token, bearer) = auth::access(gateway, &signed_in.who, signed_in.family)
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
            SignInError::Wrong => Self::new(Kind::WrongCredentials, error.to_string()),
            SignInError::SeveralWorkspaces => Self::field("workspace", error.to_string()),
            SignInError::Over => Self::new(Kind::Unauthenticated, error.to_string()),
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
