//! The attempts at the passwords of an email's accounts: those that fail make the next ones wait, and no
//! number of them locks the owner out.
//!
//! An email may have an account in each workspace, and anyone may open a workspace and register the email of
//! another person there. So a success ends the count of its own account, and of no other one. After the
//! permitted number of failures in a minute, of all accounts of the email from one address, the wait doubles
//! with each further failure, up to [`LONGEST_WAIT`]. At an address where an account was signed in to before,
//! only what failed at this account counts, and the wait does not grow: another person there cannot keep the
//! owner out.
//!
//! **An attempt without a workspace** is one at every account of the email. Each account whose password it is
//! not has a failure by it, also if another account is signed in to: otherwise a person with an account of
//! their own under the email of another one would guess for nothing, by setting each guess as their own
//! password. That costs one number and no look-up, so it takes as long and is as complete however many
//! accounts there are. An account that has to wait is not compared, and the answer does not tell. A right
//! password that is used again is no new guess, and does not count.
//!
//! An attacker with many addresses is slowed down by a second count, of the email at all addresses. It makes
//! an address wait only after a failure of its own, and only up to [`LONGEST_WAIT_ACROSS`]. So the owner with
//! the right password gets in from any other address at once.
//!
//! A refused attempt is not counted: asking too early does not make the wait longer. The counts lie in memory
//! of a fixed size, and a restart forgets them.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{id::WorkspaceId, timestamp::Timestamp};
use moka::{policy::EvictionPolicy, sync::Cache};

use super::{ApiProblem, Client, Limit, refuse};

/// The digest of an email when signing in, and of a person within a session.
///
/// The two are counted apart, because an email is no secret: a stranger who tries it must not keep the owner
/// from changing the password in a session, when that matters most.
pub(crate) type Account = [u8; 32];

/// A digest of a password, as identity makes it.
type PasswordDigest = [u8; 32];

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
/// The most accounts of an email that are counted apart at an address. Failures make the address wait long
/// before it has tried as many.
const MOST_ACCOUNTS: usize = 64;
/// How many right passwords without a workspace are remembered at an address. A person may have accounts with
/// different ones.
const MOST_RIGHT_PASSWORDS: usize = 4;

/// Failures, and when the last one was.
#[derive(Debug, Default)]
struct Tally {
    failures: u32,
    last_at: Option<Timestamp>,
}

type SharedTally = Arc<Mutex<Tally>>;

impl Tally {
    /// The number of failures that still count.
    fn current(&self, now: Timestamp) -> u32 {
        if is_recent(self.last_at, now) {
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
}

/// The attempts without a workspace from an address.
#[derive(Debug, Clone, Copy, Default)]
struct AttemptsAnywhere {
    /// All of them: an account notes the number at its last success.
    made: u64,
    /// Those that do not count any more.
    forgiven: u64,
    last_at: Option<Timestamp>,
}

impl AttemptsAnywhere {
    fn add(&mut self, now: Timestamp) {
        if !is_recent(self.last_at, now) {
            self.forgiven = self.made;
        }
        self.made = self.made.saturating_add(1);
        self.last_at = Some(now);
    }

    fn take_back(&mut self) {
        self.made = self.made.saturating_sub(1).max(self.forgiven);
    }

    /// Those after the first `made` that still count.
    fn since(self, made: u64, now: Timestamp) -> u32 {
        if !is_recent(self.last_at, now) {
            return 0;
        }
        let after = self.made.saturating_sub(made.max(self.forgiven));
        u32::try_from(after).unwrap_or(u32::MAX)
    }
}

/// What an address has tried at one account.
#[derive(Debug, Default)]
struct AccountTally {
    /// Failures of attempts that name its workspace.
    named: Tally,
    /// How many attempts without a workspace there were at its last success.
    anywhere_at_success: u64,
}

/// What an address has tried at all accounts of an email.
#[derive(Debug, Default)]
struct AddressTally {
    /// The failures of all accounts together.
    all: Tally,
    anywhere: AttemptsAnywhere,
    accounts: HashMap<WorkspaceId, AccountTally>,
    /// The last right passwords without a workspace, the newest at the end.
    right: Vec<PasswordDigest>,
}

type SharedAddressTally = Arc<Mutex<AddressTally>>;

impl AddressTally {
    /// What is left of the wait for an account that was never signed in to from here, with the failures at
    /// all addresses.
    fn wait(&self, elsewhere: u32, permitted: NonZeroU32, now: Timestamp) -> Duration {
        let failures = self.all.current(now);
        let wait = wait_at_address(failures, permitted).max(wait_for_others(failures, elsewhere, permitted));
        left_of(wait, self.all.last_at, now)
    }

    /// The same for an account that was signed in to from here, at a time with these attempts without a
    /// workspace.
    fn wait_of_known(
        &self,
        workspace: WorkspaceId,
        anywhere: AttemptsAnywhere,
        permitted: NonZeroU32,
        now: Timestamp,
    ) -> Duration {
        let account = self.accounts.get(&workspace);
        let (named, at_success, last_at) = account.map_or((0, 0, None), |account| {
            (
                account.named.current(now),
                account.anywhere_at_success,
                account.named.last_at,
            )
        });
        let without_workspace = anywhere.since(at_success, now);
        let last_at = if without_workspace > 0 {
            last_at.max(anywhere.last_at)
        } else {
            last_at
        };
        let wait = wait_at_known_address(named.saturating_add(without_workspace), permitted);
        left_of(wait, last_at, now)
    }

    fn add(&mut self, workspace: WorkspaceId, now: Timestamp) {
        self.all.add(now);
        self.account(workspace).named.add(now);
    }

    fn take_back(&mut self, workspace: WorkspaceId) {
        self.all.take_back();
        self.account(workspace).named.take_back();
    }

    /// Ends the count of an account, and takes it out of the sum.
    fn succeed(&mut self, workspace: WorkspaceId) {
        let made = self.anywhere.made;
        let account = self.account(workspace);
        let failures = account.named.failures;
        *account = AccountTally {
            named: Tally::default(),
            anywhere_at_success: made,
        };
        self.all.failures = self.all.failures.saturating_sub(failures);
    }

    fn account(&mut self, workspace: WorkspaceId) -> &mut AccountTally {
        if self.accounts.len() >= MOST_ACCOUNTS && !self.accounts.contains_key(&workspace) {
            let oldest = self.accounts.iter().min_by_key(|(_, tally)| tally.named.last_at);
            if let Some(oldest) = oldest.map(|(workspace, _)| *workspace) {
                self.accounts.remove(&oldest);
            }
        }
        self.accounts.entry(workspace).or_default()
    }

    /// Notes a right password; whether it is a new one.
    fn note_right(&mut self, password: PasswordDigest) -> bool {
        if self.right.contains(&password) {
            return false;
        }
        if self.right.len() >= MOST_RIGHT_PASSWORDS {
            self.right.remove(0);
        }
        self.right.push(password);
        true
    }
}

/// Counts the failed attempts at passwords.
#[derive(Debug)]
pub(crate) struct PasswordAttempts {
    /// Failures at an address that need not wait; `None`: there is no limit.
    permitted: Option<NonZeroU32>,
    at_address: Cache<(Account, Client), SharedAddressTally>,
    across: Cache<Account, SharedTally>,
    /// Where an account was signed in to.
    known: Cache<(Account, WorkspaceId, Client), ()>,
    /// Where any account of an email was signed in to.
    known_anywhere: Cache<(Account, Client), ()>,
}

/// An attempt that may be made. It counts as a failure, also if its request is abandoned, until it is told
/// otherwise.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt<'a>(Option<Counted<'a>>);

#[derive(Debug)]
struct Counted<'a> {
    attempts: &'a PasswordAttempts,
    account: Account,
    workspace: WorkspaceId,
    address: Client,
    here: SharedAddressTally,
    /// `None` at a known address.
    across: Option<SharedTally>,
}

/// An attempt without a workspace that may be made. It counts as a failure of every account of the email, as
/// [`Attempt`] does.
#[derive(Debug)]
#[must_use]
pub(crate) struct AttemptAnywhere<'a>(Option<CountedAnywhere<'a>>);

#[derive(Debug)]
struct CountedAnywhere<'a> {
    attempts: &'a PasswordAttempts,
    permitted: NonZeroU32,
    account: Account,
    address: Client,
    now: Timestamp,
    here: SharedAddressTally,
    across: SharedTally,
    /// The attempts without a workspace before this one.
    before: AttemptsAnywhere,
    /// How long accounts have to wait that were never signed in to from here.
    left: Duration,
}

impl PasswordAttempts {
    /// `per_minute` failures of an account at an address need not wait; `None` is no limit.
    pub(crate) fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self {
            permitted: per_minute,
            at_address: bounded(FORGIVEN_AFTER),
            across: bounded(FORGIVEN_AFTER),
            known: bounded(REMEMBERED_FOR),
            known_anywhere: bounded(REMEMBERED_FOR),
        }
    }

    /// Begins an attempt at the account of a workspace from an address, or refuses it with the time to wait.
    pub(crate) fn begin(
        &self,
        account: Account,
        workspace: WorkspaceId,
        address: Client,
        now: Timestamp,
    ) -> Result<Attempt<'_>, ApiProblem> {
        let Some(permitted) = self.permitted else {
            return Ok(Attempt(None));
        };
        let here = self
            .at_address
            .get_with((account, address), SharedAddressTally::default);
        let is_known = self.known.contains_key(&(account, workspace, address));
        let across = (!is_known).then(|| self.across.get_with(account, SharedTally::default));
        {
            let mut tally = lock(&here);
            let left = match &across {
                None => tally.wait_of_known(workspace, tally.anywhere, permitted, now),
                Some(across) => {
                    let elsewhere = lock(across).current(now);
                    tally.wait(elsewhere, permitted, now)
                }
            };
            if !left.is_zero() {
                return Err(refuse(Limit::Passwords, left));
            }
            tally.add(workspace, now);
        }
        if let Some(across) = &across {
            lock(across).add(now);
        }
        Ok(Attempt(Some(Counted {
            attempts: self,
            account,
            workspace,
            address,
            here,
            across,
        })))
    }

    /// Begins an attempt at all accounts of an email from an address, or refuses it with the time to wait. It
    /// is refused only where each of them would have to wait: [`AttemptAnywhere::compares`] tells of one.
    pub(crate) fn begin_anywhere(
        &self,
        account: Account,
        address: Client,
        now: Timestamp,
    ) -> Result<AttemptAnywhere<'_>, ApiProblem> {
        let Some(permitted) = self.permitted else {
            return Ok(AttemptAnywhere(None));
        };
        let key = (account, address);
        let here = self.at_address.get_with(key, SharedAddressTally::default);
        let across = self.across.get_with(account, SharedTally::default);
        let (before, left) = {
            let mut tally = lock(&here);
            let elsewhere = lock(&across).current(now);
            let left = tally.wait(elsewhere, permitted, now);
            if !left.is_zero() {
                if !self.known_anywhere.contains_key(&key) {
                    return Err(refuse(Limit::Passwords, left));
                }
                // Accounts that were signed in to from here wait for one step at most: one try in each.
                let left_of_step = left_of(step(permitted), tally.anywhere.last_at, now);
                if !left_of_step.is_zero() {
                    return Err(refuse(Limit::Passwords, left_of_step));
                }
            }
            let before = tally.anywhere;
            tally.anywhere.add(now);
            if left.is_zero() {
                tally.all.add(now);
            }
            (before, left)
        };
        if left.is_zero() {
            lock(&across).add(now);
        }
        Ok(AttemptAnywhere(Some(CountedAnywhere {
            attempts: self,
            permitted,
            account,
            address,
            now,
            here,
            across,
            before,
            left,
        })))
    }

    fn remember(&self, account: Account, workspace: WorkspaceId, address: Client) {
        self.known.insert((account, workspace, address), ());
        self.known_anywhere.insert((account, address), ());
    }
}

impl Attempt<'_> {
    /// The password was right: the count of this account ends at this address, which is known from now on.
    pub(crate) fn succeed(self) {
        if let Some(counted) = self.0 {
            lock(&counted.here).succeed(counted.workspace);
            counted
                .attempts
                .remember(counted.account, counted.workspace, counted.address);
            if let Some(across) = &counted.across {
                lock(across).take_back();
            }
        }
    }

    /// The password was not compared, or it was right although the request is refused: it does not count.
    pub(crate) fn withdraw(self) {
        if let Some(counted) = self.0 {
            lock(&counted.here).take_back(counted.workspace);
            if let Some(across) = &counted.across {
                lock(across).take_back();
            }
        }
    }
}

impl AttemptAnywhere<'_> {
    /// Whether the account of a workspace may be compared: it does not have to wait. One that may not is as
    /// if its password were wrong.
    pub(crate) fn compares(&self, workspace: WorkspaceId) -> bool {
        let Some(counted) = &self.0 else {
            return true;
        };
        let known = &counted.attempts.known;
        if !known.contains_key(&(counted.account, workspace, counted.address)) {
            return counted.left.is_zero();
        }
        let tally = lock(&counted.here);
        tally
            .wait_of_known(workspace, counted.before, counted.permitted, counted.now)
            .is_zero()
    }

    /// The password was right in these workspaces: the counts of their accounts end at this address. For all
    /// others it stays a failure, unless the same password was right before. Returns whether it stays one.
    pub(crate) fn succeed(self, workspaces: &[WorkspaceId], password: PasswordDigest) -> bool {
        let Some(counted) = self.0 else {
            return false;
        };
        let is_guess = {
            let mut tally = lock(&counted.here);
            let is_guess = tally.note_right(password);
            if !is_guess {
                counted.take_back(&mut tally);
            }
            for workspace in workspaces {
                tally.succeed(*workspace);
            }
            is_guess
        };
        for workspace in workspaces {
            counted
                .attempts
                .remember(counted.account, *workspace, counted.address);
        }
        is_guess
    }

    /// No account that may be compared has the password. The refusal, if others had to wait: the client
    /// cannot tell whether one of them has it.
    pub(crate) fn fail(self) -> Option<ApiProblem> {
        let waiting = self.0.filter(|counted| !counted.left.is_zero())?;
        Some(refuse(Limit::Passwords, step(waiting.permitted)))
    }

    /// No password was compared: it does not count.
    pub(crate) fn withdraw(self) {
        if let Some(counted) = self.0 {
            counted.take_back(&mut lock(&counted.here));
        }
    }
}

impl CountedAnywhere<'_> {
    fn take_back(&self, tally: &mut AddressTally) {
        tally.anywhere.take_back();
        if self.left.is_zero() {
            tally.all.take_back();
            lock(&self.across).take_back();
        }
    }
}

/// Whether failures still count whose last one was then.
fn is_recent(last_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_at.is_some_and(|at| now.millis_since(at) < millis(FORGIVEN_AFTER))
}

/// What is left of a wait that begins with the last failure.
fn left_of(wait: Duration, last_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let passed = last_at.map_or(u64::MAX, |at| now.millis_since(at));
    wait.saturating_sub(Duration::from_millis(passed))
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

fn lock<T>(tally: &Mutex<T>) -> MutexGuard<'_, T> {
    // A tally is changed in one step: a panic leaves it whole.
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ADA: Account = [1; 32];
    /// The workspace in which the owner has an account.
    const HERE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    /// A workspace that a stranger has opened, with an account under the owner's email.
    const STRANGE: WorkspaceId = WorkspaceId(Uuid::from_u128(2));
    /// The owner's password.
    const OWN: PasswordDigest = [0; 32];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn address(n: u8) -> Client {
        Client::of_address(Some([192, 0, 2, n].into()))
    }

    fn ten_a_minute() -> PasswordAttempts {
        PasswordAttempts::new(NonZeroU32::new(10))
    }

    fn fail_in(
        attempts: &PasswordAttempts,
        (account, workspace): (Account, WorkspaceId),
        client: Client,
        now: Timestamp,
    ) -> bool {
        attempts.begin(account, workspace, client, now).is_ok()
    }

    fn fail(attempts: &PasswordAttempts, account: Account, client: Client, now: Timestamp) -> bool {
        fail_in(attempts, (account, HERE), client, now)
    }

    fn succeed_in(attempts: &PasswordAttempts, workspace: WorkspaceId, client: Client, now: Timestamp) {
        attempts.begin(ADA, workspace, client, now).unwrap().succeed();
    }

    fn fail_anywhere(attempts: &PasswordAttempts, client: Client, now: Timestamp) -> bool {
        let attempt = attempts.begin_anywhere(ADA, client, now);
        attempt.is_ok_and(|attempt| attempt.fail().is_none())
    }

    /// Signs in without a workspace, where a password is that of one account. `None`: it has to wait.
    fn succeed_anywhere(
        attempts: &PasswordAttempts,
        (workspace, password): (WorkspaceId, PasswordDigest),
        client: Client,
        now: Timestamp,
    ) -> Option<bool> {
        let attempt = attempts.begin_anywhere(ADA, client, now).ok()?;
        attempt
            .compares(workspace)
            .then(|| attempt.succeed(&[workspace], password))
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
    fn another_address_and_another_email_have_their_own_counts() {
        let attempts = ten_a_minute();
        assert_eq!(exhaust(&attempts, address(1), at(0)), 10);
        assert!(fail(&attempts, ADA, address(2), at(0)));
        assert!(fail(&attempts, [2; 32], address(1), at(0)));
    }

    #[test]
    fn the_accounts_of_an_email_are_guessed_together() {
        let attempts = ten_a_minute();
        let others = (2..100).map(|n| WorkspaceId(Uuid::from_u128(n)));
        let made = others.filter(|workspace| fail_in(&attempts, (ADA, *workspace), address(1), at(0)));
        assert_eq!(made.count(), 10);
        assert!(!fail(&attempts, ADA, address(1), at(0)));
        assert!(!fail_anywhere(&attempts, address(1), at(0)));
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
        succeed_in(&attempts, HERE, address(1), at(6));
        assert_eq!(exhaust(&attempts, address(1), at(6)), 10);
        assert_eq!(exhaust(&attempts, address(1), at(6 + 3_600)), 10);
    }

    #[test]
    fn a_success_in_a_strangers_workspace_ends_no_count_of_the_owners_account() {
        let attempts = ten_a_minute();
        let mut guesses = 0;
        for _ in 0..20 {
            for _ in 0..8 {
                guesses += u32::from(fail(&attempts, ADA, address(1), at(0)));
            }
            if let Ok(attempt) = attempts.begin(ADA, STRANGE, address(1), at(0)) {
                attempt.succeed();
            }
        }
        assert_eq!(guesses, 10);
        // nor does it make the address one at which the owner was
        assert_eq!(waits(&attempts, address(1), 4), [6, 12, 24, 48]);
    }

    #[test]
    fn a_guess_that_is_the_strangers_own_password_counts_at_the_owners_account() {
        let attempts = ten_a_minute();
        let mut guess = 0;
        // How many of the guesses at a time are compared with the owner's password.
        let mut compared = |count: usize, now: Timestamp| {
            let mut compared = 0;
            for _ in 0..count {
                let Ok(attempt) = attempts.begin_anywhere(ADA, address(1), now) else {
                    continue;
                };
                guess += 1;
                compared += usize::from(attempt.compares(HERE));
                assert!(attempt.compares(STRANGE), "the answer does not tell");
                assert!(attempt.succeed(&[STRANGE], [guess; 32]));
            }
            compared
        };
        assert_eq!(compared(40, at(0)), 10);
        let in_ten_minutes: usize = (1..=100).map(|n| compared(3, at(6 * n))).sum();
        assert_eq!(in_ten_minutes, 6, "after 6 s, 12, 24, 48, 96 and 192");
        assert!(!fail(&attempts, ADA, address(1), at(600)));
        // from another address the owner gets in at once
        assert_eq!(
            succeed_anywhere(&attempts, (HERE, OWN), address(2), at(600)),
            Some(true)
        );
    }

    #[test]
    fn a_right_password_that_is_used_again_is_no_new_guess() {
        let attempts = ten_a_minute();
        assert_eq!(
            succeed_anywhere(&attempts, (HERE, OWN), address(1), at(0)),
            Some(true)
        );
        for _ in 0..1_000 {
            assert_eq!(
                succeed_anywhere(&attempts, (HERE, OWN), address(1), at(0)),
                Some(false)
            );
        }
        let failed = (0..1_000).take_while(|_| fail_anywhere(&attempts, address(1), at(0)));
        assert_eq!(failed.count(), 9, "the first one counts for other accounts");
    }

    #[test]
    fn without_a_workspace_the_owner_gets_in_where_they_were_while_another_person_there_guesses() {
        let attempts = ten_a_minute();
        succeed_anywhere(&attempts, (HERE, OWN), address(1), at(0)).unwrap();
        for now in 0..100 {
            fail_anywhere(&attempts, address(1), at(now));
        }
        let waited =
            (100..1_000).find(|now| succeed_anywhere(&attempts, (HERE, OWN), address(1), at(*now)).is_some());
        assert!(waited.is_some_and(|now| now < 100 + 6 * 2), "{waited:?}");
        succeed_in(&attempts, HERE, address(1), at(120));
    }

    #[test]
    fn attempts_at_the_same_time_are_counted_before_they_are_compared() {
        let attempts = ten_a_minute();
        succeed_anywhere(&attempts, (STRANGE, [9; 32]), address(1), at(0)).unwrap();
        let open: Vec<_> = (0..100)
            .filter_map(|_| attempts.begin_anywhere(ADA, address(1), at(0)).ok())
            .collect();
        let compared = open.iter().filter(|attempt| attempt.compares(HERE));
        assert_eq!(compared.count(), 9);
    }

    #[test]
    fn the_owner_signs_in_from_any_other_address_while_thousands_attack() {
        let attempts = ten_a_minute();
        for n in 0..2_000_u32 {
            let attacker = Client::of_address(Some(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()));
            exhaust(&attempts, attacker, at(0));
        }
        succeed_in(&attempts, HERE, address(1), at(0));
        // Also after a slip, within the bounded wait.
        assert!(fail(&attempts, ADA, address(2), at(0)));
        assert!(!fail(&attempts, ADA, address(2), at(59)));
        succeed_in(&attempts, HERE, address(2), at(60));
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
        succeed_in(&attempts, HERE, address(1), at(0));
        assert_eq!(waits(&attempts, address(1), 20), [6; 20]);
    }

    #[test]
    fn a_withdrawn_attempt_does_not_count() {
        let attempts = ten_a_minute();
        for _ in 0..100 {
            attempts.begin(ADA, HERE, address(1), at(0)).unwrap().withdraw();
            attempts
                .begin_anywhere(ADA, address(1), at(0))
                .unwrap()
                .withdraw();
        }
        assert_eq!(exhaust(&attempts, address(1), at(0)), 10);
    }

    #[test]
    fn the_accounts_of_an_email_at_an_address_have_room_of_a_fixed_size() {
        let mut tally = AddressTally::default();
        for n in 0..1_000 {
            tally.add(WorkspaceId(Uuid::from_u128(n)), at(0));
        }
        assert_eq!((tally.accounts.len(), tally.all.failures), (MOST_ACCOUNTS, 1_000));
    }

    #[test]
    fn without_a_limit_there_is_no_wait() {
        let attempts = PasswordAttempts::new(None);
        assert_eq!(exhaust(&attempts, address(1), at(0)), 1_000);
        for _ in 0..1_000 {
            assert!(fail_anywhere(&attempts, address(1), at(0)));
        }
        assert_eq!(
            succeed_anywhere(&attempts, (HERE, OWN), address(1), at(0)),
            Some(false)
        );
    }

    #[test]
    fn a_refusal_names_the_wait() {
        let attempts = ten_a_minute();
        exhaust(&attempts, address(1), at(0));
        let problem = attempts
            .begin(ADA, HERE, address(1), at(1))
            .unwrap_err()
            .into_problem();
        assert_eq!(problem.status, 429);
        assert!(problem.detail.contains("5 s"), "{}", problem.detail);
    }
}
