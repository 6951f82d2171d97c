//! `EraseUser`: the email is released in the same append. To destroy the person's key and credentials is the
//! effect of the stored event, which a consumer repeats until it is done. It is tried here too, so that
//! nearly always it is done with the answer.

use domain::{aggregate::user::EraseUser, wire::CommandAnswer};

use super::user_account::Account;
use event_store::AppendAnswer;

use crate::{
    aggregate_loader::Freshness, failure::CommandFailure, intent::Intent, repository::Repository,
    retry::AttemptError,
};

/// Erases a person, if the command has their password or comes from an educator.
pub(crate) async fn handle(
    repository: &Repository,
    intent: &Intent,
    erase: EraseUser,
) -> Result<CommandAnswer, CommandFailure> {
    let mut account = Account::of(repository, intent);
    account.require_password(erase.password.as_ref()).await?;
    let mut attempts = repository.attempts(intent).await;
    let appended = loop {
        let attempt = append(&mut account, &erase, attempts.freshness()).await;
        if let Some(outcome) = attempts.after(attempt).await {
            break outcome;
        }
    };
    let answer = repository.answer(intent, appended).await;
    // A refusal takes nothing back: the note may be that of another attempt, which is stored.
    if answer.is_ok()
        && let Some((people, of)) = account.people()
        && let Err(error) = people.erased(of).await
    {
        tracing::warn!(%error, "a person is erased in the log, and their key will be destroyed");
    }
    answer
}

async fn append(
    account: &mut Account<'_>,
    erase: &EraseUser,
    freshness: Freshness,
) -> Result<AppendAnswer, AttemptError> {
    let decision = account.decide(erase.clone().into(), freshness).await?;
    if let Some((people, of)) = account.records_to_write(&decision)? {
        people.erasing(of).await?;
    }
    account.append(decision).await
}
