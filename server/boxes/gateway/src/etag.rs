//! Conditional requests (RFC 9110, sections 13.1.1 and 13.1.2): whether a client has the current version of
//! an answer, and whether what it changes is of the version that it knows.

use axum::http::{
    HeaderMap, HeaderValue,
    header::{IF_MATCH, IF_NONE_MATCH},
};

use super::problem::{ApiProblem, Kind};

/// The versions of which `If-Match` says that the client knows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IfMatch(Vec<String>);

impl IfMatch {
    /// The header of a request; `None`: there is none.
    pub(crate) fn of(request: &HeaderMap) -> Option<Self> {
        if !request.contains_key(IF_MATCH) {
            return None;
        }
        let values = request.get_all(IF_MATCH).iter();
        let tags = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        Some(Self(tags.map(|tag| tag.trim().to_owned()).collect()))
    }

    /// The header of a request that must have it; `of_what` is named where it is missing.
    pub(crate) fn required(request: &HeaderMap, of_what: &str) -> Result<Self, ApiProblem> {
        Self::of(request).ok_or_else(|| {
            let detail =
                format!("send If-Match with the ETag of the {of_what} that you have read, or with *");
            ApiProblem::new(Kind::PreconditionRequired, detail)
        })
    }

    /// Whether it names this version, or any. It compares strongly, as the header demands: a weak tag is of
    /// no version that may be changed.
    pub(crate) fn is_met_by(&self, version: &str) -> bool {
        let quoted = |tag: &str| tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) == Some(version);
        self.0.iter().any(|tag| tag == "*" || quoted(tag))
    }
}

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

    #[test]
    fn a_version_is_changed_by_its_strong_tag_or_any() {
        for (sent, is_met) in [
            ("\"7\"", true),
            ("\"6\", \"7\"", true),
            ("*", true),
            ("W/\"7\"", false),
            ("\"17\"", false),
            ("7", false),
            ("\"7", false),
            ("", false),
        ] {
            let request = HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static(sent))]);
            let expected = IfMatch::of(&request).unwrap();
            assert_eq!(expected.is_met_by("7"), is_met, "{sent}");
        }
        assert_eq!(IfMatch::of(&HeaderMap::new()), None);
    }
}
