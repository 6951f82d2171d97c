//! Flash messages: what a form that was sent tells the next page, its fields as typed and their problems.
//! They travel in a cookie that ends with that page and that no script can read; in a URL they would stay in
//! histories and logs. A password is never among the fields.

use std::collections::BTreeMap;

use app::Flash;
use axum::http::{HeaderMap, HeaderValue, header::SET_COOKIE};
use axum_extra::extract::cookie::CookieJar;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    SharedGateway,
    session_cookie::{full_name, set_cookie},
};

/// The cookie's name.
const NAME: &str = "foldline_form";
/// How long a message waits for its page, in seconds.
const MAX_AGE_SECONDS: u64 = 60;
/// The longest value of a field that is kept, in characters; the fields themselves are shorter.
const MAX_VALUE: usize = 300;

/// A message about a form: the fields as typed, and their problems.
pub(crate) fn message(form: &str, typed: &[(&str, &str)], problems: &[(String, String)]) -> Flash {
    let short = |text: &str| text.chars().take(MAX_VALUE).collect::<String>();
    Flash {
        form: form.to_owned(),
        typed: typed
            .iter()
            .map(|(field, value)| ((*field).to_owned(), short(value)))
            .collect(),
        problems: problems.iter().cloned().collect::<BTreeMap<_, _>>(),
    }
}

/// Adds a message to an answer.
pub(crate) fn set(gateway: &SharedGateway, message: &Flash, headers: &mut HeaderMap) {
    // Texts by name: this always serialises.
    let json = serde_json::to_vec(message).unwrap_or_default();
    let cookie = set_cookie(NAME, URL_SAFE_NO_PAD.encode(json), MAX_AGE_SECONDS, gateway.https);
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
}

/// The message of a request.
pub(crate) fn of(gateway: &SharedGateway, headers: &HeaderMap) -> Option<Flash> {
    let jar = CookieJar::from_headers(headers);
    let cookie = jar.get(&full_name(NAME, gateway.https))?;
    let json = URL_SAFE_NO_PAD.decode(cookie.value()).ok()?;
    serde_json::from_slice(&json).ok()
}

/// Removes a message that the page has shown.
pub(crate) fn clear(gateway: &SharedGateway, headers: &mut HeaderMap) {
    if let Ok(cookie) = HeaderValue::try_from(set_cookie(NAME, String::new(), 0, gateway.https)) {
        headers.append(SET_COOKIE, cookie);
    }
}
