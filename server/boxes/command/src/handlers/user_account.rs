//! The common part of the commands of a user's account: reservations of emails are appended with the user's
//! events, and the data outside the log is written before.
//!
//! Data that a crash after the append must not lose is written before it, and is valid only if the log has
//! the event: a password's hash under the command that registers its person, and the note that a person is
//! being erased. A crash in between leaves an unused record, and never an account without its password or the
//! key of an erased person.

use std::sync::Arc;

use domain::aggregate::user::{Password, User, UserCommand, UserEvent, UserState, wrong_password};

use super::email_reservation::{self, ReservationAppend};
use event_store::AppendAnswer;
use identity::{LookUpError, People, PeopleError, PersonId};

use crate::{
    aggregate_loader::{Freshness, LoadedAggregate},
    failure::CommandFailure,
    intent::Intent,
    repository::{Decision, Repository, decide},
    retry::AttemptError,
};

/// The account that a command changes.
pub(super) struct Account<'a> {
    repository: &'a Repository,
    intent: &'a Intent,
    /// `None`: the stream names no person, and the rules refuse the command.
    person: Option<PersonId>,
    has_written: bool,
}

/// The decisions on an account and its email, appended together.
pub(super) struct AccountDecision {
    loaded: Arc<LoadedAggregate<UserState>>,
    user: Decision<UserEvent>,
    reservations: Vec<ReservationAppend>,
}

impl<'a> Account<'a> {
    pub(super) fn of(repository: &'a Repository, intent: &'a Intent) -> Self {
        let person = intent.stream.id().parse().ok().map(|person| PersonId {
            workspace: intent.workspace,
            person,
        });
        Self {
            repository,
            intent,
            person,
            has_written: false,
        }
    }

    /// The people service and the person; `None`: this command service has no people service.
    pub(super) fn people(&self) -> Option<(&'a People, PersonId)> {
        Some((self.repository.people.as_deref()?, self.person?))
    }

    /// Refuses a command that takes over or erases an account if its password is wrong. The rules of the user
    /// aggregate require that it has a password; a person without an account has none.
    pub(super) async fn require_password(&self, password: Option<&Password>) -> Result<(), CommandFailure> {
        let (Some((people, of)), Some(password)) = (self.people(), password) else {
            return Ok(());
        };
        if self.intent.actor.id != of.person {
            return Ok(());
        }
        match people.is_password_of(of, password).await {
            Ok(Some(false)) => Err(wrong_password().into()),
            Ok(Some(true) | None) => Ok(()),
            Err(LookUpError::People(error)) => Err(error.into()),
            Err(LookUpError::Store(error)) => Err(error.into()),
        }
    }

    /// Loads the account, and decides the command and the reservations that follow from its events.
    pub(super) async fn decide(
        &self,
        command: UserCommand,
        freshness: Freshness,
    ) -> Result<AccountDecision, AttemptError> {
        let (repository, intent) = (self.repository, self.intent);
        let loaded = repository.load::<User>(intent, freshness).await?;
        let context = repository.context(intent, ());
        let user = decide::<User>(intent, &loaded, freshness, command, &context)?;
        let reservations = email_reservation::decide(
            repository,
            intent.workspace,
            &loaded.state,
            &user.events,
            &context,
            freshness,
        )
        .await?;
        Ok(AccountDecision {
            loaded,
            user,
            reservations,
        })
    }

    /// The people service, if data outside the log has to be written before the append: once for each
    /// command, and only for a decision with events. An error if this command service has no people service.
    pub(super) fn records_to_write(
        &mut self,
        decision: &AccountDecision,
    ) -> Result<Option<(&'a People, PersonId)>, PeopleError> {
        let Some(person) = self
            .person
            .filter(|_| !self.has_written && !decision.user.events.is_empty())
        else {
            return Ok(None);
        };
        self.has_written = true;
        Ok(Some((self.repository.people()?, person)))
    }

    /// Whether data outside the log was written.
    pub(super) const fn has_written(&self) -> bool {
        self.has_written
    }

    /// Appends the user's events and those of reservations, all or nothing.
    pub(super) async fn append(&self, decision: AccountDecision) -> Result<AppendAnswer, AttemptError> {
        let AccountDecision {
            loaded,
            user,
            reservations,
        } = decision;
        self.repository
            .append::<User>(self.intent, &loaded, user, &reservations)
            .await
    }
}
