//! How many requests a client may send, and how long an answer may take.
//!
//! The rate is a token bucket (GCRA) for each person of a workspace, or for each address of anonymous
//! clients. A request that costs much more than others, or by which an attacker could guess a secret, is
//! charged as several, but never as more than the limit: it is always possible for a client that waits.
//! Requests by which a client takes less are counted by address and apart from all others: they are not
//! refused for what the client has sent before, and a flood of them is limited too.
//!
//! Opening a workspace takes no account, and there its educator chooses the ids of people. So what a person
//! can use up never depends on the person's id alone; what costs much is charged to the address as well.
//!
//! | module | limits |
//! |---|---|
//! | [`attempts`] | wrong passwords of the accounts of an email |
//! | [`turns`] | how much of a shared resource a client has in use and in line |
//! | [`mail_requests`] | links that are requested by email, and addresses that are new |
//! | [`heavy_work`] | verifications and exports at a time |
//!
//! Every refusal goes through [`refuse`] or [`refuse_busy`], which count it by its [`Limit`].

mod attempts;
mod heavy_work;
mod mail_requests;
mod turns;

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
use domain::id::WorkspaceId;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use telemetry::security::{SecurityEvent, SecurityRecord};
use uuid::Uuid;

pub(super) use self::{
    attempts::{Account, Attempt, PasswordAttempts},
    heavy_work::{HeavyWork, OnlyOne},
    mail_requests::MailRequests,
    turns::{Turn, Turns},
};
use super::{
    SharedGateway,
    auth::Caller,
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
/// The cost of a registration with a password, in requests: its hash is expensive.
pub(super) const COST_OF_REGISTERING: u32 = 20;
/// The cost of work that reads the whole log, in requests: an export, a verification, a rebuild.
pub(super) const COST_OF_READING_ALL: u32 = 60;
/// The cost of an intervention of the lab or in a dead letter, in requests: lanes stop or start, and events
/// are folded again.
pub(super) const COST_OF_INTERVENING: u32 = 20;
/// The cost of keeping or reading a recording of the lab, in requests: up to 2,000 events are read.
pub(super) const COST_OF_A_RECORDING: u32 = 20;

/// The cost of a page of metrics, in requests: it is long.
const COST_OF_METRICS: u32 = 20;

/// The requests with a password, of one address, that are worked on at a time.
const PASSWORDS_OF_ADDRESS: usize = 4;
/// The most of them that work or wait: a large class signs in at once.
const MOST_PASSWORDS_OF_ADDRESS: usize = 256;
/// After how many seconds work may be asked for again that another request is doing.
const BUSY_RETRY_SECONDS: u64 = 5;

/// The unit whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// The person whom the token names, in its workspace: another workspace may have a person of the same id.
    Person(WorkspaceId, Uuid),
    /// All people of a workspace together.
    Workspace(WorkspaceId),
    /// An address, or the 64 bits of an IPv6 address that one household has.
    Address(IpAddr),
    /// The same for its requests to take less, which have a count of their own.
    TakingLess(IpAddr),
    /// The same for its requests for metrics: an operator's program must not wait for others of its address.
    Metrics(IpAddr),
    /// This program itself, for a lesson or a bot whose beginning was charged.
    InProcess,
}

/// The limit that a request is over, as the metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Requests of a client in a minute.
    Requests,
    /// Workspaces that an address opens in an hour.
    Workspaces,
    /// Wrong passwords of an account.
    Passwords,
    /// Passwords of an address that wait to be hashed.
    Hashes,
    /// Verifications and exports.
    HeavyWork,
    /// Emails to an account, or to addresses that are new.
    AccountMails,
    /// Live sockets that are open at a time.
    Sockets,
    /// Frames of a live socket, far beyond the requests of its client.
    Frames,
}

impl Limit {
    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Workspaces => "workspaces",
            Self::Passwords => "passwords",
            Self::Hashes => "hashes",
            Self::HeavyWork => "heavy_work",
            Self::AccountMails => "account_mails",
            Self::Sockets => "sockets",
            Self::Frames => "frames",
        }
    }
}

/// The refusal of a request over a limit, which may be sent again after `wait`.
pub(super) fn refuse(limit: Limit, wait: Duration) -> ApiProblem {
    note_refusal(limit);
    let seconds = wait.as_nanos().div_ceil(1_000_000_000).max(1);
    ApiProblem::rate_limited(u64::try_from(seconds).unwrap_or(u64::MAX))
}

/// The refusal of work that another request is doing, with what that is.
fn refuse_busy(limit: Limit, what: &str) -> ApiProblem {
    note_refusal(limit);
    ApiProblem::busy(what, BUSY_RETRY_SECONDS)
}

/// Counts a refusal that has a sentence of its own.
pub(super) fn note_refusal(limit: Limit) {
    SecurityRecord::new(SecurityEvent::LimitExceeded)
        .because(limit.name())
        .write();
    metrics::counter!("foldline_refusals_total", "limit" => limit.name()).increment(1);
}

impl Client {
    /// The address, where it is one.
    pub(super) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) | Self::TakingLess(address) | Self::Metrics(address) => Some(address),
            Self::Person(..) | Self::Workspace(_) | Self::InProcess => None,
        }
    }

    /// The count of an address's requests to take less.
    fn taking_less(self) -> Self {
        self.address().map_or(self, Self::TakingLess)
    }

    /// The count of an address's requests for metrics.
    fn metrics(self) -> Self {
        self.address().map_or(self, Self::Metrics)
    }

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
        let Some((limiter, most)) = self.0.as_ref().filter(|_| address != Client::InProcess) else {
            return Ok(());
        };
        limiter.check_key(&address).map_err(|until| {
            let wait = until.wait_time_from(limiter.clock().now());
            refuse(Limit::Workspaces, wait).with(|problem| {
                problem.detail = format!(
                    "from one address {most} workspaces may be opened in an hour; open another one later, or \
                     join an existing one: {}",
                    problem.detail
                );
            })
        })
    }

    /// Drops the counts of addresses that are back at zero.
    pub(super) fn forget_idle(&self) {
        if let Some((limiter, _)) = &self.0 {
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
        let Some((limiter, _)) = self.0.as_ref().filter(|_| client != Client::InProcess) else {
            return Ok(());
        };
        limiter
            .check_key(&client)
            .map_err(|until| refuse(Limit::Requests, until.wait_time_from(limiter.clock().now())))
    }

    /// Charges a request that costs as much as `cost` requests, or refuses it. One of them was
    /// [counted](Self::count) when it arrived, so only the rest is charged.
    pub(super) fn charge(&self, client: Client, cost: u32) -> Result<(), ApiProblem> {
        let Some((limiter, quota)) = self.0.as_ref().filter(|_| client != Client::InProcess) else {
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
                Err(refuse(
                    Limit::Requests,
                    wait.saturating_add(quota.replenish_interval()),
                ))
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

/// Charges a request that works on a whole workspace, to its address and to the workspace.
pub(super) fn charge_workspace(
    gateway: &SharedGateway,
    caller: &Caller,
    cost: u32,
) -> Result<(), ApiProblem> {
    let address = caller.address();
    if address == Client::InProcess {
        return Ok(());
    }
    gateway.rate.charge(address, cost)?;
    gateway.rate.charge(Client::Workspace(caller.workspace()), cost)
}

/// Counts a request for metrics, by its address and apart from all others, or refuses it.
pub(super) fn count_metrics(gateway: &SharedGateway, address: Client) -> Result<(), ApiProblem> {
    let client = address.metrics();
    gateway.rate.count(client)?;
    gateway.rate.charge(client, COST_OF_METRICS)
}

/// The turns of addresses at hashing passwords. Without limits each has as many as it wants.
pub(super) fn password_turns(is_limited: bool) -> std::sync::Arc<Turns<Client>> {
    if is_limited {
        Turns::new(PASSWORDS_OF_ADDRESS, MOST_PASSWORDS_OF_ADDRESS)
    } else {
        Turns::new(tokio::sync::Semaphore::MAX_PERMITS, usize::MAX)
    }
}

/// Waits for an address's turn at hashing a password.
pub(super) async fn password_turn(
    gateway: &SharedGateway,
    address: Client,
) -> Result<Turn<Client>, ApiProblem> {
    let turn = gateway.password_turns.take(address).await;
    turn.ok_or_else(|| refuse(Limit::Hashes, Duration::from_secs(1)))
}

/// Whether a request ends something of its sender's: the session, or the emails.
fn takes_less(method: &Method, path: &str) -> bool {
    matches!(
        (method, path),
        (&Method::DELETE, "/api/v1/sessions") | (&Method::POST, "/session/leave" | "/unsubscribe")
    )
}

/// Counts a request; the answer to one over the limit. One by which the client takes less is counted by its
/// address, with a session or without: a cookie that is made up is no session.
pub(super) fn refusal(
    gateway: &SharedGateway,
    client: Client,
    Address(address): Address,
    method: &Method,
    uri: &Uri,
) -> Option<Response> {
    let counted = if takes_less(method, uri.path()) {
        address.taking_less()
    } else {
        client
    };
    let problem = gateway.rate.count(counted).err()?;
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
    const COSTS: [u32; 7] = [
        COST_OF_OPENING,
        COST_OF_JOINING,
        COST_OF_SIGNING_IN,
        COST_OF_REGISTERING,
        COST_OF_READING_ALL,
        COST_OF_INTERVENING,
        COST_OF_METRICS,
    ];

    fn retry_after(problem: ApiProblem) -> Duration {
        let response = problem.into_response();
        let seconds = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_client_has_its_own_count() {
        let rate = RateLimit::new(NonZeroU32::new(3));
        let [here, elsewhere] = [1, 2].map(|n| WorkspaceId(Uuid::from_u128(n)));
        let [ada, grace] = [3, 4].map(Uuid::from_u128);
        let one = Client::Person(here, ada);
        for _ in 0..3 {
            rate.count(one).unwrap();
        }
        assert_eq!(rate.count(one).unwrap_err().into_problem().status, 429);
        for other in [
            Client::Person(here, grace),
            // A person whom a stranger has given the same id, in a workspace of their own.
            Client::Person(elsewhere, ada),
            Client::Workspace(here),
        ] {
            rate.count(other).unwrap();
        }
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
    fn requests_to_take_less_have_a_limited_count_of_their_own() {
        let rate = RateLimit::new(NonZeroU32::new(3));
        let address = Client::of_address(None);
        while rate.count(address).is_ok() {}
        for _ in 0..3 {
            rate.count(address.taking_less()).unwrap();
        }
        assert!(rate.count(address.taking_less()).is_err());
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
    fn a_request_of_this_program_itself_is_not_counted() {
        let rate = RateLimit::new(NonZeroU32::new(1));
        let opening = OpeningLimit::new(NonZeroU32::new(1));
        for _ in 0..3 {
            rate.count(Client::InProcess).unwrap();
            rate.charge(Client::InProcess, COST_OF_OPENING).unwrap();
            opening.charge(Address(Client::InProcess)).unwrap();
        }
        assert_eq!(Client::InProcess.address(), None);
    }

    #[test]
    fn the_addresses_of_a_household_are_one_client() {
        let of = |text: &str| Client::of_address(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
