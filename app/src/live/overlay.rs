//! What is shown while commands are on their way: the server's document, and the pending commands foreseen over it.
//!
//! A command counts until the server's document is as new as its answer says. Between sending it and its answer nobody knows
//! whether a change that arrives is its own, so its own document stands still for that moment, and no change is counted twice.
//! When nothing is pending, what is shown is the server's document.

use domain::{access::Actor, token::ConsistencyToken};
use uuid::Uuid;

use super::{
    foresee::Foreseen,
    outbox::{Pending, Stage},
};

/// How a document is shown while commands are on their way.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay<D> {
    /// The server's document over which the commands are foreseen, and how new it is.
    base: (Option<D>, ConsistencyToken),
    /// The command that has been sent and is not answered: as long as it is the same one, `base` stands still.
    unanswered: Option<Uuid>,
    is_pending: bool,
}

impl<D> Default for Overlay<D> {
    fn default() -> Self {
        Self {
            base: (None, ConsistencyToken::default()),
            unanswered: None,
            is_pending: false,
        }
    }
}

impl<D: Foreseen> Overlay<D> {
    /// The document to show, where the server's is `server` at `as_of`, with the commands of its stream in order.
    /// `preview` reads what a command makes that has no document yet.
    pub fn show<'a>(
        &mut self,
        server: Option<&D>,
        as_of: &ConsistencyToken,
        pending: impl Iterator<Item = &'a Pending>,
        actor: Option<&Actor>,
        preview: impl Fn(&Pending) -> Option<D>,
    ) -> Option<D> {
        let pending: Vec<&Pending> = pending.collect();
        // They are sent one after the other, so there is at most one.
        let unanswered = pending.iter().find(|pending| match pending.stage {
            Stage::Sending => true,
            Stage::Waiting => pending.was_sent,
            Stage::Accepted(_) | Stage::Refused(_) => false,
        });
        let unanswered = unanswered.map(|pending| pending.key);
        if unanswered.is_none() || unanswered != self.unanswered {
            self.base = (server.cloned(), as_of.clone());
        }
        self.unanswered = unanswered;

        let (base, as_of) = &self.base;
        let mut shown = base.clone();
        self.is_pending = false;
        for pending in pending {
            let counts = match &pending.stage {
                Stage::Waiting | Stage::Sending => true,
                Stage::Accepted(token) => !as_of.covers(token),
                Stage::Refused(_) => false,
            };
            if counts {
                self.is_pending = true;
                shown = match shown {
                    Some(document) => {
                        let after = actor.and_then(|actor| document.clone().foresee(pending, actor));
                        Some(after.and_then(Result::ok).unwrap_or(document))
                    }
                    None => preview(pending),
                };
            }
        }
        shown
    }

    /// Whether something is shown that the server has not confirmed.
    pub const fn is_pending(&self) -> bool {
        self.is_pending
    }
}

#[cfg(test)]
mod tests;
