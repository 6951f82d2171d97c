//! The browser's session: an access token in a cookie that no script can read.

use axum::http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use domain::{access::Actor, id::WorkspaceId};

use super::{
    SharedGateway,
    tokens::{Bearer, TTL_SECONDS},
};

/// The cookie's name.
pub(super) const NAME: &str = "foldline_session";

/// The token in the cookie of a request.
pub(super) fn token(headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers)
        .get(NAME)
        .map(|cookie| cookie.value().to_owned())
}

/// The cookie of a new session, as the value of `Set-Cookie`.
pub(super) fn begin(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    actor: &Actor,
) -> Result<HeaderValue, Box<dyn std::error::Error>> {
    let token = gateway.tokens.issue(workspace, actor, TTL_SECONDS)?;
    Ok(set_cookie(token, TTL_SECONDS, gateway.https).parse()?)
}

/// Takes the cookie back.
pub(super) fn end(gateway: &SharedGateway) -> Option<HeaderValue> {
    set_cookie(String::new(), 0, gateway.https).parse().ok()
}

/// A new token for a session that is in use, so that nobody is signed out in the middle of something.
pub(super) fn renew(gateway: &SharedGateway, bearer: &Bearer, headers: &mut HeaderMap) {
    // The handler may have begun or ended a session itself.
    if headers.contains_key(SET_COOKIE) {
        return;
    }
    match begin(gateway, bearer.workspace, &bearer.actor) {
        Ok(cookie) => {
            headers.append(SET_COOKIE, cookie);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Err(error) => tracing::error!(%error, "a session could not be renewed"),
    }
}

fn set_cookie(token: String, max_age_seconds: u64, https: bool) -> String {
    let mut cookie = Cookie::build((NAME, token))
        .http_only(true)
        .same_site(SameSite::Lax)
        .path("/")
        .secure(https)
        .build();
    cookie.set_max_age(std::time::Duration::from_secs(max_age_seconds).try_into().ok());
    cookie.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_script_and_no_other_site_gets_the_cookie() {
        let cookie = set_cookie("a.b.c".to_owned(), 60, true);
        for part in [
            "foldline_session=a.b.c",
            "HttpOnly",
            "SameSite=Lax",
            "Path=/",
            "Secure",
            "Max-Age=60",
        ] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!set_cookie(String::new(), 0, false).contains("Secure"));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let headers = HeaderMap::from_iter([(
            axum::http::header::COOKIE,
            HeaderValue::from_static("theme=dark; foldline_session=a.b.c"),
        )]);
        assert_eq!(token(&headers).as_deref(), Some("a.b.c"));
    }
}
