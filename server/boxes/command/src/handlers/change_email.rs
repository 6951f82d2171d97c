//! `ChangeEmail`: the old email is released and the new one reserved in the same append; the login by the new
//! one is stored before it, and the other logins are removed after it.

use domain::{aggregate::user::ChangeEmail, wire::CommandAnswer};

use super::user_account::Account;
use event_store::AppendAnswer;

use crate::{
    aggregate_loader::Freshness, failure::CommandFailure, intent::Intent, repository::Repository,
    retry::AttemptError,
};

/// Changes the email of an account, if the command has the account's password.
pub(crate) async fn handle(
    repository: &Repository,
    intent: &Intent,
    change: ChangeEmail,
) -> Result<CommandAnswer, CommandFailure> {
    let mut account = Account::of(repository, intent);
    account.require_password(change.password.as_ref()).await?;
    let mut attempts = repository.attempts(intent).await;
    let appended = loop {
        let attempt = append(&mut account, &change, attempts.freshness()).await;
        if let Some(outcome) = attempts.after(attempt).await {
            break outcome;
        }
    };
    let answer = repository.answer(intent, appended).await;
    if let Some((people, of)) = account.people() {
        match &answer {
            Ok(_) => {
                people
                    .email_changed(of, &change.email, change.password.as_ref())
                    .await;
            }
            Err(failure) if failure.is_refusal() && account.has_written() => {
                people.release_login(of, &change.email).await;
            }
            // Nothing was written; or it is not known whether the change was stored, and both logins stay.
            Err(_) => {}
        }
    }
    answer
}

async fn append(
    account: &mut Account<'_>,
    change: &ChangeEmail,
    freshness: Freshness,
) -> Result<AppendAnswer, AttemptError> {
    let decision = account.decide(change.clone().into(), freshness).await?;
    if let Some((people, of)) = account.records_to_write(&decision)? {
        people.changing_email(of, &change.email).await?;
    }
    account.append(decision).await
}
