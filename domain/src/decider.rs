//! The Decider: an aggregate as three pure functions (after Jérémie Chassaing's pattern).
//!
//! The initial state is `State::default()`, [`Decider::decide`] says what happens, [`Decider::evolve`] what that changes.
//! This module knows no aggregate. What a decision has to see besides its own stream, of other streams or of a provider,
//! is its [`Decider::Evidence`]: the command's handler loads it before, and the type says what is to be loaded.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    access::Actor, event_type::AggregateEvent, id::StreamName, rejection::Rejection, timestamp::Timestamp,
};

/// What a decision sees besides the aggregate's own state. The domain asks no clock and no random source: time and ids
/// come in here.
#[derive(Debug, Clone)]
pub struct Context<Evidence = ()> {
    /// The stream that the command is for.
    pub stream: StreamName,
    /// The time of the decision.
    pub now: Timestamp,
    /// The sender of the command.
    pub actor: Actor,
    /// What the decision has to see of other streams or of a provider; `()` where it sees its own stream only.
    pub evidence: Evidence,
}

/// An aggregate: what it knows, what it can be told, and what then happens.
pub trait Decider: Send + Sync + 'static {
    /// The first part of its streams' names.
    const CATEGORY: &'static str;
    /// The version of `State`'s JSON; a snapshot of another version is ignored.
    const SNAPSHOT_VERSION: u32;
    /// The state that decisions need, and no more; its default is the state before the first event.
    type State: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What it can be told.
    type Command: Clone + Send + Sync + 'static;
    /// What can have happened.
    type Event: AggregateEvent + Clone;
    /// What its decisions have to see of other streams or of a provider; `()` for most.
    type Evidence: Clone + Send + Sync + 'static;

    /// What happens if `command` is given in `state`. No events: it is allowed, and nothing changes.
    fn decide(
        state: &Self::State,
        command: Self::Command,
        context: &Context<Self::Evidence>,
    ) -> Result<Vec<Self::Event>, Rejection>;

    /// The state after `event`. Total: what happened cannot be refused.
    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;
}

/// Given-when-then, for the rules' tests.
#[cfg(test)]
pub(crate) mod testing {
    use super::{Context, Decider};
    use crate::{access::Actor, access::Role, rejection::Rejection, timestamp::Timestamp};
    use uuid::Uuid;

    /// An actor of a role, always the same one for the same number.
    pub(crate) fn actor(role: Role, number: u128) -> Actor {
        Actor {
            id: Uuid::from_u128(number),
            role,
            name: format!("{} {number}", role.as_str()),
        }
    }

    /// A context on a stream, at an instant that never changes.
    pub(crate) fn context(stream: &str, actor: Actor) -> Context {
        Context {
            stream: stream.parse().unwrap(),
            now: Timestamp::from_micros(1_763_756_400_000_000),
            actor,
            evidence: (),
        }
    }

    impl Context {
        /// The same context, where the decision also sees this.
        pub(crate) fn seeing<Evidence>(self, evidence: Evidence) -> Context<Evidence> {
            Context {
                stream: self.stream,
                now: self.now,
                actor: self.actor,
                evidence,
            }
        }
    }

    /// Given these events, when this command comes, then what?
    pub(crate) fn decide<D: Decider>(
        given: &[D::Event],
        when: D::Command,
        context: &Context<D::Evidence>,
    ) -> Result<Vec<D::Event>, Rejection> {
        let state = given.iter().fold(D::State::default(), D::evolve);
        D::decide(&state, when, context)
    }
}
