//! Dials: how an educator bends the pipeline of a workspace, and which guarantees are taken away.
//!
//! The document is whole: a member that is absent is at rest. At rest nothing is bent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::handlers::{ERASURE, HandlerKind};
use crate::{
    parse_error,
    rejection::{Rejection, Violations},
    timestamp::Timestamp,
};

/// The longest wait that a dial makes, in milliseconds.
pub const MAX_DIAL_MS: u32 = 60_000;

/// The most occurrences that a frequency counts.
pub const MAX_DIAL_COUNT: u32 = 10_000;

/// The highest seed: every JSON parser reads it exactly.
pub const MAX_SEED: u64 = (1 << 53) - 1;

/// The most event handlers that the dials of a workspace name.
pub const MAX_BENT_PROJECTIONS: usize = 64;

/// What bends nothing by itself: the seed, and how far the clock is ahead.
const UNBENDING: [&str; 2] = ["clock.ahead_ms", "seed"];

/// Puts the member of this name to rest. `false`: the dials have none.
macro_rules! put_to_rest {
    ($dials:expr, $name:expr, $($member:ident),+) => {{
        let (dials, name) = ($dials, $name);
        let rest = at_rest(&*dials);
        match name {
            $(stringify!($member) => {
                dials.$member = rest.$member;
                true
            })+
            _ => false,
        }
    }};
}

/// The type of the event by which a person is erased.
const USER_ERASED: &str = "UserErased";

/// The characters that a violation shows of the name of an event handler that there is not.
const MAX_SHOWN_NAME: usize = 60;

/// How often a fault happens: three dials of the document, as in `fail_next`, `fail_every` and
/// `fail_percent`. Each of them makes the fault happen by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Frequency {
    /// The next so many occurrences, counted from the last change of the dials.
    pub next: u32,
    /// Each so many-th occurrence; 0 is none, 1 is each.
    pub every: u32,
    /// So many of a hundred occurrences, chosen by the seed of the dials.
    pub percent: u8,
}

impl Frequency {
    /// Whether it never happens.
    pub fn is_never(self) -> bool {
        self == Self::default()
    }

    /// `field` is the path that its three dials begin with, as in `mail.fail`.
    fn check(self, field: &str, violations: &mut Violations) {
        at_most(self.next, MAX_DIAL_COUNT, &format!("{field}_next"), violations);
        at_most(self.every, MAX_DIAL_COUNT, &format!("{field}_every"), violations);
        at_most(
            u32::from(self.percent),
            100,
            &format!("{field}_percent"),
            violations,
        );
    }
}

/// The dials of the message broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BrokerDials {
    /// Holds every delivery until it is false again.
    pub paused: bool,
    /// Holds each delivery for so many milliseconds.
    #[cfg_attr(feature = "openapi", schema(maximum = 60_000))]
    pub delay_ms: u32,
    /// Holds each delivery for up to so many milliseconds more, chosen by the seed.
    #[cfg_attr(feature = "openapi", schema(maximum = 60_000))]
    pub jitter_ms: u32,
    /// An event is delivered again, right after it was handled: the next so many times, counted from the last
    /// change of the dials.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub duplicate_next: u32,
    /// The same each so many-th time; 0 is never, 1 is each time.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub duplicate_every: u32,
    /// The same so many of a hundred times, chosen by the seed.
    #[cfg_attr(feature = "openapi", schema(maximum = 100))]
    pub duplicate_percent: u8,
    /// Of so many events of a partition the first is delivered after the second, or alone after 500 ms; 0 and
    /// 1: all come in order.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub reorder_within: u32,
    /// The acknowledgement of the delivery of an event is lost, so that it is made again: the next so many
    /// times, counted from the last change of the dials.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub lose_acknowledgement_next: u32,
    /// The same each so many-th time; 0 is never, 1 is each time.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub lose_acknowledgement_every: u32,
    /// The same so many of a hundred times, chosen by the seed.
    #[cfg_attr(feature = "openapi", schema(maximum = 100))]
    pub lose_acknowledgement_percent: u8,
}

impl BrokerDials {
    /// How often an event is delivered twice.
    pub fn duplicates(&self) -> Frequency {
        Frequency {
            next: self.duplicate_next,
            every: self.duplicate_every,
            percent: self.duplicate_percent,
        }
    }

    /// How often an acknowledgement is lost.
    pub fn lost_acknowledgements(&self) -> Frequency {
        Frequency {
            next: self.lose_acknowledgement_next,
            every: self.lose_acknowledgement_every,
            percent: self.lose_acknowledgement_percent,
        }
    }
}

/// The dials of the lanes of an event handler: a view, a process manager or a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectionDials {
    /// Its lanes begin no transaction. A process manager sends no command either, and no timer of it expires.
    pub paused: bool,
    /// Each event takes so many milliseconds more.
    #[cfg_attr(feature = "openapi", schema(maximum = 60_000))]
    pub slow_ms: u32,
    /// A transaction fails, and is tried again: the next so many times, counted from the last change of the
    /// dials.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub fail_next: u32,
    /// The same each so many-th time; 0 is never, 1 is each time.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub fail_every: u32,
    /// The same so many of a hundred times, chosen by the seed.
    #[cfg_attr(feature = "openapi", schema(maximum = 100))]
    pub fail_percent: u8,
    /// Events of this type cannot be handled, as in `ProductPriceChanged`: after the usual attempts they are
    /// dead letters; null: of none. A consumer is never poisoned with `UserErased`.
    pub poison_type: Option<String>,
}

impl ProjectionDials {
    /// How often a transaction fails.
    pub fn failures(&self) -> Frequency {
        Frequency {
            next: self.fail_next,
            every: self.fail_every,
            percent: self.fail_percent,
        }
    }

    /// Checks the dials of the event handler of this name.
    fn check(
        &self,
        handler: &str,
        is_own_view: &impl Fn(&str) -> bool,
        is_event_type: &impl Fn(&str) -> bool,
        violations: &mut Violations,
    ) {
        let mut name = handler.to_owned();
        parse_error::shorten(&mut name, MAX_SHOWN_NAME);
        let of_handler = format!("projections.{name}");
        let field = |dial: &str| format!("{of_handler}.{dial}");
        let kind = HandlerKind::of(handler);
        let is_known = kind.is_some() || is_own_view(handler);
        violations.require(is_known, of_handler.clone(), "is not an event handler");
        violations.require(
            handler != ERASURE || *self == Self::default(),
            of_handler.clone(),
            "has no dials: the erasure of a person is their right, in a lesson too",
        );
        at_most(self.slow_ms, MAX_DIAL_MS, &field("slow_ms"), violations);
        self.failures().check(&field("fail"), violations);
        let poison = self.poison_type.as_deref();
        violations.require(
            poison.is_none_or(is_event_type),
            field("poison_type"),
            "is not an event type",
        );
        // Views show a person's fields only as long as there is a key; a consumer has them in its own output.
        violations.require(
            kind != Some(HandlerKind::Consumer) || poison != Some(USER_ERASED),
            field("poison_type"),
            "cannot be `UserErased` at a consumer: the erasure of a person is their right, in a lesson too",
        );
    }
}

/// The dials of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CacheDials {
    /// Every query reads the read model.
    pub off: bool,
    /// An answer is used for so many milliseconds at most; null: until it is invalidated.
    #[cfg_attr(feature = "openapi", schema(maximum = 60_000))]
    pub ttl_ms: Option<u32>,
    /// A commit invalidates nothing, so answers grow stale.
    pub skip_invalidation: bool,
}

/// What the payment provider answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ProviderMode {
    /// What the payment method says.
    #[default]
    Normal,
    /// It declines every charge.
    Declining,
    /// It carries out what it is asked, and gives no answer.
    Silent,
}

/// The dials of the payment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PaymentDials {
    /// What it answers.
    pub mode: ProviderMode,
    /// Each answer takes so many milliseconds more.
    #[cfg_attr(feature = "openapi", schema(maximum = 60_000))]
    pub delay_ms: u32,
    /// A request does not reach it: the next so many times, counted from the last change of the dials.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub fail_next: u32,
    /// The same each so many-th time; 0 is never, 1 is each time.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub fail_every: u32,
    /// The same so many of a hundred times, chosen by the seed.
    #[cfg_attr(feature = "openapi", schema(maximum = 100))]
    pub fail_percent: u8,
}

impl PaymentDials {
    /// How often a request does not reach it.
    pub fn failures(&self) -> Frequency {
        Frequency {
            next: self.fail_next,
            every: self.fail_every,
            percent: self.fail_percent,
        }
    }
}

/// The dials of the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MailDials {
    /// It takes no mail.
    pub away: bool,
    /// It refuses a mail for now: the next so many times, counted from the last change of the dials.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub fail_next: u32,
    /// The same each so many-th time; 0 is never, 1 is each time.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub fail_every: u32,
    /// The same so many of a hundred times, chosen by the seed.
    #[cfg_attr(feature = "openapi", schema(maximum = 100))]
    pub fail_percent: u8,
}

impl MailDials {
    /// How often a mail is refused for now.
    pub fn failures(&self) -> Frequency {
        Frequency {
            next: self.fail_next,
            every: self.fail_every,
            percent: self.fail_percent,
        }
    }
}

/// The dials of live sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveDials {
    /// Sockets are closed, and new ones are closed after their first answer.
    pub cut: bool,
    /// Each frame to a client takes so many milliseconds more.
    #[cfg_attr(feature = "openapi", schema(maximum = 60_000))]
    pub delay_ms: u32,
    /// A change is lost on the way: the next so many times, counted from the last change of the dials.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub lose_frame_next: u32,
    /// The same each so many-th time; 0 is never, 1 is each time.
    #[cfg_attr(feature = "openapi", schema(maximum = 10_000))]
    pub lose_frame_every: u32,
    /// The same so many of a hundred times, chosen by the seed.
    #[cfg_attr(feature = "openapi", schema(maximum = 100))]
    pub lose_frame_percent: u8,
}

impl LiveDials {
    /// How often a change is lost on the way.
    pub fn lost_frames(&self) -> Frequency {
        Frequency {
            next: self.lose_frame_next,
            every: self.lose_frame_every,
            percent: self.lose_frame_percent,
        }
    }
}

/// The dials of the workspace's clock, which `POST /api/v1/lab/clock` sets and advances as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClockDials {
    /// It stands still. Once it is false again, the clock goes on from where it stands.
    pub frozen: bool,
    /// How far it is ahead of the machine's, in milliseconds. A number that is higher than the present one
    /// puts it forward; it never goes back, so a lower one, none, and a reset leave it where it is.
    pub ahead_ms: Option<i64>,
}

/// The guarantees of the pipeline: `true` is held, `false` is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(clippy::struct_excessive_bools, reason = "each is a guarantee of its own")]
pub struct Guarantees {
    /// An append whose stream has another version than was decided on is refused.
    pub optimistic_concurrency: bool,
    /// A lane skips an event that it has applied.
    pub duplicate_detection: bool,
    /// A lane reads missing events from the event store before it applies a later one.
    pub gap_detection: bool,
    /// A command that is sent again under its Idempotency-Key gets its first answer.
    pub idempotency_keys: bool,
    /// A rebuild has no side effects.
    pub no_effects_on_replay: bool,
    /// An event is published after its commit.
    pub publish_after_commit: bool,
}

impl Default for Guarantees {
    fn default() -> Self {
        Self {
            optimistic_concurrency: true,
            duplicate_detection: true,
            gap_detection: true,
            idempotency_keys: true,
            no_effects_on_replay: true,
            publish_after_commit: true,
        }
    }
}

/// `GET` and `PUT /api/v1/lab/dials`: every dial of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dials {
    /// Box 6, the message broker.
    pub broker: BrokerDials,
    /// Box 7, by the name of the event handler, as in `orders` or `fulfilment`. `erasure` has no dials.
    pub projections: BTreeMap<String, ProjectionDials>,
    /// Box 9, the cache.
    pub cache: CacheDials,
    /// The payment provider.
    pub payment: PaymentDials,
    /// The mail server.
    pub mail: MailDials,
    /// The live sockets of web clients.
    pub live: LiveDials,
    /// The workspace's clock.
    pub clock: ClockDials,
    /// The guarantees.
    pub guarantees: Guarantees,
    /// Chooses what happens at random: the same seed and the same occurrences give the same faults.
    #[cfg_attr(feature = "openapi", schema(maximum = 9_007_199_254_740_991_i64))]
    pub seed: u64,
}

impl Default for Dials {
    fn default() -> Self {
        Self {
            broker: BrokerDials::default(),
            projections: BTreeMap::new(),
            cache: CacheDials::default(),
            payment: PaymentDials::default(),
            mail: MailDials::default(),
            live: LiveDials::default(),
            clock: ClockDials::default(),
            guarantees: Guarantees::default(),
            seed: 1,
        }
    }
}

impl Dials {
    /// Whether nothing is bent. The seed and the time of the clock bend nothing by themselves.
    pub fn are_at_rest(&self) -> bool {
        let Self {
            broker,
            projections,
            cache,
            payment,
            mail,
            live,
            clock,
            guarantees,
            seed: _,
        } = self;
        *broker == BrokerDials::default()
            && projections
                .values()
                .all(|dials| *dials == ProjectionDials::default())
            && *cache == CacheDials::default()
            && *payment == PaymentDials::default()
            && *mail == MailDials::default()
            && *live == LiveDials::default()
            && !clock.frozen
            && *guarantees == Guarantees::default()
    }

    /// The names of what is bent, each a path into the document as in `broker.delay_ms` or
    /// `projections.orders.paused`; sorted.
    pub fn bent(&self) -> Vec<String> {
        let views = self.projections.keys().cloned();
        let at_rest = Self {
            projections: views.map(|view| (view, ProjectionDials::default())).collect(),
            ..Self::default()
        };
        let rest = at_rest.members();
        self.members()
            .into_iter()
            .filter(|(name, value)| !UNBENDING.contains(&name.as_str()) && rest.get(name) != Some(value))
            .map(|(name, _)| name)
            .collect()
    }

    /// The paths of the dials that have another value in `other`; the seed and the time of the clock count.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let members = |dials: &Self| {
            let named = self.projections.keys().chain(other.projections.keys());
            let mut dials = dials.clone();
            dials.name_projections(named.cloned());
            dials.members()
        };
        let (own, others) = (members(self), members(other));
        let paths = own.keys().chain(others.keys());
        let paths = paths.filter(|path| own.get(*path) != others.get(*path));
        let mut different: Vec<_> = paths.cloned().collect();
        different.sort_unstable();
        different.dedup();
        different
    }

    /// Leaves out the event handlers that are at rest: absent, they are too.
    pub fn forget_projections_at_rest(&mut self) {
        self.projections
            .retain(|_, dials| *dials != ProjectionDials::default());
    }

    /// Adds the event handlers that are at rest.
    pub fn name_handlers(&mut self) {
        self.name_projections(bendable_handlers());
    }

    /// Adds event handlers of these names that are at rest, as those of views of one's own.
    pub fn name_projections(&mut self, names: impl IntoIterator<Item = impl Into<String>>) {
        for name in names {
            self.projections.entry(name.into()).or_default();
        }
    }

    /// Puts one dial to rest, by its path as in `broker.delay_ms` or `projections.orders.paused`;
    /// `is_own_view` says which views of one's own there are. Returns `false` if there is no such dial.
    pub fn put_to_rest(&mut self, dial: &str, is_own_view: impl Fn(&str) -> bool) -> bool {
        let Some((part, name)) = dial.split_once('.') else {
            return false;
        };
        match part {
            "broker" => {
                let dials = &mut self.broker;
                put_to_rest!(
                    dials,
                    name,
                    paused,
                    delay_ms,
                    jitter_ms,
                    duplicate_next,
                    duplicate_every,
                    duplicate_percent,
                    reorder_within,
                    lose_acknowledgement_next,
                    lose_acknowledgement_every,
                    lose_acknowledgement_percent
                )
            }
            "projections" => {
                let split = name.split_once('.');
                let Some((handler, name)) =
                    split.filter(|(handler, _)| is_bendable(handler) || is_own_view(handler))
                else {
                    return false;
                };
                let dials = self.projections.entry(handler.to_owned()).or_default();
                let is_known = put_to_rest!(
                    dials,
                    name,
                    paused,
                    slow_ms,
                    fail_next,
                    fail_every,
                    fail_percent,
                    poison_type
                );
                self.forget_projections_at_rest();
                is_known
            }
            "cache" => put_to_rest!(&mut self.cache, name, off, ttl_ms, skip_invalidation),
            "payment" => put_to_rest!(
                &mut self.payment,
                name,
                mode,
                delay_ms,
                fail_next,
                fail_every,
                fail_percent
            ),
            "mail" => put_to_rest!(&mut self.mail, name, away, fail_next, fail_every, fail_percent),
            "live" => {
                let dials = &mut self.live;
                put_to_rest!(
                    dials,
                    name,
                    cut,
                    delay_ms,
                    lose_frame_next,
                    lose_frame_every,
                    lose_frame_percent
                )
            }
            "clock" => put_to_rest!(&mut self.clock, name, frozen),
            "guarantees" => {
                let dials = &mut self.guarantees;
                put_to_rest!(
                    dials,
                    name,
                    optimistic_concurrency,
                    duplicate_detection,
                    gap_detection,
                    idempotency_keys,
                    no_effects_on_replay,
                    publish_after_commit
                )
            }
            _ => false,
        }
    }

    /// Every dial by its path, with its JSON.
    fn members(&self) -> BTreeMap<String, String> {
        let mut members = BTreeMap::new();
        if let Ok(serde_json::Value::Object(boxes)) = serde_json::to_value(self) {
            for (name, value) in boxes {
                collect(&name, value, &mut members);
            }
        }
        members
    }

    /// Checks every value; the rejection names the fields. `is_own_view` says which views of one's own there
    /// are, and `is_event_type` which types of events.
    pub fn check(
        &self,
        is_own_view: impl Fn(&str) -> bool,
        is_event_type: impl Fn(&str) -> bool,
    ) -> Result<(), Rejection> {
        let mut violations = Violations::default();
        let found = &mut violations;
        at_most(self.broker.delay_ms, MAX_DIAL_MS, "broker.delay_ms", found);
        at_most(self.broker.jitter_ms, MAX_DIAL_MS, "broker.jitter_ms", found);
        self.broker.duplicates().check("broker.duplicate", found);
        at_most(
            self.broker.reorder_within,
            MAX_DIAL_COUNT,
            "broker.reorder_within",
            found,
        );
        let lost = self.broker.lost_acknowledgements();
        lost.check("broker.lose_acknowledgement", found);
        let is_short = self.projections.len() <= MAX_BENT_PROJECTIONS;
        found.require(
            is_short,
            "projections",
            format!("names at most {MAX_BENT_PROJECTIONS} event handlers"),
        );
        for (handler, dials) in self.projections.iter().take(MAX_BENT_PROJECTIONS) {
            dials.check(handler, &is_own_view, &is_event_type, found);
        }
        if let Some(time_to_live) = self.cache.ttl_ms {
            at_most(time_to_live, MAX_DIAL_MS, "cache.ttl_ms", found);
        }
        at_most(self.payment.delay_ms, MAX_DIAL_MS, "payment.delay_ms", found);
        self.payment.failures().check("payment.fail", found);
        self.mail.failures().check("mail.fail", found);
        at_most(self.live.delay_ms, MAX_DIAL_MS, "live.delay_ms", found);
        self.live.lost_frames().check("live.lose_frame", found);
        found.require(self.seed <= MAX_SEED, "seed", format!("is at most {MAX_SEED}"));
        violations.finish()
    }
}

/// Whether the lanes of an event handler of this name have dials: there is one, and it is not the erasure.
pub fn is_bendable(handler: &str) -> bool {
    handler != ERASURE && HandlerKind::of(handler).is_some()
}

/// The names of the event handlers whose lanes have dials: views, process managers, consumers.
pub fn bendable_handlers() -> impl Iterator<Item = &'static str> {
    let names = HandlerKind::ALL.into_iter().flat_map(HandlerKind::names);
    names.copied().filter(|name| is_bendable(name))
}

fn at_most(value: u32, most: u32, field: &str, violations: &mut Violations) {
    violations.require(value <= most, field, format!("is at most {most}"));
}

/// The dials of a part of the pipeline, all at rest.
fn at_rest<T: Default>(_: &T) -> T {
    T::default()
}

fn collect(name: &str, value: serde_json::Value, members: &mut BTreeMap<String, String>) {
    match value {
        serde_json::Value::Object(inner) => {
            for (member, value) in inner {
                collect(&format!("{name}.{member}"), value, members);
            }
        }
        value => {
            members.insert(name.to_owned(), value.to_string());
        }
    }
}

/// A change of a dial that is in force: who made it, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BentDial {
    /// The path of the dial, as in `broker.delay_ms`.
    pub dial: String,
    /// The person who bent it.
    pub by: Uuid,
    /// Their name, as the workspace showed it when they bent it.
    #[serde(default)]
    pub name: String,
    /// When, by the machine's clock.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
}

/// The answer to `GET /api/v1/lab/dials/bent`: the dials, and who has bent which of them. A `dials` frame has
/// the same, with the dials as its `data`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DialsAnswer {
    /// Counts the changes; the `ETag` is this in quotation marks.
    pub version: u64,
    /// The present values.
    pub dials: Dials,
    /// What is bent, and by whom; empty at rest.
    pub bent: Vec<BentDial>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn no_own_view(_: &str) -> bool {
        false
    }

    /// Dials of which none is at rest.
    fn all_bent() -> Dials {
        let dials = json!({
            "broker": {"paused": true, "delay_ms": 1, "jitter_ms": 2, "duplicate_next": 1,
                "duplicate_every": 2, "duplicate_percent": 3, "reorder_within": 4,
                "lose_acknowledgement_next": 1, "lose_acknowledgement_every": 2,
                "lose_acknowledgement_percent": 3},
            "projections": {"orders": {"paused": true, "slow_ms": 3, "fail_next": 1, "fail_every": 2,
                "fail_percent": 3, "poison_type": "OrderCreated"}},
            "cache": {"off": true, "ttl_ms": 0, "skip_invalidation": true},
            "payment": {"mode": "silent", "delay_ms": 4, "fail_next": 1, "fail_every": 2, "fail_percent": 3},
            "mail": {"away": true, "fail_next": 1, "fail_every": 2, "fail_percent": 3},
            "live": {"cut": true, "delay_ms": 5, "lose_frame_next": 1, "lose_frame_every": 2,
                "lose_frame_percent": 3},
            "clock": {"frozen": true, "ahead_ms": 6},
            "guarantees": {"optimistic_concurrency": false, "duplicate_detection": false,
                "gap_detection": false, "idempotency_keys": false,
                "no_effects_on_replay": false, "publish_after_commit": false},
            "seed": 7,
        });
        serde_json::from_value(dials).unwrap()
    }

    #[test]
    fn a_document_names_what_is_bent_and_a_member_that_is_absent_is_at_rest() {
        let rest: Dials = serde_json::from_value(json!({})).unwrap();
        assert!(rest.are_at_rest() && rest.bent().is_empty());
        let listed = json!({"projections": {"orders": {}}, "seed": 4});
        let listed: Dials = serde_json::from_value(listed).unwrap();
        assert!(listed.are_at_rest() && listed.bent().is_empty());
        assert_eq!(all_bent().bent().len(), 40);
        let some = json!({"projections": {"orders": {"fail_next": 2}}, "mail": {"away": true}});
        let some: Dials = serde_json::from_value(some).unwrap();
        assert_eq!(some.bent(), ["mail.away", "projections.orders.fail_next"]);
    }

    #[test]
    fn two_documents_differ_in_the_dials_that_have_another_value() {
        let rest = Dials::default();
        assert_eq!(rest.differences(&rest), [""; 0]);
        let mut all = rest.differences(&all_bent());
        all.retain(|path| !UNBENDING.contains(&path.as_str()));
        assert_eq!(all, all_bent().bent());
        let slow: Dials = serde_json::from_value(json!({"projections": {"orders": {"slow_ms": 5}}})).unwrap();
        assert_eq!(slow.differences(&rest), ["projections.orders.slow_ms"]);
        assert_eq!(rest.differences(&slow), ["projections.orders.slow_ms"]);
        let seeded: Dials = serde_json::from_value(json!({"seed": 9})).unwrap();
        assert_eq!(seeded.differences(&rest), ["seed"]);
    }

    #[test]
    fn each_dial_that_is_bent_is_put_to_rest_by_its_name() {
        let mut dials = all_bent();
        while let Some(dial) = dials.bent().pop() {
            let before = dials.bent().len();
            assert!(dials.put_to_rest(&dial, no_own_view), "{dial}");
            assert_eq!(dials.bent().len(), before - 1, "{dial}");
        }
        assert!(dials.are_at_rest() && dials.projections.is_empty());
        assert_eq!((dials.seed, dials.clock.ahead_ms), (7, Some(6)));
        dials.clock.ahead_ms = None;
        for unknown in [
            "",
            "broker",
            "broker.",
            "broker.delay",
            "brokers.paused",
            "projections.orders",
            "projections.no-such.paused",
            "projections.erasure.paused",
            "projections.orders.poison_type.more",
            "clock.ahead_ms",
            "seed",
        ] {
            assert!(!dials.put_to_rest(unknown, no_own_view), "{unknown}");
        }
        assert_eq!(
            dials,
            Dials {
                seed: 7,
                ..Dials::default()
            }
        );
    }

    #[test]
    fn every_value_out_of_its_range_is_named() {
        let (late, many, more) = (60_001, 10_001, 101);
        let dials = json!({
            "broker": {"delay_ms": late, "jitter_ms": late, "duplicate_next": many, "duplicate_every": many,
                "duplicate_percent": more, "reorder_within": many, "lose_acknowledgement_next": many,
                "lose_acknowledgement_every": many, "lose_acknowledgement_percent": more},
            "projections": {"orders": {"slow_ms": late, "fail_next": many, "fail_every": many,
                "fail_percent": more, "poison_type": "NoSuch"}, "no-such": {}},
            "cache": {"ttl_ms": late},
            "payment": {"delay_ms": late, "fail_next": many, "fail_every": many, "fail_percent": more},
            "mail": {"fail_next": many, "fail_every": many, "fail_percent": more},
            "live": {"delay_ms": late, "lose_frame_next": many, "lose_frame_every": many,
                "lose_frame_percent": more},
            "seed": MAX_SEED + 1,
        });
        let dials: Dials = serde_json::from_value(dials).unwrap();
        let is_event_type = |name: &str| name == "OrderCreated";
        let refused = dials.check(no_own_view, is_event_type).unwrap_err();
        let named: Vec<_> = refused.violations.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named.len(), 6 + 6 * 3 + 1 + 2 + 1, "{named:?}");
        assert!(all_bent().check(no_own_view, is_event_type).is_ok());
        let mut many = Dials::default();
        for n in 0..=MAX_BENT_PROJECTIONS {
            many.projections
                .insert(format!("v{n}"), ProjectionDials::default());
        }
        let refused = many.check(no_own_view, is_event_type).unwrap_err();
        assert_eq!(refused.violations[0].field, "projections");
    }

    #[test]
    fn every_handler_has_dials_but_the_erasure_and_no_consumer_is_poisoned_with_it() {
        let is_event_type = |name: &str| ["OrderCreated", USER_ERASED].contains(&name);
        let mut rest = Dials::default();
        rest.name_handlers();
        let named: Vec<_> = rest.projections.keys().map(String::as_str).collect();
        for name in ["orders", "fulfilment", "notification", "analytics", "search"] {
            assert!(named.contains(&name), "{name}");
        }
        assert!(!named.contains(&ERASURE));
        for (dials, field) in [
            (json!({"fulfilment": {"paused": true}}), None),
            (json!({"search": {"poison_type": "OrderCreated"}}), None),
            (json!({"customers": {"poison_type": "UserErased"}}), None),
            (json!({"erasure": {}}), None),
            (json!({"erasure": {"slow_ms": 1}}), Some("projections.erasure")),
            (
                json!({"notification": {"poison_type": "UserErased"}}),
                Some("projections.notification.poison_type"),
            ),
        ] {
            let bent: Dials = serde_json::from_value(json!({ "projections": dials })).unwrap();
            let refused = bent.check(no_own_view, is_event_type).err();
            let named = refused.map(|refused| refused.violations[0].field.clone());
            assert_eq!(named.as_deref(), field, "{dials}");
        }
    }
}
