//! The security headers of every answer.
//!
//! The content security policy of a page names the nonce of its inline scripts, so it is made with the page.
//! Everything else that the server sends is not a document, and its policy allows nothing.

use axum::{
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::Next,
    response::Response,
};

use super::SharedGateway;

const NOT_A_DOCUMENT: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
         payment=(), usb=()",
    ),
];

/// The policy of a page whose inline scripts carry `nonce`.
///
/// A script runs only for its nonce, or because a script with the nonce imports it: markup that was injected
/// into a page cannot use a file of this server, such as a script of the API's documentation.
/// `'wasm-unsafe-eval'` permits compiling the client, and no other evaluation. There is no inline style.
pub(super) fn page_policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    )
}

/// Middleware: adds the security headers to an answer.
pub(super) async fn security_headers(
    State(gateway): State<SharedGateway>,
    request: Request,
    next: Next,
) -> Response {
    let is_cacheable = request.uri().path().starts_with("/pkg/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        // The picture and the icons may be loaded across origins, and say so.
        headers
            .entry(name)
            .or_insert_with(|| HeaderValue::from_static(value));
    }
    if gateway.https {
        headers.insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOT_A_DOCUMENT));
    }
    if !is_cacheable && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
