//! Who is asking: a program with `Authorization: Bearer …`, a browser with the session cookie, or nobody.
//!
//! Somebody with an account has a short token and a cookie that renews it: where the token has ended, or soon will, the
//! request itself renews it, so that nobody is signed out who is still there. A guest's token becomes a session when it
//! registers its guest; every other one of theirs is refused from then on.
//!
//! [`identify`] finds out once a request; handlers take a [`Caller`] and so cannot forget to ask. What a cookie
//! authenticates must come from our own pages wherever it changes something.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::Response,
};
use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
};

use super::{
    SharedGateway,
    limits::{Address, Client},
    origin::Origin,
    problem::{ApiProblem, Kind},
    session_cookie,
    tokens::{Bearer, TokenRefusal},
};
use identity::{
    LookUpError, PeopleError, Registered,
    sessions::{ACCESS_SECONDS, SignInError, SignedIn},
    standing::Standing,
};
use uuid::Uuid;

/// What the paths begin with at which a session is begun, renewed and ended.
const SESSIONS_PATH: &str = "/api/v1/sessions";

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    bearer: Arc<Bearer>,
    by_cookie: bool,
    origin: Origin,
}

/// What a request says about its sender.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    /// Nothing.
    Nobody,
    /// Somebody whose workspace was purged.
    Gone,
    /// Something that is worth nothing.
    Refused(TokenRefusal),
    /// Whether their session has ended cannot be found out now.
    Unknown(ApiProblem),
    /// Who it is.
    Known(Caller),
}

impl Identity {
    /// Who it is, where that is known.
    pub(super) fn caller(self) -> Option<Caller> {
        match self {
            Self::Known(caller) => Some(caller),
            Self::Nobody | Self::Gone | Self::Refused(_) | Self::Unknown(_) => None,
        }
    }
}

impl Caller {
    /// The workspace they are in; they see no other.
    pub(super) fn workspace(&self) -> WorkspaceId {
        self.bearer.workspace
    }

    /// Who they are.
    pub(super) fn actor(&self) -> &Actor {
        &self.bearer.actor
    }

    /// The sign-in of a browser; none where nobody signed in, and for a program, which renews its token itself.
    pub(super) fn session(&self) -> Option<Uuid> {
        self.bearer.session.filter(|_| self.by_cookie)
    }

    /// Whether it is a browser, which renews its token without being asked.
    pub(super) fn is_browser(&self) -> bool {
        self.by_cookie
    }

    /// What their token is good for by now.
    pub(super) async fn standing(&self, gateway: &SharedGateway) -> Result<Standing, LookUpError> {
        let token = self.bearer.presented();
        gateway.people.standing(self.bearer.of(), &token).await
    }

    /// The token's contents.
    pub(super) fn bearer(&self) -> &Arc<Bearer> {
        &self.bearer
    }

    /// Refuses roles that may not inspect the log.
    pub(super) fn must_read_lab(&self) -> Result<(), ApiProblem> {
        if self.actor().role.reads_lab() {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::Forbidden,
                "the log is read by students and educators",
            ))
        }
    }

    /// Refuses roles that do not run the shop: they have nothing to do with what a projection could not apply.
    pub(super) fn must_run_shop(&self) -> Result<(), ApiProblem> {
        if self.actor().role.runs_shop() {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::Forbidden,
                "dead letters are for staff and educators",
            ))
        }
    }

    /// Refuses everybody but educators: the lab bends the pipeline for the whole workspace.
    pub(super) fn must_bend_lab(&self) -> Result<(), ApiProblem> {
        if matches!(self.actor().role, Role::Educator) {
            Ok(())
        } else {
            Err(ApiProblem::new(Kind::Forbidden, "the lab is bent by educators"))
        }
    }

    /// Refuses everybody but educators: nobody else answers for what is lost.
    pub(super) fn must_end_workspace(&self) -> Result<(), ApiProblem> {
        if matches!(self.actor().role, Role::Educator) {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::Forbidden,
                "a workspace is purged by its educators",
            ))
        }
    }

    /// Refuses everybody but educators: an export holds what everybody in the workspace did.
    pub(super) fn must_export(&self) -> Result<(), ApiProblem> {
        if matches!(self.actor().role, Role::Educator) {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Kind::Forbidden,
                "a workspace is exported by its educators",
            ))
        }
    }

    /// Refuses what a browser sends for another site's page. A cookie is taken only where the browser says that it is our
    /// own page that asks; a program that holds a token need not say anything.
    pub(super) fn must_come_from_here(&self) -> Result<(), ApiProblem> {
        let allowed = match self.origin {
            Origin::Same => true,
            Origin::Foreign => false,
            Origin::Unsaid => !self.by_cookie,
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
        match parts.extensions.get::<Identity>() {
            Some(Identity::Known(caller)) => {
                // A program that holds a token may send any Origin it likes; a cookie must not be used by other pages.
                if caller.by_cookie && !parts.method.is_safe() {
                    caller.must_come_from_here()?;
                }
                Ok(caller.clone())
            }
            Some(Identity::Gone) => Err(ApiProblem::workspace_gone()),
            Some(Identity::Refused(refusal)) => Err((*refusal).into()),
            Some(Identity::Unknown(problem)) => Err(problem.clone()),
            Some(Identity::Nobody) | None => Err(ApiProblem::new(
                Kind::Unauthenticated,
                "send an access token as Authorization: Bearer, or open or join a workspace",
            )),
        }
    }
}

/// Finds out who is asking, notes it for handlers and limits, and renews a browser's session that is in use.
pub(super) async fn identify(
    State(gateway): State<SharedGateway>,
    mut request: Request,
    next: Next,
) -> Response {
    let identity = identity_of(&gateway, request.headers(), request.uri()).await;
    let (identity, cookies) = renewed(&gateway, identity, request.headers(), request.uri()).await;
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(address)| address.ip());
    let client = match &identity {
        Identity::Known(caller) => Client::Person(caller.actor().id),
        Identity::Nobody | Identity::Gone | Identity::Refused(_) | Identity::Unknown(_) => {
            Client::of_address(peer)
        }
    };
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(Address(Client::of_address(peer)));
    request.extensions_mut().insert(identity.clone());
    let mut response = next.run(request).await;
    session_cookie::add_renewed(cookies, response.headers_mut());
    if let Identity::Known(caller) = identity
        && caller.by_cookie
        && caller.bearer.session.is_none()
    {
        carry_on(&gateway, &caller, response.headers_mut()).await;
    }
    response
}

/// A browser by a token without a sign-in: while its guest has no account, the token is renewed in time. Once it has
/// registered them, the browser gets the cookies of its session, once.
async fn carry_on(gateway: &SharedGateway, caller: &Caller, answer: &mut HeaderMap) {
    // The handler may have made or ended an account, or a session.
    match caller.standing(gateway).await {
        Ok(Standing::Guest) if gateway.tokens.is_ageing(&caller.bearer) => {
            session_cookie::renew(gateway, &caller.bearer, answer);
        }
        Ok(Standing::Guest | Standing::Over) => {}
        // They are given once, so not where the handler has begun another session.
        Ok(Standing::Session) if session_cookie::is_set(answer) => {}
        Ok(Standing::Session) => match renewable(gateway, caller).await {
            Ok(cookies) => session_cookie::add_renewed(cookies, answer),
            Err(SignInError::Over) => {}
            Err(error) => tracing::warn!(%error, "a session goes on without what would renew it"),
        },
        Err(error) => tracing::warn!(%error, "it could not be found out whether a session has ended"),
    }
}

/// The cookies of the session of a token that has registered its person; none where they were given before, or are not to be.
async fn renewable(gateway: &SharedGateway, caller: &Caller) -> Result<Vec<HeaderValue>, SignInError> {
    let bearer = &caller.bearer;
    let signed_in = gateway
        .people
        .go_on(bearer.of(), bearer.presented().session)
        .await?;
    match signed_in {
        Some(signed_in) => Ok(tokens_of(gateway, &signed_in).await?.1),
        None => Ok(Vec::new()),
    }
}

/// Renews the session of somebody with an account where it is time, and says with which cookies.
async fn renewed(
    gateway: &SharedGateway,
    identity: Identity,
    headers: &HeaderMap,
    uri: &axum::http::Uri,
) -> (Identity, Vec<HeaderValue>) {
    let is_time = match &identity {
        Identity::Known(caller) => caller.session().is_some() && gateway.tokens.is_ageing(&caller.bearer),
        Identity::Nobody | Identity::Refused(_) => true,
        Identity::Gone | Identity::Unknown(_) => false,
    };
    // Whoever asks for the session itself uses the token there.
    let is_about_it = uri.path().starts_with(SESSIONS_PATH);
    if !is_time || is_about_it || headers.contains_key(AUTHORIZATION) {
        return (identity, Vec::new());
    }
    let Some(token) = session_cookie::refresh_token(headers) else {
        return (identity, Vec::new());
    };
    match renew(gateway, &token).await {
        Ok((bearer, cookies)) if gateway.presence.is_there(bearer.workspace).await => {
            let caller = Caller {
                bearer: Arc::new(bearer),
                by_cookie: true,
                origin: Origin::of(headers, uri, gateway.https),
            };
            (Identity::Known(caller), cookies)
        }
        Ok(_) => (Identity::Gone, Vec::new()),
        Err(error) => {
            if !matches!(error, SignInError::Over) {
                tracing::warn!(%error, "a session could not be renewed");
            }
            (identity, Vec::new())
        }
    }
}

async fn renew(gateway: &SharedGateway, token: &str) -> Result<(Bearer, Vec<HeaderValue>), SignInError> {
    let signed_in = gateway.people.renew(token).await?;
    Ok(tokens_of(gateway, &signed_in).await?)
}

/// A new access token of a session, and the cookies with it and with what renews it.
async fn tokens_of(
    gateway: &SharedGateway,
    signed_in: &SignedIn,
) -> Result<(Bearer, Vec<HeaderValue>), PeopleError> {
    let defect = |error: &dyn std::fmt::Display| PeopleError::Corrupt(error.to_string());
    let (token, bearer) = access(gateway, &signed_in.who, signed_in.family)
        .await
        .map_err(|error| defect(&error))?;
    let cookies = session_cookie::signed_in(gateway, token, signed_in).map_err(|error| defect(&error))?;
    Ok((bearer, cookies.into()))
}

/// The access token of somebody who has signed in, and what it says.
pub(super) async fn access(
    gateway: &SharedGateway,
    who: &Registered,
    family: Uuid,
) -> Result<(String, Bearer), Box<dyn std::error::Error + Send + Sync>> {
    let actor = Actor {
        id: who.of.person,
        role: who.role,
        name: who.display_name.clone(),
    };
    let token = gateway
        .tokens
        .issue_for(who.of.workspace, &actor, ACCESS_SECONDS, Some(family))?;
    let bearer = gateway.tokens.verify(&token).await?;
    Ok((token, (*bearer).clone()))
}

async fn identity_of(gateway: &SharedGateway, headers: &HeaderMap, uri: &axum::http::Uri) -> Identity {
    let (token, by_cookie) = match headers.get(AUTHORIZATION) {
        Some(value) => match value.to_str().ok().and_then(bearer_token) {
            Some(token) => (token.to_owned(), false),
            None => return Identity::Refused(TokenRefusal::Invalid),
        },
        None => match session_cookie::token(headers) {
            Some(token) => (token, true),
            None => return Identity::Nobody,
        },
    };
    match gateway.tokens.verify(&token).await {
        Ok(bearer) if !gateway.presence.is_there(bearer.workspace).await => Identity::Gone,
        Ok(bearer) if is_erased(gateway, &bearer).await => Identity::Refused(TokenRefusal::Erased),
        Ok(bearer) => {
            let origin = Origin::of(headers, uri, gateway.https);
            let caller = Caller {
                bearer,
                by_cookie,
                origin,
            };
            match caller.standing(gateway).await {
                Ok(Standing::Guest | Standing::Session) => Identity::Known(caller),
                Ok(Standing::Over) => Identity::Refused(TokenRefusal::Over),
                Err(error) => Identity::Unknown(error.into()),
            }
        }
        Err(refusal) => Identity::Refused(refusal),
    }
}

/// Whether a token speaks for somebody who was erased. Where that cannot be found out, the signature counts.
pub(super) async fn is_erased(gateway: &SharedGateway, bearer: &Bearer) -> bool {
    let seals = &gateway.people.seals;
    match seals.is_destroyed(bearer.workspace, bearer.actor.id).await {
        Ok(is_destroyed) => is_destroyed,
        Err(error) => {
            tracing::warn!(%error, "it could not be found out whether somebody was erased");
            false
        }
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
