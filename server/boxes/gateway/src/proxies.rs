//! The address of a client behind a proxy.
//!
//! A proxy connects for its clients, and says for which one in a header: `X-Forwarded-For`, or `Forwarded`
//! (RFC 7239). Any client can send these headers too. So they are believed only from the proxies that the
//! settings name, and only the part that such a proxy has added: each adds the address of its own client on
//! the right, so the client is the rightmost address that is not a trusted proxy's.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A range of addresses, as in `10.0.0.0/8`, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    /// The number of leading bits that all of its addresses have in common.
    prefix: u32,
}

/// A text is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an IP address or a range of them is wanted, as in 10.0.0.0/8 or 2001:db8::1")]
pub struct NotANetwork;

impl Network {
    /// Whether an address is in it. An IPv4 address in IPv6 notation is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let first: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            // No sign: the standard library's parser takes one.
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().map_err(|_| NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
        };
        let network = Self { first, prefix };
        // An address of a range in IPv6 notation would never be compared with it.
        if prefix > bits || first.to_canonical() != first {
            return Err(NotANetwork);
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// Whether an address is that of a trusted proxy.
pub(super) fn is_trusted(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The address of the client of a request: the peer's, or the one that a trusted proxy names.
pub(super) fn client_address(trusted: &[Network], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !is_trusted(trusted, peer) {
        return peer;
    }
    let x_forwarded_for = named(trusted, peer, headers, &X_FORWARDED_FOR, |part| Some(part.trim()));
    let forwarded = named(trusted, peer, headers, &FORWARDED, forwarded_for);
    match (x_forwarded_for, forwarded) {
        (Some(one), Some(other)) if one != other => {
            // A proxy adds to one of the headers, and passes the other on: that is the client's own word.
            // Which one it is cannot be told, so the client is counted with all others of the proxy.
            peer
        }
        (Some(address), _) | (None, Some(address)) => address,
        (None, None) => peer,
    }
}

/// The address of the client of a request, where it is known for certain: `None` behind a proxy that is not
/// trusted, which says that it passes a request on.
pub(super) fn certain_address(trusted: &[Network], peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
    let is_passed_on = [X_FORWARDED_FOR, FORWARDED]
        .iter()
        .any(|header| headers.contains_key(header));
    if is_passed_on && !is_trusted(trusted, peer) {
        return None;
    }
    Some(client_address(trusted, peer, headers))
}

/// Whether a trusted proxy says that its client speaks HTTPS.
pub(super) fn says_https(trusted: &[Network], peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
    peer.is_some_and(|peer| is_trusted(trusted, peer))
        && headers
            .get(X_FORWARDED_PROTO)
            .is_some_and(|scheme| scheme == "https")
}

/// The client by one of the headers; `None`: the request does not have it.
fn named(
    trusted: &[Network],
    peer: IpAddr,
    headers: &HeaderMap,
    header: &HeaderName,
    address_of: impl Fn(&str) -> Option<&str>,
) -> Option<IpAddr> {
    if !headers.contains_key(header) {
        return None;
    }
    let mut nearest = peer;
    // Several lines are one list.
    for line in headers.get_all(header).iter().rev() {
        // What is not text names no address, and neither does anything to the left of it.
        let Ok(line) = line.to_str() else {
            return Some(nearest);
        };
        for part in line.rsplit(',') {
            let Some(address) = address_of(part).and_then(parse_address) else {
                return Some(nearest);
            };
            if !is_trusted(trusted, address) {
                return Some(address);
            }
            nearest = address;
        }
    }
    Some(nearest)
}

/// The address in the parameter `for` of an element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut pairs = element.split(';').map(str::trim);
    pairs.find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| unquoted.unwrap_or(value))
    })
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]:443`.
fn parse_address(text: &str) -> Option<IpAddr> {
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address: Option<IpAddr> = text.parse().ok();
    address
        .or_else(in_brackets)
        .or_else(with_port)
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn client(peer: &str, pairs: &[(&'static str, &'static str)]) -> String {
        let trusted: Vec<Network> = ["10.0.0.0/8", "127.0.0.1", "2001:db8:1::/48"]
            .map(|text| text.parse().unwrap())
            .into();
        client_address(&trusted, address(peer), &headers(pairs)).to_string()
    }

    #[test]
    fn a_range_contains_its_addresses_and_no_others() {
        let cases = [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
        ];
        for (network, of, expected) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address(of)), expected, "{network} {of}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "proxy.test",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "2001:db8::/129",
            "10.0.0/8",
            "::ffff:10.0.0.0/104",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }

    #[test]
    fn a_client_that_is_no_trusted_proxy_is_its_own_address_whatever_it_sends() {
        let forged = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")];
        assert_eq!(client("203.0.113.9", &forged), "203.0.113.9");
        assert_eq!(client("203.0.113.9", &[]), "203.0.113.9");
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_no_trusted_proxys() {
        for (sent, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("198.51.100.7, 192.0.2.1", "192.0.2.1"),
            ("198.51.100.7, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8:2::7", "2001:db8:2::7"),
            ("[2001:db8:2::7]:443", "2001:db8:2::7"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("192.0.2.1, nonsense", "10.0.0.1"),
            ("192.0.2.1, nonsense, 10.0.0.2", "10.0.0.2"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(
                client("10.0.0.1", &[("x-forwarded-for", sent)]),
                expected,
                "{sent}"
            );
        }
        let lines = [
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-for", "192.0.2.1"),
        ];
        assert_eq!(client("10.0.0.1", &lines), "192.0.2.1");
    }

    #[test]
    fn the_header_of_rfc_7239_is_read_too() {
        for (sent, expected) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=\"[2001:db8:2::7]:4711\";proto=https", "2001:db8:2::7"),
            ("for=198.51.100.7, by=10.0.0.1; for=192.0.2.1", "192.0.2.1"),
            ("for=unknown", "10.0.0.1"),
            ("for=_hidden", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[("forwarded", sent)]), expected, "{sent}");
        }
    }

    #[test]
    fn headers_that_contradict_each_other_name_no_client() {
        let contradicting = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.2")];
        assert_eq!(client("127.0.0.1", &contradicting), "127.0.0.1");
        let agreeing = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")];
        assert_eq!(client("127.0.0.1", &agreeing), "192.0.2.1");
    }

    #[test]
    fn only_a_trusted_proxy_says_that_its_client_speaks_https() {
        let trusted = ["127.0.0.1".parse().unwrap()];
        let sent = headers(&[("x-forwarded-proto", "https")]);
        assert!(says_https(&trusted, Some(address("127.0.0.1")), &sent));
        assert!(!says_https(&trusted, Some(address("192.0.2.1")), &sent));
        assert!(!says_https(&trusted, None, &sent));
        assert!(!says_https(
            &trusted,
            Some(address("127.0.0.1")),
            &HeaderMap::new()
        ));
    }
}
