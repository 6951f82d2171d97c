//! `MakePrediction`: the decision reads the question of the class, from its own stream.
//!
//! The append does not check the question's version, so that a class that answers at once does not wait in
//! line behind one stream. An answer that is decided while the educator reveals counts: it was given before.

use domain::{
    aggregate::{
        prediction::{Prediction, PredictionCommand},
        question::{Question, QuestionState},
    },
    decider::Decider as _,
    id::{StreamName, WorkspaceId},
    wire::CommandAnswer,
};
use event_store::{AppendAnswer, StoreError};

use crate::{
    aggregate_loader::Freshness,
    failure::CommandFailure,
    intent::Intent,
    repository::{Repository, decide},
    retry::AttemptError,
};

/// Records the answer of a person to a question.
pub(crate) async fn handle(
    repository: &Repository,
    intent: &Intent,
    command: PredictionCommand,
) -> Result<CommandAnswer, CommandFailure> {
    let mut attempts = repository.attempts(intent).await;
    let appended = loop {
        let attempt = predict(repository, intent, &command, attempts.freshness()).await;
        if let Some(outcome) = attempts.after(attempt).await {
            break outcome;
        }
    };
    repository.answer(intent, appended).await
}

async fn predict(
    repository: &Repository,
    intent: &Intent,
    command: &PredictionCommand,
    freshness: Freshness,
) -> Result<AppendAnswer, AttemptError> {
    let loaded = repository.load::<Prediction>(intent, freshness).await?;
    let question = question(repository, intent.workspace, command, freshness).await?;
    let context = repository.context(intent, question);
    let decision = decide::<Prediction>(intent, &loaded, freshness, command.clone(), &context)?;
    repository
        .append::<Prediction>(intent, &loaded, decision, &[])
        .await
}

/// The question that a command answers. A refusal by a cached state is decided again upon the newest one.
async fn question(
    repository: &Repository,
    workspace: WorkspaceId,
    command: &PredictionCommand,
    freshness: Freshness,
) -> Result<QuestionState, StoreError> {
    let PredictionCommand::MakePrediction(prediction) = command;
    let Ok(stream) = StreamName::new(Question::CATEGORY, prediction.question) else {
        return Ok(QuestionState::default());
    };
    let loader = &repository.loader;
    let question = loader
        .load_foreign::<Question>(workspace, &stream, freshness)
        .await?;
    Ok(question.state.clone())
}
