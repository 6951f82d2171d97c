//! The answer to a form: a redirect to a page, with the code of a problem in its query.

use axum::{
    http::{HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
};

/// The beginning of every path that a form is sent to.
pub(crate) const PREFIX: &str = "/session/";

/// A redirect to the home page with the code of a problem, and with the join code so that it need not be
/// typed again.
pub(crate) fn refusal(problem: &str, join_code: Option<&str>) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("problem", problem);
    if let Some(code) = join_code {
        let short: String = code.chars().take(40).collect();
        query.append_pair("code", &short);
    }
    see_other(&format!("/?{}", query.finish()))
}

/// A redirect to another page (303 See Other).
pub(crate) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // Paths are ours, and fields are encoded: this is always a header value.
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_cannot_leave_the_query() {
        let response = refusal("unknown-code", Some("//evil.test\r\nSet-Cookie: a=b&problem=x"));
        let location = response.headers()[LOCATION].to_str().unwrap();
        assert_eq!(
            location,
            "/?problem=unknown-code&code=%2F%2Fevil.test%0D%0ASet-Cookie%3A+a%3Db%26problem%3Dx"
        );
    }
}
