//! How many mails one address gets in an hour, and how many a workspace sends to addresses that are not
//! confirmed.
//!
//! Anyone can open a workspace and register an address in it that is not theirs. So an address is counted in
//! each workspace: what another workspace sends takes nothing from the mails of one's own. All workspaces
//! together have a limit as well, or an attacker could fill a mailbox from many; beyond it each still has a
//! few, because one of them may be the mail that a person waits for.
//!
//! Each [`MailKind`] has counts of its own. Orders do not use up the mail that tells of a changed password,
//! nor do links that a stranger requests, by which a thief of the account could otherwise keep its owner from
//! noticing.
//!
//! An address that its owner has not confirmed may be a stranger's, so it gets a third, and a workspace sends
//! such addresses a limited number in all: first mails, enough for classes that register in the same hour,
//! and news. Links to set a password and warnings are not limited by workspace: without them a person who has
//! not confirmed the address would have no way back.

use std::num::NonZeroU32;

use domain::id::WorkspaceId;
use governor::{DefaultKeyedRateLimiter, Quota};

/// All workspaces together may send as many times what one may.
const WORKSPACES: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);
/// What a workspace may send in an hour, however much others have sent.
const RESERVED: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

/// As many times as others a mail to an address counts that is not confirmed.
const UNCONFIRMED: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);

/// The least limit by which a workspace's mails to addresses that are not confirmed are counted.
const LEAST_OF_WORKSPACE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// As many times that limit is the number of first mails that a workspace sends in an hour.
const FIRST_MAILS: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
/// The same of news.
const NEWS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// What a mail is about, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum MailKind {
    /// News of the shop.
    News,
    /// A link that confirms the address; the welcome has one.
    Confirmation,
    /// A link to set a new password, which any visitor can request.
    PasswordReset,
    /// A warning that the account has changed.
    Warning,
}

/// An address, as a workspace writes to it.
type Recipient = (WorkspaceId, MailKind, String);

/// Counts the mails to each address.
#[derive(Debug)]
pub(super) struct HourlyLimit {
    of_workspace: DefaultKeyedRateLimiter<Recipient>,
    reserved: DefaultKeyedRateLimiter<Recipient>,
    of_all: DefaultKeyedRateLimiter<(MailKind, String)>,
    /// The mails of a workspace to addresses that are not confirmed.
    first_mails: DefaultKeyedRateLimiter<WorkspaceId>,
    unconfirmed_news: DefaultKeyedRateLimiter<WorkspaceId>,
    /// What a mail to an address counts that is not confirmed: no more than the limit.
    unconfirmed: NonZeroU32,
}

impl HourlyLimit {
    /// A limit of `per_hour` mails of a kind to an address, of one workspace.
    pub(super) fn new(per_hour: NonZeroU32) -> Self {
        let of_all = per_hour.saturating_mul(WORKSPACES);
        let of_workspace = per_hour.max(LEAST_OF_WORKSPACE);
        let all_unconfirmed = |times| Quota::per_hour(of_workspace.saturating_mul(times));
        Self {
            of_workspace: DefaultKeyedRateLimiter::keyed(Quota::per_hour(per_hour)),
            reserved: DefaultKeyedRateLimiter::keyed(Quota::per_hour(RESERVED)),
            of_all: DefaultKeyedRateLimiter::keyed(Quota::per_hour(of_all)),
            first_mails: DefaultKeyedRateLimiter::keyed(all_unconfirmed(FIRST_MAILS)),
            unconfirmed_news: DefaultKeyedRateLimiter::keyed(all_unconfirmed(NEWS)),
            unconfirmed: UNCONFIRMED.min(per_hour),
        }
    }

    /// Counts a mail, and returns whether it exceeds the limit.
    pub(super) fn is_exceeded(&self, workspace: WorkspaceId, kind: MailKind, email: &str) -> bool {
        self.exceeds(workspace, kind, email, NonZeroU32::MIN)
    }

    /// The same for an address that is not confirmed.
    pub(super) fn is_exceeded_unconfirmed(
        &self,
        workspace: WorkspaceId,
        kind: MailKind,
        email: &str,
    ) -> bool {
        self.exceeds(workspace, kind, email, self.unconfirmed)
            || match kind {
                MailKind::Confirmation => self.first_mails.check_key(&workspace).is_err(),
                MailKind::News => self.unconfirmed_news.check_key(&workspace).is_err(),
                MailKind::PasswordReset | MailKind::Warning => false,
            }
    }

    fn exceeds(&self, workspace: WorkspaceId, kind: MailKind, email: &str, cost: NonZeroU32) -> bool {
        let key = (workspace, kind, email.to_owned());
        let of_all = (kind, email.to_owned());
        !matches!(self.of_workspace.check_key_n(&key, cost), Ok(Ok(())))
            || (self.of_all.check_key(&of_all).is_err() && self.reserved.check_key(&key).is_err())
    }

    /// Drops the counts of addresses that are back at zero.
    pub(super) fn forget_idle(&self) {
        self.of_workspace.retain_recent();
        self.reserved.retain_recent();
        self.of_all.retain_recent();
        self.first_mails.retain_recent();
        self.unconfirmed_news.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ADA: &str = "ada@shop.test";

    const KINDS: [MailKind; 4] = [
        MailKind::News,
        MailKind::Confirmation,
        MailKind::PasswordReset,
        MailKind::Warning,
    ];

    fn workspace(n: u128) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(n))
    }

    fn sent(limit: &HourlyLimit, from: WorkspaceId) -> usize {
        sent_of(limit, from, MailKind::News)
    }

    fn sent_of(limit: &HourlyLimit, from: WorkspaceId, kind: MailKind) -> usize {
        (0..100)
            .take_while(|_| !limit.is_exceeded(from, kind, ADA))
            .count()
    }

    /// How many strangers' addresses a workspace writes to.
    fn strangers(limit: &HourlyLimit, from: WorkspaceId, kind: MailKind) -> usize {
        let reached = |n: &usize| {
            let stranger = format!("stranger{n}@shop.test");
            !limit.is_exceeded_unconfirmed(from, kind, &stranger)
        };
        (0..1_000).take_while(reached).count()
    }

    #[test]
    fn what_another_workspace_sends_takes_nothing_from_ones_own() {
        let limit = HourlyLimit::new(NonZeroU32::new(10).unwrap());
        assert_eq!(sent(&limit, workspace(1)), 10);
        assert_eq!(sent(&limit, workspace(2)), 10);
    }

    #[test]
    fn mails_of_one_kind_use_up_nothing_of_another_kind() {
        for first in KINDS {
            let limit = HourlyLimit::new(NonZeroU32::new(10).unwrap());
            // From one's own workspace, and from many others.
            for n in 1..=20 {
                sent_of(&limit, workspace(n), first);
            }
            for other in KINDS.into_iter().filter(|kind| *kind != first) {
                assert_eq!(
                    sent_of(&limit, workspace(1), other),
                    10,
                    "{other:?} after {first:?}"
                );
            }
        }
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
            for kind in KINDS {
                let limit = HourlyLimit::new(NonZeroU32::new(per_hour).unwrap());
                let sent = (0..100).take_while(|_| !limit.is_exceeded_unconfirmed(workspace(1), kind, ADA));
                assert_eq!(sent.count(), expected, "of {per_hour}, {kind:?}");
            }
        }
    }

    #[test]
    fn a_workspace_writes_to_so_many_strangers_and_another_has_its_own_count() {
        for per_hour in [1, 60] {
            let limit = HourlyLimit::new(NonZeroU32::new(per_hour).unwrap());
            for n in 1..=2 {
                assert_eq!(strangers(&limit, workspace(n), MailKind::Confirmation), 120);
                assert_eq!(strangers(&limit, workspace(n), MailKind::News), 600);
                assert_eq!(strangers(&limit, workspace(n), MailKind::PasswordReset), 1_000);
            }
            assert!(!limit.is_exceeded(workspace(1), MailKind::Confirmation, ADA));
        }
    }

    #[test]
    fn another_address_has_its_own_count() {
        let limit = HourlyLimit::new(NonZeroU32::MIN);
        assert_eq!(sent(&limit, workspace(1)), 1);
        assert!(!limit.is_exceeded(workspace(1), MailKind::News, "grace@shop.test"));
    }
}
