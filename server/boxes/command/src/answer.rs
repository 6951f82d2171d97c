//! The answer to a command; a repeated command gets the first answer again.

use domain::wire::{CommandAnswer, hops::HopOutcome};
use telemetry::hops::HopSpan as _;
use tracing::Span;

use super::{failure::CommandFailure, intent::Intent, repository::Repository};
use event_store::AppendAnswer;

impl Repository {
    /// The answer to a command. A refusal by a rule or a version may be the command's own effect, because a
    /// concurrent repetition was faster. Then the answer is the one of that repetition.
    pub(super) async fn answer(
        &self,
        intent: &Intent,
        appended: Result<AppendAnswer, CommandFailure>,
    ) -> Result<CommandAnswer, CommandFailure> {
        match appended {
            Ok(appended) => Ok(command_answer(intent, appended)),
            Err(refusal @ (CommandFailure::Rejected(_) | CommandFailure::Conflict { .. })) => {
                self.earlier_answer(intent).await?.ok_or(refusal)
            }
            Err(failure) => Err(failure),
        }
    }

    /// The recorded answer to the same command; `None`: it has none, or cannot be a repetition.
    pub(super) async fn earlier_answer(
        &self,
        intent: &Intent,
    ) -> Result<Option<CommandAnswer>, CommandFailure> {
        if !intent.may_be_repeated {
            return Ok(None);
        }
        let recorded = self
            .store
            .recorded_command(intent.workspace, intent.command_id)
            .await?;
        match recorded {
            Some(recorded) if !recorded.is_repeated_by(&self.stored_digest(intent)) => {
                Err(CommandFailure::KeyReused)
            }
            Some(recorded) => {
                // The command's span.
                Span::current().outcome(HopOutcome::Duplicate);
                Ok(Some(command_answer(intent, recorded.answer)))
            }
            None => Ok(None),
        }
    }
}

fn command_answer(intent: &Intent, appended: AppendAnswer) -> CommandAnswer {
    let version = appended.streams.first().map_or(0, |stream| stream.version);
    CommandAnswer {
        command_id: intent.command_id,
        correlation_id: appended.correlation_id,
        stream: intent.stream.to_string(),
        version,
        events: appended
            .streams
            .into_iter()
            .flat_map(|stream| stream.events)
            .collect(),
        token: appended.token,
    }
}
