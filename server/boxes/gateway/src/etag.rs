//! Conditional requests (RFC 9110, section 13.1.2): whether a client has the current version of an answer.

use axum::http::{HeaderMap, HeaderValue, header::IF_NONE_MATCH};

/// Whether `If-None-Match` names this version. It compares weakly, as the header demands.
pub(crate) fn is_known(etag: &HeaderValue, request: &HeaderMap) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(current) = etag.to_str().map(opaque) else {
        return false;
    };
    request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim() == "*" || opaque(known) == current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_by_its_tag_in_any_form() {
        let current = HeaderValue::from_static("W/\"one\"");
        for (sent, known) in [
            ("\"one\"", true),
            ("W/\"one\"", true),
            ("\"zero\", W/\"one\"", true),
            ("*", true),
            ("\"two\"", false),
            ("one", false),
            ("", false),
        ] {
            let request = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(sent))]);
            assert_eq!(is_known(&current, &request), known, "{sent}");
        }
        assert!(!is_known(&current, &HeaderMap::new()));
    }
}
