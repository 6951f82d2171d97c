//! The schedule of a run: a pure function of its seed, of the number of servers and of the database.
//!
//! Kinds of faults are dealt like cards, so that a short run has each of them about equally often. A fault
//! that lasts, such as a killed server, ends after up to three steps. Of several servers, one at least runs
//! and reaches its database at any time, so that clients go on.

use std::fmt;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

/// The steps that a fault lasts, at most.
const MAX_STEPS: u32 = 3;
/// The commands that are acknowledged before a step.
const COMMANDS: std::ops::Range<u64> = 4..40;
/// The people that register at a time.
const PEOPLE: std::ops::Range<u32> = 2..6;
/// How far a clock is put forward, in milliseconds: more and less than a payment takes, and an hour.
const FORWARD_MS: [i64; 4] = [1_000, 6_000, 20_000, 3_600_000];
/// The views that are paused, crashed and rebuilt: those that clients follow, and one that they do not.
const VIEWS: [&str; 4] = ["inventory", "orders", "products", "sales"];

/// The behaviour of the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum MailMode {
    #[default]
    Normal,
    /// It takes its time for each mail.
    Slow,
    /// It closes each connection at once.
    Away,
    /// It refuses each mail for good, which makes dead letters.
    Refusing,
}

/// What is done to a server, or through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// `kill -9`
    Kill,
    /// The end of `Kill`
    Start,
    /// SIGSTOP
    Suspend,
    /// SIGCONT, the end of `Suspend`
    Continue,
    /// Its connections to the database are cut
    CutDatabase,
    /// It does not reach the database
    SeverDatabase,
    /// The end of `SeverDatabase`
    RestoreDatabase,
    /// The connections of its clients are cut
    CutClients,
    /// The workspace's clock is put forward by so many milliseconds
    AdvanceClock(i64),
    /// A view is paused
    PauseView(&'static str),
    /// The end of `PauseView`, often at another server
    ResumeView(&'static str),
    /// The lanes of a view panic
    CrashView(&'static str),
    /// A view is rebuilt
    RebuildView(&'static str),
    /// The mail server changes; the server is of no account
    Mails(MailMode),
    /// All dead letters are retried
    ReleaseDeadLetters,
    /// So many people register at once, and touch another server before
    Register(u32),
    /// A person is erased, and a second time with an old expected version
    Erase(u32),
}

/// An action, after so many more acknowledged commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: u64,
    pub(super) server: usize,
    pub(super) action: Action,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, action, .. } = self;
        write!(f, "server {server}: {action:?}")
    }
}

/// What a schedule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conditions {
    pub(super) servers: usize,
    /// Whether they share a PostgreSQL, to which connections can be cut.
    pub(super) has_database_server: bool,
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kill,
    Suspend,
    CutDatabase,
    SeverDatabase,
    CutClients,
    AdvanceClock,
    PauseView,
    CrashView,
    RebuildView,
    MailsSlow,
    MailsAway,
    MailsRefused,
    ReleaseDeadLetters,
    Register,
    Erase,
}

impl Conditions {
    /// Whether there is such a fault.
    fn has(self, kind: Kind) -> bool {
        self.has_database_server || !matches!(kind, Kind::CutDatabase | Kind::SeverDatabase)
    }
}

/// Cards of a deal. Kills and registrations are there twice: most is broken by the ones, and seen by the
/// others.
const CARDS: [Kind; 17] = [
    Kind::Register,
    Kind::Kill,
    Kind::Suspend,
    Kind::CutDatabase,
    Kind::SeverDatabase,
    Kind::CutClients,
    Kind::AdvanceClock,
    Kind::PauseView,
    Kind::CrashView,
    Kind::RebuildView,
    Kind::MailsSlow,
    Kind::MailsAway,
    Kind::MailsRefused,
    Kind::ReleaseDeadLetters,
    Kind::Erase,
    Kind::Kill,
    Kind::Register,
];

/// A fault that lasts: the action that ends it, and in how many steps.
struct Lasting {
    server: usize,
    end: Action,
    steps: u32,
}

/// The draw of a schedule.
struct Draw {
    random: StdRng,
    conditions: Conditions,
    lasting: Vec<Lasting>,
    steps: Vec<Step>,
    deck: Vec<Kind>,
}

/// The schedule with this number of faults; what ends a fault is not counted.
pub(super) fn schedule(seed: u64, faults: usize, conditions: Conditions) -> Vec<Step> {
    let mut draw = Draw {
        random: StdRng::seed_from_u64(seed),
        conditions,
        lasting: Vec::new(),
        steps: Vec::new(),
        deck: Vec::new(),
    };
    for _ in 0..faults {
        draw.end_what_is_due();
        draw.fault();
    }
    while !draw.lasting.is_empty() {
        draw.end(0);
    }
    draw.steps
}

impl Draw {
    fn end_what_is_due(&mut self) {
        for lasting in &mut self.lasting {
            lasting.steps = lasting.steps.saturating_sub(1);
        }
        while let Some(due) = self.lasting.iter().position(|lasting| lasting.steps == 0) {
            self.end(due);
        }
    }

    fn end(&mut self, number: usize) {
        let Lasting { server, end, .. } = self.lasting.remove(number);
        // A view is resumed at any server that answers.
        let server = match end {
            Action::ResumeView(_) => self.healthy().unwrap_or(server),
            _ => server,
        };
        self.step(server, end);
    }

    fn step(&mut self, server: usize, action: Action) {
        let after = self.random.random_range(COMMANDS);
        self.steps.push(Step {
            after,
            server,
            action,
        });
    }

    fn last(&mut self, (server, action): (usize, Action), end: Action, most: u32) {
        self.step(server, action);
        let steps = self.random.random_range(1..=most);
        self.lasting.push(Lasting { server, end, steps });
    }

    /// Draws cards until one can be played; if none can, a fault that lasts is ended first.
    fn fault(&mut self) {
        loop {
            for number in (0..self.deck.len()).rev() {
                if self.play(self.deck[number]) {
                    self.deck.remove(number);
                    return;
                }
            }
            let conditions = self.conditions;
            let mut cards = CARDS.to_vec();
            cards.retain(|kind| conditions.has(*kind));
            if self.deck.len() < cards.len() {
                cards.shuffle(&mut self.random);
                cards.append(&mut self.deck);
                self.deck = cards;
            } else {
                self.end(0);
            }
        }
    }

    /// Plays a card. Returns whether that was possible.
    fn play(&mut self, kind: Kind) -> bool {
        let Some(server) = self.healthy() else {
            return false;
        };
        match kind {
            Kind::Kill if self.may_fail(server) => {
                self.last((server, Action::Kill), Action::Start, MAX_STEPS);
            }
            // One step only: a suspended server may hold locks.
            Kind::Suspend if self.may_fail(server) => {
                self.last((server, Action::Suspend), Action::Continue, 1);
            }
            Kind::SeverDatabase if self.may_fail(server) => {
                let end = Action::RestoreDatabase;
                self.last((server, Action::SeverDatabase), end, MAX_STEPS);
            }
            Kind::CutDatabase => self.step(server, Action::CutDatabase),
            Kind::PauseView => {
                let Some(view) = self.running_view() else {
                    return false;
                };
                self.last(
                    (server, Action::PauseView(view)),
                    Action::ResumeView(view),
                    MAX_STEPS,
                );
            }
            Kind::MailsSlow => return self.mails(server, MailMode::Slow),
            Kind::MailsAway => return self.mails(server, MailMode::Away),
            Kind::MailsRefused => return self.mails(server, MailMode::Refusing),
            Kind::CutClients => self.step(server, Action::CutClients),
            Kind::AdvanceClock => {
                let by_ms = FORWARD_MS[self.random.random_range(0..FORWARD_MS.len())];
                self.step(server, Action::AdvanceClock(by_ms));
            }
            Kind::CrashView | Kind::RebuildView => {
                let Some(view) = self.running_view() else {
                    return false;
                };
                let is_crash = kind == Kind::CrashView;
                let action = if is_crash {
                    Action::CrashView(view)
                } else {
                    Action::RebuildView(view)
                };
                self.step(server, action);
            }
            Kind::ReleaseDeadLetters => self.step(server, Action::ReleaseDeadLetters),
            Kind::Register => {
                let people = self.random.random_range(PEOPLE);
                self.step(server, Action::Register(people));
            }
            Kind::Erase => {
                let person = self.random.random();
                self.step(server, Action::Erase(person));
            }
            Kind::Kill | Kind::Suspend | Kind::SeverDatabase => return false,
        }
        true
    }

    fn mails(&mut self, server: usize, mode: MailMode) -> bool {
        let end = Action::Mails(MailMode::Normal);
        if self.lasting.iter().any(|lasting| lasting.end == end) {
            return false;
        }
        self.last((server, Action::Mails(mode)), end, MAX_STEPS);
        true
    }

    /// Whether a server runs and reaches its database.
    fn is_healthy(&self, server: usize) -> bool {
        let ends = [Action::Start, Action::Continue, Action::RestoreDatabase];
        !self
            .lasting
            .iter()
            .any(|lasting| lasting.server == server && ends.contains(&lasting.end))
    }

    /// A server that answers.
    fn healthy(&mut self) -> Option<usize> {
        let servers: Vec<usize> = (0..self.conditions.servers)
            .filter(|server| self.is_healthy(*server))
            .collect();
        let count = servers.len();
        (count > 0).then(|| servers[self.random.random_range(0..count)])
    }

    /// Whether another server goes on without this one. A single server fails too; its clients wait.
    fn may_fail(&self, server: usize) -> bool {
        let count = self.conditions.servers;
        count == 1 || (0..count).any(|other| other != server && self.is_healthy(other))
    }

    /// A view that is not paused.
    fn running_view(&mut self) -> Option<&'static str> {
        let is_paused = |view: &str| {
            self.lasting
                .iter()
                .any(|lasting| matches!(lasting.end, Action::ResumeView(paused) if paused == view))
        };
        let running: Vec<_> = VIEWS.into_iter().filter(|view| !is_paused(view)).collect();
        let count = running.len();
        (count > 0).then(|| running[self.random.random_range(0..count)])
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, mem::discriminant};

    use super::*;

    const THREE: Conditions = Conditions {
        servers: 3,
        has_database_server: true,
    };
    const ONE: Conditions = Conditions {
        servers: 1,
        has_database_server: false,
    };

    fn is_end(action: Action) -> bool {
        matches!(
            action,
            Action::Start
                | Action::Continue
                | Action::RestoreDatabase
                | Action::ResumeView(_)
                | Action::Mails(MailMode::Normal)
        )
    }

    #[test]
    fn the_schedule_follows_from_the_seed_alone() {
        for conditions in [ONE, THREE] {
            assert_eq!(schedule(7, 50, conditions), schedule(7, 50, conditions));
            assert_ne!(schedule(7, 50, conditions), schedule(8, 50, conditions));
        }
    }

    #[test]
    fn each_kind_of_fault_is_drawn_and_each_fault_that_lasts_is_ended() {
        for seed in 0..50 {
            for (conditions, kinds) in [(THREE, CARDS.len() - 2), (ONE, CARDS.len() - 4)] {
                let steps = schedule(seed, 3 * CARDS.len(), conditions);
                let faults: Vec<_> = steps.iter().filter(|step| !is_end(step.action)).collect();
                assert_eq!(faults.len(), 3 * CARDS.len(), "seed {seed}");
                let drawn: HashSet<_> = faults
                    .iter()
                    .map(|step| match step.action {
                        Action::Mails(mode) => (discriminant(&step.action), Some(discriminant(&mode))),
                        action => (discriminant(&action), None),
                    })
                    .collect();
                assert_eq!(drawn.len(), kinds, "seed {seed}: {drawn:?}");
                let ends = steps.iter().filter(|step| is_end(step.action)).count();
                let lasting = faults.iter().filter(|step| {
                    use Action::{Kill, Mails, PauseView, SeverDatabase, Suspend};
                    matches!(
                        step.action,
                        Kill | Suspend | SeverDatabase | PauseView(_) | Mails(_)
                    )
                });
                assert_eq!(ends, lasting.count(), "seed {seed}");
            }
        }
    }

    #[test]
    fn one_of_several_servers_is_always_there_and_acts_alone_on_what_is_there() {
        for seed in 0..50 {
            let mut gone = HashSet::new();
            for step in schedule(seed, 100, THREE) {
                let Step { server, action, .. } = step;
                match action {
                    Action::Start | Action::Continue | Action::RestoreDatabase => {
                        assert!(gone.remove(&server), "seed {seed}: {step}");
                    }
                    Action::Mails(_) => {}
                    _ => assert!(!gone.contains(&server), "seed {seed}: {step}"),
                }
                if matches!(action, Action::Kill | Action::Suspend | Action::SeverDatabase) {
                    gone.insert(server);
                }
                assert!(gone.len() < 3, "seed {seed}: {step}");
            }
        }
    }
}
