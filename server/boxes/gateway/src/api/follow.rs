//! How the people of a workspace that was reset go on in the one that has its place. A browser follows with
//! the next page that it loads; a program asks here.

use axum::{
    Extension, Json,
    extract::State,
    http::{
        HeaderMap, HeaderValue, Uri,
        header::{CACHE_CONTROL, SET_COOKIE},
    },
    response::{IntoResponse as _, Response},
};
use domain::wire::{Problem, SessionAccess};

use super::sessions::require_same_site;
use crate::{
    SharedGateway,
    auth::{self, Authentication, Follower},
    problem::{ApiProblem, Kind},
    session_cookie,
    tokens::TTL_SECONDS,
};

/// Follow to the workspace that has the place of yours
///
/// For a token whose workspace was reset by an educator: requests with it are answered with 410 and
/// `/problems/workspace-moved`, and its sockets got `moved`. The answer is a token for the new workspace,
/// under the same name and role. A person who had an account in the old one goes on as a guest. It can be
/// repeated.
#[utoipa::path(post, path = "/sessions/follow", tag = "sessions", responses(
    (status = 200, body = SessionAccess,
        description = "A token for the new workspace; a browser also gets it as its session cookie"),
    (status = 401, description = "Not signed in, or the token is not accepted", body = Problem),
    (status = 403, description = "Sent by a page of another site", body = Problem),
    (status = 409, description = "The workspace was not reset: the token is valid there", body = Problem),
    (status = 410, description = "The workspace was purged, and no other one has its place", body = Problem),
))]
pub(super) async fn follow(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiProblem> {
    require_same_site(&gateway, &headers, &uri)?;
    let Authentication::Moved(follower) = &authentication else {
        return Err(authentication.refusal().unwrap_or_else(|| {
            let detail = "your workspace was not reset; go on with the token that you have";
            ApiProblem::new(Kind::Conflict, detail)
        }));
    };
    let (token, cookies) = followed(&gateway, follower).await?;
    let access = SessionAccess {
        workspace: follower.successor(),
        token,
        expires_in: TTL_SECONDS,
    };
    Ok(with_cookies(Json(access).into_response(), cookies))
}

/// The token of a person who follows, and for a browser its cookies.
pub(super) async fn followed(
    gateway: &SharedGateway,
    follower: &Follower,
) -> Result<(String, Vec<HeaderValue>), ApiProblem> {
    let there = auth::follow(gateway, follower).await;
    let (_, token) = there.map_err(ApiProblem::internal)?;
    let cookies = if follower.is_browser() {
        session_cookie::of_guest(gateway, token.clone())
    } else {
        Vec::new()
    };
    Ok((token, cookies))
}

/// An answer with a token in it, and these cookies.
pub(super) fn with_cookies(mut answer: Response, cookies: Vec<HeaderValue>) -> Response {
    let headers = answer.headers_mut();
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
