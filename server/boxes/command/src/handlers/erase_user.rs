//! `EraseUser`: the email is released in the same append; the erasure is noted before it, and the person's
//! key and credentials are destroyed after it.

use domain::{aggregate::user::EraseUser, wire::CommandAnswer};

use super::user_account::Account;
use event_store::AppendAnswer;

use crate::{
    aggregate_loader::Freshness, failure::CommandFailure, intent::Intent, repository::Repository,
    retry::AttemptError,
};

/// Erases a person, if the command has their password or comes from an educator.
/// [`People::run`](identity::People::run) completes an erasure that fails after the append.
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
    if let Some((people, of)) = account.people() {
        match &answer {
            Ok(_) => {
                if let Err(error) = people.erased(of).await {
                    tracing::warn!(%error, "a person is erased in the log, but their key still exists");
                }
            }
            Err(failure) if failure.is_refusal() => people.not_erased(of).await,
            // If it is not known whether the erasure was stored, the note stays.
            Err(_) => {}
        }
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
