//! The emails that clients cause at addresses which may not be theirs.
//!
//! **Links that are requested**, to set a new password or to confirm an address. Each request fills the
//! mailbox of the account's owner, so requests are counted by email, workspace and address, and by email and
//! workspace at all addresses. A request that names a workspace without such an account sends nothing, and
//! takes nothing from those that do. The counts do not depend on whether the account exists. An attacker with
//! many addresses can use up the second count; the links that were sent until then are in the owner's
//! mailbox, and work as long as the count lasts.
//!
//! **Addresses that are new**, by a registration or a change of the email. Such an address may be a
//! stranger's, so what one client address causes is counted, in all workspaces together.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{id::WorkspaceId, timestamp::Timestamp};
use identity::account_links::RESET_VALID_FOR;
use moka::{policy::EvictionPolicy, sync::Cache};

use super::{Account, ApiProblem, Client, Limit, refuse};

/// The time in which requests for links are counted: not longer than a link is valid, so that where no more
/// can be requested, the owner has one that works.
const WINDOW: Duration = RESET_VALID_FOR;
/// The most requests for an account from one address in that time.
const AT_ADDRESS: u32 = 5;
/// The most requests for an account from all addresses in that time.
const ACROSS: u32 = 10;
/// The time in which new addresses are counted.
const NEW_WINDOW: Duration = Duration::from_hours(1);
/// The most new addresses that a client address may cause emails to in that time: several classes in one
/// building register at once.
const NEW_OF_CLIENT: u32 = 300;
/// The most counts of each kind. The oldest goes first.
const CAPACITY: u64 = 50_000;

/// The account that a link is for: the digest of its email or of its person, and the workspace, if one is
/// named.
pub(crate) type RequestedAccount = (Account, Option<WorkspaceId>);

/// The requests since a time.
#[derive(Debug, Default)]
struct Count {
    requests: u32,
    since: Option<Timestamp>,
}

type SharedCount = Arc<Mutex<Count>>;

/// Counts requested links and new addresses.
#[derive(Debug)]
pub(crate) struct MailRequests {
    is_limited: bool,
    at_address: Cache<(RequestedAccount, Client), SharedCount>,
    across: Cache<RequestedAccount, SharedCount>,
    new_of_client: Cache<Client, SharedCount>,
}

impl MailRequests {
    pub(crate) fn new(is_limited: bool) -> Self {
        Self {
            is_limited,
            at_address: bounded(WINDOW),
            across: bounded(WINDOW),
            new_of_client: bounded(NEW_WINDOW),
        }
    }

    /// Counts a request for a link, or refuses it with the time to wait.
    pub(crate) fn charge(
        &self,
        account: RequestedAccount,
        address: Client,
        now: Timestamp,
    ) -> Result<(), ApiProblem> {
        if !self.is_limited {
            return Ok(());
        }
        let here = self.at_address.get_with((account, address), SharedCount::default);
        let across = self.across.get_with(account, SharedCount::default);
        take(&here, AT_ADDRESS, WINDOW, now)?;
        // A refusal by the second count leaves the first one as it is: asking again makes no wait longer.
        take(&across, ACROSS, WINDOW, now).inspect_err(|_| give_back(&here))
    }

    /// Counts a new email address that a client has entered, or refuses it with the time to wait.
    pub(crate) fn charge_new(&self, client: Client, now: Timestamp) -> Result<(), ApiProblem> {
        if !self.is_limited {
            return Ok(());
        }
        let count = self.new_of_client.get_with(client, SharedCount::default);
        take(&count, NEW_OF_CLIENT, NEW_WINDOW, now)
    }
}

fn take(count: &SharedCount, most: u32, window: Duration, now: Timestamp) -> Result<(), ApiProblem> {
    let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
    let passed = count.since.map_or(u64::MAX, |since| now.millis_since(since));
    let left = window.saturating_sub(Duration::from_millis(passed));
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

fn bounded<K: std::hash::Hash + Eq + Send + Sync + 'static>(idle: Duration) -> Cache<K, SharedCount> {
    Cache::builder()
        .max_capacity(CAPACITY)
        .time_to_idle(idle)
        // Not the one that was used least often: made-up accounts must not keep a real one out.
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ADA: RequestedAccount = ([1; 32], None);

    fn address(n: u8) -> Client {
        Client::of_address(Some([192, 0, 2, n].into()))
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros((minutes + 1) * 60_000_000)
    }

    /// How many requests are taken before one is refused.
    fn taken(requests: &MailRequests, account: RequestedAccount, from: Client, now: Timestamp) -> usize {
        let taken = (0..1_000).take_while(|_| requests.charge(account, from, now).is_ok());
        taken.count()
    }

    #[test]
    fn an_address_requests_a_few_links_for_an_account_and_more_when_they_are_not_valid_any_more() {
        let requests = MailRequests::new(true);
        assert_eq!(taken(&requests, ADA, address(1), at(0)), 5);
        assert_eq!(taken(&requests, ADA, address(1), at(29)), 0);
        let grace = ([2; 32], None);
        assert_eq!(taken(&requests, grace, address(1), at(29)), 5, "another account");
        assert_eq!(taken(&requests, ADA, address(1), at(30)), 5);
    }

    #[test]
    fn many_addresses_together_are_limited_and_a_refusal_names_the_wait() {
        let requests = MailRequests::new(true);
        let sum: usize = (1..=9).map(|n| taken(&requests, ADA, address(n), at(0))).sum();
        assert_eq!(sum, 10);
        let refusal = requests.charge(ADA, address(10), at(15)).unwrap_err();
        assert_eq!(refusal.clone().into_problem().status, 429);
        assert!(refusal.into_problem().detail.contains("900 s"));
        assert_eq!(
            taken(&requests, ADA, address(10), at(30)),
            5,
            "the refusals did not count"
        );
    }

    #[test]
    fn requests_that_name_made_up_workspaces_take_nothing_from_an_account() {
        let requests = MailRequests::new(true);
        for made_up in 2..100 {
            let nowhere = ([1; 32], Some(WorkspaceId(Uuid::from_u128(made_up))));
            taken(&requests, nowhere, address(1), at(0));
            taken(&requests, nowhere, address(2), at(0));
        }
        let here = ([1; 32], Some(WorkspaceId(Uuid::from_u128(1))));
        assert_eq!(taken(&requests, here, address(1), at(0)), 5);
        assert_eq!(taken(&requests, ADA, address(2), at(0)), 5);
    }

    #[test]
    fn a_client_address_enters_new_addresses_up_to_its_limit_in_an_hour() {
        let requests = MailRequests::new(true);
        let enter = |client: Client, now: Timestamp| {
            let entered = (0..1_000).take_while(|_| requests.charge_new(client, now).is_ok());
            entered.count()
        };
        assert_eq!(enter(address(1), at(0)), 300);
        assert_eq!(enter(address(2), at(0)), 300);
        assert_eq!(enter(address(1), at(59)), 0);
        assert_eq!(enter(address(1), at(60)), 300);
    }

    #[test]
    fn without_limits_every_request_is_taken() {
        let requests = MailRequests::new(false);
        assert_eq!(taken(&requests, ADA, address(1), at(0)), 1_000);
        for _ in 0..1_000 {
            requests.charge_new(address(1), at(0)).unwrap();
        }
    }
}
