//! `EraseUser`: the email is given back in the same append; the erasure is noted before it, and the person's key and
//! everything by which they sign in is destroyed after it.

use domain::{aggregate::user::EraseUser, wire::CommandAnswer};

use super::user_account::Account;
use event_store::Appended;

use crate::{
    aggregates::Freshness, failure::CommandFailure, intent::Intent, repository::Repository, retry::Setback,
};

/// Erases a person, where the command comes with their password or from an educator. What fails after the append is
/// finished by [`People::run`](identity::People::run).
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
                    tracing::warn!(%error, "a person is erased in the log, and their key not yet destroyed");
                }
            }
            Err(failure) if failure.is_refusal() => people.not_erased(of).await,
            // Where it is not known whether it was stored, nothing is taken back.
            Err(_) => {}
        }
    }
    answer
}

async fn append(
    account: &mut Account<'_>,
    erase: &EraseUser,
    freshness: Freshness,
) -> Result<Appended, Setback> {
    let decision = account.decide(erase.clone().into(), freshness).await?;
    if let Some((people, of)) = account.records_to_write(&decision)? {
        people.erasing(of).await?;
    }
    account.append(decision).await
}
