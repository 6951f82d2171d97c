//! The language of a request: chosen for this page in the query, chosen for this browser in a cookie, the
//! person's own, preferred by the browser, or English.

use std::cmp::Reverse;

use axum::http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT_LANGUAGE, SET_COOKIE},
};
use axum_extra::extract::cookie::CookieJar;
use domain::language::Language;

use super::{
    SharedGateway,
    session_cookie::{preference, set_cookie},
};

/// The cookie of a language that was chosen in this browser.
pub(super) const COOKIE: &str = "lang";
/// The query parameter that chooses a language.
const PARAMETER: &str = "lang";
/// How long a browser keeps the choice.
const ONE_YEAR_SECONDS: u64 = 31_536_000;
/// A longer header is not read: the longest that browsers send has a few hundred bytes.
const MAX_HEADER_BYTES: usize = 1_024;

/// The language that the query of a page chooses; an unknown one is ignored.
pub(super) fn chosen(query: Option<&str>) -> Option<Language> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    let (_, code) = pairs.find(|(name, _)| name == PARAMETER)?;
    code.parse().ok()
}

/// Has the browser remember the choice of a query.
pub(super) fn remember(gateway: &SharedGateway, language: Language, headers: &mut HeaderMap) {
    let cookie = set_cookie(
        COOKIE,
        language.code().to_owned(),
        ONE_YEAR_SECONDS,
        gateway.https,
    );
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
}

/// The language of a request without a choice in its query. `person` is the language of the account that is
/// signed in.
pub(super) fn of(headers: &HeaderMap, person: Option<Language>) -> Language {
    let cookies = CookieJar::from_headers(headers);
    let cookie = preference(&cookies, COOKIE).and_then(|code| code.parse().ok());
    cookie
        .or(person)
        .or_else(|| preferred(headers))
        .unwrap_or_default()
}

/// The most preferred language of `Accept-Language` that is offered here (RFC 9110, section 12.5.4).
fn preferred(headers: &HeaderMap) -> Option<Language> {
    let header = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    if header.len() > MAX_HEADER_BYTES {
        return None;
    }
    let mut accepted: Vec<(u16, Language)> = header.split(',').filter_map(range).collect();
    // Among equals, the first one.
    accepted.sort_by_key(|(weight, _)| Reverse(*weight));
    accepted.first().map(|(_, language)| *language)
}

/// A language range with its weight in thousandths; `None` if the language is not offered or not accepted.
fn range(text: &str) -> Option<(u16, Language)> {
    let mut parts = text.split(';').map(str::trim);
    let language = Language::from_tag(parts.next()?)?;
    let weight = match parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="))) {
        None => 1_000,
        Some(weight) => thousandths(weight)?,
    };
    (weight > 0).then_some((weight, language))
}

/// A weight such as `0.8`, in thousandths.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match (whole, format!("{fraction:0<3}").parse().ok()?) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header::COOKIE as COOKIE_HEADER};

    use super::*;

    fn headers(accept: &str, cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([
            (ACCEPT_LANGUAGE, HeaderValue::try_from(accept).unwrap()),
            (COOKIE_HEADER, HeaderValue::try_from(cookie).unwrap()),
        ])
    }

    #[test]
    fn a_browser_prefers_the_language_with_the_largest_weight_that_is_offered() {
        for (header, expected) in [
            ("de", Language::De),
            ("de-AT,de;q=0.9,en;q=0.8", Language::De),
            ("en;q=0.5, ar-EG;q=0.7", Language::Ar),
            ("fi, sv;q=0.9, ja;q=0.1", Language::Ja),
            ("de;q=0, ko;q=0.001", Language::Ko),
            ("zh-Hans-CN;q=1.000, en;q=1", Language::Zh),
            ("de;q=2, fr;q=0.1", Language::Fr),
            ("*", Language::En),
            ("", Language::En),
            (";;q=,", Language::En),
        ] {
            assert_eq!(of(&headers(header, ""), None), expected, "{header}");
        }
        let long = format!("de,{}", "x".repeat(MAX_HEADER_BYTES));
        assert_eq!(of(&headers(&long, ""), None), Language::En);
    }

    #[test]
    fn a_cookie_precedes_the_account_and_that_the_browser() {
        let all = headers("ja", "theme=dark; lang=de");
        assert_eq!(of(&all, Some(Language::Ar)), Language::De);
        let unknown = headers("ja", "lang=xx");
        assert_eq!(of(&unknown, Some(Language::Ar)), Language::Ar);
        assert_eq!(of(&unknown, None), Language::Ja);
    }

    #[test]
    fn a_query_chooses_a_known_language() {
        assert_eq!(chosen(Some("cursor=1&lang=de")), Some(Language::De));
        for query in [None, Some(""), Some("lang"), Some("lang=xx"), Some("language=de")] {
            assert_eq!(chosen(query), None, "{query:?}");
        }
    }
}
