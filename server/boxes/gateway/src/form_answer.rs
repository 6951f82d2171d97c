//! What a form is answered: its browser is sent to a page, with what was wrong in the query.

use axum::{
    http::{HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
};

/// What the paths begin with that forms are sent to.
pub(super) const PREFIX: &str = "/session/";

/// Back to the start page, with what was typed as the join code so that it need not be typed again.
pub(super) fn refusal(problem: &str, typed_code: Option<&str>) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("problem", problem);
    if let Some(code) = typed_code {
        let short: String = code.chars().take(40).collect();
        query.append_pair("code", &short);
    }
    see_other(&format!("/?{}", query.finish()))
}

/// To another page.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // Paths are ours, and what is typed is encoded: it is always a header value.
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_cannot_leave_the_query() {
        let response = refusal("unknown-code", Some("//evil.test\r\nSet-Cookie: a=b&problem=x"));
        let location = response.headers()[LOCATION].to_str().unwrap();
        assert_eq!(
            location,
            "/?problem=unknown-code&code=%2F%2Fevil.test%0D%0ASet-Cookie%3A+a%3Db%26problem%3Dx"
        );
    }
}
