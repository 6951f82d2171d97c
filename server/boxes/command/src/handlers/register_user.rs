//! `RegisterUser`: the email is reserved in the same append; the password's hash, and the session of the
//! token with which a person registers themselves, are stored before it.

use domain::{aggregate::user::RegisterUser, wire::CommandAnswer};

use super::user_account::Account;
use event_store::AppendAnswer;

use crate::{
    aggregate_loader::Freshness, failure::CommandFailure, intent::Intent, repository::Repository,
    retry::AttemptError,
};

/// Registers an account.
pub(crate) async fn handle(
    repository: &Repository,
    intent: &Intent,
    register: RegisterUser,
) -> Result<CommandAnswer, CommandFailure> {
    let register = RegisterUser {
        language: register.language.or(Some(intent.language)),
        ..register
    };
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
            Ok(_) => {
                let login = register.password.is_some().then_some(register.email.as_str());
                people.registered(of, login).await;
            }
            Err(failure) if failure.is_refusal() => {
                let login = account.has_written().then_some(register.email.as_str());
                // Another attempt may have the id of a command with a key.
                let own_command = (!intent.may_be_repeated).then_some(intent.command_id);
                people.not_registered(of, own_command, login).await;
            }
            // If it is not known whether the registration was stored, the credentials stay.
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
) -> Result<AppendAnswer, AttemptError> {
    let decision = account.decide(register.clone().into(), freshness).await?;
    if let Some((people, of)) = account.records_to_write(&decision)? {
        let RegisterUser { email, password, .. } = register;
        // An educator's token does not become the session of a person whom they register.
        let own = intent.token.as_ref().filter(|_| intent.actor.id == of.person);
        people
            .registering(of, intent.command_id, email, password.as_ref(), own)
            .await?;
    }
    account.append(decision).await
}
