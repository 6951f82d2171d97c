//! What a form that was sent says to the page that is shown next: what was typed, and what is wrong with it. It travels in a
//! cookie that ends with that page and that no script can read; in an address it would stay in histories and logs. A
//! password is never among what was typed.

use std::collections::BTreeMap;

use app::FormNotes;
use axum::http::{HeaderMap, HeaderValue, header::SET_COOKIE};
use axum_extra::extract::cookie::CookieJar;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{SharedGateway, session_cookie::set_cookie};

/// The cookie's name.
const NAME: &str = "foldline_form";
/// How long a page may take to come, in seconds.
const KEPT_SECONDS: u64 = 60;
/// The longest value that is given back: fields are shorter.
const MAX_VALUE: usize = 300;

/// Notes about a form.
pub(super) fn about(form: &str, typed: &[(&str, &str)], problems: &[(String, String)]) -> FormNotes {
    let short = |text: &str| text.chars().take(MAX_VALUE).collect::<String>();
    FormNotes {
        form: form.to_owned(),
        typed: typed
            .iter()
            .map(|(field, value)| ((*field).to_owned(), short(value)))
            .collect(),
        problems: problems.iter().cloned().collect::<BTreeMap<_, _>>(),
    }
}

/// Sends notes along with an answer.
pub(super) fn send(gateway: &SharedGateway, notes: &FormNotes, headers: &mut HeaderMap) {
    // Texts by name: this always serialises.
    let json = serde_json::to_vec(notes).unwrap_or_default();
    let cookie = set_cookie(NAME, URL_SAFE_NO_PAD.encode(json), KEPT_SECONDS, gateway.https);
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
}

/// The notes that a request brings.
pub(super) fn of(headers: &HeaderMap) -> Option<FormNotes> {
    let jar = CookieJar::from_headers(headers);
    let json = URL_SAFE_NO_PAD.decode(jar.get(NAME)?.value()).ok()?;
    serde_json::from_slice(&json).ok()
}

/// They have been shown.
pub(super) fn forget(gateway: &SharedGateway, headers: &mut HeaderMap) {
    if let Ok(cookie) = HeaderValue::try_from(set_cookie(NAME, String::new(), 0, gateway.https)) {
        headers.append(SET_COOKIE, cookie);
    }
}
