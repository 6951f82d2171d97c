//! The security headers of every answer.
//!
//! The content security policy of a page names the nonce of its inline scripts, so it is made with the page.
//! Everything else that the server sends is not a document, and its policy allows nothing.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        X_CONTENT_TYPE_OPTIONS,
    },
};

static NOT_A_DOCUMENT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The headers of every answer; the picture and the icons may be loaded across origins, and say so.
static ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
             payment=(), usb=()",
        ),
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

/// Adds the security headers to an answer. `https`: whether browsers reach the server by HTTPS.
pub(super) fn add_security_headers(https: bool, is_cacheable: bool, headers: &mut HeaderMap) {
    for (name, value) in &ALWAYS {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    if https {
        headers.insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert_with(|| NOT_A_DOCUMENT.clone());
    if !is_cacheable {
        headers
            .entry(CACHE_CONTROL)
            .or_insert_with(|| HeaderValue::from_static("no-store"));
    }
}

/// Whether the answers at a path may be kept by browsers and proxies.
pub(super) fn is_cacheable(path: &str) -> bool {
    path.starts_with("/pkg/")
}
