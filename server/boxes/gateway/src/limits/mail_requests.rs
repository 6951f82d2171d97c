//! The links that are requested for an account by email: to set a new password, or to confirm the address.
//!
//! Each request fills the mailbox of the account's owner, so requests are counted by account and
//! address, and by account at all addresses. The counts do not depend on whether the account exists. An
//! attacker with many addresses can use up the second count; the links that were sent until then are in the
//! owner's mailbox, and work.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::timestamp::Timestamp;
use moka::{policy::EvictionPolicy, sync::Cache};

use super::{Account, ApiProblem, Client, Limit, refuse};

/// The time in which requests are counted.
const WINDOW: Duration = Duration::from_hours(1);
/// The most requests for an account from one address in that time.
const AT_ADDRESS: u32 = 5;
/// The most requests for an account from all addresses in that time.
const ACROSS: u32 = 20;
/// The most counts of each kind. The oldest goes first.
const CAPACITY: u64 = 50_000;

/// The requests since a time.
#[derive(Debug, Default)]
struct Count {
    requests: u32,
    since: Option<Timestamp>,
}

type SharedCount = Arc<Mutex<Count>>;

/// Counts the requested links.
#[derive(Debug)]
pub(crate) struct MailRequests {
    is_limited: bool,
    at_address: Cache<(Account, Client), SharedCount>,
    across: Cache<Account, SharedCount>,
}

impl MailRequests {
    pub(crate) fn new(is_limited: bool) -> Self {
        Self {
            is_limited,
            at_address: bounded(),
            across: bounded(),
        }
    }

    /// Counts a request, or refuses it with the time to wait.
    pub(crate) fn charge(&self, account: Account, address: Client, now: Timestamp) -> Result<(), ApiProblem> {
        if !self.is_limited {
            return Ok(());
        }
        let here = self.at_address.get_with((account, address), SharedCount::default);
        let across = self.across.get_with(account, SharedCount::default);
        take(&here, AT_ADDRESS, now)?;
        // A refusal by the second count leaves the first one as it is: asking again makes no wait longer.
        take(&across, ACROSS, now).inspect_err(|_| give_back(&here))
    }
}

fn take(count: &SharedCount, most: u32, now: Timestamp) -> Result<(), ApiProblem> {
    let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
    let passed = count.since.map_or(u64::MAX, |since| now.millis_since(since));
    let left = WINDOW.saturating_sub(Duration::from_millis(passed));
    if left.is_zero() {
        *count = Count {
            requests: 0,
            since: Some(now),
        };
    }
    if count.requests >= most {
        return Err(refuse(Limit::AccountMails, left));
    }
    count.requests += 1;
    Ok(())
}

fn give_back(count: &SharedCount) {
    let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
    count.requests = count.requests.saturating_sub(1);
}

fn bounded<K: std::hash::Hash + Eq + Send + Sync + 'static>() -> Cache<K, SharedCount> {
    Cache::builder()
        .max_capacity(CAPACITY)
        .time_to_idle(WINDOW)
        // Not the one that was used least often: made-up accounts must not keep a real one out.
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Account = [1; 32];

    fn address(n: u8) -> Client {
        Client::of_address(Some([192, 0, 2, n].into()))
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros((minutes + 1) * 60_000_000)
    }

    /// How many requests are taken before one is refused.
    fn taken(requests: &MailRequests, account: Account, from: Client, now: Timestamp) -> usize {
        let taken = (0..1_000).take_while(|_| requests.charge(account, from, now).is_ok());
        taken.count()
    }

    #[test]
    fn an_address_requests_a_few_links_for_an_account_and_more_after_an_hour() {
        let requests = MailRequests::new(true);
        assert_eq!(taken(&requests, ADA, address(1), at(0)), 5);
        assert_eq!(taken(&requests, ADA, address(1), at(59)), 0);
        assert_eq!(
            taken(&requests, [2; 32], address(1), at(59)),
            5,
            "another account"
        );
        assert_eq!(taken(&requests, ADA, address(1), at(60)), 5);
    }

    #[test]
    fn many_addresses_together_are_limited_and_a_refusal_names_the_wait() {
        let requests = MailRequests::new(true);
        let sum: usize = (1..=9).map(|n| taken(&requests, ADA, address(n), at(0))).sum();
        assert_eq!(sum, 20);
        let refusal = requests.charge(ADA, address(10), at(30)).unwrap_err();
        assert_eq!(refusal.clone().into_problem().status, 429);
        assert!(refusal.into_problem().detail.contains("1800 s"));
        assert_eq!(
            taken(&requests, ADA, address(10), at(60)),
            5,
            "the refusals did not count"
        );
    }

    #[test]
    fn without_limits_every_request_is_taken() {
        let requests = MailRequests::new(false);
        assert_eq!(taken(&requests, ADA, address(1), at(0)), 1_000);
    }
}
