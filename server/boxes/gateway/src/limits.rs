//! How much one client may ask for, and how long an answer may take.
//!
//! The rate is a token bucket (GCRA) for each person, or for each address where nobody signed in. What costs much more
//! than a request, or would let somebody guess, is charged as several.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use uuid::Uuid;

use super::{
    SharedGateway, form_answer,
    problem::{ApiProblem, Kind},
};

/// What opening a workspace counts as: its template is dozens of commands.
pub(super) const COST_OF_OPENING: u32 = 60;
/// What joining counts as for the address that it comes from, also of a client with a session: a join code is short, and must not be
/// found by trying.
pub(super) const COST_OF_JOINING: u32 = 20;
/// What a try to sign in counts as: a password must not be found by trying, and its hash is dear.
pub(super) const COST_OF_SIGNING_IN: u32 = 20;
/// What an export counts as: it reads the whole log.
pub(super) const COST_OF_EXPORTING: u32 = 60;

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// Whoever the token names.
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

/// Where a request comes from, whoever has signed in there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address(pub(super) Client);

/// Counts the workspaces that are opened from an address: a limit that signing in does not get around.
#[derive(Debug)]
pub(super) struct OpeningLimit(Option<(DefaultKeyedRateLimiter<Client>, NonZeroU32)>);

impl OpeningLimit {
    /// So many an hour; `None` is no limit.
    pub(super) fn new(per_hour: Option<NonZeroU32>) -> Self {
        Self(per_hour.map(|count| (RateLimiter::keyed(Quota::per_hour(count)), count)))
    }

    /// Counts one.
    pub(super) fn charge(&self, Address(address): Address) -> Result<(), ApiProblem> {
        let Some((limiter, most)) = &self.0 else {
            return Ok(());
        };
        limiter.check_key(&address).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            let seconds = wait.as_secs().saturating_add(1);
            let detail = format!(
                "from one address {most} workspaces may be opened in an hour; open the next one in {seconds} s, or join one \
                 that is there"
            );
            ApiProblem::rate_limited(seconds).with(|problem| problem.detail = detail)
        })
    }

    /// Forgets addresses from which nobody has opened one for a while.
    pub(super) fn forget_idle(&self) {
        if let Some((limiter, _)) = &self.0 {
            limiter.retain_recent();
        }
    }
}

/// Counts the tries at a password, from all addresses together.
///
/// An account has two counts: one for signing in, by its email, and one for what its own session asks the password for. They
/// are not one, because an email is no secret: a stranger who knows it can use up the first, and would keep the owner from
/// changing the password just when that is wanted. The price: an attacker who has both the email and a session has both counts.
#[derive(Debug)]
pub(super) struct SignInLimit(Option<DefaultKeyedRateLimiter<[u8; 32]>>);

impl SignInLimit {
    /// So many a minute; `None` is no limit.
    pub(super) fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self(per_minute.map(|count| RateLimiter::keyed(Quota::per_minute(count))))
    }

    /// Counts one, for what stands for the email, or for the person.
    pub(super) fn charge(&self, account: &[u8; 32]) -> Result<(), ApiProblem> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        limiter.check_key(account).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            ApiProblem::rate_limited(wait.as_secs().saturating_add(1))
        })
    }

    /// Forgets emails that nobody has tried for a while.
    pub(super) fn forget_idle(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
        }
    }
}

/// Counts requests.
#[derive(Debug)]
pub(super) struct RateLimit(Option<(DefaultKeyedRateLimiter<Client>, NonZeroU32)>);

impl RateLimit {
    /// So many a minute; `None` is no limit.
    pub(super) fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self(per_minute.map(|count| (RateLimiter::keyed(Quota::per_minute(count)), count)))
    }

    /// Counts something that costs as much as `cost` requests.
    pub(super) fn charge(&self, client: Client, cost: u32) -> Result<(), ApiProblem> {
        let (Some((limiter, most)), Some(cost)) = (&self.0, NonZeroU32::new(cost)) else {
            return Ok(());
        };
        // A small limit must not make dear things impossible.
        match limiter.check_key_n(&client, cost.min(*most)) {
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(until)) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                Err(ApiProblem::rate_limited(wait.as_secs().saturating_add(1)))
            }
        }
    }

    /// Forgets those who have not asked for a while.
    pub(super) fn forget_idle(&self) {
        if let Some((limiter, _)) = &self.0 {
            limiter.retain_recent();
        }
    }
}

/// Counts a request, and refuses one too many.
pub(super) async fn rate(State(gateway): State<SharedGateway>, request: Request, next: Next) -> Response {
    let client = request
        .extensions()
        .get::<Client>()
        .copied()
        .unwrap_or(Client::of_address(None));
    match gateway.rate.charge(client, 1) {
        Ok(()) => next.run(request).await,
        Err(_) if request.uri().path().starts_with(form_answer::PREFIX) => {
            form_answer::refusal("rate-limited", None)
        }
        Err(problem) => problem.into_response(),
    }
}

/// Gives up on an answer that takes longer than `most`.
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
    use super::*;

    #[test]
    fn each_client_has_its_own_count() {
        let rate = RateLimit::new(NonZeroU32::new(3));
        let [one, two] = [
            Client::Person(Uuid::from_u128(1)),
            Client::Person(Uuid::from_u128(2)),
        ];
        for _ in 0..3 {
            rate.charge(one, 1).unwrap();
        }
        assert_eq!(rate.charge(one, 1).unwrap_err().into_problem().status, 429);
        rate.charge(two, 1).unwrap();
    }

    #[test]
    fn dear_things_stay_possible_under_a_small_limit() {
        let rate = RateLimit::new(NonZeroU32::new(3));
        let client = Client::of_address(None);
        rate.charge(client, COST_OF_OPENING).unwrap();
        assert!(rate.charge(client, 1).is_err());
    }

    #[test]
    fn an_address_opens_so_many_workspaces_and_another_has_its_own_count() {
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
    fn an_email_is_tried_so_often_and_another_has_its_own_count() {
        let sign_ins = SignInLimit::new(NonZeroU32::new(2));
        for _ in 0..2 {
            sign_ins.charge(&[1; 32]).unwrap();
        }
        assert_eq!(sign_ins.charge(&[1; 32]).unwrap_err().into_problem().status, 429);
        sign_ins.charge(&[2; 32]).unwrap();
        SignInLimit::new(None).charge(&[1; 32]).unwrap();
    }

    #[test]
    fn a_household_is_one_client() {
        let of = |text: &str| Client::of_address(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
