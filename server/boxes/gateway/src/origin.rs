//! Whether a browser's request comes from our own pages.
//!
//! A browser adds its cookies to every request, also to one that another site's page sends. So a request that
//! a cookie authenticates must also come from our own pages. `Origin` tells; where a browser leaves it out,
//! `Sec-Fetch-Site` does.
//!
//! What is ours follows from the public URL of the settings, if it is an HTTPS one: then no header of the
//! request decides. Otherwise it follows from the host that the request names.

use axum::http::{
    HeaderMap, Uri, Version,
    header::{HOST, ORIGIN},
};
use url::Url;

/// How browsers reach this server.
#[derive(Debug, Clone, Default)]
pub struct PublicAddress {
    /// The origin of the public URL, as in `https://shop.example`.
    origin: Option<String>,
    is_https: bool,
}

impl PublicAddress {
    /// The address by the public URL of the settings, and by whether the server speaks HTTPS itself.
    pub fn new(public_url: Option<&Url>, speaks_https: bool) -> Self {
        let origin = public_url.map(|url| url.origin().ascii_serialization());
        Self {
            origin,
            is_https: speaks_https || public_url.is_some_and(|url| url.scheme() == "https"),
        }
    }

    /// Whether browsers reach it by HTTPS: by the server itself, or by a proxy in front.
    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }

    /// The only origin that is ours; `None`: the host of a request says which one is.
    fn only_origin(&self) -> Option<&str> {
        self.origin
            .as_deref()
            .filter(|origin| origin.starts_with("https:"))
    }

    /// The address of this site as the client sees it, such as `https://shop.example`: for links that leave
    /// it. `says_https`: a trusted proxy says that its client speaks HTTPS.
    pub(super) fn site(&self, headers: &HeaderMap, uri: &Uri, says_https: bool) -> String {
        if let Some(origin) = &self.origin {
            return origin.clone();
        }
        let scheme = if self.is_https || says_https {
            "https"
        } else {
            "http"
        };
        host(headers, uri)
            .map(|host| format!("{scheme}://{host}"))
            .unwrap_or_default()
    }
}

/// The host that a request names.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    // HTTP/2 has no Host header.
    host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))
}

/// Whether a request names one host, and no other beside it. HTTP/1.1 names it in exactly one header (RFC
/// 9112, section 3.2): of two, a proxy in front may have read the other one. HTTP/2 names it in the URI,
/// and HTTP/1.0 need not name any; from no host it follows that no origin is ours.
pub(super) fn names_one_host(version: Version, headers: &HeaderMap, uri: &Uri) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
        (None, _) if version >= Version::HTTP_2 => uri.authority().is_some(),
        (None, _) => version <= Version::HTTP_10,
    }
}

/// Whether a header has the characters of a host with a port, and nothing else (RFC 3986, section 3.2).
fn is_host(header: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%:[]!$&'()*+,;=".contains(byte);
    !header.is_empty() && header.iter().all(allowed)
}

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
    /// The origin of a request to a server with this address.
    pub(super) fn of(headers: &HeaderMap, uri: &Uri, address: &PublicAddress) -> Self {
        if let Some(origin) = headers.get(ORIGIN) {
            let Ok(origin) = origin.to_str() else {
                return Self::Foreign;
            };
            let is_ours = match (address.only_origin(), host(headers, uri)) {
                (Some(ours), _) => origin.eq_ignore_ascii_case(ours),
                (None, Some(host)) => is_of_host(origin, host, address.is_https),
                (None, None) => false,
            };
            return if is_ours { Self::Same } else { Self::Foreign };
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

/// A proxy in front may terminate HTTPS, so `https` is always allowed, and `http` only where browsers speak
/// it.
fn is_of_host(origin: &str, host: &str, is_https: bool) -> bool {
    let authority = match origin.split_once("://") {
        Some(("https", authority)) => authority,
        Some(("http", authority)) if !is_https => authority,
        _ => return false,
    };
    authority.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn origin(pairs: &[(&'static str, &'static str)], https: bool) -> Origin {
        let address = PublicAddress::new(None, https);
        Origin::of(&headers(pairs), &Uri::from_static("/"), &address)
    }

    fn public(url: &str) -> PublicAddress {
        PublicAddress::new(Some(&url.parse().unwrap()), false)
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        let names = |version, pairs: &[(&'static str, &'static str)], uri: &'static str| {
            // A map of a list would keep the last one alone.
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            names_one_host(version, &headers, &Uri::from_static(uri))
        };
        let one = [("host", "shop.test:8080")];
        let two = [("host", "shop.test"), ("host", "shop.test")];
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert!(names(version, &one, "/"), "{version:?}");
            assert!(!names(version, &two, "/"), "{version:?}");
            assert!(!names(version, &two, "http://shop.test/"), "{version:?}");
        }
        assert!(!names(Version::HTTP_11, &[], "/"));
        assert!(!names(Version::HTTP_11, &[], "http://shop.test/"));
        assert!(names(Version::HTTP_2, &[], "http://shop.test/") && !names(Version::HTTP_2, &[], "/"));
        assert!(names(Version::HTTP_10, &[], "/"));
        assert!(names(Version::HTTP_11, &[("host", "[::1]:3000")], "/"));
        for host in [
            "",
            "shop.test/",
            "ada@shop.test",
            "shop.test evil.test",
            "shop.test?",
        ] {
            assert!(!names(Version::HTTP_11, &[("host", host)], "/"), "{host}");
        }
    }

    #[test]
    fn with_a_public_https_url_its_origin_alone_is_ours() {
        let address = public("https://Shop.Test:443/somewhere");
        assert!(address.is_https());
        for (from, expected) in [
            ("https://shop.test", Origin::Same),
            ("http://shop.test", Origin::Foreign),
            ("https://shop.test:8443", Origin::Foreign),
            ("http://127.0.0.1:3000", Origin::Foreign),
            ("https://127.0.0.1:3000", Origin::Foreign),
        ] {
            // The proxy may name the server by its own address.
            let sent = headers(&[("host", "127.0.0.1:3000"), ("origin", from)]);
            assert_eq!(
                Origin::of(&sent, &Uri::from_static("/"), &address),
                expected,
                "{from}"
            );
        }
    }

    #[test]
    fn with_a_public_http_url_the_host_of_the_request_decides() {
        let address = public("http://shop.test");
        assert!(!address.is_https());
        let sent = headers(&[("host", "127.0.0.1:3000"), ("origin", "http://127.0.0.1:3000")]);
        assert_eq!(Origin::of(&sent, &Uri::from_static("/"), &address), Origin::Same);
    }

    #[test]
    fn links_lead_to_the_public_url_or_else_to_the_host_of_the_request() {
        let (sent, uri) = (headers(&[("host", "127.0.0.1:3000")]), Uri::from_static("/"));
        let site = |address: &PublicAddress, says_https| address.site(&sent, &uri, says_https);
        assert_eq!(site(&public("https://shop.test/"), false), "https://shop.test");
        let own = PublicAddress::default();
        assert_eq!(site(&own, false), "http://127.0.0.1:3000");
        assert_eq!(site(&own, true), "https://127.0.0.1:3000");
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
