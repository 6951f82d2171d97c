//! The Decider: an aggregate as pure functions (after Jérémie Chassaing's pattern).

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    access::Actor,
    aggregate::{
        email::EmailCommand,
        payment::{ProviderAnswer, ProviderRequest},
        product::ProductState,
    },
    event::EventPayload,
    id::StreamName,
    rejection::Rejection,
    timestamp::Timestamp,
};

/// What a decision may look at besides the aggregate's own state. The domain asks no clock and no random source: time
/// and ids come in here.
#[derive(Debug, Clone)]
pub struct Context {
    /// The stream that the command is for.
    pub stream: StreamName,
    /// The time of the decision.
    pub now: Timestamp,
    /// Who is asking.
    pub actor: Actor,
    /// The products that [`Decider::products`] asked for, by sku, as their own streams have them; without an entry
    /// where there is no such product.
    pub products: BTreeMap<String, ProductState>,
    /// What the payment provider said to what [`Decider::asks`] wanted of it.
    pub provider: Option<ProviderAnswer>,
}

/// An aggregate: what it knows, what it can be told, and what then happens.
pub trait Decider: Send + Sync + 'static {
    /// The first part of its streams' names.
    const CATEGORY: &'static str;
    /// The version of `State`'s JSON; a snapshot of another version is ignored.
    const SNAPSHOT_VERSION: u32;
    /// Whether any decision of this aggregate wants something of the payment provider.
    const ASKS: bool = false;
    /// The state that decisions need, and no more.
    type State: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What it can be told.
    type Command: Clone + Send + Sync + 'static;
    /// What can have happened.
    type Event: EventPayload + Clone;

    /// The skus whose product streams the decision needs to see.
    fn products(_command: &Self::Command) -> Vec<String> {
        Vec::new()
    }

    /// What has to be asked of the payment provider before `command` can be decided in `state`.
    fn asks(_state: &Self::State, _command: &Self::Command, _stream: &StreamName) -> Option<ProviderRequest> {
        None
    }

    /// What becomes of the reservations of emails along with these events, by email: each is a stream of its own, whose
    /// commands are decided and appended with the events, or everything is refused.
    fn emails(
        _state: &Self::State,
        _events: &[Self::Event],
        _context: &Context,
    ) -> Vec<(String, EmailCommand)> {
        Vec::new()
    }

    /// What happens if `command` is given in `state`. No events: it is allowed, and nothing changes.
    fn decide(
        state: &Self::State,
        command: Self::Command,
        context: &Context,
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
            products: std::collections::BTreeMap::default(),
            provider: None,
        }
    }

    /// Given these events, when this command comes, then what?
    pub(crate) fn decide<D: Decider>(
        given: &[D::Event],
        when: D::Command,
        context: &Context,
    ) -> Result<Vec<D::Event>, Rejection> {
        let state = given.iter().fold(D::State::default(), D::evolve);
        D::decide(&state, when, context)
    }
}
