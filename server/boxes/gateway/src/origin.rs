//! Whether a browser's request comes from our own pages.
//!
//! A cookie travels with whatever a browser sends, also from another site's page; so what a cookie authenticates must
//! also come from here. `Origin` says where from; where a browser leaves it out, `Sec-Fetch-Site` says it.

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
    /// The sender does not say: not a browser, or an old one.
    Unsaid,
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
            None => Self::Unsaid,
        }
    }
}

/// A proxy in front may speak HTTPS for us, so `https` is allowed always, and `http` only where we speak it.
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
    fn everybody_else_is_foreign() {
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
        // A page that came without encryption does not speak for one that came with it.
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
    fn a_program_does_not_say() {
        assert_eq!(origin(&[("host", "shop.test")], false), Origin::Unsaid);
    }
}
