//! Refuses a request whose URL has a control character, or bytes that are not UTF-8, in its path or in a
//! parameter.
//!
//! The URL is decoded here once more, so that no handler needs this check. A framework's own decoding would
//! answer without the parameter's name, or put replacement characters into the text. Forms are checked in the
//! same way where they are read, JSON bodies where they are parsed, frames of the live socket where they are
//! received.

use axum::http::Uri;
use domain::control_character::{self, ControlCharacter};

use super::{params, problem::ApiProblem};

/// The message about a part that is not UTF-8.
const NOT_UTF8: &str = "has bytes that are not UTF-8; percent-encode the text as UTF-8";

/// Whether every name and every text of a form is UTF-8 without a control character.
pub(super) fn is_text(form: &[u8]) -> bool {
    form.split(|byte| matches!(byte, b'&' | b'='))
        .all(|part| text(part).is_ok())
}

/// Whether a part of a URL is its own text: ASCII without a percent sign is not encoded, and a URI has no
/// ASCII control character.
pub(super) fn is_plain(part: &str) -> bool {
    part.is_ascii() && !part.contains('%')
}

/// The problem of such a URL, with the name of the part.
pub(super) fn find_violation(uri: &Uri, route: Option<&str>) -> Option<ApiProblem> {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    if !is_plain(path) {
        for (n, segment) in path.split('/').enumerate() {
            if let Err(message) = text(segment.as_bytes()) {
                return Some(ApiProblem::field(name_of(route, n), message));
            }
        }
    }
    if is_plain(query) {
        return None;
    }
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match text(name.as_bytes()) {
            Ok(name) => text(value.as_bytes())
                .err()
                .map(|message| ApiProblem::field(params::field(&name), message)),
            Err(message) => Some(ApiProblem::field("query", message)),
        }
    })
}

/// The text of a percent-encoded part, or the message about it.
fn text(part: &[u8]) -> Result<String, String> {
    let text = String::from_utf8(decoded(part)).map_err(|_| NOT_UTF8.to_owned())?;
    match control_character::in_line(&text) {
        None => Ok(text),
        Some(character) => Err(ControlCharacter::message(character)),
    }
}

/// Percent-decodes a part like the handlers' extractors: an incomplete escape stays as it is. A plus sign may
/// stand for a space; neither is refused.
fn decoded(part: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part;
    while let [byte, tail @ ..] = rest {
        let escape = match rest {
            [b'%', high, low, tail @ ..] => digit(*high)
                .zip(digit(*low))
                .map(|(high, low)| ((high << 4) | low, tail)),
            _ => None,
        };
        let (byte, tail) = escape.unwrap_or((*byte, tail));
        bytes.push(byte);
        rest = tail;
    }
    bytes
}

/// The name of the parameter that a route has at a segment.
fn name_of(route: Option<&str>, n: usize) -> &str {
    route
        .and_then(|route| route.split('/').nth(n)?.strip_prefix('{')?.strip_suffix('}'))
        .map_or("path", |name| name.trim_start_matches('*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(uri: &str) -> Option<String> {
        let problem = find_violation(&uri.parse().unwrap(), Some("/views/{view}/{key}"))?;
        Some(problem.into_problem().violations.remove(0).field)
    }

    #[test]
    fn the_part_with_a_control_character_is_named() {
        assert_eq!(field("/views/orders/a%00b").as_deref(), Some("key"));
        assert_eq!(field("/views/orders/a&b=%c2%85").as_deref(), Some("key"));
        assert_eq!(field("/views/a%7f/b?q=%00").as_deref(), Some("view"));
        assert_eq!(field("/views%0a/a/b").as_deref(), Some("path"));
        assert_eq!(field("/views/a/b?limit=1&q=a%0Ab").as_deref(), Some("q"));
        assert_eq!(field("/views/a/b?q=a=%0A").as_deref(), Some("q"));
        assert_eq!(field("/views/a/b?%00=1").as_deref(), Some("query"));
        // also where it is not encoded
        assert_eq!(field("/views/orders/a\u{85}b").as_deref(), Some("key"));
        assert_eq!(field("/views/a/b?q=\u{85}").as_deref(), Some("q"));
    }

    #[test]
    fn the_part_that_is_not_utf8_is_named() {
        assert_eq!(field("/views/orders/%ff").as_deref(), Some("key"));
        // a surrogate, an end without its beginning, a beginning without its end, and a character in too many
        // bytes
        assert_eq!(field("/views/orders/%ED%A0%80").as_deref(), Some("key"));
        assert_eq!(field("/views/%a9/b").as_deref(), Some("view"));
        assert_eq!(field("/views/a/b?q=%C3").as_deref(), Some("q"));
        assert_eq!(field("/views/a/b?q=%C0%AF").as_deref(), Some("q"));
        assert_eq!(field("/views%ff/a/b").as_deref(), Some("path"));
        assert_eq!(field("/views/a/b?limit=1&%ff=1").as_deref(), Some("query"));
    }

    #[test]
    fn a_parameter_without_a_name_is_named_by_the_query() {
        assert_eq!(field("/views/orders/1?=%00").as_deref(), Some("query"));
    }

    #[test]
    fn other_characters_pass() {
        assert_eq!(field("/views/a%20b/%E2%80%8F?q=%25+00&r=%2500"), None);
        assert_eq!(field("/views/\u{e9}/%C3%A9?q=\u{e9}&r=%F0%9F%99%82"), None);
        // an incomplete escape stays as it is
        assert_eq!(field("/views/a%/%zz?q=%0&r=100%"), None);
    }

    #[test]
    fn a_form_is_checked_in_the_same_way() {
        assert!(is_text(b""));
        assert!(is_text(b"code=ABC&display_name=Ada+%C3%A9%20Lovelace%"));
        assert!(is_text("display_name=\u{e9}".as_bytes()));
        for form in [
            &b"display_name=A%00"[..],
            b"display_name=A%ff",
            b"display_name=A\xff",
            b"code=a&display_name=\0",
            b"code=a=%0a",
            b"a%00=1",
        ] {
            assert!(!is_text(form), "{form:?}");
        }
    }
}
