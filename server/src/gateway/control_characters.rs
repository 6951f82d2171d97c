//! The URL of a request has no control character: neither its path nor a parameter, whichever endpoint or page it is for.
//!
//! Decoded here once more, so that no handler has to think of it. Bodies are looked at where they are read, as JSON and as
//! forms; frames of the live socket where they are received.

use axum::{
    extract::{MatchedPath, Request},
    http::Uri,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use domain::control_character;

use super::problem::ApiProblem;

/// Refuses a request whose URL has a control character, and names the part.
pub(super) async fn refuse(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    match found(request.uri(), route) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn found(uri: &Uri, route: Option<&str>) -> Option<ApiProblem> {
    // A URI is ASCII: without a percent sign there is nothing to decode.
    let query = uri.query().unwrap_or_default();
    if uri.path().contains('%') {
        for (n, segment) in uri.path().split('/').enumerate() {
            if let Some(character) = in_encoded(segment) {
                return Some(ApiProblem::control_character(name_of(route, n), character));
            }
        }
    }
    if !query.contains('%') {
        return None;
    }
    url::form_urlencoded::parse(query.as_bytes()).find_map(|(name, value)| {
        if let Some(character) = control_character::in_line(&name) {
            return Some(ApiProblem::control_character("query", character));
        }
        control_character::in_line(&value).map(|character| ApiProblem::control_character(name, character))
    })
}

/// The decoder of queries does for paths as well: what it takes for separators are no control characters.
fn in_encoded(segment: &str) -> Option<char> {
    url::form_urlencoded::parse(segment.as_bytes()).find_map(|(name, value)| {
        control_character::in_line(&name).or_else(|| control_character::in_line(&value))
    })
}

/// The parameter that a route has at a segment.
fn name_of(route: Option<&str>, n: usize) -> &str {
    route
        .and_then(|route| route.split('/').nth(n)?.strip_prefix('{')?.strip_suffix('}'))
        .map_or("path", |name| name.trim_start_matches('*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(uri: &str) -> Option<String> {
        let problem = found(&uri.parse().unwrap(), Some("/views/{view}/{key}"))?;
        Some(problem.into_problem().violations.remove(0).field)
    }

    #[test]
    fn the_part_that_has_one_is_named() {
        assert_eq!(field("/views/orders/a%00b").as_deref(), Some("key"));
        assert_eq!(field("/views/orders/a&b=%c2%85").as_deref(), Some("key"));
        assert_eq!(field("/views/a%7f/b?q=%00").as_deref(), Some("view"));
        assert_eq!(field("/views%0a/a/b").as_deref(), Some("path"));
        assert_eq!(field("/views/a/b?limit=1&q=a%0Ab").as_deref(), Some("q"));
        assert_eq!(field("/views/a/b?%00=1").as_deref(), Some("query"));
    }

    #[test]
    fn other_characters_pass() {
        assert_eq!(field("/views/a%20b/%E2%80%8F?q=%25+00&r=%2500"), None);
    }
}
