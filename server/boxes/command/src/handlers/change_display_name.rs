//! `ChangeDisplayName`: the name is sealed, so it can only be stored with the people service, which has the
//! keys.

use domain::{aggregate::user::ChangeDisplayName, wire::CommandAnswer};

use super::user_account::Account;
use event_store::AppendAnswer;

use crate::{
    aggregate_loader::Freshness, failure::CommandFailure, intent::Intent, repository::Repository,
    retry::AttemptError,
};

/// Changes the name of an account.
pub(crate) async fn handle(
    repository: &Repository,
    intent: &Intent,
    change: ChangeDisplayName,
) -> Result<CommandAnswer, CommandFailure> {
    let mut account = Account::of(repository, intent);
    let mut attempts = repository.attempts(intent).await;
    let appended = loop {
        let attempt = append(&mut account, &change, attempts.freshness()).await;
        if let Some(outcome) = attempts.after(attempt).await {
            break outcome;
        }
    };
    repository.answer(intent, appended).await
}

async fn append(
    account: &mut Account<'_>,
    change: &ChangeDisplayName,
    freshness: Freshness,
) -> Result<AppendAnswer, AttemptError> {
    let decision = account.decide(change.clone().into(), freshness).await?;
    account.records_to_write(&decision)?;
    account.append(decision).await
}
