//! The attempts at the password of an account: those that fail make the next ones wait, and no number of them
//! locks the owner out.
//!
//! Failures are counted by account and address. After the permitted number of a minute the wait doubles with
//! each further failure, up to [`LONGEST_WAIT`]; a success ends it. At an address where the account was
//! signed in to before, the wait does not grow: another person there cannot keep the owner out.
//!
//! An attacker with many addresses is slowed down by a second count, of the account at all addresses. It
//! makes an address wait only after a failure of its own, and only up to [`LONGEST_WAIT_ACROSS`]. So the
//! owner with the right password gets in from any other address at once.
//!
//! A refused attempt is not counted: asking too early does not make the wait longer. The counts lie in memory
//! of a fixed size, and a restart forgets them.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::timestamp::Timestamp;
use moka::{policy::EvictionPolicy, sync::Cache};

use super::{ApiProblem, Client, Limit, refuse};

/// The digest of an account: of its email when signing in, of its person within a session.
///
/// The two are different accounts here, because an email is no secret: a stranger who tries it must not keep
/// the owner from changing the password in a session, when that matters most.
pub(crate) type Account = [u8; 32];

/// The longest wait at one address.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// The longest wait that failures at other addresses cause.
const LONGEST_WAIT_ACROSS: Duration = Duration::from_mins(1);
/// Failures at other addresses make an address wait after as many times the number that one address has.
const FREE_ACROSS: u32 = 10;
/// As many failures at other addresses make the wait a second longer.
const FAILURES_A_SECOND: u32 = 10;
/// How long after the last failure a count begins anew.
const FORGIVEN_AFTER: Duration = Duration::from_hours(1);
/// How long an address is remembered at which an account was signed in to.
const REMEMBERED_FOR: Duration = Duration::from_hours(30 * 24);
/// The most counts of each kind. The oldest goes first.
const CAPACITY: u64 = 50_000;

/// The failures of an account, at one address or at all.
#[derive(Debug, Default)]
struct Tally {
    failures: u32,
    last_at: Option<Timestamp>,
}

type SharedTally = Arc<Mutex<Tally>>;

impl Tally {
    /// The number of failures that still count.
    fn current(&self, now: Timestamp) -> u32 {
        let is_recent = |at| now.millis_since(at) < millis(FORGIVEN_AFTER);
        if self.last_at.is_some_and(is_recent) {
            self.failures
        } else {
            0
        }
    }

    fn add(&mut self, now: Timestamp) {
        self.failures = self.current(now).saturating_add(1);
        self.last_at = Some(now);
    }

    fn take_back(&mut self) {
        self.failures = self.failures.saturating_sub(1);
    }

    /// What is left of a wait that begins with the last failure.
    fn left_of(&self, wait: Duration, now: Timestamp) -> Duration {
        let passed = self.last_at.map_or(u64::MAX, |at| now.millis_since(at));
        wait.saturating_sub(Duration::from_millis(passed))
    }
}

/// Counts the failed attempts at passwords.
#[derive(Debug)]
pub(crate) struct PasswordAttempts {
    /// Failures at an address that need not wait; `None`: there is no limit.
    permitted: Option<NonZeroU32>,
    at_address: Cache<(Account, Client), SharedTally>,
    across: Cache<Account, SharedTally>,
    known: Cache<(Account, Client), ()>,
}

/// An attempt that may be made. It counts as a failure, also if its request is abandoned, until it is told
/// otherwise.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt<'a>(Option<Counted<'a>>);

#[derive(Debug)]
struct Counted<'a> {
    attempts: &'a PasswordAttempts,
    key: (Account, Client),
    here: SharedTally,
    /// `None` at a known address.
    across: Option<SharedTally>,
}

impl PasswordAttempts {
    /// `per_minute` failures of an account at an address need not wait; `None` is no limit.
    pub(crate) fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self {
            permitted: per_minute,
            at_address: bounded(FORGIVEN_AFTER),
            across: bounded(FORGIVEN_AFTER),
            known: bounded(REMEMBERED_FOR),
        }
    }

    /// Begins an attempt at an account from an address, or refuses it with the time to wait.
    pub(crate) fn begin(
        &self,
        account: Account,
        address: Client,
        now: Timestamp,
    ) -> Result<Attempt<'_>, ApiProblem> {
        let Some(permitted) = self.permitted else {
            return Ok(Attempt(None));
        };
        let key = (account, address);
        let here = self.at_address.get_with(key, SharedTally::default);
        let across = if self.known.contains_key(&key) {
            None
        } else {
            Some(self.across.get_with(account, SharedTally::default))
        };
        {
            let mut of_address = lock(&here);
            let failures = of_address.current(now);
            let elsewhere = across.as_ref().map_or(0, |across| lock(across).current(now));
            let wait = match &across {
                None => wait_at_known_address(failures, permitted),
                Some(_) => {
                    wait_at_address(failures, permitted).max(wait_for_others(failures, elsewhere, permitted))
                }
            };
            let left = of_address.left_of(wait, now);
            if !left.is_zero() {
                return Err(refuse(Limit::Passwords, left));
            }
            of_address.add(now);
        }
        if let Some(across) = &across {
            lock(across).add(now);
        }
        Ok(Attempt(Some(Counted {
            attempts: self,
            key,
            here,
            across,
        })))
    }
}

impl Attempt<'_> {
    /// The password was right: the count of this address ends, and the address is known from now on.
    pub(crate) fn succeed(self) {
        if let Some(counted) = self.0 {
            *lock(&counted.here) = Tally::default();
            counted.attempts.known.insert(counted.key, ());
            if let Some(across) = &counted.across {
                lock(across).take_back();
            }
        }
    }

    /// The password was not compared, or it was right although the request is refused: it does not count.
    pub(crate) fn withdraw(self) {
        if let Some(counted) = self.0 {
            lock(&counted.here).take_back();
            if let Some(across) = &counted.across {
                lock(across).take_back();
            }
        }
    }
}

/// The time in which one more attempt is permitted, of as many in a minute.
fn step(permitted: NonZeroU32) -> Duration {
    Duration::from_mins(1) / permitted.get()
}

/// The wait after a failure at an address: none, then one step, two, four.
fn wait_at_address(failures: u32, permitted: NonZeroU32) -> Duration {
    let Some(beyond) = failures.checked_sub(permitted.get()) else {
        return Duration::ZERO;
    };
    let factor = 1_u32.checked_shl(beyond).unwrap_or(u32::MAX);
    step(permitted).saturating_mul(factor).min(LONGEST_WAIT)
}

/// The same at an address where the account was signed in to: one step.
fn wait_at_known_address(failures: u32, permitted: NonZeroU32) -> Duration {
    wait_at_address(failures, permitted).min(step(permitted))
}

/// The wait after a failure at this address because of those at all addresses.
fn wait_for_others(failures: u32, elsewhere: u32, permitted: NonZeroU32) -> Duration {
    let beyond = elsewhere.saturating_sub(permitted.get().saturating_mul(FREE_ACROSS));
    if failures == 0 {
        return Duration::ZERO;
    }
    let seconds = u64::from(beyond.div_ceil(FAILURES_A_SECOND));
    Duration::from_secs(seconds).min(LONGEST_WAIT_ACROSS)
}

fn bounded<K, V>(idle: Duration) -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(CAPACITY)
        .time_to_idle(idle)
        // Not the one that was used least often: made-up accounts must not keep a real one out.
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

fn lock(tally: &SharedTally) -> MutexGuard<'_, Tally> {
    // A tally is changed in one step: a panic leaves it whole.
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Account = [1; 32];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn address(n: u8) -> Client {
        Client::of_address(Some([192, 0, 2, n].into()))
    }

    fn ten_a_minute() -> PasswordAttempts {
        PasswordAttempts::new(NonZeroU32::new(10))
    }

    fn fail(attempts: &PasswordAttempts, account: Account, client: Client, now: Timestamp) -> bool {
        attempts.begin(account, client, now).is_ok()
    }

    /// Fails until an attempt is refused; how many failed.
    fn exhaust(attempts: &PasswordAttempts, client: Client, now: Timestamp) -> usize {
        (0..1_000)
            .take_while(|_| fail(attempts, ADA, client, now))
            .count()
    }

    /// The seconds between failures that are made as soon as that is permitted.
    fn waits(attempts: &PasswordAttempts, client: Client, count: usize) -> Vec<i64> {
        let (mut now, mut waits) = (0, Vec::new());
        exhaust(attempts, client, at(now));
        while waits.len() < count {
            let wait = (1..10_000)
                .find(|wait| fail(attempts, ADA, client, at(now + wait)))
                .unwrap();
            now += wait;
            waits.push(wait);
        }
        waits
    }

    #[test]
    fn after_the_permitted_failures_each_further_one_doubles_the_wait_up_to_the_longest() {
        let attempts = ten_a_minute();
        let waits = waits(&attempts, address(1), 10);
        assert_eq!(waits, [6, 12, 24, 48, 96, 192, 384, 768, 900, 900]);
    }

    #[test]
    fn another_address_and_another_account_have_their_own_counts() {
        let attempts = ten_a_minute();
        assert_eq!(exhaust(&attempts, address(1), at(0)), 10);
        assert!(fail(&attempts, ADA, address(2), at(0)));
        assert!(fail(&attempts, [2; 32], address(1), at(0)));
    }

    #[test]
    fn a_refused_attempt_does_not_make_the_wait_longer() {
        let attempts = ten_a_minute();
        exhaust(&attempts, address(1), at(0));
        for now in 0..6 {
            assert!(!fail(&attempts, ADA, address(1), at(now)));
        }
        assert!(fail(&attempts, ADA, address(1), at(6)));
    }

    #[test]
    fn a_success_ends_the_count_and_an_hour_without_a_failure_does_too() {
        let attempts = ten_a_minute();
        exhaust(&attempts, address(1), at(0));
        attempts.begin(ADA, address(1), at(6)).unwrap().succeed();
        assert_eq!(exhaust(&attempts, address(1), at(6)), 10);
        assert_eq!(exhaust(&attempts, address(1), at(6 + 3_600)), 10);
    }

    #[test]
    fn the_owner_signs_in_from_any_other_address_while_thousands_attack() {
        let attempts = ten_a_minute();
        for n in 0..2_000_u32 {
            let attacker = Client::of_address(Some(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()));
            exhaust(&attempts, attacker, at(0));
        }
        attempts.begin(ADA, address(1), at(0)).unwrap().succeed();
        // Also after a slip, within the bounded wait.
        assert!(fail(&attempts, ADA, address(2), at(0)));
        assert!(!fail(&attempts, ADA, address(2), at(59)));
        attempts.begin(ADA, address(2), at(60)).unwrap().succeed();
    }

    #[test]
    fn failures_at_other_addresses_slow_an_address_down_slowly() {
        let attempts = ten_a_minute();
        for n in 1..=100 {
            assert!(fail(&attempts, ADA, address(n), at(0)));
        }
        assert!(fail(&attempts, ADA, address(1), at(0)), "a hundred are free");
        assert!(!fail(&attempts, ADA, address(1), at(0)));
        assert!(fail(&attempts, ADA, address(1), at(1)));
    }

    #[test]
    fn at_a_known_address_the_wait_does_not_grow() {
        let attempts = ten_a_minute();
        attempts.begin(ADA, address(1), at(0)).unwrap().succeed();
        assert_eq!(waits(&attempts, address(1), 20), [6; 20]);
    }

    #[test]
    fn a_withdrawn_attempt_does_not_count() {
        let attempts = ten_a_minute();
        for _ in 0..100 {
            attempts.begin(ADA, address(1), at(0)).unwrap().withdraw();
        }
        assert_eq!(exhaust(&attempts, address(1), at(0)), 10);
    }

    #[test]
    fn without_a_limit_there_is_no_wait() {
        let attempts = PasswordAttempts::new(None);
        assert_eq!(exhaust(&attempts, address(1), at(0)), 1_000);
    }

    #[test]
    fn a_refusal_names_the_wait() {
        let attempts = ten_a_minute();
        exhaust(&attempts, address(1), at(0));
        let problem = attempts.begin(ADA, address(1), at(1)).unwrap_err().into_problem();
        assert_eq!(problem.status, 429);
        assert!(problem.detail.contains("5 s"), "{}", problem.detail);
    }
}
