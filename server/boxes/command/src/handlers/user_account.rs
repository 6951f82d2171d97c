//! What the commands of a user's account share: reservations of emails are appended with the user's events, and what is
//! kept of people outside of the log is written before.
//!
//! Before the append everything is noted that must not be lost by a crash behind it, and it counts only if the log says so:
//! a password's hash under the command that registers its person, and that a person is being erased. A crash in between
//! leaves a note, and never an account without its password or a key that outlives its person.

use std::sync::Arc;

use domain::aggregate::user::{Password, User, UserCommand, UserEvent, UserState, wrong_password};

use super::email_reservation::{self, ReservationAppend};
use event_store::Appended;
use identity::{LookUpError, People, PeopleError, PersonId};

use crate::{
    aggregates::{Freshness, Loaded},
    failure::CommandFailure,
    intent::Intent,
    repository::{Repository, decide},
    retry::Setback,
};

/// The account that a user's command is about.
pub(super) struct Account<'a> {
    repository: &'a Repository,
    intent: &'a Intent,
    /// `None` where the stream names no person, which the rules refuse.
    person: Option<PersonId>,
    is_written: bool,
}

/// What was decided about an account and its email, to be appended together.
pub(super) struct AccountDecision {
    loaded: Arc<Loaded<UserState>>,
    events: Vec<UserEvent>,
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
            is_written: false,
        }
    }

    /// The person and what is kept of people; `None` where this command service keeps nothing.
    pub(super) fn people(&self) -> Option<(&'a People, PersonId)> {
        Some((self.repository.people.as_deref()?, self.person?))
    }

    /// Refuses what takes an account over or away, where the password that comes with it is not the account's. That there
    /// is one at all is a rule of the user's; a person without an account has none.
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

    /// Loads the account and decides the command, and what becomes of reservations with its events.
    pub(super) async fn decide(
        &self,
        command: UserCommand,
        freshness: Freshness,
    ) -> Result<AccountDecision, Setback> {
        let (repository, intent) = (self.repository, self.intent);
        let loaded = repository.load::<User>(intent, freshness).await?;
        let context = repository.context(intent, ());
        let events = decide::<User>(&loaded, command, &context)?;
        let reservations = email_reservation::decide(
            repository,
            intent.workspace,
            &loaded.state,
            &events,
            &context,
            freshness,
        )
        .await?;
        Ok(AccountDecision {
            loaded,
            events,
            reservations,
        })
    }

    /// Where the person's data outside of the log is to be written before the append: once, and only for a decision that
    /// changes something. An error where this command service keeps nothing.
    pub(super) fn records_to_write(
        &mut self,
        decision: &AccountDecision,
    ) -> Result<Option<(&'a People, PersonId)>, PeopleError> {
        let Some(person) = self
            .person
            .filter(|_| !self.is_written && !decision.events.is_empty())
        else {
            return Ok(None);
        };
        self.is_written = true;
        Ok(Some((self.repository.people()?, person)))
    }

    /// Appends the user's events and those of reservations, or nothing.
    pub(super) async fn append(&self, decision: AccountDecision) -> Result<Appended, Setback> {
        let AccountDecision {
            loaded,
            events,
            reservations,
        } = decision;
        self.repository
            .append::<User>(self.intent, &loaded, events, &reservations)
            .await
    }
}
