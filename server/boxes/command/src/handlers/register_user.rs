//! `RegisterUser`: the email is reserved in the same append; the password's hash, and the session of the token by which a
//! person registers themself, are kept before it.

use domain::{aggregate::user::RegisterUser, wire::CommandAnswer};

use super::user_account::Account;
use event_store::Appended;

use crate::{
    aggregates::Freshness, failure::CommandFailure, intent::Intent, repository::Repository, retry::Setback,
};

/// Makes an account.
pub(crate) async fn handle(
    repository: &Repository,
    intent: &Intent,
    register: RegisterUser,
) -> Result<CommandAnswer, CommandFailure> {
    let mut account = Account::of(repository, intent);
    let mut attempts = repository.attempts(intent).await;
    let appended = loop {
        let attempt = append(&mut account, intent, &register, attempts.freshness()).await;
        if let Some(outcome) = attempts.after(attempt).await {
            break outcome;
        }
    };
    let answer = repository.answer(intent, appended).await;
    if let Some((people, of)) = account.people() {
        match &answer {
            Ok(_) => people.registered(of).await,
            Err(failure) if failure.is_refusal() => people.not_registered(of, intent.command_id).await,
            // Where it is not known whether it was stored, nothing is taken back.
            Err(_) => {}
        }
    }
    answer
}

async fn append(
    account: &mut Account<'_>,
    intent: &Intent,
    register: &RegisterUser,
    freshness: Freshness,
) -> Result<Appended, Setback> {
    let decision = account.decide(register.clone().into(), freshness).await?;
    if let Some((people, of)) = account.records_to_write(&decision)? {
        let RegisterUser { email, password, .. } = register;
        // An educator who registers another person does not lend them a session.
        let own = intent.token.as_ref().filter(|_| intent.actor.id == of.person);
        people
            .registering(of, intent.command_id, email, password.as_ref(), own)
            .await?;
    }
    account.append(decision).await
}
