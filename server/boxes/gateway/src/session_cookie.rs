//! The cookies of a browser's session: the access token in a cookie that no script can read, and for a person
//! with an account the refresh token in another.
//!
//! Under HTTPS the names of all cookies begin with `__Host-`. A browser takes such a cookie only over HTTPS,
//! for this host alone and for all of its paths: so neither a page of a neighbouring host nor a listener on
//! the network can set one.

use std::borrow::Cow;

use axum::http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use domain::{access::Actor, id::WorkspaceId};
use identity::sessions::{ACCESS_SECONDS, RenewableSession, SESSION_LIFETIME};

use super::{
    SharedGateway,
    tokens::{Bearer, TTL_SECONDS},
};

/// The name of the cookie with the access token.
pub(super) const NAME: &str = "foldline_session";
/// The name of the cookie with the refresh token.
pub(super) const REFRESH: &str = "foldline_refresh";

/// The beginning of the names of cookies under HTTPS (RFC 6265bis, section 4.1.3.2).
const PREFIX: &str = app::HOST_COOKIE_PREFIX;

/// The name of a cookie as a browser has it.
pub(super) fn full_name(name: &'static str, https: bool) -> Cow<'static, str> {
    if https {
        Cow::Owned(format!("{PREFIX}{name}"))
    } else {
        Cow::Borrowed(name)
    }
}

/// The value of a cookie that says how a page is shown, by either of its names: a script may have set it
/// before the site had HTTPS, and no right follows from it.
pub(super) fn preference<'a>(jar: &'a CookieJar, name: &str) -> Option<&'a str> {
    let cookie = jar.get(&format!("{PREFIX}{name}")).or_else(|| jar.get(name));
    cookie.map(Cookie::value)
}

/// The access token in the cookie of a request.
pub(super) fn token(headers: &HeaderMap, https: bool) -> Option<String> {
    named(headers, &full_name(NAME, https))
}

/// The refresh token in the cookie of a request.
pub(super) fn refresh_token(headers: &HeaderMap, https: bool) -> Option<String> {
    named(headers, &full_name(REFRESH, https))
}

fn named(headers: &HeaderMap, name: &str) -> Option<String> {
    CookieJar::from_headers(headers)
        .get(name)
        .map(|cookie| cookie.value().to_owned())
        .filter(|value| !value.is_empty())
}

/// Both cookies of a session with an account, as values of `Set-Cookie`. The first ends with its token; the
/// second renews it.
pub(super) fn signed_in(
    gateway: &SharedGateway,
    token: String,
    signed_in: &RenewableSession,
) -> Result<[HeaderValue; 2], Box<dyn std::error::Error + Send + Sync>> {
    Ok([access(gateway, token)?, refresh(gateway, signed_in)?])
}

/// The cookie with the access token of a session with an account.
pub(super) fn access(
    gateway: &SharedGateway,
    token: String,
) -> Result<HeaderValue, Box<dyn std::error::Error + Send + Sync>> {
    Ok(set_cookie(NAME, token, ACCESS_SECONDS, gateway.https).parse()?)
}

/// The cookie with the refresh token of a session.
pub(super) fn refresh(
    gateway: &SharedGateway,
    signed_in: &RenewableSession,
) -> Result<HeaderValue, Box<dyn std::error::Error + Send + Sync>> {
    let token = signed_in.refresh_token.expose().to_owned();
    Ok(set_cookie(REFRESH, token, SESSION_LIFETIME.as_secs(), gateway.https).parse()?)
}

/// Removes the refresh token of an earlier session: a session without an account begins.
pub(super) fn end_refresh(gateway: &SharedGateway, headers: &mut HeaderMap) {
    if let Ok(cookie) = set_cookie(REFRESH, String::new(), 0, gateway.https).parse() {
        headers.append(SET_COOKIE, cookie);
    }
}

/// Adds the cookies of a renewed session to an answer, except those that the handler has set itself: it may
/// have begun or ended a session. The others must reach the browser: its old refresh token is used up.
pub(super) fn add_renewed(cookies: Vec<HeaderValue>, headers: &mut HeaderMap) {
    for cookie in cookies {
        if !sets(headers, name_of(&cookie)) {
            headers.append(SET_COOKIE, cookie);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
}

/// Whether an answer sets or removes a cookie of a session.
pub(super) fn is_set(headers: &HeaderMap) -> bool {
    [NAME, REFRESH].into_iter().any(|name| sets(headers, name))
}

fn sets(headers: &HeaderMap, name: &str) -> bool {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .any(|cookie| name_of(cookie) == name)
}

/// The name of a cookie without the prefix of HTTPS.
fn name_of(cookie: &HeaderValue) -> &str {
    let text = cookie.to_str().unwrap_or_default();
    let name = text.split('=').next().unwrap_or_default();
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Removes all cookies of a session.
pub(super) fn end_all(gateway: &SharedGateway, headers: &mut HeaderMap) {
    for name in [NAME, REFRESH] {
        if let Ok(cookie) = set_cookie(name, String::new(), 0, gateway.https).parse() {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// The cookie of a new session without an account, as the value of `Set-Cookie`.
pub(super) fn begin(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    actor: &Actor,
) -> Result<HeaderValue, Box<dyn std::error::Error>> {
    let token = gateway.tokens.issue(workspace, actor, TTL_SECONDS)?;
    Ok(set_cookie(NAME, token, TTL_SECONDS, gateway.https).parse()?)
}

/// The cookies of a session without an account that has this token, in place of an earlier session's.
pub(super) fn of_guest(gateway: &SharedGateway, token: String) -> Vec<HeaderValue> {
    let access = set_cookie(NAME, token, TTL_SECONDS, gateway.https);
    let refresh = set_cookie(REFRESH, String::new(), 0, gateway.https);
    let cookies = [access, refresh].into_iter();
    // Tokens and names are ASCII.
    cookies.filter_map(|cookie| cookie.parse().ok()).collect()
}

/// Renews the token of a session without an account, so that it does not end while it is in use.
pub(super) fn renew(gateway: &SharedGateway, bearer: &Bearer, headers: &mut HeaderMap) {
    // The handler may have begun or ended a session itself.
    if headers.contains_key(SET_COOKIE) {
        return;
    }
    match begin(gateway, bearer.workspace, &bearer.actor) {
        Ok(cookie) => {
            let guest = bearer.actor.id;
            gateway
                .workspaces
                .guest_stays(bearer.workspace, guest, TTL_SECONDS);
            headers.append(SET_COOKIE, cookie);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Err(error) => tracing::error!(%error, "a session could not be renewed"),
    }
}

pub(super) fn set_cookie(name: &'static str, value: String, max_age_seconds: u64, https: bool) -> String {
    let mut cookie = Cookie::build((full_name(name, https), value))
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
    fn under_https_a_cookie_is_bound_to_its_host_and_the_plain_name_counts_for_nothing() {
        let cookie = set_cookie(NAME, "a.b.c".to_owned(), 60, true);
        assert!(cookie.starts_with("__Host-foldline_session=a.b.c;"), "{cookie}");
        assert!(
            cookie.contains("Path=/") && !cookie.contains("Domain"),
            "{cookie}"
        );
        let sent =
            |text| HeaderMap::from_iter([(axum::http::header::COOKIE, HeaderValue::from_static(text))]);
        let host = sent("__Host-foldline_session=a.b.c; __Host-foldline_refresh=d");
        assert_eq!(token(&host, true).as_deref(), Some("a.b.c"));
        assert_eq!(refresh_token(&host, true).as_deref(), Some("d"));
        assert_eq!((token(&host, false), refresh_token(&host, false)), (None, None));
        let plain = sent("foldline_session=a.b.c; foldline_refresh=d");
        assert_eq!((token(&plain, true), refresh_token(&plain, true)), (None, None));
    }

    #[test]
    fn a_preference_is_read_under_either_name_and_first_under_that_of_https() {
        for (sent, expected) in [
            ("theme=dark", Some("dark")),
            ("theme=dark; __Host-theme=light", Some("light")),
            ("lang=de", None),
        ] {
            let headers =
                HeaderMap::from_iter([(axum::http::header::COOKIE, HeaderValue::from_static(sent))]);
            let jar = CookieJar::from_headers(&headers);
            assert_eq!(preference(&jar, "theme"), expected, "{sent}");
        }
    }

    #[test]
    fn a_cookie_that_the_handler_sets_is_not_set_again_and_every_other_is() {
        let set = |text: &'static str| HeaderValue::from_static(text);
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, set("foldline_session=handlers; Path=/"));
        headers.append(SET_COOKIE, set("foldline_written=1; Path=/"));
        let renewed = vec![set("foldline_session=renewed"), set("foldline_refresh=renewed")];
        add_renewed(renewed, &mut headers);
        let all: Vec<_> = headers.get_all(SET_COOKIE).iter().cloned().collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[2], "foldline_refresh=renewed");
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, set("__Host-foldline_session=handlers; Path=/"));
        add_renewed(vec![set("__Host-foldline_session=renewed")], &mut headers);
        assert_eq!(headers.get_all(SET_COOKIE).iter().count(), 1);
        assert!(is_set(&headers));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let headers = HeaderMap::from_iter([(
            axum::http::header::COOKIE,
            HeaderValue::from_static("theme=dark; foldline_session=a.b.c"),
        )]);
        assert_eq!(token(&headers, false).as_deref(), Some("a.b.c"));
    }
}
