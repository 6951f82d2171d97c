//! The Decider: an aggregate as three pure functions (after Jérémie Chassaing's pattern).
//!
//! The initial state is `State::default()`, [`Decider::decide`] returns the events of a command, and
//! [`Decider::evolve`] applies them. This module knows no aggregate. Facts from other streams or from a
//! provider are a decision's [`Decider::Evidence`], which the command's handler loads first.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    access::Actor, event_type::AggregateEvent, id::StreamName, rejection::Rejection, timestamp::Timestamp,
};

/// The inputs of a decision besides the aggregate's state. The domain reads no clock and no random source:
/// time and ids come from the context.
#[derive(Debug, Clone)]
pub struct Context<Evidence = ()> {
    /// The stream of the command.
    pub stream: StreamName,
    /// The time of the decision.
    pub now: Timestamp,
    /// The sender of the command.
    pub actor: Actor,
    /// Facts from other streams or from a provider; `()` if the decision needs none.
    pub evidence: Evidence,
}

/// An aggregate: its state, its commands and its events.
pub trait Decider: Send + Sync + 'static {
    /// The category: the first part of its streams' names.
    const CATEGORY: &'static str;
    /// The version of the state's JSON; a snapshot of another version is ignored.
    const SNAPSHOT_VERSION: u32;
    /// The state that decisions need; its default is the state before the first event.
    type State: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Its commands.
    type Command: Clone + Send + Sync + 'static;
    /// Its events.
    type Event: AggregateEvent + Clone;
    /// Facts from other streams or from a provider; `()` for most aggregates.
    type Evidence: Clone + Send + Sync + 'static;

    /// The events of `command` in `state`. Without events, the command is accepted and changes nothing.
    fn decide(
        state: &Self::State,
        command: Self::Command,
        context: &Context<Self::Evidence>,
    ) -> Result<Vec<Self::Event>, Rejection>;

    /// The state after `event`. Total: a recorded event cannot be refused.
    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;
}

/// Given-when-then, for the rules' tests.
#[cfg(test)]
pub(crate) mod testing {
    use super::{Context, Decider};
    use crate::{access::Actor, access::Role, rejection::Rejection, timestamp::Timestamp};
    use uuid::Uuid;

    /// An actor with a role; the same number is the same actor.
    pub(crate) fn actor(role: Role, number: u128) -> Actor {
        Actor {
            id: Uuid::from_u128(number),
            role,
            name: format!("{} {number}", role.as_str()),
        }
    }

    /// A context for a stream, at a fixed instant.
    pub(crate) fn context(stream: &str, actor: Actor) -> Context {
        Context {
            stream: stream.parse().unwrap(),
            now: Timestamp::from_micros(1_763_756_400_000_000),
            actor,
            evidence: (),
        }
    }

    impl Context {
        /// The same context with this evidence.
        pub(crate) fn with_evidence<Evidence>(self, evidence: Evidence) -> Context<Evidence> {
            Context {
                stream: self.stream,
                now: self.now,
                actor: self.actor,
                evidence,
            }
        }
    }

    /// Decides a command on the state after the given events.
    pub(crate) fn decide<D: Decider>(
        given: &[D::Event],
        when: D::Command,
        context: &Context<D::Evidence>,
    ) -> Result<Vec<D::Event>, Rejection> {
        let state = given.iter().fold(D::State::default(), D::evolve);
        D::decide(&state, when, context)
    }
}
