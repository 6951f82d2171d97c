//! The browser's session: an access token in a cookie that no script can read, and for somebody with an account another one
//! with the token that renews it.

use axum::http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use domain::{access::Actor, id::WorkspaceId};
use identity::sessions::{ACCESS_SECONDS, SIGNED_IN, SignedIn};

use super::{
    SharedGateway,
    tokens::{Bearer, TTL_SECONDS},
};

/// The cookie's name.
pub(super) const NAME: &str = "foldline_session";
/// The name of the cookie that renews a session.
pub(super) const REFRESH: &str = "foldline_refresh";

/// The token in the cookie of a request.
pub(super) fn token(headers: &HeaderMap) -> Option<String> {
    named(headers, NAME)
}

/// The token that renews the session of a request.
pub(super) fn refresh_token(headers: &HeaderMap) -> Option<String> {
    named(headers, REFRESH)
}

fn named(headers: &HeaderMap, name: &str) -> Option<String> {
    CookieJar::from_headers(headers)
        .get(name)
        .map(|cookie| cookie.value().to_owned())
        .filter(|value| !value.is_empty())
}

/// The cookies of somebody with an account, both as values of `Set-Cookie`. The first ends with its token; it is renewed by
/// the second.
pub(super) fn signed_in(
    gateway: &SharedGateway,
    token: String,
    signed_in: &SignedIn,
) -> Result<[HeaderValue; 2], Box<dyn std::error::Error + Send + Sync>> {
    Ok([access(gateway, token)?, refresh(gateway, signed_in)?])
}

/// The cookie with the access token of somebody with an account.
pub(super) fn access(
    gateway: &SharedGateway,
    token: String,
) -> Result<HeaderValue, Box<dyn std::error::Error + Send + Sync>> {
    Ok(set_cookie(NAME, token, ACCESS_SECONDS, gateway.https).parse()?)
}

/// The cookie that renews a session.
pub(super) fn refresh(
    gateway: &SharedGateway,
    signed_in: &SignedIn,
) -> Result<HeaderValue, Box<dyn std::error::Error + Send + Sync>> {
    let token = signed_in.refresh_token.expose().to_owned();
    Ok(set_cookie(REFRESH, token, SIGNED_IN.as_secs(), gateway.https).parse()?)
}

/// A session without an account begins: what would renew another one is taken back.
pub(super) fn end_refresh(gateway: &SharedGateway, headers: &mut HeaderMap) {
    if let Ok(cookie) = set_cookie(REFRESH, String::new(), 0, gateway.https).parse() {
        headers.append(SET_COOKIE, cookie);
    }
}

/// Adds the cookies of a renewed session to an answer, but for those that the handler has set itself: it may have begun or
/// ended a session. The other ones must reach the browser: the token that renewed it is used up.
pub(super) fn add_renewed(cookies: Vec<HeaderValue>, headers: &mut HeaderMap) {
    for cookie in cookies {
        if !sets(headers, name_of(&cookie)) {
            headers.append(SET_COOKIE, cookie);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
}

/// Whether an answer sets a cookie of a session, or takes one back.
pub(super) fn is_set(headers: &HeaderMap) -> bool {
    [NAME, REFRESH].into_iter().any(|name| sets(headers, name))
}

fn sets(headers: &HeaderMap, name: &str) -> bool {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .any(|cookie| name_of(cookie) == name)
}

fn name_of(cookie: &HeaderValue) -> &str {
    let text = cookie.to_str().unwrap_or_default();
    text.split('=').next().unwrap_or_default()
}

/// Takes all cookies of a session back.
pub(super) fn end_all(gateway: &SharedGateway, headers: &mut HeaderMap) {
    for name in [NAME, REFRESH] {
        if let Ok(cookie) = set_cookie(name, String::new(), 0, gateway.https).parse() {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// The cookie of a new session, as the value of `Set-Cookie`.
pub(super) fn begin(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    actor: &Actor,
) -> Result<HeaderValue, Box<dyn std::error::Error>> {
    let token = gateway.tokens.issue(workspace, actor, TTL_SECONDS)?;
    Ok(set_cookie(NAME, token, TTL_SECONDS, gateway.https).parse()?)
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

pub(super) fn set_cookie(name: &'static str, value: String, max_age_seconds: u64, https: bool) -> String {
    let mut cookie = Cookie::build((name, value))
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
        let cookie = set_cookie(NAME, "a.b.c".to_owned(), 60, true);
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
        assert!(!set_cookie(NAME, String::new(), 0, false).contains("Secure"));
    }

    #[test]
    fn what_a_handler_sets_is_not_set_again_and_all_else_is() {
        let set = |text: &'static str| HeaderValue::from_static(text);
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, set("foldline_session=handlers; Path=/"));
        headers.append(SET_COOKIE, set("foldline_written=1; Path=/"));
        let renewed = vec![set("foldline_session=renewed"), set("foldline_refresh=renewed")];
        add_renewed(renewed, &mut headers);
        let all: Vec<_> = headers.get_all(SET_COOKIE).iter().cloned().collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[2], "foldline_refresh=renewed");
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
