//! The answer to a form: a redirect to a page, with the code of a problem in its query.

use axum::{
    http::{HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
};

/// The beginning of every path that a form is sent to.
pub(crate) const PREFIX: &str = "/session/";

/// The page that says why a form was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FormPage<'a> {
    /// The home page.
    Home,
    /// The page that opens a workspace with names.
    Open,
    /// The page that joins by a code, which need not be typed again.
    Join(&'a str),
}

/// A redirect to a page with the code of a problem.
pub(crate) fn refusal(problem: &str, page: FormPage<'_>) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("problem", problem);
    let path = match page {
        FormPage::Home => "/",
        FormPage::Open => "/open",
        FormPage::Join(code) => {
            let short: String = code.chars().take(40).collect();
            query.append_pair("code", &short);
            "/join"
        }
    };
    see_other(&format!("{path}?{}", query.finish()))
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
        let response = refusal(
            "unknown-code",
            FormPage::Join("//evil.test\r\nSet-Cookie: a=b&problem=x"),
        );
        let location = response.headers()[LOCATION].to_str().unwrap();
        assert_eq!(
            location,
            "/join?problem=unknown-code&code=%2F%2Fevil.test%0D%0ASet-Cookie%3A+a%3Db%26problem%3Dx"
        );
    }
}
