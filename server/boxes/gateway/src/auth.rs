//! Authentication: the caller of a request is a program with `Authorization: Bearer …`, a browser with the
//! session cookie, or anonymous.
//!
//! A person with an account has a short access token and a cookie that renews it: a request whose token has
//! ended, or soon will, renews it, so that an active browser stays signed in. A guest's token becomes a
//! session when it registers its guest; from then on every other token of that guest is refused.
//!
//! The token of a workspace that was reset is led to the one that has its place: a browser that loads a page
//! gets a token of that at once, and every other request an answer that says where to go on.
//!
//! [`identify`] runs once for each request. A handler takes a [`Caller`], and so cannot skip the check. A
//! request that changes something by a cookie must come from our own pages.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, Uri, header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::Response,
};
use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
    language::Language,
};

use super::{
    SharedGateway,
    api::visit,
    in_process::InProcess,
    language,
    limits::{self, Address, Client},
    origin::Origin,
    problem::{ApiProblem, Kind},
    proxies, session_cookie,
    tokens::{Bearer, SignedIn, TTL_SECONDS, TokenRefusal, VerifiedToken},
};
use identity::{
    LookUpError, PeopleError, UserAccount,
    session_status::SessionStatus,
    sessions::{ACCESS_SECONDS, RenewableSession, SignInError},
};
use telemetry::security::{self, RequestSender, SecurityEvent, SecurityRecord};
use uuid::Uuid;

/// The beginning of the paths of the API.
const API_PATH: &str = "/api/";

/// The beginning of the paths at which a session begins, is renewed and ends.
const SESSIONS_PATH: &str = "/api/v1/sessions";

/// The authenticated sender of a request.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    bearer: Arc<Bearer>,
    by_cookie: bool,
    origin: Origin,
    language: Language,
    address: Client,
}

/// A person of a workspace that was reset, who has not followed yet.
#[derive(Debug, Clone)]
pub(super) struct Follower {
    bearer: Arc<Bearer>,
    successor: WorkspaceId,
    by_cookie: bool,
    address: Client,
}

impl Follower {
    /// The workspace that has the place of theirs.
    pub(super) fn successor(&self) -> WorkspaceId {
        self.successor
    }

    /// Whether the token came in a cookie.
    pub(super) fn is_browser(&self) -> bool {
        self.by_cookie
    }
}

/// The outcome of authenticating a request.
#[derive(Debug, Clone)]
pub(super) enum Authentication {
    /// The request has no token.
    Anonymous,
    /// The token's workspace was purged.
    WorkspaceGone,
    /// The token's workspace was reset, and another one has its place.
    Moved(Follower),
    /// The token is not accepted.
    Refused(TokenRefusal),
    /// The status of the token's session cannot be looked up now.
    Unknown(ApiProblem),
    /// The token is accepted.
    Accepted(Caller),
}

impl Authentication {
    /// The caller, where the token is accepted.
    pub(super) fn caller(self) -> Option<Caller> {
        match self {
            Self::Accepted(caller) => Some(caller),
            Self::Anonymous | Self::WorkspaceGone | Self::Moved(_) | Self::Refused(_) | Self::Unknown(_) => {
                None
            }
        }
    }

    /// The caller of a request with this method, or why there is none.
    pub(super) fn require_caller(&self, method: &Method) -> Result<Caller, ApiProblem> {
        let Self::Accepted(caller) = self else {
            return Err(self.refusal().unwrap_or_else(unauthenticated));
        };
        // A program may send any Origin with its token; a cookie must not be used by another site's pages.
        if caller.by_cookie && !method.is_safe() {
            caller.require_same_site()?;
        }
        Ok(caller.clone())
    }

    /// Why there is no caller; `None`: there is one.
    pub(super) fn refusal(&self) -> Option<ApiProblem> {
        Some(match self {
            Self::Accepted(_) => return None,
            Self::WorkspaceGone => ApiProblem::workspace_gone(),
            Self::Moved(follower) => ApiProblem::workspace_moved(follower.successor),
            Self::Refused(refusal) => (*refusal).into(),
            Self::Unknown(problem) => problem.clone(),
            Self::Anonymous => unauthenticated(),
        })
    }
}

fn unauthenticated() -> ApiProblem {
    ApiProblem::new(
        Kind::Unauthenticated,
        "send an access token as Authorization: Bearer, or open or join a workspace",
    )
}

impl Caller {
    /// The workspace of the token; the caller sees no other.
    pub(super) fn workspace(&self) -> WorkspaceId {
        self.bearer.workspace
    }

    /// The person who acts, with their role.
    pub(super) fn actor(&self) -> &Actor {
        &self.bearer.actor
    }

    /// The session of a browser that has signed in; none for a guest, and for a program, which renews its
    /// token itself.
    pub(super) fn session(&self) -> Option<Uuid> {
        self.bearer.session.filter(|_| self.by_cookie)
    }

    /// The address that the request or the live socket comes from. What costs much is charged to it, because
    /// one address can be many people.
    pub(super) fn address(&self) -> Client {
        self.address
    }

    /// Whether the token came in a cookie; the server renews a browser's token by itself.
    pub(super) fn is_browser(&self) -> bool {
        self.by_cookie
    }

    /// The current status of the caller's token: of a guest, of an active session, or ended.
    pub(super) async fn session_status(&self, gateway: &SharedGateway) -> Result<SessionStatus, LookUpError> {
        let token = self.bearer.presented();
        gateway.people.session_status(self.bearer.of(), &token).await
    }

    /// The language that the request asks for; that of the account, unless another was chosen in the browser.
    pub(super) fn language(&self) -> Language {
        self.language
    }

    /// The caller as a person who follows to the workspace that takes the place of theirs.
    pub(super) fn following(&self, successor: WorkspaceId) -> Follower {
        Follower {
            bearer: Arc::clone(&self.bearer),
            successor,
            by_cookie: self.by_cookie,
            address: self.address,
        }
    }

    /// The token's contents.
    pub(super) fn bearer(&self) -> &Arc<Bearer> {
        &self.bearer
    }

    /// Refuses roles that may not inspect the log.
    pub(super) fn require_lab_reader(&self) -> Result<(), ApiProblem> {
        if self.actor().role.reads_lab() {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::Forbidden,
                "only students and educators may read the log",
            ))
        }
    }

    /// Refuses roles that do not run the shop: only staff and educators handle dead letters.
    pub(super) fn require_shop_staff(&self) -> Result<(), ApiProblem> {
        if self.actor().role.runs_shop() {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::Forbidden,
                "only staff and educators may handle dead letters",
            ))
        }
    }

    /// Refuses customers: the people who run the shop handle dead letters, and students look at them.
    pub(super) fn require_dead_letter_reader(&self) -> Result<(), ApiProblem> {
        let role = self.actor().role;
        if role.runs_shop() || role.reads_lab() {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::Forbidden,
                "only staff, students and educators may see dead letters",
            ))
        }
    }

    /// Refuses all roles but educators: the lab changes the pipeline of the whole workspace.
    pub(super) fn require_lab_control(&self) -> Result<(), ApiProblem> {
        if matches!(self.actor().role, Role::Educator) {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::Forbidden,
                "only educators may change the lab",
            ))
        }
    }

    /// Refuses all roles but educators: a purge loses the work of the whole class.
    pub(super) fn require_purge_right(&self) -> Result<(), ApiProblem> {
        if matches!(self.actor().role, Role::Educator) {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::Forbidden,
                "only educators may purge a workspace",
            ))
        }
    }

    /// Refuses all roles but educators: an export holds the actions of every person in the workspace.
    pub(super) fn require_export_right(&self) -> Result<(), ApiProblem> {
        if matches!(self.actor().role, Role::Educator) {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::Forbidden,
                "only educators may export a workspace",
            ))
        }
    }

    /// Refuses a request that a browser sends for another site's page. A cookie is accepted only where the
    /// browser's headers name our own origin; a program that sends a token needs no such header.
    pub(super) fn require_same_site(&self) -> Result<(), ApiProblem> {
        let allowed = match self.origin {
            Origin::Same => true,
            Origin::Foreign => false,
            Origin::Unknown => !self.by_cookie,
        };
        if allowed {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::ForeignOrigin,
                "a browser may send this from Foldline's own pages only",
            ))
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiProblem> {
        let authentication = parts.extensions.get::<Authentication>();
        let authentication = authentication.ok_or_else(unauthenticated)?;
        authentication.require_caller(&parts.method)
    }
}

/// Middleware: authenticates a request, counts it against the limit of its caller, tells handlers the caller,
/// and renews the session of a browser. What it does is noted in the security log with its sender.
pub(super) async fn identify(State(gateway): State<SharedGateway>, request: Request, next: Next) -> Response {
    let address = address_of(&gateway, &request);
    security::in_request(
        sender(None, address),
        identify_from(&gateway, address, request, next),
    )
    .await
}

async fn identify_from(
    gateway: &SharedGateway,
    address: Client,
    mut request: Request,
    next: Next,
) -> Response {
    let from = (request.uri(), address);
    let authentication = authenticate(gateway, request.headers(), from).await;
    let (authentication, cookies) = renew_if_due(gateway, authentication, request.headers(), from).await;
    let parts = (request.method(), request.headers(), request.uri());
    let (authentication, cookies) = follow_with_page(gateway, parts, (authentication, cookies)).await;
    if let Authentication::Refused(refusal) = &authentication {
        SecurityRecord::new(SecurityEvent::TokenRefused)
            .because(refusal.reason())
            .write();
    }
    let client = match &authentication {
        _ if address == Client::InProcess => address,
        Authentication::Accepted(caller) => Client::Person(caller.workspace(), caller.actor().id),
        Authentication::Moved(follower) => Client::Person(follower.successor, follower.bearer.actor.id),
        Authentication::Anonymous
        | Authentication::WorkspaceGone
        | Authentication::Refused(_)
        | Authentication::Unknown(_) => address,
    };
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(Address(address));
    request.extensions_mut().insert(authentication.clone());
    let caller = authentication.caller();
    let handled = async {
        let of = Address(address);
        let refusal = limits::refusal(gateway, client, of, request.method(), request.uri());
        match refusal {
            Some(refusal) => refusal,
            None => next.run(request).await,
        }
    };
    let mut response = security::in_request(sender(caller.as_ref(), address), handled).await;
    session_cookie::add_renewed(cookies, response.headers_mut());
    if let Some(caller) = caller
        && caller.by_cookie
        && caller.bearer.session.is_none()
    {
        renew_guest(gateway, &caller, response.headers_mut()).await;
    }
    response
}

/// The sender of a request or of a socket's frames, as the security log names it.
pub(super) fn sender(caller: Option<&Caller>, address: Client) -> RequestSender {
    RequestSender {
        address: address.address(),
        workspace: caller.map(|caller| caller.workspace().0),
        actor: caller.map(|caller| caller.actor().id),
        role: caller.map(|caller| caller.actor().role.as_str()),
    }
}

/// The address at the other end of the connection.
pub(super) fn peer(request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.0.ip())
}

/// The address of a request's client, which may be behind a proxy.
pub(super) fn address_of(gateway: &SharedGateway, request: &Request) -> Client {
    if request.extensions().get::<InProcess>().is_some() {
        return Client::InProcess;
    }
    let trusted = &gateway.limits.trusted_proxies;
    let client = peer(request).map(|peer| proxies::client_address(trusted, peer, request.headers()));
    Client::of_address(client)
}

/// Renews the session of a browser whose token has no sign-in. While its guest has no account, the token is
/// renewed in time. Once it has registered the guest, the browser gets the cookies of its session, once.
async fn renew_guest(gateway: &SharedGateway, caller: &Caller, answer: &mut HeaderMap) {
    // The handler may have made or ended an account, or a session.
    match caller.session_status(gateway).await {
        Ok(SessionStatus::Guest) if gateway.tokens.is_ageing(&caller.bearer) => {
            session_cookie::renew(gateway, &caller.bearer, answer);
        }
        Ok(SessionStatus::Guest | SessionStatus::Ended) => {}
        // These cookies are given once, so not where the handler has begun another session.
        Ok(SessionStatus::Active) if session_cookie::is_set(answer) => {}
        Ok(SessionStatus::Active) => match session_cookies(gateway, caller).await {
            Ok(cookies) => session_cookie::add_renewed(cookies, answer),
            Err(SignInError::SessionEnded) => {}
            Err(error) => tracing::warn!(%error, "a session got no cookie that renews it"),
        },
        Err(error) => tracing::warn!(%error, "the status of a session could not be looked up"),
    }
}

/// The cookies of the session that a token became by registering its guest; none where they were given
/// before, or where a program registered.
async fn session_cookies(gateway: &SharedGateway, caller: &Caller) -> Result<Vec<HeaderValue>, SignInError> {
    let bearer = &caller.bearer;
    let signed_in = gateway
        .people
        .renew_registered(bearer.of(), bearer.presented().session)
        .await?;
    match signed_in {
        Some(signed_in) => Ok(tokens_of(gateway, &signed_in).await?.1),
        None => Ok(Vec::new()),
    }
}

/// Renews the session of a person with an account where that is due; the new cookies too.
async fn renew_if_due(
    gateway: &SharedGateway,
    authentication: Authentication,
    headers: &HeaderMap,
    (uri, address): (&Uri, Client),
) -> (Authentication, Vec<HeaderValue>) {
    let is_due = match &authentication {
        Authentication::Accepted(caller) => {
            caller.session().is_some() && gateway.tokens.is_ageing(&caller.bearer)
        }
        Authentication::Anonymous | Authentication::Refused(_) => true,
        Authentication::WorkspaceGone | Authentication::Moved(_) | Authentication::Unknown(_) => false,
    };
    // A request about the session itself uses the refresh token in its handler.
    let is_about_sessions = uri.path().starts_with(SESSIONS_PATH);
    if !is_due || is_about_sessions || headers.contains_key(AUTHORIZATION) {
        return (authentication, Vec::new());
    }
    let Some(token) = session_cookie::refresh_token(headers, gateway.https) else {
        return (authentication, Vec::new());
    };
    match renew(gateway, &token).await {
        Ok((bearer, cookies)) if gateway.presence.is_there(bearer.workspace).await => {
            let caller = Caller {
                language: language::of(headers, bearer.language),
                bearer: Arc::new(bearer),
                by_cookie: true,
                origin: Origin::of(headers, uri, &gateway.public),
                address,
            };
            (Authentication::Accepted(caller), cookies)
        }
        Ok((bearer, cookies)) => match gateway.presence.moved_to(bearer.workspace).await {
            Some(successor) => {
                let follower = Follower {
                    bearer: Arc::new(bearer),
                    successor,
                    by_cookie: true,
                    address,
                };
                (Authentication::Moved(follower), cookies)
            }
            None => (Authentication::WorkspaceGone, Vec::new()),
        },
        Err(error) => {
            if !matches!(error, SignInError::SessionEnded) {
                tracing::warn!(%error, "a session could not be renewed");
            }
            (authentication, Vec::new())
        }
    }
}

async fn renew(gateway: &SharedGateway, token: &str) -> Result<(Bearer, Vec<HeaderValue>), SignInError> {
    let signed_in = gateway.people.renew(token).await?;
    Ok(tokens_of(gateway, &signed_in).await?)
}

/// A new access token of a session, and the cookies with it and with the refresh token.
async fn tokens_of(
    gateway: &SharedGateway,
    signed_in: &RenewableSession,
) -> Result<(Bearer, Vec<HeaderValue>), PeopleError> {
    let defect = |error: &dyn std::fmt::Display| PeopleError::Corrupt(error.to_string());
    let (token, bearer) = access(gateway, &signed_in.account, signed_in.family)
        .await
        .map_err(|error| defect(&error))?;
    let cookies = session_cookie::signed_in(gateway, token, signed_in).map_err(|error| defect(&error))?;
    Ok((bearer, cookies.into()))
}

/// A new access token for a person who has signed in, and its contents.
pub(super) async fn access(
    gateway: &SharedGateway,
    who: &UserAccount,
    family: Uuid,
) -> Result<(String, Bearer), Box<dyn std::error::Error + Send + Sync>> {
    let actor = Actor {
        id: who.of.person,
        role: who.role,
        name: who.display_name.clone(),
    };
    let signed_in = SignedIn {
        session: family,
        language: who.language,
    };
    let token = gateway
        .tokens
        .issue_for(who.of.workspace, &actor, ACCESS_SECONDS, Some(signed_in))?;
    let bearer = gateway.tokens.verify(&token).await?;
    Ok((token, (*bearer).clone()))
}

/// The token of a request, and whether a browser sent it in its cookie.
fn presented(headers: &HeaderMap, https: bool) -> Result<Option<(Cow<'_, str>, bool)>, TokenRefusal> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(session_cookie::token(headers, https).map(|token| (Cow::Owned(token), true)));
    };
    let token = value.to_str().ok().and_then(bearer_token);
    let token = token.ok_or(TokenRefusal::Invalid)?;
    Ok(Some((Cow::Borrowed(token), false)))
}

async fn authenticate(
    gateway: &SharedGateway,
    headers: &HeaderMap,
    (uri, address): (&Uri, Client),
) -> Authentication {
    let (token, by_cookie) = match presented(headers, gateway.https) {
        Ok(Some(presented)) => presented,
        Ok(None) => return Authentication::Anonymous,
        Err(refusal) => return Authentication::Refused(refusal),
    };
    let token = match gateway.tokens.verified(&token).await {
        Ok(token) => token,
        Err(refusal) => return Authentication::Refused(refusal),
    };
    if !gateway.presence.is_there(token.bearer.workspace).await {
        return left_behind(gateway, &token, by_cookie, address).await;
    }
    if let Err(refused) = accept(gateway, &token).await {
        return refused;
    }
    Authentication::Accepted(Caller {
        language: language::of(headers, token.bearer.language),
        bearer: Arc::clone(&token.bearer),
        by_cookie,
        origin: Origin::of(headers, uri, &gateway.public),
        address,
    })
}

/// The bearer of a token whose workspace has ended. One whose token would be refused there does not follow.
async fn left_behind(
    gateway: &SharedGateway,
    token: &VerifiedToken,
    by_cookie: bool,
    address: Client,
) -> Authentication {
    let Some(successor) = gateway.presence.moved_to(token.bearer.workspace).await else {
        return Authentication::WorkspaceGone;
    };
    if let Err(refused) = accept(gateway, token).await {
        return refused;
    }
    Authentication::Moved(Follower {
        bearer: Arc::clone(&token.bearer),
        successor,
        by_cookie,
        address,
    })
}

/// A browser that loads a page of a workspace that was reset gets the session of the one that has its place.
/// Other requests of that page belong to what it shows, and are refused with the way there.
async fn follow_with_page(
    gateway: &SharedGateway,
    (method, headers, uri): (&Method, &HeaderMap, &Uri),
    (authentication, cookies): (Authentication, Vec<HeaderValue>),
) -> (Authentication, Vec<HeaderValue>) {
    let Authentication::Moved(follower) = &authentication else {
        return (authentication, cookies);
    };
    let is_page = method.is_safe() && !uri.path().starts_with(API_PATH);
    if !follower.by_cookie || !is_page {
        return (authentication, cookies);
    }
    match follow(gateway, follower).await {
        Ok((bearer, token)) => {
            let caller = Caller {
                language: language::of(headers, None),
                bearer,
                by_cookie: true,
                origin: Origin::of(headers, uri, &gateway.public),
                address: follower.address,
            };
            let cookies = session_cookie::of_guest(gateway, token);
            (Authentication::Accepted(caller), cookies)
        }
        Err(error) => {
            tracing::error!(%error, "a browser could not follow to another workspace");
            (authentication, cookies)
        }
    }
}

/// A token for a follower in the workspace that has the place of theirs, under the same name and role, and
/// its bearer. An account of the old workspace is not in the new one: its person goes on as a guest.
pub(super) async fn follow(
    gateway: &SharedGateway,
    follower: &Follower,
) -> Result<(Arc<Bearer>, String), Box<dyn std::error::Error + Send + Sync>> {
    let (workspace, actor) = (follower.successor, &follower.bearer.actor);
    let token = gateway.tokens.issue(workspace, actor, TTL_SECONDS)?;
    let bearer = gateway.tokens.verify(&token).await?;
    let visit = visit(follower.address);
    gateway.workspaces.guest_follows(workspace, actor.id, &visit);
    SecurityRecord::new(SecurityEvent::WorkspaceJoined)
        .person(workspace.0, actor.id)
        .role(actor.role.as_str())
        .because("reset")
        .write();
    Ok((bearer, token))
}

/// Accepts a verified token with the status of its session, or refuses it. An acceptance is used again for a
/// moment; a refusal always relies on a status that was just read.
async fn accept(gateway: &SharedGateway, token: &VerifiedToken) -> Result<SessionStatus, Authentication> {
    // Both before the look-ups.
    let (changes, now) = (gateway.people.changes(), gateway.clock.now());
    if let Some(status) = token.accepted(changes, now) {
        return Ok(status);
    }
    let bearer = &token.bearer;
    if is_erased(gateway, bearer).await {
        return Err(Authentication::Refused(TokenRefusal::Erased));
    }
    let status = gateway
        .people
        .session_status(bearer.of(), &bearer.presented())
        .await;
    match status {
        Ok(SessionStatus::Ended) => Err(Authentication::Refused(TokenRefusal::SessionEnded)),
        Ok(status) => {
            token.note(status, changes, now);
            Ok(status)
        }
        Err(error) => Err(Authentication::Unknown(error.into())),
    }
}

/// The bearer of a request that [`identify`] would let pass without another word: its token is accepted, and
/// its answer carries no cookie.
pub(super) async fn settled_bearer(gateway: &SharedGateway, headers: &HeaderMap) -> Option<Arc<Bearer>> {
    let (token, by_cookie) = presented(headers, gateway.https).ok()??;
    let token = gateway.tokens.verified(&token).await.ok()?;
    let bearer = &token.bearer;
    if !gateway.presence.is_there(bearer.workspace).await {
        return None;
    }
    let status = accept(gateway, &token).await.ok()?;
    // The session of a browser is renewed when half of its token's time is over, and once after the guest has
    // registered.
    let has_registered = bearer.session.is_none() && status != SessionStatus::Guest;
    if by_cookie && (has_registered || gateway.tokens.is_ageing(bearer)) {
        return None;
    }
    Some(Arc::clone(bearer))
}

/// Whether a token's person was erased. Where that cannot be looked up, the signature counts.
pub(super) async fn is_erased(gateway: &SharedGateway, bearer: &Bearer) -> bool {
    let seals = &gateway.people.seals;
    match seals.is_destroyed(bearer.workspace, bearer.actor.id).await {
        Ok(is_destroyed) => is_destroyed,
        Err(error) => {
            tracing::warn!(%error, "the erasure of a person could not be looked up");
            false
        }
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
