//! How many mails one address gets in an hour.
//!
//! Anyone can open a workspace and register an address in it that is not theirs. So an address is counted in
//! each workspace: what another workspace sends takes nothing from the mails of one's own. All workspaces
//! together have a limit as well, or an attacker could fill a mailbox from many; beyond it each still has a
//! few, because one of them may be the mail that a person waits for.
//!
//! An address that its owner has not confirmed may be a stranger's, so it gets a third.

use std::num::NonZeroU32;

use domain::id::WorkspaceId;
use governor::{DefaultKeyedRateLimiter, Quota};

/// All workspaces together may send as many times what one may.
const WORKSPACES: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);
/// What a workspace may send in an hour, however much others have sent.
const RESERVED: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

/// As many times as others a mail to an address counts that is not confirmed.
const UNCONFIRMED: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);

/// Counts the mails to each address.
#[derive(Debug)]
pub(super) struct HourlyLimit {
    of_workspace: DefaultKeyedRateLimiter<(WorkspaceId, String)>,
    reserved: DefaultKeyedRateLimiter<(WorkspaceId, String)>,
    of_all: DefaultKeyedRateLimiter<String>,
    /// What a mail to an address counts that is not confirmed: no more than the limit.
    unconfirmed: NonZeroU32,
}

impl HourlyLimit {
    /// A limit of `per_hour` mails to an address, of one workspace.
    pub(super) fn new(per_hour: NonZeroU32) -> Self {
        let of_all = per_hour.saturating_mul(WORKSPACES);
        Self {
            of_workspace: DefaultKeyedRateLimiter::keyed(Quota::per_hour(per_hour)),
            reserved: DefaultKeyedRateLimiter::keyed(Quota::per_hour(RESERVED)),
            of_all: DefaultKeyedRateLimiter::keyed(Quota::per_hour(of_all)),
            unconfirmed: UNCONFIRMED.min(per_hour),
        }
    }

    /// Counts a mail, and returns whether it exceeds the limit.
    pub(super) fn is_exceeded(&self, workspace: WorkspaceId, email: &str) -> bool {
        self.exceeds(workspace, email, NonZeroU32::MIN)
    }

    /// The same for an address that is not confirmed.
    pub(super) fn is_exceeded_unconfirmed(&self, workspace: WorkspaceId, email: &str) -> bool {
        self.exceeds(workspace, email, self.unconfirmed)
    }

    fn exceeds(&self, workspace: WorkspaceId, email: &str, cost: NonZeroU32) -> bool {
        let key = (workspace, email.to_owned());
        !matches!(self.of_workspace.check_key_n(&key, cost), Ok(Ok(())))
            || (self.of_all.check_key(&key.1).is_err() && self.reserved.check_key(&key).is_err())
    }

    /// Drops the counts of addresses that are back at zero.
    pub(super) fn forget_idle(&self) {
        self.of_workspace.retain_recent();
        self.reserved.retain_recent();
        self.of_all.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ADA: &str = "ada@shop.test";

    fn workspace(n: u128) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(n))
    }

    fn sent(limit: &HourlyLimit, from: WorkspaceId) -> usize {
        (0..100).take_while(|_| !limit.is_exceeded(from, ADA)).count()
    }

    #[test]
    fn what_another_workspace_sends_takes_nothing_from_ones_own() {
        let limit = HourlyLimit::new(NonZeroU32::new(10).unwrap());
        assert_eq!(sent(&limit, workspace(1)), 10);
        assert_eq!(sent(&limit, workspace(2)), 10);
    }

    #[test]
    fn many_workspaces_together_are_limited_and_each_has_a_few_all_the_same() {
        let limit = HourlyLimit::new(NonZeroU32::new(10).unwrap());
        for attacker in 1..=4 {
            assert_eq!(sent(&limit, workspace(attacker)), 10);
        }
        assert_eq!(sent(&limit, workspace(5)), 2);
        assert_eq!(sent(&limit, workspace(6)), 2);
    }

    #[test]
    fn an_address_that_is_not_confirmed_gets_a_third_but_at_least_one() {
        for (per_hour, expected) in [(30, 10), (3, 1), (1, 1)] {
            let limit = HourlyLimit::new(NonZeroU32::new(per_hour).unwrap());
            let sent = (0..100).take_while(|_| !limit.is_exceeded_unconfirmed(workspace(1), ADA));
            assert_eq!(sent.count(), expected, "of {per_hour}");
        }
    }

    #[test]
    fn another_address_has_its_own_count() {
        let limit = HourlyLimit::new(NonZeroU32::MIN);
        assert_eq!(sent(&limit, workspace(1)), 1);
        assert!(!limit.is_exceeded(workspace(1), "grace@shop.test"));
    }
}
