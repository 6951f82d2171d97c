//! The document shown while commands are pending: the server's document, with the predicted effect of the
//! commands.
//!
//! A command is applied until the server's document covers the token of its answer. Between the request and
//! the answer, the browser cannot tell whether an arriving change is the effect of that command, so the base
//! document is frozen until the answer arrives, and no change is counted twice. Without pending commands, the
//! server's document is shown.

use domain::{access::Actor, token::ConsistencyToken};
use uuid::Uuid;

use super::{
    command_queue::{Pending, Stage},
    prediction::Predict,
};

/// The overlay of pending commands over one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay<D> {
    /// The server's document to which the commands are applied, and its position.
    base: (Option<D>, ConsistencyToken),
    /// The command that has been sent and is unanswered; while it is the same one, `base` is frozen.
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

impl<D: Predict> Overlay<D> {
    /// The document to show: `server` at `as_of`, with the commands of its stream applied in order. `preview`
    /// reads the document that a command creates, for a stream that has none yet.
    pub fn show<'a>(
        &mut self,
        server: Option<&D>,
        as_of: &ConsistencyToken,
        pending: impl Iterator<Item = &'a Pending>,
        actor: Option<&Actor>,
        preview: impl Fn(&Pending) -> Option<D>,
    ) -> Option<D> {
        let pending: Vec<&Pending> = pending.collect();
        // Commands are sent one at a time, so at most one is unanswered.
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
                        let after = actor.and_then(|actor| document.clone().predict(pending, actor));
                        Some(after.and_then(Result::ok).unwrap_or(document))
                    }
                    None => preview(pending),
                };
            }
        }
        shown
    }

    /// Whether the shown document has an effect that the server has not confirmed.
    pub const fn is_pending(&self) -> bool {
        self.is_pending
    }
}

#[cfg(test)]
mod tests;
