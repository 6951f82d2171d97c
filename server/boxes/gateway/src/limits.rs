//! How many requests a client may send, and how long an answer may take.
//!
//! The rate is a token bucket (GCRA) for each person, or for each address of anonymous clients. A request
//! that costs much more than others, or by which an attacker could guess a secret, is charged as several, but
//! never as more than the limit: it is always possible for a client that waits. A request by which the client
//! takes less is counted, and never refused.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use axum::{
    extract::Request,
    http::{Method, Uri},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use uuid::Uuid;

use super::{
    SharedGateway,
    problem::{ApiProblem, Kind},
    web_forms::redirect,
};

/// The cost of opening a workspace, in requests, itself included: its template is dozens of commands.
pub(super) const COST_OF_OPENING: u32 = 60;
/// The cost of joining, in requests. It is charged to the address, also for a client with a session: a join
/// code is short, and must not be guessed.
pub(super) const COST_OF_JOINING: u32 = 20;
/// The cost of an attempt to sign in, in requests: a password must not be guessed, and its hash is expensive.
pub(super) const COST_OF_SIGNING_IN: u32 = 20;
/// The cost of an export, in requests: it reads the whole log.
pub(super) const COST_OF_EXPORTING: u32 = 60;

/// The unit whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// The person whom the token names.
    Person(Uuid),
    /// An address, or the 64 bits of an IPv6 address that one household has.
    Address(IpAddr),
}

impl Client {
    /// The client of a connection.
    pub(super) fn of_address(address: Option<IpAddr>) -> Self {
        Self::Address(match address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => IpAddr::V4(v4),
                None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
            },
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// The address that a request comes from, with a session or without.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address(pub(super) Client);

/// Counts the workspaces that are opened from an address: signing in does not lift this limit.
#[derive(Debug)]
pub(super) struct OpeningLimit(Option<(DefaultKeyedRateLimiter<Client>, NonZeroU32)>);

impl OpeningLimit {
    /// A limit of `per_hour` workspaces an hour; `None` is no limit.
    pub(super) fn new(per_hour: Option<NonZeroU32>) -> Self {
        Self(per_hour.map(|count| (RateLimiter::keyed(Quota::per_hour(count)), count)))
    }

    /// Counts one workspace of an address, or refuses it.
    pub(super) fn charge(&self, Address(address): Address) -> Result<(), ApiProblem> {
        let Some((limiter, most)) = &self.0 else {
            return Ok(());
        };
        limiter.check_key(&address).map_err(|until| {
            let wait = until.wait_time_from(limiter.clock().now());
            let seconds = wait.as_secs().saturating_add(1);
            let detail = format!(
                "from one address {most} workspaces may be opened in an hour; open the next one in \
                 {seconds} s, or join an existing one"
            );
            ApiProblem::rate_limited(seconds).with(|problem| problem.detail = detail)
        })
    }

    /// Drops the counts of addresses that are back at zero.
    pub(super) fn forget_idle(&self) {
        if let Some((limiter, _)) = &self.0 {
            limiter.retain_recent();
        }
    }
}

/// Counts the attempts at a password, from all addresses together.
///
/// An account has two counts: one for signing in, by its email, and one for the requests of its own session
/// that give the password. They are two because an email is no secret: a stranger who knows it can use up the
/// first, and with one count would keep the owner from changing the password when that matters most. The
/// price: an attacker who has both the email and a session has both counts.
#[derive(Debug)]
pub(super) struct SignInLimit(Option<DefaultKeyedRateLimiter<[u8; 32]>>);

impl SignInLimit {
    /// A limit of `per_minute`; `None` is no limit.
    pub(super) fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self(per_minute.map(|count| RateLimiter::keyed(Quota::per_minute(count))))
    }

    /// Counts one attempt, or refuses it. `account` is the digest of the email, or of the person.
    pub(super) fn charge(&self, account: &[u8; 32]) -> Result<(), ApiProblem> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        limiter
            .check_key(account)
            .map_err(|until| refusal_for(until.wait_time_from(limiter.clock().now())))
    }

    /// Drops the counts of accounts that are back at zero.
    pub(super) fn forget_idle(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
        }
    }
}

type ClientLimiter<C> =
    RateLimiter<Client, DefaultKeyedStateStore<Client>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Counts the requests of each client.
#[derive(Debug)]
pub(super) struct RateLimit<C: Clock = DefaultClock>(Option<(ClientLimiter<C>, Quota)>);

impl RateLimit {
    /// A limit of `per_minute`; `None` is no limit.
    pub(super) fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self::with_clock(per_minute, DefaultClock::default())
    }
}

impl<C: Clock> RateLimit<C> {
    fn with_clock(per_minute: Option<NonZeroU32>, clock: C) -> Self {
        Self(per_minute.map(|count| {
            let quota = Quota::per_minute(count);
            let limiter = RateLimiter::new(quota, DefaultKeyedStateStore::default(), clock);
            (limiter, quota)
        }))
    }

    /// Counts a request or a frame of a socket when it arrives, or refuses it.
    pub(super) fn count(&self, client: Client) -> Result<(), ApiProblem> {
        let Some((limiter, _)) = &self.0 else {
            return Ok(());
        };
        limiter
            .check_key(&client)
            .map_err(|until| refusal_for(until.wait_time_from(limiter.clock().now())))
    }

    /// Charges a request that costs as much as `cost` requests, or refuses it. One of them was
    /// [counted](Self::count) when it arrived, so only the rest is charged.
    pub(super) fn charge(&self, client: Client, cost: u32) -> Result<(), ApiProblem> {
        let Some((limiter, quota)) = &self.0 else {
            return Ok(());
        };
        // No more than the limit in all: a small limit must not make an expensive request impossible.
        let cost = cost.min(quota.burst_size().get());
        let Some(rest) = NonZeroU32::new(cost.saturating_sub(1)) else {
            return Ok(());
        };
        match limiter.check_key_n(&client, rest) {
            // The rest is less than the limit, so there is no error.
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(until)) => {
                let wait = until.wait_time_from(limiter.clock().now());
                // The next try is counted as one before its rest is charged.
                Err(refusal_for(wait.saturating_add(quota.replenish_interval())))
            }
        }
    }

    /// Drops the counts of clients that are back at zero.
    pub(super) fn forget_idle(&self) {
        if let Some((limiter, _)) = &self.0 {
            limiter.retain_recent();
        }
    }
}

fn refusal_for(wait: Duration) -> ApiProblem {
    ApiProblem::rate_limited(wait.as_secs().saturating_add(1))
}

/// Whether a request ends something of its sender's: the session, or the emails.
fn takes_less(method: &Method, path: &str) -> bool {
    matches!(
        (method, path),
        (&Method::DELETE, "/api/v1/sessions") | (&Method::POST, "/session/leave" | "/unsubscribe")
    )
}

/// Counts a request; the answer to one over the limit, unless the client takes less by it.
pub(super) fn refusal(
    gateway: &SharedGateway,
    client: Client,
    method: &Method,
    uri: &Uri,
) -> Option<Response> {
    let problem = gateway.rate.count(client).err()?;
    if takes_less(method, uri.path()) {
        return None;
    }
    Some(if uri.path().starts_with(redirect::PREFIX) {
        redirect::refusal("rate-limited", redirect::FormPage::Home)
    } else {
        problem.into_response()
    })
}

/// Middleware: answers "timed out" where the handler takes longer than `most`.
pub(super) async fn within(most: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(most, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiProblem::new(
            Kind::TimedOut,
            format!("no answer within {} ms", most.as_millis()),
        )
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::RETRY_AFTER;
    use governor::clock::FakeRelativeClock;

    use super::*;

    /// The costs of all requests that cost more than one.
    const COSTS: [u32; 4] = [
        COST_OF_OPENING,
        COST_OF_JOINING,
        COST_OF_SIGNING_IN,
        COST_OF_EXPORTING,
    ];

    fn retry_after(problem: ApiProblem) -> Duration {
        let response = problem.into_response();
        let seconds = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_client_has_its_own_count() {
        let rate = RateLimit::new(NonZeroU32::new(3));
        let [one, two] = [
            Client::Person(Uuid::from_u128(1)),
            Client::Person(Uuid::from_u128(2)),
        ];
        for _ in 0..3 {
            rate.count(one).unwrap();
        }
        assert_eq!(rate.count(one).unwrap_err().into_problem().status, 429);
        rate.count(two).unwrap();
    }

    #[test]
    fn every_request_is_possible_under_every_limit_and_after_the_wait_that_its_refusal_names() {
        for most in (1..=130).chain([6_000]) {
            for cost in COSTS {
                let clock = FakeRelativeClock::default();
                let rate = RateLimit::with_clock(NonZeroU32::new(most), clock.clone());
                let client = Client::of_address(None);
                let send = || rate.count(client).and_then(|()| rate.charge(client, cost));
                send().unwrap_or_else(|problem| panic!("{cost} of {most}: {problem:?}"));
                while rate.count(client).is_ok() {}
                // The first refusal is that of any request, the second that of this one.
                let mut refusals = 0;
                while let Err(problem) = send() {
                    refusals += 1;
                    assert!(refusals <= 2, "{cost} of {most}: {problem:?}");
                    clock.advance(retry_after(problem));
                }
            }
        }
    }

    #[test]
    fn a_client_that_takes_less_is_told_apart() {
        for (method, path, expected) in [
            (Method::DELETE, "/api/v1/sessions", true),
            (Method::POST, "/session/leave", true),
            (Method::POST, "/unsubscribe", true),
            (Method::POST, "/api/v1/sessions", false),
            (Method::GET, "/unsubscribe", false),
        ] {
            assert_eq!(takes_less(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn an_address_opens_workspaces_up_to_its_limit_and_another_has_its_own_count() {
        let opening = OpeningLimit::new(NonZeroU32::new(2));
        let [one, two] =
            ["192.0.2.1", "192.0.2.2"].map(|text| Address(Client::of_address(text.parse().ok())));
        for _ in 0..2 {
            opening.charge(one).unwrap();
        }
        let problem = opening.charge(one).unwrap_err().into_problem();
        assert_eq!(problem.status, 429);
        assert!(problem.detail.contains("2 workspaces"), "{}", problem.detail);
        opening.charge(two).unwrap();
        OpeningLimit::new(None).charge(one).unwrap();
    }

    #[test]
    fn an_email_is_tried_up_to_its_limit_and_another_has_its_own_count() {
        let sign_ins = SignInLimit::new(NonZeroU32::new(2));
        for _ in 0..2 {
            sign_ins.charge(&[1; 32]).unwrap();
        }
        assert_eq!(sign_ins.charge(&[1; 32]).unwrap_err().into_problem().status, 429);
        sign_ins.charge(&[2; 32]).unwrap();
        SignInLimit::new(None).charge(&[1; 32]).unwrap();
    }

    #[test]
    fn the_addresses_of_a_household_are_one_client() {
        let of = |text: &str| Client::of_address(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
