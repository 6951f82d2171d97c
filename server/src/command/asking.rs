//! Decisions that need the payment provider's word: it is asked first, and the rules are asked with what it said.
//!
//! Asked outside of the stream's turn, so that a provider that takes its time holds nobody up. What it is asked carries the
//! same key for the same payment, so a decision that has to be taken again asks for nothing new.

use domain::{aggregate::payment::NOT_ASKED, decider::Decider};

use super::{CommandFailure, CommandService, Intent, aggregates::Freshness};
use event_store::Appended;
use payment::NoAnswer;

/// How often somebody else may change the payment while the provider is being asked.
const MAX_ATTEMPTS: u32 = 8;

impl CommandService {
    /// The same as `decide_and_append`, with what the provider says to what the decision wants to know.
    pub(super) async fn ask_and_decide<D: Decider>(
        &self,
        intent: &Intent,
        command: D::Command,
    ) -> Result<Appended, CommandFailure> {
        let mut version = 0;
        for _ in 0..MAX_ATTEMPTS {
            let loaded = self
                .aggregates
                .load::<D>(intent.workspace, &intent.stream, Freshness::Read)
                .await?;
            version = loaded.version;
            if !intent.expected.is_met_by(version) {
                break;
            }
            let answer = match D::asks(&loaded.state, &command, &intent.stream) {
                None => None,
                Some(request) => {
                    let provider = self
                        .payments
                        .as_ref()
                        .ok_or_else(|| NoAnswer::Unavailable("this server has none".to_owned()))?;
                    Some(payment::ask(provider, intent.workspace, &intent.stream, &request).await?)
                }
            };
            match self.decide_with::<D>(intent, command.clone(), answer).await {
                // The payment is another one than it was when the provider was asked.
                Err(CommandFailure::Rejected(rejection)) if rejection.rule == NOT_ASKED => {}
                decided => return decided,
            }
        }
        Err(CommandFailure::Conflict {
            stream: intent.stream.clone(),
            current: version,
        })
    }
}
