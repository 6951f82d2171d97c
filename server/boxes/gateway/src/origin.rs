//! Whether a browser's request comes from our own pages.
//!
//! A browser adds its cookies to every request, also to one that another site's page sends. So a request that
//! a cookie authenticates must also come from our own pages. `Origin` tells; where a browser leaves it out,
//! `Sec-Fetch-Site` does.

use axum::http::{
    HeaderMap, Uri,
    header::{HOST, ORIGIN},
};

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Our own pages.
    Same,
    /// Some other page.
    Foreign,
    /// The request has neither header: its client is not a browser, or an old one.
    Unknown,
}

impl Origin {
    /// The origin of a request. `https`: whether this server speaks HTTPS itself.
    pub(super) fn of(headers: &HeaderMap, uri: &Uri, https: bool) -> Self {
        if let Some(origin) = headers.get(ORIGIN) {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            // HTTP/2 has no Host header.
            let host = host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
            return match (origin.to_str(), host) {
                (Ok(origin), Some(host)) if is_ours(origin, host, https) => Self::Same,
                _ => Self::Foreign,
            };
        }
        match headers
            .get("sec-fetch-site")
            .map(axum::http::HeaderValue::as_bytes)
        {
            // `none`: typed into the address bar, or a bookmark.
            Some(b"same-origin" | b"none") => Self::Same,
            Some(_) => Self::Foreign,
            None => Self::Unknown,
        }
    }
}

/// The address of this site as the client sees it, such as `https://shop.example`: for links that leave it. A
/// proxy in front that terminates HTTPS says so in `X-Forwarded-Proto`.
pub(super) fn site(headers: &HeaderMap, uri: &Uri, https: bool) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
    let forwarded = headers
        .get("x-forwarded-proto")
        .is_some_and(|scheme| scheme == "https");
    let scheme = if https || forwarded { "https" } else { "http" };
    host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()
}

/// A proxy in front may terminate HTTPS, so `https` is always allowed, and `http` only where the server
/// speaks it.
fn is_ours(origin: &str, host: &str, https: bool) -> bool {
    let authority = match origin.split_once("://") {
        Some(("https", authority)) => authority,
        Some(("http", authority)) if !https => authority,
        _ => return false,
    };
    authority.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(pairs: &[(&'static str, &'static str)], https: bool) -> Origin {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        Origin::of(&headers, &Uri::from_static("/"), https)
    }

    #[test]
    fn our_own_pages_are_the_same_origin() {
        assert_eq!(
            origin(&[("host", "shop.test"), ("origin", "http://shop.test")], false),
            Origin::Same
        );
        assert_eq!(
            origin(
                &[("host", "shop.test:3000"), ("origin", "https://shop.test:3000")],
                true
            ),
            Origin::Same
        );
        assert_eq!(
            origin(&[("host", "shop.test"), ("sec-fetch-site", "same-origin")], false),
            Origin::Same
        );
    }

    #[test]
    fn every_other_origin_is_foreign() {
        for other in [
            "http://shop.test.evil.test",
            "http://evil.test",
            "http://shop.test:8080",
            "null",
            "",
            "ftp://shop.test",
            "http://shop.test@evil.test",
        ] {
            assert_eq!(
                origin(&[("host", "shop.test"), ("origin", other)], false),
                Origin::Foreign,
                "{other}"
            );
        }
        // A page over HTTP is not the origin of a server that speaks HTTPS.
        assert_eq!(
            origin(&[("host", "shop.test"), ("origin", "http://shop.test")], true),
            Origin::Foreign
        );
        assert_eq!(
            origin(&[("host", "shop.test"), ("sec-fetch-site", "same-site")], false),
            Origin::Foreign
        );
    }

    #[test]
    fn without_either_header_the_origin_is_unknown() {
        assert_eq!(origin(&[("host", "shop.test")], false), Origin::Unknown);
    }
}
