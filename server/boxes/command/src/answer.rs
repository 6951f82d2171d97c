//! What a command is answered; a repeated one is answered as it was the first time.

use domain::wire::CommandAnswer;

use super::{failure::CommandFailure, intent::Intent, repository::Repository};
use event_store::Appended;

impl Repository {
    /// The answer to a command. A rule or a version that stands in its way may be its own effect: the same submit, at the
    /// same time, was faster. Then the answer is the first one's.
    pub(super) async fn answer(
        &self,
        intent: &Intent,
        appended: Result<Appended, CommandFailure>,
    ) -> Result<CommandAnswer, CommandFailure> {
        match appended {
            Ok(appended) => Ok(command_answer(intent, appended)),
            Err(refusal @ (CommandFailure::Rejected(_) | CommandFailure::Conflict { .. })) => {
                self.earlier_answer(intent).await?.ok_or(refusal)
            }
            Err(failure) => Err(failure),
        }
    }

    /// What the same command was answered before; none where it was not, or cannot have been.
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
            Some(recorded) if recorded.body_digest != intent.body_digest => Err(CommandFailure::KeyReused),
            recorded => Ok(recorded.map(|recorded| command_answer(intent, recorded.answer))),
        }
    }
}

fn command_answer(intent: &Intent, appended: Appended) -> CommandAnswer {
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
